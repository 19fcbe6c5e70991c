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
//!
//! What happens in which order:
//!
//! 1. An event is durable before it is folded, and folded before anything follows from it: a cut is announced to gateways
//!    after `CutAnnounced`, a schedule is handed out after the entry that issues it, a newcomer is answered once it is on the
//!    roster, a horizon lies below a durable watermark.
//! 2. A fence is the exception: it goes out while its entry is being written, since a disk may hang.
//! 3. A caller is answered when what it asked for is on record and shows in the status.

mod fleet;
mod handle;
mod live;
mod message;
mod meter;
mod reads;
mod shown;
mod time;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crossfade_audit::canonical;
use crossfade_rollout::event::{Alert, Event, Gate};
use crossfade_rollout::observed::{Effect, LogHealth, Urgency};
use crossfade_rollout::plan::Environments;
use crossfade_rollout::units::Snapshots;
use crossfade_rollout::{Actor, Command, Digest, DueReport, Phase, PlanFile, decide, due, evolve};
use crossfade_routing::sync::Fence;
use crossfade_routing::{BootId, Conductor, EnvironmentId, UnixNanos};
use tokio::sync::watch;

use crate::api::{ApiError, ErrorCode};
use crate::jobs::{Asked, Jobs};
use crate::journal::{Journal, JournalError, chain};
use crate::status::Status;

use fleet::Told;
pub(crate) use handle::Handle;
use live::Live;
pub(crate) use message::{Baselined, Message};
use meter::Meter;
use reads::Reads;
pub(crate) use shown::clock_histogram;
pub(crate) use time::Clock;
use time::Time;

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
    meter: Meter,
    boot: BootId,
    time: Time,
    horizon: Duration,
    /// What the site says of its environments: read once, and held against each plan.
    environments: Environments,
    /// That this life has begun, until the log has taken it. Ordinary entries come after it.
    unstarted: Vec<Event>,
    /// The phase of the last state whose digest is on record.
    phase_on_record: Option<Phase>,
    /// Why a cut that is on record is not announced to gateways yet.
    held_up: Option<String>,
    /// Why an entry that is due cannot be written although the log is in order.
    refused: Option<String>,
    status: watch::Sender<Arc<Status>>,
    news: watch::Sender<u64>,
    directions: watch::Sender<Told>,
    fences: watch::Sender<Option<Fence>>,
    report: DueReport,
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) journal: Journal,
    pub(crate) jobs: Jobs,
    pub(crate) boot: BootId,
    pub(crate) version: String,
    pub(crate) clock: Clock,
    pub(crate) horizon: Duration,
    /// What the site says of its environments.
    pub(crate) environments: Environments,
}

impl Engine {
    /// Folds the log and takes up where it ends. The handle is how everybody else talks to the engine. A disk that is full
    /// keeps nobody from starting: gateways are answered, and the log says that this life began as soon as it takes entries.
    ///
    /// # Errors
    /// If the log has no genesis.
    pub(crate) fn start(parts: Parts) -> Result<(Handle, std::thread::JoinHandle<()>), ApiError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let time = Time::new(parts.clock, parts.journal.newest());
        let now = time.now();
        let started = Command::StartControl {
            boot: parts.boot.clone(),
            version: parts.version,
            environments: digests(&parts.environments)?,
            reads_unknown_since: reads::hour(parts.journal.left()),
        };
        let unstarted = decide(parts.journal.state(), started, now)?;
        let (status, status_seen) = watch::channel(Arc::new(Status::empty(parts.journal.origin(), now)));
        let (news, news_seen) = watch::channel(parts.journal.size());
        let (directions, directions_seen) = watch::channel(Told::default());
        let (fences, fences_seen) = watch::channel(None);
        let mut engine = Engine {
            journal: parts.journal,
            conductor: None,
            live: Live::default(),
            jobs: parts.jobs.reporting_to(sender.clone()),
            reads: Reads::default(),
            meter: Meter::default(),
            boot: parts.boot,
            time,
            horizon: parts.horizon,
            environments: parts.environments,
            unstarted,
            phase_on_record: None,
            held_up: None,
            refused: None,
            status,
            news,
            directions,
            fences,
            report: DueReport::default(),
        };
        engine.phase_on_record = engine.phase();
        engine.conduct();
        engine.begin()?;
        engine.settle();
        engine.publish();
        let handle = Handle::new(sender, status_seen, news_seen, directions_seen, fences_seen);
        let thread =
            std::thread::Builder::new().name("control".to_owned()).spawn(move || engine.run(&receiver));
        let thread =
            thread.map_err(|error| ApiError::unavailable(&format!("no thread for the engine: {error}")))?;
        Ok((handle, thread))
    }

    fn run(mut self, receiver: &Receiver<Message>) {
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(Message::Stop { reply }) => {
                    let _ = reply.send(self.stop());
                    return;
                }
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.stop();
                    return;
                }
            }
            // Answer what has queued up before looking again: a look may have to wait for the disk.
            while let Ok(message) = receiver.try_recv() {
                if let Message::Stop { reply } = message {
                    let _ = reply.send(self.stop());
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
                let done = self.command(&actor, *command);
                self.publish();
                let _ = reply.send(done);
                self.settle();
            }
            Message::Start { actor, file, snapshots, reply } => {
                let done = self.start_rollout(&actor, *file, snapshots);
                self.publish();
                let _ = reply.send(done);
                self.settle();
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
            Message::Read { actor } => self.reads.count(actor, self.time.now()),
            Message::Gate(seen) => self.live.gate(seen),
            Message::Snapshots(seen) => self.live.snapshots = Some(seen),
            Message::Probe(seen) => self.live.probe = Some(seen),
            Message::Evidence { bytes, reply } => {
                let _ = reply.send(self.journal.evidence(bytes));
            }
            Message::Stop { .. } => unreachable!("the loop handles it"),
        }
    }

    fn command(&mut self, actor: &Actor, command: Command) -> Result<(), ApiError> {
        let events = decide(self.journal.state(), command, self.time.now())?;
        // A way back is never held up by the log.
        let urgency =
            if events.iter().all(Event::is_way_back) { Urgency::Emergency } else { Urgency::Ordinary };
        self.record(actor, &events, urgency).map_err(ApiError::from)
    }

    fn start_rollout(&mut self, actor: &Actor, file: PlanFile, snapshots: Snapshots) -> Result<(), ApiError> {
        let plan = canonical::to_vec(&file.plan).map_err(JournalError::from)?;
        let digest = self.journal.evidence(plan)?;
        let done = if digest == file.digest {
            let (plan, environments) = (Box::new(file.plan), self.environments.clone());
            self.command(actor, Command::Start { plan, digest, snapshots, environments })
        } else {
            let said = file.digest;
            let what =
                format!("the plan's digest is {digest}, the file says {said}: it was changed; plan again");
            Err(ApiError::new(ErrorCode::Refused, what))
        };
        // Evidence that no entry names is none.
        done.inspect_err(|_| self.journal.withdraw(&digest))
    }

    /// Commit point of everything that happens: the events are durable when this returns, and folded.
    fn record(&mut self, actor: &Actor, events: &[Event], urgency: Urgency) -> Result<(), JournalError> {
        if events.is_empty() {
            return Ok(());
        }
        self.hand_out_fence(events);
        let now = self.time.now();
        let recorded = match self.put_start_on_record(now) {
            Err(error) if urgency == Urgency::Ordinary => Err(error),
            _ => self.journal.append(actor, events, urgency, now),
        };
        self.wrote(&recorded);
        recorded
    }

    /// A fence does not wait for the log: gateways that hold a poll hear of it while the entry is being written.
    fn hand_out_fence(&mut self, events: &[Event]) {
        if !events.iter().any(|event| matches!(event, Event::RollbackStarted { .. })) {
            return;
        }
        let state = events.iter().fold(self.journal.state().clone(), evolve);
        if let Some(fence) = state.directions().and_then(|directions| directions.fence.cloned()) {
            self.fences.send_replace(Some(fence));
        }
    }

    fn put_start_on_record(&mut self, now: UnixNanos) -> Result<(), JournalError> {
        let events = std::mem::take(&mut self.unstarted);
        if events.is_empty() {
            return Ok(());
        }
        let done = self.journal.append(&Actor::control(), &events, Urgency::Ordinary, now);
        done.inspect_err(|_| self.unstarted = events)
    }

    /// Says that this life has begun, or that the log takes nothing yet.
    fn begin(&mut self) -> Result<(), JournalError> {
        let begun = self.put_start_on_record(self.time.now());
        self.wrote(&begun);
        match begun {
            Err(error) if error.is_of_storage() => {
                tracing::error!(
                    error = chain(&error),
                    "starting all the same; nothing moves until the log takes entries"
                );
                Ok(())
            }
            other => other,
        }
    }

    /// What follows from an attempt to write. Even one that failed may have moved entries from the emergency file.
    fn wrote(&mut self, result: &Result<(), JournalError>) {
        match result {
            Ok(()) if self.journal.is_clean() && self.unstarted.is_empty() => {
                self.live.log = LogHealth::Writable
            }
            Ok(()) => {
                let detail = "entries wait in the emergency file".to_owned();
                self.live.log = LogHealth::Unwritable { detail };
            }
            Err(error) if error.is_of_storage() => {
                self.live.log = LogHealth::Unwritable { detail: chain(error) };
            }
            // The entry is to blame, not the log.
            Err(_) => {}
        }
        self.follow_log();
        let size = self.journal.size();
        self.news.send_if_modified(|known| std::mem::replace(known, size) != size);
    }

    /// Asks `due` until it has nothing more to record; at each change of phase, the state's digest goes on record.
    fn settle(&mut self) {
        self.settle_rounds();
        if self.phase() != self.phase_on_record {
            self.record_state();
        }
    }

    fn phase(&self) -> Option<Phase> {
        self.journal.state().rollout.as_ref().map(|rollout| rollout.phase)
    }

    /// What an auditor's replay is compared with. Not while something happens ahead of the log: the digest is of the log.
    fn record_state(&mut self) {
        let recorded = match self.journal.state_digest() {
            Ok(None) => return,
            Ok(Some(_)) if !self.unstarted.is_empty() => return,
            Ok(Some(state)) => self.command(&Actor::control(), Command::RecordState { state }),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = recorded {
            tracing::warn!(%error, "the state's digest is not on record");
        }
        self.phase_on_record = self.phase();
    }

    fn settle_rounds(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let now = self.time.now();
            self.try_log_again(now);
            let observed = self.live.observed(self.conductor.as_ref(), now);
            let (effects, report) = due(self.journal.state(), &observed, now);
            self.report = report;
            if !effects.iter().any(|effect| matches!(effect, Effect::Resnapshot { .. })) {
                // Each cut wants a fresh look.
                self.live.snapshots = None;
            }
            self.held_up = None;
            self.stop_gates(&effects);
            let mut recorded = false;
            for effect in effects {
                recorded |= self.perform(effect);
            }
            if !recorded {
                return;
            }
        }
    }

    /// Stops gates that nobody asks for any more. A look that has something to record is not over: it has not asked for all.
    fn stop_gates(&self, effects: &[Effect]) {
        if effects.iter().any(|effect| matches!(effect, Effect::Record { .. })) {
            return;
        }
        let asked = |effect: &Effect| match effect {
            Effect::RunGate { rollout, gate, step, run } => {
                Some(Asked { rollout: rollout.clone(), gate: *gate, step: *step, run: *run })
            }
            _ => None,
        };
        self.jobs.stop_others(&effects.iter().filter_map(asked).collect::<Vec<_>>());
    }

    /// Performs one effect; true if it changed the state.
    fn perform(&mut self, effect: Effect) -> bool {
        let journal = &mut self.journal;
        match effect {
            Effect::Record { events, urgency } => return self.record_due(&events, urgency),
            Effect::RunGate { rollout, gate, step, run } => {
                let asked = Asked { rollout, gate, step, run };
                self.jobs.gate(asked, || journal.inputs(gate, step));
            }
            Effect::Resnapshot { rollout, step } => self.jobs.snapshots(rollout, step, || journal.plan()),
            Effect::Probe { rollout, step, round, traces } => {
                self.jobs.probe(rollout, step, round, traces, || journal.inputs(Gate::Probe, Some(step)));
            }
            Effect::AnnounceCut { cut_at, .. } => self.announce(cut_at),
            // Gateways hear of these with their next sync: replies follow from state and conductor. A fence that is not on
            // record yet has gone out when it was about to be.
            Effect::IssueGeneration { .. } | Effect::Fence { .. } | Effect::CloseLedgers { .. } => {}
        }
        false
    }

    fn record_due(&mut self, events: &[Event], urgency: Urgency) -> bool {
        let done = self.record(&Actor::control(), events, urgency);
        // A full disk has an alert of its own.
        let refused = done.as_ref().err().filter(|error| !error.is_of_storage());
        let refused =
            refused.map(|error| format!("the record does not take an entry that is due: {}", chain(error)));
        if let Some(what) = refused.as_ref().filter(|_| refused != self.refused) {
            tracing::error!(what);
        }
        self.refused = refused;
        done.is_ok() && !events.is_empty()
    }

    /// While the log was away, tries it again: first what waits in the emergency file. Not before the alert is raised: it is
    /// what is appended, or cleared by another entry, and only an entry that is taken shows that entries are taken.
    fn try_log_again(&mut self, now: UnixNanos) {
        let alarmed = self.journal.state().alerts.contains_key(&Alert::LogUnwritable);
        if self.live.log == LogHealth::Writable || !alarmed || !self.live.retry_log(self.time.host()) {
            return;
        }
        let recovered = self.journal.recover(now).and_then(|()| self.put_start_on_record(now));
        self.wrote(&recovered);
        if self.live.log == LogHealth::Writable {
            tracing::info!("the log takes entries again");
        }
    }

    /// Says whether the last entry is on record.
    fn stop(&mut self) -> bool {
        for (actor, hour, count) in self.reads.drain() {
            self.count_reads(actor, hour, count);
        }
        self.record_state();
        let stopped = Command::StopControl { boot: self.boot.clone() };
        let done = self.command(&Actor::control(), stopped);
        if let Err(error) = &done {
            tracing::warn!(%error, "the log did not take the last entry");
        }
        self.publish();
        done.is_ok()
    }

    /// Reads that the log does not take are counted on.
    fn count_reads(&mut self, actor: Actor, hour: UnixNanos, count: u64) {
        let counted = Command::CountReads { actor: actor.clone(), hour, count };
        if let Err(error) = self.command(&actor, counted) {
            tracing::warn!(%error, "reads are not on record yet");
            self.reads.put_back(actor, hour, count);
        }
    }
}

/// A digest of what the site says of each environment. No credential is part of it.
fn digests(environments: &Environments) -> Result<BTreeMap<EnvironmentId, Digest>, JournalError> {
    let digest = |(id, facts): (&EnvironmentId, _)| Ok((id.clone(), canonical::digest(facts)?));
    environments.iter().map(digest).collect()
}

#[cfg(test)]
mod tests;
