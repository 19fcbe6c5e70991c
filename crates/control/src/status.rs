//! What the control plane shows of itself: one snapshot, made by the engine, read by everybody.

use std::collections::BTreeMap;

use crossfade_rollout::ending::Ending;
use crossfade_rollout::event::{Alert, Gate, StepIndex};
use crossfade_rollout::numbers::MetricReading;
use crossfade_rollout::state::{PastRollout, Rollout};
use crossfade_rollout::traffic::Rate;
use crossfade_rollout::units::text64;
use crossfade_routing::sync::Report;
use crossfade_routing::{EnvironmentId, GatewayId, Generation, UnixNanos};
use serde::{Deserialize, Serialize};

use crate::gates::Reading;

/// The version of [`Status`]'s format.
pub const STATUS_VERSION: u32 = 1;

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`STATUS_VERSION`].
    pub schema_version: u32,
    /// The control plane's clock.
    pub now: UnixNanos,
    /// The log's name.
    pub origin: String,
    /// The environment that serves while no rollout runs.
    pub active: Option<EnvironmentId>,
    /// The schedule in force.
    pub generation: Option<Generation>,
    /// The log.
    pub log: LogStatus,
    /// The rollout that runs, or the last one.
    pub rollout: Option<Rollout>,
    /// How that rollout ends and why, from the moment that it is decided; `None` while it goes on.
    #[serde(default)]
    pub ending: Option<Ending>,
    /// Rollouts that have ended, oldest first.
    pub past: Vec<PastRollout>,
    /// Gates that look now.
    #[serde(default)]
    pub looking: Vec<Looking>,
    /// Why nothing happens, in words.
    pub waiting: Vec<String>,
    /// What the analysis says at this look.
    pub readings: Vec<MetricReading>,
    /// The fleet.
    pub gateways: Vec<GatewayStatus>,
    /// What clients send, of late; `None` until gateways have reported for long enough.
    #[serde(default)]
    pub traffic: Option<Rate>,
    /// What needs a person.
    pub alerts: BTreeMap<Alert, UnixNanos>,
}

/// A gate that looks now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looking {
    /// Which.
    pub gate: Gate,
    /// In which step; `None` in preflight.
    pub step: Option<StepIndex>,
    /// Which of its runs there.
    pub run: u32,
    /// How far it is.
    pub progress: Reading,
}

/// The log as the engine sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// Entries under the last checkpoint.
    #[serde(with = "text64")]
    pub size: u64,
    /// Why it does not take entries, if it does not.
    pub unwritable: Option<String>,
}

/// A rostered gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStatus {
    /// Its name.
    pub gateway: GatewayId,
    /// When it last reported to this control plane, by the control plane's clock.
    pub last_seen: Option<UnixNanos>,
    /// Up to when it may rely on its schedule.
    pub horizon: Option<UnixNanos>,
    /// Its last report.
    pub report: Option<Report>,
}

impl Status {
    /// The status before the engine's first look.
    pub(crate) fn empty(origin: &str, now: UnixNanos) -> Status {
        Status {
            schema_version: STATUS_VERSION,
            now,
            origin: origin.to_owned(),
            active: None,
            generation: None,
            log: LogStatus::default(),
            rollout: None,
            ending: None,
            past: Vec::new(),
            looking: Vec::new(),
            waiting: Vec::new(),
            readings: Vec::new(),
            gateways: Vec::new(),
            traffic: None,
            alerts: BTreeMap::new(),
        }
    }
}
