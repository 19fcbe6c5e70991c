//! Commands to events.

use crossfade_routing::UnixNanos;

use crate::command::{Command, Rejection};
use crate::event::Event;
use crate::state::State;

/// What a command makes happen, or why not. Pure: nothing has happened until the events are durable.
///
/// # Errors
/// A [`Rejection`] says why the command is refused; the state is as it was.
pub fn decide(state: &State, command: Command, now: UnixNanos) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::Initialise { origin, active, site } if state.genesis.is_none() => {
            Ok(vec![Event::Genesis { origin, active, site, at: now }])
        }
        Command::Initialise { .. } => Err(Rejection::AlreadyInitialised),
        _ => Err(Rejection::NoRollout),
    }
}
