//! What happened: the leaves of the audit log, of which state is the fold.
//!
//! Every event says by itself when it happened (`at`), so that the fold needs no clock. 64-bit integers are strings,
//! there are no floats, and nothing here is personal data.

mod gate;

use std::collections::BTreeMap;

use crossfade_routing::sync::{Fence, LedgerRow};
use crossfade_routing::{BootId, EnvironmentId, GatewayId, Generation, Schedule, UnixNanos, Weight};
use serde::{Deserialize, Serialize};

pub use self::gate::Gate;
use crate::numbers::{Arms, LogE, MetricReading};
use crate::plan::Outline;
use crate::rfc3339;
use crate::units::{Actor, Digest, RolloutId, percent, text64};

/// The version of [`Entry`]'s format.
pub const ENTRY_VERSION: u32 = 1;

/// One leaf: an event, who caused it, and when it was appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub actor: Actor,
    pub event: Event,
    /// RFC 3339, UTC, nine decimal places.
    #[serde(with = "rfc3339")]
    pub time: UnixNanos,
    pub v: u32,
}

impl Entry {
    /// An entry of the current version.
    pub fn new(actor: Actor, time: UnixNanos, event: Event) -> Self {
        Self { actor, event, time, v: ENTRY_VERSION }
    }
}

/// What a state's digest was of before it said so.
const fn first_version() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_first_version(version: &u32) -> bool {
    *version == first_version()
}

/// Index of a step in [`Outline::steps`], from 0.
pub type StepIndex = u32;

/// Everything that the log can say.
///
/// Intents come before their effects, outcomes after them. Events of a rollout name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Event {
    // ---- the log, the fleet, access
    /// The first entry of a log: who serves.
    Genesis {
        origin: String,
        active: EnvironmentId,
        site: Digest,
        at: UnixNanos,
    },
    /// The control plane came up. Gate runs that had begun and not ended are void.
    ControlStarted {
        boot: BootId,
        version: String,
        /// Digests of what the site's configuration says of each environment: where it is, and how it is spoken to.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environments: BTreeMap<EnvironmentId, Digest>,
        /// The life before this one did not end in order: reads from then on that no entry counts are unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reads_unknown_since: Option<UnixNanos>,
        at: UnixNanos,
    },
    /// The control plane went down in order.
    ControlStopped {
        boot: BootId,
        at: UnixNanos,
    },
    /// A gateway belongs to the fleet: cuts wait for it.
    GatewayRostered {
        gateway: GatewayId,
        at: UnixNanos,
    },
    /// A gateway no longer belongs to the fleet.
    GatewayStruck {
        gateway: GatewayId,
        reason: String,
        at: UnixNanos,
    },
    /// A rostered gateway was seen with a boot id that the log did not know.
    GatewayBooted {
        gateway: GatewayId,
        boot: BootId,
        at: UnixNanos,
    },
    /// No horizon is ever granted past this time unless a later watermark says so.
    HorizonWatermark {
        until: UnixNanos,
        at: UnixNanos,
    },
    /// A call was refused.
    AccessDenied {
        call: String,
        why: String,
        at: UnixNanos,
    },
    /// How often an actor read, or had a plan made, within an hour.
    ReadsCounted {
        actor: Actor,
        /// Start of the hour.
        hour: UnixNanos,
        #[serde(with = "text64")]
        count: u64,
    },
    /// Something needs a person.
    AlertRaised {
        alert: Alert,
        detail: String,
        at: UnixNanos,
    },
    /// It no longer does.
    AlertCleared {
        alert: Alert,
        at: UnixNanos,
    },
    /// Entries written to the emergency file while the log was away follow this one.
    EmergencyMerged {
        entries: u32,
        since: UnixNanos,
        at: UnixNanos,
    },
    /// Digest of the canonical JSON of the fold of all entries before; only a program that folds to that format can compare it.
    StateRecorded {
        state: Digest,
        /// [`crate::state::STATE_VERSION`] of the program that wrote it.
        #[serde(default = "first_version", skip_serializing_if = "is_first_version")]
        version: u32,
        at: UnixNanos,
    },

    // ---- a rollout until traffic moves
    /// A plan was submitted. The plan document is evidence under `plan`.
    RolloutDrafted {
        rollout: RolloutId,
        plan: Digest,
        outline: Box<Outline>,
        at: UnixNanos,
    },
    /// The gates are about to run for the record.
    PreflightStarted {
        rollout: RolloutId,
        at: UnixNanos,
    },
    /// A gate is about to look. `run` counts from 1 in preflight and in each step: reruns are seen.
    GateStarted {
        rollout: RolloutId,
        gate: Gate,
        run: u32,
        /// The step in which it looks; `None` in preflight.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepIndex>,
        at: UnixNanos,
    },
    /// A gate has looked.
    GateFinished {
        rollout: RolloutId,
        gate: Gate,
        run: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepIndex>,
        outcome: Outcome,
        summary: String,
        /// The report's blob; absent only if the gate could not report at all.
        evidence: Option<Digest>,
        /// The checkpoint, later than `GateStarted`, that the gate's sampling seed derives from.
        seed: Option<SeedSource>,
        at: UnixNanos,
    },
    /// Every gate has passed.
    PreflightPassed {
        rollout: RolloutId,
        at: UnixNanos,
    },
    /// No approval gate is configured, and this is on the record.
    ApprovalNotRequired {
        rollout: RolloutId,
        why: String,
        at: UnixNanos,
    },

    // ---- routing
    /// A new generation of the schedule, other than by a cut. Gateways take it with its proof of inclusion.
    GenerationIssued {
        schedule: Box<Schedule>,
        why: GenerationCause,
        at: UnixNanos,
    },
    /// Every rostered gateway has acknowledged the generation.
    GenerationAcknowledged {
        generation: Generation,
        gateways: Vec<GatewayId>,
        at: UnixNanos,
    },
    /// The configurations were digested again before a cut, or an environment was found at another address; `changed` names
    /// what differs from the plan.
    SnapshotsRetaken {
        rollout: RolloutId,
        step: StepIndex,
        changed: Vec<String>,
        at: UnixNanos,
    },
    /// A cut is to happen at `cut_at`. Announced again, later, the former time is void.
    CutAnnounced {
        rollout: RolloutId,
        step: StepIndex,
        generation: Generation,
        attempt: u32,
        cut_at: UnixNanos,
        #[serde(with = "percent")]
        weight: Weight,
        at: UnixNanos,
    },
    /// The announced cut stands: a new generation, whose last cut it is.
    CutCommitted {
        rollout: RolloutId,
        step: StepIndex,
        schedule: Box<Schedule>,
        at: UnixNanos,
    },

    // ---- steps
    /// A step began. What is on the record of its generation so far is not its.
    StepStarted {
        rollout: RolloutId,
        step: StepIndex,
        generation: Generation,
        at: UnixNanos,
    },
    /// What one boot of one gateway has counted in one generation, since that boot: every 30 s, and before each verdict.
    AnalysisRecorded {
        rollout: RolloutId,
        step: StepIndex,
        generation: Generation,
        gateway: GatewayId,
        boot: BootId,
        counts: Arms,
        /// When the gateway said so.
        seen: UnixNanos,
        at: UnixNanos,
    },
    /// A gateway came back with a new boot: what it counted between `from` and `until` is unknown.
    AnalysisResumed {
        rollout: RolloutId,
        step: StepIndex,
        gateway: GatewayId,
        lost: BootId,
        boot: BootId,
        from: UnixNanos,
        until: UnixNanos,
        at: UnixNanos,
    },
    /// The window of the last cut has passed while a step runs, and traffic is shared in another ratio from here on. The counts
    /// that are on the record so far have had a test of their own; what is carried holds its evidence.
    WindowPassed {
        rollout: RolloutId,
        step: StepIndex,
        carried: Vec<LogE>,
        at: UnixNanos,
    },
    /// Synthetic traces of one round were read back, or not. Those that nobody answered for are not among them.
    ProbeRecorded {
        rollout: RolloutId,
        step: StepIndex,
        round: u32,
        traces: u32,
        failed: u32,
        evidence: Option<Digest>,
        at: UnixNanos,
    },
    /// The analysis has spoken on a step, from the counts on the record.
    VerdictReached {
        rollout: RolloutId,
        step: StepIndex,
        outcome: Outcome,
        why: String,
        readings: Vec<MetricReading>,
        /// The earliest failure of the candidate in this step.
        first_failure: Option<UnixNanos>,
        at: UnixNanos,
    },
    /// A step is over.
    StepEnded {
        rollout: RolloutId,
        step: StepIndex,
        how: StepEnd,
        /// The evidence so far, for each metric that multiplies it over steps.
        carried: Vec<LogE>,
        at: UnixNanos,
    },

    // ---- people
    Paused {
        rollout: RolloutId,
        by: PauseCause,
        at: UnixNanos,
    },
    Resumed {
        rollout: RolloutId,
        at: UnixNanos,
    },
    /// Leave the current step or pause early; `full`: skip all that is left to wait for.
    PromoteRequested {
        rollout: RolloutId,
        full: bool,
        at: UnixNanos,
    },

    // ---- promotion and the end
    /// Every rostered gateway has acknowledged, unfenced, that the candidate answers.
    Promoted {
        rollout: RolloutId,
        generation: Generation,
        at: UnixNanos,
    },
    BakeStarted {
        rollout: RolloutId,
        step: StepIndex,
        mirror_back: bool,
        at: UnixNanos,
    },
    /// The former active is being let go: from here there is no way back.
    FinalizeStarted {
        rollout: RolloutId,
        step: StepIndex,
        at: UnixNanos,
    },
    /// The candidate is active now.
    Finalized {
        rollout: RolloutId,
        active: EnvironmentId,
        at: UnixNanos,
    },

    // ---- the way back
    /// A gateway has fenced by itself.
    Fenced {
        rollout: RolloutId,
        gateway: GatewayId,
        fence: Fence,
        at: UnixNanos,
    },
    /// Everything goes to the former active from here on, for ever in this rollout.
    RollbackStarted {
        rollout: RolloutId,
        reason: RollbackReason,
        lossless: bool,
        at: UnixNanos,
    },
    RolledBack {
        rollout: RolloutId,
        at: UnixNanos,
    },
    /// Given up before the first cut.
    AbortStarted {
        rollout: RolloutId,
        reason: AbortReason,
        at: UnixNanos,
    },
    Aborted {
        rollout: RolloutId,
        at: UnixNanos,
    },

    // ---- accounts
    /// Span accounts of a gateway's boot as last seen; later ones replace earlier ones.
    LedgerNoted {
        rollout: RolloutId,
        gateway: GatewayId,
        boot: BootId,
        rows: Vec<LedgerRow>,
        at: UnixNanos,
    },
    /// The final accounts of a gateway's boot for this rollout: nothing is queued any more.
    LedgerClosed {
        rollout: RolloutId,
        gateway: GatewayId,
        boot: BootId,
        rows: Vec<LedgerRow>,
        balanced: bool,
        at: UnixNanos,
    },
    /// A boot ended without final accounts: what it did between `from` and `until` is unknown.
    LedgerGapDeclared {
        rollout: RolloutId,
        gateway: GatewayId,
        boot: BootId,
        last_known: Vec<LedgerRow>,
        from: UnixNanos,
        until: UnixNanos,
        at: UnixNanos,
    },
}

impl Event {
    /// Whether this event is part of a way back: a command that has only such events goes to the emergency file while the log
    /// is away.
    pub const fn is_way_back(&self) -> bool {
        matches!(
            self,
            Self::VerdictReached { .. }
                | Self::Fenced { .. }
                | Self::RollbackStarted { .. }
                | Self::AbortStarted { .. }
                | Self::AlertRaised { .. }
        )
    }

    /// Whether this event decides how its rollout ends.
    pub const fn begins_the_end(&self) -> bool {
        matches!(
            self,
            Self::RollbackStarted { .. } | Self::AbortStarted { .. } | Self::FinalizeStarted { .. }
        )
    }

    /// The schedule that this event issues.
    pub fn schedule(&self) -> Option<&Schedule> {
        match self {
            Self::GenerationIssued { schedule, .. } | Self::CutCommitted { schedule, .. } => Some(schedule),
            _ => None,
        }
    }

    /// The rollout that this event belongs to.
    pub const fn rollout(&self) -> Option<&RolloutId> {
        match self {
            Self::RolloutDrafted { rollout, .. }
            | Self::PreflightStarted { rollout, .. }
            | Self::GateStarted { rollout, .. }
            | Self::GateFinished { rollout, .. }
            | Self::PreflightPassed { rollout, .. }
            | Self::ApprovalNotRequired { rollout, .. }
            | Self::SnapshotsRetaken { rollout, .. }
            | Self::CutAnnounced { rollout, .. }
            | Self::CutCommitted { rollout, .. }
            | Self::StepStarted { rollout, .. }
            | Self::AnalysisRecorded { rollout, .. }
            | Self::AnalysisResumed { rollout, .. }
            | Self::WindowPassed { rollout, .. }
            | Self::ProbeRecorded { rollout, .. }
            | Self::VerdictReached { rollout, .. }
            | Self::StepEnded { rollout, .. }
            | Self::Paused { rollout, .. }
            | Self::Resumed { rollout, .. }
            | Self::PromoteRequested { rollout, .. }
            | Self::Promoted { rollout, .. }
            | Self::BakeStarted { rollout, .. }
            | Self::FinalizeStarted { rollout, .. }
            | Self::Finalized { rollout, .. }
            | Self::Fenced { rollout, .. }
            | Self::RollbackStarted { rollout, .. }
            | Self::RolledBack { rollout, .. }
            | Self::AbortStarted { rollout, .. }
            | Self::Aborted { rollout, .. }
            | Self::LedgerNoted { rollout, .. }
            | Self::LedgerClosed { rollout, .. }
            | Self::LedgerGapDeclared { rollout, .. } => Some(rollout),
            _ => None,
        }
    }
}

/// What a gate or a verdict says. `NoVerdict` never passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Pass,
    Fail,
    NoVerdict,
}

/// A checkpoint of the log, from which a seed derives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSource {
    #[serde(with = "text64")]
    pub size: u64,
    /// The root hash, base64.
    pub root: String,
}

/// Why a generation was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationCause {
    /// The log's first: the active environment alone.
    Genesis,
    /// The candidate is named.
    CandidateNamed,
    /// The mirrored share changes.
    Mirror,
    /// The candidate answers.
    Promotion,
    /// The candidate is the active environment now, alone.
    Finalize,
    /// The candidate is let go before it owned anything.
    Abort,
    /// Everything to the former active.
    Fence,
    /// The fenced rollout is over: the former active alone.
    RolledBack,
    /// A new control plane asks for acknowledgements that its predecessor heard: the same schedule again. An announced
    /// cut that was not committed is void.
    ControlRestarted,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    Elapsed,
    PromotedEarly,
    /// Passed over on request: it never began.
    Skipped,
    /// Cut short by a way back. Never written: it follows from the way back.
    Stopped,
}

/// Who paused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case", deny_unknown_fields)]
pub enum PauseCause {
    Command {},
    /// A gate failed, and the spec says `hold`.
    Gate {
        gate: Gate,
    },
    /// Configurations changed since the plan, and the spec says `hold`.
    Snapshots {},
    /// The analysis failed, and the spec says `hold`.
    Analysis {},
}

/// Why a rollout goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case", deny_unknown_fields)]
pub enum RollbackReason {
    Command {
        actor: Actor,
        why: String,
    },
    /// The analysis failed.
    Verdict {
        why: String,
    },
    /// A gateway fenced by itself.
    Fence {
        gateway: GatewayId,
        why: String,
    },
    /// Configurations changed since the plan.
    Snapshots {
        changed: Vec<String>,
    },
    /// A gate did not pass while the candidate owned traces.
    Gate {
        gate: Gate,
        outcome: Outcome,
    },
}

/// Why a rollout ends before its first cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case", deny_unknown_fields)]
pub enum AbortReason {
    Command { why: String },
    Gate { gate: Gate, outcome: Outcome },
    Snapshots { changed: Vec<String> },
}

/// Standing troubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// The log cannot be written: no shift, no promotion.
    LogUnwritable,
    /// A ledger does not balance.
    LedgerUnbalanced,
    /// Both environments fail.
    BothFailing,
    /// A gateway's clock differs from the control plane's by more than gamma: no cut is announced.
    ClockOff,
}
