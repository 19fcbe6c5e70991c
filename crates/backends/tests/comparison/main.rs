//! Two environments compared over real sockets: parity, history, and how traces are drawn.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod history;
mod parity;
mod sample;
#[path = "../readback/support.rs"]
#[allow(dead_code, reason = "shared with the tests of reading back")]
mod support;
mod world;
