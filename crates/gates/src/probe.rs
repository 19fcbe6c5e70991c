//! The probe gate: synthetic traces, written to an environment and read back from it.
//!
//! A seed and a time make the traces, so that what is expected can be made again from two numbers. They are rich - every
//! span kind, attributes of every type, events, links, all states, two services - because a store that loses one of these
//! loses it for everybody. They hold made-up numbers only, under a service name of their own ([`SERVICE`], [`PEER_SERVICE`]), so
//! that they can be told apart and purged.
//!
//! An environment may *add* to a span (a host name, a cluster); whatever it loses, changes or repeats is a finding.
//!
//! | module | holds |
//! |---|---|
//! | [`generate`](mod@generate) | seed and time to expected traces |
//! | [`canary`] | sensitive values in every field, and whether they come back |
//! | [`compare`](mod@compare) | expected against read, span by span |
//! | [`suite`] | traces, searches, canaries and separation in one report |
//! | `rules` | what each failure means |
//! | [`report`] | findings, counts, the verdict, and how they are shown |

pub mod canary;
pub mod compare;
pub mod generate;
pub mod report;
mod rules;
pub mod suite;
#[cfg(test)]
mod tests;

use crate::load;
pub use crate::report::Verdict;
pub use compare::{Repeats, compare};
pub use generate::{Delivery, PEER_SERVICE, SERVICE, Trace, WITH_LONG_VALUES, generate};
pub use report::{Failure, Finding, ProbeReport, Summary, TraceResult};
pub use rules::RULES;

/// The finding that an active environment masks, and that nobody says what the candidate has to.
pub fn masks_not_said() -> crate::finding::Finding {
    crate::finding::Finding::new(&rules::MASKS_NOT_SAID)
}

/// Whether spans of this service are Crossfade's own, the probe's or the load's: what looks at live traces passes them over.
pub fn is_own(service: &str) -> bool {
    let hop = service.strip_prefix(PEER_SERVICE).and_then(|rest| rest.strip_prefix('-'));
    [SERVICE, PEER_SERVICE, load::SERVICE, load::PEER_SERVICE].contains(&service)
        || hop.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}
