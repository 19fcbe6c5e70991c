//! Which span of one side is which of the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Rules;
use crate::model::{Kind, Span, SpanId};

/// Spans of both sides, matched.
#[derive(Debug, Default)]
pub(super) struct Pairing<'a> {
    /// The active's and the candidate's.
    pub(super) pairs: Vec<(&'a Span, &'a Span)>,
    /// The active has them alone.
    pub(super) missing: Vec<&'a Span>,
    /// The candidate has them alone.
    pub(super) extra: Vec<&'a Span>,
    /// Copies that were left out, of the active's and of the candidate's.
    pub(super) repeated: [u32; 2],
    /// Ids of one side for ids of the other: Tempo's, for spans that shared one.
    pub(super) aliases: BTreeMap<SpanId, SpanId>,
}

/// Spans of one id, the first first.
type Same<'a> = VecDeque<&'a Span>;

/// A span is known by its id; where two spans share one, as those of a call may, by its kind too.
pub(super) fn pair<'a>(active: &'a [Span], candidate: &'a [Span], rules: &Rules) -> Pairing<'a> {
    let mut out = Pairing::default();
    let mine = once(active, &mut out.repeated[0]);
    let mut theirs = once(candidate, &mut out.repeated[1]);
    // Only of spans that share an id does Tempo give one another.
    let shared: BTreeSet<SpanId> =
        [&mine, &theirs].into_iter().flatten().filter(|(_, s)| s.len() > 1).map(|(id, _)| *id).collect();
    let mut alone = Vec::new();
    for (id, spans) in mine {
        let others = theirs.remove(&id).unwrap_or_default();
        let is_one = spans.len() == 1 && others.len() == 1;
        let (left, mut others) = if is_one { (spans, others) } else { alike(spans, others, &mut out) };
        // What is left may be whatever there is; but of two spans that share an id, one may have got another, and is not the other
        // one's counterpart.
        for span in left {
            let is_shared = rules.has_tempo() && out.pairs.last().is_some_and(|(s, _)| s.span_id == id);
            match if is_shared { None } else { others.pop_front() } {
                Some(other) => out.pairs.push((span, other)),
                None => alone.push(span),
            }
        }
        if !others.is_empty() {
            theirs.insert(id, others);
        }
    }
    out.rest(alone, theirs.into_values().flatten().collect(), &shared, rules);
    out
}

/// Pairs those that are word for word alike, then those of one kind. Gives back who is left on both sides.
fn alike<'a>(mine: Same<'a>, theirs: Same<'a>, out: &mut Pairing<'a>) -> (Same<'a>, Same<'a>) {
    let by_words = matched(mine, theirs, |span| format!("{span:?}"), out);
    matched(by_words.0, by_words.1, |span| span.kind, out)
}

fn matched<'a, K: Ord>(
    mine: Same<'a>,
    theirs: Same<'a>,
    key: impl Fn(&Span) -> K,
    out: &mut Pairing<'a>,
) -> (Same<'a>, Same<'a>) {
    let mut by_key: BTreeMap<K, Same<'a>> = BTreeMap::new();
    for other in theirs {
        by_key.entry(key(other)).or_default().push_back(other);
    }
    let mut left = Same::new();
    for span in mine {
        match by_key.get_mut(&key(span)).and_then(VecDeque::pop_front) {
            Some(other) => out.pairs.push((span, other)),
            None => left.push_back(span),
        }
    }
    (left, by_key.into_values().flatten().collect())
}

impl<'a> Pairing<'a> {
    /// What has no counterpart of its id: Tempo's other ids, and what is missing.
    fn rest(&mut self, alone: Vec<&'a Span>, rest: Vec<&'a Span>, shared: &BTreeSet<SpanId>, rules: &Rules) {
        type Likeness<'s> = (Kind, u64, &'s str, &'s str);
        fn likeness(span: &Span) -> Likeness<'_> {
            (span.kind, span.start, &span.name, span.service())
        }
        let mut by_likeness: BTreeMap<Likeness<'a>, Same<'a>> = BTreeMap::new();
        for other in rest {
            by_likeness.entry(likeness(other)).or_default().push_back(other);
        }
        for span in alone {
            let same = by_likeness.get_mut(&likeness(span)).filter(|_| rules.has_tempo());
            let at = same.as_ref().and_then(|same| {
                same.iter().position(|o| shared.contains(&span.span_id) || shared.contains(&o.span_id))
            });
            match same.zip(at).and_then(|(same, at)| same.remove(at)) {
                Some(other) => {
                    self.aliases.insert(other.span_id, span.span_id);
                    self.pairs.push((span, other));
                }
                None => self.missing.push(span),
            }
        }
        self.extra = by_likeness.into_values().flatten().collect();
        self.extra.sort_by_key(|span| span.span_id);
    }
}

/// By id, each copy once. What is not a number is equal to itself here: copies are told by their words.
fn once<'a>(spans: &'a [Span], repeated: &mut u32) -> BTreeMap<SpanId, Same<'a>> {
    let mut out: BTreeMap<SpanId, Same<'a>> = BTreeMap::new();
    for span in spans {
        out.entry(span.span_id).or_default().push_back(span);
    }
    for same in out.values_mut().filter(|same| same.len() > 1) {
        let mut words = BTreeSet::new();
        let before = same.len();
        same.retain(|span| words.insert(format!("{span:?}")));
        *repeated = repeated.saturating_add(u32::try_from(before - same.len()).unwrap_or(u32::MAX));
    }
    out
}
