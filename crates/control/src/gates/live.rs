//! How much clients send, noted by the engine for gates that ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Spans per second, of late. Copies show the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveRate(Arc<AtomicU64>);

impl LiveRate {
    /// What it is now; `None` if it is not known.
    pub(crate) fn set(&self, spans_per_second: Option<u64>) {
        // One more than it is, so that nothing known and nothing sent are two things.
        self.0.store(spans_per_second.map_or(0, |rate| rate.saturating_add(1)), Ordering::Relaxed);
    }

    /// What was noted last.
    pub(crate) fn get(&self) -> Option<u64> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }
}
