//! What people and adapters ask for, and why it may be refused.

use std::collections::BTreeMap;

use crossfade_routing::{BootId, EnvironmentId, GatewayId, UnixNanos};

use crate::plan::{Environments, Plan};
use crate::state::Phase;
use crate::units::{Actor, Digest, RolloutId, Snapshots};

/// A request to change what the log says. Where a rollout may be named, `None` means the one that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The first entry of an empty log.
    Initialise { origin: String, active: EnvironmentId, site: Digest },
    /// The control plane has folded the log and goes on from there.
    /// `environments`: digests of the site's facts about each. `reads_unknown_since`: from when on reads are lost if the
    /// life before this one has not ended in order.
    StartControl {
        boot: BootId,
        version: String,
        environments: BTreeMap<EnvironmentId, Digest>,
        reads_unknown_since: UnixNanos,
    },
    /// The control plane ends in order.
    StopControl { boot: BootId },
    /// Begin a rollout. `digest` is that of `plan`; `snapshots` are the configurations' digests, and `environments` the
    /// site's facts, as they are now.
    Start { plan: Box<Plan>, digest: Digest, snapshots: Snapshots, environments: Environments },
    /// Stay in the current step. A cut that is announced already is still completed.
    Pause { rollout: Option<RolloutId> },
    /// Go on; after a failed gate, look again; after a failed analysis, begin its count anew.
    Resume { rollout: Option<RolloutId> },
    /// Leave the current step or pause early; `full`: skip all that is left to wait for.
    Promote { rollout: Option<RolloutId>, full: bool },
    /// Go back, at once. Before any gateway knows of the rollout, it is aborted.
    Rollback { rollout: Option<RolloutId>, actor: Actor, reason: String },
    /// Give up before the first cut.
    Abort { rollout: Option<RolloutId>, reason: String },
    /// Add a gateway to the fleet.
    Roster { gateway: GatewayId },
    /// Take a gateway out of the fleet: nothing waits for it any more.
    Strike { gateway: GatewayId, reason: String },
    /// Put a refused call on the record.
    DenyAccess { call: String, why: String },
    /// Put an hour's reads of one actor on the record.
    CountReads { actor: Actor, hour: UnixNanos, count: u64 },
    /// Put the digest of the state on the record.
    RecordState { state: Digest },
    /// Mark that `entries` entries from the emergency file follow.
    MergeEmergency { entries: u32, since: UnixNanos },
}

/// Why a command was refused. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the log is empty; run `crossfade init` first")]
    NotInitialised,
    #[error("the log has its genesis already")]
    AlreadyInitialised,
    #[error("rollout {rollout} is {phase}; a second one may begin when it has ended")]
    RolloutInProgress { rollout: RolloutId, phase: Phase },
    #[error(
        "traces that began around the last cut of {rollout} may still be under way; the next rollout may begin at {}",
        crate::rfc3339::format(*until)
    )]
    Settling { rollout: RolloutId, until: UnixNanos },
    #[error("the plan is stale: {what} was {planned} when it was made and is {now} now; plan again")]
    StalePlan { what: &'static str, planned: String, now: String },
    #[error("the plan is stale: {} changed since it was made; plan again", changed.join(", "))]
    ChangedSinceThePlan { changed: Vec<String> },
    #[error(
        "the plan is stale: {field} of {environment} was {planned} when it was made and is {now} now; plan again"
    )]
    MovedSinceThePlan { environment: EnvironmentId, field: &'static str, planned: String, now: String },
    #[error("the plan has format version {found}; this program reads version {expected}")]
    PlanVersion { found: u32, expected: u32 },
    #[error("the plan is not valid: {why}")]
    InvalidPlan { why: String },
    #[error("no gateway is known; start one, so that it reports, and try again")]
    NoGateway,
    #[error("no rollout is running")]
    NoRollout,
    #[error("rollout {asked} is not the one that runs; that is {running}")]
    OtherRollout { asked: RolloutId, running: RolloutId },
    #[error("{command} is not possible while {rollout} is {phase}{}", remedy(*.phase, command))]
    WrongPhase { command: &'static str, rollout: RolloutId, phase: Phase },
    #[error("{rollout} is paused already")]
    AlreadyPaused { rollout: RolloutId },
    #[error("{rollout} is not paused")]
    NotPaused { rollout: RolloutId },
    #[error("{rollout} is paused; `rollout resume` first")]
    Paused { rollout: RolloutId },
    #[error(
        "{rollout} has no step to leave just now: a cut or a promotion is under way; try again in a moment"
    )]
    NothingToLeave { rollout: RolloutId },
    #[error("{rollout} leaves its step already; `rollout status` says what it waits for")]
    AlreadyLeaving { rollout: RolloutId },
    #[error(
        "{rollout} skips already all that is left to wait for, since an earlier `promote --full`; `rollout status` says what is still to come"
    )]
    AlreadyPromotedInFull { rollout: RolloutId },
    #[error(
        "{rollout} has already left behind all that could be skipped; `rollout status` says what is still to come"
    )]
    NothingLeftToSkip { rollout: RolloutId },
    #[error("gateway {gateway} is rostered already")]
    AlreadyRostered { gateway: GatewayId },
    #[error("gateway {gateway} is not rostered")]
    NotRostered { gateway: GatewayId },
}

fn remedy(phase: Phase, command: &str) -> &'static str {
    match (command, phase) {
        ("abort", Phase::Shifting { .. } | Phase::Promoted) => "; use `rollback`: traffic has moved",
        ("rollback", Phase::Finalizing | Phase::Finalized) => {
            "; the former active is let go: plan a rollout back"
        }
        _ => "",
    }
}
