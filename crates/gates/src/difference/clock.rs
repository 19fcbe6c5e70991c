//! Clocks that a store has adjusted: a host's spans moved alike, so that a called span lies within its caller's.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rules, Store};
use crate::model::{Span, SpanId};

/// A span of the active's and the candidate's.
type Pair<'a> = (&'a Span, &'a Span);

/// The spans whose times differ for no other reason. A shift is taken for an adjustment if it is the same for every span of one
/// resource in the trace, lengths untouched, and if a span that lies outside of its caller's span on one side lies within it on the
/// other, and that one is Jaeger: no other store moves clocks, and Jaeger moves nothing out of its caller.
pub(super) fn adjusted(pairs: &[Pair<'_>], rules: &Rules) -> BTreeSet<SpanId> {
    let mut out = BTreeSet::new();
    if !rules.has_jaeger() || pairs.iter().all(|(a, b)| a.start == b.start) {
        return out;
    }
    let callers = Callers::of(pairs);
    let mut by_host: BTreeMap<String, Vec<Pair<'_>>> = BTreeMap::new();
    for (mine, theirs) in pairs {
        by_host.entry(format!("{:?}", mine.resource)).or_default().push((mine, theirs));
    }
    for host in by_host.values() {
        let shift = |(a, b): &Pair<'_>| b.start.wrapping_sub(a.start).cast_signed();
        let first = host.first().map_or(0, shift);
        let is_alike = host.iter().all(|pair| {
            let (a, b) = pair;
            shift(pair) == first && b.end.wrapping_sub(b.start) == a.end.wrapping_sub(a.start)
        });
        if first != 0 && is_alike && host.iter().any(|pair| callers.moved_in(pair, rules)) {
            out.extend(host.iter().map(|(a, _)| a.span_id));
        }
    }
    out
}

/// Of each id the first pair, and the first one that is another host's: spans may share an id.
struct Callers<'p, 'a>(BTreeMap<SpanId, (&'p Pair<'a>, Option<&'p Pair<'a>>)>);

impl<'p, 'a> Callers<'p, 'a> {
    fn of(pairs: &'p [Pair<'a>]) -> Self {
        let mut by_id: BTreeMap<SpanId, (&Pair<'_>, Option<&Pair<'_>>)> = BTreeMap::new();
        for pair in pairs {
            let (first, second) = by_id.entry(pair.0.span_id).or_insert((pair, None));
            if second.is_none() && first.0.resource != pair.0.resource {
                *second = Some(pair);
            }
        }
        Self(by_id)
    }

    /// Whether a span lies outside of its caller's on one side, and within on the other, which is Jaeger's.
    fn moved_in(&self, (mine, theirs): &Pair<'_>, rules: &Rules) -> bool {
        let Some((first, second)) = mine.parent.and_then(|id| self.0.get(&id)) else { return false };
        let caller = [Some(*first), *second].into_iter().flatten().find(|p| p.0.resource != mine.resource);
        let Some((caller_mine, caller_theirs)) = caller else { return false };
        let within = |child: &Span, parent: &Span| parent.start <= child.start && child.end <= parent.end;
        match (within(mine, caller_mine), within(theirs, caller_theirs)) {
            (true, false) => rules.active == Store::Jaeger,
            (false, true) => rules.candidate == Store::Jaeger,
            _ => false,
        }
    }
}
