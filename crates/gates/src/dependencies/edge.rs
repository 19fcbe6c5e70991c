//! Calls of one service to one peer, from all of its operations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::coverage::{list, matches};
use crate::inventory::{Inventory, Latency, Peer, Seen};

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
    for call in inventory.calls.iter().filter(|call| !call.service.starts_with("crossfade-")) {
        let edge = edges.entry((&call.service, &call.peer)).or_insert_with(|| Edge {
            service: call.service.clone(),
            peer: call.peer.clone(),
            seen: call.seen.clone(),
            ..Edge::default()
        });
        edge.operations.insert(call.operation.clone());
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

    /// Whether both call the same.
    pub(crate) fn is_same(&self, other: &Edge) -> bool {
        let (one, other) = (&self.peer, &other.peer);
        let host = |peer: &Peer| peer.host().map(str::to_ascii_lowercase);
        one.protocol == other.protocol && host(one) == host(other) && one.name == other.name
    }

    /// Whether a test's call stands for this live one.
    pub(crate) fn is_counterpart(&self, test: &Edge) -> bool {
        let named = test.peer.name.is_some() && self.peer.name == test.peer.name;
        self.service == test.service
            && self.peer.protocol == test.peer.protocol
            && self.peer.system == test.peer.system
            && (named || !self.operations.is_disjoint(&test.operations))
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

/// The machine itself, and names that simulators have.
const SIMULATED: [&str; 20] = [
    "localhost",
    "*.localhost",
    "127.*",
    "::1",
    "0.0.0.0",
    "host.docker.internal",
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

/// Why a peer is taken for a simulator, if it is.
pub(crate) fn is_simulated(edge: &Edge, declared: &[String]) -> Option<String> {
    if let Some(mark) = &edge.mock_mark {
        return Some(format!("its answers carry `{mark}`"));
    }
    let names = [edge.peer.host(), edge.peer.name.as_deref()];
    for name in names.into_iter().flatten().map(str::to_ascii_lowercase) {
        if let Some(pattern) = declared.iter().find(|pattern| matches(&pattern.to_ascii_lowercase(), &name)) {
            return Some(format!("declared: `{pattern}`"));
        }
        if let Some(pattern) = SIMULATED.iter().find(|pattern| matches(pattern, &name)) {
            return Some(format!("by its name: `{pattern}`"));
        }
    }
    None
}
