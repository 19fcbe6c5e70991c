//! The crossfade rule: hash, schedule, horizons and cuts.
//!
//! Pure: no clock, file, socket, environment or unseeded randomness. Time is an argument.
//!
//! | module | holds |
//! |---|---|
//! | `id`, `time`, `weight`, `window` | ids, moments, shares of traces, the three distances |
//! | `schedule` | what a gateway routes by: environments, stage, cuts |
//! | `rule` | the crossfade rule as a specification |
//! | `decision` | where a span goes in the end: stage, mirror, protection |
//! | `router` | the rule compiled for the hot path |
//! | `directive`, `follower`, `conductor` | announce, acknowledge, commit; horizons and fences |
//! | `sync` | the protocol between gateway and control |
//! | `locate` | where a trace is, and which cut decided |

mod conductor;
mod decision;
mod destinations;
mod directive;
mod follower;
mod id;
mod locate;
mod router;
mod rule;
mod schedule;
pub mod sync;
mod text;
#[cfg(test)]
mod theorem;
mod time;
mod weight;
mod window;

pub use conductor::{Conductor, ConductorError, Verdict};
pub use decision::{Decision, Protection, Reason};
pub use destinations::Destinations;
pub use directive::{Ack, Directive};
pub use follower::{Accepted, Follower, Refusal, Saved};
pub use id::{BootId, EnvironmentId, GatewayId, IdError, TraceId};
pub use locate::{Decided, Located, Period, locate, owners};
pub use router::Router;
pub use rule::{Times, demand};
pub use schedule::{Begin, Cut, Generation, Past, Schedule, ScheduleError, Stage};
pub use time::UnixNanos;
pub use weight::{Fraction, Seed, Weight, WeightError, fraction};
pub use window::{Window, WindowError};
