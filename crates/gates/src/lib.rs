//! The gates: inputs to findings.
