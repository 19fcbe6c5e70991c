//! What the executor sees and does: the inputs and outputs of [`crate::due`].

use crossfade_routing::sync::{Fence, Report};
use crossfade_routing::{GatewayId, Generation, Schedule, UnixNanos, Verdict, Weight};
use serde::Serialize;

use crate::event::{Event, Gate, Outcome, PauseCause, SeedSource, StepIndex};
use crate::state::Phase;
use crate::units::{Digest, RolloutId, Snapshots, text64};

/// Live inputs. All of it may be lost in a crash; nothing is concluded from it that is not logged first.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Whether the log takes entries.
    pub log: LogHealth,
    /// The last report of every boot of every gateway that reported since the control plane started.
    pub gateways: Vec<GatewaySeen>,
    /// The conductor's verdict on the announced cut; `None` if it does not know of it yet.
    pub cut: Option<CutSeen>,
    /// The conductor wants a durable watermark at this time.
    pub wants_watermark: Option<UnixNanos>,
    /// Results of gate runs that were asked for with [`Effect::RunGate`].
    pub gates: Vec<GateSeen>,
    /// The result of [`Effect::Resnapshot`].
    pub snapshots: Option<SnapshotsSeen>,
    /// The result of [`Effect::Probe`].
    pub probe: Option<ProbeSeen>,
}

/// Whether the log takes entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogHealth {
    #[default]
    Writable,
    /// The last append failed, for instance because the disk is full.
    Unwritable { detail: String },
}

/// The last report of one boot of a gateway.
#[derive(Debug, Clone)]
pub struct GatewaySeen {
    pub report: Report,
    /// When it was received, by the control plane's clock.
    pub received_at: UnixNanos,
    /// The horizon granted to this gateway.
    pub horizon: UnixNanos,
}

/// What the conductor says of the cut announced for `cut_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutSeen {
    pub cut_at: UnixNanos,
    pub verdict: Verdict,
}

/// The result of one gate run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateSeen {
    pub rollout: RolloutId,
    pub gate: Gate,
    /// `None` in preflight.
    pub step: Option<StepIndex>,
    pub run: u32,
    pub outcome: Outcome,
    /// One line.
    pub summary: String,
    /// Stored as evidence before it is reported here.
    pub evidence: Option<Digest>,
    pub seed: Option<SeedSource>,
}

/// The configurations digested again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotsSeen {
    pub rollout: RolloutId,
    pub step: StepIndex,
    /// The plan's snapshots; they travel with the plan, which the executor holds as evidence.
    pub planned: Snapshots,
    /// As they are now; an input that cannot be read is absent.
    pub now: Snapshots,
}

/// One round of probe traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSeen {
    pub rollout: RolloutId,
    pub step: StepIndex,
    pub round: u32,
    /// Traces that were answered for; fewer than were asked for where nobody answered.
    pub traces: u32,
    /// Traces of these that were not read back whole.
    pub failed: u32,
    pub evidence: Option<Digest>,
}

/// What is to be done now. Every effect may be performed twice without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append, fold, and call `due` again. `Emergency`: if the log does not take them, the emergency file does.
    Record { events: Vec<Event>, urgency: Urgency },
    /// Run the gate unless this run is under way; its result goes into [`Observed::gates`]. A run that is no longer asked for
    /// when nothing is left to record is nobody's any more: stop it.
    RunGate { rollout: RolloutId, gate: Gate, step: Option<StepIndex>, run: u32 },
    /// Digest the configurations again unless that is under way; the result goes into [`Observed::snapshots`].
    Resnapshot { rollout: RolloutId, step: StepIndex },
    /// Send and read back probe traces unless this round is under way; the result goes into [`Observed::probe`].
    Probe { rollout: RolloutId, step: StepIndex, round: u32, traces: u32 },
    /// Hand out this schedule, with its log entry's proof. Said again as long as somebody has not acknowledged it.
    IssueGeneration { generation: Generation },
    /// Tell the conductor, unless it knows, to announce a cut at this time.
    AnnounceCut { generation: Generation, cut_at: UnixNanos, weight: Weight },
    /// Hand out the fence, ahead of everything else.
    Fence { fence: Fence },
    /// Ask the gateways to drain what they hold for the rollout, and to report final accounts.
    CloseLedgers { rollout: RolloutId, gateways: Vec<GatewayId> },
}

/// Whether events may go to the emergency file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    Ordinary,
    Emergency,
}

/// What gateways are to be told: follows from the state alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directions<'a> {
    pub schedule: &'a Schedule,
    /// The instant of a cut that is announced and not committed.
    pub announced: Option<UnixNanos>,
    pub fence: Option<&'a Fence>,
}

/// Why nothing happens, or what is going on: for status pages and `explain`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DueReport {
    pub rollout: Option<RolloutId>,
    pub phase: Option<Phase>,
    /// The current step, from 0.
    pub step: Option<StepIndex>,
    /// Everything that must happen before the rollout goes on.
    pub waiting: Vec<Waiting>,
    /// What the analysis says at this look.
    pub readings: Vec<crate::numbers::MetricReading>,
}

/// One thing that is waited for. `Display` says it in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// The log is empty.
    Genesis {},
    /// No rollout runs.
    Rollout {},
    /// No gateway is rostered: there is nobody to shift anything.
    Gateway {},
    /// The log does not take entries: no shift, no promotion.
    Log { detail: String },
    /// A gate is looking.
    Gate { gate: Gate, run: u32 },
    /// Gateways have not acknowledged a generation.
    Acknowledgements { generation: Generation, gateways: Vec<GatewayId> },
    /// Gateways are silent; what they may do by themselves ends at `until`.
    Horizon { gateways: Vec<GatewayId>, until: UnixNanos },
    /// Gateways have not acknowledged an announced cut.
    CutAcknowledgements { gateways: Vec<GatewayId>, until: Option<UnixNanos> },
    /// The cut's instant has not come.
    CutInstant { cut_at: UnixNanos },
    /// A gateway's clock is off by more than gamma.
    Clock {},
    /// The configurations are being digested again.
    Snapshots {},
    /// The step's time.
    StepTime {
        step: StepIndex,
        until: UnixNanos,
        #[serde(with = "text64")]
        left_ms: u64,
    },
    /// Fewer requests of the candidate than a pass needs.
    Requests {
        #[serde(with = "text64")]
        have: u64,
        #[serde(with = "text64")]
        need: u64,
    },
    /// Nothing to judge by; at `until` that becomes a failure.
    Verdict { why: String, until: UnixNanos },
    /// A round of probe traces is under way.
    Probe { round: u32 },
    /// Someone, or something, paused it.
    Resume { by: PauseCause },
    /// A pause without duration.
    Promote {},
    /// Traces that began around the last cut may still be under way.
    CutSettles { until: UnixNanos },
    /// Gateways have not confirmed the fence.
    Fences { gateways: Vec<GatewayId> },
    /// Gateways have not closed their accounts; at `until` a gap is declared.
    Ledgers { gateways: Vec<GatewayId>, until: UnixNanos },
    /// The routing core refuses the next schedule: a defect, or a log that was not written by this program.
    Schedule { why: String },
}
