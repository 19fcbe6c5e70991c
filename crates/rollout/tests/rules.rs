//! The rules can fail: a log from which anything that matters is taken, or in which it is said twice, or changed, breaks one.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crossfade_rollout::event::{AbortReason, Event, Gate, Outcome, PauseCause, StepEnd};
use crossfade_rollout::state::GateStatus;
use crossfade_rollout::{Command, Entry, rules};
use crossfade_routing::UnixNanos;
use world::{SPEC, World};

/// A rollout with most of what can happen in it.
fn eventful() -> Vec<Entry> {
    let mut world = World::new();
    world.start(SPEC).unwrap();
    world.until("step 2 begins");
    world.run(Duration::from_secs(5));
    world.command(Command::Pause { rollout: None }).unwrap();
    world.run(Duration::from_secs(5));
    world.command(Command::Resume { rollout: None }).unwrap();
    world.kill_gateway(1);
    world.until("step 4 begins");
    world.kill_control();
    world.command(Command::Promote { rollout: None, full: false }).unwrap();
    world.finish();
    world.log
}

fn rolled_back() -> Vec<Entry> {
    let mut world = World::new();
    world.start(SPEC).unwrap();
    world.until("step 2 begins");
    world.weather.to_fails = 0.2;
    world.finish();
    world.log
}

fn aborted() -> Vec<Entry> {
    let mut world = World::new();
    world.gates.insert("probe".to_owned(), Outcome::Fail);
    world.start(SPEC).unwrap();
    world.finish();
    world.log
}

fn broken(entries: &[Entry]) -> Vec<&'static str> {
    rules::broken(entries).into_iter().map(|broken| broken.rule).collect()
}

/// What a log may lack, and still tell the truth about what was decided; and its end, whose loss only a witness sees.
fn may_be_lost(event: &Event) -> bool {
    matches!(
        event,
        Event::ControlStarted { .. }
            | Event::HorizonWatermark { .. }
            | Event::GatewayBooted { .. }
            | Event::AnalysisResumed { .. }
            | Event::AnalysisRecorded { .. }
            | Event::LedgerNoted { .. }
            | Event::BakeStarted { .. }
            | Event::GenerationAcknowledged { .. }
            | Event::VerdictReached { outcome: Outcome::NoVerdict, .. }
            // One look of several, between which the control plane was started again: the next one passed.
            | Event::GateFinished { gate: Gate::Posture, step: Some(_), outcome: Outcome::Pass, .. }
            | Event::RolledBack { .. }
            | Event::Finalized { .. }
    )
}

#[test]
fn what_happened_obeys_the_rules() {
    for log in [eventful(), rolled_back(), aborted()] {
        assert_eq!(rules::broken(&log), []);
    }
}

#[test]
fn a_log_with_an_entry_missing_breaks_a_rule() {
    for log in [eventful(), rolled_back()] {
        for index in 0..log.len() {
            let mut less = log.clone();
            let lost = less.remove(index);
            let seen = !broken(&less).is_empty();
            assert!(seen || may_be_lost(&lost.event), "nobody misses entry {index}: {}", lost.event);
        }
    }
}

type Change = fn(&mut Event) -> bool;

/// Every event that can be changed like this, changed.
fn changed(log: &[Entry], change: Change) -> Vec<Entry> {
    let mut log = log.to_vec();
    let changed = log.iter_mut().filter_map(|entry| change(&mut entry.event).then_some(())).count();
    assert!(changed > 0, "nothing to change");
    log
}

fn at_once(at: &mut UnixNanos) -> bool {
    *at = UnixNanos(at.0 - 1_000_000_000);
    true
}

/// Lies, and the rules that see them.
const LIES: &[(&str, Change)] = &[
    ("gate_seed", |event| match event {
        Event::GateFinished { gate: Gate::Probe, outcome: Outcome::Pass, seed, .. } => seed.take().is_some(),
        _ => false,
    }),
    ("verdict", |event| match event {
        Event::VerdictReached { outcome: outcome @ Outcome::NoVerdict, .. } => {
            *outcome = Outcome::Pass;
            true
        }
        _ => false,
    }),
    ("verdict", |event| match event {
        Event::VerdictReached { readings, .. } => {
            readings[0].ln_e_nano -= 1_000_000;
            true
        }
        _ => false,
    }),
    ("verdict", |event| match event {
        Event::AnalysisRecorded { counts, .. } if counts.to.requests == 152 => {
            counts.to.failed += 3;
            true
        }
        _ => false,
    }),
    ("window", |event| match event {
        Event::WindowPassed { carried, .. } => {
            carried[0].ln_e_nano -= 1_000_000;
            true
        }
        _ => false,
    }),
    ("step_ends", |event| match event {
        Event::StepEnded { how: StepEnd::Elapsed, at, .. } => at_once(at),
        _ => false,
    }),
    ("step_begins", |event| match event {
        Event::StepStarted { step: 1, at, .. } => at_once(at),
        _ => false,
    }),
    ("finalize", |event| match event {
        Event::FinalizeStarted { at, .. } => {
            *at = UnixNanos(world::START);
            true
        }
        _ => false,
    }),
    ("gates", |event| match event {
        Event::GateFinished { outcome, .. } => {
            *outcome = Outcome::NoVerdict;
            true
        }
        _ => false,
    }),
    ("gates", |event| match event {
        Event::GateFinished { evidence, .. } => evidence.take().is_some(),
        _ => false,
    }),
    ("step_gates", |event| match event {
        Event::GateFinished { step: Some(_), evidence, .. } => evidence.take().is_some(),
        _ => false,
    }),
    ("gate_runs", |event| match event {
        Event::GateStarted { step: Some(step), .. } => {
            *step += 1;
            true
        }
        _ => false,
    }),
    ("gates", |event| match event {
        Event::RolloutDrafted { outline, .. } => outline.required_gates.pop().is_some(),
        _ => false,
    }),
    // The control plane that starts while the rollout runs finds another candidate than the one that was planned for.
    ("promotion", |event| match event {
        Event::ControlStarted { boot, environments, .. } if boot.as_str() == "control-2" => {
            environments.pop_last().is_some()
        }
        _ => false,
    }),
    ("announced", |event| match event {
        Event::SnapshotsRetaken { changed, .. } => {
            changed.push("green/collector.yaml".to_owned());
            true
        }
        _ => false,
    }),
    ("committed", |event| match event {
        Event::CutAnnounced { cut_at, attempt: 2, .. } => {
            *cut_at = cut_at.plus(Duration::from_secs(1));
            true
        }
        _ => false,
    }),
    ("ledgers", |event| match event {
        Event::LedgerClosed { rows, .. } => {
            rows[0].delivered -= 1;
            true
        }
        _ => false,
    }),
    ("acknowledged", |event| match event {
        Event::GenerationAcknowledged { gateways, .. } if gateways.len() == 2 => gateways.pop().is_some(),
        _ => false,
    }),
    ("schedule", |event| match event {
        Event::RolloutDrafted { outline, .. } => {
            outline.seed.0 += 1;
            true
        }
        _ => false,
    }),
    ("one_rollout", |event| match event {
        Event::RolloutDrafted { outline, .. } => {
            std::mem::swap(&mut outline.from, &mut outline.to);
            true
        }
        _ => false,
    }),
];

#[test]
fn lies_are_seen() {
    let log = eventful();
    for (index, (rule, lie)) in LIES.iter().enumerate() {
        let broken = broken(&changed(&log, *lie));
        assert!(broken.contains(rule), "lie {index} is to break {rule}, and breaks {broken:?}");
    }
}

/// Scenario: a gate runs again, and the result of its former run is on the record after that.
/// Guarantee: that breaks a rule, and says nothing of the run that is under way.
#[test]
fn a_run_that_is_over_says_nothing_of_the_next() {
    let mut log = aborted();
    let last = |event: &Event| matches!(event, Event::GateFinished { gate: Gate::Probe, .. });
    let at = log.iter().position(|entry| last(&entry.event)).unwrap();
    log.truncate(at + 1);
    let finished = log[at].clone();
    let rollout = finished.event.rollout().unwrap().clone();
    let again = Event::GateStarted { rollout, gate: Gate::Probe, run: 2, step: None, at: finished.time };
    log.push(Entry { event: again, ..finished.clone() });
    log.push(finished);
    assert_eq!(broken(&log), ["gate_runs"]);
    let state = crossfade_rollout::replay(log.iter().map(|entry| &entry.event));
    let run = &state.rollout.unwrap().gates[&Gate::Probe];
    assert_eq!((run.run, run.status), (2, GateStatus::Running));
}

/// Scenario: the configurations were looked at for a cut, and then the control plane started again, or somebody paused and
/// resumed; or it started again after the announcement.
/// Guarantee: a log in which the cut goes on without another look breaks a rule.
#[test]
fn a_look_does_not_outlive_a_restart_or_a_pause() {
    let log = eventful();
    let after = |wanted: fn(&Event) -> bool, events: &[Event]| {
        let at = log.iter().position(|entry| wanted(&entry.event)).unwrap();
        let mut more = log.clone();
        let entries = events.iter().map(|event| Entry { event: event.clone(), ..log[at].clone() });
        more.splice(at + 1..at + 1, entries);
        broken(&more)
    };
    let restart = log.iter().find(|entry| matches!(entry.event, Event::ControlStarted { .. })).unwrap();
    let restart = std::slice::from_ref(&restart.event);
    let rollout: crossfade_rollout::RolloutId = "tempo-3".parse().unwrap();
    let by = PauseCause::Command {};
    let at = log[0].time;
    let pause = [Event::Paused { rollout: rollout.clone(), by, at }, Event::Resumed { rollout, at }];
    let looked: fn(&Event) -> bool = |event| matches!(event, Event::SnapshotsRetaken { .. });
    let announced: fn(&Event) -> bool = |event| matches!(event, Event::CutAnnounced { attempt: 2, .. });
    assert_eq!(after(looked, restart)[0], "announced");
    assert_eq!(after(looked, &pause)[0], "announced");
    assert_eq!(after(announced, restart)[0], "committed");
    assert!(!after(announced, &pause).contains(&"committed"), "it goes on even while paused");
}

/// Every rule is broken by something: a rule that nothing breaks is none.
#[test]
fn every_rule_can_be_broken() {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let mut see = |entries: &[Entry]| {
        for rule in broken(entries) {
            *seen.entry(rule).or_default() += 1;
        }
    };
    for log in [eventful(), rolled_back()] {
        for index in 0..log.len() {
            let mut less = log.clone();
            let entry = less.remove(index);
            see(&less);
            let mut more = log.clone();
            more.insert(index, entry);
            see(&more);
        }
    }
    LIES.iter().for_each(|(_, lie)| see(&changed(&eventful(), *lie)));
    let mut late = eventful();
    let cut = late.iter().position(|entry| matches!(entry.event, Event::CutCommitted { .. })).unwrap();
    let rollout = late[cut].event.rollout().unwrap().clone();
    let reason = AbortReason::Command { why: "too late".to_owned() };
    let abort = Event::AbortStarted { rollout, reason, at: late[cut].time };
    late.insert(cut + 1, Entry { event: abort, ..late[cut].clone() });
    see(&late);
    let all: BTreeSet<&str> = rules::RULES.iter().map(|rule| rule.name).collect();
    let broken: BTreeSet<&str> = seen.keys().copied().collect();
    let never: Vec<_> = all.difference(&broken).collect();
    assert!(never.is_empty(), "nothing breaks {never:?}");
}
