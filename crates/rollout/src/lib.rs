//! The rollout as pure functions: spec, commands, events, decide, evolve, due.
