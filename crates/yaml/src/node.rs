//! The tree: nodes, ordered maps, marks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// Where something stands: a source's name (usually a path), a line and a column, both counted from 1.
///
/// Line 0 means "nowhere": a value that was not read from text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The name under which the text was parsed.
    pub source: Arc<str>,
    /// Counted from 1; 0 if the value has no place.
    pub line: u32,
    /// Counted from 1, in characters; 0 if the value has no place.
    pub column: u32,
}

impl Mark {
    /// A mark in `source`.
    pub fn new(source: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self { source: source.into(), line, column }
    }

    /// The mark of a value that was not read from text.
    pub fn nowhere() -> Self {
        Self { source: Arc::from(""), line: 0, column: 0 }
    }

    /// Whether the mark points anywhere.
    pub fn is_nowhere(&self) -> bool {
        self.line == 0
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nowhere() {
            return f.write_str(if self.source.is_empty() { "(no place)" } else { &self.source });
        }
        write!(f, "{}:{}:{}", self.source, self.line, self.column)
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A value and where it stands. Two nodes are equal if their values are, wherever they stand.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it begins.
    pub mark: Mark,
    /// The text as written, where the value alone does not tell it (`0x1F`, `1.10`, an expanded variable).
    pub(crate) raw: Option<Arc<str>>,
    /// A literal block (`|`), whose lines stand in the source as they stand in the text.
    pub(crate) block: bool,
    /// The value came out of an expansion: read as a string it is its text, whatever YAML makes of that.
    pub(crate) expanded: bool,
    /// What it was expanded from is a secret by its name.
    pub(crate) secret: bool,
}

/// What a node is, by YAML 1.2's core schema.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, also `0o17` and `0x1F`.
    Int(i128),
    /// Any other number, `.inf` and `.nan` included.
    Float(f64),
    /// Text.
    String(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the source.
    Map(Map),
}

/// A key of a map and where it stands.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key's text; `200:` has the name `200`.
    pub name: String,
    /// Where the key begins.
    pub mark: Mark,
}

/// An ordered map without duplicate keys.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<(Key, Node)>,
    /// Where each name stands in `entries`, so that a file of a hundred thousand keys costs no square of them.
    index: BTreeMap<String, usize>,
}

impl Node {
    /// A node that holds `value` at `mark`.
    pub fn new(value: Value, mark: Mark) -> Self {
        Self { value, mark, raw: None, block: false, expanded: false, secret: false }
    }

    /// An absent value at `mark`.
    pub fn null(mark: Mark) -> Self {
        Self::new(Value::Null, mark)
    }

    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// The value below a path of keys; an index selects from a list.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, part| match &node.value {
            Value::List(items) => items.get(part.parse::<usize>().ok()?),
            _ => node.get(part),
        })
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Whether a reference in it was replaced that [`Resolve::is_secret`](crate::Resolve::is_secret) calls a secret's, or
    /// [`Node::keep_secret`] was told so.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// The text of a scalar as it was written (`0x1F` stays `0x1F`); `None` for lists and maps. Null is the empty text.
    pub fn scalar_text(&self) -> Option<String> {
        if let (Some(raw), false) = (&self.raw, matches!(self.value, Value::List(_) | Value::Map(_))) {
            return Some(raw.to_string());
        }
        match &self.value {
            Value::Null => Some(String::new()),
            Value::Bool(b) => Some(b.to_string()),
            Value::Int(i) => Some(i.to_string()),
            Value::Float(x) => Some(x.to_string()),
            Value::String(s) => Some(s.clone()),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What kind of value it is, in words for a message: "a string", "a list".
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Gives the node and all below it the same mark.
    pub(crate) fn stand_at(&mut self, mark: &Mark) {
        self.move_marks(&|_| mark.clone());
    }

    /// Replaces every mark, those of keys included.
    pub(crate) fn move_marks(&mut self, moved: &dyn Fn(&Mark) -> Mark) {
        self.mark = moved(&self.mark);
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.move_marks(moved)),
            Value::Map(map) => {
                for (key, value) in &mut map.entries {
                    key.mark = moved(&key.mark);
                    value.move_marks(moved);
                }
            }
            _ => {}
        }
    }

    /// Marks the node and all below it as secret.
    pub fn keep_secret(&mut self) {
        self.secret = true;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(Node::keep_secret),
            Value::Map(map) => map.iter_mut().for_each(|(_, value)| value.keep_secret()),
            _ => {}
        }
    }

    /// How many levels of lists and maps it has; a scalar has none.
    pub(crate) fn depth(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Map(map) => 1 + map.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// How many nodes it has, itself included.
    pub(crate) fn count(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Value::Map(map) => 1 + map.iter().map(|(_, v)| v.count()).sum::<usize>(),
            _ => 1,
        }
    }
}

/// As content is equal: `.nan` is what it is, and the same as another `.nan`.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::Int(one), Value::Int(other)) => one == other,
            (Value::Float(one), Value::Float(other)) => one == other || (one.is_nan() && other.is_nan()),
            (Value::String(one), Value::String(other)) => one == other,
            (Value::List(one), Value::List(other)) => one == other,
            (Value::Map(one), Value::Map(other)) => one == other,
            _ => false,
        }
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Map {
    /// A map without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, v)| v)
    }

    /// The key called `name` with its mark, and the value.
    pub fn entry(&self, name: &str) -> Option<(&Key, &Node)> {
        let at = *self.index.get(name)?;
        self.entries.get(at).map(|(k, v)| (k, v))
    }

    /// The value under `name`, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        let at = *self.index.get(name)?;
        self.entries.get_mut(at).map(|(_, v)| v)
    }

    /// Puts `node` under `key`, in place of a former value if there was one, which is returned.
    pub fn insert(&mut self, key: Key, node: Node) -> Option<Node> {
        match self.index.get(&key.name).and_then(|at| self.entries.get_mut(*at)) {
            Some(slot) => {
                slot.0 = key;
                Some(std::mem::replace(&mut slot.1, node))
            }
            None => {
                self.index.insert(key.name.clone(), self.entries.len());
                self.entries.push((key, node));
                None
            }
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, name: &str) -> Option<Node> {
        let at = self.index.remove(name)?;
        self.index.values_mut().filter(|i| **i > at).for_each(|i| *i -= 1);
        Some(self.entries.remove(at).1)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Node)> {
        self.entries.iter().map(|(k, v)| (k, v))
    }

    /// The entries in order, values to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Key, &mut Node)> {
        self.entries.iter_mut().map(|(k, v)| (&*k, v))
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn into_entries(self) -> Vec<(Key, Node)> {
        self.entries
    }
}

/// Order does not matter.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(k, v)| other.get(&k.name) == Some(v))
    }
}

impl FromIterator<(Key, Node)> for Map {
    fn from_iter<I: IntoIterator<Item = (Key, Node)>>(entries: I) -> Self {
        let mut map = Map::new();
        for (key, node) in entries {
            map.insert(key, node);
        }
        map
    }
}

/// The plain value, without marks. Whole numbers beyond 64 bits become strings, as do numbers that are not finite.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Int(i) => match (i64::try_from(*i), u64::try_from(*i)) {
                (Ok(i), _) => serializer.serialize_i64(i),
                (_, Ok(u)) => serializer.serialize_u64(u),
                _ => serializer.serialize_str(&i.to_string()),
            },
            Value::Float(x) if x.is_finite() => serializer.serialize_f64(*x),
            Value::Float(_) => serializer.serialize_str(&self.scalar_text().unwrap_or_default()),
            Value::String(s) => serializer.serialize_str(s),
            Value::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| seq.serialize_element(item))?;
                seq.end()
            }
            Value::Map(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                map.iter().try_for_each(|(k, v)| out.serialize_entry(&k.name, v))?;
                out.end()
            }
        }
    }
}
