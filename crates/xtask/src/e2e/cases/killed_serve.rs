//! *Scenario.* `serve`, gateway and control plane in one process, is killed with -9 in the middle of the 25 % step, while copies
//! are in flight to a green whose Collector has stopped answering. The Collector dies, too, so that none of them arrives. Both are
//! started again.
//! *Guarantee.* The rollout goes on from the log and is finalized in the end; the log verifies; every span whose export was
//! acknowledged is whole in blue, telemetrygen's too, as long as blue is kept whole; green lacks some of the traces that it owns,
//! and every one of them was in flight at the kill, which is declared as a gap: from the last accounts that there are to the restart.

use super::now;
use super::scene::{ROLLOUT, STARTUP, Scene, began, only_cut};
use crate::e2e::Ground;
use crate::e2e::owner::Cuts;
use crate::e2e::record::{Record, TraceId};
use crate::e2e::stack::End;
use crate::e2e::whole::{Demand, missing};
use crate::rig::wait;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::time::Duration;

pub(super) fn run(ground: &Ground) -> Result<String> {
    let mut scene = Scene::start(ground, &[])?;
    let clients = scene.clients(&ground.dir)?;
    scene.site.start_with("rollout-interrupted.yaml", &[("at_25", "40s")])?;
    scene.green_holds_its_own(&clients)?;
    let before = scene.site.log()?.len();

    // Green answers nothing for a moment, so that copies are in flight when the kill comes.
    let stopped = now()?;
    scene.green.signal_collector("STOP")?;
    let in_flight = wait::until("copies in flight to green", STARTUP, || {
        Ok(Some(scene.ledger("green", "queued")?).filter(|spans| *spans >= SPANS_IN_FLIGHT))
    })?;
    let killed = now()?;
    scene.serve.kill()?;
    // What it had been sent lies unread in its sockets.
    scene.green.end_collector(End::Killed)?;
    scene.green.start_collector()?;
    scene.site.verify()?;
    only_cut(&scene.site.log()?, killed)?;
    scene.serve = scene.site.serve()?;
    scene.site.entry(STARTUP, "a declared gap", |entry| entry.kind == GAP)?;
    let restarted = now()?;
    let log = scene.site.log()?;
    ensure!(log.len() >= before, "the log had {before} entries, and has {}", log.len());

    // The steps go on by themselves up to the pause, which waits for a person.
    scene.cuts(2)?;
    let sent = clients.finish()?;
    let whole = scene.demand_blue(&sent, Demand::Acknowledged)?;
    let gap = declared_gap(&scene)?;
    ensure!(
        gap.from <= killed && gap.until >= killed && gap.until <= restarted && gap.from + ACCOUNTS >= killed,
        "killed at {killed}, back at {restarted}: {gap:?}"
    );
    let lacking = lacking(&scene, &sent.record)?;
    ensure!(!lacking.is_empty(), "{in_flight} spans were in flight to green, and it lacks none");
    for id in &lacking {
        let spans = sent.record.traces[id].values();
        let began = spans.clone().map(|span| span.start).min().unwrap_or(0);
        let ended = spans.map(|span| span.end).max().unwrap_or(0);
        ensure!(
            began <= gap.until && ended + IN_QUEUE >= gap.from.min(stopped),
            "green owns {id}, lacks some of it, and it ran from {began} to {ended}, outside of the gap {gap:?}"
        );
    }

    scene.site.demand(&["rollout", "promote", "--full"])?;
    scene.ends("Finalized", ROLLOUT)?;
    scene.site.verify()?;
    scene.drained()?;
    Ok(format!(
        "{whole} acknowledged traces whole in blue, {} more, counted; {in_flight} spans in flight to green at the kill; 1 gap declared, and the {} traces that green owns and lacks lie in it",
        sent.load,
        lacking.len()
    ))
}

/// How many spans must be on their way to green, queued or sent and not answered, when the kill comes.
const SPANS_IN_FLIGHT: u64 = 50;

/// Until what green will ever have can be read there; it lacks some, so this long it is waited for.
const SETTLED: Duration = Duration::from_secs(30);

/// How long a copy may have waited in the queue before it was noted, in nanoseconds.
const IN_QUEUE: u64 = 10_000_000_000;

/// How old the last accounts may be: they are noted every half a minute, and on a machine that is busy a little later.
const ACCOUNTS: u64 = 45_000_000_000;

const GAP: &str = "LedgerGapDeclared";

/// From the last accounts of the killed gateway to the first of the next one, in nanoseconds.
#[derive(Debug)]
struct Gap {
    from: u64,
    until: u64,
}

/// The gap, of which there must be exactly one, with the last accounts of both environments: whatever each got is somewhere.
fn declared_gap(scene: &Scene) -> Result<Gap> {
    let log = scene.site.log()?;
    let gaps: Vec<_> = log.iter().filter(|entry| entry.kind == GAP).collect();
    let [gap] = gaps.as_slice() else { bail!("{} gaps are declared for the one kill", gaps.len()) };
    let time = |field: &str| {
        let time = gap.event[field].as_str().and_then(|time| time.parse().ok());
        time.with_context(|| format!("a declared gap has `{field}`"))
    };
    let rows = gap.event["last_known"].as_array().context("a declared gap has its last accounts")?;
    for environment in ["blue", "green"] {
        let received =
            rows.iter().filter(|row| row["environment"] == environment).map(|row| spans(row, "received"));
        ensure!(
            received.sum::<Result<u64>>()? > 0,
            "the last accounts know nothing of {environment}: {rows:?}"
        );
    }
    for row in rows {
        let fates = FATES.iter().map(|fate| spans(row, fate)).sum::<Result<u64>>()?;
        ensure!(fates == spans(row, "received")?, "an account does not balance: {row}");
    }
    Ok(Gap { from: time("from")?, until: time("until")? })
}

/// What can become of a span, as the ledger tells it.
const FATES: [&str; 6] = ["delivered", "rejected", "returned", "shed", "indeterminate", "queued"];

fn spans(row: &Value, column: &str) -> Result<u64> {
    let spans = row[column].as_str().and_then(|text| text.parse().ok());
    spans.with_context(|| format!("an account has `{column}`: {row}"))
}

/// The traces that green owns by the cuts and lacks, or lacks some of.
fn lacking(scene: &Scene, record: &Record) -> Result<Vec<TraceId>> {
    let cuts = Cuts::of(&scene.site.log()?)?;
    let owned = |id: &TraceId| cuts.green_owns(id, began(record, id)).unwrap_or(true);
    let missing = missing(record, scene.green.query, Demand::Acknowledged, SETTLED, owned)?;
    Ok(missing.absent.into_iter().chain(missing.torn.into_iter().map(|(id, _)| id)).collect())
}
