//! What gates reported, as the log has it: what later looks are done with.

use crossfade_gates::history::Parts;
use crossfade_rollout::event::{Event, Gate, Outcome, StepIndex};
use crossfade_rollout::{Digest, RolloutId};
use crossfade_routing::{Schedule, Weight};
use serde_json::Value;

use super::{Journal, chain};
use crate::gates::{course, posture};
use crate::jobs::Inputs;

/// Reports that later looks are held against, in the rollout that runs or ran last. Oldest first.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    rollout: Option<RolloutId>,
    /// Of the posture gate, those that passed.
    postures: Vec<Digest>,
    /// Of the history gate, whatever came of it: what there was is in each.
    histories: Vec<Digest>,
}

impl Earlier {
    /// Takes note of an entry that is in the log.
    pub(super) fn note(&mut self, event: &Event) {
        if let Event::RolloutDrafted { rollout, .. } = event {
            *self = Earlier { rollout: Some(rollout.clone()), ..Earlier::default() };
        }
        if let Event::GateFinished { rollout, gate, outcome, evidence, .. } = event
            && self.rollout.as_ref() == Some(rollout)
        {
            match (gate, outcome) {
                (Gate::Posture, Outcome::Pass) => self.postures.extend(*evidence),
                (Gate::History, _) => self.histories.extend(*evidence),
                _ => {}
            }
        }
    }
}

impl Journal {
    /// What a gate's look at this place of the rollout is done with.
    pub(crate) fn inputs(&mut self, gate: Gate, step: Option<StepIndex>) -> Inputs {
        let (plan, seed) = (self.plan(), self.seed_source());
        let Some(rollout) = self.state().rollout.as_ref() else {
            return Inputs { plan, seed, ..Inputs::default() };
        };
        let here = rollout.gates_at(step).iter();
        let found = here.filter_map(|(gate, run)| Some(self.report(*gate, run.evidence?))).collect();
        let (since, schedule) = (rollout.traffic_since(), self.state().schedule.clone());
        let before = match gate {
            Gate::Posture => self.posture(),
            Gate::History => self.history(),
            _ => None,
        };
        let weight = schedule.as_ref().map_or(Weight::ZERO, Schedule::weight);
        let course = (gate == Gate::Policy)
            .then(|| course::of(rollout, weight, |gate, digest| self.report(gate, digest)));
        Inputs { plan, seed, since, schedule, found, before, course }
    }

    /// What a gate has reported; if that cannot be read, nobody knows what it has found.
    pub(super) fn report(&self, gate: Gate, digest: Digest) -> Value {
        let read = self.log.evidence(&digest).map_err(|error| chain(&error));
        let read = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
        read.unwrap_or_else(|why: String| {
            tracing::error!(%gate, %digest, why, "a gate's report cannot be read");
            let summary = format!("its report {digest} cannot be read: {why}");
            serde_json::json!({ "gate": gate.name(), "verdict": "no_verdict", "summary": summary })
        })
    }

    /// The newest report of this rollout in which the candidate's posture had not got weaker: what it must not fall behind. One with
    /// a regression that was waived does not lower that.
    pub(super) fn posture(&self) -> Option<Value> {
        let passed = self.earlier.postures.iter().rev();
        passed
            .map(|digest| self.report(Gate::Posture, *digest))
            .find(|report| !posture::has_regressed(report))
    }

    /// The newest report of this rollout that says what history there was: it holds what those before it found.
    pub(super) fn history(&self) -> Option<Value> {
        let looks = self.earlier.histories.iter().rev();
        looks.map(|digest| self.report(Gate::History, *digest)).find(|report| Parts::read(report).is_some())
    }
}
