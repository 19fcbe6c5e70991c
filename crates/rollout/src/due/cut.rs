//! One cut: configurations digested again, announced, acknowledged, committed, come.

use std::time::Duration;

use crossfade_routing::{Cut, Schedule, Verdict, Weight};

use super::{Cx, Flow, NEXT, Out, watch, way_back};
use crate::decide::changed;
use crate::event::{Alert, Event, GenerationCause};
use crate::observed::{Effect, Waiting};
use crate::state::PendingCut;

/// How far ahead a cut is announced, beside twice the clock error: gateways hear of it within a round trip.
const LEAD: Duration = Duration::from_millis(300);
/// Each further attempt doubles the lead, up to 2^7 times.
const DOUBLINGS_MAX: u32 = 7;
/// From this attempt on, gateways in touch have had their chance: the time is chosen such that nobody need answer.
const SURE_FROM: u32 = 4;

/// A weight step that does not run yet.
pub(super) fn weight(cx: &Cx<'_>, out: &mut Out<'_>, schedule: &Schedule, weight: Weight) -> Flow {
    if schedule.weight() >= weight {
        return come(cx, out, schedule);
    }
    if cx.state.issued_by != cx.state.control {
        // Announcements of an earlier control plane may still be on their way: under a new generation they are void.
        let again = Ok(schedule.reissued());
        return out.issue(again, GenerationCause::ControlRestarted, cx.now, |issued| vec![issued]);
    }
    if let Some(pending) = &cx.rollout.cut {
        return announced(cx, out, schedule, pending);
    }
    if cx.is_paused(out) {
        return NEXT;
    }
    if schedule.mirror() > Weight::ZERO {
        // The candidate owns what it receives from here on; what was mirrored is not its.
        let owned = schedule.mirrored(Weight::ZERO);
        return out.issue(owned, GenerationCause::Mirror, cx.now, |issued| vec![issued]);
    }
    if let Some(generation) = cx.rollout.begun.filter(|begun| cx.state.acknowledged < Some(*begun)) {
        // Until every gateway knows the candidate, "both" is not both.
        return out.wait(Waiting::Acknowledgements { generation, gateways: cx.fleet.behind(generation) });
    }
    let (gateways, until) = cx.fleet.silent();
    if !gateways.is_empty() && cx.now < until {
        return out.wait(Waiting::Horizon { gateways, until });
    }
    if cx.state.alerts.contains_key(&Alert::ClockOff) {
        // An announcement that is acknowledged before the cut by one clock may be late by the other.
        return out.wait(Waiting::Clock {});
    }
    if !rechecked(cx, out)? {
        return NEXT;
    }
    announce(cx, out, schedule, weight, 1, cx.now)
}

/// Whether the configurations are still those of the plan; finds out if that is not known for this step.
pub(super) fn rechecked(cx: &Cx<'_>, out: &mut Out<'_>) -> std::ops::ControlFlow<(), bool> {
    let (rollout, step) = (cx.rollout.id.clone(), cx.rollout.step);
    if cx.rollout.rechecked == Some(step) {
        return std::ops::ControlFlow::Continue(true);
    }
    let fresh = cx.observed.snapshots.as_ref().filter(|seen| seen.rollout == rollout && seen.step == step);
    let Some(seen) = fresh else {
        out.effect(Effect::Resnapshot { rollout, step });
        out.note(Waiting::Snapshots {});
        return std::ops::ControlFlow::Continue(false);
    };
    let changed = changed(&seen.planned, &seen.now);
    let taken = Event::SnapshotsRetaken { rollout, step, changed: changed.clone(), at: cx.now };
    let consequence = way_back::changed(cx, changed);
    out.record([taken].into_iter().chain(consequence).collect())?;
    std::ops::ControlFlow::Continue(false)
}

fn announce(
    cx: &Cx<'_>,
    out: &mut Out<'_>,
    schedule: &Schedule,
    weight: Weight,
    attempt: u32,
    not_before: crossfade_routing::UnixNanos,
) -> Flow {
    let lead =
        (LEAD + schedule.window().gamma() * 2) * 2_u32.pow(attempt.saturating_sub(1).min(DOUBLINGS_MAX));
    let cut_at = cx.now.plus(lead).max(not_before).max(schedule.earliest_cut());
    let (rollout, step, generation) = (cx.rollout.id.clone(), cx.rollout.step, schedule.generation());
    out.record(vec![Event::CutAnnounced { rollout, step, generation, attempt, cut_at, weight, at: cx.now }])
}

/// An announced cut goes on even while the rollout is paused: gateways have set their edge to it.
fn announced(cx: &Cx<'_>, out: &mut Out<'_>, schedule: &Schedule, pending: &PendingCut) -> Flow {
    let PendingCut { generation, attempt, cut_at, weight, .. } = *pending;
    out.effect(Effect::AnnounceCut { generation, cut_at, weight });
    let verdict = cx.observed.cut.as_ref().filter(|seen| seen.cut_at == cut_at).map(|seen| &seen.verdict);
    match verdict {
        None | Some(Verdict::Idle) => {
            out.wait(Waiting::CutAcknowledgements { gateways: Vec::new(), until: None })
        }
        Some(Verdict::WaitFor { gateways, until }) => {
            let gateways = gateways.iter().cloned().collect();
            out.wait(Waiting::CutAcknowledgements { gateways, until: Some(*until) })
        }
        Some(Verdict::Commit { at }) => commit(cx, out, schedule, Cut { at: *at, weight }),
        Some(Verdict::Reannounce { not_before, sure, .. }) => {
            let attempt = attempt.saturating_add(1);
            let sure = sure.filter(|_| attempt >= SURE_FROM);
            announce(cx, out, schedule, weight, attempt, sure.unwrap_or(*not_before))
        }
    }
}

fn commit(cx: &Cx<'_>, out: &mut Out<'_>, schedule: &Schedule, cut: Cut) -> Flow {
    let (rollout, step, at) = (cx.rollout.id.clone(), cx.rollout.step, cx.now);
    match schedule.cut(cut) {
        Ok(next) => out.record(vec![Event::CutCommitted { rollout, step, schedule: Box::new(next), at }]),
        Err(error) => out.wait(Waiting::Schedule { why: error.to_string() }),
    }
}

/// A committed cut: its step begins with its instant.
fn come(cx: &Cx<'_>, out: &mut Out<'_>, schedule: &Schedule) -> Flow {
    match cx.rollout.last_cut.filter(|cut| cx.now < cut.at) {
        Some(cut) => out.wait(Waiting::CutInstant { cut_at: cut.at }),
        None => watch::begin(cx, out, schedule, Vec::new()),
    }
}
