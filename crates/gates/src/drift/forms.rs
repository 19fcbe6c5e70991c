//! Older ways to write a Collector configuration, rewritten as the newest release takes them. Marks stay.

use std::borrow::Cow;

use crossfade_yaml::{Key, Map, Mark, Node, Value};

use super::ids::{Id, Section};
use super::version::Version;

/// The configuration in today's form; itself if it is that already.
pub(crate) fn current(root: &Node, version: Option<Version>) -> Cow<'_, Node> {
    let mut out = root.clone();
    let changed = [telemetry_address(&mut out, version), exporters(&mut out)];
    if changed.contains(&true) { Cow::Owned(out) } else { Cow::Borrowed(root) }
}

/// `service.telemetry.metrics.address`, read until 0.122, is a Prometheus reader. Where `readers` stands too, that one counts.
fn telemetry_address(root: &mut Node, version: Option<Version>) -> bool {
    let Some(metrics) = below(root, &["service", "telemetry", "metrics"]) else { return false };
    let ignored = version.is_some_and(|version| !version.is_collector_before(123));
    if ignored || metrics.get("readers").is_some() {
        return false;
    }
    let Some((key, address)) = metrics.entry("address").map(|(k, v)| (k.clone(), v.clone())) else {
        return false;
    };
    let Some((host, port)) = address.as_str().and_then(|text| text.rsplit_once(':')) else { return false };
    // An empty host is every network.
    let host = if host.is_empty() { "0.0.0.0" } else { host.trim_start_matches('[').trim_end_matches(']') };
    let port = port.parse::<i128>().map_or_else(|_| Value::String(port.to_owned()), Value::Int);
    let at = &address.mark;
    let settings = [("host", Value::String(host.to_owned())), ("port", port)];
    let settings = settings.map(|(name, value)| (named(name, at), Node::new(value, at.clone())));
    let inner = Node::new(Value::Map(settings.into_iter().collect()), at.clone());
    let reader = ["prometheus", "exporter", "pull"].iter().fold(inner, |node, name| wrapped(name, node, at));
    metrics.remove("address");
    let readers = Node::new(Value::List(vec![reader]), at.clone());
    metrics.insert(Key { name: "readers".to_owned(), mark: key.mark }, readers);
    true
}

fn exporters(root: &mut Node) -> bool {
    let mut changed = false;
    let Some(exporters) = below(root, &["exporters"]) else { return false };
    for (key, settings) in exporters.iter_mut() {
        let logging = key.name.split('/').next().is_some_and(|kind| kind.trim() == "logging");
        if logging {
            if settings.is_null() {
                settings.value = Value::Map(Map::new());
            }
            changed = true;
        }
        let mark = settings.mark.clone();
        let kind = Id::read(Section::Exporters, &key.name).kind;
        let Value::Map(settings) = &mut settings.value else { continue };
        if logging {
            verbosity(settings, &mark);
        }
        changed |= header_list(settings) | blocking(settings);
        if kind == "otlp" {
            changed |= batcher(settings);
        }
    }
    changed
}

/// The logging exporter (until 0.110) is today's debug exporter with other defaults, and `loglevel` was its verbosity.
fn verbosity(settings: &mut Map, mark: &Mark) {
    let level = settings.remove("loglevel");
    let word = match level.as_ref().and_then(Node::as_str) {
        Some("debug") => "detailed",
        Some("warn" | "error") => "basic",
        _ => "normal",
    };
    let mark = level.map_or_else(|| mark.clone(), |level| level.mark);
    for (name, value) in
        [("verbosity", Value::String(word.to_owned())), ("sampling_thereafter", Value::Int(500))]
    {
        if settings.get(name).is_none() {
            settings.insert(named(name, &mark), Node::new(value, mark.clone()));
        }
    }
}

/// `headers: [{name: a, value: b}]` says `headers: {a: b}`.
fn header_list(settings: &mut Map) -> bool {
    let Some(headers) = settings.get_mut("headers") else { return false };
    let pairs: Option<Map> = headers.as_list().and_then(|items| {
        let pair = |item: &Node| {
            let name = item.get("name").filter(|name| !name.is_secret());
            let name = name?.as_str()?;
            let known = item.as_map()?.iter().all(|(key, _)| matches!(key.name.as_str(), "name" | "value"));
            let value = item.get("value").cloned().unwrap_or_else(|| Node::null(item.mark.clone()));
            known.then(|| (named(name, &item.mark), value))
        };
        items.iter().map(pair).collect()
    });
    // Two of one name are two headers: they stay as they are.
    let Some(pairs) = pairs.filter(|pairs| Some(pairs.len()) == headers.as_list().map(<[Node]>::len)) else {
        return false;
    };
    headers.value = Value::Map(pairs);
    true
}

/// `sending_queue.blocking` (until 0.128) is `block_on_overflow`.
fn blocking(settings: &mut Map) -> bool {
    let Some(Value::Map(queue)) = settings.get_mut("sending_queue").map(|node| &mut node.value) else {
        return false;
    };
    rename(queue, "blocking", "block_on_overflow")
}

/// The OTLP exporter's `batcher` (until 0.129) is `sending_queue.batch`.
fn batcher(settings: &mut Map) -> bool {
    let Some((key, batcher)) = settings.entry("batcher").map(|(k, v)| (k.clone(), v.clone())) else {
        return false;
    };
    let enabled = batcher.get("enabled").and_then(Node::as_bool);
    let queue = settings.get("sending_queue");
    let free = queue.is_none_or(|queue| queue.as_map().is_some_and(|map| map.get("batch").is_none()));
    let Value::Map(mut batch) = batcher.value else { return false };
    if enabled == Some(false) {
        settings.remove("batcher");
        return true;
    }
    if enabled.is_none() || !free {
        return false;
    }
    settings.remove("batcher");
    batch.remove("enabled");
    rename(&mut batch, "min_size_items", "min_size");
    rename(&mut batch, "max_size_items", "max_size");
    let batch = Node::new(Value::Map(batch), batcher.mark.clone());
    let key = Key { name: "batch".to_owned(), mark: key.mark };
    match settings.get_mut("sending_queue").map(|node| &mut node.value) {
        Some(Value::Map(queue)) => _ = queue.insert(key, batch),
        _ => {
            let queue = Node::new(Value::Map([(key, batch)].into_iter().collect()), batcher.mark.clone());
            settings.insert(named("sending_queue", &batcher.mark), queue);
        }
    }
    true
}

/// Gives a setting its new name, unless that stands there too.
fn rename(map: &mut Map, from: &str, to: &str) -> bool {
    if map.get(to).is_some() {
        return false;
    }
    let Some(mark) = map.entry(from).map(|(key, _)| key.mark.clone()) else { return false };
    let Some(node) = map.remove(from) else { return false };
    map.insert(named(to, &mark), node);
    true
}

fn named(name: &str, mark: &Mark) -> Key {
    Key { name: name.to_owned(), mark: mark.clone() }
}

fn wrapped(name: &str, node: Node, mark: &Mark) -> Node {
    Node::new(Value::Map([(named(name, mark), node)].into_iter().collect()), mark.clone())
}

fn below<'n>(root: &'n mut Node, path: &[&str]) -> Option<&'n mut Map> {
    let mut node = root;
    for part in path {
        let Value::Map(map) = &mut node.value else { return None };
        node = map.get_mut(part)?;
    }
    match &mut node.value {
        Value::Map(map) => Some(map),
        _ => None,
    }
}
