//! What a log must never say: one function for each invariant.
//!
//! An auditor folds the log and asks, before each entry, whether the rules allow it in the state that the entries
//! before it make. Nothing here is used to decide anything: `due` and `decide` obey these rules for reasons of their own,
//! and a property test holds the two against each other.

mod fleet;
mod gates;
mod phases;
mod routing;
mod steps;

use crate::event::{Entry, Event};
use crate::evolve::evolve;
use crate::state::State;

/// One invariant.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Stable name.
    pub name: &'static str,
    /// What holds, in one sentence.
    pub holds: &'static str,
    /// What is wrong with an event in the state before it; `None` if nothing is, or if the rule does not concern it.
    check: fn(&State, &Event) -> Option<String>,
}

/// All of them.
pub const RULES: &[Rule] = &[
    rule("genesis", "a log begins with its genesis, and has one", fleet::genesis),
    rule("roster", "gateways join and leave the fleet by their own entries", fleet::roster),
    rule("watermark", "the horizon watermark only grows", fleet::watermark),
    rule("generation", "generations grow by one", routing::generation),
    rule("schedule", "each schedule follows from the one before by what its entry says", routing::schedule),
    rule("acknowledged", "a generation is acknowledged by the whole fleet", routing::acknowledged),
    rule(
        "announced",
        "a cut is announced by its step, after a check of the configurations, on environments where they were",
        routing::announced,
    ),
    rule("committed", "a cut is committed as it was announced", routing::committed),
    rule(
        "promotion",
        "promotion comes from weight 100 %, by acknowledgement of the whole fleet",
        routing::promotion,
    ),
    rule("finalize", "the former active is let go only after the last cut has settled", routing::finalize),
    rule("one_rollout", "one rollout at a time, each with an id of its own", phases::one_rollout),
    rule("phase", "nothing happens that the rollout's phase does not allow", phases::phase),
    rule("paused", "a paused rollout begins nothing", phases::paused),
    rule("abort", "an abort comes before the first cut", phases::abort),
    rule(
        "ledgers",
        "a rollout ends with balanced accounts of every gateway, or a declared gap",
        phases::ledgers,
    ),
    rule("ended", "a rollout ends with the one environment alone that is active then", phases::ended),
    rule("gates", "no candidate is named before every gate has passed, on the record", gates::gates),
    rule(
        "step_gates",
        "no step ends, and nothing goes further, before its gates have passed, on the record",
        gates::in_steps,
    ),
    rule(
        "gate_runs",
        "a gate says that it starts before it says what it found, and counts its runs",
        gates::runs,
    ),
    rule("gate_seed", "a gate that draws its sample says by what", gates::seeds),
    rule(
        "approval",
        "no candidate is named before its approval, or the entry that none is required",
        gates::approval,
    ),
    rule("step_begins", "a step begins in its turn, with the traffic that it describes", steps::begins),
    rule("step_ends", "a step ends by time and a passing verdict, or early on request", steps::ends),
    rule("verdict", "a verdict follows from the counts on the record", steps::verdict),
    rule("window", "the window of a cut has a test of its own", steps::window),
    rule("failure", "a failed verdict is acted on", steps::failure),
    rule("cause", "what stops a rollout is on the record before it does", steps::cause),
];

const fn rule(name: &'static str, holds: &'static str, check: fn(&State, &Event) -> Option<String>) -> Rule {
    Rule { name, holds, check }
}

/// An entry that a rule does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The entry's index.
    pub index: u64,
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
}

/// The rules that `event`, entry number `index`, breaks in the state before it.
pub fn check(before: &State, event: &Event, index: u64) -> Vec<Broken> {
    let broken = |rule: &Rule| Some(Broken { index, rule: rule.name, what: (rule.check)(before, event)? });
    RULES.iter().filter_map(broken).collect()
}

/// The rules that a whole log breaks.
#[must_use]
pub fn broken(entries: &[Entry]) -> Vec<Broken> {
    let mut state = State::default();
    let mut broken = Vec::new();
    for (index, entry) in (0..).zip(entries) {
        broken.extend(check(&state, &entry.event, index));
        state = evolve(state, &entry.event);
    }
    broken
}

/// `what` if it does not hold.
fn unless(holds: bool, what: impl FnOnce() -> String) -> Option<String> {
    if holds { None } else { Some(what()) }
}
