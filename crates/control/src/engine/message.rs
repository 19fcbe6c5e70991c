//! What the engine is asked.

use crossfade_rollout::observed::{GateSeen, ProbeSeen, SnapshotsSeen};
use crossfade_rollout::state::PastRollout;
use crossfade_rollout::units::Snapshots;
use crossfade_rollout::{Actor, Command, Digest, PlanFile, RolloutId};
use crossfade_routing::sync::{Reply, Report};
use crossfade_routing::{EnvironmentId, Generation, Located, TraceId, UnixNanos};
use tokio::sync::oneshot::Sender;

use crate::api::ApiError;
use crate::journal::JournalError;

pub(crate) enum Message {
    Command { actor: Actor, command: Box<Command>, reply: Sender<Result<(), ApiError>> },
    Start { actor: Actor, file: Box<PlanFile>, snapshots: Snapshots, reply: Sender<Result<(), ApiError>> },
    Sync { report: Box<Report>, reply: Sender<Result<Reply, ApiError>> },
    Baseline { reply: Sender<Result<Baselined, ApiError>> },
    Entries { from: u64, max: usize, reply: Sender<Result<Vec<serde_json::Value>, ApiError>> },
    Locate { trace: TraceId, start: UnixNanos, reply: Sender<Result<Located, ApiError>> },
    Read { actor: Actor },
    Gate(GateSeen),
    Snapshots(SnapshotsSeen),
    Probe(ProbeSeen),
    Evidence { bytes: Vec<u8>, reply: Sender<Result<Digest, JournalError>> },
    Stop { reply: Sender<bool> },
}

/// What a plan is made against.
#[derive(Debug, Clone)]
pub(crate) struct Baselined {
    pub(crate) active: EnvironmentId,
    pub(crate) generation: Generation,
    /// Rollouts that have ended, oldest first.
    pub(crate) ended: Vec<PastRollout>,
    pub(crate) running: Option<RolloutId>,
    pub(crate) log_size: u64,
}

impl Baselined {
    /// How often a spec of this name was tried.
    pub(crate) fn attempts(&self, name: &str) -> u32 {
        let tried = self
            .ended
            .iter()
            .map(|past| &past.rollout)
            .chain(&self.running)
            .filter(|rollout| rollout.name() == name);
        tried.count().try_into().unwrap_or(u32::MAX)
    }
}
