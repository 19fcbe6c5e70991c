//! The rollout spec, as a person writes it in `rollout.yaml`.
//!
//! Its types are also those of the plan and of the log ([`crate::plan::Outline`]): what is approved is what runs.

mod gates;
mod parse;
mod schema;
mod validate;

use std::collections::BTreeMap;

use crossfade_routing::{EnvironmentId, Seed, Weight, Window};
use crossfade_yaml::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moments;
use crate::numbers::MetricName;
use crate::plan::Outline;
use crate::units::{RolloutId, Share, percent};

pub use self::gates::{
    Allow, Coverage, Dependencies, Drift, Expiry, Gates, History, Ignore, Load, Moment, Parity, Policy,
    Posture, Probe, Sensitive, Standard, Timing, TlsVersion, Waiver,
};
pub use self::parse::SpecError;
pub use self::schema::schema;
pub use self::validate::{Problem, check_outline};

/// One audited change that moves traffic from an active environment to a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Names the rollout: 1 to 63 characters of a-z, 0-9 and `-`.
    pub name: String,
    /// The environment that serves now.
    #[schemars(with = "String")]
    pub from: EnvironmentId,
    /// The environment that is to serve.
    #[schemars(with = "String")]
    pub to: EnvironmentId,
    /// Why this change is made.
    #[serde(default)]
    pub change: Change,
    /// What keeps the candidate's spans safe.
    #[serde(default)]
    pub protection: Protection,
    /// How far apart the spans of a trace may start, and how far clocks are trusted.
    #[serde(default)]
    pub routing: Routing,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// A standard that the rollout answers to: its ready policy is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Standard>,
    /// Checks that must pass before, while and after traffic moves.
    #[serde(default)]
    pub gates: Gates,
    /// Tests that run while the candidate receives traffic.
    #[serde(default)]
    pub analysis: Analysis,
    /// What a failed gate or analysis does.
    #[serde(default)]
    pub on_failure: OnFailure,
}

impl Spec {
    /// The gates' settings, with what the profile adds.
    pub fn all_gates(&self) -> Gates {
        let Some(profile) = self.profile else { return self.gates.clone() };
        let mut gates = self.gates.clone();
        let policy = gates.policy.get_or_insert_default();
        if !policy.standards.contains(&profile) {
            policy.standards.push(profile);
        }
        gates
    }

    /// What the spec means for one attempt at it.
    ///
    /// # Errors
    /// If the windows do not fit each other; [`Spec::parse`] has checked that.
    pub fn outline(self, rollout: RolloutId, seed: Seed) -> Result<Outline, crossfade_routing::WindowError> {
        let Routing { overlap, skew, gamma } = self.routing;
        let gates = moments::written_out(self.all_gates());
        let mut analysis = self.analysis;
        if !analysis.metrics.iter().any(|metric| metric.name() == MetricName::Shed) {
            analysis.metrics.push(Metric::Shed { max: 0 });
        }
        Ok(Outline {
            rollout,
            from: self.from,
            to: self.to,
            change: self.change,
            protection: self.protection,
            window: Window::new(overlap.0, skew.0, gamma.0)?,
            seed,
            steps: self.steps,
            required_gates: moments::first(&gates),
            later_gates: moments::later(&gates),
            left_out: BTreeMap::new(),
            gates,
            analysis,
            split_at_window: true,
            seeds_on_record: true,
            on_failure: self.on_failure,
        })
    }
}

/// The change record that this rollout belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Ticket number.
    #[serde(default)]
    pub ticket: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// What users will notice.
    #[serde(default)]
    pub impact: String,
}

/// What keeps the candidate's spans safe until the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// The active environment receives everything, whatever the weight.
    #[default]
    Copy,
}

/// The crossfade rule's windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// Largest distance of a span's start from its root's that is kept whole.
    pub overlap: Duration,
    /// How far a span's times are trusted: clock error and export delay.
    pub skew: Duration,
    /// Bound on the clock error of gateways and control plane; less than `skew`.
    pub gamma: Duration,
}

impl Default for Routing {
    fn default() -> Self {
        let window = Window::default();
        let [overlap, skew, gamma] = [window.overlap(), window.skew(), window.gamma()].map(Duration);
        Self { overlap, skew, gamma }
    }
}

/// One traffic state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Copies a share of whole traces to the candidate, which owns nothing.
    Mirror {
        /// Share of traces, in percent.
        #[serde(with = "percent")]
        #[schemars(with = "Percent")]
        percent: Weight,
        /// How long.
        duration: Duration,
    },
    /// The candidate receives and owns a share of traces.
    Weight {
        /// Share of traces, in percent; greater than that of the step before.
        #[serde(with = "percent")]
        #[schemars(with = "Percent")]
        percent: Weight,
        /// How long.
        duration: Duration,
    },
    /// Waits, with traffic as it is.
    Pause {
        /// How long; without it, until a person says `rollout promote`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration: Option<Duration>,
    },
    /// The candidate answers the clients from here on.
    Promote {},
    /// Watches the promoted environment.
    Bake {
        /// How long.
        duration: Duration,
        /// Whether the former active goes on receiving everything, which makes going back lossless.
        #[serde(default = "yes")]
        mirror_back: bool,
    },
    /// Lets the former active go. From here there is no way back.
    Finalize {},
}

impl Step {
    /// Whether by this step the candidate receives a share of the traffic that the active answers.
    pub(crate) const fn is_shift(&self) -> bool {
        match self {
            Self::Mirror { .. } | Self::Weight { .. } => true,
            Self::Pause { .. } | Self::Promote {} | Self::Bake { .. } | Self::Finalize {} => false,
        }
    }

    /// Whether it only copies to the candidate, which owns nothing by it.
    pub(crate) const fn is_mirror(&self) -> bool {
        match self {
            Self::Mirror { .. } => true,
            Self::Weight { .. }
            | Self::Pause { .. }
            | Self::Promote {}
            | Self::Bake { .. }
            | Self::Finalize {} => false,
        }
    }

    /// Whether it begins, takes time, and ends. What does not is done at once.
    pub(crate) const fn takes_time(&self) -> bool {
        match self {
            Self::Mirror { .. } | Self::Weight { .. } | Self::Pause { .. } | Self::Bake { .. } => true,
            Self::Promote {} | Self::Finalize {} => false,
        }
    }

    /// Whether it ends without a verdict: a pause changes nothing that a verdict would have to allow, it only must not fail.
    pub(crate) const fn ends_unjudged(&self) -> bool {
        match self {
            Self::Pause { .. } => true,
            Self::Mirror { .. }
            | Self::Weight { .. }
            | Self::Promote {}
            | Self::Bake { .. }
            | Self::Finalize {} => false,
        }
    }

    /// The weight to which it cuts.
    pub(crate) const fn cut_to(&self) -> Option<Weight> {
        match self {
            Self::Weight { percent, .. } => Some(*percent),
            Self::Mirror { .. }
            | Self::Pause { .. }
            | Self::Promote {}
            | Self::Bake { .. }
            | Self::Finalize {} => None,
        }
    }
}

fn yes() -> bool {
    true
}

/// How a percentage is written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum Percent {
    /// 0 to 100.
    Number(#[schemars(range(min = 0, max = 100))] f64),
    /// `12.5%`.
    Text(#[schemars(regex(pattern = r"^[0-9]+(\.[0-9]{0,4})? ?%?$"))] String),
}

/// Tests while the candidate receives traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Analysis {
    /// False-alarm probability, for the whole rollout and all metrics together.
    pub alpha: Share,
    /// Fewest requests of the candidate in a step for a pass.
    pub min_requests: u32,
    /// How long a step may stay without a verdict after its end before that is a failure.
    pub no_verdict_max: Duration,
    /// What is tested. Without it: `export_errors`, `export_latency` and `shed`. `probe_failures` is tested where it is named alone: it
    /// writes synthetic traces into the candidate's store as long as a step lasts.
    pub metrics: Vec<Metric>,
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            alpha: Share::from_ppm(10_000),
            min_requests: 300,
            no_verdict_max: Duration::from_secs(15 * 60),
            metrics: vec![
                Metric::ExportErrors {},
                Metric::ExportLatency {
                    quantile: default_quantile(),
                    worse_max: default_worse_max(),
                    worse_min: default_worse_min(),
                },
                Metric::Shed { max: 0 },
            ],
        }
    }
}

/// One tested quantity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields, try_from = "MetricKeys")]
#[schemars(!try_from)]
pub enum Metric {
    /// Requests whose first attempt fails or of which any span is rejected; the candidate must not fail more often.
    ExportErrors {},
    /// A quantile of the latency of first attempts.
    ExportLatency {
        /// Which quantile.
        #[serde(default = "default_quantile")]
        quantile: Share,
        /// How much slower than the active's it may be.
        #[serde(default = "default_worse_max")]
        worse_max: Share,
        /// A difference that never matters, however large in relation.
        #[serde(default = "default_worse_min")]
        worse_min: Duration,
    },
    /// Spans that the gateway dropped because the candidate was too slow. Tested even if it is not named.
    Shed {
        /// How many may be dropped in a step.
        #[serde(default)]
        max: u32,
    },
    /// Synthetic traces written while the step runs, and read back. Those that nobody answers for are not counted; a step of which none
    /// was answered for has no verdict.
    ProbeFailures {
        /// How many may fail in a step.
        #[serde(default)]
        max: u32,
        /// How many traces each time.
        #[serde(default = "default_probe_traces")]
        traces: u32,
        /// How often.
        #[serde(default = "default_probe_every")]
        every: Duration,
    },
}

/// The keys of all metrics, so that a mistake in one of them is reported where it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricKeys {
    name: MetricName,
    quantile: Option<Share>,
    worse_max: Option<Share>,
    worse_min: Option<Duration>,
    max: Option<u32>,
    traces: Option<u32>,
    every: Option<Duration>,
}

impl TryFrom<MetricKeys> for Metric {
    type Error = String;

    fn try_from(keys: MetricKeys) -> Result<Self, String> {
        let MetricKeys { name, quantile, worse_max, worse_min, max, traces, every } = keys;
        let given = [
            ("quantile", quantile.is_some()),
            ("worse_max", worse_max.is_some()),
            ("worse_min", worse_min.is_some()),
            ("max", max.is_some()),
            ("traces", traces.is_some()),
            ("every", every.is_some()),
        ];
        let (called, known, metric): (_, &[&str], _) = match name {
            MetricName::ExportErrors => ("export_errors", &[], Self::ExportErrors {}),
            MetricName::ExportLatency => (
                "export_latency",
                &["quantile", "worse_max", "worse_min"],
                Self::ExportLatency {
                    quantile: quantile.unwrap_or_else(default_quantile),
                    worse_max: worse_max.unwrap_or_else(default_worse_max),
                    worse_min: worse_min.unwrap_or_else(default_worse_min),
                },
            ),
            MetricName::Shed => ("shed", &["max"], Self::Shed { max: max.unwrap_or(0) }),
            MetricName::ProbeFailures => (
                "probe_failures",
                &["max", "traces", "every"],
                Self::ProbeFailures {
                    max: max.unwrap_or(0),
                    traces: traces.unwrap_or_else(default_probe_traces),
                    every: every.unwrap_or_else(default_probe_every),
                },
            ),
        };
        match given.iter().find(|(key, given)| *given && !known.contains(key)) {
            Some((key, _)) if known.is_empty() => Err(format!("{called} has no key `{key}`; remove it")),
            Some((key, _)) => Err(format!("{called} has no key `{key}`; it has {}", known.join(", "))),
            None => Ok(metric),
        }
    }
}

impl Metric {
    /// Its name in the log.
    pub const fn name(&self) -> MetricName {
        match self {
            Self::ExportErrors {} => MetricName::ExportErrors,
            Self::ExportLatency { .. } => MetricName::ExportLatency,
            Self::Shed { .. } => MetricName::Shed,
            Self::ProbeFailures { .. } => MetricName::ProbeFailures,
        }
    }
}

fn default_quantile() -> Share {
    Share::from_ppm(950_000)
}

fn default_worse_max() -> Share {
    Share::from_ppm(200_000)
}

fn default_worse_min() -> Duration {
    Duration(std::time::Duration::from_millis(100))
}

fn default_probe_traces() -> u32 {
    20
}

fn default_probe_every() -> Duration {
    Duration::from_secs(60)
}

/// What a failed gate or analysis does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Goes back, at once and without asking.
    #[default]
    Rollback,
    /// Stays where it is until a person decides.
    Hold,
}
