//! The control plane: executor, HTTP API, planner.
