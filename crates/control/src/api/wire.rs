//! Bodies and queries of the API.

use crossfade_rollout::units::text64;
use crossfade_rollout::{Entry, RolloutId};
use crossfade_routing::{self as routing, Cut, Decided, EnvironmentId, Generation, TraceId, UnixNanos};
use serde::{Deserialize, Serialize};

/// `GET /v1/events`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsRequest {
    /// The first entry wanted.
    pub from: u64,
    /// How long to wait for it, if it is not there yet.
    pub wait_ms: Option<u64>,
}

/// Its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventsReply {
    /// The entries, as the log holds them, each with its number in `index`.
    pub entries: Vec<serde_json::Value>,
    /// Where to go on.
    #[serde(with = "text64")]
    pub next: u64,
}

impl EventsReply {
    /// The entries as they are read, each with its number.
    ///
    /// # Errors
    /// An entry that this version does not know.
    pub fn read(self) -> Result<Vec<(u64, Entry)>, serde_json::Error> {
        let read = |mut value: serde_json::Value| {
            let index = value.as_object_mut().and_then(|object| object.remove("index"));
            let index = index.as_ref().and_then(|index| index.as_str()?.parse().ok()).unwrap_or_default();
            Ok((index, serde_json::from_value(value)?))
        };
        self.entries.into_iter().map(read).collect()
    }
}

/// `GET /v1/locate`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocateRequest {
    /// The trace id in hexadecimal.
    pub trace: String,
    /// The root's start in nanoseconds since 1970; now, if left out.
    pub start: Option<u64>,
}

/// Where a trace is whole, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Located {
    /// The trace id.
    pub trace: String,
    /// The root's start that was assumed.
    pub start: UnixNanos,
    /// The environment that holds it whole.
    pub owner: EnvironmentId,
    /// The other one that may own it: the start is within skew of a cut that changes the owner.
    pub or: Option<EnvironmentId>,
    /// The rollout whose schedule decided.
    pub rollout: Option<String>,
    /// The newest generation of that rollout.
    pub generation: Option<Generation>,
    /// The cut that decided, if one did.
    pub cut: Option<Cut>,
    /// In words.
    pub why: String,
}

impl Located {
    pub(crate) fn new(trace: &TraceId, start: UnixNanos, found: routing::Located) -> Located {
        let (rollout, generation, cut, why) = match found.period.decided_by {
            Decided::OneEnvironment => (None, None, None, "no cut lies before its start".to_owned()),
            Decided::Cut { rollout, generation, cut, .. } => {
                let at = crossfade_rollout::rfc3339::format(cut.at);
                let why = format!("the cut to {} at {at} is the last before its start", cut.weight);
                (Some(rollout), Some(generation), Some(cut), why)
            }
            Decided::Fence { rollout, generation } => {
                let why = "the rollout was fenced: every trace belongs to the former active".to_owned();
                (Some(rollout), Some(generation), None, why)
            }
        };
        let (trace, owner, or) = (trace.to_string(), found.period.owner, found.or.map(|period| period.owner));
        Located { trace, start, owner, or, rollout, generation, cut, why }
    }
}

/// `POST /v1/plans`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// The spec's text.
    pub spec: String,
    /// Its name in messages.
    pub source: String,
}

/// `POST /v1/plans?progress=true`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressRequest {
    /// Answer with lines of [`PlanNews`](crate::progress::PlanNews), as they come, instead of the plan alone.
    #[serde(default)]
    pub progress: bool,
}

/// `POST /v1/rollouts?anyway=true`, with the plan as its body.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// Start it although its dry run found something against it.
    #[serde(default)]
    pub anyway: bool,
}

/// `POST /v1/rollouts/{name}/{verb}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerbRequest {
    /// With `rollback` and `abort`: why, for the record.
    pub reason: Option<String>,
    /// With `promote`: skip all that is left to wait for.
    #[serde(default)]
    pub full: bool,
}

/// `DELETE /v1/gateways/{id}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrikeRequest {
    /// Why, for the record.
    pub reason: Option<String>,
}

/// What a change answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Started {
    /// The rollout.
    pub rollout: RolloutId,
}
