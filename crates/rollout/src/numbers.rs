//! Counts and evidence as the log holds them: integers only.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crossfade_routing::UnixNanos;
use crossfade_routing::sync::{ArmCounts, LATENCY_BUCKETS, LedgerRow};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::event::Outcome;
use crate::units::{Share, text64};

/// Client requests in both arms. Arms go by the rollout's `from` and `to`, not by who answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arms {
    pub from: Counts,
    pub to: Counts,
}

/// Client requests in one arm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    #[serde(with = "text64")]
    pub requests: u64,
    /// Requests whose first attempt failed or of which any span was rejected.
    #[serde(with = "text64")]
    pub failed: u64,
    /// Spans that the gateway dropped before this arm, copies for an untrusted clock not among them.
    #[serde(with = "text64")]
    pub shed: u64,
    /// Latency of first attempts.
    pub latency: Histogram,
    pub first_failure: Option<UnixNanos>,
}

/// Counts by bucket of `routing::sync::LATENCY_BOUNDS_US`. As text, filled buckets only: `12:340 13:17`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u16, u64>);

impl Arms {
    /// Bucket by bucket, count by count.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { from: self.from.plus(&other.from), to: self.to.plus(&other.to) }
    }

    /// What came on top of `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self { from: self.from.since(&earlier.from), to: self.to.since(&earlier.to) }
    }
}

impl Counts {
    /// One environment's counts in one generation, from what a gateway reports.
    #[must_use]
    pub fn reported(arm: Option<&ArmCounts>, ledger: Option<&LedgerRow>) -> Self {
        let shed = ledger.map_or(0, |row| row.shed.saturating_sub(row.shed_untrusted));
        let Some(arm) = arm else { return Self { shed, ..Self::default() } };
        let latency = Histogram::from_dense(&arm.latency);
        let (requests, failed, first_failure) = (arm.requests, arm.failed, arm.first_failure);
        Self { requests, failed, shed, latency, first_failure }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            failed: self.failed.saturating_add(other.failed),
            shed: self.shed.saturating_add(other.shed),
            latency: self.latency.combine(&other.latency, u64::saturating_add),
            first_failure: self.first_failure.into_iter().chain(other.first_failure).min(),
        }
    }

    /// What came on top of `earlier`. A first failure is this interval's only if nothing had failed before.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            failed: self.failed.saturating_sub(earlier.failed),
            shed: self.shed.saturating_sub(earlier.shed),
            latency: self.latency.combine(&earlier.latency, u64::saturating_sub),
            first_failure: self.first_failure.filter(|_| earlier.failed == 0),
        }
    }
}

impl Histogram {
    /// From counts by bucket; buckets past the last known one are left out.
    #[must_use]
    pub fn from_dense(counts: &[u64]) -> Self {
        Self(
            (0..).zip(counts.iter().copied()).take(LATENCY_BUCKETS).filter(|(_, count)| *count > 0).collect(),
        )
    }

    /// Counts of all buckets.
    #[must_use]
    pub fn dense(&self) -> Vec<u64> {
        let mut counts = vec![0; LATENCY_BUCKETS];
        for (bucket, count) in &self.0 {
            if let Some(slot) = counts.get_mut(usize::from(*bucket)) {
                *slot = *count;
            }
        }
        counts
    }

    fn combine(&self, other: &Self, with: fn(u64, u64) -> u64) -> Self {
        let mut counts = self.0.clone();
        for (bucket, count) in &other.0 {
            let slot = counts.entry(*bucket).or_default();
            *slot = with(*slot, *count);
        }
        counts.retain(|_, count| *count > 0);
        Self(counts)
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (bucket, count)) in self.0.iter().enumerate() {
            write!(f, "{}{bucket}:{count}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl FromStr for Histogram {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |pair: &str| {
            let (bucket, count) = pair.split_once(':')?;
            Some((bucket.parse().ok()?, count.parse().ok()?))
        };
        let counts: Option<BTreeMap<u16, u64>> = text.split_terminator(' ').map(pair).collect();
        let spelled =
            |histogram: &Self| histogram.0.values().all(|count| *count > 0) && histogram.to_string() == text;
        let histogram = counts.map(Self).filter(spelled);
        histogram.ok_or_else(|| {
            format!("`{text}` is no histogram; expected `bucket:count bucket:count`, ascending")
        })
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The metrics' names, as specs and the log spell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    ExportErrors,
    ExportLatency,
    Shed,
    ProbeFailures,
}

/// Evidence of one metric: the natural logarithm of an e-value, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogE {
    pub metric: MetricName,
    #[serde(with = "text64")]
    pub ln_e_nano: i64,
}

/// What a metric says at one look, with the numbers that it says it from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricReading {
    pub metric: MetricName,
    /// `Pass`: nothing against it so far.
    pub outcome: Outcome,
    /// ln e of this step alone, in billionths.
    #[serde(with = "text64")]
    pub step_ln_e_nano: i64,
    /// ln e of the whole rollout, this step and those before it, in billionths. Fails at ln(1/alpha).
    #[serde(with = "text64")]
    pub ln_e_nano: i64,
    /// The share of alpha that this metric spends; 0 for a plain limit.
    pub alpha: Share,
    /// Sample of the active: requests, and those of them that count against it.
    pub from: Sample,
    /// Sample of the candidate.
    pub to: Sample,
    /// One line for people: the numbers in words.
    pub text: String,
}

/// `bad` of `all`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    #[serde(with = "text64")]
    pub all: u64,
    #[serde(with = "text64")]
    pub bad: u64,
}

#[cfg(test)]
mod tests;
