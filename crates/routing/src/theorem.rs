//! The theorem, by simulation: *no trace is torn, every owner is whole*, and each clause is needed for it.
//!
//! Scenario (of every test here): one to three gateways, and newcomers; control; messages late, lost or never; gateways and
//! control that die and come back with what they wrote; their clocks off by up to gamma at each reading; hosts whose
//! clocks are off by up to sixty skews (half an hour for 30 seconds), within the theorem's one proviso; spans in any
//! order, alone or in batches, late, sent again, with zero times or ends before their starts.
//!
//! Guarantee: each time a gateway takes a span, the rule sends it to the owner of its trace: to `colour(u, R)`, where R is
//! when the root truly started, by the cuts that were committed in the end.

mod clauses;
mod rng;
mod scenario;
mod traffic;
mod world;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::Destinations;
use clauses::Missing;
use scenario::{Scenario, scenarios};
use world::{Tally, World, run};

/// What went wrong in a world, if anything did.
fn counterexample(world: &World<'_>) -> Option<String> {
    if let Some(arrival) = world.unowned() {
        let trace = &world.traces[arrival.trace];
        let owner = world.owner(trace);
        return Some(format!("{arrival:?} lacks its owner {owner}; {trace:#?}; {:#?}", world.schedule()));
    }
    world.torn().map(|trace| format!("torn: {:#?}", world.traces[trace]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_trace_is_torn_and_every_owner_is_whole(scenario in scenarios()) {
        let world = run(&scenario, Missing::Nothing);
        let wrong = counterexample(&world);
        prop_assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    }
}

/// Scenarios that are the same each time.
fn seeded(count: usize) -> impl Iterator<Item = Scenario> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    (0..count).map(move |_| scenarios().new_tree(&mut runner).expect("a scenario").current())
}

#[test]
fn each_clause_taken_out_tears_a_trace() {
    const BUDGET: usize = 2_000;
    for missing in Missing::EACH {
        let found = seeded(BUDGET).position(|scenario| counterexample(&run(&scenario, missing)).is_some());
        assert!(found.is_some(), "nothing was torn in {BUDGET} worlds without {missing:?}");
    }
}

/// The worlds are the same each time, or a failure could not be looked into.
#[test]
fn a_world_runs_alike_every_time() {
    for scenario in seeded(5) {
        let (once, twice) = (run(&scenario, Missing::Nothing), run(&scenario, Missing::Nothing));
        assert_eq!(once.arrivals, twice.arrivals);
        assert_eq!(once.tally, twice.tally);
    }
}

/// The worlds are not empty: what the theorem is about happens in them, often.
#[test]
fn the_worlds_are_full_of_trouble() {
    let mut tally = Tally::default();
    let (mut to, mut both, mut fenced) = (0, 0, 0);
    for scenario in seeded(100) {
        let world = run(&scenario, Missing::Nothing);
        tally += world.tally;
        fenced += usize::from(world.is_fenced());
        to += world.arrivals.iter().filter(|arrival| arrival.rule == Destinations::TO).count();
        both += world.arrivals.iter().filter(|arrival| arrival.rule == Destinations::BOTH).count();
    }
    assert!(tally.cuts > 100, "{tally:?}");
    assert!(tally.cuts_past_the_silent > 40, "{tally:?}");
    assert!(tally.reannouncements > 100, "{tally:?}");
    assert!(tally.restarts > 80, "{tally:?}");
    assert!(fenced > 3, "{fenced} fenced worlds");
    assert!(to > 1_000 && both > 1_000, "{to} spans to the candidate alone, {both} to both");
}
