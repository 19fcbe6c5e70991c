//! The rule compiled for the hot path: a hash and a few integer comparisons a span, no allocation.

use crate::decision::{Decision, Protection, Reason, Widening};
use crate::destinations::Destinations;
use crate::id::TraceId;
use crate::schedule::{Generation, Schedule, Stage};
use crate::time::{UnixNanos, whole_nanos};
use crate::weight::{Fraction, Seed, Share, fraction};

/// A schedule and an edge, compiled. For every span equal to [`demand`](crate::demand), widened by stage, mirror and
/// protection (tested by property).
///
/// **What the caller must keep**, or the theorem does not hold:
/// - the arrival is read from the clock after the last byte of the request is in, and the router is taken after that;
/// - every thread has taken the new router before an acknowledgement speaks of the directive it was compiled from.
///
/// How long the thread then takes to route, or sleeps in between, does not matter: no clock is read again.
#[derive(Clone, Debug)]
pub struct Router {
    schedule: Schedule,
    protection: Protection,
    seed: Seed,
    /// No span is looked at: one environment, or a fence.
    alone: Option<Reason>,
    answering: Destinations,
    /// skew - gamma, in nanoseconds like all below
    age_max: u64,
    skew: u64,
    /// overlap + skew
    back: u64,
    edge: u64,
    cuts: Box<[(u64, Share)]>,
    widening: Widening,
}

impl Router {
    /// `edge` is the `E` of the gateway: [`Follower::edge`](crate::Follower::edge).
    #[must_use]
    pub fn new(schedule: &Schedule, edge: UnixNanos, protection: Protection) -> Router {
        let window = schedule.window();
        let alone = match schedule.stage() {
            Stage::Single {} => Some(Reason::NoCandidate),
            Stage::Fenced {} => Some(Reason::Owner),
            Stage::Candidate {} | Stage::Promoted { .. } => None,
        };
        Router {
            protection,
            seed: schedule.seed(),
            alone,
            answering: schedule.answering(),
            age_max: whole_nanos(window.skew() - window.gamma()),
            skew: whole_nanos(window.skew()),
            back: whole_nanos(window.overlap() + window.skew()),
            edge: edge.0,
            cuts: schedule.cuts().iter().map(|cut| (cut.at.0, cut.weight.share())).collect(),
            widening: Widening::new(schedule, protection),
            schedule: schedule.clone(),
        }
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
        UnixNanos(self.edge)
    }

    #[must_use]
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Where a span goes. `start` and `end` as in the span, `arrival` by the gateway's clock.
    #[inline]
    #[must_use]
    pub fn route(&self, trace: &TraceId, start: UnixNanos, end: UnixNanos, arrival: UnixNanos) -> Decision {
        if !trace.is_valid() && self.alone != Some(Reason::NoCandidate) {
            return self.widening.of_no_trace(self.answering, Reason::InvalidTraceId);
        }
        if let Some(reason) = self.alone {
            return self.widening.of_no_trace(Destinations::FROM, reason);
        }
        let u = fraction(self.seed, trace);
        let (rule, reason) = self.rule(u, start.0, end.0, arrival.0);
        self.widening.of_trace(u, rule, reason)
    }

    #[inline]
    fn rule(&self, u: Fraction, start: u64, end: u64, arrival: u64) -> (Destinations, Reason) {
        let well_formed = start != 0 && end != 0 && start <= end;
        if !well_formed || arrival < end || arrival - end > self.age_max {
            return (Destinations::BOTH, Reason::UntrustedClock);
        }
        let latest_root = start.saturating_add(self.skew);
        if latest_root >= self.edge {
            return (Destinations::BOTH, Reason::Edge);
        }
        // Weights only grow: TO is a colour of the window if it is one at its end, FROM if it is one at its beginning.
        let to = self.is_to(u, latest_root);
        let from = !self.is_to(u, start.saturating_sub(self.back));
        match (from, to) {
            (true, true) => (Destinations::BOTH, Reason::Straddles),
            (false, _) => (Destinations::TO, Reason::Owner),
            (true, false) => (Destinations::FROM, Reason::Owner),
        }
    }

    /// colour(u, t) = TO. Looks from the last cut back: most spans are young.
    #[inline]
    fn is_to(&self, u: Fraction, t: u64) -> bool {
        self.cuts.iter().rev().find(|(at, _)| *at <= t).is_some_and(|(_, share)| share.contains(u))
    }
}

#[cfg(test)]
mod tests;
