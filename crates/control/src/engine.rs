//! The engine: the one thread that owns the log, the state and the conductor.
//!
//! ```text
//!   API, gateways ──Message──►┐                       ┌──► audit log (append returns when durable)
//!   jobs ─────────Message──►  Engine: decide/due ─────┼──► conductor (directives, horizons)
//!   tick ────────────────────►┘                       └──► jobs (gates, probes, snapshots)
//! ```
//!
//! It is a plain thread, since an append blocks until it is durable. Starting up and going on are the same code: fold the
//! log, then ask `due` what is to be done, again and again. Traffic never waits for it.

mod handle;
mod live;
mod message;
mod reads;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crossfade_rollout::event::{Event, GenerationCause};
use crossfade_rollout::observed::{Effect, LogHealth, Observed, Urgency};
use crossfade_rollout::{Actor, Command, DueReport, Phase, Rejection, decide, due};
use crossfade_routing::sync::{ClockHistogram, Reply, Report};
use crossfade_routing::{BootId, Conductor, ConductorError, Schedule, TraceId, UnixNanos, locate};
use tokio::sync::watch;

use crate::api::ApiError;
use crate::jobs::Jobs;
use crate::journal::{Journal, JournalError};
use crate::status::{GatewayStatus, LogStatus, STATUS_VERSION, Status};

pub(crate) use handle::Handle;
use live::Live;
pub(crate) use message::{Baselined, Message};
use reads::Reads;

/// How often the engine looks, when nothing calls it.
const TICK: Duration = Duration::from_millis(100);
/// How often `due` may ask for entries in one look, before the engine listens to others again.
const ROUNDS_MAX: usize = 32;

/// What the engine owns.
pub(crate) struct Engine {
    journal: Journal,
    conductor: Option<Conductor>,
    live: Live,
    jobs: Jobs,
    reads: Reads,
    boot: BootId,
    clock: Clock,
    horizon: Duration,
    status: watch::Sender<Arc<Status>>,
    news: watch::Sender<u64>,
    directions: watch::Sender<u64>,
    report: DueReport,
}

/// Reads the time; a test's engine has a clock of its own.
pub(crate) type Clock = Arc<dyn Fn() -> UnixNanos + Send + Sync>;

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) journal: Journal,
    pub(crate) jobs: Jobs,
    pub(crate) boot: BootId,
    pub(crate) version: String,
    pub(crate) clock: Clock,
    pub(crate) horizon: Duration,
}

impl Engine {
    /// Folds the log and takes up where it ends. The handle is how everybody else talks to the engine.
    ///
    /// # Errors
    /// If the log has no genesis, or does not take the entry that says the control plane started.
    pub(crate) fn start(parts: Parts) -> Result<(Handle, std::thread::JoinHandle<()>), ApiError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let now = (parts.clock)();
        let (status, status_seen) = watch::channel(Arc::new(Status::empty(parts.journal.origin(), now)));
        let (news, news_seen) = watch::channel(parts.journal.size());
        let (directions, directions_seen) = watch::channel(0);
        let jobs = parts.jobs.reporting_to(sender.clone());
        let mut engine = Engine {
            journal: parts.journal,
            conductor: None,
            live: Live::default(),
            jobs,
            reads: Reads::default(),
            boot: parts.boot.clone(),
            clock: parts.clock,
            horizon: parts.horizon,
            status,
            news,
            directions,
            report: DueReport::default(),
        };
        engine.conduct();
        let started = Command::StartControl { boot: parts.boot, version: parts.version };
        engine.command(&Actor::control(), started)?;
        engine.settle();
        engine.publish();
        let handle = Handle::new(sender, status_seen, news_seen, directions_seen);
        let thread =
            std::thread::Builder::new().name("control".to_owned()).spawn(move || engine.run(&receiver));
        let thread =
            thread.map_err(|error| ApiError::unavailable(&format!("no thread for the engine: {error}")))?;
        Ok((handle, thread))
    }

    /// The histogram of `a - e` over all gateways, from a status.
    pub(crate) fn clock_histogram(status: &Status) -> ClockHistogram {
        let mut sum = ClockHistogram::default();
        for report in status.gateways.iter().filter_map(|gateway| gateway.report.as_ref()) {
            sum.add(&report.clock);
        }
        sum
    }

    fn run(mut self, receiver: &Receiver<Message>) {
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(Message::Stop { reply }) => {
                    self.stop();
                    let _ = reply.send(());
                    return;
                }
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.stop(),
            }
            // Answer what has queued up before looking again: a look may have to wait for the disk.
            while let Ok(message) = receiver.try_recv() {
                if let Message::Stop { reply } = message {
                    self.stop();
                    let _ = reply.send(());
                    return;
                }
                self.handle(message);
            }
            self.settle();
            self.publish();
        }
    }

    /// A reply whose asker has gone away is nobody's loss.
    fn handle(&mut self, message: Message) {
        match message {
            Message::Command { actor, command, reply } => {
                let _ = reply.send(self.command(&actor, *command));
                self.settle();
                self.publish();
            }
            Message::Start { actor, file, snapshots, reply } => {
                let _ = reply.send(self.start_rollout(&actor, *file, snapshots));
                self.settle();
                self.publish();
            }
            Message::Sync { report, reply } => {
                let _ = reply.send(self.sync(*report));
            }
            Message::Baseline { reply } => {
                let _ = reply.send(self.baseline());
            }
            Message::Entries { from, max, reply } => {
                let _ = reply.send(self.journal.entries(from, max).map_err(ApiError::from));
            }
            Message::Locate { trace, start, reply } => {
                let _ = reply.send(self.locate(&trace, start));
            }
            Message::Read { actor } => self.reads.count(actor, (self.clock)()),
            Message::Gate(seen) => self.live.gate(seen),
            Message::Snapshots(seen) => self.live.snapshots = Some(seen),
            Message::Probe(seen) => self.live.probe = Some(seen),
            Message::Evidence { bytes, reply } => {
                let _ = reply.send(self.journal.evidence(&bytes));
            }
            Message::Stop { .. } => unreachable!("the loop handles it"),
        }
    }

    fn command(&mut self, actor: &Actor, command: Command) -> Result<(), ApiError> {
        let now = (self.clock)();
        let urgency = urgency_of(&command);
        let events = decide(self.journal.state(), command, now)?;
        self.record(actor, &events, urgency).map_err(ApiError::from)
    }

    fn start_rollout(
        &mut self,
        actor: &Actor,
        file: crossfade_rollout::PlanFile,
        snapshots: crossfade_rollout::units::Snapshots,
    ) -> Result<(), ApiError> {
        let digest = self.journal.evidence_json(&file.plan)?;
        if digest != file.digest {
            let what = format!(
                "the plan's digest is {digest}, the file says {}: it was changed; plan again",
                file.digest
            );
            return Err(ApiError::invalid(&what));
        }
        self.command(actor, Command::Start { plan: Box::new(file.plan), digest, snapshots })
    }

    /// Commit point of everything that happens: the events are durable when this returns, and folded.
    fn record(&mut self, actor: &Actor, events: &[Event], urgency: Urgency) -> Result<(), JournalError> {
        if events.is_empty() {
            return Ok(());
        }
        let now = (self.clock)();
        let recorded = self.journal.append(actor, events, urgency, now);
        self.live.log = match &recorded {
            Ok(()) if self.journal.is_clean() => LogHealth::Writable,
            Ok(()) => LogHealth::Unwritable { detail: "entries wait in the emergency file".to_owned() },
            Err(error) => LogHealth::Unwritable { detail: error.to_string() },
        };
        recorded?;
        self.conduct_after();
        self.news
            .send_if_modified(|size| std::mem::replace(size, self.journal.size()) != self.journal.size());
        Ok(())
    }

    /// Asks `due` until it has nothing more to record; at each change of phase, the state's digest goes on record.
    fn settle(&mut self) {
        let before = self.phase();
        self.settle_rounds();
        if self.phase() != before {
            self.record_state();
        }
    }

    fn phase(&self) -> Option<Phase> {
        self.journal.state().rollout.as_ref().map(|rollout| rollout.phase)
    }

    /// What an auditor's replay is compared with.
    fn record_state(&mut self) {
        let recorded = self.journal.state_digest().map_err(ApiError::from);
        let done = recorded.and_then(|state| self.command(&Actor::control(), Command::RecordState { state }));
        if let Err(error) = done {
            tracing::warn!(%error, "the state's digest is not on record");
        }
    }

    fn settle_rounds(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let now = (self.clock)();
            self.try_log_again(now);
            let observed = self.observed(now);
            let (effects, report) = due(self.journal.state(), &observed, now);
            self.report = report;
            if !effects.iter().any(|effect| matches!(effect, Effect::Resnapshot { .. })) {
                // Each cut wants a fresh look.
                self.live.snapshots = None;
            }
            let mut recorded = false;
            for effect in effects {
                recorded |= self.perform(effect);
            }
            if !recorded {
                return;
            }
        }
    }

    /// Performs one effect; true if it changed the state.
    fn perform(&mut self, effect: Effect) -> bool {
        match effect {
            Effect::Record { events, urgency } => {
                let done = self.record(&Actor::control(), &events, urgency);
                if let Err(error) = &done {
                    tracing::warn!(%error, "the log does not take entries");
                }
                done.is_ok() && !events.is_empty()
            }
            Effect::RunGate { rollout, gate, run } => {
                let seed = self.journal.seed_source();
                let plan = self.journal.plan();
                self.jobs.gate(rollout, gate, run, plan, seed);
                false
            }
            Effect::Resnapshot { rollout, step } => {
                self.jobs.snapshots(rollout, step, self.journal.plan());
                false
            }
            Effect::Probe { rollout, step, round, traces } => {
                let seed = self.journal.seed_source();
                self.jobs.probe(rollout, step, round, traces, self.journal.plan(), seed);
                false
            }
            Effect::AnnounceCut { cut_at, .. } => self.announce(cut_at),
            // Gateways hear of these with their next sync: replies follow from state and conductor.
            Effect::IssueGeneration { .. } | Effect::Fence { .. } | Effect::CloseLedgers { .. } => false,
        }
    }

    fn announce(&mut self, cut_at: UnixNanos) -> bool {
        let Some(conductor) = self.conductor.as_mut() else { return false };
        if conductor.announced() == Some(cut_at) {
            return false;
        }
        match conductor.announce(cut_at) {
            Ok(()) => self.directions.send_modify(|version| *version += 1),
            Err(ConductorError::Inherited { .. }) => return self.reissue(),
            Err(error) => tracing::debug!(%error, "the cut cannot be announced yet"),
        }
        false
    }

    fn observed(&self, now: UnixNanos) -> Observed {
        self.live.observed(self.conductor.as_ref(), now)
    }

    /// Builds the conductor from the log. What gateways have taken, they will say with their next report.
    fn conduct(&mut self) {
        let (state, now) = (self.journal.state(), (self.clock)());
        self.conductor = self.journal.proven_schedule().cloned().map(|schedule| {
            let roster = state.roster.keys().map(|gateway| (gateway.clone(), None)).collect();
            let watermark = state.watermark.unwrap_or_default();
            Conductor::new(schedule, roster, watermark, now).with_horizon(self.horizon)
        });
    }

    /// Acknowledgements that an earlier control plane heard are not on record. A new generation, otherwise the same, makes
    /// every gateway say again what it has taken; the cut that was to be announced is announced on top of it.
    fn reissue(&mut self) -> bool {
        let Some(schedule) = self.journal.proven_schedule().map(Schedule::reissued) else { return false };
        let (schedule, at) = (Box::new(schedule), (self.clock)());
        let issued = Event::GenerationIssued { schedule, why: GenerationCause::ControlRestarted, at };
        self.record(&Actor::control(), &[issued], Urgency::Ordinary).is_ok()
    }

    /// Tells the conductor what has just become durable in the log. What waits in the emergency file has no proof yet, and
    /// does not count: a fence needs none.
    fn conduct_after(&mut self) {
        let Some(conductor) = self.conductor.as_mut() else { return self.conduct() };
        let held = conductor.schedule().generation();
        let mut newer = self.journal.schedules().filter(|schedule| schedule.generation() > held).cloned();
        if let Err(error) = newer.try_for_each(|schedule| conductor.issue(schedule)) {
            tracing::error!(%error, "the conductor cannot follow the log, and starts anew from it");
            drop(newer);
            return self.conduct();
        }
        drop(newer);
        let state = self.journal.state();
        for gateway in state.roster.keys() {
            conductor.enlist(gateway.clone());
        }
        for gateway in conductor.roster().into_keys().filter(|gateway| !state.roster.contains_key(gateway)) {
            conductor.strike(&gateway);
            self.live.strike(&gateway);
        }
        conductor.watermark_is_durable(state.watermark.unwrap_or_default());
        self.directions.send_modify(|version| *version += 1);
    }

    /// Hears a gateway, and says what it is to do.
    fn sync(&mut self, report: Report) -> Result<Reply, ApiError> {
        let received_at = (self.clock)();
        let gateway = report.gateway.clone();
        if !self.journal.state().roster.contains_key(&gateway) {
            // On the roster, on the record, before the first answer: cuts wait for it from here on.
            self.command(&Actor::gateway(&gateway), Command::Roster { gateway: gateway.clone() })?;
            self.settle();
        }
        let conductor =
            self.conductor.as_mut().ok_or_else(|| ApiError::unavailable("no generation is issued yet"))?;
        let fresh = self.live.heard(report, received_at);
        if let Some(report) = fresh {
            conductor
                .report(&gateway, report.ack, received_at)
                .map_err(|error| ApiError::unavailable(&error.to_string()))?;
            self.settle();
        }
        self.reply(&gateway)
    }

    fn reply(&mut self, gateway: &crossfade_routing::GatewayId) -> Result<Reply, ApiError> {
        let now = (self.clock)();
        let conductor =
            self.conductor.as_mut().ok_or_else(|| ApiError::unavailable("no generation is issued yet"))?;
        let directive =
            conductor.directive(gateway, now).map_err(|error| ApiError::unavailable(&error.to_string()))?;
        self.live.granted(gateway, directive.horizon);
        let directions = self.journal.state().directions();
        let fence = directions.and_then(|directions| directions.fence.cloned());
        let entry = self.journal.signed_generation(directive.schedule.generation())?;
        Ok(Reply { entry, directive, fence, now })
    }

    fn baseline(&self) -> Result<Baselined, ApiError> {
        let state = self.journal.state();
        let active = state.active.clone().ok_or(ApiError::from(Rejection::NotInitialised))?;
        Ok(Baselined {
            active,
            generation: state.schedule.as_ref().map(|schedule| schedule.generation()).unwrap_or_default(),
            rollouts: state.past.iter().map(|past| past.rollout.clone()).collect(),
            running: state.current().map(|rollout| rollout.id.clone()),
            log_size: self.journal.size(),
        })
    }

    fn locate(&self, trace: &TraceId, start: UnixNanos) -> Result<crossfade_routing::Located, ApiError> {
        locate(&self.journal.schedules().cloned().collect::<Vec<_>>(), trace, start)
            .ok_or_else(|| ApiError::unavailable("no generation is issued yet"))
    }

    /// While the log was away, tries it again: first what waits in the emergency file.
    fn try_log_again(&mut self, now: UnixNanos) {
        if self.live.log == LogHealth::Writable || !self.live.retry_log(now) {
            return;
        }
        match self.journal.recover(now) {
            Ok(()) => {
                tracing::info!("the log takes entries again");
                self.live.log = LogHealth::Writable;
                self.conduct_after();
            }
            Err(error) => self.live.log = LogHealth::Unwritable { detail: error.to_string() },
        }
    }

    fn publish(&mut self) {
        let now = (self.clock)();
        let due_reads = self.reads.due(now);
        for (actor, hour, count) in due_reads {
            let _ = self.command(&actor.clone(), Command::CountReads { actor, hour, count });
        }
        let state = self.journal.state();
        let gateways = state.roster.keys().map(|gateway| {
            let seen = self.live.last(gateway);
            GatewayStatus {
                gateway: gateway.clone(),
                last_seen: seen.map(|seen| seen.received_at),
                horizon: seen.map(|seen| seen.horizon),
                report: seen.map(|seen| seen.report.clone()),
            }
        });
        let status = Status {
            schema_version: STATUS_VERSION,
            now,
            origin: self.journal.origin().to_owned(),
            active: state.active.clone(),
            generation: state.schedule.as_ref().map(|schedule| schedule.generation()),
            log: LogStatus {
                size: self.journal.size(),
                unwritable: match &self.live.log {
                    LogHealth::Writable => None,
                    LogHealth::Unwritable { detail } => Some(detail.clone()),
                },
            },
            rollout: state.rollout.clone(),
            past: state.past.clone(),
            waiting: self.report.waiting.iter().map(ToString::to_string).collect(),
            readings: self.report.readings.clone(),
            gateways: gateways.collect(),
            alerts: state.alerts.clone(),
        };
        self.status.send_replace(Arc::new(status));
    }

    fn stop(&mut self) {
        for (actor, hour, count) in self.reads.drain() {
            let _ = self.command(&actor.clone(), Command::CountReads { actor, hour, count });
        }
        self.record_state();
        let stopped = Command::StopControl { boot: self.boot.clone() };
        if let Err(error) = self.command(&Actor::control(), stopped) {
            tracing::warn!(%error, "the log did not take the last entry");
        }
        self.publish();
    }
}

/// A way back is never held up by the log.
fn urgency_of(command: &Command) -> Urgency {
    match command {
        Command::Rollback { .. } | Command::Abort { .. } => Urgency::Emergency,
        _ => Urgency::Ordinary,
    }
}
