//! Sequential tests and bounds that hold at any look.
