//! Calls between services that no longer join two spans.
//!
//! For each operation that serves (kind SERVER or CONSUMER) both sides count how often it lies below another service's span, and how often
//! below none. The active, and what it recorded before, shows how it should be. The two shares are told apart only if their
//! confidence bounds do not touch.

use std::collections::{BTreeMap, BTreeSet};

use crossfade_stats::{Confidence, upper_share};

use super::{Names, rules};
use crate::finding::{Finding, Place};
use crate::model::{Kind, Span, SpanId, TraceId};
use crate::words::{counted, percent};

/// Operations that are counted.
const OPERATIONS_MAX: usize = 2_000;
/// Callers of one operation that are counted.
const CALLERS_MAX: usize = 50;
/// Halves of requests that are kept, to show two of them.
const HALVES_MAX: usize = 4_000;
/// Findings at most.
const FINDINGS_MAX: usize = 20;
/// Both bounds together are wrong once in a thousand.
const CONFIDENCE: f64 = 0.9995;

/// Whose trace it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The active's, from before.
    Before,
    Active,
    Candidate,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Boundaries {
    operations: BTreeMap<(String, String), [Calls; 3]>,
    /// In the candidate: calls that nothing answers, and served operations that nothing calls.
    calling: Vec<Half>,
    served: Vec<Half>,
}

#[derive(Clone, Debug, Default)]
struct Calls {
    /// Below a span of another service, by its name.
    called: BTreeMap<String, u32>,
    /// Below none.
    alone: u32,
}

/// One half of a request.
#[derive(Clone, Debug)]
struct Half {
    service: String,
    operation: String,
    trace: TraceId,
    span: SpanId,
    start: u64,
    end: u64,
}

impl Boundaries {
    pub(super) fn add(&mut self, side: Side, spans: &[Span]) {
        let by_id: BTreeMap<SpanId, &Span> = spans.iter().map(|s| (s.span_id, s)).collect();
        for span in spans.iter().filter(|s| matches!(s.kind, Kind::Server | Kind::Consumer)) {
            let key = (span.service().to_owned(), span.name.clone());
            let has_room = self.operations.len() < OPERATIONS_MAX || self.operations.contains_key(&key);
            let parent = span.parent.map(|id| by_id.get(&id));
            match parent {
                Some(Some(parent)) if parent.service() == span.service() => continue,
                // A parent that is not in the trace may be a browser, or anything else that records elsewhere.
                Some(None) | None if side == Side::Candidate && self.served.len() < HALVES_MAX => {
                    self.served.push(Half::of(span));
                }
                _ => {}
            }
            if has_room {
                let calls = &mut self.operations.entry(key).or_default()[side as usize];
                match parent {
                    Some(Some(parent)) => calls.called_by(parent.service()),
                    _ => calls.alone += 1,
                }
            }
        }
        if side == Side::Candidate && self.calling.len() < HALVES_MAX {
            let parents: BTreeSet<SpanId> = spans.iter().filter_map(|s| s.parent).collect();
            let is_call = |s: &&Span| matches!(s.kind, Kind::Client | Kind::Producer);
            let unanswered = spans.iter().filter(is_call).filter(|s| !parents.contains(&s.span_id));
            self.calling.extend(unanswered.map(Half::of));
        }
    }

    /// One for each operation that is called in the active, or was before, and has lost its caller in the candidate.
    pub(super) fn findings(&self, names: &Names) -> Vec<Finding> {
        let lost = self.operations.iter().filter_map(|(key, [before, active, candidate])| {
            let reference = [active, before].into_iter().find(|reference| has_lost(reference, candidate))?;
            Some((key, reference, candidate))
        });
        lost.take(FINDINGS_MAX)
            .map(|((s, o), reference, calls)| self.finding(names, s, o, [reference, calls]))
            .collect()
    }

    fn finding(
        &self,
        names: &Names,
        service: &str,
        operation: &str,
        [active, candidate]: [&Calls; 2],
    ) -> Finding {
        let caller = active.called.iter().max_by_key(|(_, count)| **count);
        let caller = caller.map_or("", |(name, _)| name.as_str());
        let mut place =
            Place::environment(&names.candidate).component(format!("{caller} -> {service}: {operation}"));
        let mut detail = format!(
            "traces break between {caller} and {service}: `{operation}` has no caller in {} of {} in {}, {} of {} in {}",
            candidate.alone,
            counted(candidate.all(), "request", "requests"),
            names.candidate,
            active.alone,
            active.all(),
            names.active,
        );
        let mut own = self.served.iter().filter(|h| h.service == service && h.operation == operation);
        let halves = own.clone().find_map(|served| Some((served, self.caller(caller, served)?)));
        if let Some((served, calling)) = halves {
            place = place.trace(served.trace).span(served.span);
            detail = format!(
                "{detail}; trace {} goes on as {} while span {} of {caller} waits",
                calling.trace, served.trace, calling.span
            );
        } else if let Some(served) = own.next() {
            place = place.trace(served.trace).span(served.span);
        }
        let share = |calls: &Calls| {
            format!("{} of {}", percent(calls.share()), counted(calls.all(), "request", "requests"))
        };
        Finding::new(&rules::REQUEST_SPLIT)
            .at(place)
            .detail(detail)
            .expected(format!("without a caller: {}", share(active)))
            .seen(format!("without a caller: {}", share(candidate)))
    }

    /// The call that a served operation may belong to: of the caller, in another trace, around it.
    fn caller(&self, service: &str, served: &Half) -> Option<&Half> {
        self.calling.iter().find(|call| {
            call.service == service
                && call.trace != served.trace
                && call.start <= served.start
                && served.end <= call.end
        })
    }
}

/// Whether the candidate's share without a caller is surely larger.
fn has_lost(active: &Calls, candidate: &Calls) -> bool {
    let confidence = Confidence::new(CONFIDENCE).expect("it lies between 0 and 1");
    let is_called = !active.called.is_empty();
    let at_least =
        1.0 - upper_share(candidate.all() - u64::from(candidate.alone), candidate.all(), confidence);
    let at_most = upper_share(active.alone.into(), active.all(), confidence);
    is_called && candidate.alone > 0 && at_least > at_most
}

impl Calls {
    fn called_by(&mut self, service: &str) {
        let has_room = self.called.len() < CALLERS_MAX || self.called.contains_key(service);
        // Those that have no room count under a name that nobody has.
        *self.called.entry(if has_room { service } else { "" }.to_owned()).or_default() += 1;
    }

    fn all(&self) -> u64 {
        self.called.values().map(|count| u64::from(*count)).sum::<u64>() + u64::from(self.alone)
    }

    fn share(&self) -> f64 {
        f64::from(self.alone) / self.all().max(1) as f64
    }
}

impl Half {
    fn of(span: &Span) -> Self {
        Self {
            service: span.service().to_owned(),
            operation: span.name.clone(),
            trace: span.trace_id,
            span: span.span_id,
            start: span.start,
            end: span.end,
        }
    }
}
