//! Reading back, over real sockets: the clients of Jaeger and Tempo, the spread of starts, the probe, the load.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod coverage;
mod jaeger;
mod load;
mod probe;
mod suite;
mod support;
mod tempo;
