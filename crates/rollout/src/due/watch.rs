//! What is counted while a step runs, and what of it is put on the record.

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_routing::sync::LedgerRow;
use crossfade_routing::{BootId, EnvironmentId, GatewayId, Generation, Schedule, UnixNanos};

use super::{Cx, Flow, NEXT, Out};
use crate::assess::{Assessment, Look, assess, carry};
use crate::event::Event;
use crate::evolve::record_counts;
use crate::numbers::{Arms, Counts, LogE};
use crate::observed::{Effect, GatewaySeen, Waiting};
use crate::plan::Outline;
use crate::spec::Metric;
use crate::state::{Ledger, LedgerStatus, Rollout, Running, State, Tally};

/// How often counts go on the record while a step runs.
const RECORD_EVERY: Duration = Duration::from_secs(30);

/// What one report says of both arms in one generation.
fn arms(outline: &Outline, seen: &GatewaySeen, generation: Generation) -> Arms {
    let count = |environment: &EnvironmentId| {
        let arm =
            seen.report.arms.iter().find(|a| a.generation == generation && a.environment == *environment);
        let row =
            seen.report.ledger.iter().find(|r| r.generation == generation && r.environment == *environment);
        Counts::reported(arm, row)
    };
    Arms { from: count(&outline.from), to: count(&outline.to) }
}

/// The counts on the record, brought up to date with what gateways report now.
fn tallies(cx: &Cx<'_>, generation: Generation) -> BTreeMap<GatewayId, Tally> {
    let mut tallies = cx.rollout.tallies.clone();
    tallies.retain(|_, tally| tally.generation == generation);
    for seen in on_record(cx) {
        let counts = arms(&cx.rollout.outline, seen, generation);
        let (gateway, boot) = (&seen.report.gateway, &seen.report.boot);
        record_counts(&mut tallies, gateway, boot, generation, &counts, seen.received_at);
    }
    tallies
}

/// The reports of gateways whose boot is on the record. While the log takes nothing, a gateway may be started again that it does
/// not know of: what that one counts can neither be recorded nor, then, be judged.
fn on_record<'a>(cx: &'a Cx<'_>) -> impl Iterator<Item = &'a GatewaySeen> {
    let known = |seen: &&GatewaySeen| {
        cx.state.roster.get(&seen.report.gateway).and_then(Option::as_ref) == Some(&seen.report.boot)
    };
    cx.fleet.members().filter_map(|(_, seen)| seen).filter(known)
}

/// The judgement at this look; `None` for a step in which nothing can be compared.
pub(super) fn look(cx: &Cx<'_>, running: &Running) -> Option<Assessment> {
    let outline = &cx.rollout.outline;
    outline.is_analysed(cx.rollout.step).then(|| {
        let look = looked_at(&tallies(cx, running.generation), running);
        let mut judged = assess(outline, &cx.rollout.carried, &look);
        if running.tested.is_some() {
            judged.why.push_str("; counted after the cut's window");
        }
        if running.gaps > 0 {
            judged.why.push_str(&format!("; {} declared gaps in the counts", running.gaps));
        }
        judged
    })
}

/// Requests of the candidate in this step.
pub(super) fn requests(cx: &Cx<'_>, running: &Running) -> u64 {
    step_arms(&tallies(cx, running.generation), &running.baseline).to.requests
}

/// What is judged of these counts.
pub(crate) fn looked_at(tallies: &BTreeMap<GatewayId, Tally>, running: &Running) -> Look {
    let arms = step_arms(tallies, &running.baseline);
    let untested = step_arms(tallies, running.tested.as_ref().unwrap_or(&running.baseline));
    Look { arms, untested, probe: running.probe }
}

/// While the window of the last cut is open, most traffic goes to both environments, and afterwards only the weight's share
/// goes to the candidate: a burst of failures that both share weighs otherwise in either part. So each has its own test.
pub(super) fn window(cx: &Cx<'_>, out: &mut Out<'_>, running: &Running, assessment: &Assessment) -> Flow {
    if cx.state.window_passes().is_none_or(|until| cx.now < until) {
        return NEXT;
    }
    let mut events = counts_in(cx, running.generation);
    let (rollout, step, carried) = (cx.rollout.id.clone(), cx.rollout.step, carry(assessment));
    events.push(Event::WindowPassed { rollout, step, carried, at: cx.now });
    out.record(events)
}

/// All gateways together, less what is not the step's.
fn step_arms(tallies: &BTreeMap<GatewayId, Tally>, baseline: &BTreeMap<GatewayId, Arms>) -> Arms {
    let nothing = Arms::default();
    tallies.iter().fold(Arms::default(), |sum, (gateway, tally)| {
        let baseline = baseline.get(gateway).unwrap_or(&nothing);
        sum.plus(&tally.total().since(baseline))
    })
}

/// A step begins, with `before` ahead of it. What was counted so far goes on the record, and is not the step's.
pub(super) fn begin(cx: &Cx<'_>, out: &mut Out<'_>, schedule: &Schedule, before: Vec<Event>) -> Flow {
    let (rollout, step, generation) = (cx.rollout.id.clone(), cx.rollout.step, schedule.generation());
    let mut events = counts_in(cx, generation);
    events.extend(accounts(cx));
    events.extend(before);
    events.push(Event::StepStarted { rollout, step, generation, at: cx.now });
    out.record(events)
}

/// Counts and accounts, every so often.
pub(super) fn record(cx: &Cx<'_>, out: &mut Out<'_>, running: &Running) -> Flow {
    if cx.now < running.recorded_at.plus(RECORD_EVERY) {
        return NEXT;
    }
    let events = counts(cx);
    if events.is_empty() { NEXT } else { out.record(events) }
}

/// Everything that is counted, for the record.
pub(super) fn counts(cx: &Cx<'_>) -> Vec<Event> {
    let generation = cx.rollout.running.as_ref().map(|running| running.generation);
    let mut events = generation.map(|generation| counts_in(cx, generation)).unwrap_or_default();
    events.extend(accounts(cx));
    events
}

fn counts_in(cx: &Cx<'_>, generation: Generation) -> Vec<Event> {
    on_record(cx).map(|seen| recorded(cx.rollout, seen, generation, cx.now)).collect()
}

fn recorded(rollout: &Rollout, seen: &GatewaySeen, generation: Generation, at: UnixNanos) -> Event {
    Event::AnalysisRecorded {
        rollout: rollout.id.clone(),
        step: rollout.step,
        generation,
        gateway: seen.report.gateway.clone(),
        boot: seen.report.boot.clone(),
        counts: arms(&rollout.outline, seen, generation),
        seen: seen.received_at,
        at,
    }
}

/// Span accounts that have changed since they were last put on the record.
fn accounts(cx: &Cx<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    for seen in cx.fleet.members().filter_map(|(_, seen)| seen) {
        let (gateway, boot) = (&seen.report.gateway, &seen.report.boot);
        let ledger = cx.rollout.ledgers.get(gateway).and_then(|boots| boots.get(boot));
        let rows = rows(cx.rollout, seen);
        if ledger.is_some_and(|ledger| ledger.status == LedgerStatus::Open && ledger.rows != rows) {
            let (rollout, gateway, boot) = (cx.rollout.id.clone(), gateway.clone(), boot.clone());
            events.push(Event::LedgerNoted { rollout, gateway, boot, rows, at: cx.now });
        }
    }
    events
}

/// The rows of this rollout: from the generation that named the candidate, up to the one that ends it.
pub(super) fn rows(rollout: &Rollout, seen: &GatewaySeen) -> Vec<LedgerRow> {
    let begun = rollout.begun.unwrap_or(Generation(u64::MAX));
    let end = rollout.ending_generation.unwrap_or(Generation(u64::MAX));
    let its = |row: &&LedgerRow| row.generation >= begun && row.generation < end;
    seen.report.ledger.iter().filter(its).cloned().collect()
}

/// The accounts of a boot that is over: final if it said so in order, else a gap.
pub(super) fn close(
    rollout: &Rollout,
    gateway: &GatewayId,
    boot: &BootId,
    ledger: &Ledger,
    last: Option<&GatewaySeen>,
    now: UnixNanos,
) -> Event {
    let (id, gateway, boot) = (rollout.id.clone(), gateway.clone(), boot.clone());
    if let Some(seen) = last.filter(|seen| seen.report.drained) {
        return closed(rollout, seen, now);
    }
    let last_known = last.map_or_else(|| ledger.rows.clone(), |seen| rows(rollout, seen));
    let from = last_heard(rollout, &gateway, &boot, ledger, last);
    Event::LedgerGapDeclared { rollout: id, gateway, boot, last_known, from, until: now, at: now }
}

/// Up to when a boot that did not close its accounts is known: accounts and counts are put on the record together.
fn last_heard(
    rollout: &Rollout,
    gateway: &GatewayId,
    boot: &BootId,
    ledger: &Ledger,
    last: Option<&GatewaySeen>,
) -> UnixNanos {
    let recorded = rollout.tallies.get(gateway).filter(|tally| tally.boot == *boot).map(|tally| tally.seen);
    last.map(|seen| seen.received_at).or(recorded).unwrap_or(ledger.at)
}

pub(super) fn closed(rollout: &Rollout, seen: &GatewaySeen, at: UnixNanos) -> Event {
    let rows = rows(rollout, seen);
    let balanced = rows.iter().all(LedgerRow::is_balanced);
    let (gateway, boot) = (seen.report.gateway.clone(), seen.report.boot.clone());
    Event::LedgerClosed { rollout: rollout.id.clone(), gateway, boot, rows, balanced, at }
}

/// What a boot that is over had counted when it last reported.
pub(super) fn last_words(
    state: &State,
    rollout: &Rollout,
    last: Option<&GatewaySeen>,
    now: UnixNanos,
) -> Option<Event> {
    let running = rollout.running.as_ref()?;
    let seen = last?;
    let tally = rollout.tallies.get(&seen.report.gateway);
    let departed = state.departed.get(&seen.report.gateway);
    let earlier = |boot: &BootId| departed.is_some_and(|boots| boots.contains(boot));
    // Once counts of a later boot are on the record, those of this one are summed up.
    let open = tally.is_none_or(|tally| tally.boot == seen.report.boot || earlier(&tally.boot));
    (open && state.roster.contains_key(&seen.report.gateway))
        .then(|| recorded(rollout, seen, running.generation, now))
}

/// What the declared gap means for a step that runs; nothing if the former boot ended in order.
pub(super) fn resumed(
    rollout: &Rollout,
    gateway: &GatewayId,
    lost: &BootId,
    boot: &BootId,
    ledger: &Ledger,
    last: Option<&GatewaySeen>,
    now: UnixNanos,
) -> Option<Event> {
    if rollout.running.is_none() || last.is_some_and(|seen| seen.report.drained) {
        return None;
    }
    let from = last_heard(rollout, gateway, lost, ledger, last);
    let (rollout, step, gateway) = (rollout.id.clone(), rollout.step, gateway.clone());
    let (lost, boot) = (lost.clone(), boot.clone());
    Some(Event::AnalysisResumed { rollout, step, gateway, lost, boot, from, until: now, at: now })
}

pub(super) fn verdict(cx: &Cx<'_>, assessment: Assessment) -> Event {
    let Assessment { outcome, why, readings, first_failure } = assessment;
    let (rollout, step, at) = (cx.rollout.id.clone(), cx.rollout.step, cx.now);
    Event::VerdictReached { rollout, step, outcome, why, readings, first_failure, at }
}

/// The evidence of the steps before, as it goes on unchanged.
pub(super) fn carried(rollout: &Rollout) -> Vec<LogE> {
    rollout.carried.iter().map(|(metric, ln_e)| LogE { metric: *metric, ln_e_nano: ln_e.0 }).collect()
}

/// Rounds of probe traces, while the step runs.
pub(super) fn probe(cx: &Cx<'_>, out: &mut Out<'_>, running: &Running) -> Flow {
    let metrics = cx.rollout.outline.analysis.metrics.iter();
    let mut wanted = metrics.filter_map(|metric| match metric {
        Metric::ProbeFailures { traces, every, .. } => Some((*traces, every.0)),
        _ => None,
    });
    let Some((traces, every)) = wanted.next_back() else { return NEXT };
    let next = running.probe.last.map_or(running.at, |last| last.plus(every));
    if cx.now < next || !cx.rollout.outline.is_analysed(cx.rollout.step) {
        return NEXT;
    }
    let (rollout, step, round) =
        (cx.rollout.id.clone(), cx.rollout.step, running.probe.rounds.saturating_add(1));
    let seen = cx.observed.probe.as_ref();
    match seen.filter(|seen| seen.rollout == rollout && seen.step == step && seen.round == round) {
        None => {
            out.effect(Effect::Probe { rollout, step, round, traces });
            out.wait(Waiting::Probe { round })
        }
        Some(seen) => {
            let (traces, failed, evidence, at) = (seen.traces, seen.failed, seen.evidence, cx.now);
            out.record(vec![Event::ProbeRecorded { rollout, step, round, traces, failed, evidence, at }])
        }
    }
}
