//! Whatever people and misfortune do, in any order: the invariants hold, and the log is all there is.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod world;

use std::time::Duration;

use crossfade_rollout::event::Outcome;
use crossfade_rollout::observed::LogHealth;
use crossfade_rollout::{Command, Phase, rules};
use crossfade_routing::{GatewayId, Weight};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use world::{SPEC, World, digest, gateway_id};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Act {
    Time(u64),
    Start,
    Pause,
    Resume,
    Promote { full: bool },
    Rollback,
    Abort,
    KillControl,
    KillAll,
    RestartAll,
    KillGateway(usize),
    Silence(usize),
    Speak(usize),
    Breaker(usize),
    Strike(usize),
    Roster(usize),
    CandidateFails(bool),
    Sheds(bool),
    LogFull,
    LogMended,
    EditConfig,
    RestoreConfig,
    EditBeforeTheCut,
    EditSite,
    RestoreSite,
    GateSays(usize, Outcome),
    GatesTake(u64),
}

/// The gates of the spec: in preflight, in each step, again and again, after promotion.
const GATES: [&str; 5] = ["drift", "probe", "posture", "parity", "coverage"];

const GATED: &str =
    "gates: { posture: { every: 10s }, parity: { deadline: 30s }, coverage: { when: [promoted] } }\n";

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![3 => Just(Outcome::Pass), 1 => Just(Outcome::Fail), 1 => Just(Outcome::NoVerdict)]
}

fn gated() -> String {
    format!("{SPEC}{GATED}")
}

fn act() -> impl Strategy<Value = Act> {
    let gateway = || 0_usize..2;
    prop_oneof![
        12 => (1_u64..60).prop_map(Act::Time),
        2 => Just(Act::Start),
        1 => Just(Act::Pause),
        2 => Just(Act::Resume),
        2 => any::<bool>().prop_map(|full| Act::Promote { full }),
        1 => Just(Act::Rollback),
        1 => Just(Act::Abort),
        1 => Just(Act::KillControl),
        1 => Just(Act::KillAll),
        1 => Just(Act::RestartAll),
        1 => gateway().prop_map(Act::KillGateway),
        1 => gateway().prop_map(Act::Silence),
        1 => gateway().prop_map(Act::Speak),
        1 => gateway().prop_map(Act::Breaker),
        1 => gateway().prop_map(Act::Strike),
        1 => gateway().prop_map(Act::Roster),
        1 => any::<bool>().prop_map(Act::CandidateFails),
        1 => any::<bool>().prop_map(Act::Sheds),
        1 => Just(Act::LogFull),
        2 => Just(Act::LogMended),
        1 => Just(Act::EditConfig),
        1 => Just(Act::RestoreConfig),
        1 => Just(Act::EditBeforeTheCut),
        1 => Just(Act::EditSite),
        1 => Just(Act::RestoreSite),
        2 => (0..GATES.len(), outcome()).prop_map(|(gate, says)| Act::GateSays(gate, says)),
        1 => (0_u64..60).prop_map(Act::GatesTake),
    ]
}

/// A refusal is an answer like any other.
fn perform(world: &mut World, act: &Act) {
    let id = |index: usize| -> GatewayId { gateway_id(["gw-1", "gw-2"][index]) };
    let full = world.health != LogHealth::Writable;
    let command = match act {
        Act::Time(secs) => return world.run(Duration::from_secs(*secs)),
        Act::Start => {
            let _ = world.start(&gated());
            return;
        }
        Act::Pause => Command::Pause { rollout: None },
        Act::Resume => Command::Resume { rollout: None },
        Act::Promote { full } => Command::Promote { rollout: None, full: *full },
        Act::Rollback => {
            let (actor, reason) = ("operator:1".parse().unwrap(), "so be it".to_owned());
            Command::Rollback { rollout: None, actor, reason }
        }
        Act::Abort => Command::Abort { rollout: None, reason: "so be it".to_owned() },
        Act::Strike(index) => Command::Strike { gateway: id(*index), reason: "so be it".to_owned() },
        Act::Roster(index) => Command::Roster { gateway: id(*index) },
        // A process that is killed while the log is full starts when it has room again.
        Act::KillControl if !full => return world.kill_control(),
        Act::KillAll if !full => return world.kill_all(),
        Act::RestartAll if !full => return world.restart_all(),
        Act::KillControl | Act::KillAll | Act::RestartAll => return,
        Act::KillGateway(index) => return world.kill_gateway(*index),
        Act::Silence(index) => return world.gateways[*index].silent = true,
        Act::Speak(index) => return world.gateways[*index].silent = false,
        Act::Breaker(index) => return world.trip_breaker(*index),
        Act::CandidateFails(fails) => return world.weather.to_fails = if *fails { 0.2 } else { 0.0 },
        Act::Sheds(sheds) => return world.weather.shed = if *sheds { 1.0 } else { 0.0 },
        Act::LogFull => return world.health = LogHealth::Unwritable { detail: "no space".to_owned() },
        Act::LogMended if full => return world.mend_log(),
        Act::LogMended => return,
        Act::EditConfig => {
            world.now_snapshots.insert("green/collector.yaml".to_owned(), digest(77));
            return;
        }
        Act::RestoreConfig => {
            world.now_snapshots.insert("green/collector.yaml".to_owned(), digest(1));
            return;
        }
        Act::EditBeforeTheCut if !full => return edit_before_the_cut(world),
        Act::EditBeforeTheCut => return,
        Act::EditSite => return world.move_green("http://elsewhere:4317"),
        Act::RestoreSite => return world.move_green("http://green:4317"),
        Act::GateSays(gate, outcome) => {
            world.gates.insert(GATES[*gate].to_owned(), *outcome);
            return;
        }
        Act::GatesTake(secs) => return world.gates_take = Duration::from_secs(*secs),
    };
    let _ = world.command(command);
}

/// `kill -9` while a cut is announced, and a configuration is edited before the control plane is back.
fn edit_before_the_cut(world: &mut World) {
    for _ in 0..200 {
        if world.state.current().is_some_and(|rollout| rollout.cut.is_some()) {
            world.now_snapshots.insert("green/collector.yaml".to_owned(), digest(77));
            return world.kill_control();
        }
        world.tick();
    }
}

/// What holds at any moment.
fn check(world: &World, before: &Seen) -> Result<(), TestCaseError> {
    let now = Seen::of(world);
    // Weights only grow within a rollout, and once fenced nothing is shifted any more.
    if before.rollout == now.rollout {
        prop_assert!(now.cut >= before.cut, "weights only grow");
        if matches!(
            before.phase,
            Some(Phase::RollingBack | Phase::RolledBack | Phase::Aborted | Phase::Finalized)
        ) {
            prop_assert_eq!(before.cut, now.cut, "nothing shifts after the end began");
        }
    }
    if let Some(phase) = before.phase.filter(|phase| phase.is_final() && before.rollout == now.rollout) {
        prop_assert_eq!(now.phase, Some(phase), "the end is the end");
    }
    prop_assert!(now.past >= before.past);
    // The state is the fold of the log; while the log is full, of the emergency file after it.
    let entries = world.log.iter().chain(&world.emergency);
    let replayed = crossfade_rollout::replay(entries.map(|entry| &entry.event));
    prop_assert!(replayed == world.state, "replay differs");
    Ok(())
}

#[derive(Clone, Debug, PartialEq)]
struct Seen {
    rollout: Option<String>,
    phase: Option<Phase>,
    cut: Weight,
    past: usize,
}

impl Seen {
    fn of(world: &World) -> Self {
        let rollout = world.state.rollout.as_ref();
        Self {
            rollout: rollout.map(|rollout| rollout.id.to_string()),
            phase: rollout.map(|rollout| rollout.phase),
            cut: rollout.and_then(|rollout| rollout.last_cut).map_or(Weight::ZERO, |cut| cut.weight),
            past: world.state.past.len(),
        }
    }
}

/// With everything well again, whatever was begun comes to an end.
fn comes_to_an_end(world: &mut World) -> Result<(), TestCaseError> {
    perform(world, &Act::LogMended);
    for index in 0..2 {
        perform(world, &Act::Speak(index));
        perform(world, &Act::Roster(index));
    }
    for act in [
        Act::CandidateFails(false),
        Act::Sheds(false),
        Act::RestoreConfig,
        Act::RestoreSite,
        Act::KillControl,
        Act::GatesTake(0),
    ] {
        perform(world, &act);
    }
    (0..GATES.len()).for_each(|gate| perform(world, &Act::GateSays(gate, Outcome::Pass)));
    for _ in 0..20 {
        perform(world, &Act::Time(60));
        perform(world, &Act::Resume);
        if world.state.current().is_none() {
            return Ok(());
        }
    }
    Err(TestCaseError::fail(format!("no end; {}\n{}", world.waits(), world.told_story())))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        max_shrink_iters: 200,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/properties.proptest-regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens(acts in prop::collection::vec(act(), 1..40), hold in any::<bool>()) {
        let mut world = World::new().told();
        (0..GATES.len()).for_each(|gate| perform(&mut world, &Act::GateSays(gate, Outcome::Pass)));
        let spec = if hold { format!("{}on_failure: hold\n", gated()) } else { gated() };
        world.start(&spec).unwrap();
        for act in &acts {
            let before = Seen::of(&world);
            world.say(&format!("{act:?}"));
            perform(&mut world, act);
            check(&world, &before)?;
        }
        comes_to_an_end(&mut world)?;
        let broken = rules::broken(&world.log);
        prop_assert!(broken.is_empty(), "{:#?}\n{}", broken, world.told_story());
    }
}
