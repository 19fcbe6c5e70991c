//! Every way in which a rollout can end says why, with the numbers, and which entry of the log says so.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod world;

use std::time::Duration;

use crossfade_rollout::ending::{Ending, EndingCause, EndingKind, EntryNumber};
use crossfade_rollout::event::Outcome;
use crossfade_rollout::{Command, Event};
use crossfade_routing::sync::FenceCause;

use world::{SPEC, World};

fn started(spec: &str) -> World {
    let mut world = World::new();
    world.start(spec).unwrap();
    world
}

/// The end as a status shows it: told by the entry that decided it.
fn ending(world: &World) -> Option<Ending> {
    let decided = world.log.iter().enumerate().rfind(|(_, entry)| entry.event.begins_the_end());
    let said = decided.map(|(index, entry)| (&entry.actor, Some(EntryNumber(index as u64))));
    Ending::of(world.state.rollout.as_ref()?, said)
}

fn check(world: &World, kind: EndingKind, cause: EndingCause, reason: &str) {
    let ending = ending(world).expect("it has ended");
    assert_eq!((ending.kind, ending.cause), (kind, cause), "{ending:?}");
    assert!(ending.reason.contains(reason), "{reason:?} is in {:?}", ending.reason);
    let entry = usize::try_from(ending.entry.expect("it is in the log").0).unwrap();
    assert!(world.log[entry].event.begins_the_end(), "{:?}", world.log[entry]);
}

#[test]
fn a_verdict_has_its_metric_and_its_numbers() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    assert_eq!(ending(&world), None, "it goes on");
    world.weather.to_fails = 0.03;
    world.until("ROLLBACK");
    check(&world, EndingKind::RolledBack, EndingCause::Verdict, "export_errors: candidate failed ");
    let (before, now) = (ending(&world), world.finish());
    assert_eq!((before, now), (ending(&world), crossfade_rollout::Phase::RolledBack), "and it stays so");
}

/// Scenario: the control plane is killed between the verdict that nothing can be said and the rollback.
/// Guarantee: the one that starts next goes back, and says for which verdict.
#[test]
fn a_verdict_before_a_restart_is_told() {
    let mut world = started(SPEC);
    world.weather.requests = 0.5;
    world.until("ROLLBACK");
    let verdict = world.log.iter().rposition(|entry| matches!(entry.event, Event::VerdictReached { .. }));
    world.log.truncate(verdict.unwrap() + 1);
    world.state = crossfade_rollout::replay(world.log.iter().map(|entry| &entry.event));
    world.kill_control();
    world.finish();
    check(&world, EndingKind::RolledBack, EndingCause::Verdict, "no verdict in time");
    check(&world, EndingKind::RolledBack, EndingCause::Verdict, "(found before a restart)");
}

#[test]
fn a_breaker_says_what_it_saw() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    world.trip_breaker(0);
    world.finish();
    check(&world, EndingKind::RolledBack, EndingCause::Fence, "its breaker: 9 of 9 requests unanswered");
}

#[test]
fn a_fence_by_hand_says_whose_hand_it_was() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    world.fence(1, FenceCause::Command { actor: "operator: green is on fire".to_owned() });
    world.finish();
    check(&world, EndingKind::RolledBack, EndingCause::Fence, "gateway gw-2, by operator: green is on fire");
}

#[test]
fn a_command_has_its_actor_and_reason() {
    for (why, told) in
        [("second thoughts", "by operator:1: second thoughts"), ("", "by operator:1, who gave no reason")]
    {
        let mut world = started(SPEC);
        world.until("step 2 begins");
        let actor = "operator:1".parse().unwrap();
        world.command(Command::Rollback { rollout: None, actor, reason: why.to_owned() }).unwrap();
        world.finish();
        check(&world, EndingKind::RolledBack, EndingCause::Command, told);

        let mut world = started(SPEC);
        world.until("step 1 begins");
        world.command(Command::Abort { rollout: None, reason: why.to_owned() }).unwrap();
        world.finish();
        let ended = ending(&world).unwrap();
        let actor = world.log.iter().rfind(|entry| entry.event.begins_the_end()).unwrap().actor.to_string();
        assert_eq!((ended.kind, ended.cause), (EndingKind::Aborted, EndingCause::Command));
        assert!(ended.reason.starts_with(&format!("by {actor}")), "{ended:?}");
    }
}

#[test]
fn changed_configurations_are_named() {
    let mut world = started(SPEC);
    world.run(Duration::from_secs(1));
    world.now_snapshots.insert("green/collector.yaml".to_owned(), world::digest(77));
    world.finish();
    check(
        &world,
        EndingKind::Aborted,
        EndingCause::Snapshots,
        "changed since the plan: green/collector.yaml",
    );
}

#[test]
fn a_gate_says_what_it_found() {
    let mut world = World::new();
    world.gates.insert("drift".to_owned(), Outcome::Fail);
    world.start(SPEC).unwrap();
    world.finish();
    let run = world.state.rollout.as_ref().unwrap().gates.values().find(|run| !run.summary.is_empty());
    let summary = run.unwrap().summary.clone();
    check(&world, EndingKind::Aborted, EndingCause::Gate, &format!("gate drift failed: {summary}"));
}

#[test]
fn a_good_end_is_one_too() {
    let mut world = started(SPEC);
    world.finish();
    check(&world, EndingKind::Finalized, EndingCause::Done, "every step is over");
}

#[test]
fn an_entry_that_waits_for_the_log_has_no_number_yet() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    world.trip_breaker(0);
    world.finish();
    let ending = Ending::of(world.state.rollout.as_ref().unwrap(), None).unwrap();
    assert_eq!(ending.entry, None);
    assert!(ending.reason.contains("9 of 9"), "{ending:?}");
    let json = serde_json::to_value(Ending { entry: Some(EntryNumber(u64::MAX)), ..ending }).unwrap();
    assert_eq!(json["entry"], "18446744073709551615", "64-bit integers are strings");
    assert_eq!(json["kind"], "rolled_back");
}
