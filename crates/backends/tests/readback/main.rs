//! Reading back, over real sockets: the Jaeger client, the spread of starts, the probe.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod jaeger;
mod probe;
mod support;
