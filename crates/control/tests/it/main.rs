//! The control plane from outside: a real site, log and HTTP API; gateways that speak the real protocol.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod access;
mod coverage;
mod fleet;
mod probes;
mod restart;
mod rollout;
mod secrets;
mod snapshots;
mod support;
