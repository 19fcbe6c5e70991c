//! The gateway from outside: real sockets on loopback, environments that do as they are told.
//!
//! No test waits for a time to pass: each waits for a condition, and fails by [`PATIENCE`] if it never comes true.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod answers;
mod bounds;
mod breaker;
mod control;
mod copy;
mod drain;
mod fence;
mod receive;
mod split;
mod support;
mod tap;

/// Long enough that only a defect reaches it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
