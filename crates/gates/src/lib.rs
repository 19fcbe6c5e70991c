//! The gates: inputs to findings.
//!
//! A gate is a check that must pass before a rollout goes on. This crate holds what gates *think*: pure functions from
//! inputs to findings, the texts that explain each finding, and the forms in which findings are shown. It does *not* fetch
//! inputs, and it does not decide what follows from a finding.
//!
//! | module | holds |
//! |---|---|
//! | [`coverage`] | what is recorded in one environment and not in the other, or sent and recorded nowhere |
//! | [`dependencies`] | what live traces call outside, and what tests have called |
//! | [`drift`] | two configurations, compared by meaning |
//! | [`history`] | what was recorded before the cut-over: still readable, equal, and found |
//! | [`load`] | requests offered on a schedule: whether an environment keeps up |
//! | [`parity`] | the same traces in both environments |
//! | [`difference`] | one trace in two environments: what differs, and what does not count as a difference |
//! | [`posture`] | what is true on the wire, held against a policy and another environment |
//! | [`probe`] | synthetic traces: what is written, and what came back |
//! | [`policy`] | rules in Rego: what they hold against a rollout |
//! | [`rule`], [`control`] | what a finding of a kind means, and whom it concerns |
//! | [`finding`], [`report`] | what a gate says, in the form that all share |
//! | [`look`] | what is said of a gate that could not look |
//! | [`waiver`] | risks that are accepted for a time |
//! | [`render`] | reports as text, JSON, JUnit, SARIF |
//! | [`model`] | spans as gates see them |
//! | [`inventory`] | what traces hold: services, operations, keys, call edges, outside calls |
//! | [`explain`](mod@explain) | the text behind every id |

pub mod control;
pub mod coverage;
pub mod dependencies;
pub mod difference;
pub mod drift;
pub mod explain;
pub mod finding;
pub mod history;
pub mod inventory;
pub mod load;
pub mod look;
pub mod model;
pub mod parity;
pub mod policy;
pub mod posture;
pub mod probe;
mod reads;
pub mod render;
pub mod report;
pub mod rule;
pub mod waiver;
mod words;

pub use explain::explain;
pub use finding::{Accepted, Finding, Place};
pub use report::{Report, Verdict};
