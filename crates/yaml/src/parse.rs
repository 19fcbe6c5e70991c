//! Text to trees.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::node::{Key, Map, Mark, Node, Value};
use crate::scalar;

/// What foreign text may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text.
    pub bytes: usize,
    /// Levels of lists and maps.
    pub depth: usize,
    /// Nodes of all documents; an alias counts as many as it stands for.
    pub nodes: usize,
}

impl Default for Limits {
    /// 4 MiB, 64 levels, 200,000 nodes: far beyond any configuration that a person keeps.
    fn default() -> Self {
        Self { bytes: 4 << 20, depth: 64, nodes: 200_000 }
    }
}

/// Text that is not one usable YAML document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{mark}: {kind}")]
pub struct YamlError {
    /// Where.
    pub mark: Mark,
    /// What, and what to do next.
    pub kind: YamlErrorKind,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlErrorKind {
    /// The YAML grammar is violated.
    #[error("not valid YAML: {0}; check indentation, quotes and brackets here and just above")]
    Syntax(String),
    /// The text is longer than allowed.
    #[error("the text has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// The text's length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Lists and maps are nested too deeply.
    #[error("nested more than {limit} levels deep; flatten it")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// There are too many values, aliases counted as often as they are used.
    #[error("more than {limit} values, aliases included; split the file or use fewer aliases")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// A key stands twice in one map.
    #[error("key `{key}` stands twice, first in line {first_line}; remove one of them")]
    DuplicateKey {
        /// The key.
        key: String,
        /// The line of its first appearance, in the same source.
        first_line: u32,
    },
    /// A key is a list or a map, or missing.
    #[error("a key must be a plain name; put the name before the colon")]
    UnusableKey,
    /// A tag other than `!!str`, `!!int`, `!!float`, `!!bool`, `!!null`, `!!map`, `!!seq`.
    #[error("the tag `{0}` is not supported; remove it")]
    UnsupportedTag(String),
    /// A tag promises something that the value is not.
    #[error("the value does not fit its tag `{0}`; remove the tag or mend the value")]
    TagMismatch(String),
    /// An alias stands inside the value it names, or names a value of another document.
    #[error("an alias stands inside the value that it names, or in another document; write the value out")]
    RecursiveAlias,
    /// `<<` with something that is neither a map nor a list of maps.
    #[error("`<<` takes an alias of a map, or a list of them; quote it if it is meant as a name")]
    UnusableMergeKey,
    /// One document was expected.
    #[error("a second document begins here; keep one document in the file")]
    SeveralDocuments,
}

/// Reads one document within the default [`Limits`]; an empty text is null.
///
/// `source` is the name that marks carry, usually the path as the user wrote it.
pub fn parse(text: &str, source: &str) -> Result<Node, YamlError> {
    parse_with(text, source, Limits::default())
}

/// Reads one document within `limits`.
pub fn parse_with(text: &str, source: &str, limits: Limits) -> Result<Node, YamlError> {
    let mut documents = documents(text, source, limits)?.into_iter();
    let first = documents.next().unwrap_or_else(|| Node::null(Mark::new(source, 1, 1)));
    match documents.next() {
        None => Ok(first),
        Some(second) => Err(YamlError { mark: second.mark, kind: YamlErrorKind::SeveralDocuments }),
    }
}

/// Reads all documents of a stream, such as rendered Kubernetes manifests.
pub fn parse_all(text: &str, source: &str) -> Result<Vec<Node>, YamlError> {
    documents(text, source, Limits::default())
}

/// Reads the document that a string node holds, such as a configuration within a Kubernetes ConfigMap; `None` if the node
/// is no string. In a literal block (`|`) marks point into the block; otherwise all of them point at the string.
pub fn parse_embedded(node: &Node) -> Option<Result<Node, YamlError>> {
    let text = node.as_str()?;
    let at = &node.mark;
    // A block's mark is that of its first line with text.
    let blank = narrow(text.bytes().take_while(|byte| *byte == b'\n').count());
    let moved = |inner: &Mark| match node.block {
        true => Mark::new(
            at.source.clone(),
            (at.line + inner.line).saturating_sub(1 + blank),
            at.column + inner.column - 1,
        ),
        false => at.clone(),
    };
    let mut parsed = parse(text, "");
    match &mut parsed {
        Ok(inner) => inner.move_marks(&moved),
        Err(error) => error.mark = moved(&error.mark),
    }
    Some(parsed)
}

fn documents(text: &str, source: &str, limits: Limits) -> Result<Vec<Node>, YamlError> {
    let source: Arc<str> = Arc::from(source);
    if text.len() > limits.bytes {
        let kind = YamlErrorKind::TooLarge { bytes: text.len(), limit: limits.bytes };
        return Err(YamlError { mark: Mark::new(source, 1, 1), kind });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(source.clone(), limits);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| syntax(&source, &e))?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

fn syntax(source: &Arc<str>, error: &ScanError) -> YamlError {
    let at = error.marker();
    let mark = Mark::new(source.clone(), narrow(at.line()).max(1), narrow(at.col()) + 1);
    YamlError { mark, kind: YamlErrorKind::Syntax(error.info().to_owned()) }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX - 1)
}

/// A list or map that is not finished yet.
struct Open {
    mark: Mark,
    anchor: usize,
    what: OpenValue,
}

enum OpenValue {
    List(Vec<Node>),
    Map { map: OpenMap, key: Option<PendingKey> },
}

/// A map in the making.
#[derive(Default)]
struct OpenMap {
    map: Map,
    /// Values of `<<`, whose entries yield to the map's own.
    inherited: Vec<Node>,
}

enum PendingKey {
    Name(Key),
    Merge(Mark),
}

struct Builder {
    source: Arc<str>,
    limits: Limits,
    nodes: usize,
    open: Vec<Open>,
    /// Finished anchored values, with their depth and number of nodes.
    anchors: BTreeMap<usize, (Node, usize, usize)>,
    documents: Vec<Node>,
}

impl Builder {
    fn new(source: Arc<str>, limits: Limits) -> Self {
        Self { source, limits, nodes: 0, open: Vec::new(), anchors: BTreeMap::new(), documents: Vec::new() }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let mark =
            Mark::new(self.source.clone(), narrow(span.start.line()).max(1), narrow(span.start.col()) + 1);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain_key = style == ScalarStyle::Plain && tag.is_none();
                if self.awaits_key() {
                    let name = Node::new(Value::String(text.to_string()), mark.clone());
                    self.remember(anchor, &name)?;
                    return self.key(&text, plain_key, mark);
                }
                let node = scalar_node(&text, style, tag.as_deref(), mark)?;
                self.spend(1, &node.mark)?;
                self.remember(anchor, &node)?;
                self.put(node)
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq", &mark)?;
                self.begin(mark, anchor, OpenValue::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map", &mark)?;
                self.begin(mark, anchor, OpenValue::Map { map: OpenMap::default(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, mark),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { what: OpenValue::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, text: &str, plain: bool, mark: Mark) -> Result<(), YamlError> {
        let Some(Open { what: OpenValue::Map { map, key }, .. }) = self.open.last_mut() else {
            return Ok(());
        };
        if plain && text == "<<" {
            *key = Some(PendingKey::Merge(mark));
            return Ok(());
        }
        if plain && scalar::resolve(text) == Value::Null {
            return Err(YamlError { mark, kind: YamlErrorKind::UnusableKey });
        }
        if let Some((first, _)) = map.map.entry(text) {
            let kind = YamlErrorKind::DuplicateKey { key: text.to_owned(), first_line: first.mark.line };
            return Err(YamlError { mark, kind });
        }
        *key = Some(PendingKey::Name(Key { name: text.to_owned(), mark }));
        Ok(())
    }

    fn begin(&mut self, mark: Mark, anchor: usize, what: OpenValue) -> Result<(), YamlError> {
        if self.awaits_key() {
            return Err(YamlError { mark, kind: YamlErrorKind::UnusableKey });
        }
        if self.open.len() >= self.limits.depth {
            return Err(YamlError { mark, kind: YamlErrorKind::TooDeep { limit: self.limits.depth } });
        }
        self.spend(1, &mark)?;
        self.open.push(Open { mark, anchor, what });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.what {
            OpenValue::List(items) => Value::List(items),
            OpenValue::Map { map, .. } => Value::Map(inherit(map)?),
        };
        let node = Node::new(value, open.mark);
        self.remember(open.anchor, &node)?;
        self.put(node)
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), YamlError> {
        if self.awaits_key() {
            return Err(YamlError { mark, kind: YamlErrorKind::UnusableKey });
        }
        // The scanner refuses unknown names, so an anchor without a finished value is still open.
        let Some((node, depth, count)) = self.anchors.get(&anchor) else {
            return Err(YamlError { mark, kind: YamlErrorKind::RecursiveAlias });
        };
        if self.open.len() + depth > self.limits.depth {
            return Err(YamlError { mark, kind: YamlErrorKind::TooDeep { limit: self.limits.depth } });
        }
        let count = *count;
        let copy = if self.nodes + count <= self.limits.nodes { Some(node.clone()) } else { None };
        self.spend(count, &mark)?;
        copy.map_or(Ok(()), |node| self.put(node))
    }

    fn put(&mut self, mut node: Node) -> Result<(), YamlError> {
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open { what: OpenValue::List(items), .. }) => items.push(node),
            Some(Open { what: OpenValue::Map { map, key }, .. }) => match key.take() {
                Some(PendingKey::Name(name)) => {
                    // Nothing has no place of its own; its key has.
                    if node.is_null() {
                        node.mark = name.mark.clone();
                    }
                    map.map.insert(name, node);
                }
                Some(PendingKey::Merge(mark)) => {
                    let usable = match &node.value {
                        Value::Map(_) => true,
                        Value::List(items) => items.iter().all(|i| i.as_map().is_some()),
                        _ => false,
                    };
                    if !usable {
                        return Err(YamlError { mark, kind: YamlErrorKind::UnusableMergeKey });
                    }
                    map.inherited.push(node);
                }
                None => return Err(YamlError { mark: node.mark, kind: YamlErrorKind::UnusableKey }),
            },
        }
        Ok(())
    }

    /// Keeps a copy for aliases; it counts, so that nested anchors cannot multiply memory unseen.
    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), YamlError> {
        if anchor == 0 {
            return Ok(());
        }
        let count = node.count();
        self.spend(count, &node.mark)?;
        self.anchors.insert(anchor, (node.clone(), node.depth(), count));
        Ok(())
    }

    fn spend(&mut self, nodes: usize, mark: &Mark) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes {
            let kind = YamlErrorKind::TooManyNodes { limit: self.limits.nodes };
            return Err(YamlError { mark: mark.clone(), kind });
        }
        Ok(())
    }
}

/// Fills in what `<<` names: the map's own entries win, then earlier sources over later ones.
fn inherit(open: OpenMap) -> Result<Map, YamlError> {
    let OpenMap { mut map, inherited } = open;
    for source in inherited {
        for (key, node) in into_maps(source)?.into_iter().flat_map(Map::into_entries) {
            if map.get(&key.name).is_none() {
                map.insert(key, node);
            }
        }
    }
    Ok(map)
}

fn into_maps(node: Node) -> Result<Vec<Map>, YamlError> {
    match node.value {
        Value::Map(map) => Ok(vec![map]),
        Value::List(items) => {
            let each: Result<Vec<_>, _> = items.into_iter().map(into_maps).collect();
            Ok(each?.into_iter().flatten().collect())
        }
        _ => Err(YamlError { mark: node.mark, kind: YamlErrorKind::UnusableMergeKey }),
    }
}

fn check_tag(tag: Option<&Tag>, own: &str, mark: &Mark) -> Result<(), YamlError> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == own => Ok(()),
        Some(tag) => {
            Err(YamlError { mark: mark.clone(), kind: YamlErrorKind::UnsupportedTag(tag.to_string()) })
        }
    }
}

fn scalar_node(text: &str, style: ScalarStyle, tag: Option<&Tag>, mark: Mark) -> Result<Node, YamlError> {
    let value = match tag {
        None if style == ScalarStyle::Plain => scalar::resolve(text),
        None => Value::String(text.to_owned()),
        Some(tag) if tag.is_yaml_core_schema() => {
            let forced = match tag.suffix.as_str() {
                "str" => Some(Value::String(text.to_owned())),
                "int" => scalar::int(text).map(Value::Int),
                "float" => scalar::float(text).map(Value::Float),
                "bool" => Some(scalar::resolve(text)).filter(|v| matches!(v, Value::Bool(_))),
                "null" => Some(scalar::resolve(text)).filter(|v| matches!(v, Value::Null)),
                _ => return Err(YamlError { mark, kind: YamlErrorKind::UnsupportedTag(tag.to_string()) }),
            };
            match forced {
                Some(value) => value,
                None => return Err(YamlError { mark, kind: YamlErrorKind::TagMismatch(tag.to_string()) }),
            }
        }
        // `!` alone forces a string.
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Value::String(text.to_owned()),
        Some(tag) => return Err(YamlError { mark, kind: YamlErrorKind::UnsupportedTag(tag.to_string()) }),
    };
    let mut node = Node::new(value, mark);
    node.block = style == ScalarStyle::Literal;
    if matches!(node.value, Value::Int(_) | Value::Float(_) | Value::Bool(_)) {
        node.raw = Some(Arc::from(text));
    }
    Ok(node)
}

#[cfg(test)]
mod tests;
