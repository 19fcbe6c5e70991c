//! Steps and their verdicts.

use std::time::Duration;

use super::unless;
use crate::assess::{Assessment, assess, carry};
use crate::due::{looked_at, step_end};
use crate::event::{AbortReason, Event, Outcome, PauseCause, RollbackReason, StepEnd};
use crate::numbers::{LogE, MetricReading};
use crate::spec::Step;
use crate::state::{GateRun, Rollout, Running, State};

pub(super) fn begins(before: &State, event: &Event) -> Option<String> {
    let Event::StepStarted { step, generation, at, .. } = event else { return None };
    let (rollout, schedule) = (before.current()?, before.schedule.as_ref()?);
    let in_turn = *step == rollout.step && rollout.running.is_none() && *generation == schedule.generation();
    let traffic = match rollout.step() {
        Some(Step::Mirror { percent, .. }) => schedule.mirror() == *percent,
        Some(Step::Weight { percent, .. }) => {
            schedule.weight() == *percent && rollout.last_cut.is_some_and(|cut| cut.at <= *at)
        }
        Some(Step::Pause { .. }) => true,
        Some(Step::Bake { .. }) => rollout.promoted.is_some(),
        Some(Step::Promote {} | Step::Finalize {}) | None => false,
    };
    unless(in_turn && traffic, || format!("step {step} begins out of turn, or without its traffic"))
}

pub(super) fn ends(before: &State, event: &Event) -> Option<String> {
    let Event::StepEnded { step, how, at, .. } = event else { return None };
    let rollout = before.current()?;
    let in_turn = *step == rollout.step;
    let earned = match (how, &rollout.running) {
        (StepEnd::Skipped, None) => rollout.full,
        (StepEnd::PromotedEarly, Some(running)) => {
            (running.leave || rollout.full) && running.verdict != Some(Outcome::Fail)
        }
        (StepEnd::Elapsed, Some(running)) => {
            let time = rollout.step().and_then(|step| step_end(step, running));
            time.is_some_and(|until| *at >= until) && is_allowed(rollout, running)
        }
        (StepEnd::Skipped, Some(_)) | (StepEnd::PromotedEarly | StepEnd::Elapsed, None) => false,
        (StepEnd::Stopped, _) => false,
    };
    unless(in_turn && earned, || format!("step {step} ends without having earned it"))
}

/// The last verdict allows the step to end.
fn is_allowed(rollout: &Rollout, running: &Running) -> bool {
    if rollout.step().is_some_and(Step::ends_unjudged) {
        return running.verdict != Some(Outcome::Fail);
    }
    !rollout.outline.is_analysed(rollout.step) || running.verdict == Some(Outcome::Pass)
}

/// Recomputed, the verdict is the same. The numbers may differ in the last digits: another machine's logarithm.
pub(super) fn verdict(before: &State, event: &Event) -> Option<String> {
    let Event::VerdictReached { outcome, readings, at, .. } = event else { return None };
    let rollout = before.current()?;
    let Some(running) = &rollout.running else { return Some("no step runs".to_owned()) };
    let again = assess(&rollout.outline, &rollout.carried, &looked_at(&rollout.tallies, running));
    let waited = running.no_verdict.map(|since| since.plus(rollout.outline.analysis.no_verdict_max.0));
    let too_long = *outcome == Outcome::Fail
        && again.outcome == Outcome::NoVerdict
        && waited.is_some_and(|until| *at >= until.minus(Duration::from_millis(1)));
    let same = (*outcome == again.outcome || too_long) && agree(readings, &again);
    unless(same, || format!("the counts on the record say {}: {}", again.outcome, again.why))
}

/// The window of a cut has its own test, once, when it has passed; and what that carries follows from the counts.
pub(super) fn window(before: &State, event: &Event) -> Option<String> {
    let rollout = before.current()?;
    let due = before.window_passes();
    match event {
        Event::WindowPassed { step, carried, at, .. } => {
            let in_turn = *step == rollout.step && due.is_some_and(|until| *at >= until);
            let again = rollout.running.as_ref().map(|running| {
                carry(&assess(&rollout.outline, &rollout.carried, &looked_at(&rollout.tallies, running)))
            });
            let same = again.is_some_and(|again| {
                let one = |(a, b): (&LogE, &LogE)| a.metric == b.metric && close(a.ln_e_nano, b.ln_e_nano);
                again.len() == carried.len() && again.iter().zip(carried).all(one)
            });
            unless(in_turn && same, || "the window of no cut passes, or its counts say otherwise".to_owned())
        }
        // A way back does not wait for a log that takes nothing.
        Event::VerdictReached { outcome: Outcome::Pass | Outcome::NoVerdict, at, .. } => {
            unless(due.is_none_or(|until| *at < until), || "one test over the end of a window".to_owned())
        }
        _ => None,
    }
}

fn close(a: i64, b: i64) -> bool {
    a.abs_diff(b) <= 1_000 + a.unsigned_abs() / 1_000_000
}

fn agree(readings: &[MetricReading], again: &Assessment) -> bool {
    let same = |(a, b): (&MetricReading, &MetricReading)| {
        let MetricReading { metric, outcome, alpha, from, to, .. } = b;
        (a.metric, a.outcome, a.alpha, a.from, a.to) == (*metric, *outcome, *alpha, *from, *to)
            && close(a.ln_e_nano, b.ln_e_nano)
            && close(a.step_ln_e_nano, b.step_ln_e_nano)
    };
    readings.len() == again.readings.len() && readings.iter().zip(&again.readings).all(same)
}

pub(super) fn failure(before: &State, event: &Event) -> Option<String> {
    let rollout = before.current().filter(|rollout| rollout.phase.is_live() && rollout.paused.is_none())?;
    let failed = rollout.running.as_ref().is_some_and(|running| running.verdict == Some(Outcome::Fail));
    let failed = failed || rollout.gates_at(rollout.place()).values().any(GateRun::has_missed);
    let of_it = event.rollout() == Some(&rollout.id) || event.schedule().is_some();
    let acts = matches!(
        event,
        Event::RollbackStarted { .. }
            | Event::AbortStarted { .. }
            | Event::Paused { .. }
            | Event::SnapshotsRetaken { .. }
            | Event::Fenced { .. }
            | Event::LedgerGapDeclared { .. }
            | Event::LedgerClosed { .. }
            | Event::AnalysisResumed { .. }
            | Event::AnalysisRecorded { .. }
    );
    unless(!failed || !of_it || acts, || "goes on after a failed verdict".to_owned())
}

/// What stops a rollout is on the record before it does.
pub(super) fn cause(before: &State, event: &Event) -> Option<String> {
    let rollout = before.current()?;
    let failed = || rollout.running.as_ref().is_some_and(|running| running.verdict == Some(Outcome::Fail));
    let gate_failed = |gate| rollout.gates_at(rollout.place()).get(gate).is_some_and(GateRun::has_missed);
    let on_record = match event {
        Event::RollbackStarted { reason: RollbackReason::Verdict { .. }, .. }
        | Event::Paused { by: PauseCause::Analysis {}, .. } => failed(),
        Event::RollbackStarted { reason: RollbackReason::Fence { gateway, .. }, .. } => {
            rollout.fences.contains_key(gateway)
        }
        Event::AbortStarted { reason: AbortReason::Gate { gate, outcome }, .. } => {
            gate_failed(gate) && *outcome != Outcome::Pass
        }
        Event::RollbackStarted { reason: RollbackReason::Gate { gate, .. }, .. } => gate_failed(gate),
        Event::Paused { by: PauseCause::Gate { gate }, .. } => gate_failed(gate),
        _ => true,
    };
    unless(on_record, || "what stopped it is not on the record".to_owned())
}
