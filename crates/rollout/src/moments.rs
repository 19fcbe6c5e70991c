//! Which gate looks at which moment of a rollout.
//!
//! A *place* is where a gate looks: the preflight, or one step. What it has to find there, before the rollout goes on:
//!
//! | place | gates of the moment | look | hold up |
//! |---|---|---|---|
//! | preflight | `preflight` | side by side; those that write to the candidate once drift and posture have passed | the candidate's name |
//! | each mirror step | `mirror` | when its time is up | its end |
//! | each weight step | `weight` | when its time is up | its end |
//! | the first step after promote | `promoted` | at once; at traffic, when its time is up | its end; of `finalize`, its beginning |
//!
//! A gate with `every` looks from the beginning of each step with traffic of its moment, again and again, pauses and bakes
//! included; the step ends after a pass, and at any look that is none the rollout stops.

use std::time::Duration as Time;

use crossfade_yaml::Duration;
use serde::{Deserialize, Serialize};

use crate::event::{Gate, StepEnd, StepIndex};
use crate::plan::Outline;
use crate::spec::{Gates, Moment, Step};

/// When a gate looks if the spec does not say.
#[derive(Debug, Clone, Copy)]
pub struct Default {
    pub gate: Gate,
    /// Its moments, unless `when` names others.
    pub moments: &'static [Moment],
    /// Whether it looks if the spec says nothing of it.
    pub unasked: Unasked,
}

/// Whether a gate looks that a spec says nothing of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unasked {
    /// Always.
    Yes,
    /// Where whoever plans finds that it can have a verdict: it names the gate then, and otherwise the plan says why not.
    WhereItFits,
    /// Never.
    No,
}

const fn default(gate: Gate, unasked: Unasked, moments: &'static [Moment]) -> Default {
    Default { gate, moments, unasked }
}

/// What makes a spec without `gates` safe. To add to it is to change plans from here on, never those that are in a log.
///
/// Parity and coverage have no verdict where a step brings too little traffic: they look unasked where it brings enough.
pub const DEFAULTS: [Default; 9] = [
    default(Gate::Drift, Unasked::Yes, &[Moment::Preflight, Moment::Promoted]),
    default(
        Gate::Posture,
        Unasked::Yes,
        &[Moment::Preflight, Moment::Mirror, Moment::Weight, Moment::Promoted],
    ),
    default(Gate::Probe, Unasked::Yes, &[Moment::Preflight, Moment::Promoted]),
    default(Gate::Load, Unasked::No, &[Moment::Preflight]),
    default(Gate::Parity, Unasked::WhereItFits, &[Moment::Mirror, Moment::Weight]),
    default(Gate::Coverage, Unasked::WhereItFits, &[Moment::Mirror, Moment::Weight]),
    default(Gate::Dependencies, Unasked::No, &[Moment::Preflight]),
    default(Gate::History, Unasked::No, &[Moment::Preflight]),
    default(Gate::Policy, Unasked::No, &[Moment::Preflight]),
];

/// What every plan of every version has to pass in preflight.
pub const ALWAYS: [Gate; 2] = [Gate::Drift, Gate::Probe];

/// Whether `other` has to be done at the same place before `gate` begins; in a rollout it has to have passed. A candidate that
/// is refused for what it is, is not written to; a load would disturb the probe; rules are asked about what the others found.
pub fn is_ahead(other: Gate, gate: Gate) -> bool {
    match gate {
        Gate::Probe => matches!(other, Gate::Drift | Gate::Posture),
        Gate::Load => matches!(other, Gate::Drift | Gate::Posture | Gate::Probe),
        Gate::Policy => other != Gate::Policy,
        Gate::Drift | Gate::Posture | Gate::Parity | Gate::Coverage | Gate::Dependencies | Gate::History => {
            false
        }
    }
}

/// Whether a gate reads what traffic has left: there must be some before it looks.
const fn reads_traffic(gate: Gate) -> bool {
    match gate {
        Gate::Parity | Gate::Coverage => true,
        Gate::Drift
        | Gate::Posture
        | Gate::Probe
        | Gate::Load
        | Gate::Dependencies
        | Gate::History
        | Gate::Policy => false,
    }
}

/// A gate that looks while traffic moves, or after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Later {
    pub gate: Gate,
    pub moment: Moment,
    /// How often, within a step; `None`: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
}

/// The settings, with those of every gate that looks unasked written out: a plan says what it runs with.
#[must_use]
pub fn written_out(gates: Gates) -> Gates {
    DEFAULTS
        .iter()
        .filter(|known| known.unasked == Unasked::Yes)
        .fold(gates, |gates, known| gates.with(known.gate))
}

/// The moments of a gate under these settings; none if it does not run.
pub fn moments(gates: &Gates, gate: Gate) -> &[Moment] {
    let timing = gates.timing(gate);
    let known = DEFAULTS.iter().find(|known| known.gate == gate);
    match (timing.off, timing.when, known) {
        (Some(_), ..) => &[],
        (None, Some(when), _) => when,
        (None, None, _) if gate == Gate::History && is_kept(gates) => &KEPT,
        (None, None, Some(known)) if timing.named || known.unasked == Unasked::Yes => known.moments,
        _ => &[],
    }
}

/// When history is looked at that stays where it is: before the cut-over it can be there, and not yet too short.
const KEPT: [Moment; 2] = [Moment::Preflight, Moment::Promoted];

fn is_kept(gates: &Gates) -> bool {
    gates.history.as_ref().is_some_and(|history| history.kept_for.is_some())
}

/// The gates of the preflight, as they are shown.
pub(crate) fn first(gates: &Gates) -> Vec<Gate> {
    let planned = DEFAULTS.iter().map(|known| known.gate);
    planned.filter(|gate| moments(gates, *gate).contains(&Moment::Preflight)).collect()
}

/// The gates of all later moments.
pub(crate) fn later(gates: &Gates) -> Vec<Later> {
    let one = |gate: Gate| {
        let every = gates.timing(gate).every.map(Duration);
        let moments = moments(gates, gate).iter().filter(|moment| **moment != Moment::Preflight);
        moments.map(move |moment| Later { gate, moment: *moment, every })
    };
    DEFAULTS.iter().flat_map(|known| one(known.gate)).collect()
}

/// A gate that has to look in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub gate: Gate,
    /// Again and again.
    pub every: Option<Time>,
    /// Without waiting for the step's time to be up.
    pub at_once: bool,
    /// Even if the step is passed over on request: what is looked at after promotion.
    pub always: bool,
}

impl Outline {
    /// The gates of a step.
    pub fn gates_of(&self, step: StepIndex) -> impl Iterator<Item = Wanted> + '_ {
        let moment = self.moment_of(step);
        let once = self.owes(step);
        let runs = self.step(step).is_some_and(Step::takes_time);
        let planned = self.later_gates.iter().filter(move |later| Some(later.moment) == moment);
        let owed = planned.filter(move |later| once || runs && later.every.is_some());
        owed.map(move |later| {
            let promoted = later.moment == Moment::Promoted;
            let every = later.every.as_ref().filter(|_| runs).map(|every| every.0);
            let at_once = promoted && !reads_traffic(later.gate) || every.is_some();
            Wanted { gate: later.gate, every, at_once, always: promoted && once }
        })
    }

    /// The gates that must have passed in a step that ended like this.
    pub fn owed(&self, step: StepIndex, how: StepEnd) -> impl Iterator<Item = Gate> + '_ {
        let owed = self.gates_of(step).filter(move |wanted| match how {
            StepEnd::Elapsed | StepEnd::PromotedEarly => true,
            StepEnd::Skipped => wanted.always,
            StepEnd::Stopped => false,
        });
        owed.map(|wanted| wanted.gate)
    }

    /// What gates call the traffic of a step. A pause has the traffic of the step before it.
    pub fn moment_of(&self, step: StepIndex) -> Option<Moment> {
        let until = usize::try_from(step).ok()?.checked_add(1)?;
        let here = self.steps.get(..until)?;
        here.iter().rev().find_map(|step| match step {
            Step::Mirror { .. } => Some(Moment::Mirror),
            Step::Weight { .. } => Some(Moment::Weight),
            Step::Promote {} => Some(Moment::Promoted),
            Step::Pause { .. } | Step::Bake { .. } | Step::Finalize {} => None,
        })
    }

    /// Whether gates that look once do so in this step.
    fn owes(&self, step: StepIndex) -> bool {
        let after_promote =
            || step.checked_sub(1).and_then(|last| self.step(last)) == Some(&Step::Promote {});
        self.step(step).is_some_and(Step::is_shift) || after_promote()
    }

    fn step(&self, step: StepIndex) -> Option<&Step> {
        self.steps.get(usize::try_from(step).ok()?)
    }
}
