//! What the log says: the fold of its events, and nothing else.
//!
//! It holds no floats and only ordered maps, so that its canonical JSON is one text, whose digest the log records.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crossfade_routing::sync::{Fence, LedgerRow};
use crossfade_routing::{BootId, Cut, EnvironmentId, GatewayId, Generation, Schedule, UnixNanos, Weight};
use serde::{Deserialize, Serialize};

use crate::event::{AbortReason, Alert, Gate, Outcome, PauseCause, RollbackReason, StepEnd, StepIndex};
use crate::numbers::{Arms, MetricName, MetricReading};
use crate::observed::Directions;
use crate::plan::Outline;
use crate::spec::Step;
use crate::units::{Digest, RolloutId, percent, text64};

/// The version of [`State`]'s format, as its digest sees it. One more whenever a log that exists would fold to another
/// canonical JSON: a new field that is left out while it says nothing does not need it until the fold of old events sets it.
pub const STATE_VERSION: u32 = 3;

/// The state of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub genesis: Option<Genesis>,
    /// The environment that is active while no rollout runs, and `from` while one does.
    pub active: Option<EnvironmentId>,
    /// The control plane's life that wrote last.
    pub control: Option<BootId>,
    /// Digests of what the site's configuration says of each environment, as that life has read it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<EnvironmentId, Digest>,
    /// The fleet, with the last boot seen of each gateway.
    pub roster: BTreeMap<GatewayId, Option<BootId>>,
    /// Boots that have been replaced, for each gateway.
    pub departed: BTreeMap<GatewayId, Vec<BootId>>,
    /// Gateways that were struck, and come back only by command.
    pub struck: BTreeSet<GatewayId>,
    /// The schedule in force.
    pub schedule: Option<Schedule>,
    /// The control plane's life that issued it: what a later one has not said itself, it cannot count on.
    pub issued_by: Option<BootId>,
    /// The newest generation that every rostered gateway has acknowledged.
    pub acknowledged: Option<Generation>,
    /// No horizon was ever granted past this.
    pub watermark: Option<UnixNanos>,
    pub alerts: BTreeMap<Alert, UnixNanos>,
    /// The rollout that runs, or the last one.
    pub rollout: Option<Rollout>,
    /// Rollouts that have ended, oldest first.
    pub past: Vec<PastRollout>,
}

/// The log's beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    pub origin: String,
    pub site: Digest,
    pub at: UnixNanos,
}

/// An ended rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRollout {
    pub rollout: RolloutId,
    pub plan: Digest,
    pub from: EnvironmentId,
    pub to: EnvironmentId,
    /// `Finalized`, `RolledBack` or `Aborted`.
    pub phase: Phase,
    pub began: UnixNanos,
    pub ended: UnixNanos,
}

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Phase {
    Draft,
    Preflight,
    AwaitingApproval,
    /// The candidate is named, and owns nothing yet.
    Mirroring,
    /// The candidate owns a share since the cut of this step.
    Shifting {
        step: StepIndex,
    },
    /// The candidate answers, and bakes.
    Promoted,
    /// The former active is being let go.
    Finalizing,
    Finalized,
    RollingBack,
    RolledBack,
    Aborting,
    Aborted,
}

impl Phase {
    /// Nothing ever happens in this rollout again.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finalized | Self::RolledBack | Self::Aborted)
    }

    /// The candidate may receive traffic, and the way back is open.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Mirroring | Self::Shifting { .. } | Self::Promoted)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::Preflight => "in preflight",
            Self::AwaitingApproval => "awaiting approval",
            Self::Mirroring => "mirroring",
            Self::Shifting { .. } => "shifting",
            Self::Promoted => "promoted",
            Self::Finalizing => "finalizing",
            Self::Finalized => "finalized",
            Self::RollingBack => "rolling back",
            Self::RolledBack => "rolled back",
            Self::Aborting => "being aborted",
            Self::Aborted => "aborted",
        })
    }
}

/// One rollout, from its draft to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    pub id: RolloutId,
    /// Digest of the plan document.
    pub plan: Digest,
    pub outline: Outline,
    /// What the site's configuration said of both environments when it was drafted, as digests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<EnvironmentId, Digest>,
    pub phase: Phase,
    pub began: UnixNanos,
    pub ended: Option<UnixNanos>,
    /// Gates in preflight.
    pub gates: BTreeMap<Gate, GateRun>,
    /// Gates in steps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub step_gates: BTreeMap<StepIndex, BTreeMap<Gate, GateRun>>,
    /// Every gate has passed.
    pub preflight: bool,
    /// Why no approval was needed.
    pub approval: Option<String>,
    /// The step that runs or comes next.
    pub step: StepIndex,
    /// Set while that step runs.
    pub running: Option<Running>,
    /// The configurations were found unchanged for the cut of this step, by this life of the control plane and since
    /// nobody has paused.
    pub rechecked: Option<StepIndex>,
    /// A cut that is announced and not committed.
    pub cut: Option<PendingCut>,
    /// The last committed cut.
    pub last_cut: Option<Cut>,
    /// The generation that named the candidate.
    pub begun: Option<Generation>,
    /// The generation that ends this rollout: fenced, aborted, or the candidate alone.
    pub ending_generation: Option<Generation>,
    /// Since when the candidate may answer clients: before every gateway is known to let it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    pub promoted: Option<UnixNanos>,
    pub paused: Option<Pause>,
    /// Somebody asked to skip all that is left to wait for.
    pub full: bool,
    /// Evidence of the steps before this one: ln e in billionths.
    pub carried: BTreeMap<MetricName, LnE>,
    /// Counts on the record, in the generation of the step that runs or ran last.
    pub tallies: BTreeMap<GatewayId, Tally>,
    /// Steps that are over.
    pub steps: Vec<StepRecord>,
    /// The accounts of every boot that ever held this rollout.
    pub ledgers: BTreeMap<GatewayId, BTreeMap<BootId, Ledger>>,
    /// Fences that gateways reported.
    pub fences: BTreeMap<GatewayId, Fence>,
    /// The fence in force.
    pub fence: Option<Fence>,
    pub rollback: Option<RollbackReason>,
    pub abort: Option<AbortReason>,
    /// When the end began: rollback, abort or finalize; then when its generation was issued.
    pub ending: Option<UnixNanos>,
}

impl State {
    /// The generation in force; 0 while none is.
    pub fn generation(&self) -> Generation {
        self.schedule.as_ref().map_or(Generation(0), Schedule::generation)
    }

    /// The rollout that runs, if one does.
    pub fn current(&self) -> Option<&Rollout> {
        self.rollout.as_ref().filter(|rollout| !rollout.phase.is_final())
    }

    /// When the window of the last cut passes within the step that runs; `None` if it does not, or has.
    pub(crate) fn window_passes(&self) -> Option<UnixNanos> {
        let rollout = self.current().filter(|rollout| rollout.outline.split_at_window)?;
        let running = rollout.running.as_ref().filter(|running| running.tested.is_none())?;
        let until = rollout.last_cut?.at.plus(rollout.outline.window.width());
        (until > running.at && rollout.outline.is_analysed(rollout.step)).then_some(until)
    }

    /// What the site's configuration says otherwise of the rollout's environments than when it was drafted.
    pub(crate) fn moved(&self) -> Vec<String> {
        let planned = self.current().into_iter().flat_map(|rollout| &rollout.environments);
        let moved = planned.filter(|(id, digest)| self.environments.get(*id) != Some(*digest));
        moved.map(|(id, _)| format!("the address of {id}")).collect()
    }

    /// How many rollouts of this name there were: the next one's id is `RolloutId::attempt(name, attempts + 1)`.
    pub fn attempts(&self, name: &str) -> u32 {
        let past =
            self.past.iter().map(|past| &past.rollout).chain(self.current().map(|rollout| &rollout.id));
        u32::try_from(past.filter(|id| id.name() == name).count()).unwrap_or(u32::MAX)
    }

    /// When the last cut of any rollout has settled: the next rollout may begin from then on.
    pub fn settled_at(&self) -> UnixNanos {
        let settled = |rollout: &Rollout| Some(rollout.last_cut?.at.plus(rollout.outline.window.width()));
        self.rollout.as_ref().and_then(settled).unwrap_or(UnixNanos::ZERO)
    }

    /// Whether the former active has, or will have, every span of the rollout that runs, as far as is on record: going back
    /// loses nothing.
    ///
    /// While it answers the clients, it has everything. Once the candidate may answer, the former active has what is mirrored
    /// back to it, unless some of that was dropped, refused or never confirmed, or a gateway's accounts end in a gap.
    pub fn is_lossless(&self) -> bool {
        let Some((rollout, answers)) = self.current().and_then(|r| Some((r, r.answers?))) else {
            return true;
        };
        let boots = rollout.ledgers.iter().flat_map(|(gateway, boots)| {
            boots.values().map(move |ledger| (self.roster.contains_key(gateway), ledger))
        });
        let unknown = |(rostered, ledger): (bool, &Ledger)| match ledger.status {
            LedgerStatus::Gap => ledger.at >= answers.at,
            // It was struck: nobody will say what it still held.
            LedgerStatus::Open => !rostered,
            LedgerStatus::Closed => false,
        };
        let lost = |row: &LedgerRow| {
            row.environment == rollout.outline.from
                && row.generation >= answers.generation
                && (row.shed > row.shed_untrusted || row.rejected > 0 || row.indeterminate > 0)
        };
        rollout.outline.mirror_back()
            && !boots.clone().any(unknown)
            && !boots.flat_map(|(_, ledger)| &ledger.rows).any(lost)
    }

    /// What gateways are to be told; `None` before the first generation.
    pub fn directions(&self) -> Option<Directions<'_>> {
        let schedule = self.schedule.as_ref()?;
        let rollout = self.current();
        Some(Directions {
            schedule,
            announced: rollout.and_then(|r| r.cut.as_ref()).map(|cut| cut.cut_at),
            fence: rollout.and_then(|r| r.fence.as_ref()).filter(|fence| fence.applies_to(schedule)),
        })
    }
}

impl Rollout {
    /// The step that runs or comes next.
    pub fn step(&self) -> Option<&Step> {
        self.outline.steps.get(usize::try_from(self.step).ok()?)
    }

    /// How the step ended, or was passed over; `None` while it has not.
    pub fn step_end(&self, step: StepIndex) -> Option<StepEnd> {
        self.steps.iter().rfind(|record| record.step == step).map(|record| record.how)
    }

    /// Since when traffic is as it is: since the step began, or, in one without time of its own, since the last cut.
    pub fn traffic_since(&self) -> Option<UnixNanos> {
        let running = self.running.as_ref().map(|running| running.at);
        running.or_else(|| self.last_cut.as_ref().map(|cut| cut.at))
    }

    /// Since when the candidate is mirrored to as it is now: since the last mirror step began. It begins once every gateway mirrors.
    pub fn mirrored_since(&self) -> Option<UnixNanos> {
        let is_mirror = |step: StepIndex| {
            let step = usize::try_from(step).ok().and_then(|step| self.outline.steps.get(step));
            step.is_some_and(Step::is_mirror)
        };
        if is_mirror(self.step) {
            return self.running.as_ref().map(|running| running.at);
        }
        self.steps.iter().rfind(|record| is_mirror(record.step))?.began
    }

    /// Gates in preflight, or in a step.
    pub fn gates_at(&self, step: Option<StepIndex>) -> &BTreeMap<Gate, GateRun> {
        static NONE: BTreeMap<Gate, GateRun> = BTreeMap::new();
        match step {
            None => &self.gates,
            Some(step) => self.step_gates.get(&step).unwrap_or(&NONE),
        }
    }

    /// Where gates look now: in preflight, or in the step that runs or comes next.
    pub(crate) fn place(&self) -> Option<StepIndex> {
        self.phase.is_live().then_some(self.step)
    }

    /// Whether `promote --full` would pass over, or cut short, anything that is left.
    pub(crate) fn has_something_to_skip(&self) -> bool {
        let mut left = self.outline.steps.iter().skip(usize::try_from(self.step).unwrap_or(usize::MAX));
        left.any(Step::takes_time)
    }

    /// Whether a gateway may hold this rollout's generations.
    pub fn holds_traffic(&self) -> bool {
        self.begun.is_some() && !self.phase.is_final()
    }

    /// The accounts of a boot, unless they are final; `None` also if it never held this rollout.
    pub fn open_account(&self, gateway: &GatewayId, boot: &BootId) -> Option<&Ledger> {
        let ledger = self.ledgers.get(gateway)?.get(boot)?;
        (ledger.status == LedgerStatus::Open).then_some(ledger)
    }

    pub(crate) fn open_ledger(&mut self, gateway: &GatewayId, boot: &BootId, at: UnixNanos) {
        let open = Ledger { rows: Vec::new(), at, status: LedgerStatus::Open };
        self.ledgers.entry(gateway.clone()).or_default().entry(boot.clone()).or_insert(open);
    }
}

impl Tally {
    /// All boots together.
    pub fn total(&self) -> Arms {
        self.current.plus(&self.ended)
    }
}

/// ln e in billionths; JSON holds it as a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LnE(#[serde(with = "crate::units::text64")] pub i64);

/// From when on the candidate may answer clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// The generation that says so.
    pub generation: Generation,
    /// When that was issued.
    pub at: UnixNanos,
}

/// One gate within a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRun {
    /// How often it was started.
    pub run: u32,
    /// How many runs before this one were no pass.
    #[serde(default, skip_serializing_if = "is_none_missed")]
    pub missed: u32,
    /// When it was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixNanos>,
    pub status: GateStatus,
    pub summary: String,
    pub evidence: Option<Digest>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_none_missed(missed: &u32) -> bool {
    *missed == 0
}

impl GateRun {
    /// It has passed, and a report says so.
    pub(crate) fn has_passed(&self) -> bool {
        self.status == GateStatus::Done(Outcome::Pass) && self.evidence.is_some()
    }

    /// It has looked, and has not passed.
    pub(crate) fn has_missed(&self) -> bool {
        matches!(self.status, GateStatus::Done(Outcome::Fail | Outcome::NoVerdict))
    }
}

/// Where a gate's last run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateStatus {
    Running,
    /// The control plane ended while it ran, or somebody resumed after it failed: it is started again.
    Void,
    Done(Outcome),
}

/// A cut on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCut {
    pub step: StepIndex,
    /// The generation that it is announced on top of.
    pub generation: Generation,
    /// From 1; announced again, one more.
    pub attempt: u32,
    pub cut_at: UnixNanos,
    #[serde(with = "percent")]
    pub weight: Weight,
}

/// Why a rollout stands still, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub by: PauseCause,
    pub at: UnixNanos,
}

/// A step that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub at: UnixNanos,
    /// The generation whose counts are this step's.
    pub generation: Generation,
    /// Paused time, which does not count.
    #[serde(with = "text64")]
    pub paused_ms: u64,
    /// Somebody asked to leave it early.
    pub leave: bool,
    /// Counts that are not this step's.
    pub baseline: BTreeMap<GatewayId, Arms>,
    /// Set when the window of the last cut has passed within this step: counts that have had their test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<BTreeMap<GatewayId, Arms>>,
    /// When counts were last put on the record.
    pub recorded_at: UnixNanos,
    /// Boots that ended within the step: their counts since `recorded` are unknown.
    pub gaps: u32,
    pub probe: Probes,
    /// When, past the step's end, the analysis was first found without a verdict.
    pub no_verdict: Option<UnixNanos>,
    /// The last verdict.
    pub verdict: Option<Outcome>,
    /// What the metrics said when they were last put on the record.
    pub readings: Vec<MetricReading>,
}

/// What one gateway has counted in one generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub generation: Generation,
    /// The boot that counts.
    pub boot: BootId,
    pub current: Arms,
    /// The sum over boots that have ended.
    pub ended: Arms,
    /// When the gateway said so.
    pub seen: UnixNanos,
}

/// Probe traces of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probes {
    /// Rounds on the record.
    pub rounds: u32,
    pub traces: u32,
    pub failed: u32,
    pub last: Option<UnixNanos>,
}

/// A step that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    pub step: StepIndex,
    pub how: StepEnd,
    /// The last verdict on it, if it was judged.
    pub verdict: Option<Outcome>,
    pub readings: Vec<MetricReading>,
    /// Boots that ended within the step.
    pub gaps: u32,
    pub began: Option<UnixNanos>,
    pub ended: UnixNanos,
}

/// The accounts of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub rows: Vec<LedgerRow>,
    /// When `rows` were noted.
    pub at: UnixNanos,
    pub status: LedgerStatus,
}

/// Whether a boot's accounts are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerStatus {
    Open,
    Closed,
    /// Declared unknown.
    Gap,
}
