//! The gateway's side of announce, acknowledge, commit: what it holds, how far that holds, what it may say.

use serde::{Deserialize, Serialize};

use crate::decision::Protection;
use crate::directive::{Ack, Directive};
use crate::router::Router;
use crate::schedule::{Generation, Schedule};
use crate::sync::Fence;
use crate::time::UnixNanos;

/// What a gateway keeps on disk, and starts from when control is away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub directive: Option<Directive>,
    pub fence: Option<Fence>,
}

/// The state machine of one gateway. Pure: the caller moves bytes and writes files.
///
/// For each reply of control: [`accept`](Follower::accept) it; if that changed something, let every thread take
/// [`router`](Follower::router), write [`saved`](Follower::saved) durably and say so with
/// [`mark_saved`](Follower::mark_saved). Only then [`ack`](Follower::ack) speaks of it.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    state: Saved,
    durable: Option<Ack>,
}

/// What a directive did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Nothing new.
    Unchanged,
    /// A later horizon: take the new router; saving it can wait (an older horizon is a shorter promise).
    Renewed,
    /// A new generation or announcement: take the new router, save, and mark as saved.
    Changed,
}

/// Why a directive was not taken. The gateway goes on with what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("generation {offered} is older than {held}, which this gateway holds")]
    OlderGeneration { held: Generation, offered: Generation },
    #[error("generation {generation} has another content than the one this gateway holds")]
    Changed { generation: Generation },
    #[error(
        "rollout {rollout} is fenced here since generation {fenced}; generation {offered} goes on with it"
    )]
    Fenced { rollout: String, fenced: Generation, offered: Generation },
}

impl Follower {
    /// Holds nothing, and can route nothing.
    #[must_use]
    pub fn new() -> Follower {
        Follower::default()
    }

    /// Goes on from what was saved.
    #[must_use]
    pub fn restore(saved: Saved) -> Follower {
        let durable = saved.directive.as_ref().map(Directive::ack);
        Follower { state: saved, durable }
    }

    /// Takes a directive, unless it is older than what is held or goes on with a fenced rollout.
    pub fn accept(&mut self, offered: Directive) -> Result<Accepted, Refusal> {
        self.refuse_fenced(&offered.schedule)?;
        let Some(held) = &mut self.state.directive else {
            self.state.directive = Some(offered);
            return Ok(Accepted::Changed);
        };
        let (old, new) = (held.schedule.generation(), offered.schedule.generation());
        if new < old {
            return Err(Refusal::OlderGeneration { held: old, offered: new });
        }
        if new > old {
            *held = offered;
            return Ok(Accepted::Changed);
        }
        if held.schedule != offered.schedule {
            return Err(Refusal::Changed { generation: new });
        }
        // Within a generation announcements and horizons only move on: whatever order directives arrive in, an
        // acknowledged announcement is never forgotten, and every horizon that was ever granted still holds.
        let before = (held.announced, held.horizon);
        held.announced = held.announced.max(offered.announced);
        held.horizon = held.horizon.max(offered.horizon);
        Ok(match (held.announced != before.0, held.horizon != before.1) {
            (true, _) => Accepted::Changed,
            (false, true) => Accepted::Renewed,
            (false, false) => Accepted::Unchanged,
        })
    }

    fn refuse_fenced(&self, offered: &Schedule) -> Result<(), Refusal> {
        let ended = matches!(offered.stage(), crate::schedule::Stage::Fenced {});
        match &self.state.fence {
            Some(fence) if fence.applies_to(offered) && !ended => Err(Refusal::Fenced {
                rollout: fence.rollout.clone(),
                fenced: fence.generation,
                offered: offered.generation(),
            }),
            _ => Ok(()),
        }
    }

    /// `E`; the beginning of time if nothing is held.
    #[must_use]
    pub fn edge(&self) -> UnixNanos {
        self.state.directive.as_ref().map_or(UnixNanos::ZERO, Directive::edge)
    }

    #[must_use]
    pub fn directive(&self) -> Option<&Directive> {
        self.state.directive.as_ref()
    }

    /// What control may be told: the newest that is both in effect and saved.
    #[must_use]
    pub fn ack(&self) -> Option<Ack> {
        self.durable
    }

    /// What to write to disk.
    #[must_use]
    pub fn saved(&self) -> &Saved {
        &self.state
    }

    /// `saved` is on disk, and every thread routes by it or by something newer.
    pub fn mark_saved(&mut self, saved: &Saved) {
        self.durable = self.durable.max(saved.directive.as_ref().map(Directive::ack));
    }

    /// What to write to disk before [`fence`](Follower::fence) is called, if it can be written.
    #[must_use]
    pub fn saved_with(&self, fence: &Fence) -> Saved {
        Saved { directive: self.state.directive.clone(), fence: Some(fence.clone()) }
    }

    /// Lets the fence fall. The caller has saved it, or has tried to and goes on trying: a disk must not keep it from falling.
    pub fn fence(&mut self, fence: Fence) {
        let newer = self.state.fence.as_ref().is_none_or(|held| held.generation < fence.generation);
        if newer && !self.is_fenced() {
            self.state.fence = Some(fence);
        }
    }

    /// Whether the rollout that is held is fenced here.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        let held = self.state.directive.as_ref().map(|held| &held.schedule);
        self.state.fence.as_ref().zip(held).is_some_and(|(fence, schedule)| fence.applies_to(schedule))
    }

    /// The fence, if one fell here; of the rollout that is held or of an earlier one.
    #[must_use]
    pub fn fence_held(&self) -> Option<&Fence> {
        self.state.fence.as_ref()
    }

    /// What to route by; `None` while nothing is held, and then requests are refused as unavailable.
    #[must_use]
    pub fn router(&self, protection: Protection) -> Option<Router> {
        let held = self.state.directive.as_ref()?;
        if self.is_fenced() {
            return Some(Router::new(&held.schedule.fenced_locally(), held.edge(), protection));
        }
        Some(Router::new(&held.schedule, held.edge(), protection))
    }
}

#[cfg(test)]
mod tests;
