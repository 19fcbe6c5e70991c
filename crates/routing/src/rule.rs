//! The crossfade rule, written to be read: the specification that [`Router`](crate::Router) must equal.
//!
//! A span of trace `u` with start `s` and end `e`, which arrives at `a`, at a gateway whose schedule holds up to the
//! edge `E`, goes to
//!
//! ```text
//! both                                                    unless 0 <= a - e <= skew - gamma   (an untrusted clock)
//! both                                                    if s + skew >= E                    (the schedule may move on)
//! { colour(u, t) : t in [s - overlap - skew, s + skew] }  else: everywhere its trace could have started
//! ```
//!
//! and to both if start or end is zero or the end lies before the start. With no candidate, both is `from`; after a
//! fence `from` owns every trace; an invalid trace id names no trace, and goes to the side that answers.

use crate::decision::Reason;
use crate::destinations::Destinations;
use crate::id::TraceId;
use crate::schedule::{Schedule, Stage};
use crate::time::UnixNanos;
use crate::weight::{Fraction, fraction};
use crate::window::Window;

/// What a gateway sees of a span's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `start_time_unix_nano`, by the host's clock.
    pub start: UnixNanos,
    /// `end_time_unix_nano`, by the host's clock.
    pub end: UnixNanos,
    /// When the request that holds the span had been received whole, by the gateway's clock.
    pub arrival: UnixNanos,
}

/// Where the rule demands that a span goes, and why. `edge` is the `E` of the gateway.
#[must_use]
pub fn demand(schedule: &Schedule, edge: UnixNanos, trace: &TraceId, times: Times) -> (Destinations, Reason) {
    Crossfade.demand(schedule, edge, trace, times)
}

/// The rule as it is.
struct Crossfade;

impl Rule for Crossfade {}

/// The rule, one method a clause, so that a test can take out each and see a trace torn.
pub(crate) trait Rule {
    fn demand(
        &self,
        schedule: &Schedule,
        edge: UnixNanos,
        trace: &TraceId,
        times: Times,
    ) -> (Destinations, Reason) {
        if matches!(schedule.stage(), Stage::Single {}) {
            return (Destinations::FROM, Reason::NoCandidate);
        }
        if !trace.is_valid() {
            return (schedule.answering(), Reason::InvalidTraceId);
        }
        if matches!(schedule.stage(), Stage::Fenced {}) {
            return (Destinations::FROM, Reason::Owner);
        }
        let window = schedule.window();
        let trusted = self.well_formed(times) && self.not_early(times) && self.not_late(times, window);
        if !trusted {
            return (Destinations::BOTH, Reason::UntrustedClock);
        }
        if self.may_move_on(times, window, edge) {
            return (Destinations::BOTH, Reason::Edge);
        }
        let u = fraction(schedule.seed(), trace);
        let set = colours(schedule, u, self.earliest_root(times, window), self.latest_root(times, window));
        (set, if set == Destinations::BOTH { Reason::Straddles } else { Reason::Owner })
    }

    /// Start and end are there, and in order.
    fn well_formed(&self, Times { start, end, .. }: Times) -> bool {
        start != UnixNanos::ZERO && end != UnixNanos::ZERO && start <= end
    }

    /// `0 <= a - e`
    fn not_early(&self, Times { end, arrival, .. }: Times) -> bool {
        arrival >= end
    }

    /// `a - e <= skew - gamma`
    fn not_late(&self, Times { end, arrival, .. }: Times, window: &Window) -> bool {
        arrival.since(end).is_none_or(|age| age <= window.skew() - window.gamma())
    }

    /// `s + skew >= E`
    fn may_move_on(&self, Times { start, .. }: Times, window: &Window, edge: UnixNanos) -> bool {
        start.plus(window.skew()) >= edge
    }

    /// `s - overlap - skew`
    fn earliest_root(&self, Times { start, .. }: Times, window: &Window) -> UnixNanos {
        start.minus(window.overlap()).minus(window.skew())
    }

    /// `s + skew`
    fn latest_root(&self, Times { start, .. }: Times, window: &Window) -> UnixNanos {
        start.plus(window.skew())
    }
}

/// `{ colour(u, t) : t in [first, last] }`: the colour changes nowhere but at a cut.
fn colours(schedule: &Schedule, u: Fraction, first: UnixNanos, last: UnixNanos) -> Destinations {
    let inside = schedule.cuts().iter().map(|cut| cut.at).filter(|at| (first..=last).contains(at));
    inside.fold(schedule.colour(u, first), |set, at| set | schedule.colour(u, at))
}

#[cfg(test)]
mod tests;
