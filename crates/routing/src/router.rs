//! The rule compiled for the hot path: a few integer comparisons a span, no allocation.

use crate::decision::{Decision, Protection, widen};
use crate::id::TraceId;
use crate::rule::Times;
use crate::schedule::{Generation, Schedule};
use crate::time::UnixNanos;
use crate::weight::fraction;

/// A schedule and an edge, compiled. Equal to [`demand`](crate::demand) for every span (tested by property).
///
/// **What the caller must keep**, or the theorem does not hold: the arrival is read from the clock after the last byte
/// of the request is in, and the router is taken after that; and a gateway lets every thread take the new
/// router before it reports an acknowledgement of the directive that it was compiled from.
#[derive(Clone, Debug)]
pub struct Router {
    schedule: Schedule,
    edge: UnixNanos,
    protection: Protection,
}

impl Router {
    #[must_use]
    pub fn new(schedule: &Schedule, edge: UnixNanos, protection: Protection) -> Router {
        Router { schedule: schedule.clone(), edge, protection }
    }

    #[must_use]
    pub fn generation(&self) -> Generation {
        self.schedule.generation()
    }

    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    #[must_use]
    pub fn edge(&self) -> UnixNanos {
        self.edge
    }

    #[must_use]
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Where a span goes. Times as in [`Times`].
    #[inline]
    #[must_use]
    pub fn route(&self, trace: &TraceId, start: UnixNanos, end: UnixNanos, arrival: UnixNanos) -> Decision {
        let times = Times { start, end, arrival };
        let demanded = crate::rule::demand(&self.schedule, self.edge, trace, times);
        widen(&self.schedule, self.protection, fraction(self.schedule.seed(), trace), demanded)
    }
}
