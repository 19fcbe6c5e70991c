//! The protocol between a gateway and control: `POST /v1/gateways/{id}/sync`, a [`Report`] up, a [`Reply`] down.
//!
//! The gateway is the client and polls with a wait of at most [`WAIT_MS_MAX`]; one request at a time, so that a reply
//! is never older than the report before it. 64-bit integers are decimal strings.

use serde::{Deserialize, Serialize};

use crate::directive::{Ack, Directive};
use crate::id::{BootId, EnvironmentId, GatewayId};
use crate::schedule::{Generation, Schedule};
use crate::text;
use crate::time::UnixNanos;

/// The longest that control may hold a report before it answers.
pub const WAIT_MS_MAX: u32 = 1_000;

/// What a gateway says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub gateway: GatewayId,
    pub boot: BootId,
    /// Grows by one with each report of this boot; control ignores a report that is not newer than the last.
    #[serde(with = "text::u64_string")]
    pub sequence: u64,
    /// The gateway's clock as it sent this.
    pub now: UnixNanos,
    /// `None` until the gateway has durably taken a directive.
    pub ack: Option<Ack>,
    pub fence: Option<Fence>,
    /// Of the environments that were looked at since this boot; nothing is known of the others.
    pub health: Vec<EnvironmentHealth>,
    pub ledger: Vec<LedgerRow>,
    pub arms: Vec<ArmCounts>,
    pub clock: ClockHistogram,
    /// How long control may wait for news before it answers.
    pub wait_ms: u32,
    /// The closing ledger: nothing is queued, and nothing follows from this boot.
    pub drained: bool,
}

/// What control answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The log entry that issued the directive's schedule. Not needed for a fence.
    pub entry: SignedEntry,
    pub directive: Directive,
    /// The fence of this rollout, wherever it fell first.
    pub fence: Option<Fence>,
    /// Control's clock as it sent this.
    pub now: UnixNanos,
}

/// A leaf of the audit log with all that is needed to check that it is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedEntry {
    /// Index of the leaf.
    #[serde(with = "text::u64_string")]
    pub index: u64,
    /// The leaf, verbatim.
    pub entry: String,
    /// Inclusion proof, leaf to root: SHA-256 hashes in base64.
    pub proof: Vec<String>,
    /// The signed note that the proof leads to.
    pub checkpoint: String,
}

/// Everything back to `from`, irrevocable for this attempt of the rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    pub rollout: String,
    /// The generation that was held as the fence fell: tells this attempt from an earlier or later one of that name.
    pub generation: Generation,
    pub at: UnixNanos,
    pub cause: FenceCause,
}

impl Fence {
    /// Whether this fence is for the attempt that `schedule` belongs to.
    #[must_use]
    pub fn applies_to(&self, schedule: &Schedule) -> bool {
        schedule.rollout() == Some(self.rollout.as_str()) && schedule.begun() <= self.generation
    }
}

/// Who let the fence fall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FenceCause {
    Command { actor: String },
    Verdict {},
    Breaker { detail: String },
}

/// How a gateway finds one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentHealth {
    pub environment: EnvironmentId,
    pub reachable: bool,
    pub detail: String,
    pub last_ok: Option<UnixNanos>,
    /// When the last byte of a request was written to it.
    pub last_sent: Option<UnixNanos>,
}

/// One account of spans: cumulative for a boot, by environment and by the generation under which they arrived.
///
/// `received = delivered + rejected + returned + shed + indeterminate + queued`, always.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    pub environment: EnvironmentId,
    pub generation: Generation,
    #[serde(with = "text::u64_string")]
    pub received: u64,
    /// Accepted by the environment.
    #[serde(with = "text::u64_string")]
    pub delivered: u64,
    /// Refused by the environment for good.
    #[serde(with = "text::u64_string")]
    pub rejected: u64,
    /// Given back to the client, to be sent again.
    #[serde(with = "text::u64_string")]
    pub returned: u64,
    /// Dropped by the gateway, `shed_untrusted` among them.
    #[serde(with = "text::u64_string")]
    pub shed: u64,
    /// Dropped first, because they were copies for an untrusted clock.
    #[serde(with = "text::u64_string")]
    pub shed_untrusted: u64,
    /// Sent, but the answer was never heard.
    #[serde(with = "text::u64_string")]
    pub indeterminate: u64,
    #[serde(with = "text::u64_string")]
    pub queued: u64,
}

impl LedgerRow {
    /// Nothing counted yet.
    #[must_use]
    pub const fn empty(environment: EnvironmentId, generation: Generation) -> Self {
        let (received, delivered, rejected, returned) = (0, 0, 0, 0);
        let (shed, shed_untrusted, indeterminate, queued) = (0, 0, 0, 0);
        Self {
            environment,
            generation,
            received,
            delivered,
            rejected,
            returned,
            shed,
            shed_untrusted,
            indeterminate,
            queued,
        }
    }

    /// The invariant of a row; a sum that overflows does not balance.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let parts =
            [self.delivered, self.rejected, self.returned, self.shed, self.indeterminate, self.queued];
        let sum = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part));
        sum == Some(self.received) && self.shed_untrusted <= self.shed
    }
}

/// What one environment did with client requests: the unit of the analysis. Cumulative for a boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCounts {
    pub environment: EnvironmentId,
    pub generation: Generation,
    #[serde(with = "text::u64_string")]
    pub requests: u64,
    /// Requests whose first attempt failed, or of which any span was rejected.
    #[serde(with = "text::u64_string")]
    pub failed: u64,
    /// Export latency of first attempts: counts by [`LATENCY_BOUNDS_US`], and one more for all above the last.
    #[serde(with = "text::u64_strings")]
    pub latency: Vec<u64>,
    #[serde(with = "text::u64_string")]
    pub untrusted_spans: u64,
    #[serde(with = "text::u64_string")]
    pub spans: u64,
    pub first_failure: Option<UnixNanos>,
}

const LATENCY_STEPS: usize = 8;
const LATENCY_OCTAVES: usize = 20;

/// Upper bounds (inclusive) of the latency buckets in microseconds: each octave from 64 us to 67 s in 8 equal steps.
pub const LATENCY_BOUNDS_US: [u64; LATENCY_STEPS * LATENCY_OCTAVES + 1] = latency_bounds();

const fn latency_bounds() -> [u64; LATENCY_STEPS * LATENCY_OCTAVES + 1] {
    let mut bounds = [64; LATENCY_STEPS * LATENCY_OCTAVES + 1];
    let mut i = 0;
    while i < LATENCY_STEPS * LATENCY_OCTAVES {
        let octave = 64_u64 << (i / LATENCY_STEPS);
        bounds[i + 1] = octave + octave / LATENCY_STEPS as u64 * (i % LATENCY_STEPS + 1) as u64;
        i += 1;
    }
    bounds
}

/// Number of buckets of [`ArmCounts::latency`].
pub const LATENCY_BUCKETS: usize = LATENCY_BOUNDS_US.len() + 1;

/// The bucket of a latency.
#[must_use]
pub fn latency_bucket(latency_us: u64) -> usize {
    LATENCY_BOUNDS_US.partition_point(|bound| *bound < latency_us)
}

/// Upper bounds (inclusive) of the buckets of `a - e` in milliseconds; negative where a host's clock leads.
pub const CLOCK_BOUNDS_MS: [i64; 27] = [
    -86_400_000,
    -3_600_000,
    -600_000,
    -60_000,
    -30_000,
    -10_000,
    -5_000,
    -1_000,
    -100,
    -10,
    -1,
    10,
    100,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    20_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    3_600_000,
    86_400_000,
];

/// How arrival and span end differ: counts of spans by [`CLOCK_BOUNDS_MS`], and one more for all above the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockHistogram {
    #[serde(with = "text::u64_strings")]
    pub counts: Vec<u64>,
}

impl Default for ClockHistogram {
    fn default() -> ClockHistogram {
        ClockHistogram { counts: vec![0; CLOCK_BOUNDS_MS.len() + 1] }
    }
}

impl ClockHistogram {
    /// Counts one span.
    pub fn record(&mut self, end: UnixNanos, arrival: UnixNanos) {
        let nanos = i128::from(arrival.0) - i128::from(end.0);
        let bucket = CLOCK_BOUNDS_MS.partition_point(|bound| i128::from(*bound) * 1_000_000 < nanos);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds the counts of another histogram, of another gateway or boot.
    pub fn add(&mut self, other: &ClockHistogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
    }
}

#[cfg(test)]
mod tests;
