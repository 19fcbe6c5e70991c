//! What traces hold, without what they say: services, operations, kinds, attribute keys, call edges, and whom they call outside.
//!
//! The same inventory is taken of what clients *sent* (by the gateway's tap) and of what an environment *recorded* (by its
//! query API), so that the two can be held against each other. Of attributes it keeps the keys; values only of those that
//! name an outside service: hosts, databases, queues. Everything in it is bounded, and what is left out for that is counted.
//!
//! The unit is the trace: spans of one trace come together, and counting each of them would make one slow loop look like a
//! thousand witnesses.
//!
//! | module | holds |
//! |---|---|
//! | `sight` | [`Sight`]: what is looked at of a span |
//! | `peer` | [`Peer`]: whom a span calls, by semantic conventions old and new |
//! | `note` | one trace, entered |
//! | `latency` | [`Latency`]: durations in buckets |
//! | `text` | 64-bit numbers in JSON |

mod latency;
mod note;
mod peer;
mod sight;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::TraceId;

pub use self::latency::Latency;
pub use self::peer::{Peer, Protocol, mock_mark};
pub use self::sight::{Names, Outline, Sight};

/// Most services, and most of everything else below one.
pub mod limits {
    /// Services.
    pub const SERVICES: usize = 500;
    /// Operations of one service.
    pub const OPERATIONS: usize = 300;
    /// Attribute keys of one service.
    pub const KEYS: usize = 300;
    /// Services that call one service.
    pub const CALLERS: usize = 100;
    /// Operations of one caller by which it calls.
    pub const VIA: usize = 16;
    /// Outside calls: service, operation and peer.
    pub const CALLS: usize = 2_000;
    /// Operations of one service that call one peer; others are counted together, without a name.
    pub const CALL_OPERATIONS: usize = 32;
    /// Minutes for which a service's traces, and spans that come by, are counted.
    pub const MINUTES: usize = 120;
    /// Ids of traces that are kept for one minute.
    pub const RECENT: usize = 64;
    /// Bytes of a name.
    pub const NAME_BYTES: usize = 256;
}

/// See the module's description.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// 1.
    pub schema_version: u32,
    /// Traces that are in it.
    pub traces: u32,
    /// Spans that are in it.
    pub spans: u32,
    /// By `service.name`.
    pub services: BTreeMap<String, Service>,
    /// Calls to others, by clients, producers and consumers.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// What did not fit.
    #[serde(default)]
    pub left_out: LeftOut,
    /// Ids of some traces, by the minute of their start, chosen evenly.
    #[serde(default)]
    pub recent: BTreeMap<u64, Vec<Recent>>,
    #[serde(skip)]
    pub(crate) serial: u64,
    #[serde(skip)]
    pub(crate) index: BTreeMap<note::CallKey, usize>,
    /// Operations by which a service calls a peer.
    #[serde(skip)]
    pub(crate) peers: BTreeMap<(String, Peer), usize>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Traces with a span of it, and when.
    #[serde(flatten)]
    pub seen: Seen,
    /// Traces with a span of it, each counted for as many as it stands for: the gateway's tap looks at one in so many. Those of a search stand
    /// for themselves, and say nothing of how many there are.
    #[serde(with = "text")]
    pub estimated: u64,
    /// Whether there were more traces than were looked at.
    #[serde(default)]
    pub cut_short: bool,
    /// Span names.
    pub operations: BTreeMap<String, Seen>,
    /// Span kinds.
    pub kinds: BTreeMap<String, Seen>,
    /// Attribute keys; those of the resource as `resource.<key>`.
    pub keys: BTreeMap<String, Seen>,
    /// Other services whose spans are the parents of its own.
    pub callers: BTreeMap<String, Caller>,
    /// Traces in which a server or consumer span of it has no parent: it is where they begin.
    pub roots: Seen,
    /// Traces in which the parent of a span of it is not there.
    pub orphans: Seen,
    /// Traces in which a span of it failed.
    #[serde(default)]
    pub failed: Seen,
    /// How long its server and consumer spans took.
    #[serde(default)]
    pub took: Latency,
    /// Traces by the minute of their first span of it, in minutes since 1970.
    #[serde(default)]
    pub minutes: BTreeMap<u64, u32>,
    /// Client, producer and consumer spans that do not say whom they call, and that no other service's span answers.
    #[serde(default)]
    pub nameless_calls: u32,
}

/// In how many traces something was seen, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Traces.
    pub traces: u32,
    /// The earliest span's start, in nanoseconds since 1970.
    #[serde(with = "text", default)]
    pub first: u64,
    /// The latest span's start.
    #[serde(with = "text", default)]
    pub last: u64,
    /// The trace of the latest one.
    #[serde(with = "text::trace", default, skip_serializing_if = "Option::is_none")]
    pub example: Option<TraceId>,
    #[serde(skip)]
    pub(crate) mark: u64,
}

/// A service that calls another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Caller {
    /// Traces in which it does.
    #[serde(flatten)]
    pub seen: Seen,
    /// Its operations that were open then: the parents, and the roots of the traces as far as they are its own.
    pub via: BTreeMap<String, u32>,
}

/// Calls of one service, by one operation, to one peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Who calls.
    pub service: String,
    /// The calling span's name; empty for all those that there was no room for.
    pub operation: String,
    /// Whom.
    pub peer: Peer,
    /// Traces with such a call.
    #[serde(flatten)]
    pub seen: Seen,
    /// Calls.
    pub calls: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those with a span of another service below them: the peer records its own side.
    pub answered: u32,
    /// How long they took.
    pub latency: Latency,
    /// An attribute key that only a simulator sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mock_mark: Option<String>,
}

/// How often something did not fit, by what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// Spans of further services.
    pub services: u32,
    /// Spans of further operations.
    pub operations: u32,
    /// Attributes with further keys.
    pub keys: u32,
    /// Calls from further services.
    pub callers: u32,
    /// Calls to further peers.
    pub calls: u32,
    /// Names that were told apart no more.
    pub names: u32,
}

impl LeftOut {
    /// Whether anything was left out.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// A trace that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Its id.
    #[serde(with = "text::id")]
    pub trace_id: TraceId,
    /// Its earliest span's start, in nanoseconds since 1970.
    #[serde(with = "text")]
    pub start: u64,
    /// Spans that were seen of it.
    pub spans: u32,
    /// Services that were seen in it, by name; 8 at most.
    pub services: Vec<String>,
}

impl Inventory {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { schema_version: 1, ..Self::default() }
    }

    /// The earliest and the latest start of any span; `None` if there is none.
    pub fn range(&self) -> Option<(u64, u64)> {
        let seen = || self.services.values().map(|service| &service.seen);
        Some((seen().map(|s| s.first).min()?, seen().map(|s| s.last).max()?))
    }
}

/// What a gateway received, as its tap saw it: `GET /v1/gateway/inventory`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// 1.
    pub schema_version: u32,
    /// The gateway's name.
    pub gateway: String,
    /// Its start, by name: what was before is not in here.
    pub boot: String,
    /// When it started, in nanoseconds since 1970.
    #[serde(with = "text")]
    pub since: u64,
    /// When this was read, in nanoseconds since 1970.
    #[serde(with = "text")]
    pub now: u64,
    /// How well the tap sees.
    pub tap: TapCounts,
    /// What came by, by the minute in which it came, in minutes since 1970: the last two hours.
    #[serde(default)]
    pub passed: BTreeMap<u64, Passed>,
    /// What it saw.
    pub inventory: Inventory,
}

/// Spans that came by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// All of them.
    #[serde(with = "text")]
    pub spans: u64,
    /// Those that the tap did not see, though they were not left out by choice: shed, not readable, or too many of one trace.
    #[serde(with = "text")]
    pub unseen: u64,
}

impl Passed {
    /// Whether nearly all of them were seen, so that what was not seen was hardly there.
    pub fn is_seen(self) -> bool {
        self.unseen <= self.spans / UNSEEN_ONE_IN
    }
}

impl std::ops::AddAssign for Passed {
    fn add_assign(&mut self, more: Self) {
        self.spans = self.spans.saturating_add(more.spans);
        self.unseen = self.unseen.saturating_add(more.unseen);
    }
}

/// How well a tap sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapCounts {
    /// Whether it looks at all.
    pub enabled: bool,
    /// It looks at one trace in so many, chosen by their ids: as many as its share of a processor allows.
    pub one_in: u32,
    /// Requests that it was handed.
    #[serde(with = "text")]
    pub tapped: u64,
    /// Requests that it was not handed, or gave up, because it was behind.
    #[serde(with = "text")]
    pub shed: u64,
    /// Requests that it could not read.
    #[serde(with = "text")]
    pub unreadable: u64,
    /// Spans that it has read.
    #[serde(with = "text")]
    pub spans: u64,
    /// Spans that came by and that it has not seen, though they were not left out by choice.
    #[serde(with = "text", default)]
    pub unseen: u64,
    /// How long it was busy, in nanoseconds.
    #[serde(with = "text")]
    pub busy: u64,
}

/// One span in so many may have passed a tap unseen, that still knows what was not sent.
const UNSEEN_ONE_IN: u64 = 50;
const MINUTE_NANOS: u64 = 60_000_000_000;

impl Sent {
    /// What came by within a time, to the minute.
    pub fn passed_within(&self, from: u64, until: u64) -> Passed {
        let mut sum = Passed::default();
        for passed in self.passed.range(from / MINUTE_NANOS..=until.max(from) / MINUTE_NANOS) {
            sum += *passed.1;
        }
        sum
    }

    /// Whether the tap has seen nearly all that came since then. One that does not count by the minute has not.
    pub fn saw_nearly_all_since(&self, from: u64) -> bool {
        let is_counted = !self.passed.is_empty() || self.tap.tapped.saturating_add(self.tap.shed) == 0;
        // As many minutes as are kept: what came before has been forgotten.
        let is_kept = self.passed.len() < limits::MINUTES
            || self.passed.keys().next().is_none_or(|first| from / MINUTE_NANOS >= *first);
        self.tap.enabled && is_counted && is_kept && self.passed_within(from, self.now).is_seen()
    }
}
