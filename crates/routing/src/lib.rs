//! The crossfade rule: hash, schedule, horizons and cuts.
