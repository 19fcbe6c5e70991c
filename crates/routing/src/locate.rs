//! Where a trace is: which environment owns it, and which cut decided.

use crate::destinations::Destinations;
use crate::id::{EnvironmentId, TraceId};
use crate::schedule::{Cut, Generation, Schedule, Stage};
use crate::time::UnixNanos;
use crate::weight::{Fraction, fraction};

/// Where a trace is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The environment in which the trace is guaranteed whole.
    pub owner: EnvironmentId,
    /// The other one that it may be owned by: the recorded start is within skew of a cut that changes the owner.
    pub or: Option<EnvironmentId>,
    pub rollout: Option<String>,
    /// The newest generation of the rollout that decided.
    pub generation: Generation,
    /// Where the trace lies among all: its owner is the candidate if this is below the weight.
    pub fraction: Fraction,
    pub decided_by: Decided,
}

/// What decided the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// There was one environment.
    OneEnvironment,
    /// No cut lies before its start.
    BeforeFirstCut,
    /// This cut is the last before its start.
    Cut(Cut),
    /// The rollout was fenced: every trace belongs to the former active.
    Fence,
}

/// Finds the owner of a trace whose root is recorded to have started at `start`.
///
/// `history`: the schedules of a log in the order in which they were issued; `None` if there are none.
#[must_use]
pub fn locate<'a>(
    history: impl IntoIterator<Item = &'a Schedule>,
    trace: &TraceId,
    start: UnixNanos,
) -> Option<Located> {
    let schedule = history.into_iter().last()?;
    let u = fraction(schedule.seed(), trace);
    let side = schedule.owner(u, start);
    let owner = match (side, schedule.to()) {
        (Destinations::TO, Some(to)) => to.clone(),
        _ => schedule.from().clone(),
    };
    let decided_by = match schedule.stage() {
        Stage::Single {} => Decided::OneEnvironment,
        Stage::Fenced {} => Decided::Fence,
        _ => schedule
            .cuts()
            .iter()
            .rev()
            .find(|cut| cut.at <= start)
            .map_or(Decided::BeforeFirstCut, |cut| Decided::Cut(*cut)),
    };
    let (rollout, generation) = (schedule.rollout().map(str::to_owned), schedule.generation());
    Some(Located { owner, or: None, rollout, generation, fraction: u, decided_by })
}
