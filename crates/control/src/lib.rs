//! The control plane: site configuration, planner, executor, HTTP API and its client.
//!
//! It makes the pure functions of `crossfade-rollout` happen: it appends what they say to the audit log, performs what they
//! ask for, and tells them what it sees. It decides nothing by itself, and knows nothing of the gateway but the
//! protocol of `routing::sync`.
//!
//! | module | holds |
//! |---|---|
//! | [`site`] | `crossfade.yaml`, read and checked |
//! | [`files`] | files that people write, as trees: expanded, merged |
//! | `sources` | where a configuration is read from: a file, or a URL
//! | [`spec`] | a rollout spec, taken as it is written |
//! | `init` | keys, tokens, log and genesis of a site |
//! | `journal` | the log and the state that is its fold |
//! | `engine` | the thread that owns journal and conductor: decide, evolve, due, effects |
//! | `jobs` | gates, probes and snapshots, run beside the engine |
//! | [`gates`] | collects the gates' inputs, one module for each gate |
//! | [`planner`] | a spec resolved into a plan |
//! | [`progress`] | how far a plan is |
//! | [`api`], [`client`] | HTTP and JSON, on loopback |
//! | [`status`] | what is shown |
//! | `listen` | its address: how many may speak, and how long they may be silent |
//! | `monitor` | metrics and warnings |
//! | `server` | all of it, started and stopped |
//! | `clock` | the one place that reads a clock |

pub mod api;
pub mod client;
mod clock;
mod engine;
pub mod files;
pub mod gates;
mod init;
mod jobs;
mod journal;
mod listen;
mod monitor;
pub mod planner;
pub mod progress;
mod server;
pub mod site;
mod sources;
pub mod spec;
pub mod status;

pub use clock::now;
pub use init::{InitError, Made, RestoreError, init};
pub use journal::JournalError;
pub use monitor::Monitor;
pub use server::{Control, ControlConfig, StartError};
pub use site::Site;
