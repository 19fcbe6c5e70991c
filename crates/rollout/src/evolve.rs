//! Events to state.

use crate::event::Event;
use crate::state::{Genesis, State};

/// The state after one more event. Total: an event that the rules forbid is folded all the same, and `rules` says so.
#[must_use]
pub fn evolve(mut state: State, event: &Event) -> State {
    if let Event::Genesis { origin, active, site, at } = event {
        state.genesis = Some(Genesis { origin: origin.clone(), site: *site, at: *at });
        state.active = Some(active.clone());
    }
    state
}

/// The state after all of these events.
#[must_use]
pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    events.into_iter().fold(State::default(), evolve)
}
