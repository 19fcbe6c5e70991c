//! The plan: the immutable, digested result of resolving a spec.
//!
//! What is digested (outside of this crate, over the canonical JSON) is [`Plan`]. The dry run's advice lies beside
//! it in a [`PlanFile`], so that looking twice at the same thing gives the same digest.

use std::collections::BTreeMap;

use crossfade_routing::{EnvironmentId, Generation, Seed, UnixNanos, Window};
use serde::{Deserialize, Serialize};

use crate::spec::{Analysis, Change, Gates, OnFailure, Protection, Step};
use crate::units::{Digest, RolloutId, Snapshots, text64};

/// The version of the plan's format.
pub const PLAN_VERSION: u32 = 1;

/// `plan.json`: the plan, its digest, and advice that is no part of either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    pub schema_version: u32,
    /// Digest of `plan` in canonical JSON.
    pub digest: Digest,
    pub plan: Plan,
    /// What the gates said when they were tried. No gate is passed by it: they run again, for the record.
    #[serde(default)]
    pub advice: Vec<Advice>,
}

impl PlanFile {
    /// What the dry run found against starting it: every gate and check that did not pass.
    pub fn objections(&self) -> impl Iterator<Item = &Advice> {
        self.advice.iter().filter(|advice| advice.outcome != crate::event::Outcome::Pass)
    }
}

/// What is approved and run. Evidence of the log under its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub schema_version: u32,
    /// What the log repeats, so that it can be replayed without the blob.
    pub outline: Outline,
    /// Facts about the environments, as resolved.
    pub environments: BTreeMap<EnvironmentId, EnvironmentFacts>,
    /// Digests of the configurations that drift compared; taken again before every cut.
    pub snapshots: Snapshots,
    /// Digest of the spec's text.
    pub spec: Digest,
    /// What the log said when this was planned. A plan is stale when that has changed.
    pub baseline: Baseline,
    pub planned_at: UnixNanos,
}

/// The part of a plan that steers the rollout. `RolloutDrafted` carries it verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outline {
    pub rollout: RolloutId,
    pub from: EnvironmentId,
    pub to: EnvironmentId,
    pub change: Change,
    pub protection: Protection,
    pub window: Window,
    pub seed: Seed,
    pub steps: Vec<Step>,
    pub gates: Gates,
    pub analysis: Analysis,
    pub on_failure: OnFailure,
}

/// Where an environment is, as the site's configuration resolves. No credential, no header value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentFacts {
    pub otlp_endpoint: String,
    pub otlp_protocol: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_endpoint: Option<String>,
}

/// The state of the log that a plan was made against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The last generation issued.
    pub generation: Generation,
    pub active: EnvironmentId,
    /// How many rollouts the log held.
    pub rollouts: u32,
    /// Entries in the log; for the reader, not part of the staleness test (a read call adds entries).
    #[serde(with = "text64")]
    pub log_size: u64,
}

/// One gate's dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// The gate's or check's name.
    pub gate: String,
    pub outcome: crate::event::Outcome,
    /// One line.
    pub summary: String,
    /// Details, a line each.
    #[serde(default)]
    pub details: Vec<String>,
    /// Nothing against it, but something to think about before it is started.
    #[serde(default)]
    pub warning: bool,
}
