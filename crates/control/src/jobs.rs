//! Work that takes time, beside the engine: gates, probes, snapshots. Asked twice for the same thing, it is done once; a gate
//! that is no longer asked for is stopped.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossfade_gates::look::cannot_look;
use crossfade_gates::report::Report;
use crossfade_rollout::event::{Gate, SeedSource, StepIndex};
use crossfade_rollout::observed::{GateSeen, ProbeSeen, SnapshotsSeen};
use crossfade_rollout::plan::Plan;
use crossfade_rollout::spec::Moment;
use crossfade_rollout::units::Snapshots;
use crossfade_rollout::{Digest, RolloutId};
use crossfade_routing::{Schedule, UnixNanos};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::engine::Message;
use crate::gates::probe::Round;
use crate::gates::{Cx, Gates, Gauge, outcome, seed_of, summary};
use crate::status::Looking;

/// How often, and how many times, a configuration that cannot be read is tried before that is an alert.
const READ_AGAIN: Duration = Duration::from_secs(1);
const READ_ATTEMPTS: u32 = 60;

/// Starts jobs on a runtime, and reports to the engine.
pub(crate) struct Jobs {
    runtime: tokio::runtime::Handle,
    gates: Arc<Gates>,
    engine: Option<Sender<Message>>,
    under_way: Arc<Mutex<BTreeMap<Job, Option<Run>>>>,
}

/// What is under way or done; a name is never used for two jobs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    Gate(Asked),
    Snapshots(RolloutId, StepIndex),
    Probe(RolloutId, StepIndex, u32),
}

/// A gate's run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) rollout: RolloutId,
    pub(crate) gate: Gate,
    pub(crate) step: Option<StepIndex>,
    pub(crate) run: u32,
}

/// A gate that looks: how to stop it, and how far it is.
#[derive(Debug)]
struct Run {
    task: AbortHandle,
    gauge: Gauge,
}

/// What a job is done with.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// The plan of the rollout.
    pub(crate) plan: Option<Arc<Plan>>,
    /// The checkpoint that sampling derives from.
    pub(crate) seed: Option<SeedSource>,
    /// Since when traffic is as it is.
    pub(crate) since: Option<UnixNanos>,
    /// The schedule in force.
    pub(crate) schedule: Option<Schedule>,
    /// Reports of the gates that have looked at the same place.
    pub(crate) found: Vec<Value>,
    /// For a gate that holds looks against each other: its own report of before.
    pub(crate) before: Option<Value>,
    /// For the policy gate: how far the rollout has come.
    pub(crate) course: Option<Value>,
}

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
    pub(crate) fn gate(&self, asked: Asked, inputs: impl FnOnce() -> Inputs) {
        let Some(engine) = self.engine.clone() else { return };
        let job = Job::Gate(asked.clone());
        // Held until the run is noted: one that is done at once must find it.
        let mut under_way = lock(&self.under_way);
        if under_way.contains_key(&job) {
            return;
        }
        let (gates, inputs, gauge) = (Arc::clone(&self.gates), inputs(), Gauge::default());
        let (done, runs) = (job.clone(), Arc::clone(&self.under_way));
        let shown = gauge.clone();
        let task = self.runtime.spawn(async move {
            let report = look(&gates, &asked, &inputs, gauge).await;
            let evidence = evidence(&engine, Some(report.evidence())).await;
            let (outcome, summary, seed) = (outcome(&report), summary(&report), inputs.seed);
            let Asked { rollout, gate, step, run } = asked;
            let seen = GateSeen { rollout, gate, step, run, outcome, summary, evidence, seed };
            // The engine may have ended meanwhile; then nobody wants the result.
            let _ = engine.send(Message::Gate(seen));
            lock(&runs).insert(done, None);
        });
        under_way.insert(job, Some(Run { task: task.abort_handle(), gauge: shown }));
    }

    /// Stops the gates that look and are not among `asked`. If one is asked for again, it looks again.
    pub(crate) fn stop_others(&self, asked: &[Asked]) {
        lock(&self.under_way).retain(|job, run| match (job, run) {
            (Job::Gate(gate), Some(run)) if !asked.contains(gate) => {
                run.task.abort();
                false
            }
            _ => true,
        });
    }

    /// The gates that look now, and how far they are.
    pub(crate) fn looking(&self) -> Vec<Looking> {
        let under_way = lock(&self.under_way);
        let shown = under_way.iter().filter_map(|(job, run)| match (job, run) {
            (Job::Gate(Asked { gate, step, run, .. }), Some(under_way)) => {
                Some(Looking { gate: *gate, step: *step, run: *run, progress: under_way.gauge.reading() })
            }
            _ => None,
        });
        shown.collect()
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
        let (gates, Inputs { plan, seed, .. }) = (Arc::clone(&self.gates), inputs());
        self.runtime.spawn(async move {
            let sent = tokio::spawn(async move {
                match plan {
                    Some(plan) => gates.probe_round(&plan, traces, seed.as_ref()).await,
                    None => Round::default(),
                }
            });
            let Round { traces, failed, report } = sent.await.unwrap_or_default();
            let evidence = evidence(&engine, report).await;
            let _ = engine.send(Message::Probe(ProbeSeen { rollout, step, round, traces, failed, evidence }));
        });
    }

    /// The way to the engine, unless the job is under way or done.
    fn begin(&self, job: Job) -> Option<Sender<Message>> {
        let engine = self.engine.clone()?;
        match lock(&self.under_way).entry(job) {
            Entry::Vacant(free) => {
                free.insert(None);
                Some(engine)
            }
            Entry::Occupied(_) => None,
        }
    }
}

fn lock(under_way: &Mutex<BTreeMap<Job, Option<Run>>>) -> MutexGuard<'_, BTreeMap<Job, Option<Run>>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look(gates: &Gates, asked: &Asked, inputs: &Inputs, gauge: Gauge) -> Report {
    let Some(plan) = &inputs.plan else {
        return cannot_look(asked.gate.name(), "the plan document is not among the evidence");
    };
    let Some(seed) = &inputs.seed else {
        return cannot_look(
            asked.gate.name(),
            "the log's checkpoint, from which the sample derives, cannot be read",
        );
    };
    let moment = asked.step.and_then(|step| plan.outline.moment_of(step));
    let cx = Cx {
        moment: moment.unwrap_or(Moment::Preflight),
        since: inputs.since,
        schedule: inputs.schedule.as_ref(),
        found: &inputs.found,
        before: inputs.before.as_ref(),
        course: inputs.course.as_ref(),
        gauge,
        ..gates.cx(&plan.outline, seed_of(plan, Some(seed)))
    };
    gates.look(asked.gate, &cx).await
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

/// Hands a report over as evidence, so that its digest can be named: it waits in memory for the entry that does, whatever the disk
/// does. `None` if it is too large for ever, or the engine has ended.
async fn evidence(engine: &Sender<Message>, bytes: Option<Vec<u8>>) -> Option<Digest> {
    let (reply, answer) = oneshot::channel();
    engine.send(Message::Evidence { bytes: bytes?, reply }).ok()?;
    match answer.await {
        Ok(Ok(digest)) => Some(digest),
        Ok(Err(error)) => {
            tracing::error!(%error, "a report is not taken as evidence");
            None
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use crossfade_audit::EvidenceError;

    use super::*;
    use crate::journal::JournalError;

    /// Scenario: a report is larger than any that the log takes.
    /// Guarantee: nobody tries again for ever: the run has no evidence, and so no verdict.
    #[tokio::test]
    async fn a_report_that_is_too_large_is_handed_over_once() {
        let (engine, messages) = channel();
        let answering = std::thread::spawn(move || {
            let first = Err(JournalError::Evidence(EvidenceError::TooLarge { len: 17 << 20 }));
            let answers = [first, Ok(Digest::from_bytes([1; 32]))];
            for answer in answers {
                let Ok(Message::Evidence { reply, .. }) = messages.recv() else { return };
                let _ = reply.send(answer);
            }
        });
        assert_eq!(evidence(&engine, Some(b"a report".to_vec())).await, None);
        assert!(evidence(&engine, Some(b"a report".to_vec())).await.is_some());
        drop(engine);
        answering.join().unwrap();
    }
}
