//! One trace, as two environments keep it: what differs.
//!
//! What every store may do to a trace without changing what it says is *no* difference. This is the whole list; anything else is one.
//!
//! | no difference | why |
//! |---|---|
//! | order of spans, attributes, events, links | OTLP gives them none |
//! | the same span twice, word for word | an exporter sends a request again when no answer came; counted, since what is always stored twice is no such case |
//! | a list, map or bytes on one side, their JSON or base64 text on the other | stores without these types keep them so |
//! | from Jaeger: nanoseconds cut to whole microseconds (the end by one more, since such stores keep start and length) | Jaeger's older storages |
//! | the parent listed among the links of one side | Jaeger's older storages keep references only |
//! | from Jaeger: the attributes `@jaeger@format`, `@jaeger@warnings`, `internal.span.format`; `otel.scope.name`, `otel.scope.version`, `otel.library.*`, `span.kind`, `otel.status_code`, `otel.status_description`, `w3c.tracestate`; `error` where the status says so; an event's `event` | Jaeger notes there how spans came in, and what its older model has no field for |
//! | from Jaeger: a scope's attribute among the span's, as `otel.scope.attributes.…` or `otel.scope.…` | likewise; it is compared with the other side's |
//! | from Jaeger: a missing or empty `service.name` that reads `missing-service-name` or `empty-service-name` | Jaeger's sanitizers |
//! | from Tempo: another id for one of the spans that share one on the other side, and for the parent of its children; the other one as its own parent | Tempo tells Zipkin's shared ids apart when it answers |
//! | from Tempo: span flags 0 | Tempo has them until it writes a block, and not in it |
//! | from Jaeger: span flags 0, if no span of that side has any in all traces compared | some of Jaeger's storages have no room for them; told, since others do |
//! | from Jaeger: times of all spans of one host moved alike, into the time of the caller's span | Jaeger adjusts clocks unless it is asked for raw traces; counted, since raw traces are asked for |
//!
//! Values of spans are not shown, and not kept: differences name types, lengths and distances. Names are: of services, operations,
//! attributes and events. Where it is a name that differs, one side may hold a value that the other has masked (`GET /users/alice`), so
//! neither is shown; nor are names of events that look like no name.
//!
//! A trace that is larger than [`too_large`] allows is not compared: an answer may be of any size, and nobody waits for it.
//!
//! | module | holds |
//! |---|---|
//! | `pairing` | which span of one side is which of the other |
//! | `span` | two spans, field by field |
//! | `clock` | clocks that a store adjusted |
//! | `flags` | span flags that one side does not have |
//! | [`groups`] | many differences, by kind, service and operation |

mod clock;
pub(crate) mod flags;
pub mod groups;
mod pairing;
mod span;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use span::same_value;

use crate::model::{Span, SpanId};
use crate::words::counted;

/// What keeps an environment's traces, as far as it matters for what it adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Jaeger, any storage.
    Jaeger,
    /// Tempo.
    Tempo,
}

/// How to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What keeps the active's traces.
    pub active: Store,
    /// What keeps the candidate's.
    pub candidate: Store,
    /// Attribute keys of which differences are declared: not compared, wherever they stand. A `*` at the end stands for any rest.
    pub ignore: Vec<String>,
}

/// The kind of a difference. The order is that of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// Nothing of a trace is in the candidate.
    TraceMissing,
    /// Nothing of a trace is in the active.
    TraceExtra,
    /// A span's parent is in the trace on the active's side only, and it belongs to another service.
    TraceBroken,
    /// The candidate lacks a span.
    SpanMissing,
    /// The candidate has a span too many.
    SpanExtra,
    /// The candidate lacks an attribute of a span, event or link.
    AttributeMissing,
    /// The candidate has the beginning of an attribute's text.
    AttributeCut,
    /// An attribute's value or type differs.
    AttributeChanged,
    /// The candidate has an attribute more.
    AttributeAdded,
    /// The candidate lacks an event.
    EventMissing,
    /// The candidate has an event more.
    EventExtra,
    /// The candidate lacks a link.
    LinkMissing,
    /// The candidate has a link more.
    LinkExtra,
    /// Another status, or message.
    Status,
    /// Another operation.
    Name,
    /// Another kind.
    Kind,
    /// Another parent.
    Parent,
    /// Another start or end.
    Times,
    /// An attribute of the resource is missing, added, cut or changed.
    Resource,
    /// Another instrumentation scope.
    Scope,
    /// Another trace state.
    TraceState,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its kind.
    pub what: What,
    /// The service whose span it is.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// The field, where a kind has several: an attribute's key, `start`.
    pub field: String,
    /// The span; none if the whole trace differs.
    pub span: Option<SpanId>,
    /// What the active has, in words that hold no value.
    pub active: String,
    /// What the candidate has, likewise.
    pub candidate: String,
}

/// What a comparison of one trace gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The differences.
    pub differences: Vec<Difference>,
    /// Spans whose clock one side has adjusted.
    pub clock_adjusted: u32,
    /// Copies of spans, word for word: how many one side or the other keeps.
    pub repeated: u32,
    /// Whether the candidate keeps more copies than the active.
    pub is_doubled: bool,
    /// Whether any span has flags, in the active and in the candidate.
    pub has_flags: [bool; 2],
    /// A span whose flags are 0 in the active, and one whose flags are in the candidate: differences, if its store keeps flags.
    pub cleared_flags: [Option<Difference>; 2],
}

/// Compares what the active has of a trace with what the candidate has.
pub fn compare(active: &[Span], candidate: &[Span], rules: &Rules) -> Compared {
    let mut out = Compared::default();
    match (active.is_empty(), candidate.is_empty()) {
        (true, true) => return out,
        (false, true) => out.differences.push(whole(What::TraceMissing, active)),
        (true, false) => out.differences.push(whole(What::TraceExtra, candidate)),
        (false, false) => {
            out.has_flags = [active, candidate].map(|side| side.iter().any(|span| span.flags != 0));
            let pairing = pairing::pair(active, candidate, rules);
            let [before, now] = pairing.repeated;
            (out.repeated, out.is_doubled) = (before.saturating_add(now), now > before);
            let adjusted = clock::adjusted(&pairing.pairs, rules);
            out.clock_adjusted = u32::try_from(adjusted.len()).unwrap_or(u32::MAX);
            for (mine, theirs) in &pairing.pairs {
                let is_adjusted = adjusted.contains(&mine.span_id);
                span::compare(mine, theirs, rules, &pairing, is_adjusted, &mut out.differences);
                span::flags(mine, theirs, rules, &mut out);
            }
            out.differences
                .extend(pairing.missing.iter().map(|s| about(What::SpanMissing, s, "a span", "none")));
            out.differences.extend(pairing.extra.iter().map(|s| about(What::SpanExtra, s, "none", "a span")));
            broken(active, candidate, &pairing.pairs, &mut out.differences);
        }
    }
    out
}

/// Spans of a trace, and their events and links, at most.
const TRACE_MAX: [usize; 2] = [50_000, 200_000];
/// Events and links of one span at most.
const SPAN_MAX: usize = 1_000;

/// Why a trace is too large to be compared, if it is.
pub fn too_large(spans: &[Span]) -> Option<String> {
    let [spans_max, parts_max] = TRACE_MAX;
    let parts = |span: &Span| span.events.len() + span.links.len();
    if spans.len() > spans_max {
        return Some(format!("it has {} spans, and up to {spans_max} are compared", spans.len()));
    }
    let most = spans.iter().map(parts).max().unwrap_or(0);
    if most > SPAN_MAX {
        return Some(format!(
            "one of its spans has {most} events and links, and up to {SPAN_MAX} are compared"
        ));
    }
    let all: usize = spans.iter().map(parts).sum();
    (all > parts_max).then(|| format!("it has {all} events and links, and up to {parts_max} are compared"))
}

/// The operation of two spans of one id: not shown if they call it otherwise, since one of the names may hold a value.
fn operation(mine: &Span, theirs: &Span) -> String {
    if mine.name == theirs.name { mine.name.clone() } else { span::length(&mine.name) }
}

/// A difference of a span.
fn about(what: What, span: &Span, active: &str, candidate: &str) -> Difference {
    Difference {
        what,
        service: span.service().to_owned(),
        operation: span.name.clone(),
        field: String::new(),
        span: Some(span.span_id),
        active: active.to_owned(),
        candidate: candidate.to_owned(),
    }
}

/// A difference of a whole trace, named by its root; by its earliest span if the root is not there.
fn whole(what: What, spans: &[Span]) -> Difference {
    let count = counted(spans.len() as u64, "span", "spans");
    let (active, candidate) =
        if what == What::TraceMissing { (&*count, "nothing") } else { ("nothing", &*count) };
    let root = spans.iter().min_by_key(|s| (s.parent.is_some(), s.start));
    let root = root.expect("the caller gives at least one span");
    Difference { span: None, ..about(what, root, active, candidate) }
}

/// Where the trace breaks between two services: the called span is there, and no longer below its caller's.
fn broken(active: &[Span], candidate: &[Span], pairs: &[(&Span, &Span)], out: &mut Vec<Difference>) {
    let there: BTreeSet<SpanId> = candidate.iter().map(|s| s.span_id).collect();
    let mut callers: BTreeMap<SpanId, &Span> = BTreeMap::new();
    for span in active {
        callers.entry(span.span_id).or_insert(span);
    }
    for (mine, theirs) in pairs {
        let Some(caller) = mine.parent.and_then(|id| callers.get(&id)) else { continue };
        let seen = match theirs.parent {
            None => "a root",
            Some(parent) if !there.contains(&parent) => "no parent in the trace",
            Some(_) => continue,
        };
        if caller.service() != mine.service() {
            let field = format!("{} -> {}", caller.service(), mine.service());
            let operation = operation(mine, theirs);
            let expected = "below its caller's span";
            out.push(Difference { field, operation, ..about(What::TraceBroken, mine, expected, seen) });
        }
    }
}

impl Rules {
    /// Between two stores, with nothing declared.
    pub const fn between(active: Store, candidate: Store) -> Self {
        Self { active, candidate, ignore: Vec::new() }
    }

    fn ignores(&self, key: &str) -> bool {
        self.ignore.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => key == wanted,
        })
    }

    fn has_jaeger(&self) -> bool {
        self.active == Store::Jaeger || self.candidate == Store::Jaeger
    }

    fn has_tempo(&self) -> bool {
        self.active == Store::Tempo || self.candidate == Store::Tempo
    }
}
