//! What the tests of the log share: entries, and a disk that fails on demand.
#![allow(clippy::unwrap_used, dead_code, reason = "test support, of which no test uses all")]

pub(crate) mod disk;

use crossfade_audit::{Place, canonical};
use crossfade_rollout::event::{Gate, Outcome};
use crossfade_rollout::state::STATE_VERSION;
use crossfade_rollout::{Actor, Digest, Entry, Event, RolloutId, Spec, State, evolve};
use crossfade_routing::{EnvironmentId, Seed, UnixNanos};
use crossfade_tlog::SignerKey;
use crossfade_yaml::{Resolution, Resolve};

pub(crate) const ORIGIN: &str = "crossfade.example/test";

pub(crate) fn key() -> SignerKey {
    SignerKey::from_seed(ORIGIN.parse().unwrap(), [7; 32])
}

pub(crate) fn place(folder: &std::path::Path) -> Place {
    Place { emergency_size: 8192, ..Place::new(folder.join("audit")) }
}

/// Entry number `number` of a made-up log that keeps the rules: a genesis, then refused calls, each
/// unlike any other, of varying length.
pub(crate) fn entry(number: u64) -> Entry {
    let at = time(number);
    if number == 0 {
        let (active, site) = (environment("blue"), Digest::from_bytes([3; 32]));
        return by_control(number, Event::Genesis { origin: ORIGIN.into(), active, site, at });
    }
    let why = "no ".repeat(usize::try_from(number % 7).unwrap()) + &number.to_string();
    by_control(number, Event::AccessDenied { call: "POST /v1/rollouts".into(), why, at })
}

pub(crate) fn entries(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    numbers.map(entry).collect()
}

pub(crate) const PLAN: &[u8] = b"{\"a\":\"plan\"}";

const SPEC: &str = "
name: tempo-3
from: blue
to: green
steps:
  - weight: { percent: 100, duration: 30m }
  - promote: {}
  - finalize: {}
";

struct NoVariables;

impl Resolve for NoVariables {
    fn resolve(&self, _: &str, _: &str) -> Resolution {
        Resolution::Unset
    }
}

/// A rollout that has come to its gates, after [`entry`] 0. The first entry names [`PLAN`].
pub(crate) fn preflight(number: u64) -> Vec<Entry> {
    let at = time(number);
    let rollout: RolloutId = "tempo-3".parse().unwrap();
    let spec = Spec::parse(SPEC, "rollout.yaml", &NoVariables).unwrap();
    let outline = Box::new(spec.outline(rollout.clone(), Seed(1)).unwrap());
    let plan = Digest::from_bytes(crossfade_tlog::sha256(PLAN));
    vec![
        by_control(number, Event::RolloutDrafted { rollout: rollout.clone(), plan, outline, at }),
        by_control(number, Event::PreflightStarted { rollout, at }),
    ]
}

/// One run of a gate, from 1, with its evidence; after [`preflight`].
pub(crate) fn gate_run(number: u64, run: u32, evidence: Digest) -> Vec<Entry> {
    let (at, rollout, gate) = (time(number), "tempo-3".parse::<RolloutId>().unwrap(), Gate::Drift);
    let started = Event::GateStarted { rollout, gate, run, step: None, at };
    vec![by_control(number, started), gate_finished(number, run, evidence)]
}

/// An entry that names evidence.
pub(crate) fn gate_finished(number: u64, run: u32, evidence: Digest) -> Entry {
    let event = Event::GateFinished {
        rollout: "tempo-3".parse().unwrap(),
        gate: Gate::Drift,
        run,
        step: None,
        outcome: Outcome::Pass,
        summary: format!("run {run}"),
        evidence: Some(evidence),
        seed: None,
        at: time(number),
    };
    by_control(number, event)
}

/// The state that these entries come to, on record.
pub(crate) fn state_recorded(before: &[Entry]) -> Entry {
    let state = before.iter().fold(State::default(), |state, entry| evolve(state, &entry.event));
    let state = canonical::digest(&state).unwrap();
    let event = Event::StateRecorded { state, version: STATE_VERSION, at: time(50) };
    by_control(50, event)
}

fn by_control(number: u64, event: Event) -> Entry {
    Entry::new(Actor::control(), time(number), event)
}

fn environment(name: &str) -> EnvironmentId {
    name.parse().unwrap()
}

pub(crate) fn time(number: u64) -> UnixNanos {
    UnixNanos(1_795_259_280_000_000_000 + number * 1_000_000)
}

pub(crate) fn bytes(entry: &Entry) -> Vec<u8> {
    crossfade_audit::entry::encode(entry).unwrap()
}
