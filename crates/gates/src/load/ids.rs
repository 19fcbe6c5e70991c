//! The ids of the traces that are sent, made from numbers, so that a sample can be read back without keeping any.

use crate::model::{SpanId, TraceId};

/// Spans of a whole trace.
pub const SPANS_PER_TRACE: u32 = 8;

/// Makes the ids of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    run: u64,
}

impl Ids {
    /// Of the run with this seed that began at this time: a seed that is used again makes other ids.
    pub fn new(seed: u64, at: u64) -> Self {
        Self { run: mix(seed ^ mix(at)) }
    }

    /// The `trace`th of a request.
    pub fn trace(self, request: u64, trace: u32) -> TraceId {
        let high = self.word(request, u64::from(trace) << 2);
        let low = self.word(request, u64::from(trace) << 2 | 1);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&high.to_be_bytes());
        id[8..].copy_from_slice(&low.to_be_bytes());
        TraceId(id)
    }

    /// The `span`th of a request.
    pub fn span(self, request: u64, span: u32) -> SpanId {
        SpanId(self.word(request, u64::from(span) << 2 | 2).to_be_bytes())
    }

    /// Where a trace stands in the order in which traces are taken into a sample.
    pub(super) fn rank(self, request: u64, trace: u32) -> u64 {
        self.word(request, u64::from(trace) << 2 | 3)
    }

    /// The spans of a trace that is sent in a request of so many.
    pub fn spans_of(self, request: u64, trace: u32, spans_per_request: u32) -> Vec<SpanId> {
        let first = trace.saturating_mul(SPANS_PER_TRACE);
        let end = first.saturating_add(SPANS_PER_TRACE).min(spans_per_request);
        (first..end).map(|span| self.span(request, span)).collect()
    }

    /// Never zero.
    fn word(self, request: u64, what: u64) -> u64 {
        mix(self.run ^ mix(request).wrapping_add(what.wrapping_mul(GOLDEN))).max(1)
    }
}

/// Traces of a request of so many spans; the last may be shorter.
pub fn traces_per_request(spans_per_request: u32) -> u32 {
    spans_per_request.div_ceil(SPANS_PER_TRACE)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finisher (Steele, Lea, Flood 2014).
fn mix(word: u64) -> u64 {
    let z = word.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
