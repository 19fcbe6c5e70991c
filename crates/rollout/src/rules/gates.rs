//! Gates: before traffic moves, in steps, and after promotion.

use super::unless;
use crate::event::{Event, Gate, GenerationCause, Outcome, StepEnd, StepIndex};
use crate::moments::ALWAYS;
use crate::state::{GateRun, GateStatus, Rollout, State};

/// Whether a gate has passed in preflight or in a step, with evidence.
fn has_passed(rollout: &Rollout, step: Option<StepIndex>, gate: Gate) -> bool {
    rollout.gates_at(step).get(&gate).is_some_and(GateRun::has_passed)
}

/// The gates that the plan names, whatever gates a later version knows.
fn first_passed(rollout: &Rollout) -> bool {
    rollout.outline.required_gates.iter().all(|gate| has_passed(rollout, None, *gate))
}

/// A gate of a step that ended like this, or ends, and that has not passed there.
fn owed(rollout: &Rollout, step: StepIndex, how: StepEnd) -> Option<Gate> {
    rollout.outline.owed(step, how).find(|gate| !has_passed(rollout, Some(step), *gate))
}

pub(super) fn gates(before: &State, event: &Event) -> Option<String> {
    if let Event::RolloutDrafted { outline, .. } = event {
        let missing = ALWAYS.into_iter().find(|gate| !outline.required_gates.contains(gate));
        return missing.map(|gate| format!("a plan without the gate {gate}"));
    }
    let concerns = matches!(
        event,
        Event::PreflightPassed { .. } | Event::GenerationIssued { why: GenerationCause::CandidateNamed, .. }
    );
    let passed = before.current().is_some_and(first_passed);
    unless(!concerns || passed, || "not every gate has passed, with evidence".to_owned())
}

/// Nothing goes further than the gates of the steps before it allow.
pub(super) fn in_steps(before: &State, event: &Event) -> Option<String> {
    let rollout = before.current()?;
    let missing = match event {
        Event::StepEnded { step, how, .. } => owed(rollout, *step, *how).map(|gate| (gate, *step)),
        Event::CutAnnounced { .. }
        | Event::CutCommitted { .. }
        | Event::GenerationIssued { why: GenerationCause::Promotion, .. }
        | Event::FinalizeStarted { .. } => {
            let over = rollout.steps.iter().map(|record| (record.step, record.how));
            let this =
                matches!(event, Event::FinalizeStarted { .. }).then_some((rollout.step, StepEnd::Elapsed));
            over.chain(this).find_map(|(step, how)| Some((owed(rollout, step, how)?, step)))
        }
        _ => None,
    };
    missing.map(|(gate, step)| format!("gate {gate} has not passed in step {}, with evidence", step + 1))
}

pub(super) fn runs(before: &State, event: &Event) -> Option<String> {
    let rollout = before.current()?;
    match event {
        Event::GateStarted { gate, run, step, .. } => {
            let last = rollout.gates_at(*step).get(gate);
            let next = last.map_or(1, |last| last.run.saturating_add(1));
            let ended = last.is_none_or(|last| last.status != GateStatus::Running);
            let planned = match step {
                None => rollout.outline.required_gates.contains(gate),
                Some(step) => rollout.outline.gates_of(*step).any(|wanted| wanted.gate == *gate),
            };
            let here = *step == rollout.place();
            unless(ended && planned && here && *run == next, || {
                format!("gate {gate} starts run {run}; {next} was next, if any")
            })
        }
        Event::GateFinished { gate, run, step, .. } => {
            let looks = |last: &GateRun| last.run == *run && last.status == GateStatus::Running;
            let looked = rollout.gates_at(*step).get(gate).is_some_and(looks);
            unless(looked, || format!("gate {gate} finishes run {run}, which is not under way"))
        }
        _ => None,
    }
}

/// A run that was given up, or could not look, has drawn nothing. What the seed derives from is for whoever has the log's tree.
pub(super) fn seeds(before: &State, event: &Event) -> Option<String> {
    before.current().filter(|rollout| rollout.outline.seeds_on_record)?;
    let Event::GateFinished { gate, run, outcome: Outcome::Pass | Outcome::Fail, seed: None, .. } = event
    else {
        return None;
    };
    unless(!gate.draws(), || {
        format!("gate {gate} finishes run {run}, and nothing says by what its sample was drawn")
    })
}

pub(super) fn approval(before: &State, event: &Event) -> Option<String> {
    let named = matches!(event, Event::GenerationIssued { why: GenerationCause::CandidateNamed, .. });
    let approved = before.current().is_some_and(|rollout| rollout.approval.is_some());
    unless(!named || approved, || "neither approved nor exempt".to_owned())
}
