//! The plan: the immutable, digested result of resolving a spec.
//!
//! What is digested (outside of this crate, over the canonical JSON) is [`Plan`]. The dry run's advice lies beside
//! it in a [`PlanFile`], so that looking twice at the same thing gives the same digest.

use std::collections::BTreeMap;

use crossfade_routing::{EnvironmentId, Generation, Seed, UnixNanos, Window};
use serde::{Deserialize, Serialize};

use crate::event::Gate;
use crate::moments::Later;
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
    pub environments: Environments,
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
    /// The gates that it has to pass before the candidate is named. An auditor asks for these, whatever gates a later version
    /// knows.
    #[serde(default = "first_gates", skip_serializing_if = "is_first_gates")]
    pub required_gates: Vec<Gate>,
    /// The gates that it has to pass while traffic moves, and after. Plans from before there were such have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later_gates: Vec<Later>,
    /// Gates that would look unasked, and why they do not, or not at all of their moments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<Gate, String>,
    pub analysis: Analysis,
    /// The counts of a step are tested in two parts, with the window of the last cut still open and after it. Plans from
    /// before this was known have one test for both, and are judged by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub split_at_window: bool,
    /// Each outcome of a gate that draws its sample names the checkpoint that it drew by. Plans from before may have some that
    /// do not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seeds_on_record: bool,
    pub on_failure: OnFailure,
}

/// What plans had to pass before they named their gates. Never changes: such plans are in logs.
fn first_gates() -> Vec<Gate> {
    vec![Gate::Drift, Gate::Probe]
}

fn is_first_gates(gates: &[Gate]) -> bool {
    gates == first_gates()
}

/// Facts about environments.
pub type Environments = BTreeMap<EnvironmentId, EnvironmentFacts>;

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

impl EnvironmentFacts {
    /// The fields by name, as people read them.
    pub(crate) fn fields(&self) -> [(&'static str, &str); 4] {
        [
            ("otlp_endpoint", &self.otlp_endpoint),
            ("otlp_protocol", &self.otlp_protocol),
            ("query_kind", self.query_kind.as_deref().unwrap_or(NONE)),
            ("query_endpoint", self.query_endpoint.as_deref().unwrap_or(NONE)),
        ]
    }
}

/// What a field says that is not there.
const NONE: &str = "none";

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

/// A finding of a dry run, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdviceFinding {
    /// `CF-DRIFT-014`.
    pub id: String,
    /// Its rule's name.
    pub rule: String,
    /// How much it weighs here, in the word of reports: a rule's findings need not all weigh the same.
    #[serde(default = "not_said")]
    pub severity: String,
    /// Where to look, in words.
    #[serde(rename = "where")]
    pub place: String,
    /// What it means.
    pub detail: String,
}

/// What plans from before they had it say of a finding's weight.
fn not_said() -> String {
    "unknown".to_owned()
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
    /// What keeps a gate from passing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<AdviceFinding>,
    /// Nothing against it, but something to think about before it is started.
    #[serde(default)]
    pub warning: bool,
}
