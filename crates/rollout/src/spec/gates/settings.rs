//! What each gate takes and allows.

use std::collections::BTreeMap;
use std::fmt;

use crossfade_yaml::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Moment;
use crate::units::Share;

/// The posture gate: what is true on the wire. The candidate may not be weaker than the active environment in any item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Posture {
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// When it looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Moment>>,
    /// How often it looks again within a step; without it, once at the step's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// How long one look may take.
    pub deadline: Duration,
    /// The oldest TLS version that may be accepted.
    pub tls_min: TlsVersion,
    /// How long a certificate must be valid yet.
    pub valid_min: Duration,
    /// The shortest RSA key, in bits.
    #[serde(skip_serializing_if = "is_rsa_bits_min")]
    pub rsa_bits_min: u32,
    /// Whether OTLP clients must show a certificate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub client_certificate: bool,
    /// Whether every endpoint must ask who is there; on loopback it is only noted.
    #[serde(skip_serializing_if = "is_true")]
    pub authentication: bool,
    /// Whether plain text is allowed everywhere; otherwise on loopback only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plain_text: bool,
}

const RSA_BITS_MIN: u32 = 2048;

fn is_rsa_bits_min(bits: &u32) -> bool {
    *bits == RSA_BITS_MIN
}

fn is_true(value: &bool) -> bool {
    *value
}

impl Default for Posture {
    fn default() -> Self {
        Self {
            off: None,
            when: None,
            every: Some(Duration::from_secs(300)),
            deadline: Duration::from_secs(60),
            tls_min: TlsVersion::default(),
            valid_min: Duration::from_secs(14 * 24 * 3600),
            rsa_bits_min: RSA_BITS_MIN,
            client_certificate: false,
            authentication: true,
            plain_text: false,
        }
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

/// The load gate: an open loop of synthetic traffic, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// When it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Moment>>,
    /// How long all of it may take.
    pub deadline: Duration,
    /// Spans per second; without it, `multiple` of the live rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// How much of the live rate; 150 % is half as much again.
    pub multiple: Share,
    /// How long the rate rises, in steps.
    pub ramp: Duration,
    /// How long it is held.
    pub hold: Duration,
    /// How long the spike after it takes; `0s` for none.
    pub spike: Duration,
    /// How much of the rate held the spike is.
    pub spike_multiple: Share,
    /// Spans in a request; without it, 512, or fewer at a slow rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spans_per_request: Option<u32>,
    /// The 99th percentile of the latency, counted from when a request was due. Asked of the ramp and of the rate held.
    pub p99_max: Duration,
    /// The share of spans that may be refused, unanswered or unsent.
    pub errors_max: Share,
    /// How many accepted traces are read back; 0 for none.
    pub traces: u32,
    /// How long storage may take until they can be read.
    pub read_back: Duration,
    /// Whether the active environment is measured before, under the same load. It serves meanwhile: the load comes on top.
    pub compare: bool,
    /// By how much the candidate's latency may exceed the active one's, if they are compared.
    pub worse_max: Share,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            off: None,
            when: None,
            deadline: Duration::from_secs(600),
            rate: None,
            multiple: Share::from_ppm(1_500_000),
            ramp: Duration::from_secs(10),
            hold: Duration::from_secs(30),
            spike: Duration::from_secs(10),
            spike_multiple: Share::from_ppm(1_500_000),
            spans_per_request: None,
            p99_max: Duration::from_secs(1),
            errors_max: Share::from_ppm(0),
            traces: 200,
            read_back: Duration::from_secs(60),
            compare: false,
            worse_max: Share::from_ppm(200_000),
        }
    }
}

impl Load {
    /// How long it takes at most, without the environments' slowness to answer.
    pub fn length(&self) -> std::time::Duration {
        let once = [self.ramp, self.hold, self.spike, self.read_back]
            .iter()
            .fold(std::time::Duration::ZERO, |sum, part| sum.saturating_add(part.0));
        if self.compare { once.saturating_mul(2) } else { once }
    }
}

/// The parity gate: the same traces, read from both environments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parity {
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// When it looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Moment>>,
    /// How long one look may take.
    pub deadline: Duration,
    /// How many traces are compared at most.
    pub traces: u32,
    /// The share of traces that may differ: the upper bound of it must not be greater.
    pub differ_max: Share,
    /// How sure that bound is.
    pub confidence: Share,
    /// How far back traces are drawn from, where the traffic has been as it is for so long.
    pub window: Duration,
    /// How long traces that are late are waited for, after the last one that came.
    #[serde(skip_serializing_if = "is_parity_patience")]
    pub patience: Duration,
    /// Attributes that are meant to differ.
    pub ignore: Vec<Ignore>,
}

/// An attribute that is meant to differ between the two environments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// Its key, in spans, events or resources; a `*` at the end stands for any rest.
    pub attribute: String,
    /// Why.
    pub reason: String,
}

const PARITY_PATIENCE: Duration = Duration::from_secs(20);

fn is_parity_patience(patience: &Duration) -> bool {
    *patience == PARITY_PATIENCE
}

impl Default for Parity {
    fn default() -> Self {
        Self {
            off: None,
            when: None,
            deadline: Duration::from_secs(300),
            traces: 2_000,
            differ_max: Share::from_ppm(10_000),
            confidence: Share::from_ppm(950_000),
            window: Duration::from_secs(3600),
            patience: PARITY_PATIENCE,
            ignore: Vec::new(),
        }
    }
}

/// The coverage gate: what the active environment records, the candidate records too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Coverage {
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// When it looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Moment>>,
    /// How long one look may take.
    pub deadline: Duration,
    /// How far back it looks; never past the beginning of the step.
    pub window: Duration,
    /// How far back before that the active environment is looked at, to see what stopped.
    pub before: Duration,
    /// How long traces may take until they can be read.
    pub settle: Duration,
    /// The probability of a finding where there is nothing to find.
    pub alpha: Share,
    /// Services that may be missing; `*` stands for anything.
    pub ignore: Vec<String>,
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            off: None,
            when: None,
            deadline: Duration::from_secs(300),
            window: Duration::from_secs(3600),
            before: Duration::from_secs(2 * 3600),
            settle: Duration::from_secs(30),
            alpha: Share::from_ppm(10_000),
            ignore: Vec::new(),
        }
    }
}

/// The dependencies gate: what live traces call outside, the candidate's tests have really called too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dependencies {
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// When it looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Moment>>,
    /// How long one look may take.
    pub deadline: Duration,
    /// How far back live traces are looked at.
    pub window: Duration,
    /// What the traces of the test run have in common: attributes of a span or its resource.
    pub tests: BTreeMap<String, String>,
    /// Names of simulated services, beside those that are known as such; `*` stands for anything.
    pub simulated: Vec<String>,
    /// How many times slower than in tests a service may be.
    pub slower_max: u32,
}

impl Default for Dependencies {
    fn default() -> Self {
        Self {
            off: None,
            when: None,
            deadline: Duration::from_secs(300),
            window: Duration::from_secs(24 * 3600),
            tests: [("deployment.environment.name".to_owned(), "test".to_owned())].into(),
            simulated: Vec::new(),
            slower_max: 2,
        }
    }
}

/// The history gate: traces from before the cut-over can be read in the candidate, and are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// When it looks. With `kept_for` also after promotion, unless this says otherwise: the promise begins with the cut-over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Moment>>,
    /// How often it looks again within a step; without it, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// How long one look may take.
    pub deadline: Duration,
    /// How far back history must be there.
    pub reach: Duration,
    /// What began less long ago is left to the migration, which follows what is still recorded.
    #[serde(skip_serializing_if = "is_history_settle")]
    pub settle: Duration,
    /// How many old traces are compared.
    pub traces: u32,
    /// Old traces stay in the active environment, which remains readable for this long; without it, they were migrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_for: Option<Duration>,
    /// Attributes that are meant to differ: what the migration adds, for instance.
    pub ignore: Vec<Ignore>,
}

const HISTORY_SETTLE: Duration = Duration::from_secs(3600);

fn is_history_settle(settle: &Duration) -> bool {
    *settle == HISTORY_SETTLE
}

impl Default for History {
    fn default() -> Self {
        Self {
            off: None,
            when: None,
            every: None,
            deadline: Duration::from_secs(600),
            reach: Duration::from_secs(7 * 24 * 3600),
            settle: HISTORY_SETTLE,
            traces: 500,
            kept_for: None,
            ignore: Vec::new(),
        }
    }
}

/// The policy gate: rules in Rego. A denial quotes the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// When it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Moment>>,
    /// How long one look may take.
    pub deadline: Duration,
    /// Standards whose ready policies are asked.
    pub standards: Vec<Standard>,
    /// Files with policies of one's own, relative to the site's configuration.
    pub files: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            off: None,
            when: None,
            deadline: Duration::from_secs(30),
            standards: Vec::new(),
            files: Vec::new(),
        }
    }
}

/// A standard that there are ready policies for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standard {
    /// PCI DSS 4.0.1.
    Pci,
    /// HIPAA Security Rule, 45 CFR 164.
    Hipaa,
    /// GDPR.
    Gdpr,
    /// SOC 2, trust services criteria.
    Soc2,
    /// NIST SP 800-53 Rev. 5.
    Nist,
    /// No standard: everything is looked at before everything moves.
    Staged,
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pci => "pci",
            Self::Hipaa => "hipaa",
            Self::Gdpr => "gdpr",
            Self::Soc2 => "soc2",
            Self::Nist => "nist",
            Self::Staged => "staged",
        })
    }
}
