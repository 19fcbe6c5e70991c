//! Counts and evidence as the log holds them: integers only.

use crossfade_routing::{BootId, GatewayId, UnixNanos};
use serde::{Deserialize, Serialize};

use crate::units::{Share, text64};

/// Which arm of the comparison. Roles go by the rollout's `from` and `to`, not by who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    From,
    To,
}

/// What one boot of one gateway had counted for one arm, in one generation, since the boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub gateway: GatewayId,
    pub boot: BootId,
    pub arm: Arm,
    pub counts: Counts,
    /// When the gateway said so.
    pub seen: UnixNanos,
}

/// Client requests of one arm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    #[serde(with = "text64")]
    pub requests: u64,
    /// Requests whose first attempt failed or of which any span was rejected.
    #[serde(with = "text64")]
    pub failed: u64,
    /// Latency of first attempts: (bucket of `routing::sync::LATENCY_BOUNDS_US`, count), buckets ascending, none zero.
    pub latency: Vec<Bucket>,
    pub first_failure: Option<UnixNanos>,
}

/// One filled bucket of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    pub bucket: u32,
    #[serde(with = "text64")]
    pub count: u64,
}

/// The metrics' names, as specs and the log spell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    ExportErrors,
    ExportLatency,
    ProbeFailures,
}

/// Evidence of one metric: the natural logarithm of an e-value, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogE {
    pub metric: MetricName,
    #[serde(with = "text64")]
    pub ln_e_nano: i64,
}

/// What a metric says at one look, with the numbers that it says it from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricReading {
    pub metric: MetricName,
    pub outcome: crate::event::Outcome,
    /// ln e of this step alone, in billionths.
    #[serde(with = "text64")]
    pub step_ln_e_nano: i64,
    /// ln e of the whole rollout: this step and those before it, in billionths.
    #[serde(with = "text64")]
    pub ln_e_nano: i64,
    /// The share of alpha that this metric spends; 0 for a plain limit.
    pub alpha: Share,
    /// Sample of the active: requests, and those of them that count against it.
    pub from: Sample,
    /// Sample of the candidate.
    pub to: Sample,
    /// One line for people: the numbers in words.
    pub text: String,
}

/// `bad` of `all`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    #[serde(with = "text64")]
    pub all: u64,
    #[serde(with = "text64")]
    pub bad: u64,
}
