//! Spans of one trace, from several requests, put together.
//!
//! A trace counts as seen so long after its first span: by then the usual SDKs have exported the others. What comes later
//! counts as another one, whose parents are not there; so roots and orphans are not judged by what the tap saw.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crossfade_gates::inventory::{Inventory, Names, Sight};
use crossfade_gates::model::TraceId;

/// Most spans that wait for others: some ten megabytes.
const SPANS_MAX: usize = 50_000;
/// Most spans of one trace that wait for others.
const TRACE_SPANS_MAX: usize = 2_000;

#[derive(Debug)]
pub(crate) struct Assembly {
    settle: Duration,
    pub(crate) names: Names,
    open: BTreeMap<TraceId, Vec<Sight>>,
    /// In the order of their first spans.
    order: VecDeque<(Instant, TraceId)>,
    spans: usize,
    /// Spans that were left out because their trace has too many.
    pub(crate) cut_off: u64,
}

impl Assembly {
    pub(crate) fn new(settle: Duration) -> Assembly {
        Assembly {
            settle,
            names: Names::default(),
            open: BTreeMap::new(),
            order: VecDeque::new(),
            spans: 0,
            cut_off: 0,
        }
    }

    pub(crate) fn add(&mut self, make: impl FnOnce(&mut Names) -> Sight, now: Instant) {
        let sight = make(&mut self.names);
        let trace = sight.trace;
        let sights = self.open.entry(trace).or_default();
        if sights.is_empty() {
            self.order.push_back((now, trace));
        }
        if sights.len() < TRACE_SPANS_MAX {
            sights.push(sight);
            self.spans += 1;
        } else {
            self.cut_off += 1;
        }
    }

    /// Enters the traces that have waited long enough, and the oldest ones while there are too many spans.
    pub(crate) fn finish(&mut self, now: Instant, weight: u32, inventory: &mut Inventory) {
        while let Some((since, trace)) = self.order.front().copied() {
            let settled = now.saturating_duration_since(since) >= self.settle;
            if !settled && self.spans <= SPANS_MAX {
                break;
            }
            self.order.pop_front();
            let sights = self.open.remove(&trace).unwrap_or_default();
            self.spans -= sights.len();
            inventory.note(&sights, None, weight);
        }
        inventory.left_out.names = self.names.left_out;
        self.names.tidy();
    }
}
