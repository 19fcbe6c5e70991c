//! Simulated environments.
pub mod clock;
pub mod environment;
pub mod measure;
pub mod traffic;
mod wire;
