//! Simulated environments with faults, traffic and scenarios.
