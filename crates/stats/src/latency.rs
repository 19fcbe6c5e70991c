//! Latency quantiles of two arms compared, from histograms with fixed bounds; see the crate's doc.

use crate::count::CountTest;

/// How much slower the candidate's quantile may be than the active's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyLimit {
    /// In (0, 1).
    pub quantile: f64,
    /// 0.2: a fifth slower.
    pub worse_max: f64,
    /// A difference that is always tolerated, in the histogram's unit.
    pub worse_min: f64,
    /// ln(1/alpha') of the confidence bound on the active's quantile.
    pub ln_confidence: f64,
}

/// What one look at two histograms gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyLook {
    /// ln e against *the candidate is not slower than the limit allows*; 0 while there is no limit yet.
    pub ln_e: f64,
    /// The limit, in the histogram's unit; `None` while the active has too few requests to know its quantile.
    pub limit: Option<u64>,
    /// Requests of the candidate.
    pub requests: u64,
    /// Those of them above the limit.
    pub slow: u64,
}

impl LatencyLimit {
    /// Compares. `bounds` are the inclusive upper bounds of the buckets, ascending; a histogram has one bucket more, for
    /// everything above the last.
    #[must_use]
    pub fn look(&self, bounds: &[u64], active: &[u64], candidate: &[u64]) -> LatencyLook {
        let requests = total(candidate);
        let limit = self.limit(bounds, active);
        // Whole buckets: those that lie above the limit altogether. A limit past the last bound leaves none.
        let within =
            limit.map_or(bounds.len() + 1, |limit| bounds.partition_point(|bound| *bound < limit) + 1);
        let slow = candidate.get(within..).map_or(0, total);
        let test = CountTest::new(1.0 - self.quantile).filter(|_| limit.is_some());
        LatencyLook { ln_e: test.map_or(0.0, |test| test.ln_e(slow, requests - slow)), limit, requests, slow }
    }

    /// The upper confidence bound of the active's quantile, with the tolerance added.
    fn limit(&self, bounds: &[u64], active: &[u64]) -> Option<u64> {
        let test = CountTest::new(self.quantile)?;
        let all = total(active);
        let within: Vec<u64> =
            active.iter().take(bounds.len()).scan(0, |sum, count| Some(add(sum, *count))).collect();
        // e grows with the requests within a bound, and these grow from bound to bound.
        let bucket = within.partition_point(|within| test.ln_e(*within, all - within) < self.ln_confidence);
        let bound = *bounds.get(bucket).filter(|_| bucket < within.len())? as f64;
        Some((bound * (1.0 + self.worse_max)).max(bound + self.worse_min).ceil() as u64)
    }
}

/// Counts come from elsewhere: they saturate, and never wrap.
fn add(sum: &mut u64, count: u64) -> u64 {
    *sum = sum.saturating_add(count);
    *sum
}

fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

/// The bucket that holds the `quantile` of a histogram: the least one with at least that share at or below it. `None` if empty.
#[must_use]
pub fn quantile_bucket(counts: &[u64], quantile: f64) -> Option<usize> {
    let all = total(counts);
    let needed = (all as f64 * quantile).ceil().max(1.0);
    let mut within = 0_u64;
    counts.iter().position(|count| add(&mut within, *count) as f64 >= needed)
}

#[cfg(test)]
mod tests;
