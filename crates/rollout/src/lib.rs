//! The rollout as pure functions: spec, commands, events, decide, evolve, due.
//!
//! ```text
//!                 Command                            Observed
//!                    |                                   |
//!    State --> decide(..) -> events        State --> due(..) -> effects, and why nothing else happens
//!      ^                        |                        |
//!      +---- evolve(..) <-------+--- append to the log <-+   (Effect::Record)
//! ```

pub mod assess;
mod command;
mod decide;
mod due;
pub mod event;
mod evolve;
pub mod numbers;
pub mod observed;
pub mod plan;
pub mod rfc3339;
pub mod rules;
pub mod spec;
pub mod state;
pub mod units;

mod words;

pub use command::{Command, Rejection};
pub use decide::decide;
pub use due::due;
pub use event::{Entry, Event};
pub use evolve::{evolve, replay};
pub use observed::{Directions, DueReport, Effect, Observed, Waiting};
pub use plan::{Plan, PlanFile};
pub use spec::Spec;
pub use state::{Phase, State};
pub use units::{Actor, Digest, RolloutId};
