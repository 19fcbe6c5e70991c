//! What a gateway routes by: two environments, a stage, and the committed cuts between them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::destinations::Destinations;
use crate::id::EnvironmentId;
use crate::text::serde_as_decimal_string;
use crate::time::UnixNanos;
use crate::weight::{Fraction, Seed, Weight};
use crate::window::Window;

/// Number of a schedule. It only grows, over all rollouts of a log; a gateway refuses an older one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

serde_as_decimal_string!(Generation, Generation);

impl Generation {
    #[must_use]
    pub fn next(self) -> Generation {
        Generation(self.0.checked_add(1).expect("2^64 generations cannot be issued"))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One change of weight at one instant: traces whose root starts at or after `at` are owned by `weight`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    pub at: UnixNanos,
    #[serde(rename = "weight_ppm")]
    pub weight: Weight,
}

/// Who answers clients, and who receives what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Stage {
    /// No rollout: only `from` exists for routing.
    Single {},
    /// `from` answers; `to` is mirrored to or owns the weight of the last cut.
    Candidate {},
    /// `to` answers and receives everything; `from` still gets a copy of everything if `mirror_back`.
    Promoted { mirror_back: bool },
    /// Everything to `from`, nothing to `to`, which owns nothing: for good, in this rollout.
    Fenced {},
}

/// The rollout before this one, if it was finalized: its cuts outlive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    pub rollout: String,
    pub begun: Generation,
    pub from: EnvironmentId,
    pub to: EnvironmentId,
    pub seed: Seed,
    pub window: Window,
    pub cuts: Vec<Cut>,
}

/// A routing schedule. Always valid: made by [`Schedule::genesis`] and the acts below, or read and checked by serde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Schedule {
    generation: Generation,
    rollout: Option<String>,
    begun: Generation,
    from: EnvironmentId,
    to: Option<EnvironmentId>,
    seed: Seed,
    window: Window,
    stage: Stage,
    #[serde(rename = "mirror_ppm")]
    mirror: Weight,
    cuts: Vec<Cut>,
    past: Option<Past>,
}

/// What a rollout starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    pub rollout: String,
    pub to: EnvironmentId,
    pub seed: Seed,
    pub window: Window,
}

/// Why a schedule cannot be, or cannot become what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("{act} needs {needs}, but generation {generation} is {stage}")]
    WrongStage { act: &'static str, needs: &'static str, generation: Generation, stage: &'static str },
    #[error("the candidate must be another environment than {from}, which is active")]
    SameEnvironment { from: EnvironmentId },
    #[error("a rollout name has 1 to {} bytes, got {length}", Schedule::ROLLOUT_NAME_MAX)]
    RolloutName { length: usize },
    #[error("the cut at {offered} does not lie after the one at {last}")]
    CutNotLater { last: UnixNanos, offered: UnixNanos },
    #[error("the cut to {offered} does not add to {last}: weights only grow, every way back is a fence")]
    CutNotHeavier { last: Weight, offered: Weight },
    #[error(
        "the first cut at {offered} lies before {earliest}, where the rollout before this one has settled"
    )]
    CutTooEarly { earliest: UnixNanos, offered: UnixNanos },
    #[error("more than {} cuts", Schedule::CUTS_MAX)]
    TooManyCuts,
    #[error("promotion needs a cut to 100 %; the last cut is to {weight}")]
    NotFull { weight: Weight },
    #[error("the fields of generation {generation} do not fit its stage: {detail}")]
    Inconsistent { generation: Generation, detail: &'static str },
}

impl Schedule {
    pub const CUTS_MAX: usize = 256;
    pub const ROLLOUT_NAME_MAX: usize = 128;

    /// The first schedule of a log: one environment, no rollout.
    #[must_use]
    pub fn genesis(active: EnvironmentId) -> Schedule {
        Schedule {
            generation: Generation(1),
            rollout: None,
            begun: Generation(1),
            from: active,
            to: None,
            seed: Seed(0),
            window: Window::default(),
            stage: Stage::Single {},
            mirror: Weight::ZERO,
            cuts: Vec::new(),
            past: None,
        }
    }

    /// Starts a rollout: names the candidate, which owns nothing yet.
    pub fn begin(&self, begin: Begin) -> Result<Schedule, ScheduleError> {
        self.needs("begin", "no rollout in progress", matches!(self.stage, Stage::Single {}))?;
        let Begin { rollout, to, seed, window } = begin;
        let begun = self.generation.next();
        let stage = Stage::Candidate {};
        self.next(|s| Schedule { rollout: Some(rollout), begun, to: Some(to), seed, window, stage, ..s })
    }

    /// Sets the share of whole traces that is copied to the candidate.
    pub fn mirrored(&self, mirror: Weight) -> Result<Schedule, ScheduleError> {
        self.needs("mirror", "a candidate", self.is_candidate())?;
        self.next(|s| Schedule { mirror, ..s })
    }

    /// Adds a committed cut.
    pub fn cut(&self, cut: Cut) -> Result<Schedule, ScheduleError> {
        self.needs("cut", "a candidate", self.is_candidate())?;
        self.next(|mut s| {
            s.cuts.push(cut);
            s
        })
    }

    /// The candidate answers from now on. Its weight must be 100 %.
    pub fn promoted(&self, mirror_back: bool) -> Result<Schedule, ScheduleError> {
        let promotable = matches!(self.stage, Stage::Candidate {} | Stage::Promoted { .. });
        self.needs("promote", "a candidate", promotable)?;
        self.next(|s| Schedule { stage: Stage::Promoted { mirror_back }, mirror: Weight::ZERO, ..s })
    }

    /// Back to `from`, for good.
    pub fn fenced(&self) -> Result<Schedule, ScheduleError> {
        self.needs("fence", "a rollout in progress", self.to.is_some())?;
        self.next(|s| Schedule { stage: Stage::Fenced {}, mirror: Weight::ZERO, ..s })
    }

    /// Ends a rollout that cut nothing.
    pub fn aborted(&self) -> Result<Schedule, ScheduleError> {
        self.needs("abort", "a candidate without cuts", self.is_candidate() && self.cuts.is_empty())?;
        self.next(Schedule::back_to_from)
    }

    /// Ends a fenced rollout: `from` is active, and was the owner of every trace.
    pub fn rolled_back(&self) -> Result<Schedule, ScheduleError> {
        self.needs("roll back", "a fenced rollout", matches!(self.stage, Stage::Fenced {}))?;
        self.next(Schedule::back_to_from)
    }

    /// Ends a promoted rollout: the former active is let go. Not before [`Schedule::settled_at`].
    pub fn finalized(&self) -> Result<Schedule, ScheduleError> {
        self.needs("finalize", "a promoted rollout", matches!(self.stage, Stage::Promoted { .. }))?;
        let Schedule { rollout, begun, from, to, seed, window, cuts, .. } = self.clone();
        let (rollout, to) = rollout.zip(to).expect("a promoted rollout has a name and a candidate");
        let past = Past { rollout, begun, from, to: to.clone(), seed, window, cuts };
        self.next(|s| Schedule { from: to, past: Some(past), ..s.back_to_from() })
    }

    /// The same content under the next generation: what was announced under the old one is void.
    #[must_use]
    pub fn reissued(&self) -> Schedule {
        Schedule { generation: self.generation.next(), ..self.clone() }
    }

    /// As it routes where a fence has fallen that control does not know of yet: the generation stays.
    pub(crate) fn fenced_locally(&self) -> Schedule {
        Schedule { stage: Stage::Fenced {}, mirror: Weight::ZERO, ..self.clone() }
    }

    fn back_to_from(self) -> Schedule {
        let Schedule { generation, from, past, .. } = self;
        Schedule { generation, begun: generation, past, ..Schedule::genesis(from) }
    }

    fn next(&self, change: impl FnOnce(Schedule) -> Schedule) -> Result<Schedule, ScheduleError> {
        let next = change(self.reissued());
        next.check()?;
        Ok(next)
    }

    fn needs(&self, act: &'static str, needs: &'static str, met: bool) -> Result<(), ScheduleError> {
        let stage = match self.stage {
            Stage::Single {} => "without a rollout",
            Stage::Candidate {} => "a candidate's",
            Stage::Promoted { .. } => "promoted",
            Stage::Fenced {} => "fenced",
        };
        let error = ScheduleError::WrongStage { act, needs, generation: self.generation, stage };
        if met { Ok(()) } else { Err(error) }
    }
}

/// What it says.
impl Schedule {
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    #[must_use]
    pub fn rollout(&self) -> Option<&str> {
        self.rollout.as_deref()
    }

    /// The generation that first named this rollout's candidate. With the name it identifies the attempt.
    #[must_use]
    pub fn begun(&self) -> Generation {
        self.begun
    }

    #[must_use]
    pub fn from(&self) -> &EnvironmentId {
        &self.from
    }

    #[must_use]
    pub fn to(&self) -> Option<&EnvironmentId> {
        self.to.as_ref()
    }

    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed
    }

    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Share of whole traces that is copied to the candidate, which does not own them.
    #[must_use]
    pub fn mirror(&self) -> Weight {
        self.mirror
    }

    /// Strictly growing in time and in weight.
    #[must_use]
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    #[must_use]
    pub fn past(&self) -> Option<&Past> {
        self.past.as_ref()
    }

    fn is_candidate(&self) -> bool {
        matches!(self.stage, Stage::Candidate {})
    }

    /// The side that answers clients.
    #[must_use]
    pub fn answering(&self) -> Destinations {
        if matches!(self.stage, Stage::Promoted { .. }) { Destinations::TO } else { Destinations::FROM }
    }

    /// The weight that owns traces whose root starts at `t`.
    #[must_use]
    pub fn weight_at(&self, t: UnixNanos) -> Weight {
        self.cuts.iter().rev().find(|cut| cut.at <= t).map_or(Weight::ZERO, |cut| cut.weight)
    }

    /// The weight after every committed cut.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.weight_at(UnixNanos::MAX)
    }

    /// `colour(u, t)`: the owner of a trace at `u` whose root starts at `t`. TO iff `u < weight at t`.
    ///
    /// This is what the cuts say; after a fence the owner of every trace is FROM ([`Schedule::owner`]).
    #[must_use]
    pub fn colour(&self, u: Fraction, t: UnixNanos) -> Destinations {
        if self.weight_at(t).contains(u) { Destinations::TO } else { Destinations::FROM }
    }

    /// The side in which a trace at `u` with its root at `t` is guaranteed whole.
    #[must_use]
    pub fn owner(&self, u: Fraction, t: UnixNanos) -> Destinations {
        if matches!(self.stage, Stage::Fenced {}) { Destinations::FROM } else { self.colour(u, t) }
    }

    /// The earliest moment at which this rollout may be finalized and the next one may begin:
    /// last cut + overlap + 2 skew. Until then a trusted span may belong to a trace from before the last cut.
    #[must_use]
    pub fn settled_at(&self) -> UnixNanos {
        self.cuts.last().map_or(UnixNanos::ZERO, |cut| cut.at.plus(self.window.width()))
    }

    /// The earliest moment for this rollout's first cut: no window may hold a cut of two rollouts.
    #[must_use]
    pub fn earliest_cut(&self) -> UnixNanos {
        let Some(past) = &self.past else { return UnixNanos::ZERO };
        let width = Duration::max(past.window.width(), self.window.width());
        past.cuts.last().map_or(UnixNanos::ZERO, |cut| cut.at.plus(width))
    }

    fn check(&self) -> Result<(), ScheduleError> {
        self.check_stage()?;
        self.check_cuts()
    }

    fn check_stage(&self) -> Result<(), ScheduleError> {
        let wrong = |detail| Err(ScheduleError::Inconsistent { generation: self.generation, detail });
        if self.begun > self.generation {
            return wrong("begun after itself");
        }
        if self.mirror > Weight::ZERO && !self.is_candidate() {
            return wrong("a mirror without a candidate");
        }
        match (&self.stage, &self.rollout, &self.to) {
            (Stage::Single {}, None, None) if self.cuts.is_empty() => return Ok(()),
            (Stage::Single {}, ..) => return wrong("single, but with a rollout, a candidate or cuts"),
            (_, Some(name), _) if name.is_empty() || name.len() > Schedule::ROLLOUT_NAME_MAX => {
                return Err(ScheduleError::RolloutName { length: name.len() });
            }
            (_, Some(_), Some(to)) if *to == self.from => {
                return Err(ScheduleError::SameEnvironment { from: self.from.clone() });
            }
            (_, Some(_), Some(_)) => {}
            _ => return wrong("a rollout needs a name and a candidate"),
        }
        match self.stage {
            Stage::Promoted { .. } if self.weight() != Weight::FULL => {
                Err(ScheduleError::NotFull { weight: self.weight() })
            }
            _ => Ok(()),
        }
    }

    fn check_cuts(&self) -> Result<(), ScheduleError> {
        if self.cuts.len() > Schedule::CUTS_MAX {
            return Err(ScheduleError::TooManyCuts);
        }
        if let Some(first) = self.cuts.first() {
            let (earliest, offered) = (self.earliest_cut(), first.at);
            if offered < earliest {
                return Err(ScheduleError::CutTooEarly { earliest, offered });
            }
        }
        if let Some(past) = &self.past {
            check_growth(&past.cuts)?;
        }
        check_growth(&self.cuts)
    }
}

/// Strictly growing in time and in weight, from nothing at time zero.
fn check_growth(cuts: &[Cut]) -> Result<(), ScheduleError> {
    let mut last = Cut { at: UnixNanos::ZERO, weight: Weight::ZERO };
    for cut in cuts {
        if cut.at <= last.at {
            return Err(ScheduleError::CutNotLater { last: last.at, offered: cut.at });
        }
        if cut.weight <= last.weight {
            return Err(ScheduleError::CutNotHeavier { last: last.weight, offered: cut.weight });
        }
        last = *cut;
    }
    Ok(())
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Schedule::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Schedule, D::Error> {
        let schedule = Schedule::deserialize(deserializer)?;
        schedule.check().map_err(serde::de::Error::custom)?;
        Ok(schedule)
    }
}

#[cfg(test)]
mod tests;
