//! Refusals; what is accepted is told by the stories.

use crossfade_routing::{Generation, Seed, UnixNanos};
use crossfade_yaml::{Resolution, Resolve};

use super::{changed, decide};
use crate::command::Command;
use crate::event::Event;
use crate::evolve::evolve;
use crate::plan::{Baseline, EnvironmentFacts, Environments, PLAN_VERSION, Plan};
use crate::spec::Spec;
use crate::state::State;
use crate::units::{Digest, Snapshots};

struct Nothing;

impl Resolve for Nothing {
    fn resolve(&self, _: &str, _: &str) -> Resolution {
        Resolution::Unset
    }
}

const NOW: UnixNanos = UnixNanos(1_795_262_400_000_000_000);

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn snapshots(byte: u8) -> Snapshots {
    [("green/collector.yaml".to_owned(), digest(byte))].into()
}

/// A log with its genesis and a gateway.
fn ready() -> State {
    let commands = [
        Command::Initialise {
            origin: "crossfade.test/log".to_owned(),
            active: "blue".parse().unwrap(),
            site: digest(9),
        },
        Command::Roster { gateway: "gw-1".parse().unwrap() },
    ];
    commands.into_iter().fold(State::default(), done)
}

fn done(state: State, command: Command) -> State {
    decide(&state, command, NOW).unwrap().iter().fold(state, evolve)
}

/// Where the environments are.
fn site() -> Environments {
    let facts = |name: &str| EnvironmentFacts {
        otlp_endpoint: format!("http://{name}:4317"),
        otlp_protocol: "grpc".to_owned(),
        query_kind: None,
        query_endpoint: None,
    };
    ["blue", "green"].map(|name| (name.parse().unwrap(), facts(name))).into()
}

fn plan() -> Plan {
    let text = "
name: tempo-3
from: blue
to: green
steps: [{ weight: { percent: 100, duration: 1h } }, promote, finalize]
";
    let spec = Spec::parse(text, "rollout.yaml", &Nothing).unwrap();
    Plan {
        schema_version: PLAN_VERSION,
        outline: spec.outline("tempo-3".parse().unwrap(), Seed(1)).unwrap(),
        environments: site(),
        snapshots: snapshots(1),
        spec: digest(3),
        baseline: Baseline {
            generation: Generation(0),
            active: "blue".parse().unwrap(),
            rollouts: 0,
            log_size: 2,
        },
        planned_at: NOW,
    }
}

fn start(plan: Plan) -> Command {
    Command::Start { plan: Box::new(plan), digest: digest(2), snapshots: snapshots(1), environments: site() }
}

#[track_caller]
fn refused(state: &State, command: Command, expected: &str) {
    let rejection = decide(state, command, NOW).unwrap_err();
    assert_eq!(rejection.to_string(), expected);
}

#[test]
fn nothing_comes_before_the_genesis() {
    let pause = Command::Pause { rollout: None };
    refused(&State::default(), pause, "the log is empty; run `crossfade init` first");
    let again =
        Command::Initialise { origin: "x".to_owned(), active: "blue".parse().unwrap(), site: digest(0) };
    refused(&ready(), again, "the log has its genesis already");
}

fn green(plan: &mut Plan) -> &mut EnvironmentFacts {
    plan.environments.get_mut(&"green".parse().unwrap()).unwrap()
}

#[test]
fn a_stale_plan() {
    let state = ready();
    let stale = |change: fn(&mut Plan)| {
        let mut plan = plan();
        change(&mut plan);
        decide(&state, start(plan), NOW).unwrap_err().to_string()
    };
    let told = [
        stale(|plan| plan.baseline.generation = Generation(4)),
        stale(|plan| plan.baseline.rollouts = 1),
        stale(|plan| plan.baseline.active = "red".parse().unwrap()),
        stale(|plan| plan.outline.from = "red".parse().unwrap()),
        stale(|plan| plan.outline.rollout = "tempo-3.2".parse().unwrap()),
        stale(|plan| plan.snapshots = snapshots(5)),
        stale(|plan| plan.schema_version = 2),
        stale(|plan| plan.outline.steps.truncate(1)),
        stale(|plan| plan.outline.required_gates.truncate(1)),
        stale(|plan| green(plan).otlp_endpoint = "http://elsewhere:4317".to_owned()),
        stale(|plan| green(plan).otlp_protocol = "http/protobuf".to_owned()),
        stale(|plan| green(plan).query_kind = Some("jaeger".to_owned())),
        stale(|plan| green(plan).query_endpoint = Some("http://elsewhere:16686".to_owned())),
        stale(|plan| plan.environments.clear()),
    ];
    insta::assert_snapshot!(told.join("\n"));
    assert!(decide(&state, start(plan()), NOW).is_ok());
}

#[test]
fn no_gateway_no_rollout() {
    let state = State { roster: std::collections::BTreeMap::new(), ..ready() };
    refused(&state, start(plan()), "no gateway is known; start one, so that it reports, and try again");
}

#[test]
fn commands_out_of_turn() {
    let idle = ready();
    refused(&idle, Command::Pause { rollout: None }, "no rollout is running");
    let drafted = done(idle, start(plan()));
    let other = Command::Pause { rollout: Some("tempo-2".parse().unwrap()) };
    refused(&drafted, other, "rollout tempo-2 is not the one that runs; that is tempo-3");
    refused(&drafted, start(plan()), "rollout tempo-3 is draft; a second one may begin when it has ended");
    let promote = || Command::Promote { rollout: None, full: true };
    refused(&drafted, promote(), "promote is not possible while tempo-3 is draft");
    refused(&drafted, Command::Resume { rollout: None }, "tempo-3 is not paused");
    let paused = done(drafted, Command::Pause { rollout: None });
    refused(&paused, Command::Pause { rollout: None }, "tempo-3 is paused already");
    let aborted = done(paused, Command::Abort { rollout: None, reason: "no".to_owned() });
    refused(
        &aborted,
        Command::Abort { rollout: None, reason: "no".to_owned() },
        "abort is not possible while tempo-3 is being aborted",
    );
}

/// Going back before anybody knows of the rollout is giving it up.
#[test]
fn a_rollback_of_a_draft_is_an_abort() {
    let drafted = done(ready(), start(plan()));
    let back =
        Command::Rollback { rollout: None, actor: "operator:1".parse().unwrap(), reason: "no".to_owned() };
    let events = decide(&drafted, back, NOW).unwrap();
    assert!(matches!(events.as_slice(), [Event::AbortStarted { .. }]), "{events:?}");
}

#[test]
fn the_fleet_changes_by_its_own_commands() {
    let gateway = || "gw-1".parse().unwrap();
    let state = ready();
    refused(&state, Command::Roster { gateway: gateway() }, "gateway gw-1 is rostered already");
    let strike = || Command::Strike { gateway: gateway(), reason: "gone".to_owned() };
    let struck = done(state, strike());
    refused(&struck, strike(), "gateway gw-1 is not rostered");
    assert!(struck.struck.contains(&gateway()), "it comes back only by command");
    assert!(!done(struck, Command::Roster { gateway: gateway() }).struck.contains(&gateway()));
}

#[test]
fn every_changed_input_is_named() {
    let planned: Snapshots =
        [("a".to_owned(), digest(1)), ("b".to_owned(), digest(1)), ("c".to_owned(), digest(1))].into();
    let now: Snapshots =
        [("a".to_owned(), digest(1)), ("b".to_owned(), digest(2)), ("d".to_owned(), digest(1))].into();
    assert_eq!(changed(&planned, &now), ["b", "c", "d"]);
    assert!(changed(&planned, &planned).is_empty());
}
