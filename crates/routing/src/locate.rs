//! Where a trace is: which environment owns it, and which cut decided.

use crate::destinations::Destinations;
use crate::id::{EnvironmentId, TraceId};
use crate::schedule::{Cut, Generation, Schedule, Stage};
use crate::time::UnixNanos;
use crate::weight::{Fraction, fraction};

/// A stretch of time in which one thing decided the owner of a trace that started in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first moment; the period lasts until the next one begins.
    pub begins: UnixNanos,
    /// The environment in which the trace is guaranteed whole, if its root truly started in this period.
    pub owner: EnvironmentId,
    pub decided_by: Decided,
}

/// What decided the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// There was one environment, or no cut yet.
    OneEnvironment,
    /// The last cut before the start: the owner is the candidate if the fraction lies below the weight.
    Cut { rollout: String, generation: Generation, cut: Cut, fraction: Fraction },
    /// This rollout was fenced: whatever its cuts, every trace belongs to the former active.
    Fence { rollout: String, generation: Generation },
}

/// Where a trace is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    pub period: Period,
    /// The owner if the root truly started in a neighbouring period. The clock of its host is trusted up to `skew`, and
    /// the recorded start lies within that of a cut that changes the owner.
    pub or: Option<Period>,
}

/// The owners of a trace over all time, by when its root truly started. Starts with a period at time zero.
///
/// `history`: the schedules of a log in the order in which they were issued. Empty if there are none.
#[must_use]
pub fn owners<'a>(history: impl IntoIterator<Item = &'a Schedule>, trace: &TraceId) -> Vec<Period> {
    let mut periods = Vec::new();
    for attempt in attempts(history) {
        if periods.is_empty() {
            let owner = attempt.from().clone();
            periods.push(Period { begins: UnixNanos::ZERO, owner, decided_by: Decided::OneEnvironment });
        }
        periods.extend(attempt.cuts().iter().map(|cut| period(attempt, cut, trace)));
    }
    periods
}

/// The last schedule of each attempt at a rollout: it has all the cuts, and says how the attempt ended.
fn attempts<'a>(history: impl IntoIterator<Item = &'a Schedule>) -> Vec<&'a Schedule> {
    let mut attempts: Vec<&Schedule> = Vec::new();
    for schedule in history {
        if attempts.last().is_some_and(|last| last.begun() == schedule.begun()) {
            attempts.pop();
        }
        attempts.push(schedule);
    }
    attempts
}

/// What a cut decides for a trace.
fn period(attempt: &Schedule, cut: &Cut, trace: &TraceId) -> Period {
    let rollout = attempt.rollout().unwrap_or_default().to_owned();
    let generation = attempt.generation();
    let fraction = fraction(attempt.seed(), trace);
    let decided_by = match attempt.stage() {
        Stage::Fenced {} => Decided::Fence { rollout, generation },
        _ => Decided::Cut { rollout, generation, cut: *cut, fraction },
    };
    let owner = match (attempt.owner(fraction, cut.at), attempt.to()) {
        (Destinations::TO, Some(to)) => to.clone(),
        _ => attempt.from().clone(),
    };
    Period { begins: cut.at, owner, decided_by }
}

/// Finds the owner of a trace whose root is recorded to have started at `start`; `None` if there is no history.
#[must_use]
pub fn locate<'a, H>(history: H, trace: &TraceId, start: UnixNanos) -> Option<Located>
where
    H: IntoIterator<Item = &'a Schedule> + Clone,
{
    let periods = owners(history.clone(), trace);
    let rollouts = history.into_iter().filter(|schedule| schedule.rollout().is_some());
    let skew = rollouts.map(|schedule| schedule.window().skew()).max().unwrap_or_default();
    let at = |t: UnixNanos| periods.iter().rev().find(|period| period.begins <= t);
    let period = at(start)?.clone();
    let differs = |other: &&Period| other.owner != period.owner;
    let reachable = periods.iter().filter(|other| other.begins <= start.plus(skew));
    let earliest = at(start.minus(skew))?.begins;
    let or = reachable.filter(|other| other.begins >= earliest).find(differs).cloned();
    Some(Located { period, or })
}

#[cfg(test)]
mod tests;
