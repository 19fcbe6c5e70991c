//! Which span of one side is which of the other.

use std::collections::BTreeMap;

use super::Rules;
use crate::model::{Span, SpanId};

/// Spans of both sides, matched.
#[derive(Debug, Default)]
pub(super) struct Pairing<'a> {
    /// The active's and the candidate's.
    pub(super) pairs: Vec<(&'a Span, &'a Span)>,
    /// The active has them alone.
    pub(super) missing: Vec<&'a Span>,
    /// The candidate has them alone.
    pub(super) extra: Vec<&'a Span>,
    /// Copies that were left out.
    pub(super) repeated: u32,
    /// Ids of one side for ids of the other: Tempo's, for spans that shared one.
    pub(super) aliases: BTreeMap<SpanId, SpanId>,
}

/// A span is known by its id; where two spans share one, as those of a call may, by its kind too.
pub(super) fn pair<'a>(active: &'a [Span], candidate: &'a [Span], rules: &Rules) -> Pairing<'a> {
    let mut out = Pairing::default();
    let mine = once(active, &mut out.repeated);
    let mut theirs = once(candidate, &mut out.repeated);
    let mut alone = Vec::new();
    for (id, spans) in mine {
        let others = theirs.entry(id).or_default();
        let mut left = Vec::new();
        // First those that are alike, then those of one kind, then whatever there is.
        for span in spans {
            match position(others, |o| is_copy(o, span)) {
                Some(other) => out.pairs.push((span, other)),
                None => left.push(span),
            }
        }
        left.retain(|span| match position(others, |o| o.kind == span.kind) {
            Some(other) => {
                out.pairs.push((span, other));
                false
            }
            None => true,
        });
        for span in left {
            // Of two spans that share an id, one may have got another; it is not the other one's counterpart.
            let is_shared = rules.has_tempo() && out.pairs.iter().any(|(s, _)| s.span_id == id);
            match position(others, |_| !is_shared) {
                Some(other) => out.pairs.push((span, other)),
                None => alone.push(span),
            }
        }
    }
    let mut rest: Vec<&Span> = theirs.into_values().flatten().collect();
    for span in alone {
        let same = |o: &&Span| {
            (o.kind, o.start, &o.name, o.service()) == (span.kind, span.start, &span.name, span.service())
        };
        match rules.has_tempo().then(|| position(&mut rest, same)).flatten() {
            Some(other) => {
                out.aliases.insert(other.span_id, span.span_id);
                out.pairs.push((span, other));
            }
            None => out.missing.push(span),
        }
    }
    out.extra = rest;
    out
}

/// By id, each copy once.
fn once<'a>(spans: &'a [Span], repeated: &mut u32) -> BTreeMap<SpanId, Vec<&'a Span>> {
    let mut out: BTreeMap<SpanId, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        let known = out.entry(span.span_id).or_default();
        if known.iter().any(|k| is_copy(k, span)) { *repeated += 1 } else { known.push(span) }
    }
    out
}

/// Word for word; what is not a number is equal to itself here.
fn is_copy(a: &Span, b: &Span) -> bool {
    a == b || format!("{a:?}") == format!("{b:?}")
}

fn position<'a>(spans: &mut Vec<&'a Span>, wanted: impl Fn(&&'a Span) -> bool) -> Option<&'a Span> {
    let at = spans.iter().position(wanted)?;
    Some(spans.remove(at))
}
