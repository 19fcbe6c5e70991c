//! Durations in buckets, four to each doubling: a quantile is known to a fifth, and the whole takes a hundred numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Buckets to each doubling.
const STEPS: f64 = 4.0;

/// How long calls took: counts by bucket. Bucket `n` ends at 2^(n/4) µs, and the one before it begins there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latency {
    counts: BTreeMap<u8, u32>,
}

impl Latency {
    /// Enters a duration.
    pub fn record(&mut self, nanos: u64) {
        // 4 x log2 of 2^64 / 1000 is below 220.
        let micros = (nanos as f64 / 1_000.0).max(1.0);
        let bucket = (micros.log2() * STEPS).ceil() as u8;
        let count = self.counts.entry(bucket).or_default();
        *count = count.saturating_add(1);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.values().map(|count| u64::from(*count)).sum()
    }

    /// The end of the bucket of the `rank`th shortest (from 1), in nanoseconds; `None` if there are fewer.
    pub fn rank(&self, rank: u64) -> Option<u64> {
        let mut below = 0;
        let bucket = self.counts.iter().find(|(_, count)| {
            below += u64::from(**count);
            below >= rank.max(1)
        })?;
        Some(((f64::from(*bucket.0) / STEPS).exp2() * 1_000.0) as u64)
    }

    /// The end of the bucket that holds the `quantile`, in nanoseconds; `None` if there is nothing.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        self.rank((self.count() as f64 * quantile).ceil() as u64)
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            let sum = self.counts.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
}
