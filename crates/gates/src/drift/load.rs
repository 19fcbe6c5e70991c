//! Configuration files as they lie about: several to be merged, or wrapped in Kubernetes objects.

use crossfade_yaml::{
    ExpandError, Mark, Node, Resolution, Resolve, YamlError, expand, merge, parse_all, parse_embedded,
};

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
    #[error("{mark}: no configuration is found in this Kubernetes object; expected YAML text under `data`")]
    NoConfiguration {
        /// The object.
        mark: Mark,
    },
    /// A file holds several configurations.
    #[error("{mark}: a second configuration begins here; keep one in a file")]
    SeveralConfigurations {
        /// The second.
        mark: Mark,
    },
    /// The configuration is no map.
    #[error("{mark}: a configuration must be a map of sections")]
    NotAMap {
        /// The value.
        mark: Mark,
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

/// Reads files (name and text) and merges them from left to right, as the Collector merges its `--config` files.
///
/// A Kubernetes ConfigMap, or an OpenTelemetryCollector resource, is unwrapped; marks point into the wrapped text.
pub fn load(files: &[(&str, &str)], resolver: &dyn Resolve) -> Result<Node, LoadError> {
    let mut merged: Option<Node> = None;
    for (name, text) in files {
        let mut node = one_file(name, text)?;
        expand(&mut node, resolver)?;
        merged = Some(match merged {
            Some(base) => merge(base, node),
            None => node,
        });
    }
    Ok(merged.unwrap_or_else(|| Node::null(Mark::nowhere())))
}

fn one_file(name: &str, text: &str) -> Result<Node, LoadError> {
    let documents = parse_all(text, name)?;
    let wrapped = documents.iter().any(is_kubernetes);
    let mut found: Option<Node> = None;
    for document in documents.into_iter().filter(|d| !d.is_null()) {
        let inner = if wrapped { unwrap(&document)? } else { vec![document] };
        for node in inner {
            if node.as_map().is_none() {
                return Err(LoadError::NotAMap { mark: node.mark });
            }
            if found.is_some() {
                return Err(LoadError::SeveralConfigurations { mark: node.mark });
            }
            found = Some(node);
        }
    }
    match found {
        Some(node) => Ok(node),
        None if wrapped => Err(LoadError::NoConfiguration { mark: Mark::new(name, 1, 1) }),
        None => Ok(Node::null(Mark::new(name, 1, 1))),
    }
}

fn is_kubernetes(document: &Node) -> bool {
    document.get("apiVersion").is_some() && document.get("kind").is_some()
}

/// The configurations in a Kubernetes object; none in objects of other kinds.
fn unwrap(document: &Node) -> Result<Vec<Node>, LoadError> {
    match document.get("kind").and_then(Node::as_str) {
        Some("ConfigMap") => {
            let data = document.get("data").and_then(Node::as_map);
            let texts = data.into_iter().flat_map(|m| m.iter().map(|(_, v)| v)).filter_map(parse_embedded);
            let all: Vec<Node> = texts.collect::<Result<_, _>>()?;
            let maps: Vec<Node> = all.into_iter().filter(|n| n.as_map().is_some()).collect();
            let collectors: Vec<Node> = maps.iter().filter(|n| n.get("service").is_some()).cloned().collect();
            Ok(if collectors.is_empty() { maps } else { collectors })
        }
        Some("OpenTelemetryCollector") => match document.at(&["spec", "config"]) {
            Some(text) if text.as_str().is_some() => {
                Ok(parse_embedded(text).transpose()?.into_iter().collect())
            }
            Some(node) => Ok(vec![node.clone()]),
            None => Ok(Vec::new()),
        },
        _ => Ok(Vec::new()),
    }
}
