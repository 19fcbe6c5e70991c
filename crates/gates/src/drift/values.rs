//! When two values are the same although they are written differently.

use crossfade_yaml::{Duration, Node, Size, Value};

use super::ids::{Id, Section};
use super::path::Path;
use super::references;
use super::report::Why;
use super::secret::is_hidden;

/// Lists whose order means nothing.
const SETS: [&str; 36] = [
    "receivers",
    "exporters",
    "extensions",
    "allowed_origins",
    "allowed_headers",
    "exposed_headers",
    "metadata_keys",
    "brokers",
    "server_urls",
    "hostnames",
    "allowed_keys",
    "ignored_keys",
    "blocked_key_patterns",
    "blocked_values",
    "allowed_values",
    "exclude_dimensions",
    "compression_algorithms",
    "cipher_suites",
    "audience",
    "targets",
    "fs_types",
    "mount_points",
    "span_kinds",
    "status_codes",
    "span_names",
    "services",
    "metadata",
    // Conditions of the filter processor: one that holds is enough.
    "span",
    "spanevent",
    "metric",
    "datapoint",
    "log_record",
    // Lists of named things that stand side by side.
    "policies",
    "scrape_configs",
    "dimensions",
    "span_event_conditions",
];

/// Longer sets are compared in order: looking for each item among all others costs the square.
const SET_MAX: usize = 2_000;

/// Keys whose values are data, not settings: `1s` and `1000ms` are two things there.
const DATA: [&str; 8] =
    ["value", "values", "default", "default_value", "key", "name", "pattern", "attributes"];

/// How two values at one place compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Same {
    /// Written alike, up to quotes.
    Yes,
    /// Meant alike.
    Because(Why),
    No,
}

/// Whether a list under this key is a set.
pub(crate) fn is_set(path: &Path) -> bool {
    // Values of which one has to be there, in policies of tail sampling.
    let any = matches!(path.keys().as_slice(), [.., "string_attribute" | "trace_state", "values"]);
    any || SETS.contains(&path.last_key())
}

/// Compares two present values at `path`.
pub(crate) fn same(path: &Path, blue: &Node, green: &Node) -> Same {
    match (&blue.value, &green.value) {
        (Value::List(b), Value::List(g)) => same_lists(path, b, g),
        (Value::Map(b), Value::Map(g)) => {
            let all = b.len() == g.len()
                && b.iter()
                    .all(|(k, v)| g.get(&k.name).is_some_and(|o| same(&path.key(&k.name), v, o) != Same::No));
            if all { exact(blue == green) } else { Same::No }
        }
        (Value::Float(b), Value::Float(g)) if b.is_nan() && g.is_nan() => Same::Yes,
        _ if blue == green => Same::Yes,
        _ => same_scalars(path, blue, green),
    }
}

fn exact(equal: bool) -> Same {
    if equal { Same::Yes } else { Same::Because(Why::Unit) }
}

fn same_lists(path: &Path, blue: &[Node], green: &[Node]) -> Same {
    if blue.len() != green.len() {
        return Same::No;
    }
    if blue.iter().zip(green).all(|(b, g)| same(path, b, g) != Same::No) {
        return exact(blue == green);
    }
    if !is_set(path) || blue.len() > SET_MAX {
        return Same::No;
    }
    let mut left: Vec<&Node> = green.iter().collect();
    for b in blue {
        let Some(at) = left.iter().position(|g| same(path, b, g) != Same::No) else { return Same::No };
        left.swap_remove(at);
    }
    Same::Because(Why::Order)
}

fn same_scalars(path: &Path, blue: &Node, green: &Node) -> Same {
    #[allow(
        clippy::cast_precision_loss,
        reason = "only numbers that a float holds exactly can be equal to one"
    )]
    let number = |n: &Node| match n.value {
        Value::Int(i) => Some(i as f64),
        Value::Float(x) => Some(x),
        _ => None,
    };
    if let (Some(b), Some(g)) = (number(blue), number(green)) {
        // 0 leaves it to gRPC, which takes 4 MiB.
        let size = |mib: f64| if mib == 0.0 { 4.0 } else { mib };
        if path.last_key() == "max_recv_msg_size_mib" && b != g && size(b) == size(g) {
            return Same::Because(Why::Default);
        }
        let mixed = matches!(blue.value, Value::Int(_)) != matches!(green.value, Value::Int(_));
        return if mixed && b == g { Same::Because(Why::Unit) } else { Same::No };
    }
    let (Some(b), Some(g)) = (text(blue), text(green)) else { return Same::No };
    if references::canonical(&b) == references::canonical(&g)
        && blue.as_str().is_some()
        && green.as_str().is_some()
    {
        return Same::Because(Why::Alias);
    }
    if DATA.contains(&path.last_key()) || is_hidden(path) {
        return Same::No;
    }
    if duration(blue, &b).zip(duration(green, &g)).is_some_and(|(b, g)| b == g)
        || size(&b).zip(size(&g)).is_some_and(|(b, g)| b == g)
    {
        return Same::Because(Why::Unit);
    }
    let alias = (matches!(path.last_key(), "level" | "verbosity") && b.eq_ignore_ascii_case(&g))
        || (names_extension(path) && Id::read(Section::Extensions, &b) == Id::read(Section::Extensions, &g));
    if alias { Same::Because(Why::Alias) } else { Same::No }
}

/// Fields that name a component of service.extensions.
pub(crate) fn names_extension(path: &Path) -> bool {
    let keys = path.keys();
    matches!(keys.as_slice(), [.., "auth", "authenticator"] | [.., "sending_queue", "storage"] | ["storage"])
}

fn text(node: &Node) -> Option<String> {
    match node.value {
        Value::String(_) | Value::Int(_) => node.scalar_text(),
        _ => None,
    }
}

/// A number alone is no duration, except zero, which needs no unit.
fn duration(node: &Node, text: &str) -> Option<Duration> {
    match node.value {
        Value::Int(0) => Some(Duration::default()),
        Value::String(_) => text.parse().ok(),
        _ => None,
    }
}

/// A text with a unit.
fn size(text: &str) -> Option<Size> {
    if text.ends_with('B') { text.parse().ok() } else { None }
}
