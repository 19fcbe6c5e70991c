//! The same requests, had each gone whole to one environment by the weight of its time.

use super::RolloutFacts;
use crate::traffic::{Record, SentTrace};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// Where each request of a record would have gone.
#[derive(Debug)]
pub(super) struct RequestSplit {
    to_candidate: Vec<bool>,
}

impl RequestSplit {
    /// Draws for every request, at the time of its first attempt. Seeded by the rollout's seed.
    pub(super) fn new(record: &Record, facts: &RolloutFacts) -> RequestSplit {
        let mut rng = ChaCha8Rng::seed_from_u64(facts.seed.0);
        let requests = record.requests.iter();
        let draws =
            requests.map(|request| rng.random_range(0..1_000_000) < facts.weight_at(request.sent_at).ppm());
        RequestSplit { to_candidate: draws.collect() }
    }

    /// Whether its spans end up in both environments, so that neither has it whole.
    pub(super) fn tears(&self, trace: &SentTrace) -> bool {
        self.sides(trace).len() > 1
    }

    /// Whether none of its spans goes to the candidate.
    pub(super) fn is_whole_in_active(&self, trace: &SentTrace) -> bool {
        !self.sides(trace).contains(&true)
    }

    fn sides(&self, trace: &SentTrace) -> BTreeSet<bool> {
        trace.spans.iter().map(|span| self.to_candidate[span.request]).collect()
    }
}
