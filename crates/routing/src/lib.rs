//! The crossfade rule: which of two environments a span goes to while traces move from one to the other.
//!
//! What it is: the hash of a trace id, the schedule of cuts, the rule as a specification ([`demand`]) and compiled
//! ([`Router`]), the two state machines that keep gateways and control in step ([`Follower`], [`Conductor`]), the messages
//! between them ([`sync`]), and the way back from a trace to its owner ([`locate()`]).
//!
//! What it is not: it reads no clock, file, socket or environment, and draws no random number. Time is an argument. It does
//! not know whether a span was delivered.
//!
//! A span of a trace at `u`, with start `s` and end `e`, that arrives at `a`, goes to
//!
//! ```text
//! both                                                    unless 0 <= a - e <= skew - gamma   (an untrusted clock)
//! both                                                    if s + skew >= E                    (the schedule may move on)
//! { colour(u, t) : t in [s - overlap - skew, s + skew] }  else: everywhere its trace could have started
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `id`, `time`, `weight`, `window` | ids and names, moments, shares of traces and the hash, the three distances |
//! | `destinations` | the two sides of a rollout as a set |
//! | `schedule` | what a gateway routes by: environments, stage, committed cuts |
//! | `rule` | the rule as a specification, one method a clause |
//! | `decision` | where a span goes in the end: stage, mirror and protection widen what the rule demands |
//! | `router` | rule and decision, compiled for the hot path |
//! | `directive`, `follower`, `conductor` | announce, acknowledge, commit; horizons and fences |
//! | `sync` | the protocol between a gateway and control |
//! | `locate` | where a trace is, and which cut decided |
//! | `text` | 64-bit integers as decimal strings |
//!
//! The tests in `theorem` let whole worlds of gateways, control, hosts and mishaps run, find nothing torn, and find a torn trace
//! as soon as any one clause of the rule or of the protocol is taken out.
//!
#![doc = include_str!("proof.md")]

mod conductor;
mod decision;
mod destinations;
mod directive;
#[cfg(test)]
mod fixtures;
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
