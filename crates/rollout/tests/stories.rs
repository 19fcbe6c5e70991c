//! Rollouts as stories: what an operator does and sees, line by line. The snapshots are the specification.
//!
//! The world has two gateways with 100 requests a second each. `>` marks what a person did, `--` what befell, `...` what
//! the report says is waited for.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod world;

use std::time::Duration;

use crossfade_rollout::event::{Alert, Event, GenerationCause, Outcome, StepEnd};
use crossfade_rollout::observed::LogHealth;
use crossfade_rollout::spec::Step;
use crossfade_rollout::state::LedgerStatus;
use crossfade_rollout::{Command, Entry, Phase, decide, evolve, replay, rules};
use world::{SPEC, World, digest, gateway_id};

const SECOND: Duration = Duration::from_secs(1);

fn pause() -> Command {
    Command::Pause { rollout: None }
}

fn resume() -> Command {
    Command::Resume { rollout: None }
}

fn promote(full: bool) -> Command {
    Command::Promote { rollout: None, full }
}

fn rollback(reason: &str) -> Command {
    Command::Rollback { rollout: None, actor: "operator:1".parse().unwrap(), reason: reason.to_owned() }
}

fn abort(reason: &str) -> Command {
    Command::Abort { rollout: None, reason: reason.to_owned() }
}

/// A world in which a rollout of `spec` has been started.
fn started(spec: &str) -> World {
    let mut world = World::new().told();
    world.start(spec).unwrap();
    world
}

/// Ends the story: its log obeys every rule, and folds to the state it left.
fn told(world: &World) -> String {
    let broken = rules::broken(&world.log);
    assert!(broken.is_empty(), "{broken:#?}\n{}", world.told_story());
    let replayed = crossfade_rollout::replay(world.log.iter().map(|entry| &entry.event));
    assert_eq!(replayed, world.state);
    world.told_story()
}

#[test]
fn a_good_rollout() {
    let mut world = started(SPEC);
    assert_eq!(world.finish(), Phase::Finalized);
    assert_eq!(world.state.active.as_ref().unwrap().as_str(), "green");
    insta::assert_snapshot!(told(&world));
}

/// Scenario: the candidate begins to refuse 3 % of its requests once it owns 10 % of the traces.
/// Guarantee: the analysis finds it, and the rollout goes back without a person.
#[test]
fn a_bad_rollout() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    world.run(SECOND * 5);
    world.say("green refuses 3 % of its requests");
    world.weather.to_fails = 0.03;
    assert_eq!(world.finish(), Phase::RolledBack);
    assert_eq!(world.state.active.as_ref().unwrap().as_str(), "blue");
    insta::assert_snapshot!(told(&world));
}

/// Scenario: both environments fail alike, and the active more than the candidate.
/// Guarantee: that is no reason to stop.
#[test]
fn trouble_that_is_not_the_candidates() {
    let mut world = started(SPEC);
    (world.weather.from_fails, world.weather.to_fails) = (0.05, 0.03);
    assert_eq!(world.finish(), Phase::Finalized);
    told(&world);
}

#[test]
fn paused_and_promoted_by_hand() {
    let spec = SPEC.replace("- pause: { duration: 10s }", "- pause: {}");
    let mut world = started(&spec);
    world.until("step 1 begins");
    world.run(SECOND * 10);
    world.command(pause()).unwrap();
    world.run(SECOND * 100);
    world.why();
    world.command(resume()).unwrap();
    world.run(SECOND);
    world.why();
    world.until("step 3 begins");
    world.run(SECOND * 300);
    world.why();
    world.command(promote(false)).unwrap();
    world.until("step 4 begins");
    world.run(SECOND * 10);
    world.command(promote(false)).unwrap();
    world.until("step 6 begins");
    world.command(rollback("second thoughts")).unwrap();
    assert_eq!(world.finish(), Phase::RolledBack);
    insta::assert_snapshot!(told(&world));
}

/// Scenario: the control plane is killed at the worst moments: a gate looks, a cut is announced, a step runs, the way back
/// has begun.
/// Guarantee: the log is all that is left, and all that is needed.
#[test]
fn killed_again_and_again() {
    let mut world = World::new().told();
    world.gates.clear();
    world.start(SPEC).unwrap();
    world.run(SECOND);
    world.why();
    world.kill_control();
    world.gates = ["drift", "posture", "probe"].map(|gate| (gate.to_owned(), Outcome::Pass)).into();
    world.until("cut to 10 % announced");
    world.kill_control();
    world.until("step 2 begins");
    world.run(SECOND * 15);
    world.kill_all();
    world.until("step 2 done");
    world.until("step 4 begins");
    world.command(rollback("enough")).unwrap();
    world.kill_control();
    assert_eq!(world.finish(), Phase::RolledBack);
    insta::assert_snapshot!(told(&world));
}

/// Scenario: a gateway's breaker opens: the candidate answers nothing.
/// Guarantee: one gateway's fence rolls the rollout back everywhere.
#[test]
fn a_breaker_opens() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    world.say("the breaker of gw-2 opens");
    world.trip_breaker(1);
    assert_eq!(world.finish(), Phase::RolledBack);
    assert!(world.gateways.iter().all(|gateway| gateway.fence.is_some()), "the fence is global");
    insta::assert_snapshot!(told(&world));
}

#[test]
fn stopped_by_a_gate() {
    let mut world = World::new().told();
    world.gates.insert("drift".to_owned(), Outcome::Fail);
    world.start(SPEC).unwrap();
    assert_eq!(world.finish(), Phase::Aborted);
    insta::assert_snapshot!(told(&world));
}

/// Scenario: a gate has no verdict, and the spec says hold.
/// Guarantee: it never passes; a person resumes, and it looks again.
#[test]
fn held_by_a_gate() {
    let mut world = World::new().told();
    world.gates.insert("probe".to_owned(), Outcome::NoVerdict);
    world.start(&format!("{SPEC}\non_failure: hold\n")).unwrap();
    world.run(SECOND * 60);
    world.why();
    world.gates.insert("probe".to_owned(), Outcome::Pass);
    world.command(resume()).unwrap();
    world.until("step 1 begins");
    world.command(abort("that was a rehearsal")).unwrap();
    assert_eq!(world.finish(), Phase::Aborted);
    insta::assert_snapshot!(told(&world));
}

/// Scenario: somebody edits green's configuration between two cuts.
/// Guarantee: what runs is what was planned: the next cut does not happen.
#[test]
fn a_configuration_changes_under_way() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    world.say("green/collector.yaml is edited");
    world.now_snapshots.insert("green/collector.yaml".to_owned(), digest(77));
    assert_eq!(world.finish(), Phase::RolledBack);
    insta::assert_snapshot!(told(&world));
}

/// Scenario: the disk under the log is full while the candidate starts to fail.
/// Guarantee: no shift and no promotion, but the way back is open, and is in the log afterwards.
#[test]
fn the_log_is_full() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    world.say("the disk is full");
    world.health = LogHealth::Unwritable { detail: "no space left on device".to_owned() };
    world.run(SECOND * 60);
    world.why();
    assert_eq!(world.weight().to_string(), "10 %");
    world.weather.to_fails = 0.5;
    world.run(SECOND * 5);
    assert_eq!(world.phase(), Some(Phase::RollingBack));
    assert!(
        world.gateways.iter().all(|gateway| gateway.fence.is_some()),
        "the fence did not wait for the log"
    );
    world.why();
    world.say("the disk has room again");
    world.mend_log();
    assert_eq!(world.finish(), Phase::RolledBack);
    insta::assert_snapshot!(told(&world));
}

/// Scenario: a gateway falls silent before a cut, and comes back after it.
/// Guarantee: the cut waits for its horizon, not for the gateway, and promotion does wait for the gateway.
#[test]
fn a_silent_gateway() {
    let mut world = started(SPEC);
    world.until("step 3 begins");
    world.say("gw-2 falls silent");
    world.gateways[1].silent = true;
    world.run(SECOND * 12);
    world.why();
    world.until("step 4 done");
    world.run(SECOND * 60);
    world.why();
    world.say("gw-2 is back");
    world.gateways[1].silent = false;
    assert_eq!(world.finish(), Phase::Finalized);
    insta::assert_snapshot!(told(&world));
}

/// Scenario: a gateway never comes back, and is struck.
/// Guarantee: the log says who struck it; its accounts are a declared gap.
#[test]
fn a_struck_gateway() {
    let mut world = started(SPEC);
    world.until("step 4 begins");
    world.gateways[1].silent = true;
    world.until("step 4 done");
    world.run(SECOND * 60);
    world.why();
    let gateway = gateway_id("gw-2");
    world.command(Command::Strike { gateway, reason: "its machine burned down".to_owned() }).unwrap();
    assert_eq!(world.finish(), Phase::Finalized);
    insta::assert_snapshot!(told(&world));
}

#[test]
fn promoted_in_full() {
    let mut world = started(SPEC);
    world.until("step 1 begins");
    world.command(promote(true)).unwrap();
    for again in [promote(true), promote(false)] {
        let refused = world.command(again).unwrap_err();
        assert!(refused.to_string().contains("skips already all that is left"), "{refused}");
    }
    assert_eq!(world.finish(), Phase::Finalized);
    let rollout = world.state.rollout.clone().unwrap();
    let how: Vec<Option<StepEnd>> = (0..7).map(|step| rollout.step_end(step)).collect();
    let (early, skipped) = (Some(StepEnd::PromotedEarly), Some(StepEnd::Skipped));
    assert_eq!(how, [early, skipped, skipped, early, Some(StepEnd::Elapsed), skipped, None]);
    insta::assert_snapshot!(told(&world));
}

/// Scenario: `promote`, twice in a row before the step has ended, and `promote --full` when only finalize is left.
/// Guarantee: what would change nothing is refused, in words, and leaves no entry.
#[test]
fn promoting_again_is_refused() {
    let mut world = started(SPEC);
    world.until("step 1 begins");
    let promoted = decide(&world.state, promote(false), world.now).unwrap();
    let leaving = promoted.iter().fold(world.state.clone(), evolve);
    let refused = decide(&leaving, promote(false), world.now).unwrap_err();
    assert!(refused.to_string().contains("leaves its step already"), "{refused}");
    assert!(decide(&leaving, promote(true), world.now).is_ok(), "that is more than to leave one step");

    world.until("step 6 begins");
    let steps = &world.state.rollout.as_ref().unwrap().outline.steps;
    assert!(matches!(steps[5], Step::Bake { .. }), "{steps:?}");
    assert!(decide(&world.state, promote(true), world.now).is_ok(), "bake can be cut short");
    world.until("step 6 done");
    let last = world.log.iter().position(|entry| matches!(entry.event, Event::StepEnded { step: 5, .. }));
    let before_the_end = replay(world.log[..=last.unwrap()].iter().map(|entry| &entry.event));
    let refused = decide(&before_the_end, promote(true), world.now).unwrap_err();
    assert!(refused.to_string().contains("already left behind"), "{refused}");
}

/// Scenario: hardly any traffic.
/// Guarantee: missing data never passes, and for too long it is a failure.
#[test]
fn too_little_traffic() {
    let mut world = World::new().told();
    world.weather.requests = 10.0;
    world.start(SPEC).unwrap();
    world.until("verdict NO VERDICT");
    world.run(SECOND * 10);
    world.why();
    assert_eq!(world.finish(), Phase::RolledBack);
    insta::assert_snapshot!(told(&world));
}

/// Scenario: the candidate turns slow; the gateway drops before it; probe traces are not read back. Each with `hold`.
/// Guarantee: each metric stops the rollout for its own reason, and a person's word lets it go on.
#[test]
fn each_metric_holds() {
    let spec = "
name: tempo-3
from: blue
to: green
routing: { overlap: 10s, skew: 2s, gamma: 100ms }
steps:
  - weight: { percent: 50, duration: 300s }
  - weight: { percent: 100, duration: 1s }
  - promote: {}
  - finalize: {}
analysis:
  metrics:
    - { name: export_errors }
    - { name: export_latency, quantile: 0.99, worse_max: 20%, worse_min: 10ms }
    - { name: probe_failures, max: 2, traces: 20, every: 10s }
on_failure: hold
";
    let mut world = started(spec);
    world.until("step 1 begins");
    world.run(SECOND * 20);
    world.say("green takes 40 ms");
    world.weather.to_us = 40_000;
    world.until("verdict FAIL: export_latency");
    world.why();
    world.weather.to_us = 3_000;
    world.command(resume()).unwrap();
    world.run(SECOND * 20);
    world.say("green is too slow for its queue");
    world.weather.shed = 4.0;
    world.until("verdict FAIL: shed");
    world.weather.shed = 0.0;
    world.command(resume()).unwrap();
    world.run(SECOND * 20);
    world.say("green loses synthetic traces");
    world.probe_failures = 3;
    world.until("verdict FAIL: probe_failures");
    world.command(abort("enough")).unwrap_err();
    world.command(rollback("enough")).unwrap();
    assert_eq!(world.finish(), Phase::RolledBack);
    let told = told(&world);
    let but_probes: Vec<&str> = told.lines().filter(|line| !line.contains("probe round")).collect();
    insta::assert_snapshot!(but_probes.join("\n"));
}

/// Scenario: after a rollback, the same spec again; and after it was finalized, the way back as a rollout of its own.
/// Guarantee: one rollout at a time, the next only when the last cut has settled, every attempt with its own id.
#[test]
fn one_after_another() {
    let mut world = started(SPEC);
    let second = world.start(SPEC).unwrap_err();
    world.say(&format!("refused: {second}"));
    world.until("step 2 begins");
    world.command(rollback("try again")).unwrap();
    assert_eq!(world.finish(), Phase::RolledBack);
    let early = world.start(SPEC).unwrap_err();
    world.say(&format!("refused: {early}"));
    world.run(SECOND * 20);
    world.start(SPEC).unwrap();
    assert_eq!(world.finish(), Phase::Finalized);
    let stale = world.start(SPEC).unwrap_err();
    world.say(&format!("refused: {stale}"));
    let back = SPEC
        .replace("from: blue", "from: x")
        .replace("to: green", "to: blue")
        .replace("from: x", "from: green");
    world.start(&back.replace("name: tempo-3", "name: back-to-2")).unwrap();
    assert_eq!(world.finish(), Phase::Finalized);
    assert_eq!(world.state.active.as_ref().unwrap().as_str(), "blue");
    assert_eq!(world.state.past.len(), 3);
    let told = told(&world);
    let worth_telling =
        |line: &&str| ["drafted", "refused", "ROLL", "FINAL", "committed"].iter().any(|w| line.contains(w));
    insta::assert_snapshot!(told.lines().filter(worth_telling).collect::<Vec<_>>().join("\n"));
}

/// Scenario: a gateway dies within a step, with spans queued before the candidate; another one's queue never drains.
/// Guarantee: what it counted is kept, and what it did not report is declared unknown; the end waits for accounts, then says
/// that there are none.
#[test]
fn a_gateway_is_killed() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    world.run(SECOND * 10);
    world.weather.stuck = 7;
    world.run(SECOND);
    world.kill_gateway(1);
    world.until("step 2 done");
    world.command(rollback("to see what is left")).unwrap();
    world.run(SECOND * 5);
    world.why();
    assert_eq!(world.finish(), Phase::RolledBack);
    insta::assert_snapshot!(told(&world));
}

fn gaps(world: &World) -> Vec<(u64, u64)> {
    let gap = |entry: &Entry| match &entry.event {
        Event::LedgerGapDeclared { from, until, .. } | Event::AnalysisResumed { from, until, .. } => {
            Some((from.0, until.0))
        }
        _ => None,
    };
    world.log.iter().filter_map(gap).collect()
}

/// Requests of the active in the step that runs, over all boots, as they are on record.
fn requests_on_record(world: &World) -> u64 {
    let tallies = &world.state.rollout.as_ref().unwrap().tallies;
    tallies.values().map(|tally| tally.total().from.requests).sum()
}

/// Scenario: gateways and control plane are stopped in order in the middle of a step, and started again; twice within the
/// time after which counts go on the record anyway.
/// Guarantee: no gap is declared, every boot's accounts are closed, and no request is lost to the analysis.
#[test]
fn stopped_in_order_in_a_step() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    let before = requests_on_record(&world);
    for _ in 0..2 {
        world.run(SECOND * 5);
        world.restart_all();
    }
    world.run(SECOND);
    let rollout = world.state.rollout.as_ref().unwrap();
    assert_eq!(rollout.running.as_ref().unwrap().gaps, 0);
    for boots in rollout.ledgers.values() {
        let closed = boots.values().filter(|ledger| ledger.status == LedgerStatus::Closed);
        assert_eq!((closed.count(), boots.len()), (2, 3));
    }
    // Two gateways, 100 requests a second each, for ten seconds: the weather changes nothing while nobody runs.
    assert_eq!(requests_on_record(&world) - before, 2_000);
    assert_eq!(world.finish(), Phase::Finalized);
    assert_eq!(gaps(&world), []);
    assert_eq!(rules::broken(&world.log), []);
}

/// Scenario: gateways and control plane are killed in the middle of a step, after counts went on the record.
/// Guarantee: one gap for each boot, from when it was last heard as far as is on record, and the step says the same.
#[test]
fn killed_in_a_step() {
    let mut world = started(&SPEC.replace("percent: 10, duration: 30s", "percent: 10, duration: 60s"));
    world.until("step 2 begins");
    world.run(SECOND * 40);
    let recorded = world.state.rollout.as_ref().unwrap().running.as_ref().unwrap().recorded_at;
    assert!(recorded < world.now, "time has passed since counts went on the record");
    world.kill_all();
    world.run(SECOND);
    let gaps = gaps(&world);
    assert_eq!(gaps.len(), 4, "for each of two gateways, its accounts and its counts");
    for (from, until) in gaps {
        assert_eq!(from, recorded.0);
        assert!(until > from && until <= world.now.0);
    }
    assert_eq!(world.finish(), Phase::Finalized);
    assert_eq!(rules::broken(&world.log), []);
}

/// Scenario: everything is restarted within a step, and gateways report before they have looked at the environments; then
/// neither can be reached, and everything is restarted again.
/// Guarantee: what is not known raises no alert, and clears none.
#[test]
fn health_that_is_not_known_yet() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    let alerts = |world: &World| {
        let alert = |entry: &Entry| match entry.event {
            Event::AlertRaised { alert, .. } => Some((alert, true)),
            Event::AlertCleared { alert, .. } => Some((alert, false)),
            _ => None,
        };
        world.log.iter().filter_map(alert).collect::<Vec<_>>()
    };
    let mut restarted = |reaches: &[Option<bool>]| {
        world.restart_all();
        for reaches in reaches {
            world.gateways.iter_mut().for_each(|gateway| gateway.reaches = *reaches);
            world.run(SECOND);
        }
        alerts(&world)
    };
    assert_eq!(restarted(&[None, Some(true)]), []);
    let raised = (Alert::BothFailing, true);
    assert_eq!(restarted(&[None, Some(false)]), [raised]);
    assert_eq!(restarted(&[None, Some(false)]), [raised]);
    assert_eq!(restarted(&[None]), [raised]);
    assert_eq!(restarted(&[None, Some(true)]), [raised, (Alert::BothFailing, false)]);
}

/// Scenario: within a step the clock of a gateway comes to lead, or to lag, by more than gamma; then it is set right.
/// Guarantee: as long as it is off an alert stands, and no cut is announced; the rollout goes on afterwards. What is within
/// gamma, or within what a report takes to arrive, raises nothing.
#[test]
fn a_clock_that_is_off_holds_the_next_cut() {
    let gamma = 100_000_000; // of SPEC
    for (fine, off) in [(gamma, gamma + 1), (-gamma - 5_000_000_000, -gamma - 5_000_000_001)] {
        let mut world = started(SPEC);
        world.until("step 2 begins");
        let count = |world: &World, wanted: fn(&Event) -> bool| {
            world.log.iter().filter(|entry| wanted(&entry.event)).count()
        };
        let cuts = |world: &World| count(world, |event| matches!(event, Event::CutAnnounced { .. }));
        let alerts = |world: &World| {
            count(world, |event| matches!(event, Event::AlertRaised { alert: Alert::ClockOff, .. }))
        };
        let before = cuts(&world);
        world.gateways[1].clock_leads = fine;
        world.run(SECOND);
        assert_eq!(alerts(&world), 0, "{fine}");
        world.gateways[1].clock_leads = off;
        world.run(SECOND * 600);
        assert_eq!((alerts(&world), cuts(&world)), (1, before), "{off}");
        world.gateways[1].clock_leads = 0;
        assert_eq!(world.finish(), Phase::Finalized);
        assert!(cuts(&world) > before);
        assert_eq!(rules::broken(&world.log), []);
    }
}

/// Every effect may be performed twice.
#[test]
fn twice_does_no_harm() {
    let once = |twice| {
        let mut world = World::new().told();
        world.twice = twice;
        world.start(SPEC).unwrap();
        world.finish();
        told(&world)
    };
    assert_eq!(once(true), once(false));
}

/// A restarted control plane issues the generation anew before it announces on top of it, and only then.
#[test]
fn a_restart_issues_anew() {
    let mut world = started(SPEC);
    world.until("step 2 begins");
    world.kill_control();
    world.run(SECOND * 10);
    assert_eq!(world.entries_of(GenerationCause::ControlRestarted), 0);
    assert_eq!(world.finish(), Phase::Finalized);
    assert_eq!(world.entries_of(GenerationCause::ControlRestarted), 1);
    told(&world);
}

/// Counts are on the record every 30 seconds, not only at the end.
#[test]
fn counts_are_recorded_while_a_step_runs() {
    let mut world = started(&SPEC.replace("percent: 5, duration: 30s", "percent: 5, duration: 300s"));
    world.until("step 1 begins");
    let recorded = |world: &World| {
        let counts = |e: &&crossfade_rollout::Entry| matches!(e.event, Event::AnalysisRecorded { .. });
        world.log.iter().filter(counts).count()
    };
    let before = recorded(&world);
    world.run(SECOND * 121);
    assert_eq!(recorded(&world) - before, 4 * 2, "four times, two gateways");
}
