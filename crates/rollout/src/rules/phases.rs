//! The order of a rollout's phases.

use crossfade_routing::{BootId, GatewayId};

use super::unless;
use crate::event::{Event, GenerationCause, PauseCause};
use crate::state::{LedgerStatus, Phase, State};
use crate::units::RolloutId;

pub(super) fn one_rollout(before: &State, event: &Event) -> Option<String> {
    let Event::RolloutDrafted { rollout, outline, at, .. } = event else { return None };
    let next = RolloutId::attempt(rollout.name(), before.attempts(rollout.name()).saturating_add(1));
    unless(before.current().is_none(), || format!("{rollout} begins while another rollout runs"))
        .or_else(|| {
            unless(next.as_ref() == Ok(rollout), || format!("{rollout} is not the next attempt's id"))
        })
        .or_else(|| unless(outline.rollout == *rollout, || "the outline is another rollout's".to_owned()))
        .or_else(|| {
            unless(before.active.as_ref() == Some(&outline.from), || "`from` is not active".to_owned())
        })
        .or_else(|| unless(*at >= before.settled_at(), || "the cut before has not settled".to_owned()))
}

pub(super) fn phase(before: &State, event: &Event) -> Option<String> {
    if let Event::GenerationIssued {
        why: GenerationCause::Genesis | GenerationCause::ControlRestarted, ..
    } = event
    {
        return None;
    }
    let of = event.rollout().filter(|_| !matches!(event, Event::RolloutDrafted { .. }));
    if of.is_none() && event.schedule().is_none() {
        return None;
    }
    let Some(rollout) = before.current() else { return Some("no rollout runs".to_owned()) };
    let its_own = of.is_none_or(|of| *of == rollout.id);
    unless(its_own && allows(rollout.phase, event), || {
        format!("not while {} is {}", rollout.id, rollout.phase)
    })
}

fn allows(phase: Phase, event: &Event) -> bool {
    use GenerationCause as Why;
    let account = matches!(
        event,
        Event::LedgerNoted { .. } | Event::LedgerClosed { .. } | Event::LedgerGapDeclared { .. }
    );
    let gate = matches!(event, Event::GateStarted { .. } | Event::GateFinished { .. });
    let person = matches!(event, Event::Paused { .. } | Event::Resumed { .. });
    let before = person || matches!(event, Event::AbortStarted { .. });
    let issued = match event {
        Event::GenerationIssued { why, .. } => Some(*why),
        _ => None,
    };
    match phase {
        Phase::Draft => before || matches!(event, Event::PreflightStarted { .. }),
        Phase::Preflight => before || gate || matches!(event, Event::PreflightPassed { .. }),
        Phase::AwaitingApproval => {
            before
                || matches!(event, Event::ApprovalNotRequired { .. })
                || issued == Some(Why::CandidateNamed)
        }
        Phase::Mirroring | Phase::Shifting { .. } => match issued {
            Some(why) => matches!(why, Why::Mirror | Why::Promotion),
            None => before || account || is_step(event) || gate,
        },
        Phase::Promoted => match issued {
            Some(_) => false,
            None => person || account || is_step(event) || gate,
        },
        Phase::RollingBack => {
            account
                || matches!(issued, Some(Why::Fence | Why::RolledBack))
                || matches!(event, Event::RolledBack { .. })
        }
        Phase::Aborting => account || issued == Some(Why::Abort) || matches!(event, Event::Aborted { .. }),
        Phase::Finalizing => {
            account || issued == Some(Why::Finalize) || matches!(event, Event::Finalized { .. })
        }
        Phase::RolledBack | Phase::Aborted | Phase::Finalized => false,
    }
}

/// What happens while a rollout is live.
fn is_step(event: &Event) -> bool {
    matches!(
        event,
        Event::SnapshotsRetaken { .. }
            | Event::CutAnnounced { .. }
            | Event::CutCommitted { .. }
            | Event::StepStarted { .. }
            | Event::AnalysisRecorded { .. }
            | Event::AnalysisResumed { .. }
            | Event::WindowPassed { .. }
            | Event::ProbeRecorded { .. }
            | Event::VerdictReached { .. }
            | Event::StepEnded { .. }
            | Event::PromoteRequested { .. }
            | Event::Promoted { .. }
            | Event::BakeStarted { .. }
            | Event::FinalizeStarted { .. }
            | Event::Fenced { .. }
            | Event::RollbackStarted { .. }
    )
}

pub(super) fn paused(before: &State, event: &Event) -> Option<String> {
    let paused = before.current().and_then(|rollout| rollout.paused.as_ref());
    match (event, paused) {
        // A graver reason may come on top of a person's.
        (Event::Paused { by, .. }, Some(pause)) => {
            let graver = *by == PauseCause::Analysis {} && pause.by != PauseCause::Analysis {};
            unless(graver, || "paused twice".to_owned())
        }
        (Event::Resumed { .. }, None) => Some("resumed, and was not paused".to_owned()),
        (
            Event::GateStarted { .. } | Event::PreflightPassed { .. } | Event::StepStarted { .. },
            Some(pause),
        ) => {
            // A cut that gateways know of is completed, and its step begins, whatever a person says meanwhile.
            let completed = matches!((event, &pause.by), (Event::StepStarted { .. }, PauseCause::Command {}));
            unless(completed, || "begun while paused".to_owned())
        }
        (
            Event::StepEnded { .. } | Event::FinalizeStarted { .. } | Event::PromoteRequested { .. },
            Some(_),
        ) => Some("goes on while paused".to_owned()),
        (Event::CutAnnounced { attempt: 1, .. }, Some(_)) => Some("announced while paused".to_owned()),
        _ => None,
    }
}

pub(super) fn abort(before: &State, event: &Event) -> Option<String> {
    let aborted = matches!(event, Event::AbortStarted { .. });
    let cut = before.current().is_some_and(|rollout| rollout.last_cut.is_some());
    unless(!aborted || !cut, || "aborted after a cut".to_owned())
}

pub(super) fn ledgers(before: &State, event: &Event) -> Option<String> {
    match event {
        Event::LedgerNoted { gateway, boot, .. }
        | Event::LedgerClosed { gateway, boot, .. }
        | Event::LedgerGapDeclared { gateway, boot, .. }
            if !is_open(before, gateway, boot) =>
        {
            Some(format!("accounts of {gateway} ({boot}), which holds none"))
        }
        Event::LedgerClosed { gateway, rows, balanced, .. } => {
            let adds_up = rows.iter().all(crossfade_routing::sync::LedgerRow::is_balanced);
            unless(adds_up && *balanced, || format!("the accounts of {gateway} do not balance"))
        }
        Event::RolledBack { .. } | Event::Aborted { .. } | Event::Finalized { .. } => {
            let ledgers = before.current().into_iter().flat_map(|rollout| &rollout.ledgers);
            let mut boots =
                ledgers.flat_map(|(gateway, boots)| boots.iter().map(move |boot| (gateway, boot)));
            let (gateway, (boot, _)) = boots.find(|(_, (_, ledger))| ledger.status == LedgerStatus::Open)?;
            Some(format!("no closing accounts of {gateway} ({boot})"))
        }
        _ => None,
    }
}

fn is_open(before: &State, gateway: &GatewayId, boot: &BootId) -> bool {
    let ledger = before.current().and_then(|rollout| rollout.ledgers.get(gateway)?.get(boot));
    ledger.is_some_and(|ledger| ledger.status == LedgerStatus::Open)
}

/// The last schedule is the one that this end calls for.
pub(super) fn ended(before: &State, event: &Event) -> Option<String> {
    let active = match event {
        Event::RolledBack { .. } | Event::Aborted { .. } => &before.current()?.outline.from,
        Event::Finalized { active, .. } => active,
        _ => return None,
    };
    let schedule = before.schedule.as_ref()?;
    let alone = schedule.to().is_none() && schedule.from() == active;
    unless(alone, || format!("ended while generation {} still knows two environments", schedule.generation()))
}
