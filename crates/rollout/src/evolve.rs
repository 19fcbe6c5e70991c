//! Events to state: the fold that is all there is to the state.

use std::collections::BTreeMap;

use crossfade_routing::sync::{Fence, FenceCause, LedgerRow};
use crossfade_routing::{BootId, GatewayId, Generation, Schedule, UnixNanos};

use crate::event::{Event, GenerationCause, Outcome, PauseCause, RollbackReason, StepEnd, StepIndex};
use crate::numbers::{Arms, LogE};
use crate::plan::Outline;
use crate::state::{
    Answers, GateRun, GateStatus, Genesis, Ledger, LedgerStatus, LnE, PastRollout, Pause, PendingCut, Phase,
    Probes, Rollout, Running, State, StepRecord, Tally,
};
use crate::units::{Digest, RolloutId};

/// How many former boots of a gateway are remembered.
const DEPARTED_MAX: usize = 16;

/// The state after all of these events.
#[must_use]
pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    events.into_iter().fold(State::default(), evolve)
}

/// The state after one more event. Total: an event that the rules forbid is folded as well as it can be, and
/// [`crate::rules`] says so.
#[must_use]
pub fn evolve(mut state: State, event: &Event) -> State {
    match event {
        Event::Genesis { origin, active, site, at } => {
            state.genesis = Some(Genesis { origin: origin.clone(), site: *site, at: *at });
            state.active = Some(active.clone());
        }
        Event::ControlStarted { boot, environments, .. } => {
            state.control = Some(boot.clone());
            state.environments = environments.clone();
            void_running_gates(&mut state);
            // What an earlier life saw of the configurations may be long ago.
            state.rollout.iter_mut().for_each(|rollout| rollout.rechecked = None);
        }
        Event::ControlStopped { .. } => state.control = None,
        Event::GatewayRostered { gateway, .. } => {
            state.roster.entry(gateway.clone()).or_default();
            state.struck.remove(gateway);
        }
        Event::GatewayStruck { gateway, .. } => {
            state.roster.remove(gateway);
            state.struck.insert(gateway.clone());
        }
        Event::GatewayBooted { gateway, boot, at } => booted(&mut state, gateway, boot, *at),
        Event::HorizonWatermark { until, .. } => state.watermark = state.watermark.max(Some(*until)),
        Event::AlertRaised { alert, at, .. } => {
            state.alerts.entry(*alert).or_insert(*at);
        }
        Event::AlertCleared { alert, .. } => {
            state.alerts.remove(alert);
        }
        Event::AccessDenied { .. }
        | Event::ReadsCounted { .. }
        | Event::EmergencyMerged { .. }
        | Event::StateRecorded { .. } => {}
        Event::RolloutDrafted { rollout, plan, outline, at } => {
            let mut drafted = drafted(rollout, *plan, outline, *at);
            drafted.environments = state.environments.clone();
            drafted.environments.retain(|id, _| [&outline.from, &outline.to].contains(&id));
            state.rollout = Some(drafted);
        }
        Event::GenerationIssued { schedule, why, at } => issued(&mut state, schedule, *why, *at),
        Event::CutCommitted { schedule, .. } => committed(&mut state, schedule),
        Event::GenerationAcknowledged { generation, .. } => {
            state.acknowledged = state.acknowledged.max(Some(*generation));
        }
        _ => {
            let State { rollout, past, active, schedule, .. } = &mut state;
            if let Some(rollout) = rollout.as_mut().filter(|r| Some(&r.id) == event.rollout()) {
                let generation = schedule.as_ref().map_or(Generation(0), Schedule::generation);
                in_rollout(rollout, event, generation);
                if let Some(ended) = rollout.ended.filter(|_| rollout.phase.is_final()) {
                    if rollout.phase == Phase::Finalized {
                        *active = Some(rollout.outline.to.clone());
                    }
                    past.push(past_rollout(rollout, ended));
                }
            }
        }
    }
    state
}

fn void_running_gates(state: &mut State) {
    let gates = state.rollout.iter_mut().flat_map(all_gates);
    gates.filter(|gate| gate.status == GateStatus::Running).for_each(|gate| gate.status = GateStatus::Void);
}

/// Gates in preflight, and in steps.
fn all_gates(rollout: &mut Rollout) -> impl Iterator<Item = &mut GateRun> {
    rollout.gates.values_mut().chain(rollout.step_gates.values_mut().flat_map(BTreeMap::values_mut))
}

fn booted(state: &mut State, gateway: &GatewayId, boot: &BootId, at: UnixNanos) {
    let former = state.roster.get_mut(gateway).and_then(|last| last.replace(boot.clone()));
    if let Some(former) = former {
        let departed = state.departed.entry(gateway.clone()).or_default();
        departed.push(former);
        // Old enough ones are forgotten: nobody starts a process with an old boot id again.
        departed.drain(..departed.len().saturating_sub(DEPARTED_MAX));
    }
    if let Some(rollout) = state.rollout.as_mut().filter(|r| r.holds_traffic()) {
        rollout.open_ledger(gateway, boot, at);
    }
}

fn drafted(id: &RolloutId, plan: Digest, outline: &Outline, at: UnixNanos) -> Rollout {
    Rollout {
        id: id.clone(),
        plan,
        outline: outline.clone(),
        environments: BTreeMap::new(),
        phase: Phase::Draft,
        began: at,
        ended: None,
        gates: BTreeMap::new(),
        step_gates: BTreeMap::new(),
        preflight: false,
        approval: None,
        step: 0,
        running: None,
        rechecked: None,
        cut: None,
        last_cut: None,
        begun: None,
        ending_generation: None,
        answers: None,
        promoted: None,
        paused: None,
        full: false,
        carried: BTreeMap::new(),
        tallies: BTreeMap::new(),
        steps: Vec::new(),
        ledgers: BTreeMap::new(),
        fences: BTreeMap::new(),
        fence: None,
        rollback: None,
        abort: None,
        ending: None,
    }
}

fn issued(state: &mut State, schedule: &Schedule, why: GenerationCause, at: UnixNanos) {
    state.schedule = Some(schedule.clone());
    state.issued_by = state.control.clone();
    let Some(rollout) = state.rollout.as_mut().filter(|r| !r.phase.is_final()) else { return };
    let generation = schedule.generation();
    match why {
        GenerationCause::CandidateNamed => {
            rollout.phase = Phase::Mirroring;
            rollout.begun = Some(generation);
            for (gateway, boot) in &state.roster {
                if let Some(boot) = boot {
                    rollout.open_ledger(gateway, boot, at);
                }
            }
        }
        GenerationCause::Fence | GenerationCause::Abort | GenerationCause::Finalize => {
            rollout.ending_generation = Some(generation);
            rollout.ending = Some(at);
        }
        GenerationCause::ControlRestarted => {
            rollout.cut = None;
            rollout.rechecked = None;
        }
        GenerationCause::Promotion => rollout.answers = Some(Answers { generation, at }),
        GenerationCause::Genesis | GenerationCause::Mirror | GenerationCause::RolledBack => {}
    }
}

fn committed(state: &mut State, schedule: &Schedule) {
    state.schedule = Some(schedule.clone());
    state.issued_by = state.control.clone();
    let Some(rollout) = state.rollout.as_mut() else { return };
    rollout.last_cut = schedule.cuts().last().copied();
    rollout.cut = None;
    if rollout.phase.is_live() {
        rollout.phase = Phase::Shifting { step: rollout.step };
    }
}

fn past_rollout(rollout: &Rollout, ended: UnixNanos) -> PastRollout {
    PastRollout {
        rollout: rollout.id.clone(),
        plan: rollout.plan,
        from: rollout.outline.from.clone(),
        to: rollout.outline.to.clone(),
        phase: rollout.phase,
        began: rollout.began,
        ended,
    }
}

/// Events of the rollout that runs. `generation`: the one in force.
fn in_rollout(rollout: &mut Rollout, event: &Event, generation: Generation) {
    match event {
        Event::PreflightStarted { .. } => rollout.phase = Phase::Preflight,
        Event::GateStarted { .. } | Event::GateFinished { .. } => gate(rollout, event),
        Event::PreflightPassed { .. } => {
            rollout.preflight = true;
            rollout.phase = Phase::AwaitingApproval;
        }
        Event::ApprovalNotRequired { why, .. } => rollout.approval = Some(why.clone()),
        Event::SnapshotsRetaken { step, changed, .. } => {
            rollout.rechecked = changed.is_empty().then_some(*step);
        }
        Event::CutAnnounced { step, generation, attempt, cut_at, weight, .. } => {
            let (step, generation, attempt) = (*step, *generation, *attempt);
            rollout.cut = Some(PendingCut { step, generation, attempt, cut_at: *cut_at, weight: *weight });
        }
        Event::Paused { by, at, .. } => {
            // The analysis may fail while a person has paused: a graver reason, but no second pause.
            let at = rollout.paused.as_ref().map_or(*at, |pause| pause.at);
            rollout.paused = Some(Pause { by: by.clone(), at });
        }
        Event::Resumed { at, .. } => resumed(rollout, *at),
        Event::PromoteRequested { full, .. } => {
            rollout.full |= *full;
            rollout.running.iter_mut().for_each(|running| running.leave = true);
        }
        Event::Promoted { at, .. } => {
            rollout.phase = Phase::Promoted;
            rollout.promoted = Some(*at);
            over(rollout, rollout.step, StepEnd::Elapsed, *at);
        }
        Event::FinalizeStarted { at, .. } => {
            rollout.phase = Phase::Finalizing;
            rollout.ending = Some(*at);
        }
        Event::AbortStarted { reason, at, .. } => {
            rollout.phase = Phase::Aborting;
            rollout.abort = Some(reason.clone());
            stop(rollout, *at);
        }
        Event::Fenced { gateway, fence, .. } => {
            rollout.fences.insert(gateway.clone(), fence.clone());
        }
        Event::RollbackStarted { reason, at, .. } => {
            rollout.phase = Phase::RollingBack;
            rollout.fence = Some(the_fence(rollout, reason, generation, *at));
            rollout.rollback = Some(reason.clone());
            stop(rollout, *at);
        }
        Event::Finalized { at, .. } => end(rollout, Phase::Finalized, *at),
        Event::RolledBack { at, .. } => end(rollout, Phase::RolledBack, *at),
        Event::Aborted { at, .. } => end(rollout, Phase::Aborted, *at),
        Event::LedgerNoted { gateway, boot, rows, at, .. } => {
            account(rollout, gateway, boot, rows, *at, LedgerStatus::Open);
        }
        Event::LedgerClosed { gateway, boot, rows, at, .. } => {
            account(rollout, gateway, boot, rows, *at, LedgerStatus::Closed);
        }
        Event::LedgerGapDeclared { gateway, boot, last_known, at, .. } => {
            account(rollout, gateway, boot, last_known, *at, LedgerStatus::Gap);
        }
        _ => in_step(rollout, event),
    }
}

/// A gate starts, or has looked.
fn gate(rollout: &mut Rollout, event: &Event) {
    let (Event::GateStarted { step, .. } | Event::GateFinished { step, .. }) = event else { return };
    let gates = match step {
        None => &mut rollout.gates,
        Some(step) => rollout.step_gates.entry(*step).or_default(),
    };
    match event {
        Event::GateStarted { gate, run, at, .. } => {
            let last = gates.get(gate);
            let passed = last.is_none_or(|last| last.status == GateStatus::Done(Outcome::Pass));
            let missed = last.map_or(0, |last| last.missed).saturating_add(u32::from(!passed));
            let status = GateStatus::Running;
            let (at, summary) = (Some(*at), String::new());
            gates.insert(*gate, GateRun { run: *run, missed, at, status, summary, evidence: None });
        }
        Event::GateFinished { gate, run, outcome, summary, evidence, .. } => {
            let known = gates.get(gate);
            // A run that is over says nothing about the one after it.
            if known.is_some_and(|known| known.run > *run) {
                return;
            }
            let (missed, at) = known.map_or((0, None), |known| (known.missed, known.at));
            let (summary, status) = (summary.clone(), GateStatus::Done(*outcome));
            gates.insert(*gate, GateRun { run: *run, missed, at, status, summary, evidence: *evidence });
        }
        _ => {}
    }
}

/// Events of the step that runs, or begins.
fn in_step(rollout: &mut Rollout, event: &Event) {
    match event {
        Event::StepStarted { step, generation, at, .. } => {
            rollout.step = *step;
            rollout.tallies.retain(|_, tally| tally.generation == *generation);
            let baseline = totals(&rollout.tallies);
            rollout.running = Some(Running {
                at: *at,
                generation: *generation,
                paused_ms: 0,
                leave: false,
                baseline,
                tested: None,
                recorded_at: *at,
                gaps: 0,
                probe: Probes::default(),
                no_verdict: None,
                verdict: None,
                readings: Vec::new(),
            });
        }
        Event::WindowPassed { carried, .. } => {
            carry(rollout, carried);
            let tested = totals(&rollout.tallies);
            rollout.running.iter_mut().for_each(|running| running.tested = Some(tested.clone()));
        }
        Event::StepEnded { step, how, carried, at, .. } => {
            carry(rollout, carried);
            over(rollout, *step, *how, *at);
        }
        Event::AnalysisRecorded { generation, gateway, boot, counts, seen, at, .. } => {
            record_counts(&mut rollout.tallies, gateway, boot, *generation, counts, *seen);
            rollout.running.iter_mut().for_each(|running| running.recorded_at = *at);
        }
        _ => {
            if let Some(running) = &mut rollout.running {
                in_running(running, event);
            }
        }
    }
}

fn carry(rollout: &mut Rollout, carried: &[LogE]) {
    rollout.carried = carried.iter().map(|LogE { metric, ln_e_nano }| (*metric, LnE(*ln_e_nano))).collect();
}

fn in_running(running: &mut Running, event: &Event) {
    match event {
        Event::AnalysisResumed { .. } => running.gaps += 1,
        Event::ProbeRecorded { round, traces, failed, at, .. } => {
            let Probes { traces: sent, failed: lost, .. } = running.probe;
            let (traces, failed) = (sent.saturating_add(*traces), lost.saturating_add(*failed));
            running.probe = Probes { rounds: *round, traces, failed, last: Some(*at) };
        }
        Event::VerdictReached { outcome, readings, at, .. } => {
            running.verdict = Some(*outcome);
            running.readings = readings.clone();
            if *outcome == Outcome::NoVerdict {
                running.no_verdict.get_or_insert(*at);
            }
        }
        _ => {}
    }
}

/// Counts of a boot replace those of the same boot; those of boots before it are kept as a sum.
pub(crate) fn record_counts(
    tallies: &mut BTreeMap<GatewayId, Tally>,
    gateway: &GatewayId,
    boot: &BootId,
    generation: Generation,
    counts: &Arms,
    seen: UnixNanos,
) {
    let ended = match tallies.get(gateway) {
        Some(tally) if tally.generation != generation => Arms::default(),
        Some(tally) if tally.boot == *boot => tally.ended.clone(),
        Some(tally) => tally.total(),
        None => Arms::default(),
    };
    let tally = Tally { generation, boot: boot.clone(), current: counts.clone(), ended, seen };
    tallies.insert(gateway.clone(), tally);
}

fn totals(tallies: &BTreeMap<GatewayId, Tally>) -> BTreeMap<GatewayId, Arms> {
    tallies.iter().map(|(gateway, tally)| (gateway.clone(), tally.total())).collect()
}

/// A step is over: the next one's turn.
fn over(rollout: &mut Rollout, step: StepIndex, how: StepEnd, at: UnixNanos) {
    let running = rollout.running.take();
    rollout.steps.push(StepRecord {
        step,
        how,
        verdict: running.as_ref().and_then(|r| r.verdict),
        readings: running.as_ref().map(|r| r.readings.clone()).unwrap_or_default(),
        gaps: running.as_ref().map_or(0, |r| r.gaps),
        began: running.map(|r| r.at),
        ended: at,
    });
    rollout.step = step.saturating_add(1);
}

/// After a failed gate, that gate is run again. After a failed analysis, its count begins anew: the person who resumed
/// has taken it upon them, and the log says who.
fn resumed(rollout: &mut Rollout, at: UnixNanos) {
    let Some(pause) = rollout.paused.take() else { return };
    if rollout.cut.is_none() {
        // It may have stood still for days. A cut that is announced was looked at before, and goes on even while paused.
        rollout.rechecked = None;
    }
    match pause.by {
        PauseCause::Gate { .. } => {
            let missed = all_gates(rollout).filter(|gate| gate.has_missed());
            missed.for_each(|gate| gate.status = GateStatus::Void);
        }
        PauseCause::Analysis {} => {
            rollout.carried.clear();
            let baseline = totals(&rollout.tallies);
            if let Some(running) = &mut rollout.running {
                running.tested = running.tested.take().map(|_| baseline.clone());
                running.baseline = baseline;
                running.probe = Probes { traces: 0, failed: 0, ..running.probe };
                running.verdict = None;
                running.no_verdict = None;
            }
        }
        PauseCause::Command {} | PauseCause::Snapshots {} => {}
    }
    if let Some(running) = &mut rollout.running {
        // Neither the step's time nor the patience with a missing verdict runs while it is paused.
        let stood = at.since(pause.at.max(running.at)).unwrap_or_default();
        let millis = u64::try_from(stood.as_millis()).unwrap_or(u64::MAX);
        running.paused_ms = running.paused_ms.saturating_add(millis);
        running.no_verdict = running.no_verdict.map(|since| since.plus(stood));
    }
}

/// What every way out does: whatever ran is over, and nothing is paused.
fn stop(rollout: &mut Rollout, at: UnixNanos) {
    rollout.ending = Some(at);
    rollout.paused = None;
    rollout.cut = None;
    for gate in all_gates(rollout).filter(|gate| gate.status == GateStatus::Running) {
        gate.status = GateStatus::Done(Outcome::NoVerdict);
        gate.summary = "cancelled: the rollout was over first".to_owned();
    }
    if let Some(running) = rollout.running.take() {
        rollout.steps.push(StepRecord {
            step: rollout.step,
            how: StepEnd::Stopped,
            verdict: running.verdict,
            readings: running.readings,
            gaps: running.gaps,
            began: Some(running.at),
            ended: at,
        });
    }
}

fn end(rollout: &mut Rollout, phase: Phase, at: UnixNanos) {
    rollout.phase = phase;
    rollout.ended = Some(at);
    rollout.paused = None;
}

/// The fence that a rollback brings about: the gateway's own, where it began with one.
fn the_fence(rollout: &Rollout, reason: &RollbackReason, generation: Generation, at: UnixNanos) -> Fence {
    let cause = match reason {
        RollbackReason::Fence { gateway, .. } => match rollout.fences.get(gateway) {
            Some(fence) => return fence.clone(),
            None => FenceCause::Breaker { detail: format!("reported by {gateway}") },
        },
        RollbackReason::Command { actor, .. } => FenceCause::Command { actor: actor.to_string() },
        RollbackReason::Verdict { .. } | RollbackReason::Snapshots { .. } | RollbackReason::Gate { .. } => {
            FenceCause::Verdict {}
        }
    };
    Fence { rollout: rollout.id.to_string(), generation, at, cause }
}

fn account(
    rollout: &mut Rollout,
    gateway: &GatewayId,
    boot: &BootId,
    rows: &[LedgerRow],
    at: UnixNanos,
    status: LedgerStatus,
) {
    let boots = rollout.ledgers.entry(gateway.clone()).or_default();
    boots.insert(boot.clone(), Ledger { rows: rows.to_vec(), at, status });
}
