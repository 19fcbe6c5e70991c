//! Gates at every moment: what they hold up, what they end, and what a crash, a deadline or somebody's hand makes of them.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod world;

use std::time::Duration;

use crossfade_rollout::event::{AbortReason, Event, Gate, Outcome, RollbackReason};
use crossfade_rollout::observed::LogHealth;
use crossfade_rollout::state::{GateRun, GateStatus};
use crossfade_rollout::{Command, Phase, rules};
use world::{SPEC, World};

/// Parity and coverage at the end of every mirror and weight step, posture again and again.
const GATES: &str = "
gates:
  posture: { every: 10s }
  parity: { deadline: 40s }
  coverage: {}
";

fn world(more: &str) -> World {
    let mut world = World::new().told();
    for gate in ["posture", "parity", "coverage"] {
        world.gates.insert(gate.to_owned(), Outcome::Pass);
    }
    world.start(&format!("{SPEC}{GATES}{more}")).unwrap();
    world
}

fn says(world: &mut World, gate: &str, outcome: Outcome) {
    world.gates.insert(gate.to_owned(), outcome);
}

fn run(world: &World, step: Option<u32>, gate: Gate) -> GateRun {
    world.state.rollout.as_ref().unwrap().gates_at(step)[&gate].clone()
}

fn obeys(world: &World) {
    assert_eq!(rules::broken(&world.log), [], "{}", world.told_story());
}

fn rolled_back_by(world: &World) -> Option<Gate> {
    match world.state.rollout.as_ref()?.rollback.as_ref()? {
        RollbackReason::Gate { gate, .. } => Some(*gate),
        _ => None,
    }
}

#[test]
fn a_rollout_with_gates_at_every_moment() {
    let mut world = world("");
    assert_eq!(world.finish(), Phase::Finalized);
    obeys(&world);
    insta::assert_snapshot!(world.told_story());
    // In a step of 30 s, every 10 s.
    assert_eq!(run(&world, Some(0), Gate::Posture).run, 3);
    assert_eq!(run(&world, Some(0), Gate::Posture).missed, 0);
    assert_eq!(run(&world, Some(1), Gate::Parity).run, 1);
}

/// Scenario: the step's time is up, and a gate still looks.
/// Guarantee: no cut before it has passed, not even for somebody in a hurry.
#[test]
fn a_step_waits_for_its_gates() {
    for hurried in [false, true] {
        let mut world = world("");
        world.gates.remove("parity");
        world.until("step 1 begins");
        if hurried {
            world.command(Command::Promote { rollout: None, full: true }).unwrap();
        }
        world.until("gate parity looks in step 1");
        world.run(Duration::from_secs(20));
        assert_eq!((world.phase(), world.cuts()), (Some(Phase::Mirroring), 0));
        assert!(world.waits().contains("gate parity is looking"), "{}", world.waits());
        says(&mut world, "parity", Outcome::Pass);
        assert_eq!(world.finish(), Phase::Finalized);
        obeys(&world);
    }
}

/// Guarantee: what is asked about traffic after promotion has had its time when it is asked, and is asked although somebody is
/// in a hurry, or no step after promotion takes time.
#[test]
fn traffic_is_looked_at_when_there_has_been_some() {
    let cases = [("", false, 60), ("", true, 0), ("  - bake: { duration: 60s }\n", false, 0)];
    for (left_out, hurried, secs) in cases {
        let mut world = World::new().told();
        for gate in ["parity", "coverage"] {
            world.gates.insert(gate.to_owned(), Outcome::Pass);
        }
        let gates = "gates: { parity: { when: [promoted] }, coverage: { when: [promoted] } }\n";
        world.start(&format!("{}{gates}", SPEC.replace(left_out, ""))).unwrap();
        if hurried {
            world.until("step 1 begins");
            world.command(Command::Promote { rollout: None, full: true }).unwrap();
        }
        world.until("PROMOTED with");
        let promoted = world.now;
        world.gates.remove("coverage");
        world.until("gate coverage looks in step 6");
        let waited = world.now.since(promoted).unwrap().as_secs();
        assert!((secs..=secs + 2).contains(&waited), "{waited}: {}", world.told_story());
        let rollout = world.state.rollout.as_ref().unwrap();
        let began = rollout.running.as_ref().map_or(rollout.last_cut.unwrap().at, |running| running.at);
        assert_eq!(rollout.traffic_since(), Some(began));
        says(&mut world, "coverage", Outcome::Pass);
        assert_eq!(world.finish(), Phase::Finalized);
        obeys(&world);
    }
}

/// Guarantee: since when the candidate is mirrored to is known while it is, though no schedule says so: by the last mirror step.
#[test]
fn a_mirror_has_a_beginning() {
    let mirrors = "  - mirror: { percent: 5, duration: 30s }\n  - mirror: { percent: 20, duration: 30s }\n  - pause: { duration: 10s }\n";
    let mut world = World::new().told();
    world.start(&SPEC.replace("  - mirror: { percent: 5, duration: 30s }\n", mirrors)).unwrap();
    let since = |world: &World| world.state.rollout.as_ref().unwrap().mirrored_since();
    assert_eq!(since(&world), None);
    let began = |world: &World, wanted: u32| {
        let mut began = world.log.iter().filter_map(|entry| match &entry.event {
            Event::StepStarted { step, at, .. } if *step == wanted => Some(*at),
            _ => None,
        });
        began.next().unwrap()
    };
    for (told, of) in [("step 1 begins", 0), ("step 2 begins", 1), ("step 3 begins", 1)] {
        world.until(told);
        assert_eq!(since(&world), Some(began(&world, of)), "{told}");
    }
}

#[test]
fn a_gate_that_fails_before_the_first_cut_ends_the_rollout() {
    let mut world = world("");
    says(&mut world, "coverage", Outcome::Fail);
    assert_eq!(world.finish(), Phase::Aborted);
    let abort = world.state.rollout.as_ref().unwrap().abort.clone();
    assert_eq!(abort, Some(AbortReason::Gate { gate: Gate::Coverage, outcome: Outcome::Fail }));
    obeys(&world);
}

#[test]
fn a_gate_that_fails_after_it_goes_back() {
    for (gate, step) in [("parity@1", Gate::Parity), ("coverage@3", Gate::Coverage), ("probe@5", Gate::Probe)]
    {
        for outcome in [Outcome::Fail, Outcome::NoVerdict] {
            let mut world = world("");
            says(&mut world, gate, outcome);
            assert_eq!(world.finish(), Phase::RolledBack, "{gate}");
            assert_eq!(rolled_back_by(&world), Some(step));
            obeys(&world);
        }
    }
}

/// Scenario: somebody weakens the candidate in the middle of a step.
/// Guarantee: it goes back when that is seen, not at the step's end.
#[test]
fn a_regression_stops_the_rollout_within_the_step() {
    let mut world = world("");
    world.until("step 2 begins");
    world.run(Duration::from_secs(5));
    says(&mut world, "posture", Outcome::Fail);
    let left = world.now;
    assert_eq!(world.finish(), Phase::RolledBack);
    assert_eq!(rolled_back_by(&world), Some(Gate::Posture));
    let ended = world.state.rollout.as_ref().unwrap().steps.last().unwrap().ended;
    assert!(ended <= left.plus(Duration::from_secs(6)), "{}", world.told_story());
    obeys(&world);
}

#[test]
fn on_hold_it_waits_for_somebody_and_looks_again() {
    let mut world = world("on_failure: hold\n");
    says(&mut world, "parity@1", Outcome::Fail);
    world.until("paused by gate parity");
    world.run(Duration::from_secs(60));
    assert_eq!(world.weight().to_string(), "10 %");
    says(&mut world, "parity@1", Outcome::Pass);
    world.command(Command::Resume { rollout: None }).unwrap();
    assert_eq!(world.finish(), Phase::Finalized);
    let parity = run(&world, Some(1), Gate::Parity);
    assert_eq!((parity.run, parity.missed), (2, 1), "reruns are counted");
    obeys(&world);
}

/// Scenario: a gate hangs.
/// Guarantee: at its deadline it has no verdict, and that never passes.
#[test]
fn a_gate_that_hangs_has_no_verdict() {
    let mut world = world("");
    world.gates.remove("parity");
    world.until("gate parity looks in step 1");
    let began = world.now;
    assert_eq!(world.finish(), Phase::Aborted);
    assert!(world.now >= began.plus(Duration::from_secs(40)));
    let parity = run(&world, Some(0), Gate::Parity);
    assert_eq!(parity.status, GateStatus::Done(Outcome::NoVerdict));
    assert_eq!(parity.summary, "not done within its deadline of 40s");
    obeys(&world);
}

/// Scenario: two gates look side by side; one fails while the other is at it.
/// Guarantee: the rollout ends at once, the other is stopped, and it counts as no verdict.
#[test]
fn a_gate_that_ends_the_rollout_does_not_wait_for_others() {
    let mut world = world("");
    world.gates.remove("coverage");
    world.gates_take = Duration::from_secs(3);
    says(&mut world, "parity@1", Outcome::Fail);
    says(&mut world, "coverage@0", Outcome::Pass);
    assert_eq!(world.finish(), Phase::RolledBack);
    assert_eq!(rolled_back_by(&world), Some(Gate::Parity));
    assert_eq!(world.cancelled, [(Gate::Coverage, Some(1), 1)]);
    let coverage = run(&world, Some(1), Gate::Coverage);
    assert_eq!(coverage.status, GateStatus::Done(Outcome::NoVerdict));
    assert!(coverage.summary.starts_with("cancelled"), "{}", coverage.summary);
    obeys(&world);
}

/// Guarantee: a way back never waits for a gate.
#[test]
fn a_way_back_does_not_wait_for_gates() {
    for by in ["command", "breaker", "analysis"] {
        let mut world = world("");
        world.until("step 2 begins");
        world.gates.remove("coverage");
        world.until("gate coverage looks in step 2");
        match by {
            "command" => {
                let (actor, reason) = ("operator:1".parse().unwrap(), "so be it".to_owned());
                world.command(Command::Rollback { rollout: None, actor, reason }).unwrap();
            }
            "breaker" => world.trip_breaker(0),
            _ => world.weather.to_fails = 0.5,
        }
        assert_eq!(world.finish(), Phase::RolledBack, "{by}");
        assert_eq!(world.cancelled, [(Gate::Coverage, Some(1), 1)], "{by}");
        obeys(&world);
    }
}

#[test]
fn what_was_under_way_when_the_control_plane_died_is_run_again() {
    for place in ["gate posture looks", "gate parity looks in step 2", "gate probe looks in step 6"] {
        let mut world = world("");
        world.gates_take = Duration::from_secs(4);
        world.until(place);
        world.tick();
        world.kill_control();
        assert_eq!(world.finish(), Phase::Finalized, "{place}");
        assert!(world.story.iter().any(|line| line.contains(place) && line.contains("attempt 2")), "{place}");
        obeys(&world);
    }
}

/// Scenario: a gate fails while the disk is full.
/// Guarantee: where the candidate owns traces it goes back at once, by the emergency file.
#[test]
fn a_full_disk_does_not_keep_a_gate_from_going_back() {
    let mut world = world("");
    world.until("step 2 begins");
    world.run(Duration::from_secs(2));
    world.gates_take = Duration::from_secs(5);
    world.run(Duration::from_secs(10));
    says(&mut world, "posture", Outcome::Fail);
    world.health = LogHealth::Unwritable { detail: "no space".to_owned() };
    world.run(Duration::from_secs(10));
    assert_eq!(world.phase(), Some(Phase::RollingBack), "{}", world.told_story());
    world.mend_log();
    assert_eq!(world.finish(), Phase::RolledBack);
    obeys(&world);
}

/// Guarantee: a candidate that a reading gate refuses is not written to.
#[test]
fn gates_that_write_wait_for_those_that_read() {
    let mut world = world("");
    world.gates_take = Duration::from_secs(2);
    let line = |world: &World, text: &str| world.story.iter().position(|line| line.contains(text)).unwrap();
    assert_eq!(world.finish(), Phase::Finalized);
    let starts = ["gate drift looks", "gate posture looks"].map(|text| line(&world, text));
    let probe = line(&world, "gate probe looks");
    let found = ["gate drift: pass", "gate posture: pass"].map(|text| line(&world, text));
    assert!(starts.iter().all(|start| found.iter().all(|found| start < found)), "side by side");
    assert!(found.iter().all(|found| *found < probe));
}

/// Scenario: somebody pauses, and a gate fails meanwhile.
/// Guarantee: where the candidate owns traces it goes back, paused or not; before, it stands still until it is resumed.
#[test]
fn a_gate_that_fails_while_paused() {
    let mut after = world("");
    after.until("step 2 begins");
    after.gates_take = Duration::from_secs(5);
    after.run(Duration::from_secs(1));
    says(&mut after, "posture", Outcome::Fail);
    after.run(Duration::from_secs(9));
    after.command(Command::Pause { rollout: None }).unwrap();
    assert_eq!(after.finish(), Phase::RolledBack, "{}", after.told_story());
    obeys(&after);

    let mut before = world("");
    before.gates_take = Duration::from_secs(5);
    says(&mut before, "parity", Outcome::Fail);
    before.until("gate parity looks in step 1");
    before.command(Command::Pause { rollout: None }).unwrap();
    before.run(Duration::from_secs(20));
    assert_eq!(before.phase(), Some(Phase::Mirroring));
    assert_eq!(run(&before, Some(0), Gate::Parity).status, GateStatus::Done(Outcome::Fail));
    before.command(Command::Resume { rollout: None }).unwrap();
    assert_eq!(before.finish(), Phase::Aborted);
    obeys(&before);
}

/// What the log says of a gate that went back is what made it go back.
#[test]
fn a_log_that_belies_its_gates_breaks_a_rule() {
    let mut world = world("");
    says(&mut world, "parity@1", Outcome::Fail);
    world.finish();
    let broken = |change: fn(&mut Event) -> bool| {
        let mut log = world.log.clone();
        assert!(log.iter_mut().any(|entry| change(&mut entry.event)), "nothing to change");
        rules::broken(&log).into_iter().map(|broken| broken.rule).collect::<Vec<_>>()
    };
    let passed = broken(|event| match event {
        Event::GateFinished { outcome: outcome @ Outcome::Fail, .. } => {
            *outcome = Outcome::Pass;
            true
        }
        _ => false,
    });
    assert!(passed.contains(&"cause"), "{passed:?}");
    let planned_less = broken(|event| match event {
        Event::RolloutDrafted { outline, .. } => {
            outline.later_gates.clear();
            true
        }
        _ => false,
    });
    assert!(planned_less.contains(&"gate_runs"), "{planned_less:?}");
    let failed_before = broken(|event| match event {
        Event::GateFinished { step: Some(0), outcome, .. } => {
            *outcome = Outcome::Fail;
            true
        }
        _ => false,
    });
    assert!(failed_before.contains(&"failure"), "{failed_before:?}");
}

/// Guarantee: history that is kept where it is is looked at again once the promise has begun, as often as the spec says.
#[test]
fn a_promise_is_looked_at_after_it_has_begun() {
    let looks = |history: &str| {
        let mut world = World::new().told();
        for gate in ["parity", "coverage", "history"] {
            world.gates.insert(gate.to_owned(), Outcome::Pass);
        }
        world.start(&format!("{SPEC}gates: {{ history: {history} }}\n")).unwrap();
        assert_eq!(world.finish(), Phase::Finalized);
        obeys(&world);
        let rollout = world.state.rollout.as_ref().unwrap();
        [None, Some(5)].map(|step| rollout.gates_at(step).get(&Gate::History).map(|run| run.run))
    };
    assert_eq!(looks("{}"), [Some(1), None]);
    assert_eq!(looks("{ kept_for: 90d }"), [Some(1), Some(1)]);
    assert_eq!(looks("{ kept_for: 90d, every: 15s }"), [Some(1), Some(4)]);
    assert_eq!(looks("{ kept_for: 90d, when: [preflight] }"), [Some(1), None]);
}
