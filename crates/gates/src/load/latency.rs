//! Latencies, counted so that any quantile can be asked for.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// A histogram of durations, true to 0.1 %, from a microsecond to an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    micros: Histogram<u64>,
}

const LONGEST: Duration = Duration::from_secs(3_600);
const DIGITS: u8 = 3;

impl Latency {
    /// Without a single one.
    pub fn new() -> Self {
        let micros = Histogram::new_with_bounds(1, micros(LONGEST), DIGITS);
        Self { micros: micros.expect("bounds and digits are in the library's range") }
    }

    /// Counts one more.
    pub fn record(&mut self, duration: Duration) {
        self.micros.saturating_record(micros(duration).max(1));
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.micros.len()
    }

    /// The duration that this share (0 to 1) of all did not exceed; 1 is the longest. `None` if there is none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_micros(self.micros.value_at_quantile(share)))
    }

    /// The longest.
    pub fn max(&self) -> Option<Duration> {
        self.quantile(1.0)
    }

    /// Counts all of another's too.
    pub fn add(&mut self, other: &Self) {
        self.micros.add(&other.micros).expect("both have the same bounds");
    }

    /// Quantiles in microseconds, and the counts up to powers of two of a microsecond.
    pub fn json(&self) -> Value {
        let quantile = |share| self.quantile(share).map(micros);
        let mut buckets = Vec::new();
        let mut below = 0;
        for power in 0..=32 {
            let top = 1_u64 << power;
            let upto = self.micros.count_between(0, top);
            if upto > below {
                buckets.push(json!([top, upto - below]));
                below = upto;
            }
        }
        json!({
            "count": self.count(),
            "p50_us": quantile(0.5),
            "p90_us": quantile(0.9),
            "p99_us": quantile(0.99),
            "p99_9_us": quantile(0.999),
            "max_us": quantile(1.0),
            "buckets_us": buckets,
        })
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
