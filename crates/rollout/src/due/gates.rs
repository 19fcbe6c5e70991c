//! From draft to the candidate's name: gates for the record, approval.

use crossfade_routing::{Begin, Schedule};

use super::{Cx, Flow, NEXT, Out};
use crate::event::{AbortReason, Event, Gate, GenerationCause, Outcome, PauseCause};
use crate::observed::{Effect, GateSeen, Waiting};
use crate::spec::OnFailure;
use crate::state::{GateStatus, Phase};
use crate::units::brief;

pub(super) fn preflight(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    match cx.rollout.phase {
        Phase::Draft if cx.is_paused(out) => NEXT,
        Phase::Draft => {
            out.record(vec![Event::PreflightStarted { rollout: cx.rollout.id.clone(), at: cx.now }])
        }
        Phase::Preflight => gates(cx, out),
        _ => approval(cx, out),
    }
}

/// One after the other: a gate that writes to the candidate does not begin before those ahead of it have passed, so that
/// none is under way when one of them ends the rollout.
fn gates(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    for gate in cx.rollout.outline.required_gates.iter().copied() {
        let known = cx.rollout.gates.get(&gate).map(|run| (run.run, run.status));
        match known {
            Some((_, GateStatus::Done(Outcome::Pass))) => continue,
            Some((run, GateStatus::Running)) => running(cx, out, gate, run)?,
            _ => {}
        }
        if cx.is_paused(out) {
            return NEXT;
        }
        return match known {
            None => start(cx, out, gate, 1),
            Some((run, GateStatus::Void)) => start(cx, out, gate, run.saturating_add(1)),
            Some((_, GateStatus::Done(outcome))) => failed(cx, out, gate, outcome),
            Some((_, GateStatus::Running)) => NEXT,
        };
    }
    if cx.is_paused(out) {
        return NEXT;
    }
    out.record(vec![Event::PreflightPassed { rollout: cx.rollout.id.clone(), at: cx.now }])
}

fn start(cx: &Cx<'_>, out: &mut Out<'_>, gate: Gate, run: u32) -> Flow {
    out.record(vec![Event::GateStarted { rollout: cx.rollout.id.clone(), gate, run, at: cx.now }])
}

fn running(cx: &Cx<'_>, out: &mut Out<'_>, gate: Gate, run: u32) -> Flow {
    let rollout = cx.rollout.id.clone();
    let mut results = cx.observed.gates.iter();
    match results.find(|seen| seen.rollout == rollout && seen.gate == gate && seen.run == run) {
        None => {
            out.effect(Effect::RunGate { rollout, gate, run });
            out.wait(Waiting::Gate { gate, run })
        }
        Some(GateSeen { outcome, summary, evidence, seed, .. }) => {
            let (summary, evidence, seed) = (brief(summary.clone()), *evidence, seed.clone());
            let (outcome, at) = (*outcome, cx.now);
            out.record(vec![Event::GateFinished { rollout, gate, run, outcome, summary, evidence, seed, at }])
        }
    }
}

fn failed(cx: &Cx<'_>, out: &mut Out<'_>, gate: Gate, outcome: Outcome) -> Flow {
    let (rollout, at) = (cx.rollout.id.clone(), cx.now);
    out.record(vec![match cx.rollout.outline.on_failure {
        OnFailure::Rollback => {
            Event::AbortStarted { rollout, reason: AbortReason::Gate { gate, outcome }, at }
        }
        OnFailure::Hold => Event::Paused { rollout, by: PauseCause::Gate { gate }, at },
    }])
}

fn approval(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    if cx.is_paused(out) {
        return NEXT;
    }
    let rollout = cx.rollout.id.clone();
    if cx.rollout.approval.is_none() {
        let why = "the plan has no approval gate".to_owned();
        return out.record(vec![Event::ApprovalNotRequired { rollout, why, at: cx.now }]);
    }
    let Some(schedule) = cx.schedule() else { return NEXT };
    let outline = &cx.rollout.outline;
    let (to, seed, window) = (outline.to.clone(), outline.seed, outline.window);
    let named = Schedule::begin(schedule, Begin { rollout: rollout.to_string(), to, seed, window });
    out.issue(named, GenerationCause::CandidateNamed, cx.now, |issued| vec![issued])
}
