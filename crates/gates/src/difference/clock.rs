//! Clocks that a store has adjusted: a host's spans moved alike, so that a called span lies within its caller's.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Span, SpanId};

/// The spans whose times differ for no other reason. A shift is taken for an adjustment if it is the same for every span of one
/// resource in the trace, lengths untouched, and if it brings a span that lay outside of its caller's span into it, on one side.
pub(super) fn adjusted(pairs: &[(&Span, &Span)]) -> BTreeSet<SpanId> {
    let mut by_host: BTreeMap<String, Vec<(&Span, &Span)>> = BTreeMap::new();
    if pairs.iter().all(|(a, b)| a.start == b.start) {
        return BTreeSet::new();
    }
    for (mine, theirs) in pairs {
        by_host.entry(format!("{:?}", mine.resource)).or_default().push((mine, theirs));
    }
    let mut out = BTreeSet::new();
    for host in by_host.values() {
        let shift = |(a, b): &(&Span, &Span)| b.start.wrapping_sub(a.start).cast_signed();
        let first = host.first().map_or(0, shift);
        let is_alike = host.iter().all(|pair| {
            let (a, b) = pair;
            shift(pair) == first && b.end.wrapping_sub(b.start) == a.end.wrapping_sub(a.start)
        });
        if first != 0 && is_alike && host.iter().any(|pair| moved_in(pair, pairs)) {
            out.extend(host.iter().map(|(a, _)| a.span_id));
        }
    }
    out
}

/// Whether a span lies outside of its caller's on one side, and within on the other.
fn moved_in((mine, theirs): &(&Span, &Span), pairs: &[(&Span, &Span)]) -> bool {
    let caller = pairs.iter().find(|(p, _)| Some(p.span_id) == mine.parent && p.resource != mine.resource);
    let Some((caller_mine, caller_theirs)) = caller else { return false };
    let within = |child: &Span, parent: &Span| parent.start <= child.start && child.end <= parent.end;
    within(mine, caller_mine) != within(theirs, caller_theirs)
}
