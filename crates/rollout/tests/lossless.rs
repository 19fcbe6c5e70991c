//! What `RollbackStarted` says of the spans: lossless only if the former active has, or will have, every one of them.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod world;

use std::time::Duration;

use crossfade_rollout::event::Event;
use crossfade_rollout::{Command, rules};
use crossfade_routing::sync::LedgerRow;
use world::{SPEC, World, gateway_id};

/// Rolls back by hand, and reads what the log says of it.
fn rolled_back(world: &mut World) -> bool {
    let (actor, reason) = ("operator:1".parse().unwrap(), "enough".to_owned());
    world.command(Command::Rollback { rollout: None, actor, reason }).unwrap();
    said(world)
}

/// What the log says of the rollback that has begun.
fn said(world: &mut World) -> bool {
    let said = world.log.iter().find_map(|entry| match &entry.event {
        Event::RollbackStarted { lossless, .. } => Some(*lossless),
        _ => None,
    });
    world.finish();
    assert_eq!(rules::broken(&world.log), []);
    said.unwrap()
}

fn at(spec: &str, line: &str) -> World {
    let mut world = World::new().told();
    world.start(spec).unwrap();
    world.until(line);
    world
}

fn without_mirror_back() -> String {
    SPEC.replace("bake: { duration: 60s }", "bake: { duration: 60s, mirror_back: false }")
}

/// Scenario: back, at each stage of a rollout in which nothing is ever dropped.
/// Guarantee: lossless as long as the former active is sent everything. Without mirroring back that ends with the generation
/// in which the candidate may answer, before every gateway is known to have it.
#[test]
fn as_long_as_the_former_active_is_sent_everything() {
    let lines = ["step 1 begins", "step 4 begins", "the candidate answers", "PROMOTED", "step 6 begins"];
    for (line, without) in lines.into_iter().zip([true, true, false, false, false]) {
        assert!(rolled_back(&mut at(SPEC, line)), "{line}");
        assert_eq!(
            rolled_back(&mut at(&without_mirror_back(), line)),
            without,
            "{line}, nothing mirrored back"
        );
    }
}

/// Scenario: after promotion, some of what is mirrored back is dropped, refused or never confirmed.
/// Guarantee: each of that is a loss; copies for an untrusted clock are none, and neither is what happened before.
#[test]
fn what_is_mirrored_back_may_be_lost_on_the_way() {
    let fates: [(&str, Fate, bool); 5] = [
        ("dropped", |row| (row.received, row.shed) = (row.received + 3, row.shed + 3), false),
        ("refused", refused, false),
        (
            "never confirmed",
            |row| (row.received, row.indeterminate) = (row.received + 3, row.indeterminate + 3),
            false,
        ),
        ("copies of copies", copies_dropped, true),
        ("nothing", |_| {}, true),
    ];
    for (what, fate, lossless) in fates {
        let mut world = at(SPEC, "step 6 begins");
        world.weather.copies = fate;
        world.run(Duration::from_secs(35));
        assert_eq!(rolled_back(&mut world), lossless, "{what}");

        let mut world = at(SPEC, "step 4 begins");
        world.weather.copies = fate;
        world.run(Duration::from_secs(25));
        world.weather.copies = |_| {};
        world.until("step 6 begins");
        world.run(Duration::from_secs(35));
        assert!(rolled_back(&mut world), "{what}, told to the client before promotion");
    }
}

/// Scenario: the candidate fails, and what is mirrored back is refused, for the first time since accounts were recorded.
/// Guarantee: what the verdict puts on the record counts.
#[test]
fn the_last_accounts_count() {
    for (fate, lossless) in [(refused as Fate, false), (|_| {}, true)] {
        let mut world = at(SPEC, "step 6 begins");
        world.weather.copies = fate;
        world.weather.to_fails = 0.5;
        world.until("ROLLBACK");
        assert_eq!(said(&mut world), lossless);
    }
}

fn refused(row: &mut LedgerRow) {
    row.received += 3;
    row.rejected += 3;
}

/// What befalls the accounts of what is mirrored back.
type Fate = fn(&mut LedgerRow);

fn copies_dropped(row: &mut LedgerRow) {
    row.received += 3;
    row.shed += 3;
    row.shed_untrusted += 3;
}

/// Scenario: a gateway is killed, or struck, before promotion or after it.
/// Guarantee: what it held to be mirrored back is unknown, and that is not called lossless.
#[test]
fn accounts_that_end_in_a_gap() {
    for (line, lossless) in [("step 4 begins", true), ("step 6 begins", false)] {
        let mut world = at(SPEC, line);
        world.kill_gateway(1);
        world.until("step 6 begins");
        world.run(Duration::from_secs(5));
        assert_eq!(rolled_back(&mut world), lossless, "killed after {line}");
    }
    let mut world = at(SPEC, "step 6 begins");
    world.gateways[1].silent = true;
    let strike = Command::Strike { gateway: gateway_id("gw-2"), reason: "it burned down".to_owned() };
    world.command(strike).unwrap();
    assert!(!rolled_back(&mut world), "struck after promotion");
}
