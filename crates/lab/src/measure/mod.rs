//! What a rollout did to the traces: the record of what was sent, held against what the two environments stored.
//!
//! | word | how it is found |
//! |---|---|
//! | whole | every span of the trace that was sent is in that environment's store, as it was sent: same ids, and the same fingerprint of span, scope and resource |
//! | owner | `colour(u, R)` by the committed cuts, `R` being the true start of the root; after a rollback the former active owns every trace |
//! | torn | not whole in its owner, read from the owner's store alone |
//! | lost | a span that neither store has as it was sent, whatever its sender was told |
//! | straddling | the true window of the trace, from its root's start to its last span's end, contains a cut |
//! | green-owned | the candidate owns it by the cuts: the root started after the cut and, in a rollback, before the verdict |
//! | untrusted | the span's shown end does not lie within `skew - gamma` before its arrival. The arrival lies between its being sent and its being stored; a span counts if either would make it untrusted |
//! | green share | of the spans that started outside every window, how many the candidate stored, by the weight of the time |
//!
//! *The split by request* is what a proxy in front of both environments does: each export goes, whole, to the candidate
//! with the probability of the weight at the time, else to the active one. The draws are seeded, the requests are the
//! same ones, and nothing is lost. A trace's owner there is the environment that its root's request went to. This is the
//! kindest choice: each span is in one environment only, so a trace that is whole anywhere is whole there, and any other
//! choice of owner finds at least as many torn.
//!
//! *Windows* are measured on the starts of spans, as their hosts showed them, because that is what the rule decides by:
//! around a cut from the announcement (or `cut - skew`, if that is earlier) to `cut + overlap + 2 skew`. A mirror and a
//! rollback take effect on arrival, so what may have been under way at that moment is left out: spans of which the
//! moment lies between their start less `skew` and their end plus `skew`.

mod facts;
mod findings;
#[cfg(test)]
mod routed;
mod split;
mod summary;
#[cfg(test)]
mod tests;

pub use facts::{AnnouncedCut, RolloutFacts};
pub use findings::{Expected, Found, Must, Source};
pub use summary::{Cause, Flaw, GreenShare, LogFacts, Outcome, Summary};

use crate::environment::{Held, SpanId, Store};
use crate::traffic::{Record, SentSpan, SentTrace};
use crossfade_routing::{TraceId, UnixNanos, Weight, fraction};
use std::collections::BTreeMap;

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measurement {
    /// Traces that were sent.
    pub traces: u64,
    /// Spans that were sent.
    pub spans_sent: u64,
    /// Spans that neither environment has.
    pub spans_lost: u64,
    /// Traces that the candidate owned by the cuts.
    pub green_owned: u64,
    /// Traces that were under way at a cut.
    pub straddling: u64,
    /// Traces that are not whole in their owner.
    pub torn: u64,
    /// What a split by request would have torn.
    pub torn_by_request_split: u64,
    /// Spans whose clock could not be trusted.
    pub spans_untrusted: u64,
    /// The candidate's share of the spans, by weight, outside the windows.
    pub green_share: Vec<(Weight, Ratio)>,
    /// Traces that are whole in the former active's store alone: what a rollback leaves.
    pub whole_in_active: u64,
    /// What a split by request would have left whole in the former active.
    pub whole_in_active_by_request_split: u64,
    /// Some of the torn traces, and of those with lost spans.
    pub examples: Vec<TraceId>,
}

/// How many of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ratio {
    /// How many.
    pub part: u64,
    /// Of how many.
    pub whole: u64,
}

impl Ratio {
    /// 0 of 0 is 0.
    pub fn value(self) -> f64 {
        if self.whole == 0 { 0.0 } else { self.part as f64 / self.whole as f64 }
    }
}

const EXAMPLES_MAX: usize = 10;

/// Measures one finished run: nothing may still be on its way.
pub fn measure(record: &Record, facts: &RolloutFacts, active: &Store, candidate: &Store) -> Measurement {
    let split = split::RequestSplit::new(record, facts);
    let mut found = Measurement { traces: record.traces.len() as u64, ..Measurement::default() };
    let mut shares = BTreeMap::new();
    for (id, trace) in &record.traces {
        let in_active = active.held(id);
        let in_candidate = candidate.held(id);
        let colour_is_green = facts.weight_at(trace.root_start).contains(fraction(facts.seed, id));
        let owner = if colour_is_green && facts.verdict.is_none() { &in_candidate } else { &in_active };
        let is_torn = !is_whole(trace, owner);
        let mut lost = 0;
        for span in &trace.spans {
            let copies = [&in_active, &in_candidate].map(|held| intact(span, held));
            lost += u64::from(copies == [None, None]);
            let stored_at = copies.into_iter().flatten().map(|held| held.received_at).min();
            found.spans_untrusted += u64::from(facts.distrusts(record, span, stored_at));
            if let Some(weight) = facts.weight_outside_windows(record, span) {
                let share: &mut Ratio = shares.entry(weight).or_default();
                share.part += u64::from(copies[1].is_some());
                share.whole += 1;
            }
        }
        found.spans_sent += trace.spans.len() as u64;
        found.spans_lost += lost;
        found.green_owned += u64::from(colour_is_green);
        found.straddling += u64::from(facts.cuts.iter().any(|cut| straddles(trace, cut.cut.at)));
        found.torn += u64::from(is_torn);
        found.torn_by_request_split += u64::from(split.tears(trace));
        found.whole_in_active += u64::from(is_whole(trace, &in_active));
        found.whole_in_active_by_request_split += u64::from(split.is_whole_in_active(trace));
        if (is_torn || lost > 0) && found.examples.len() < EXAMPLES_MAX {
            found.examples.push(*id);
        }
    }
    found.green_share = shares.into_iter().collect();
    found
}

/// The span as it was sent, if the store has it so.
fn intact(span: &SentSpan, held: &BTreeMap<SpanId, Held>) -> Option<Held> {
    held.get(&span.id).filter(|held| held.digest == span.digest).copied()
}

fn is_whole(trace: &SentTrace, held: &BTreeMap<SpanId, Held>) -> bool {
    trace.spans.iter().all(|span| intact(span, held).is_some())
}

fn straddles(trace: &SentTrace, cut: UnixNanos) -> bool {
    (trace.root_start..=trace.end()).contains(&cut)
}

impl RolloutFacts {
    /// The weight that owns a trace whose root starts then; none from the verdict on.
    pub(crate) fn weight_at(&self, time: UnixNanos) -> Weight {
        if self.verdict.is_some_and(|verdict| time >= verdict) {
            return Weight::ZERO;
        }
        let last = self.cuts.iter().rev().find(|cut| cut.cut.at <= time);
        last.map_or(Weight::ZERO, |cut| cut.cut.weight)
    }

    /// What share of such spans the candidate should receive; `None` inside a window.
    fn weight_outside_windows(&self, record: &Record, span: &SentSpan) -> Option<Weight> {
        let (start, end) = (record.reported_start(span), record.reported_end(span));
        let skew = self.window.skew();
        let around = |AnnouncedCut { announced, cut }: &AnnouncedCut| {
            ((*announced).min(cut.at.minus(skew))..=cut.at.plus(self.window.width())).contains(&start)
        };
        let under_way = start.minus(skew)..=end.plus(skew);
        let mut on_arrival = self.mirror.iter().map(|(since, _)| since).chain(&self.verdict);
        if self.cuts.iter().any(around) || on_arrival.any(|at| under_way.contains(at)) {
            return None;
        }
        let is_mirrored =
            |since: UnixNanos| since <= start && self.verdict.is_none_or(|verdict| start < verdict);
        let mirrored = self.mirror.filter(|(since, _)| is_mirrored(*since));
        Some(self.weight_at(start).max(mirrored.map_or(Weight::ZERO, |(_, share)| share)))
    }

    /// The rule's test, `0 <= a - e <= skew - gamma`, for the earliest and the latest arrival that can have been.
    fn distrusts(&self, record: &Record, span: &SentSpan, stored_at: Option<UnixNanos>) -> bool {
        let end = record.reported_end(span);
        let sent_at = record.requests[span.request].sent_at;
        let latest = stored_at.unwrap_or(sent_at);
        sent_at < end || latest > end.plus(self.window.skew() - self.window.gamma())
    }
}
