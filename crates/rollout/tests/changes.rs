//! What was planned against changes while nobody looks: a configuration, or where an environment is.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod world;

use std::time::Duration;

use crossfade_rollout::event::Outcome;
use crossfade_rollout::{Command, Phase, rules};
use world::{SPEC, World, digest};

const SECOND: Duration = Duration::from_secs(1);

fn started(spec: &str) -> World {
    let mut world = World::new().told();
    world.start(spec).unwrap();
    world
}

/// The log obeys every rule.
fn told(world: &World) -> String {
    let broken = rules::broken(&world.log);
    assert!(broken.is_empty(), "{broken:#?}\n{}", world.told_story());
    world.told_story()
}

/// Scenario: the control plane is killed after it has looked at the configurations and announced a cut; before it is back,
/// somebody edits green's.
/// Guarantee: the cut does not happen: it is looked again before every cut.
#[test]
fn edited_while_the_control_plane_was_down() {
    for (last, end) in
        [("cut to 10 % announced", Phase::Aborted), ("cut to 100 % announced", Phase::RolledBack)]
    {
        let mut world = started(SPEC);
        world.until(last);
        let cuts = world.cuts();
        world.now_snapshots.insert("green/collector.yaml".to_owned(), digest(77));
        world.kill_control();
        assert_eq!(world.finish(), end, "{last}");
        assert_eq!(world.cuts(), cuts, "nothing was shifted");
        told(&world);
    }
}

/// Scenario: the site's configuration says another host for green, and the control plane starts again with it.
/// Guarantee: what was found out about one host is not held for another: back, or held until it says the old one.
#[test]
fn the_candidate_is_somewhere_else() {
    for (at, end) in [("gate drift looks", Phase::Aborted), ("step 2 begins", Phase::RolledBack)] {
        let mut world = World::new().told();
        world.gates.clear();
        world.start(SPEC).unwrap();
        if end == Phase::RolledBack {
            world.gates = ["drift", "posture", "probe"].map(|gate| (gate.to_owned(), Outcome::Pass)).into();
        }
        world.until(at);
        world.move_green("http://elsewhere:4317");
        world.kill_control();
        assert_eq!(world.finish(), end);
        assert!(
            told(&world).contains("changed since the plan: the address of green"),
            "{}",
            world.told_story()
        );
    }
    let mut world = started(&format!("{SPEC}\non_failure: hold\n"));
    world.until("step 2 begins");
    world.move_green("http://elsewhere:4317");
    world.kill_control();
    world.run(SECOND * 60);
    assert!(world.waits().contains("paused by configurations that changed"), "{}", world.waits());
    world.command(Command::Resume { rollout: None }).unwrap();
    world.run(SECOND * 60);
    assert!(world.waits().contains("paused by configurations that changed"), "{}", world.waits());
    world.move_green("http://green:4317");
    world.kill_control();
    world.command(Command::Resume { rollout: None }).unwrap();
    assert_eq!(world.finish(), Phase::Finalized);
    told(&world);
}

/// Scenario: a plan was made, and then the site's configuration says another host.
/// Guarantee: the plan is stale, whatever its digests say.
#[test]
fn a_plan_for_another_host() {
    let mut world = World::new().told();
    let plan = world.plan(world::spec(SPEC));
    world.move_green("http://elsewhere:4317");
    let refused = world.start_plan(plan).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the plan is stale: otlp_endpoint of green was http://green:4317 when it was made and is http://elsewhere:4317 now; plan again"
    );
}
