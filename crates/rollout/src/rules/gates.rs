//! Before traffic moves.

use super::unless;
use crate::event::{Event, Gate, GenerationCause, Outcome};
use crate::state::{GateStatus, Rollout, State};

/// The gates that the plan names, whatever gates a later version knows.
fn all_passed(rollout: &Rollout) -> bool {
    rollout.outline.required_gates.iter().all(|gate| {
        let passed = rollout.gates.get(gate).filter(|run| run.status == GateStatus::Done(Outcome::Pass));
        passed.is_some_and(|run| run.evidence.is_some())
    })
}

/// What every plan of every version has to pass.
const ALWAYS: [Gate; 2] = [Gate::Drift, Gate::Probe];

pub(super) fn gates(before: &State, event: &Event) -> Option<String> {
    if let Event::RolloutDrafted { outline, .. } = event {
        let missing = ALWAYS.into_iter().find(|gate| !outline.required_gates.contains(gate));
        return missing.map(|gate| format!("a plan without the gate {gate}"));
    }
    let concerns = matches!(
        event,
        Event::PreflightPassed { .. } | Event::GenerationIssued { why: GenerationCause::CandidateNamed, .. }
    );
    let passed = before.current().is_some_and(all_passed);
    unless(!concerns || passed, || "not every gate has passed, with evidence".to_owned())
}

pub(super) fn runs(before: &State, event: &Event) -> Option<String> {
    let rollout = before.current()?;
    match event {
        Event::GateStarted { gate, run, .. } => {
            let last = rollout.gates.get(gate);
            let next = last.map_or(1, |last| last.run.saturating_add(1));
            let ended = last.is_none_or(|last| last.status != GateStatus::Running);
            unless(ended && *run == next, || format!("gate {gate} starts run {run}; {next} was next"))
        }
        Event::GateFinished { gate, run, .. } => {
            let looks = |last: &crate::state::GateRun| last.run == *run && last.status == GateStatus::Running;
            let looked = rollout.gates.get(gate).is_some_and(looks);
            unless(looked, || format!("gate {gate} finishes run {run}, which is not under way"))
        }
        _ => None,
    }
}

pub(super) fn approval(before: &State, event: &Event) -> Option<String> {
    let named = matches!(event, Event::GenerationIssued { why: GenerationCause::CandidateNamed, .. });
    let approved = before.current().is_some_and(|rollout| rollout.approval.is_some());
    unless(!named || approved, || "neither approved nor exempt".to_owned())
}
