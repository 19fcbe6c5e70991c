//! Configurations in Kubernetes objects: ConfigMaps, Secrets, and the OpenTelemetry operator's resource.

use crossfade_yaml::{Key, Map, Mark, Node, Value, YamlError, merge, parse_embedded};

use super::load::{LoadError, Loaded, nested, split_keys};
use super::model::Model;
use super::tempo;
use super::workload::Variables;
use crate::model::unbase64;

pub(super) fn is_kubernetes(document: &Node) -> bool {
    document.get("apiVersion").is_some() && document.get("kind").is_some()
}

/// The configurations in a Kubernetes object; none in objects of other kinds.
pub(super) fn unwrap(document: &Node, found: &mut Vec<Loaded>) -> Result<(), LoadError> {
    match document.get("kind").and_then(Node::as_str) {
        Some("List" | "ConfigMapList" | "SecretList" | "OpenTelemetryCollectorList") => {
            let items = document.get("items").and_then(Node::as_list).unwrap_or_default();
            items.iter().try_for_each(|item| unwrap(item, found))
        }
        Some("ConfigMap") => config_map(document, &texts(document, "data", "binaryData"), false, found),
        // What a chart writes as `stringData` is plain text until it is applied.
        Some("Secret") => config_map(document, &texts(document, "stringData", "data"), true, found),
        Some("OpenTelemetryCollector") => {
            let node = match document.at(&["spec", "config"]) {
                Some(text) if text.as_str().is_some() => parse_embedded(text).transpose()?,
                other => other.cloned(),
            };
            let given = document.at(&["spec", "args"]);
            let pairs = given.and_then(Node::as_map).into_iter().flat_map(Map::iter);
            let pairs = pairs.map(|(key, value)| (key.clone(), value.clone())).collect();
            let mark = given.map_or(&document.mark, |n| &n.mark);
            let mut node = node.map(|node| with_arguments(node, pairs, mark)).transpose()?;
            if let Some(node) = &mut node {
                Variables::of(document.get("spec")).put_into(node)?;
            }
            found.extend(node.map(|node| Loaded { name: name_of(document), node }));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn name_of(document: &Node) -> String {
    document.at(&["metadata", "name"]).and_then(Node::as_str).unwrap_or_default().to_owned()
}

/// A key of a ConfigMap or Secret.
struct Text {
    key: Key,
    value: Node,
    /// It came out of base64: one that is no configuration by what is in it is none.
    packed: bool,
}

/// What is written as it is, and what in base64; the first wins, as it does when a Secret is applied.
fn texts(document: &Node, plain: &str, packed: &str) -> Vec<Text> {
    let entries =
        |section: &str| document.get(section).and_then(Node::as_map).into_iter().flat_map(Map::iter);
    let mut texts: Vec<Text> = entries(plain)
        .map(|(key, value)| Text { key: key.clone(), value: value.clone(), packed: false })
        .collect();
    for (key, value) in entries(packed) {
        if texts.iter().all(|text| text.key.name != key.name) {
            texts.push(Text { key: key.clone(), value: unpacked(value), packed: true });
        }
    }
    texts
}

/// The text behind base64, which may be broken into lines; as it stands if it is none, or no text.
fn unpacked(value: &Node) -> Node {
    let text = || {
        let packed: String = value.as_str()?.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        String::from_utf8(unbase64(&packed)?).ok()
    };
    text().map_or_else(|| value.clone(), |text| Node::new(Value::String(text), value.mark.clone()))
}

/// The keys of a ConfigMap. Those that are configurations are told from what lies beside one (per-tenant overrides, scripts):
/// that belongs to the configuration, and is compared under `data`. Beside a configuration in a Secret all is secret.
fn config_map(
    document: &Node,
    texts: &[Text],
    is_secret: bool,
    found: &mut Vec<Loaded>,
) -> Result<(), LoadError> {
    let (mut main, mut maps, mut beside) = (Vec::new(), Vec::new(), Map::new());
    for text in texts {
        let parsed = match parse_embedded(&text.value) {
            Some(Ok(node)) => Some(node),
            Some(Err(error)) if is_yaml(&text.key.name) && !text.packed => return Err(error.into()),
            Some(Err(_)) | None => None,
        };
        let mut parsed = parsed.filter(|node| node.as_map().is_some());
        parsed.as_mut().map_or(Ok(()), split_keys)?;
        match parsed {
            Some(node) if Model::is_collector(&node) || tempo::is_tempo(&node) => main.push((text, node)),
            Some(node) => maps.push((text, node)),
            None => _ = beside.insert(text.key.clone(), text.value.clone()),
        }
    }
    if main.is_empty() {
        (main, maps) = maps.into_iter().partition(|(text, _)| !text.packed);
    }
    for (text, node) in maps {
        beside.insert(text.key.clone(), node);
    }
    let several = main.len() > 1;
    let name = name_of(document);
    for (at, (text, mut node)) in main.into_iter().enumerate() {
        if let (0, false) = (at, beside.is_empty()) {
            let mut rest = Node::new(Value::Map(std::mem::take(&mut beside)), document.mark.clone());
            if is_secret {
                rest.keep_secret();
            }
            put(&mut node, "data", rest);
        }
        let name = if several { format!("{name}/{}", text.key.name) } else { name.clone() };
        found.push(Loaded { name, node });
    }
    Ok(())
}

/// Puts something beside a configuration's sections, unless it has one of that name.
fn put(node: &mut Node, key: &str, value: Node) {
    if let Value::Map(map) = &mut node.value
        && map.get(key).is_none()
    {
        map.insert(Key { name: key.to_owned(), mark: value.mark.clone() }, value);
    }
}

/// What a Collector is started with: `set` is laid over the configuration, as the Collector does it, and so is a `config` that is
/// YAML itself; feature gates are told one by one. All else is compared under `args`.
pub(super) fn with_arguments(
    mut node: Node,
    given: Vec<(Key, Node)>,
    mark: &Mark,
) -> Result<Node, YamlError> {
    let mut rest = Map::new();
    for (key, value) in given {
        let text = value.scalar_text().unwrap_or_default();
        let over = match key.name.trim_start_matches('-') {
            "set" => overlay(&text, &value.mark)?,
            "config" => match text.strip_prefix("yaml:") {
                Some(yaml) => written(yaml, &value.mark)?,
                None => None,
            },
            "feature-gates" => {
                rest.insert(key, gates(&text, &value.mark));
                continue;
            }
            _ => None,
        };
        match over {
            Some(over) => node = merge(node, over),
            None => add(&mut rest, key, value),
        }
    }
    if !rest.is_empty() {
        put(&mut node, "args", Node::new(Value::Map(rest), mark.clone()));
    }
    Ok(node)
}

/// One more argument; those of one name are a list.
fn add(rest: &mut Map, key: Key, value: Node) {
    match rest.get_mut(&key.name) {
        Some(Node { value: Value::List(items), .. }) => items.push(value),
        Some(before) => {
            let mark = before.mark.clone();
            let first = std::mem::replace(before, Node::null(mark.clone()));
            *before = Node::new(Value::List(vec![first, value]), mark);
        }
        None => _ = rest.insert(key, value),
    }
}

/// `processors.batch.timeout=2s` as a tree.
fn overlay(text: &str, mark: &Mark) -> Result<Option<Node>, YamlError> {
    let Some((path, value)) = text.split_once('=') else { return Ok(None) };
    let Some(Ok(last)) = parse_embedded(&Node::new(Value::String(value.to_owned()), mark.clone())) else {
        return Ok(None);
    };
    nested(&path.trim().replace('.', "::"), last, mark).map(Some)
}

/// `processors::batch::timeout: 2s` as a tree.
fn written(text: &str, mark: &Mark) -> Result<Option<Node>, YamlError> {
    let Some(Ok(mut node)) = parse_embedded(&Node::new(Value::String(text.to_owned()), mark.clone())) else {
        return Ok(None);
    };
    split_keys(&mut node)?;
    Ok(node.as_map().is_some().then_some(node))
}

/// `-a,+b,c`: which are on.
fn gates(text: &str, mark: &Mark) -> Node {
    let mut map = Map::new();
    for gate in text.split(',').map(str::trim).filter(|gate| !gate.is_empty()) {
        let is_on = !gate.starts_with('-');
        let name = gate.trim_start_matches(['-', '+']).to_owned();
        map.insert(Key { name, mark: mark.clone() }, Node::new(Value::Bool(is_on), mark.clone()));
    }
    Node::new(Value::Map(map), mark.clone())
}

/// Whether a key promises YAML: by its ending, or by having none (`relay`).
fn is_yaml(key: &str) -> bool {
    key.rsplit_once('.').is_none_or(|(_, ending)| matches!(ending, "yaml" | "yml" | "json"))
}
