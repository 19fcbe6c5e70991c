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
        let requests = candidate.iter().sum();
        let limit = self.limit(bounds, active);
        // Whole buckets: those that lie above the limit altogether. A limit past the last bound leaves none.
        let within =
            limit.map_or(bounds.len() + 1, |limit| bounds.partition_point(|bound| *bound < limit) + 1);
        let slow = candidate.iter().skip(within).sum();
        let test = CountTest::new(1.0 - self.quantile).filter(|_| limit.is_some());
        LatencyLook { ln_e: test.map_or(0.0, |test| test.ln_e(slow, requests - slow)), limit, requests, slow }
    }

    /// The upper confidence bound of the active's quantile, with the tolerance added.
    fn limit(&self, bounds: &[u64], active: &[u64]) -> Option<u64> {
        let all: u64 = active.iter().sum();
        let test = CountTest::new(self.quantile)?;
        let mut within = 0;
        for (bound, count) in bounds.iter().zip(active) {
            within += count;
            if test.ln_e(within, all - within) >= self.ln_confidence {
                let bound = *bound as f64;
                return Some((bound * (1.0 + self.worse_max)).max(bound + self.worse_min).ceil() as u64);
            }
        }
        None
    }
}

/// The bucket that holds the `quantile` of a histogram: the least one with at least that share at or below it. `None` if empty.
#[must_use]
pub fn quantile_bucket(counts: &[u64], quantile: f64) -> Option<usize> {
    let all: u64 = counts.iter().sum();
    let needed = (all as f64 * quantile).ceil().max(1.0);
    let mut within = 0_u64;
    counts.iter().position(|count| {
        within += count;
        within as f64 >= needed
    })
}

#[cfg(test)]
mod tests;
