//! The test of failures while the window of a cut is open: most traffic goes to both environments then, and only the weight's
//! share to the candidate afterwards.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod world;

use std::time::Duration;

use crossfade_rollout::event::Event;
use crossfade_rollout::{Phase, rules};
use world::{SPEC, World};

const SECOND: Duration = Duration::from_secs(1);

/// A world whose traffic straddles every cut, in the step of 10 %. The window is open for 14 s.
fn at_ten_percent() -> World {
    let mut world = World::new().told();
    world.weather.straddles = 1.0;
    world.start(&SPEC.replace("percent: 10, duration: 30s", "percent: 10, duration: 120s")).unwrap();
    world.until("step 2 begins");
    world
}

/// Shares of requests that fail for so long, and none after it.
fn burst(world: &mut World, from_fails: f64, to_fails: f64, lasts: Duration) {
    (world.weather.from_fails, world.weather.to_fails) = (from_fails, to_fails);
    world.run(lasts);
    (world.weather.from_fails, world.weather.to_fails) = (0.0, 0.0);
}

fn ends(mut world: World) -> Phase {
    let end = world.finish();
    assert_eq!(rules::broken(&world.log), [], "{}", world.told_story());
    let replayed = crossfade_rollout::replay(world.log.iter().map(|entry| &entry.event));
    assert_eq!(replayed, world.state);
    end
}

/// Scenario: while the window is open, something that both environments share lets a fifth of all requests fail, whoever
/// they go to. Afterwards the candidate gets a tenth of the requests, and nothing fails.
/// Guarantee: the candidate is not blamed for having had its requests when they failed; not after a restart either.
#[test]
fn a_burst_that_both_share_is_not_the_candidates() {
    for restart in [false, true] {
        let mut world = at_ten_percent();
        burst(&mut world, 0.2, 0.2, SECOND * 5);
        if restart {
            world.run(SECOND * 20);
            world.kill_control();
        }
        assert_eq!(ends(world), Phase::Finalized);
    }
}

/// Scenario: the candidate alone fails, while the window is open, or after it, or a little in both.
/// Guarantee: it is found.
#[test]
fn a_candidate_that_fails_is_found_in_either_part() {
    let mut early = at_ten_percent();
    burst(&mut early, 0.0, 0.2, SECOND * 5);
    assert_eq!(ends(early), Phase::RolledBack);

    let mut late = at_ten_percent();
    late.run(SECOND * 30);
    burst(&mut late, 0.0, 0.2, SECOND * 20);
    assert_eq!(ends(late), Phase::RolledBack);

    // Six failures before the end of the window, and two after it: neither is enough by itself, and evidence is carried.
    let alone = |in_window: bool, after: bool| {
        let mut world = at_ten_percent();
        let share = if in_window { 0.0076 } else { 0.0 };
        burst(&mut world, 0.0, share, SECOND * 4);
        world.run(SECOND * 20);
        burst(&mut world, 0.0, if after { 0.04 } else { 0.0 }, SECOND * 3);
        ends(world)
    };
    assert_eq!(alone(true, false), Phase::Finalized);
    assert_eq!(alone(false, true), Phase::Finalized);
    assert_eq!(alone(true, true), Phase::RolledBack);
}

/// Scenario: a step ends before the window does; the pause after it goes on.
/// Guarantee: the end of the window is on the record once, in the step in which it comes, with the counts up to then.
#[test]
fn the_windows_end_is_on_the_record_once_for_each_cut() {
    let mut world = World::new().told();
    world.start(&SPEC.replace("percent: 10, duration: 30s", "percent: 10, duration: 5s")).unwrap();
    world.weather.requests = 1_000.0;
    assert_eq!(world.finish(), Phase::Finalized);
    let passed = world.log.iter().enumerate().filter_map(|(index, entry)| match &entry.event {
        Event::WindowPassed { step, .. } => Some((index, *step)),
        _ => None,
    });
    let passed: Vec<(usize, u32)> = passed.collect();
    assert_eq!(passed.iter().map(|(_, step)| *step).collect::<Vec<_>>(), [2, 3]);
    for (index, _) in passed {
        let counts = &world.log[index - 2..index];
        assert!(counts.iter().all(|entry| matches!(entry.event, Event::AnalysisRecorded { .. })));
        let mut without = world.log.clone();
        without.remove(index);
        assert!(rules::broken(&without).iter().any(|broken| broken.rule == "window"), "it is missed");
    }
}
