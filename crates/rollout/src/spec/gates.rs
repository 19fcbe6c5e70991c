//! The `gates` block: which checks run, at which moments, with which limits; and the risks that somebody has accepted.
//!
//! Every gate's settings begin alike: `off` (why it does not run), `when` (its moments), `deadline`, and `every` where it makes
//! sense to look again and again. What a spec does not say follows from [`crate::plan::defaults`].

mod settings;
mod waiver;

use std::time::Duration as Time;

use crossfade_yaml::{Duration, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

pub use self::settings::{
    Coverage, Dependencies, History, Ignore, Load, Parity, Policy, Posture, Standard, TlsVersion,
};
pub use self::waiver::{Expiry, Waiver};
use crate::event::Gate;
use crate::units::{Literal, some_literal};

/// When a gate looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before the candidate is named.
    Preflight,
    /// In every mirror step, at its end.
    Mirror,
    /// In every weight step, at its end.
    Weight,
    /// After promotion.
    Promoted,
}

impl Moment {
    /// Its name in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Mirror => "mirror",
            Self::Weight => "weight",
            Self::Promoted => "promoted",
        }
    }
}

/// Checks before, while and after traffic moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// Compares the two configurations.
    pub drift: Drift,
    /// Writes synthetic traces to the candidate and reads them back.
    pub probe: Probe,
    /// Looks at what is true on the wire: TLS, authentication, exposed endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posture: Option<Posture>,
    /// Drives the candidate as live traffic does, and more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Reads the same traces from both environments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parity: Option<Parity>,
    /// Looks for services, operations and call edges that the candidate does not record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// Looks for outside services that live traffic calls and the candidate's tests did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Dependencies>,
    /// Reads old traces from both environments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Asks rules written in Rego about the plan and what the other gates found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Risks that somebody has accepted for a while. Declaring an intended difference is another thing: `drift.allow`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
}

/// What all gates' settings have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing<'a> {
    /// Whether the spec says anything of the gate.
    pub named: bool,
    /// Why it does not run.
    pub off: Option<&'a str>,
    /// Its moments; `None`: the default ones.
    pub when: Option<&'a [Moment]>,
    /// How often it looks again within a step; `None`: once.
    pub every: Option<Time>,
    /// How long one look may take; `None`: the default.
    pub deadline: Option<Time>,
}

/// So many of its own deadlines a probe takes at most: for writing, for reading, for searches; and what hangs beyond that.
const PROBE_DEADLINES: u32 = 3;
const PROBE_MARGIN: Time = Time::from_secs(30);
/// How long a look may take if nothing else is said.
const DEADLINE: Time = Time::from_secs(60);

impl Gates {
    /// What is said of a gate, whatever else its settings are.
    pub fn timing(&self, gate: Gate) -> Timing<'_> {
        macro_rules! timing {
            ($settings:expr $(, every: $every:ident)?) => {
                $settings.as_ref().map_or_else(Timing::default, |settings| Timing {
                    named: true,
                    off: settings.off.as_deref(),
                    when: settings.when.as_deref(),
                    every: None $(.or(settings.$every.as_ref().map(|every| every.0)))?,
                    deadline: Some(settings.deadline.0),
                })
            };
        }
        match gate {
            Gate::Drift => Timing {
                named: true,
                when: self.drift.when.as_deref(),
                deadline: self.drift.deadline.as_ref().map(|deadline| deadline.0),
                ..Timing::default()
            },
            Gate::Probe => Timing {
                named: true,
                when: self.probe.when.as_deref(),
                deadline: Some(
                    self.probe.deadline.0.saturating_mul(PROBE_DEADLINES).saturating_add(PROBE_MARGIN),
                ),
                ..Timing::default()
            },
            Gate::Posture => timing!(self.posture, every: every),
            Gate::Load => timing!(self.load),
            Gate::Parity => timing!(self.parity),
            Gate::Coverage => timing!(self.coverage),
            Gate::Dependencies => timing!(self.dependencies),
            Gate::History => timing!(self.history, every: every),
            Gate::Policy => timing!(self.policy),
        }
    }

    /// How long one look of a gate may take.
    pub fn deadline(&self, gate: Gate) -> Time {
        self.timing(gate).deadline.unwrap_or(DEADLINE)
    }

    /// The same, with the default settings of `gate` written out if nothing is said of it.
    #[must_use]
    pub fn with(mut self, gate: Gate) -> Self {
        match gate {
            Gate::Drift | Gate::Probe => {}
            Gate::Posture => drop(self.posture.get_or_insert_default()),
            Gate::Load => drop(self.load.get_or_insert_default()),
            Gate::Parity => drop(self.parity.get_or_insert_default()),
            Gate::Coverage => drop(self.coverage.get_or_insert_default()),
            Gate::Dependencies => drop(self.dependencies.get_or_insert_default()),
            Gate::History => drop(self.history.get_or_insert_default()),
            Gate::Policy => drop(self.policy.get_or_insert_default()),
        }
        self
    }
}

/// `off` of a gate that always looks: there is no such thing, and that is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NeverOff;

impl<'de> Deserialize<'de> for NeverOff {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom(
            "drift and probe cannot be switched off, as nothing moves without them; remove the key, and declare what is meant \
             under `gates.drift.allow`, or accept what is found under `gates.waivers`",
        ))
    }
}

/// The drift gate: every difference must be declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    #[serde(skip_serializing)]
    #[schemars(skip)]
    #[doc(hidden)]
    pub off: NeverOff,
    /// When it looks. It always looks in preflight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Moment>>,
    /// How long one look may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// Declared differences.
    pub allow: Vec<Allow>,
}

/// One declared difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// `<configuration>:<path>`, as the drift report prints it.
    pub path: Spanned<String>,
    /// The active's value; absent: it has none there.
    #[serde(default, deserialize_with = "some_literal", skip_serializing_if = "Option::is_none")]
    pub from: Option<Literal>,
    /// The candidate's value; absent: it has none there.
    #[serde(default, deserialize_with = "some_literal", skip_serializing_if = "Option::is_none")]
    pub to: Option<Literal>,
    /// Why it is wanted.
    pub reason: String,
}

/// The probe gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    #[serde(skip_serializing)]
    #[schemars(skip)]
    #[doc(hidden)]
    pub off: NeverOff,
    /// When it looks. It always looks in preflight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Moment>>,
    /// How many synthetic traces.
    pub traces: u32,
    /// How long storage may take until every trace can be read.
    pub deadline: Duration,
    /// How many of them are searched for too, by service, time and attribute.
    #[serde(skip_serializing_if = "are_usual_searches")]
    pub searches: u32,
    /// What the candidate has to mask: made-up values of these kinds are written into every field that carries text, and must not
    /// come back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Sensitive>,
    /// Whether to find out that the two environments share no store: a trace is written to each of them alone, and looked for in the
    /// other. Without it, that is so where the active one can be queried; `true` says that it has to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separation: Option<bool>,
    /// The longest that 99 % of the traces may take to be readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness_max: Option<Duration>,
}

/// What a made-up sensitive value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sensitive {
    /// A payment card's number.
    Card,
    /// The same in groups of four.
    CardInGroups,
    /// A patient's number.
    Patient,
    /// A mail address.
    Email,
    /// A bearer token.
    Token,
    /// A national number.
    NationalId,
}

/// Searches, unless the spec says otherwise.
const SEARCHES: u32 = 10;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn are_usual_searches(searches: &u32) -> bool {
    *searches == SEARCHES
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            off: NeverOff,
            when: None,
            traces: 100,
            deadline: Duration::from_secs(60),
            searches: SEARCHES,
            masks: Vec::new(),
            separation: None,
            freshness_max: None,
        }
    }
}
