//! A log that is never written again: what was once intact stays so, whatever this program has learned since.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../rollout/tests/world/mod.rs"]
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossfade_audit::storage::{Disk, Storage};
use crossfade_audit::verify::{Outcome, Settle, verify_with};
use crossfade_audit::{Log, Place, canonical, keys};
use crossfade_rollout::state::{Phase, STATE_VERSION};
use crossfade_rollout::{Actor, Digest, Entry, Event, State, evolve};
use crossfade_tlog::SignerKey;
use world::{SPEC, World};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("golden")
}

/// Scenario: the log of a rollout and of one that was rolled back, as the program wrote it that made it.
/// Guarantee: it verifies. A change that breaks this breaks every log there is: see "What outlives this program" in
/// ARCHITECTURE.md. Writing the log anew is no remedy.
#[test]
fn an_old_log_verifies() {
    let storage: Arc<dyn Storage> = Arc::new(Disk);
    let key = keys::load_verifier(&golden().join("log.pub")).unwrap();
    let report = verify_with(&storage, &golden().join("audit"), &key, Settle::STILL).unwrap();
    assert!(report.intact, "{report}");
    let replay = report.checks.iter().find(|check| check.name == "replay").unwrap();
    assert!(matches!(replay.outcome, Outcome::Passed | Outcome::Noted), "{report}");
    assert!(report.checkpoint.unwrap().size.parse::<u64>().unwrap() > 100);
}

/// How it was made. It refuses to write over what is there.
#[test]
#[ignore = "writes tests/golden anew, which only a log in another format is a reason for"]
fn write_the_golden_log() {
    let key = SignerKey::from_seed(world::ORIGIN.parse().unwrap(), [11; 32]);
    fs::create_dir(golden().join("audit")).unwrap();
    let place = Place { emergency_size: 8192, ..Place::new(golden().join("audit")) };
    Log::create(&place, &key).unwrap();
    fs::write(golden().join("log.pub"), format!("{}\n", key.verifier())).unwrap();
    let (mut log, _) = Log::open(&place, key).unwrap();
    let mut state = State::default();
    for mut entry in rollouts() {
        let before = state.rollout.as_ref().map(|rollout| rollout.phase);
        entry.event = with_evidence(&mut log, entry.event);
        state = evolve(state, &entry.event);
        let at = entry.time;
        log.append(&[entry]).unwrap();
        if state.rollout.as_ref().map(|rollout| rollout.phase) != before {
            let digest = canonical::digest(&state).unwrap();
            let event = Event::StateRecorded { state: digest, version: STATE_VERSION, at };
            log.append(&[Entry::new(Actor::control(), at, event)]).unwrap();
        }
    }
    assert!(!place.emergency.exists() || fs::remove_file(&place.emergency).is_ok());
}

/// One rollout that is promoted and finalized, with a pause, a restart and a killed gateway; then one that goes back.
fn rollouts() -> Vec<Entry> {
    let mut world = World::new();
    world.start(SPEC).unwrap();
    world.until("step 2 begins");
    world.kill_gateway(1);
    world.until("cut to 100 % announced");
    world.kill_control();
    assert_eq!(world.finish(), Phase::Finalized);
    let back = SPEC
        .replace("from: blue", "from: x")
        .replace("to: green", "to: blue")
        .replace("from: x", "from: green");
    world.run(Duration::from_secs(20));
    world.start(&back.replace("name: tempo-3", "name: back-to-2")).unwrap();
    world.until("step 2 begins");
    world.weather.to_fails = 0.2;
    world.run(Duration::from_secs(30));
    assert_eq!(world.phase(), Some(Phase::RolledBack));
    world.log
}

/// The world makes its digests up; a log names blobs.
fn with_evidence(log: &mut Log, mut event: Event) -> Event {
    let mut blob = |digest: &mut Digest, text: String| *digest = log.put_evidence(text.as_bytes()).unwrap();
    match &mut event {
        Event::RolloutDrafted { plan, rollout, .. } => blob(plan, format!("the plan of {rollout}")),
        Event::GateFinished { evidence: Some(digest), gate, run, rollout, .. } => {
            blob(digest, format!("the report of gate {gate}, run {run}, of {rollout}"));
        }
        _ => {}
    }
    event
}
