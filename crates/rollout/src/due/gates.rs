//! Gates, in preflight and in steps; and the way from draft to the candidate's name.

use std::ops::ControlFlow;
use std::time::Duration;

use crossfade_routing::{Begin, Schedule};

use super::{Cx, Flow, NEXT, Out, way_back};
use crate::event::{
    AbortReason, Event, Gate, GenerationCause, Outcome, PauseCause, RollbackReason, StepIndex,
};
use crate::moments::{Wanted, is_ahead};
use crate::observed::{Effect, GateSeen, LogHealth, Waiting};
use crate::spec::OnFailure;
use crate::state::{GateRun, GateStatus, Phase};
use crate::units::brief;
use crate::words::duration;

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

/// What a gate must find here before the rollout goes on.
struct Place {
    /// `None` in preflight.
    step: Option<StepIndex>,
    wanted: Vec<Wanted>,
    /// The time of what there is to see is up: gates that look once look now, those that look again and again need not.
    closing: bool,
}

/// A gate that did not pass is on the record, and what follows from it is not: somebody had paused.
pub(super) fn missed(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    let mut known = cx.rollout.gates_at(cx.rollout.place()).iter();
    match known.find(|(_, run)| run.has_missed()).map(|(gate, run)| (*gate, run.status)) {
        Some((gate, GateStatus::Done(outcome))) => stop(cx, out, Vec::new(), gate, outcome),
        _ => NEXT,
    }
}

fn gates(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    missed(cx, out)?;
    let once = |gate| Wanted { gate, every: None, at_once: true, always: true };
    let wanted = cx.rollout.outline.required_gates.iter().copied().map(once).collect();
    let place = Place { step: None, wanted, closing: true };
    let passed = look(cx, out, &place)?;
    if cx.is_paused(out) || !passed {
        return NEXT;
    }
    out.record(vec![Event::PreflightPassed { rollout: cx.rollout.id.clone(), at: cx.now }])
}

/// The gates of the step that runs or comes next: whether all have passed. `closing`: nothing but them is waited for.
pub(super) fn in_step(cx: &Cx<'_>, out: &mut Out<'_>, closing: bool) -> ControlFlow<(), bool> {
    let step = cx.rollout.step;
    let wanted = cx.rollout.outline.gates_of(step).collect();
    look(cx, out, &Place { step: Some(step), wanted, closing })
}

/// Side by side: what is under way is asked for, what has been found goes on the record with what follows from it, and what
/// is due begins. A gate that ends the rollout does not wait for others: they are no longer asked for, and so are cancelled.
fn look(cx: &Cx<'_>, out: &mut Out<'_>, place: &Place) -> ControlFlow<(), bool> {
    let known = cx.rollout.gates_at(place.step);
    for (gate, run) in known.iter().filter(|(_, run)| run.status == GateStatus::Running) {
        under_way(cx, out, place.step, *gate, run)?;
    }
    if cx.rollout.paused.is_none() {
        let (rollout, at) = (cx.rollout.id.clone(), cx.now);
        let start = |wanted: &Wanted| {
            let run = known.get(&wanted.gate).map_or(1, |last| last.run.saturating_add(1));
            Event::GateStarted { rollout: rollout.clone(), gate: wanted.gate, run, step: place.step, at }
        };
        let events: Vec<Event> =
            place.wanted.iter().filter(|wanted| begins(cx, place, wanted)).map(start).collect();
        if !events.is_empty() {
            out.record(events)?;
        }
    }
    let passed = |wanted: &Wanted| known.get(&wanted.gate).is_some_and(GateRun::has_passed);
    ControlFlow::Continue(place.wanted.iter().all(passed))
}

/// Whether a gate is to start now.
fn begins(cx: &Cx<'_>, place: &Place, wanted: &Wanted) -> bool {
    let known = cx.rollout.gates_at(place.step);
    let again = match known.get(&wanted.gate) {
        None => wanted.at_once || place.closing,
        Some(GateRun { status: GateStatus::Void, .. }) => true,
        Some(GateRun { status: GateStatus::Done(Outcome::Pass), at: Some(at), .. }) => {
            wanted.every.is_some_and(|every| !place.closing && cx.now >= at.plus(every))
        }
        Some(_) => false,
    };
    // Done once: those ahead of it need not have passed again.
    let others = || place.wanted.iter().filter(|other| is_ahead(other.gate, wanted.gate));
    again && others().all(|other| known.get(&other.gate).is_some_and(GateRun::has_passed))
}

/// How much later than the deadline a run is given up whose executor has not done so.
const GRACE: Duration = Duration::from_secs(10);

fn under_way(cx: &Cx<'_>, out: &mut Out<'_>, step: Option<StepIndex>, gate: Gate, known: &GateRun) -> Flow {
    let (rollout, run, at) = (cx.rollout.id.clone(), known.run, cx.now);
    let is_it = |seen: &&GateSeen| {
        seen.rollout == rollout && seen.gate == gate && seen.step == step && seen.run == run
    };
    let deadline = cx.rollout.outline.gates.deadline(gate);
    let (outcome, summary, evidence, seed) = match cx.observed.gates.iter().find(is_it) {
        Some(GateSeen { outcome: Outcome::Pass, evidence: None, seed, .. }) => {
            (Outcome::NoVerdict, "its report could not be stored".to_owned(), None, seed.clone())
        }
        Some(GateSeen { outcome, summary, evidence, seed, .. }) => {
            (*outcome, brief(summary.clone()), *evidence, seed.clone())
        }
        None if known.at.is_some_and(|began| at >= began.plus(deadline).plus(GRACE)) => {
            let summary = format!("not done within its deadline of {}", duration(deadline));
            (Outcome::NoVerdict, summary, None, None)
        }
        None => {
            out.effect(Effect::RunGate { rollout, gate, step, run });
            return out.wait(Waiting::Gate { gate, run });
        }
    };
    let found = Event::GateFinished { rollout, gate, run, step, outcome, summary, evidence, seed, at };
    match outcome {
        Outcome::Pass => out.record(vec![found]),
        // A disk that is full is no reason to go back.
        Outcome::NoVerdict if *out.log != LogHealth::Writable => out.wait(Waiting::Gate { gate, run }),
        Outcome::Fail | Outcome::NoVerdict => stop(cx, out, vec![found], gate, outcome),
    }
}

/// A gate did not pass: what goes on the record, and what follows from it, in one go. While the rollout stands still, people
/// are heard first, unless the way back is due.
fn stop(cx: &Cx<'_>, out: &mut Out<'_>, found: Vec<Event>, gate: Gate, outcome: Outcome) -> Flow {
    let mut events = found;
    let owns = cx.rollout.last_cut.is_some();
    let (rollout, at) = (cx.rollout.id.clone(), cx.now);
    match cx.rollout.outline.on_failure {
        OnFailure::Rollback if owns => {
            return way_back::go_back(cx, out, events, RollbackReason::Gate { gate, outcome });
        }
        _ if cx.rollout.paused.is_some() => {}
        OnFailure::Rollback => {
            events.push(Event::AbortStarted { rollout, reason: AbortReason::Gate { gate, outcome }, at });
        }
        OnFailure::Hold => events.push(Event::Paused { rollout, by: PauseCause::Gate { gate }, at }),
    }
    if events.is_empty() { NEXT } else { out.record(events) }
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
