//! The end-to-end cases, in the order in which they run. Each states its scenario and its guarantee.

mod harness;

use super::Case;

pub(crate) const CASES: &[Case] = &[Case {
    name: "harness",
    shows: "SDKs, Collector and Jaeger agree without Crossfade in between, and a missing span is noticed",
    run: harness::run,
}];
