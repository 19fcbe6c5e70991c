//! Work that takes time, beside the engine: gates, probes, snapshots. Asked twice for the same thing, it is done once.

use std::collections::BTreeSet;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use crossfade_rollout::event::{Gate, Outcome, SeedSource, StepIndex};
use crossfade_rollout::observed::{GateSeen, ProbeSeen, SnapshotsSeen};
use crossfade_rollout::plan::Plan;
use crossfade_rollout::{Digest, RolloutId};
use tokio::sync::oneshot;

use crate::engine::Message;
use crate::gates::{GateReport, Gates};

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

impl Jobs {
    pub(crate) fn new(runtime: tokio::runtime::Handle, gates: Arc<Gates>) -> Jobs {
        Jobs { runtime, gates, engine: None, under_way: Arc::default() }
    }

    pub(crate) fn reporting_to(self, engine: Sender<Message>) -> Jobs {
        Jobs { engine: Some(engine), ..self }
    }

    /// Runs a gate for the record.
    pub(crate) fn gate(
        &self,
        rollout: RolloutId,
        gate: Gate,
        run: u32,
        plan: Option<Arc<Plan>>,
        seed: Option<SeedSource>,
    ) {
        let (gates, source) = (Arc::clone(&self.gates), seed.clone());
        self.spawn(Job::Gate(rollout.clone(), gate, run), move |engine| async move {
            let report = match plan {
                Some(plan) => gates.run(gate, &plan, source.as_ref()).await,
                None => GateReport::no_verdict("the plan document is not among the evidence"),
            };
            let evidence = evidence(&engine, report.evidence).await;
            let outcome = if evidence.is_some() { report.outcome } else { without_evidence(report.outcome) };
            let summary = report.summary;
            Message::Gate(GateSeen { rollout, gate, run, outcome, summary, evidence, seed })
        });
    }

    /// Digests the configurations again. A second cut of one step looks again.
    pub(crate) fn snapshots(&self, rollout: RolloutId, step: StepIndex, plan: Option<Arc<Plan>>) {
        let Some(plan) = plan else { return };
        let (gates, job) = (Arc::clone(&self.gates), Job::Snapshots(rollout.clone(), step));
        let (under_way, again) = (Arc::clone(&self.under_way), job.clone());
        self.spawn(job, move |_| async move {
            let now = gates.snapshots(&plan.outline).await;
            under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&again);
            Message::Snapshots(SnapshotsSeen { rollout, step, planned: plan.snapshots.clone(), now })
        });
    }

    /// Writes one round of probe traces and reads them back.
    pub(crate) fn probe(
        &self,
        rollout: RolloutId,
        step: StepIndex,
        round: u32,
        traces: u32,
        plan: Option<Arc<Plan>>,
        seed: Option<SeedSource>,
    ) {
        let gates = Arc::clone(&self.gates);
        self.spawn(Job::Probe(rollout.clone(), step, round), move |engine| async move {
            let (failed, blob) = match plan {
                Some(plan) => gates.probe_round(&plan, traces, seed.as_ref()).await,
                None => (traces, None),
            };
            let evidence = evidence(&engine, blob).await;
            Message::Probe(ProbeSeen { rollout, step, round, traces, failed, evidence })
        });
    }

    fn spawn<F>(&self, job: Job, work: impl FnOnce(Sender<Message>) -> F + Send + 'static)
    where
        F: Future<Output = Message> + Send + 'static,
    {
        let Some(engine) = self.engine.clone() else { return };
        if !self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(job) {
            return;
        }
        self.runtime.spawn(async move {
            let message = work(engine.clone()).await;
            // The engine may have ended meanwhile; then nobody wants the result.
            let _ = engine.send(message);
        });
    }
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
