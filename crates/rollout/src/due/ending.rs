//! The end, whichever: the last generation, everybody's acknowledgement, everybody's closing accounts.

use std::time::Duration;

use crossfade_routing::sync::LedgerRow;
use crossfade_routing::{BootId, GatewayId, Generation, Stage, UnixNanos};

use super::{Cx, Flow, NEXT, Out, watch};
use crate::event::{Event, GenerationCause};
use crate::observed::{Effect, GatewaySeen, Waiting};
use crate::state::{Ledger, LedgerStatus, Phase};

/// How long closing accounts are waited for before a gap is declared.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn end(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    if cx.rollout.phase == Phase::RollingBack {
        fence(cx, out);
    }
    last_generation(cx, out)?;
    if !accounts_closed(cx, out)? {
        return NEXT;
    }
    finish(cx, out)
}

/// The fence, until every gateway on the roster has confirmed it.
fn fence(cx: &Cx<'_>, out: &mut Out<'_>) {
    let Some(fence) = &cx.rollout.fence else { return };
    let confirmed = |seen: &GatewaySeen| {
        let fenced = seen.report.fence.as_ref().is_some_and(|reported| reported.rollout == fence.rollout);
        let taken = cx.rollout.ending_generation;
        fenced || taken.is_some() && seen.report.ack.map(|ack| ack.generation) >= taken
    };
    let open = cx.fleet.members().filter(|(_, seen)| !seen.is_some_and(confirmed));
    let gateways: Vec<GatewayId> = open.map(|(gateway, _)| gateway.clone()).collect();
    if !gateways.is_empty() {
        out.effect(Effect::Fence { fence: fence.clone() });
        out.note(Waiting::Fences { gateways });
    }
}

/// The generation that ends the rollout. Finalizing has issued it already.
fn last_generation(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    let Some(schedule) = cx.schedule().filter(|_| cx.rollout.begun.is_some()) else { return NEXT };
    if cx.rollout.ending_generation.is_some() {
        return NEXT;
    }
    match cx.rollout.phase {
        Phase::RollingBack => {
            out.issue(schedule.fenced(), GenerationCause::Fence, cx.now, |issued| vec![issued])
        }
        Phase::Aborting => {
            out.issue(schedule.aborted(), GenerationCause::Abort, cx.now, |issued| vec![issued])
        }
        _ => NEXT,
    }
}

/// Every boot that ever held this rollout has closed its accounts, or their gap is declared.
fn accounts_closed(cx: &Cx<'_>, out: &mut Out<'_>) -> std::ops::ControlFlow<(), bool> {
    let deadline = cx.rollout.ending.unwrap_or(cx.now).plus(PATIENCE);
    let mut waiting = Vec::new();
    let mut events = Vec::new();
    for (gateway, boot, ledger) in open(cx) {
        let seen =
            cx.observed.gateways.iter().find(|s| s.report.gateway == *gateway && s.report.boot == *boot);
        match seen.filter(|seen| is_closed(cx, seen)) {
            Some(seen) => events.push(watch::closed(cx.rollout, seen, cx.now)),
            None if cx.now >= deadline || !cx.state.roster.contains_key(gateway) => {
                events.push(watch::close(cx.rollout, gateway, boot, ledger, seen, cx.now));
            }
            None => waiting.push(gateway.clone()),
        }
    }
    if !events.is_empty() {
        out.record(events)?;
        return std::ops::ControlFlow::Continue(false);
    }
    if !waiting.is_empty() {
        out.effect(Effect::CloseLedgers { rollout: cx.rollout.id.clone(), gateways: waiting.clone() });
        out.note(Waiting::Ledgers { gateways: waiting, until: deadline });
        return std::ops::ControlFlow::Continue(false);
    }
    std::ops::ControlFlow::Continue(true)
}

fn open<'a>(cx: &Cx<'a>) -> impl Iterator<Item = (&'a GatewayId, &'a BootId, &'a Ledger)> {
    let boots = cx.rollout.ledgers.iter();
    let boots =
        boots.flat_map(|(gateway, boots)| boots.iter().map(move |(boot, ledger)| (gateway, boot, ledger)));
    boots.filter(|(_, _, ledger)| ledger.status == LedgerStatus::Open)
}

/// The boot has gone over to the last generation, and nothing of this rollout is queued any more.
fn is_closed(cx: &Cx<'_>, seen: &GatewaySeen) -> bool {
    let over = seen.report.ack.map(|ack| ack.generation) >= cx.rollout.ending_generation;
    let queued = |row: &LedgerRow| row.queued > 0;
    let ended: Option<Generation> = cx.rollout.ending_generation;
    seen.report.drained || ended.is_some() && over && !watch::rows(cx.rollout, seen).iter().any(queued)
}

fn finish(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    let (rollout, at): (_, UnixNanos) = (cx.rollout.id.clone(), cx.now);
    match (cx.rollout.phase, cx.schedule()) {
        (Phase::RollingBack, Some(schedule)) if schedule.stage() == (Stage::Fenced {}) => {
            let over = Event::RolledBack { rollout, at };
            out.issue(schedule.rolled_back(), GenerationCause::RolledBack, at, |issued| vec![issued, over])
        }
        (Phase::Aborting, _) => out.record(vec![Event::Aborted { rollout, at }]),
        (Phase::Finalizing, _) => {
            let active = cx.rollout.outline.to.clone();
            out.record(vec![Event::Finalized { rollout, active, at }])
        }
        _ => NEXT,
    }
}
