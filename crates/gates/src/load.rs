//! The load gate: whether an environment keeps up.
//!
//! Requests are offered on a schedule that is made before the first is sent, and that waits for no answer: an environment
//! that stalls is not offered less. Latency counts from the time at which a request was *due*, so that what waits behind a stall
//! is counted as long as it waits. What could not be sent in time is counted as unsent.
//!
//! What is sent is made up, under service names of its own ([`SERVICE`], [`PEER_SERVICE`]). The ids follow from the run's
//! seed and time, so that a sample of what was accepted can be read back and compared without keeping it.
//!
//! The objective is asked of the ramp and of the rate held. In the spike slowness is a note; refusing and losing spans fails
//! there too. The highest rate that met the objective is found among the rates of one run - the ramp's steps, the rate held, the
//! spike - and not by a search: the more steps a ramp has, the closer it is.
//!
//! An environment that has several receivers is driven through each in turn, and held to the objective at each.
//!
//! | module | holds |
//! |---|---|
//! | [`profile`] | ramp, hold, spike; the time of every request |
//! | [`ids`] | seed and number to trace and span ids |
//! | [`sample`] | which traces are read back |
//! | [`latency`] | the histogram |
//! | [`measured`] | what became of what was offered |
//! | [`limits`] | what is asked of an environment |
//! | [`judge`](mod@judge) | measured against limits: findings, and the highest rate that met the objective |
//! | `show` | a run as a line, a table, and facts |
//! | `rules` | what each finding means |

pub mod ids;
pub mod judge;
pub mod latency;
pub mod limits;
pub mod measured;
pub mod profile;
mod rules;
pub mod sample;
mod show;
#[cfg(test)]
mod tests;

pub use ids::{Ids, SPANS_PER_TRACE, traces_per_request};
pub use judge::{Highest, Lane, Run, Side, Unmeasured, highest_rate, judge};
pub use latency::Latency;
pub use limits::{Limits, Objective, ObjectiveError};
pub use measured::{Answer, Counts, Found, Incomplete, Measured, ReadBack, Words};
pub use profile::{Arrival, Part, Phase, Profile, Schedule};
pub use rules::RULES;
pub use sample::{Picked, Sample};
pub use show::table;

/// The service that every trace begins in.
pub const SERVICE: &str = "crossfade-load";
/// The service that it calls.
pub const PEER_SERVICE: &str = "crossfade-load-peer";
