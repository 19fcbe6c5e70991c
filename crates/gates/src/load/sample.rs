//! Which of the accepted traces are read back.

use std::collections::BTreeSet;

use super::ids::{Ids, traces_per_request};

/// A trace of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Picked {
    /// The request it was sent in.
    pub request: u64,
    /// Which of that request's traces.
    pub trace: u32,
}

/// A sample of fixed size, of traces that turn up in any order: those that rank lowest by the run's seed. Which traces are
/// in it depends on what was accepted, and not on when.
#[derive(Clone, Debug)]
pub struct Sample {
    ids: Ids,
    size: usize,
    traces: u32,
    lowest: BTreeSet<(u64, Picked)>,
}

impl Sample {
    /// At most `size` of the traces of requests of so many spans.
    pub fn new(ids: Ids, size: usize, spans_per_request: u32) -> Self {
        Self { ids, size, traces: traces_per_request(spans_per_request), lowest: BTreeSet::new() }
    }

    /// A request was accepted with all of its traces.
    pub fn take(&mut self, request: u64) {
        for trace in 0..self.traces {
            let rank = self.ids.rank(request, trace);
            if self.lowest.len() >= self.size {
                match self.lowest.last() {
                    Some((highest, _)) if rank < *highest => drop(self.lowest.pop_last()),
                    _ => continue,
                }
            }
            self.lowest.insert((rank, Picked { request, trace }));
        }
    }

    /// The traces, in the order of their requests.
    pub fn traces(&self) -> Vec<Picked> {
        let mut picked: Vec<Picked> = self.lowest.iter().map(|(_, picked)| *picked).collect();
        picked.sort_unstable();
        picked
    }
}
