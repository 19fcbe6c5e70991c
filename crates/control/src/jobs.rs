//! Work that takes time, beside the engine: gates, probes, snapshots. Asked twice for the same thing, it is done once.

use std::collections::BTreeSet;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossfade_rollout::event::{Gate, Outcome, SeedSource, StepIndex};
use crossfade_rollout::observed::{GateSeen, ProbeSeen, SnapshotsSeen};
use crossfade_rollout::plan::Plan;
use crossfade_rollout::spec::Moment;
use crossfade_rollout::units::Snapshots;
use crossfade_rollout::{Digest, RolloutId};
use tokio::sync::oneshot;

use crate::engine::Message;
use crate::gates::{GateReport, Gates};

/// How often, and how many times, a configuration that cannot be read is tried before that is an alert.
const READ_AGAIN: Duration = Duration::from_secs(1);
const READ_ATTEMPTS: u32 = 60;

/// Starts jobs on a runtime, and reports to the engine.
pub(crate) struct Jobs {
    runtime: tokio::runtime::Handle,
    gates: Arc<Gates>,
    engine: Option<Sender<Message>>,
    under_way: Arc<Mutex<BTreeSet<Job>>>,
}

/// What is under way or done; a name is never used for two jobs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    Gate(RolloutId, Gate, u32),
    Snapshots(RolloutId, StepIndex),
    Probe(RolloutId, StepIndex, u32),
}

/// The plan of the rollout, and the checkpoint that sampling derives from.
pub(crate) type Inputs = (Option<Arc<Plan>>, Option<SeedSource>);

impl Jobs {
    pub(crate) fn new(runtime: tokio::runtime::Handle, gates: Arc<Gates>) -> Jobs {
        Jobs { runtime, gates, engine: None, under_way: Arc::default() }
    }

    pub(crate) fn reporting_to(self, engine: Sender<Message>) -> Jobs {
        Jobs { engine: Some(engine), ..self }
    }

    /// What clients send, for gates that ask.
    pub(crate) fn note_live(&self, spans_per_second: Option<u64>) {
        self.gates.live().set(spans_per_second);
    }

    /// Runs a gate for the record.
    pub(crate) fn gate(&self, rollout: RolloutId, gate: Gate, run: u32, inputs: impl FnOnce() -> Inputs) {
        let Some(engine) = self.begin(Job::Gate(rollout.clone(), gate, run)) else { return };
        let (gates, (plan, seed)) = (Arc::clone(&self.gates), inputs());
        self.runtime.spawn(async move {
            let source = seed.clone();
            let looked = tokio::spawn(async move {
                match plan {
                    Some(plan) => {
                        let cx = gates.cx(&plan, Moment::Preflight, source.as_ref());
                        gates.run(gate, &cx).await
                    }
                    None => GateReport::no_verdict("the plan document is not among the evidence"),
                }
            });
            // A gate that breaks has not passed, and the rollout must not wait for it for ever.
            let report = looked.await.unwrap_or_else(|error| broken(&error));
            let evidence = evidence(&engine, report.evidence).await;
            let outcome = if evidence.is_some() { report.outcome } else { without_evidence(report.outcome) };
            let summary = report.summary;
            let seen = GateSeen { rollout, gate, run, outcome, summary, evidence, seed };
            // The engine may have ended meanwhile; then nobody wants the result.
            let _ = engine.send(Message::Gate(seen));
        });
    }

    /// Digests the configurations again. A second cut of one step looks again; and so does a first one whose plan could not
    /// be read.
    pub(crate) fn snapshots(
        &self,
        rollout: RolloutId,
        step: StepIndex,
        plan: impl FnOnce() -> Option<Arc<Plan>>,
    ) {
        let job = Job::Snapshots(rollout.clone(), step);
        let Some(engine) = self.begin(job.clone()) else { return };
        let (gates, under_way, plan) = (Arc::clone(&self.gates), Arc::clone(&self.under_way), plan());
        self.runtime.spawn(async move {
            if let Some(plan) = plan
                && let Some(now) = readable(&gates, &plan).await
            {
                let planned = plan.snapshots.clone();
                let _ = engine.send(Message::Snapshots(SnapshotsSeen { rollout, step, planned, now }));
            }
            lock(&under_way).remove(&job);
        });
    }

    /// Writes one round of probe traces and reads them back.
    pub(crate) fn probe(
        &self,
        rollout: RolloutId,
        step: StepIndex,
        round: u32,
        traces: u32,
        inputs: impl FnOnce() -> Inputs,
    ) {
        let Some(engine) = self.begin(Job::Probe(rollout.clone(), step, round)) else { return };
        let (gates, (plan, seed)) = (Arc::clone(&self.gates), inputs());
        self.runtime.spawn(async move {
            let sent = tokio::spawn(async move {
                match plan {
                    Some(plan) => gates.probe_round(&plan, traces, seed.as_ref()).await,
                    None => (traces, None),
                }
            });
            let (failed, blob) = sent.await.unwrap_or((traces, None));
            let evidence = evidence(&engine, blob).await;
            let _ = engine.send(Message::Probe(ProbeSeen { rollout, step, round, traces, failed, evidence }));
        });
    }

    /// The way to the engine, unless the job is under way or done.
    fn begin(&self, job: Job) -> Option<Sender<Message>> {
        let engine = self.engine.clone()?;
        lock(&self.under_way).insert(job).then_some(engine)
    }
}

fn lock(under_way: &Mutex<BTreeSet<Job>>) -> MutexGuard<'_, BTreeSet<Job>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Digests of the configurations, as soon as all of the plan's can be read; none once patience is over. A file that cannot be
/// read says nothing: the cut waits, and goes back no more than on.
async fn readable(gates: &Gates, plan: &Plan) -> Option<Snapshots> {
    for attempt in 0..READ_ATTEMPTS {
        match gates.snapshots(&plan.outline, Some(&plan.snapshots)).await {
            Ok(now) => return Some(now),
            Err(unread) if attempt == 0 => tracing::warn!(%unread, "the next cut waits"),
            Err(unread) if attempt + 1 == READ_ATTEMPTS => {
                tracing::error!(%unread, "the rollout is held: its configurations have not been readable for a minute");
            }
            Err(_) => {}
        }
        tokio::time::sleep(READ_AGAIN).await;
    }
    None
}

fn broken(error: &tokio::task::JoinError) -> GateReport {
    tracing::error!(%error, "a gate broke");
    GateReport::no_verdict("the gate broke while it looked: a defect; the log of the process says where")
}

/// Stores a report as evidence, so that its digest can be named. Without a place for it there is no verdict either.
async fn evidence(engine: &Sender<Message>, bytes: Option<Vec<u8>>) -> Option<Digest> {
    let (reply, answer) = oneshot::channel();
    engine.send(Message::Evidence { bytes: bytes?, reply }).ok()?;
    match answer.await {
        Ok(Ok(digest)) => Some(digest),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a gate's report could not be stored");
            None
        }
        Err(_) => None,
    }
}

/// A pass whose report could not be stored is none.
fn without_evidence(outcome: Outcome) -> Outcome {
    if outcome == Outcome::Pass { Outcome::NoVerdict } else { outcome }
}
