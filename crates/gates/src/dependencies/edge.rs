//! Calls of one service to one peer, from all of its operations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::coverage::{list, matches};
use crate::inventory::{Inventory, Latency, Peer, Protocol, Seen};
use crate::probe::is_own;

/// See the module's description.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Edge {
    pub(crate) service: String,
    pub(crate) peer: Peer,
    /// Names of the calling spans.
    pub(crate) operations: BTreeSet<String>,
    pub(crate) seen: Seen,
    pub(crate) calls: u32,
    pub(crate) failed: u32,
    pub(crate) answered: u32,
    pub(crate) latency: Latency,
    pub(crate) mock_mark: Option<String>,
}

/// The edges of an inventory; Crossfade's own traces left out.
pub(crate) fn edges(inventory: &Inventory) -> Vec<Edge> {
    let mut edges: BTreeMap<(&str, &Peer), Edge> = BTreeMap::new();
    for call in inventory.calls.iter().filter(|call| !is_own(&call.service)) {
        let edge = edges.entry((&call.service, &call.peer)).or_insert_with(|| Edge {
            service: call.service.clone(),
            peer: call.peer.clone(),
            seen: call.seen.clone(),
            ..Edge::default()
        });
        // Calls of operations that there was no room for have no name.
        edge.operations.extend(Some(call.operation.clone()).filter(|name| !name.is_empty()));
        edge.calls = edge.calls.saturating_add(call.calls);
        edge.failed = edge.failed.saturating_add(call.failed);
        edge.answered = edge.answered.saturating_add(call.answered);
        edge.latency.add(&call.latency);
        edge.mock_mark = edge.mock_mark.take().or_else(|| call.mock_mark.clone());
    }
    edges.into_values().collect()
}

impl Edge {
    /// Whether the peer is somebody else's: it does not record its own side.
    pub(crate) fn is_outside(&self) -> bool {
        u64::from(self.answered) * 2 < u64::from(self.calls)
    }

    /// Whether both call the same, as far as they say: what has neither a host nor a name is the same only to one service.
    pub(crate) fn is_same(&self, other: &Edge) -> bool {
        let (one, two) = (&self.peer, &other.peer);
        let host = |peer: &Peer| peer.host().map(str::to_ascii_lowercase);
        let says = one.host().is_some() || one.name.is_some();
        one.protocol == two.protocol
            && agree(one.system.as_deref(), two.system.as_deref())
            && host(one) == host(two)
            && agree(one.port(), two.port())
            && one.name == two.name
            && (says || one.system.is_some() && one.system == two.system && self.service == other.service)
    }

    /// Whether both are on the machine itself, where an address says nothing of who answers.
    pub(crate) fn are_local(&self, test: &Edge) -> bool {
        [self, test].iter().all(|edge| edge.peer.host().is_some_and(is_local))
    }

    /// Whether both are at one port of the machine itself: the same program, or the same way to it. Databases and queues have one port each.
    pub(crate) fn are_one_local(&self, test: &Edge) -> bool {
        let has_own_port = matches!(self.peer.protocol, Protocol::Database | Protocol::Messaging);
        let is_one = match (self.peer.port(), test.peer.port()) {
            (Some(one), Some(other)) => one == other,
            _ => has_own_port,
        };
        self.are_local(test) && is_one
    }

    /// Whether a test's call stands for this live one: by the peer's name, or because the same operation makes it. Where that is no
    /// more than a method, as instrumentation of HTTP clients names its spans, the hosts have to have a word in common, or the
    /// test's has to be a simulator that goes by no name.
    pub(crate) fn is_counterpart(&self, test: &Edge) -> bool {
        let mut shared = self.operations.intersection(&test.operations).peekable();
        self.service == test.service
            && self.peer.protocol == test.peer.protocol
            && self.peer.system == test.peer.system
            && (self.is_named_as(test)
                || shared.peek().is_some()
                    && (shared.any(|operation| !is_method(operation)) || self.may_be(test)))
    }

    /// Whether both go by one name, whatever their addresses.
    pub(crate) fn is_named_as(&self, test: &Edge) -> bool {
        test.peer.name.is_some() && self.peer.name == test.peer.name
    }

    fn may_be(&self, test: &Edge) -> bool {
        let host = |edge: &Edge| edge.peer.host().unwrap_or_default().to_ascii_lowercase();
        let (own, theirs) = (host(self), host(test));
        let (own_words, their_words): (BTreeSet<&str>, BTreeSet<&str>) =
            (words(&own).collect(), words(&theirs).collect());
        let simulates = SIMULATED.iter().any(|pattern| matches(pattern, &theirs));
        let nameless = is_local(&theirs) || their_words.is_empty() && simulates;
        match self.peer.protocol {
            Protocol::Http => nameless || !own_words.is_disjoint(&their_words),
            Protocol::Database => self.peer.name.is_none() || test.peer.name.is_none(),
            Protocol::Rpc | Protocol::Messaging | Protocol::Other => true,
        }
    }

    pub(crate) fn operations(&self) -> String {
        list(self.operations.iter().map(String::as_str))
    }

    /// All of them together.
    pub(crate) fn sum(edges: &[&Edge]) -> Edge {
        let mut sum = Edge::default();
        for edge in edges {
            sum.calls = sum.calls.saturating_add(edge.calls);
            sum.failed = sum.failed.saturating_add(edge.failed);
            sum.latency.add(&edge.latency);
        }
        sum
    }
}

/// `intake -> http api.insurer.example`.
impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.service, self.peer)
    }
}

/// What instrumentation calls a span when it knows no more: a method of HTTP or a verb of SQL, alone.
const METHODS: [&str; 16] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY", "SELECT",
    "INSERT", "UPDATE", "MERGE", "CALL", "HTTP",
];

fn is_method(operation: &str) -> bool {
    operation.split_whitespace().all(|word| METHODS.iter().any(|method| word.eq_ignore_ascii_case(method)))
}

/// Parts of host names that tell nobody from anybody else.
const COMMON: [&str; 24] = [
    "api",
    "www",
    "web",
    "app",
    "svc",
    "service",
    "server",
    "http",
    "https",
    "com",
    "net",
    "org",
    "internal",
    "local",
    "localhost",
    "localdomain",
    "cluster",
    "example",
    "test",
    "prod",
    "stage",
    "staging",
    "sandbox",
    "localstack",
];

/// The parts of a host's name that do: no numbers, nothing short or common, and no simulator's names.
fn words(host: &str) -> impl Iterator<Item = &str> {
    let parts = host.split(|c: char| !c.is_alphanumeric());
    let tells = |part: &&str| {
        part.len() > 2
            && !part.bytes().all(|byte| byte.is_ascii_digit())
            && !COMMON.contains(part)
            && !["mock", "stub", "fake", "simulator"].iter().any(|simulator| part.contains(simulator))
    };
    parts.filter(tells)
}

/// Equal, or not said by one of them.
fn agree(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one.eq_ignore_ascii_case(other))
}

/// The machine itself.
const LOCAL: [&str; 6] = ["localhost", "*.localhost", "127.*", "::1", "0.0.0.0", "host.docker.internal"];

fn is_local(host: &str) -> bool {
    LOCAL.iter().any(|pattern| matches(pattern, &host.to_ascii_lowercase()))
}

/// Names that simulators have.
const SIMULATED: [&str; 14] = [
    "mock",
    "*-mock",
    "*-mock.*",
    "*-mock-*",
    "mock-*",
    "mock.*",
    "*.mock.*",
    "*stub*",
    "*wiremock*",
    "*mockserver*",
    "*simulator*",
    "*-fake",
    "*-fake.*",
    "fake-*",
];

/// Why a peer is surely a simulator, if it is: its answers say so, or it is declared.
pub(crate) fn is_declared(edge: &Edge, declared: &[String]) -> Option<String> {
    if let Some(mark) = &edge.mock_mark {
        return Some(format!("its answers carry `{mark}`"));
    }
    let fits = |pattern: &&String| names(edge).any(|name| matches(&pattern.to_ascii_lowercase(), &name));
    declared.iter().find(fits).map(|pattern| format!("declared: `{pattern}`"))
}

/// Why a peer is taken for a simulator, if it is; by its name, too.
pub(crate) fn is_simulated(edge: &Edge, declared: &[String]) -> Option<String> {
    let by_name = || {
        let known = || LOCAL.iter().chain(&SIMULATED);
        let pattern = names(edge).find_map(|name| known().find(|pattern| matches(pattern, &name)))?;
        Some(format!("by its name: `{pattern}`"))
    };
    is_declared(edge, declared).or_else(by_name)
}

fn names(edge: &Edge) -> impl Iterator<Item = String> {
    [edge.peer.host(), edge.peer.name.as_deref()].into_iter().flatten().map(str::to_ascii_lowercase)
}
