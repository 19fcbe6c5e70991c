//! Generations and cuts.

use crossfade_routing::{Begin, Schedule, ScheduleError, Stage, Weight};

use super::unless;
use crate::event::{Event, GenerationCause};
use crate::spec::Step;
use crate::state::{Rollout, State};

pub(super) fn generation(before: &State, event: &Event) -> Option<String> {
    let (issued, held) = (event.schedule()?.generation(), before.generation());
    unless(issued == held.next(), || format!("generation {issued} after {held}"))
}

pub(super) fn schedule(before: &State, event: &Event) -> Option<String> {
    let issued = event.schedule()?;
    match follows(before, event) {
        Some(Ok(expected)) if expected == *issued => None,
        Some(Ok(_)) => Some("the schedule is not what its entry makes of the one before".to_owned()),
        Some(Err(error)) => Some(error.to_string()),
        None => Some("a schedule that nothing calls for".to_owned()),
    }
}

/// What the schedule in force becomes by this event.
fn follows(before: &State, event: &Event) -> Option<Result<Schedule, ScheduleError>> {
    let Event::GenerationIssued { schedule: issued, why, .. } = event else {
        let cut = event.schedule()?.cuts().last()?;
        return Some(before.schedule.as_ref()?.cut(*cut));
    };
    if *why == GenerationCause::Genesis {
        let active = before.active.clone().filter(|_| before.schedule.is_none())?;
        return Some(Ok(Schedule::genesis(active)));
    }
    let held = before.schedule.as_ref()?;
    if *why == GenerationCause::ControlRestarted {
        return Some(Ok(held.reissued()));
    }
    let outline = &before.current()?.outline;
    Some(match why {
        GenerationCause::CandidateNamed => held.begin(Begin {
            rollout: outline.rollout.to_string(),
            to: outline.to.clone(),
            seed: outline.seed,
            window: outline.window,
        }),
        GenerationCause::Mirror => held.mirrored(issued.mirror()),
        GenerationCause::Promotion => held.promoted(outline.mirror_back()),
        GenerationCause::Finalize => held.finalized(),
        GenerationCause::Abort => held.aborted(),
        GenerationCause::Fence => held.fenced(),
        GenerationCause::RolledBack => held.rolled_back(),
        GenerationCause::Genesis | GenerationCause::ControlRestarted => return None,
    })
}

pub(super) fn acknowledged(before: &State, event: &Event) -> Option<String> {
    let Event::GenerationAcknowledged { generation, gateways, .. } = event else { return None };
    let whole = gateways.iter().eq(before.roster.keys());
    let in_force = *generation == before.generation();
    unless(whole && in_force, || {
        format!("generation {generation}: another one is in force, or a gateway is missing")
    })
}

/// The weight that the rollout's next step wants.
fn wanted(rollout: &Rollout) -> Option<Weight> {
    rollout.step().filter(|_| rollout.running.is_none())?.cut_to()
}

pub(super) fn announced(before: &State, event: &Event) -> Option<String> {
    let Event::CutAnnounced { step, generation, attempt, cut_at, weight, at, .. } = event else {
        return None;
    };
    let rollout = before.current()?;
    let (held, last) = (before.generation(), rollout.cut.as_ref());
    let next = last.map_or(1, |cut| cut.attempt.saturating_add(1));
    unless(*step == rollout.step && wanted(rollout) == Some(*weight), || {
        format!("no step wants a cut to {weight} now")
    })
    .or_else(|| {
        unless(rollout.rechecked == Some(*step), || "the configurations were not checked again".to_owned())
    })
    .or_else(|| unless(before.moved().is_empty(), || "an environment is no longer where it was".to_owned()))
    .or_else(|| {
        unless(before.acknowledged >= rollout.begun, || "not everybody knows the candidate".to_owned())
    })
    .or_else(|| unless(*generation == held, || format!("announced on generation {generation}, not {held}")))
    .or_else(|| unless(*attempt == next, || format!("attempt {attempt}; {next} was next")))
    .or_else(|| unless(cut_at > at, || "announced for a time that has passed".to_owned()))
}

pub(super) fn committed(before: &State, event: &Event) -> Option<String> {
    let Event::CutCommitted { step, schedule, .. } = event else { return None };
    let rollout = before.current();
    let announced = rollout.and_then(|rollout| rollout.cut.as_ref());
    let checked = rollout.is_some_and(|rollout| rollout.rechecked == Some(*step));
    let cut = schedule.cuts().last()?;
    let as_announced = announced.is_some_and(|announced| {
        announced.step == *step
            && announced.cut_at == cut.at
            && announced.weight == cut.weight
            && announced.generation == before.generation()
    });
    unless(as_announced, || format!("a cut to {} at {}, which was not announced", cut.weight, cut.at))
        .or_else(|| unless(checked, || "the configurations were not checked again".to_owned()))
}

pub(super) fn promotion(before: &State, event: &Event) -> Option<String> {
    let (held, rollout) = (before.schedule.as_ref()?, before.current()?);
    let in_turn = rollout.step() == Some(&Step::Promote {}) && rollout.running.is_none();
    match event {
        Event::GenerationIssued { why: GenerationCause::Promotion, .. } => {
            unless(in_turn && held.weight() == Weight::FULL, || {
                "promotion out of turn, or below 100 %".to_owned()
            })
            .or_else(|| {
                let checked = rollout.rechecked == Some(rollout.step);
                unless(checked, || "the configurations were not checked again".to_owned())
            })
            .or_else(|| {
                unless(before.moved().is_empty(), || "an environment is no longer where it was".to_owned())
            })
        }
        Event::Promoted { generation, .. } => {
            let answers = matches!(held.stage(), Stage::Promoted { .. }) && *generation == held.generation();
            let all = before.acknowledged >= Some(*generation);
            unless(in_turn && answers && all, || {
                "promoted before every gateway lets the candidate answer".to_owned()
            })
        }
        _ => None,
    }
}

pub(super) fn finalize(before: &State, event: &Event) -> Option<String> {
    let Event::FinalizeStarted { at, .. } = event else { return None };
    let rollout = before.current()?;
    let in_turn = rollout.step() == Some(&Step::Finalize {}) && rollout.promoted.is_some();
    let settled = before.schedule.as_ref().is_some_and(|schedule| schedule.settled_at() <= *at);
    unless(in_turn && settled, || "finalized out of turn, or before the last cut had settled".to_owned())
}
