//! State and live inputs to effects.

use crossfade_routing::UnixNanos;

use crate::observed::{DueReport, Effect, Observed};
use crate::state::State;

/// What is to be done now, and why nothing else happens.
#[must_use]
pub fn due(state: &State, observed: &Observed, now: UnixNanos) -> (Vec<Effect>, DueReport) {
    let _ = (state, observed, now);
    (Vec::new(), DueReport::default())
}
