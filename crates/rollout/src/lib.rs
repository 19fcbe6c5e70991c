//! The rollout as pure functions: spec, commands, events, decide, evolve, due.
//!
//! ```text
//!        Command                                         Observed (reports, job results, the conductor's verdict)
//!           |                                                |
//!           v                                                v
//!   decide(&State, ..) -> events | rejection      due(&State, ..) -> effects, and why nothing else happens
//!                           |                                |
//!                           +--------> the log <-------------+  Effect::Record
//!                                         |
//!                          evolve(State, &Event) -> State
//! ```
//!
//! There is no other state than the fold of the log: what must survive a crash is an [`Event`], intents before what they
//! bring about and outcomes after it. Starting up and going on are the same code: fold, then ask [`due`] again and again. An
//! effect may be performed twice without harm, and is asked for until the log says that it happened. Time is an argument.
//!
//! # Phases
//!
//! ```text
//! draft -> preflight -> awaiting approval -> mirroring -> shifting(step) -> promoted -> finalizing -> finalized
//!   |          |                |               |    \        |                |
//!   +----------+----------------+---------------+     +-------+----------------+--> rolling back -> rolled back
//!                        |
//!                        +--> being aborted -> aborted        (before the first cut)
//! ```
//!
//! *Mirroring* begins when a generation names the candidate, *shifting* with the first committed cut, *finalizing* is the
//! point of no return. Weights only grow; every way back is a fence, which a gateway may also let fall by itself. A
//! rollout ends when every boot of a gateway that ever held it has closed its accounts, or a gap is declared.
//!
//! # A cut
//!
//! Configurations digested again (`SnapshotsRetaken`) -> `CutAnnounced` -> the conductor hears acknowledgements, or waits
//! for horizons -> `CutCommitted` with the next generation -> its instant -> `StepStarted`. A pause begins no cut, but
//! completes one that gateways know of. A control plane that did not issue the generation in force issues it anew
//! before it announces anything on top of it.
//!
//! # The analysis
//!
//! [`assess`](mod@assess) judges the counts of the step at every look: a failure acts at once, a pass needs the step's end,
//! nothing missing, and enough requests. The counts are those of the step's generation, from its instant on: while a cut is
//! announced, traffic goes to both environments in a changing ratio, and is judged by the gateways' breakers only. What gateways
//! have counted goes on the record every 30 s and before each verdict, so that a verdict can be computed again from
//! the log ([`rules`]), and so that after a crash the test goes on from there; what was counted in between is a declared
//! gap. When the window of the cut passes, a test of its own begins (`WindowPassed`): the ratio of exposure is another from there.
//!
//! # What this is not
//!
//! It performs nothing: no file, socket, clock or hash is known here. It does not route (that is `routing`), and does
//! not know what a gate compares (that is `gates`).
//!
//! | module | holds |
//! |---|---|
//! | [`spec`] | `rollout.yaml`: types, reading with positions, meaning, JSON Schema |
//! | [`plan`] | the resolved, digested plan, and its outline that the log repeats |
//! | `command`, `decide` | [`Command`], [`Rejection`], [`decide()`] |
//! | [`event`] | [`Event`], [`Entry`]: the log's leaves |
//! | `evolve`, [`state`] | [`evolve()`], [`replay`], [`State`] |
//! | `due`, [`observed`] | [`due()`], [`Observed`], [`Effect`], [`DueReport`] |
//! | [`assess`](mod@assess), [`numbers`] | the analysis; counts and evidence as integers |
//! | [`traffic`] | whether there is enough of it for the verdicts that a plan wants |
//! | [`ending`] | how a rollout ends, and why, in words |
//! | [`rules`] | what a log must never say, one function for each invariant |
//! | [`units`], [`rfc3339`], `words` | ids, digests, shares; times; one line for people |

pub mod assess;
mod command;
mod decide;
mod due;
pub mod ending;
pub mod event;
mod evolve;
pub mod moments;
pub mod numbers;
pub mod observed;
pub mod plan;
pub mod rfc3339;
pub mod rules;
pub mod spec;
pub mod state;
pub mod traffic;
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
