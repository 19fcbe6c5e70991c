//! What a gate looks at.

use crossfade_rollout::plan::Outline;
use crossfade_rollout::spec::{self, Moment};
use crossfade_routing::{EnvironmentId, Schedule, UnixNanos};
use serde_json::Value;

use super::Gauge;
use crate::site::{Environment, Site};

/// What a gate looks at, and how. The same in a rollout, in a plan's dry run and on the command line.
#[derive(Debug, Clone)]
pub struct Cx<'a> {
    /// Where the environments are.
    pub site: &'a Site,
    /// The plan, as far as it steers the rollout.
    pub outline: &'a Outline,
    /// The active environment.
    pub from: &'a EnvironmentId,
    /// The candidate.
    pub to: &'a EnvironmentId,
    /// The spec's `gates`.
    pub settings: &'a spec::Gates,
    /// What sampling derives from. In a rollout it follows from a checkpoint that is later than the gate's start.
    pub seed: u64,
    /// When in a rollout this is.
    pub moment: Moment,
    /// The time by which certificates, waivers and windows are judged.
    pub now: UnixNanos,
    /// Since when traffic is as it is: the beginning of the step, or the last cut; `None` where neither has been.
    pub since: Option<UnixNanos>,
    /// The schedule that gateways follow, in a rollout.
    pub schedule: Option<&'a Schedule>,
    /// What clients send, in spans per second, if that is known.
    pub live: Option<u64>,
    /// Keys the digests that stand for secrets.
    pub redact_key: &'a [u8],
    /// What the gates that looked before it at the same place found: their reports.
    pub found: &'a [Value],
    /// The gate's own report of this rollout that this look is held against, where it holds looks against each other.
    pub before: Option<&'a Value>,
    /// How far the rollout has come, for the gate that asks rules about it.
    pub course: Option<&'a Value>,
    /// Where the gate says how far it has come.
    pub gauge: Gauge,
}

impl Cx<'_> {
    /// The active environment.
    pub(crate) fn active(&self) -> Result<&Environment, String> {
        self.environment(self.from)
    }

    /// The candidate.
    pub(crate) fn candidate(&self) -> Result<&Environment, String> {
        self.environment(self.to)
    }

    fn environment(&self, id: &EnvironmentId) -> Result<&Environment, String> {
        self.site.environment(id).ok_or_else(|| format!("{id} is not an environment of this site"))
    }
}
