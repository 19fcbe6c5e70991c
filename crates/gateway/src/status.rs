//! What a gateway says of itself: `GET /v1/gateway`, and the closing ledger.

use std::net::SocketAddr;
use std::time::Duration;

use crossfade_routing::sync::{EnvironmentHealth, Fence, LedgerRow};
use crossfade_routing::{Ack, BootId, EnvironmentId, GatewayId, Generation, Schedule, UnixNanos};
use serde::{Deserialize, Serialize};

/// `GET /v1/gateway`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStatus {
    pub schema_version: u32,
    pub gateway: GatewayId,
    pub boot: BootId,
    pub grpc: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    pub phase: Phase,
    /// `None`: no directive is held, and every request is refused as unavailable.
    pub schedule: Option<Schedule>,
    /// How far the schedule may be relied on.
    pub horizon: Option<UnixNanos>,
    /// From this span time on everything goes to both environments.
    pub edge: Option<UnixNanos>,
    /// What control may be told: in effect in every worker, and saved.
    pub ack: Option<Ack>,
    /// The newest fence that fell here, of this rollout or of an earlier one.
    pub fence: Option<Fence>,
    /// Whether that fence holds for the rollout of the schedule.
    pub fenced: bool,
    /// Why that fence is not on disk, although it is in effect; `None` if it is. It is tried again until it is.
    #[serde(default)]
    pub fence_unsaved: Option<String>,
    pub control: ControlStatus,
    pub breaker: BreakerStatus,
    pub environments: Vec<EnvironmentHealth>,
    pub queues: Vec<QueueStatus>,
    pub ledger: Vec<LedgerRow>,
    /// Whether every row of the ledger adds up.
    pub balanced: bool,
}

/// Where a gateway is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Serving,
    /// Takes nothing new; finishes what it has.
    Draining,
    Closed,
}

/// How the gateway stands with its control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlStatus {
    /// When control last answered with something this gateway could take.
    pub last_sync: Option<UnixNanos>,
    /// Why the last attempt came to nothing; `None` if it did not.
    pub trouble: Option<String>,
    /// Size of the newest log checkpoint that was seen and verified. It never goes back.
    pub checkpoint_size: u64,
}

/// What the breaker makes of `to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerStatus {
    /// Nothing to worry about.
    #[default]
    Closed,
    /// `to` fails, and so does `from`: nowhere better to go, so no fence.
    Holding,
    /// `to` failed while `from` was healthy: it asked for a fence.
    Tripped,
}

/// The copies that wait for one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    pub environment: EnvironmentId,
    /// Waiting, on their way, or waiting for another attempt.
    pub requests: usize,
    pub bytes: usize,
    pub bytes_max: usize,
}

/// `POST /v1/gateway/fence`: the body. Who asks is known by the token. `rollout` guards against fencing another one than was
/// meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FenceRequest {
    /// Why, for the record.
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub rollout: Option<String>,
}

/// A fence that fell: its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    pub fence: Fence,
    /// Whether it had fallen before this call.
    pub already: bool,
    /// When the last byte was written to the fenced environment, as far as this gateway ever wrote one.
    pub last_sent: Option<UnixNanos>,
    /// Whether it is on disk. If not, it is in effect all the same, and is tried again; but should this process end before,
    /// only the control plane's log would know of it.
    pub durable: bool,
}

/// Why no fence fell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    #[error("no rollout is in progress here: nothing to fence")]
    NoRollout,
    #[error("rollout {held} is in progress here, not {asked}")]
    OtherRollout { held: String, asked: String },
    #[error("the gateway is shutting down")]
    Closed,
}

/// The last word of a boot, after the drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosingLedger {
    pub rows: Vec<LedgerRow>,
    /// Whether every request was answered and every queue empty before the grace time was over.
    pub drained: bool,
    /// Whether control has heard it, and put it on record.
    pub reported: bool,
    pub took: Duration,
}

impl ClosingLedger {
    /// The row of one environment and generation.
    pub fn row(&self, environment: &EnvironmentId, generation: Generation) -> Option<&LedgerRow> {
        self.rows.iter().find(|row| row.environment == *environment && row.generation == generation)
    }
}
