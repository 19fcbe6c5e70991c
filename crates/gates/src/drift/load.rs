//! Configuration files as they lie about: several to be merged, or wrapped in Kubernetes objects.

use crossfade_yaml::{
    ExpandError, Key, Limits, Map, Mark, Node, Resolution, Resolve, Value, YamlError, YamlErrorKind, expand,
    merge, parse_all,
};

use super::ids::Section;
use super::manifest::{is_kubernetes, unwrap};
use super::tempo;
use super::workload;

/// A set of files that is not one configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A file is not usable YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A reference cannot be expanded.
    #[error(transparent)]
    Expand(#[from] ExpandError),
    /// A Kubernetes file holds no configuration.
    #[error(
        "{mark}: no configuration is found in these Kubernetes objects; expected a ConfigMap or a Secret with YAML text, or an OpenTelemetryCollector with `spec.config`"
    )]
    NoConfiguration {
        /// The object.
        mark: Mark,
    },
    /// A file holds several configurations.
    #[error("{mark}: a second configuration begins here; keep one in a file where several files are merged")]
    SeveralConfigurations {
        /// The second.
        mark: Mark,
    },
    /// There is nothing in it: two of these would be alike.
    #[error("{mark}: there is no configuration in here; name the file that the environment runs with")]
    Empty {
        /// Where it should be.
        mark: Mark,
    },
    /// It is something else: two of these would be compared by their words alone.
    #[error(
        "{mark}: this is no configuration of a Collector, Jaeger 2 or Tempo: {looks_like}; name the file that the environment runs with, \
         or the Kubernetes manifest around it"
    )]
    Foreign {
        /// Where it begins.
        mark: Mark,
        /// What it looks like, and what was looked for.
        looks_like: String,
    },
    /// A Collector would not start with it, so two of these are not alike but broken.
    #[error("{mark}: `{field}` must be {expected}, and this is {kind}; a Collector does not start with it")]
    Shape {
        /// The value.
        mark: Mark,
        /// Where it stands.
        field: String,
        /// What belongs there.
        expected: &'static str,
        /// What it is.
        kind: &'static str,
    },
    /// The configuration is no map.
    #[error("{mark}: a configuration must be a map of sections, and this is {kind}")]
    NotAMap {
        /// The value.
        mark: Mark,
        /// What it is.
        kind: &'static str,
    },
}

/// Leaves every reference as it stands: both sides are then compared as written, which needs nobody's environment.
#[derive(Clone, Copy, Debug)]
pub struct KeepReferences;

impl Resolve for KeepReferences {
    fn resolve(&self, _: &str, _: &str) -> Resolution {
        Resolution::Keep
    }

    fn keeps(&self) -> bool {
        true
    }
}

/// One configuration of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Empty if the files hold only this one; else what tells it from the others: the ConfigMap's name, with the key where
    /// that has several.
    pub name: String,
    /// The configuration.
    pub node: Node,
}

/// Reads files (name and text) and merges them from left to right, as the Collector merges its `--config` files.
///
/// A Kubernetes ConfigMap or Secret, or an OpenTelemetryCollector resource, is unwrapped; marks point into the wrapped text.
pub fn load(files: &[(&str, &str)], resolver: &dyn Resolve) -> Result<Node, LoadError> {
    let mut all = load_each(files, resolver)?.into_iter();
    let first = all.next().map_or_else(|| Node::null(Mark::nowhere()), |first| first.node);
    match all.next() {
        None => Ok(first),
        Some(second) => Err(LoadError::SeveralConfigurations { mark: second.node.mark }),
    }
}

/// As [`load`]; a single file may hold several configurations, such as the manifests that Helm renders.
pub fn load_each(files: &[(&str, &str)], resolver: &dyn Resolve) -> Result<Vec<Loaded>, LoadError> {
    let mut merged: Vec<Loaded> = Vec::new();
    for (name, text) in files {
        let mut found = one_file(name, text)?;
        for loaded in &mut found {
            split_keys(&mut loaded.node)?;
            expand(&mut loaded.node, resolver)?;
        }
        let second = if merged.is_empty() { None } else { merged.get(1).or(found.get(1)) };
        if let Some(second) = second {
            return Err(LoadError::SeveralConfigurations { mark: second.node.mark.clone() });
        }
        merged = match (merged.pop(), found.pop()) {
            (Some(base), Some(over)) => {
                vec![Loaded { name: String::new(), node: merge(base.node, over.node) }]
            }
            (None, Some(last)) => found.into_iter().chain([last]).collect(),
            (base, None) => base.into_iter().collect(),
        };
    }
    if let [only] = merged.as_mut_slice() {
        only.name.clear();
    }
    for loaded in &merged {
        let node = &loaded.node;
        if node.is_null() || node.as_map().is_some_and(|map| map.is_empty()) {
            return Err(LoadError::Empty { mark: node.mark.clone() });
        }
        if node.as_map().is_none() {
            return Err(LoadError::NotAMap { mark: node.mark.clone(), kind: node.kind() });
        }
    }
    Ok(merged)
}

/// Keys with `::` in them are paths, at every depth but within lists: `exporters::otlp::tls: {insecure: true}`. That is how the
/// Collector reads them (confmap's delimiter of keys), in each file before it merges them. Elsewhere than in a Collector's
/// sections a key is a name: a tenant of Tempo's may be `team::a`.
///
/// # Errors
/// [`YamlErrorKind::TooDeep`] where the paths lead deeper than YAML may be nested.
pub(super) fn split_keys(node: &mut Node) -> Result<(), YamlError> {
    split(node, 0, &|key| {
        let first = key.name.split("::").next().unwrap_or_default();
        first == "service" || Section::ALL.iter().any(|section| section.key() == first)
    })
}

/// Splits the keys that are a Collector's, and those below them, of a map that stands below `above` others.
fn split(node: &mut Node, above: usize, is_its: &dyn Fn(&Key) -> bool) -> Result<(), YamlError> {
    let Value::Map(map) = &mut node.value else { return Ok(()) };
    for (key, value) in map.iter_mut().filter(|(key, _)| is_its(key)) {
        split(value, deeper(above, &key.name, &key.mark)?, &|_| true)?;
    }
    let is_path = |key: &Key| key.name.contains("::") && is_its(key);
    if map.iter().all(|(key, _)| !is_path(key)) {
        return Ok(());
    }
    let entries = std::mem::take(map);
    let (paths, plain): (Vec<_>, Vec<_>) =
        entries.iter().map(|(k, v)| (k.clone(), v.clone())).partition(|(k, _)| is_path(k));
    let mark = node.mark.clone();
    let base = Node::new(Value::Map(plain.into_iter().collect()), mark.clone());
    *node = paths.into_iter().try_fold(base, |base, (key, value)| {
        Ok::<_, YamlError>(merge(base, nested(&key.name, value, &key.mark)?))
    })?;
    Ok(())
}

/// `a::b::c` and a value, as a tree.
pub(super) fn nested(path: &str, value: Node, mark: &Mark) -> Result<Node, YamlError> {
    deeper(0, path, mark)?;
    Ok(path.rsplit("::").fold(value, |below, part| {
        let key = Key { name: part.to_owned(), mark: mark.clone() };
        Node::new(Value::Map([(key, below)].into_iter().collect()), mark.clone())
    }))
}

/// How deep what stands at a path is, below `above` maps: no deeper than YAML may be.
fn deeper(above: usize, path: &str, mark: &Mark) -> Result<usize, YamlError> {
    let (depth, limit) = (above + path.split("::").count(), Limits::default().depth);
    if depth > limit {
        return Err(YamlError { mark: mark.clone(), kind: YamlErrorKind::TooDeep { limit } });
    }
    Ok(depth)
}

/// Keys by which other files are known, all of which they have.
const OTHERS: [(&[&str], &str); 5] = [
    (&["from", "to", "steps"], "it looks like a rollout spec of crossfade"),
    (&["environments"], "it looks like crossfade's own site configuration"),
    (&["scrape_configs"], "it looks like a configuration of Prometheus"),
    (&["services"], "it looks like a file of Docker Compose"),
    (&["image"], "it looks like values of a Helm chart, which `helm template` makes into a manifest"),
];
/// Sections that are named of a file that looks like nothing.
const SECTIONS_SHOWN: usize = 4;

/// Whether there is anything of a Collector's, Jaeger 2's or Tempo's in a configuration, and in the shape that it must have.
///
/// # Errors
/// [`LoadError::Foreign`], [`LoadError::Shape`].
pub fn recognise(node: &Node) -> Result<(), LoadError> {
    let has = |key: &str| node.get(key).is_some();
    let service = |key| node.at(&["service", key]).is_some();
    if Section::ALL.iter().any(|section| has(section.key()))
        || ["pipelines", "extensions", "telemetry"].into_iter().any(service)
        || tempo::TOP.into_iter().any(has)
        || tempo::is_tempo(node)
    {
        return shaped(node);
    }
    let looks_like = OTHERS.iter().find(|(keys, _)| keys.iter().all(|key| has(key)));
    let looks_like = looks_like.map_or_else(|| sections(node), |(_, what)| (*what).to_owned());
    Err(LoadError::Foreign { mark: node.mark.clone(), looks_like })
}

/// Sections, pipelines and their lists are what a Collector reads as such.
fn shaped(node: &Node) -> Result<(), LoadError> {
    let be = |node: Option<&Node>, field: &str, expected: &'static str, is: fn(&Node) -> bool| match node {
        // Nothing is an empty section, and what is not expanded may be anything.
        Some(node)
            if !node.is_null() && !is(node) && !node.as_str().is_some_and(|text| text.starts_with('$')) =>
        {
            Err(LoadError::Shape {
                mark: node.mark.clone(),
                field: field.to_owned(),
                expected,
                kind: node.kind(),
            })
        }
        _ => Ok(()),
    };
    let is_map: fn(&Node) -> bool = |node| node.as_map().is_some();
    let is_list: fn(&Node) -> bool = |node| node.as_list().is_some();
    for section in Section::ALL {
        be(node.get(section.key()), section.key(), "a map of components by their names", is_map)?;
    }
    be(node.get("service"), "service", "a map", is_map)?;
    be(node.at(&["service", "extensions"]), "service.extensions", "a list of names", is_list)?;
    let pipelines = node.at(&["service", "pipelines"]);
    be(pipelines, "service.pipelines", "a map of pipelines by their names", is_map)?;
    for (key, pipeline) in pipelines.and_then(Node::as_map).into_iter().flat_map(Map::iter) {
        let field = format!("service.pipelines.{}", key.name);
        be(Some(pipeline), &field, "a map of receivers, processors and exporters", is_map)?;
        for list in ["receivers", "processors", "exporters"] {
            be(pipeline.get(list), &format!("{field}.{list}"), "a list of names", is_list)?;
        }
    }
    Ok(())
}

fn sections(node: &Node) -> String {
    let keys: Vec<&str> =
        node.as_map().into_iter().flat_map(Map::iter).map(|(key, _)| key.name.as_str()).collect();
    let more = if keys.len() > SECTIONS_SHOWN { ", …" } else { "" };
    let shown = keys.into_iter().take(SECTIONS_SHOWN).collect::<Vec<_>>().join(", ");
    format!("it has {shown}{more}, and neither receivers, exporters, service nor a section of Tempo's")
}

fn one_file(name: &str, text: &str) -> Result<Vec<Loaded>, LoadError> {
    let documents = parse_all(text, name)?;
    let mut documents: Vec<Node> = documents.into_iter().filter(|d| !d.is_null()).collect();
    // Tempo says first what it was asked.
    if documents.len() == 2 && documents[0].as_str().is_some_and(|text| text.starts_with("GET /")) {
        documents.remove(0);
    }
    if documents.iter().any(is_kubernetes) {
        let mut found = Vec::new();
        for document in &documents {
            unwrap(document, &mut found)?;
        }
        workload::apply(&documents, &mut found)?;
        return match found.is_empty() {
            true => Err(LoadError::NoConfiguration { mark: Mark::new(name, 1, 1) }),
            false => Ok(found),
        };
    }
    if let Some(second) = documents.get(1) {
        return Err(LoadError::SeveralConfigurations { mark: second.mark.clone() });
    }
    let node = documents.pop().unwrap_or_else(|| Node::null(Mark::new(name, 1, 1)));
    // A map may yet come out of a reference: `${file:rest.yaml}`.
    if node.as_map().is_none() && !node.is_null() && !node.as_str().is_some_and(|text| text.starts_with("${"))
    {
        return Err(LoadError::NotAMap { mark: node.mark.clone(), kind: node.kind() });
    }
    Ok(vec![Loaded { name: String::new(), node }])
}
