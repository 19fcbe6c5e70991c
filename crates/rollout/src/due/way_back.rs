//! Ways back: found here, before anything else is decided, and never kept waiting by the log.

use crossfade_routing::sync::{Fence, FenceCause};
use crossfade_routing::{GatewayId, Schedule};

use super::{Cx, Flow, NEXT, Out, watch};
use crate::assess::{Assessment, name};
use crate::event::{AbortReason, Event, Outcome, PauseCause, RollbackReason};
use crate::evolve::evolve;
use crate::observed::Effect;
use crate::spec::OnFailure;
use crate::state::{Phase, Running};
use crate::units::brief;

/// A gateway has fenced by itself: one gateway's fence rolls the rollout back.
pub(super) fn reported(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    let Some(schedule) = cx.schedule().filter(|_| cx.rollout.phase.is_live()) else { return NEXT };
    let Some((gateway, fence)) = fences(cx, schedule).next() else { return NEXT };
    let mut fence = fence.clone();
    if let FenceCause::Breaker { detail } | FenceCause::Command { actor: detail } = &mut fence.cause {
        *detail = brief(std::mem::take(detail));
    }
    let why = match &fence.cause {
        FenceCause::Command { actor } => format!("by command of {actor}"),
        FenceCause::Verdict {} => "by a verdict".to_owned(),
        FenceCause::Breaker { detail } => format!("its breaker: {detail}"),
    };
    let (rollout, at) = (cx.rollout.id.clone(), cx.now);
    let reported = Event::Fenced { rollout, gateway: gateway.clone(), fence: fence.clone(), at };
    let reason = RollbackReason::Fence { gateway: gateway.clone(), why };
    out.effect(Effect::Fence { fence });
    let back = rollback(cx, reason, &[]);
    out.record_emergency(vec![reported, back])
}

/// The fences that rostered gateways report for this rollout.
fn fences<'a>(cx: &Cx<'a>, schedule: &Schedule) -> impl Iterator<Item = (&'a GatewayId, &'a Fence)> {
    let reported =
        cx.fleet.members().filter_map(|(gateway, seen)| Some((gateway, seen?.report.fence.as_ref()?)));
    reported.filter(|(_, fence)| fence.applies_to(schedule))
}

/// `before`: what goes on the record ahead of it.
fn rollback(cx: &Cx<'_>, reason: RollbackReason, before: &[Event]) -> Event {
    let lossless = before.iter().fold(cx.state.clone(), evolve).is_lossless();
    Event::RollbackStarted { rollout: cx.rollout.id.clone(), reason, lossless, at: cx.now }
}

/// The analysis has failed: back, or hold, as the spec says.
pub(super) fn failed(cx: &Cx<'_>, out: &mut Out<'_>, assessment: Assessment) -> Flow {
    if matches!(cx.rollout.paused.as_ref().map(|pause| &pause.by), Some(PauseCause::Analysis {})) {
        return NEXT;
    }
    let why = assessment.why.clone();
    let mut events = watch::counts(cx);
    events.push(watch::verdict(cx, assessment));
    consequence(cx, out, events, why)
}

/// A failed verdict is on the record, and what follows from it is not: the control plane ended between the two.
pub(super) fn failed_before(cx: &Cx<'_>, out: &mut Out<'_>, running: &Running) -> Flow {
    if running.verdict == Some(Outcome::Fail) && cx.rollout.paused.is_none() {
        return consequence(cx, out, Vec::new(), before_the_restart(running));
    }
    NEXT
}

/// What the readings on record say against the candidate. If none of them fails, the verdict did not come in time.
fn before_the_restart(running: &Running) -> String {
    let says = |outcome| {
        let readings = running.readings.iter().filter(move |reading| reading.outcome == outcome);
        readings.map(|reading| format!("{}: {}", name(reading.metric), reading.text)).collect::<Vec<_>>()
    };
    let mut found = says(Outcome::Fail);
    if found.is_empty() {
        found = says(Outcome::NoVerdict);
        found.insert(0, "no verdict in time".to_owned());
    }
    format!("{} (found before a restart)", found.join("; "))
}

fn consequence(cx: &Cx<'_>, out: &mut Out<'_>, mut events: Vec<Event>, why: String) -> Flow {
    if cx.rollout.outline.on_failure == OnFailure::Hold {
        let by = PauseCause::Analysis {};
        events.push(Event::Paused { rollout: cx.rollout.id.clone(), by, at: cx.now });
        return out.record(events);
    }
    go_back(cx, out, events, RollbackReason::Verdict { why })
}

/// Goes back at once, whatever the log does. `events`: what goes on the record ahead of it.
pub(super) fn go_back(
    cx: &Cx<'_>,
    out: &mut Out<'_>,
    mut events: Vec<Event>,
    reason: RollbackReason,
) -> Flow {
    let back = rollback(cx, reason, &events);
    events.push(back);
    let generation = cx.state.generation();
    let rollout = cx.rollout.id.to_string();
    out.effect(Effect::Fence {
        fence: Fence { rollout, generation, at: cx.now, cause: FenceCause::Verdict {} },
    });
    out.record_emergency(events)
}

/// An environment is no longer where it was when the rollout was planned: nothing that was found out about it still holds.
pub(super) fn moved(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    let open = matches!(cx.rollout.phase, Phase::Draft | Phase::Preflight | Phase::AwaitingApproval);
    let moved = cx.state.moved();
    if moved.is_empty() || !(open || cx.rollout.phase.is_live()) {
        return NEXT;
    }
    if cx.rollout.paused.is_some() && cx.rollout.outline.on_failure == OnFailure::Hold {
        return NEXT;
    }
    let (rollout, step) = (cx.rollout.id.clone(), cx.rollout.step);
    let found = Event::SnapshotsRetaken { rollout, step, changed: moved.clone(), at: cx.now };
    // Before that there is nothing to look at again.
    let found = Some(found).filter(|_| cx.rollout.phase.is_live());
    let consequence = changed(cx, moved);
    let back = matches!(consequence, Some(Event::RollbackStarted { .. }));
    let events = found.into_iter().chain(consequence).collect();
    if back { out.record_emergency(events) } else { out.record(events) }
}

/// What follows from configurations that are no longer the plan's.
pub(super) fn changed(cx: &Cx<'_>, changed: Vec<String>) -> Option<Event> {
    if changed.is_empty() {
        return None;
    }
    let (rollout, at) = (cx.rollout.id.clone(), cx.now);
    Some(match cx.rollout.outline.on_failure {
        OnFailure::Hold => Event::Paused { rollout, by: PauseCause::Snapshots {}, at },
        OnFailure::Rollback if cx.rollout.last_cut.is_none() => {
            Event::AbortStarted { rollout, reason: AbortReason::Snapshots { changed }, at }
        }
        OnFailure::Rollback => rollback(cx, RollbackReason::Snapshots { changed }, &[]),
    })
}
