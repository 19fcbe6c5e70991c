//! What a Tempo fills in. The configuration that a running one serves has a value for each of its settings, but for some that are empty
//! or zero, and what a person writes has a few: what only one side has, and the other has without saying so, is no difference.

use std::sync::LazyLock;

use crossfade_yaml::{Key, Mark, Node, Value, parse};

use super::super::path::Path;
use super::super::values::{Same, same};
use super::super::version::Version;

/// Of 2.8, and taken to hold until 3.
static FILLED: LazyLock<Node> = LazyLock::new(|| {
    parse(include_str!("filled.yaml"), "default").expect("the table is valid YAML; a test reads it")
});

/// What a program on its own (`target: all`) sets whatever is written.
const ALONE: [(&str, &str); 6] = [
    ("distributor.ring.kvstore.store", "inmemory"),
    ("distributor.ring.instance_addr", "127.0.0.1"),
    ("ingester.lifecycler.ring.kvstore.store", "inmemory"),
    ("ingester.lifecycler.address", "127.0.0.1"),
    ("metrics_generator.ring.kvstore.store", "inmemory"),
    ("metrics_generator.ring.instance_addr", "127.0.0.1"),
];

/// How a program names itself, and where it looks for its address: each machine has its own.
const OWN: [&str; 6] = [
    "instance_id",
    "instance_interface_names",
    "interface_names",
    "ingester.lifecycler.id",
    "querier.frontend_worker.id",
    "memberlist.node_name",
];

/// Whether a setting is how the program names itself.
pub(crate) fn is_own(path: &Path) -> bool {
    OWN.contains(&path.last_key()) || OWN.contains(&path.to_string().as_str())
}

/// Sections that nobody writes all of: who has them serves what it runs with.
const SERVED: [&str; 4] = ["ingester_client", "internal_server", "memberlist", "metrics_generator_client"];

/// Both sides, without what only one of them has, and the other has without saying so.
pub(crate) fn without(blue: &Node, green: &Node, versions: [Option<Version>; 2]) -> (Node, Node) {
    let [of_blue, of_green] = versions;
    (lean(blue, green, of_green), lean(green, blue, of_blue))
}

fn lean(node: &Node, other: &Node, version: Option<Version>) -> Node {
    let mut node = node.clone();
    if SERVED.iter().all(|key| other.get(key).is_some()) {
        take(&Path::default(), &mut node, Some(other), &FILLED, &|_, node, _| is_zero(node));
    } else if version.is_none_or(|version| !version.is_before(2, 8) && version.is_before(3, 0)) {
        let alike = |path: &Path, node: &Node, filled: &Node| same(path, node, filled) != Same::No;
        let known = filled(other, &node);
        take(&Path::default(), &mut node, Some(other), &known, &alike);
    }
    node
}

/// Takes out what `other` does not say, and has. Whether nothing is left.
fn take(
    path: &Path,
    node: &mut Node,
    other: Option<&Node>,
    known: &Node,
    has: &dyn Fn(&Path, &Node, &Node) -> bool,
) -> bool {
    let other = other.filter(|other| !other.is_null());
    let (Value::Map(map), Value::Map(settings)) = (&mut node.value, &known.value) else {
        return other.is_none() && has(path, node, known);
    };
    let names: Vec<String> = map.iter().map(|(key, _)| key.name.clone()).collect();
    for name in &names {
        let at = path.key(name);
        let other = other.and_then(|other| other.get(name));
        let gone = match (map.get_mut(name), settings.get(name)) {
            (Some(_), _) if other.is_none() && is_own(&at) => true,
            (Some(node), Some(known)) => take(&at, node, other, known, has),
            _ => false,
        };
        if gone {
            map.remove(name);
        }
    }
    other.is_none() && map.is_empty()
}

fn is_zero(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => node.scalar_text().is_none_or(|text| ["", "0", "0s", "0B", "false"].contains(&text.as_str())),
    }
}

/// What a program with this configuration fills in, on the machine of another one, whose own address it is that both look for work at.
fn filled(written: &Node, other: &Node) -> Node {
    let mut filled = FILLED.clone();
    let text = |of: &Node, path: &str| {
        let keys: Vec<&str> = path.split('.').collect();
        of.at(&keys).or_else(|| FILLED.at(&keys)).and_then(Node::scalar_text).unwrap_or_default()
    };
    let mut set = |path: &str, text: String| {
        let keys: Vec<&str> = path.split('.').collect();
        put(&mut filled, &keys, Value::String(text));
    };
    if text(written, "target") == "all" {
        ALONE.iter().for_each(|(path, value)| set(path, (*value).to_owned()));
        let frontend = format!("127.0.0.1:{}", text(other, "server.grpc_listen_port"));
        set("querier.frontend_worker.frontend_address", frontend);
    }
    set("storage.trace.wal.version", text(written, "storage.trace.block.version"));
    filled
}

fn put(node: &mut Node, keys: &[&str], value: Value) {
    let (Value::Map(map), Some((first, rest))) = (&mut node.value, keys.split_first()) else {
        node.value = value;
        return;
    };
    match map.get_mut(first) {
        Some(below) => put(below, rest, value),
        None => {
            let key = Key { name: (*first).to_owned(), mark: Mark::nowhere() };
            map.insert(key, Node::new(value, Mark::nowhere()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lean(blue: &str, green: &str, version: Option<&str>) -> (usize, usize) {
        let read = |text| parse(text, "t").expect("YAML");
        let version = version.map(|text| text.parse().expect("a version"));
        let (blue, green) = without(&read(blue), &read(green), [version; 2]);
        let count = |node: &Node| node.as_map().map_or(0, crossfade_yaml::Map::len);
        (count(&blue), count(&green))
    }

    const WRITTEN: &str = "server: {grpc_listen_port: 1}\nquerier: {max_concurrent_queries: 20}";
    const SERVED: &str = "server: {grpc_listen_port: 1, log_format: logfmt}\ncache: {caches: []}\n\
        querier: {max_concurrent_queries: 20, frontend_worker: {frontend_address: '127.0.0.1:1', id: here}}\n\
        distributor: {ring: {instance_id: here, instance_addr: 127.0.0.1}}";

    #[test]
    fn what_is_filled_in_is_taken_out() {
        assert_eq!(lean(WRITTEN, SERVED, None), (2, 2));
        assert_eq!(lean(SERVED, WRITTEN, Some("2.8.1")), (2, 2));
        let elsewhere = SERVED.replace("port: 1", "port: 2").replace("127.0.0.1:1", "127.0.0.1:2");
        assert_eq!(lean(WRITTEN, &elsewhere, None), (2, 2));
    }

    #[test]
    fn what_is_not_stays() {
        let otherwise = SERVED.replace("log_format: logfmt", "log_format: json");
        assert_eq!(lean(WRITTEN, &otherwise.replace("caches: []", "caches: [{}]"), None), (2, 3));
        let elsewhere = SERVED.replace("instance_addr: 127.0.0.1", "instance_addr: 10.0.0.1");
        assert_eq!(lean(WRITTEN, &elsewhere, None), (2, 3));
        // Nobody says that it is its own program.
        assert_eq!(lean(&format!("target: querier\n{WRITTEN}"), SERVED, None), (3, 3));
        // What one that says everything does not say is zero, and not what it is elsewhere.
        let all = format!("{SERVED}\n{}", super::SERVED.map(|key| format!("{key}: {{}}")).join("\n"));
        let search =
            |value: &str| format!("{WRITTEN}\nquery_frontend: {{search: {{query_backend_after: {value}}}}}");
        assert_eq!((lean(&search("0s"), &all, None).0, lean(&search("15m"), &all, None).0), (2, 3));
        // What an older one fills in is not known.
        assert_eq!(lean(WRITTEN, SERVED, Some("2.6.0")), (2, 4));
    }
}
