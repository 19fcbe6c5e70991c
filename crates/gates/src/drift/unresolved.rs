//! What nobody here can tell: parts of a configuration that are not at hand, and variables on which security hangs.
//!
//! Two references that are written alike stand for two values wherever the environments differ. For most settings a note says
//! so; who can reach a listener, and what it asks of those who do, is *unknown* until an environment file tells.

use std::collections::BTreeMap;

use crossfade_yaml::{Mark, Node, Value};

use super::address::Address;
use super::classify::{Role, Subject};
use super::out::{Out, Place};
use super::path::{Path, Segment};
use super::references::{self, Behind};
use super::rules;
use super::secret::{holds_headers, item};

/// Both sides' values at one place, as far as they hold references.
type Pairs<'n> = BTreeMap<String, (Path, Option<&'n Node>, Option<&'n Node>)>;

/// Finds what is not known of a component's settings, or of a section.
pub(crate) fn find(
    subject: Subject<'_>,
    place: &Place,
    path: &Path,
    (blue, green): (Option<&Node>, Option<&Node>),
    out: &mut Out<'_>,
) {
    let mut pairs = Pairs::new();
    for (side, root) in [blue, green].into_iter().enumerate() {
        let mut found = Vec::new();
        root.into_iter().for_each(|root| referring(path, root, &mut found));
        for (at, node) in found {
            let pair = pairs.entry(at.to_string()).or_insert((at, None, None));
            *(if side == 0 { &mut pair.1 } else { &mut pair.2 }) = Some(node);
        }
    }
    let depth = path.segments().len();
    for (at, b, g) in pairs.into_values() {
        let below = &at.segments()[depth..];
        let b = b.or_else(|| blue.and_then(|root| node_at(root, below)));
        let g = g.or_else(|| green.and_then(|root| node_at(root, below)));
        let Some(detail) = unknown(subject, &at, b, g, &|text| out.words(text)) else { continue };
        let mark = |node: Option<&Node>| node.map_or_else(Mark::nowhere, |node| node.mark.clone());
        let place = place.at(&at, &mark(b), &mark(g));
        out.finding(&rules::VALUE_UNKNOWN, &place, b, g, Some(detail));
        if !lacks(b) && !lacks(g) {
            out.last_fix("Name an `env_file` for each side that says what the variable is.".to_owned());
        }
    }
}

fn unknown(
    subject: Subject<'_>,
    at: &Path,
    blue: Option<&Node>,
    green: Option<&Node>,
    words: &dyn Fn(&str) -> String,
) -> Option<String> {
    if let (Some(blue), Some(green)) = (blue.and_then(Node::as_str), green.and_then(Node::as_str))
        && references::canonical(blue) == references::canonical(green)
        && is_secret_of_a_file(subject, at, green)
    {
        return None;
    }
    if lacks(blue) || lacks(green) {
        let texts = [blue, green].into_iter().flatten().filter_map(Node::as_str);
        let missing = texts.flat_map(references::all).find_map(|behind| match behind {
            Behind::Content(reference) => Some(reference),
            Behind::Variable(_) => None,
        })?;
        return Some(format!("{} cannot be read here, so what it holds is not compared", words(missing)));
    }
    let (blue, green) = (blue?.as_str()?, green?.as_str()?);
    let alike = references::canonical(blue) == references::canonical(green);
    let hangs = alike && hangs_on_it(subject, at, green);
    hangs.then(|| format!("{} decides it on both sides, and no env_file says what that is", words(green)))
}

/// Whether a text is a secret or a header whose missing part is in a file, as Kubernetes mounts them: each side's own, as one that a
/// variable holds. What may be a map says more than a secret does.
fn is_secret_of_a_file(subject: Subject<'_>, at: &Path, text: &str) -> bool {
    let rule = subject.rule(at);
    if !std::ptr::eq(rule, &rules::SECRET_CHANGED) && !std::ptr::eq(rule, &rules::REQUEST_HEADERS) {
        return false;
    }
    let is_whole = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
    let keys = at.keys();
    let in_headers = keys.iter().rev().skip(1).any(|key| holds_headers(key));
    let is_value = match keys.as_slice() {
        _ if !is_whole => true,
        [.., last] if holds_headers(last) => false,
        _ if in_headers => true,
        [.., "auth" | "authentication", _] | [.., "htpasswd" | "authorization" | "credentials"] => false,
        _ => matches!(at.segments().last(), Some(Segment::Key(_))),
    };
    is_value
        && references::all(text).all(|behind| match behind {
            Behind::Content(reference) => reference.starts_with("${file:") && !names_yaml(reference),
            Behind::Variable(_) => true,
        })
}

fn names_yaml(reference: &str) -> bool {
    [".yaml}", ".yml}", ".json}"].iter().any(|ending| reference.ends_with(ending))
}

fn lacks(node: Option<&Node>) -> bool {
    node.is_some_and(references::lacks_content)
}

/// Whether who comes in, and how, depends on what a text refers to. A port is each side's own.
fn hangs_on_it(subject: Subject<'_>, at: &Path, text: &str) -> bool {
    if subject.address_role(at) == Some(Role::Listener) {
        return Address::read(text).host.contains("${") && !is_pods_own(text);
    }
    let last = at.last_key();
    match subject.rule(at) {
        // Where a certificate lies decides nothing; without a `ca_file`, whoever the system trusts is trusted.
        rule if std::ptr::eq(rule, &rules::TLS_SETTINGS)
            && (matches!(last, "cert_file" | "key_file") || (last == "ca_file" && !text.ends_with('}'))) =>
        {
            false
        }
        rule if std::ptr::eq(rule, &rules::TRANSPORT_ENCRYPTION)
            || std::ptr::eq(rule, &rules::CLIENT_CERTIFICATES)
            || std::ptr::eq(rule, &rules::TLS_SETTINGS) =>
        {
            true
        }
        rule if std::ptr::eq(rule, &rules::AUTHENTICATION) => {
            matches!(last, "auth" | "authenticator" | "mechanism")
        }
        _ => false,
    }
}

/// Names by which pods are given their own address, as the OpenTelemetry Helm chart does: it can be reached in the cluster.
const POD_ADDRESSES: [&str; 3] = ["MY_POD_IP", "POD_IP", "K8S_POD_IP"];

fn is_pods_own(text: &str) -> bool {
    let host = Address::read(&references::canonical(text)).host;
    let name = host.strip_prefix("${env:").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| POD_ADDRESSES.contains(&name))
}

/// The values below `node` that hold references.
fn referring<'n>(path: &Path, node: &'n Node, found: &mut Vec<(Path, &'n Node)>) {
    match &node.value {
        Value::String(text) if references::all(text).next().is_some() => found.push((path.clone(), node)),
        Value::List(items) => {
            for (index, value) in items.iter().enumerate() {
                referring(&path.with(item(index, value)), value, found);
            }
        }
        Value::Map(map) => {
            for (key, value) in map.iter() {
                referring(&path.key(&key.name), value, found);
            }
        }
        _ => {}
    }
}

fn node_at<'n>(node: &'n Node, path: &[Segment]) -> Option<&'n Node> {
    path.iter().try_fold(node, |node, segment| match segment {
        Segment::Key(key) => node.get(key),
        Segment::Index(index) => node.as_list()?.get(*index),
        Segment::Item(_) => {
            let items = node.as_list()?;
            items
                .iter()
                .enumerate()
                .find(|(index, value)| item(*index, value) == *segment)
                .map(|(_, value)| value)
        }
    })
}
