//! Traces, as hosts with wrong clocks make and send them.

use super::rng::Rng;
use crate::{TraceId, UnixNanos, Window};

/// A trace in true time.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    /// When its root truly starts.
    pub(crate) root: u64,
    pub(crate) spans: Vec<Span>,
}

#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// What the host writes.
    pub(crate) start: UnixNanos,
    pub(crate) end: UnixNanos,
    /// How far the host's clock leads, if start and end are its honest readings.
    pub(crate) lead: Option<i64>,
    /// When it has truly ended.
    pub(crate) ended: u64,
    /// When it is first sent.
    pub(crate) sent: u64,
    /// Sent again, as a client does that heard no answer.
    pub(crate) again: bool,
}

/// A trace of some spans whose root starts at `root`.
pub(crate) fn trace(rng: &mut Rng, window: &Window, root: u64) -> Trace {
    let spans = 1 + rng.up_to(3);
    let overlap = ticks(window.overlap());
    let spans = (0..spans).map(|i| {
        let start = root + if i == 0 { 0 } else { rng.extreme(overlap) };
        span(rng, window, start)
    });
    let spans = spans.collect();
    Trace { id: id(rng), root, spans }
}

/// A trace of one instant: it starts, ends and is sent at `now`, by a host whose clock is right.
pub(crate) fn flash(rng: &mut Rng, now: u64) -> Trace {
    let at = UnixNanos(now);
    let span = Span { start: at, end: at, lead: Some(0), ended: now, sent: now, again: false };
    Trace { id: id(rng), root: now, spans: vec![span] }
}

fn id(rng: &mut Rng) -> TraceId {
    let (high, low) = (rng.next(), rng.next());
    TraceId((u128::from(high) << 64 | u128::from(low) | 1).to_be_bytes())
}

fn span(rng: &mut Rng, window: &Window, true_start: u64) -> Span {
    let skew = ticks(window.skew());
    let ended = true_start + rng.pick(&[0, 0, 1, skew / 2, 2 * skew]);
    let late = rng.up_to(3 * skew);
    let mut sent = ended + rng.pick(&[0, 0, 1, skew / 3, skew, late]);
    if rng.percent(20) {
        sent = sent.next_multiple_of(16);
    }
    let lead = lead(rng, skew);
    let by_host = |t: u64| UnixNanos(t.checked_add_signed(lead).expect("the world begins long after zero"));
    let (start, end) = (by_host(true_start), by_host(ended));
    let again = rng.percent(20);
    let honest = Span { start, end, lead: Some(lead), ended, sent, again };
    match rng.up_to(29) {
        0 => Span { start: UnixNanos::ZERO, lead: None, ..honest },
        1 => Span { end: UnixNanos::ZERO, lead: None, ..honest },
        2 => Span { start: UnixNanos(end.0 + 1 + rng.up_to(4 * skew)), lead: None, ..honest },
        3 => Span { start: UnixNanos::MAX, lead: None, ..honest },
        _ => honest,
    }
}

/// How far a clock leads: most are nearly right, some are wrong by about the skew, some by sixty times as much (half an
/// hour, where the skew is 30 seconds).
fn lead(rng: &mut Rng, skew: u64) -> i64 {
    match rng.up_to(5) {
        0 | 1 => 0,
        2 => rng.either_way(skew),
        3 => rng.either_way(skew + 1),
        4 => rng.either_way(5 * skew),
        _ => rng.either_way(60 * skew),
    }
}

pub(crate) fn ticks(span: std::time::Duration) -> u64 {
    crate::time::whole_nanos(span)
}
