//! *Scenario.* `serve`, gateway and control plane in one process, is killed with -9 in the middle of the 25 % step, while copies
//! are in flight to a green that has stopped answering, and started again.
//! *Guarantee.* The rollout goes on from the log and is finalized in the end; the log verifies; every span whose export was
//! acknowledged is whole in blue, as long as blue is kept whole; and whatever green lacks of the traces that it owns was in
//! flight at the kill, which is declared as a gap.

use super::scene::{READABLE, ROLLOUT, STARTUP, Scene, began};
use crate::e2e::Ground;
use crate::e2e::owner::Cuts;
use crate::e2e::record::{Record, TraceId};
use crate::e2e::whole::{Demand, demand_whole, missing};
use crate::rig::wait;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::time::Duration;

pub(super) fn run(ground: &Ground) -> Result<String> {
    let mut scene = Scene::start(ground, &[])?;
    let clients = scene.clients(&ground.dir)?;
    scene.site.start("rollout-interrupted.yaml")?;
    scene.green_holds_its_own(&clients)?;
    let before = scene.site.log()?.len();

    // Green answers nothing for a moment, so that copies are in flight when the kill comes.
    scene.green.signal_collector("STOP")?;
    let in_flight = wait::until("copies in flight to green", STARTUP, || {
        Ok(Some(in_flight(&scene)?).filter(|spans| *spans >= SPANS_IN_FLIGHT))
    });
    scene.serve.kill()?;
    scene.green.signal_collector("CONT")?;
    let in_flight = in_flight?;
    scene.site.verify()?;
    scene.serve = scene.site.serve()?;
    let log = scene.site.log()?;
    ensure!(log.len() >= before, "the log had {before} entries, and has {}", log.len());

    // The steps go on by themselves up to the pause, which waits for a person.
    scene.cuts(2)?;
    let record = clients.finish()?;
    let whole = demand_whole("blue", &record, scene.blue.query, Demand::Acknowledged, READABLE)?;
    let gap = declared_gap(&scene)?;
    let lacking = lacking(&scene, &record)?;
    for id in &lacking {
        let spans = record.traces[id].values();
        let began = spans.clone().map(|span| span.start).min().unwrap_or(0);
        let ended = spans.map(|span| span.end).max().unwrap_or(0);
        ensure!(
            began <= gap.until && ended + IN_QUEUE >= gap.from,
            "green owns {id}, lacks some of it, and it ran from {began} to {ended}, outside of the gap {gap:?}"
        );
    }

    scene.site.demand(&["rollout", "promote", "--full"])?;
    scene.ends("Finalized", ROLLOUT)?;
    scene.site.verify()?;
    scene.drained()?;
    Ok(format!(
        "{} acknowledged traces whole in blue; {in_flight} spans in flight to green at the kill; 1 gap declared, and the {} traces that green owns and lacks lie in it",
        whole.traces_checked,
        lacking.len()
    ))
}

/// How many spans must be on their way to green, unanswered, when the kill comes.
const SPANS_IN_FLIGHT: u64 = 50;

/// Spans that the gateway holds for green: queued, or sent and not answered.
fn in_flight(scene: &Scene) -> Result<u64> {
    let told = scene.site.demand(&["gateway", "status", "-o", "json"])?;
    let told: Value = serde_json::from_str(&told).context("what `gateway status` says")?;
    let rows = told["ledger"].as_array().context("`gateway status` has a ledger")?;
    let of_green = rows.iter().filter(|row| row["environment"] == "green");
    Ok(of_green.filter_map(|row| row["queued"].as_str()?.parse::<u64>().ok()).sum())
}

/// Until what green will ever have can be read there; it lacks some, so this long it is waited for.
const SETTLED: Duration = Duration::from_secs(30);

/// How long a copy may have waited in the queue before it was noted, in nanoseconds.
const IN_QUEUE: u64 = 10_000_000_000;

/// From the last accounts of the killed gateway to the first of the next one, in nanoseconds.
#[derive(Debug)]
struct Gap {
    from: u64,
    until: u64,
}

/// The gap, of which there must be exactly one.
fn declared_gap(scene: &Scene) -> Result<Gap> {
    let log = scene.site.log()?;
    let gaps: Vec<_> = log.iter().filter(|entry| entry.kind == "LedgerGapDeclared").collect();
    let [gap] = gaps.as_slice() else { bail!("{} gaps are declared for the one kill", gaps.len()) };
    let time = |field: &str| {
        let time = gap.event[field].as_str().and_then(|time| time.parse().ok());
        time.with_context(|| format!("a declared gap has `{field}`"))
    };
    Ok(Gap { from: time("from")?, until: time("until")? })
}

/// The traces that green owns by the cuts and lacks, or lacks some of.
fn lacking(scene: &Scene, record: &Record) -> Result<Vec<TraceId>> {
    let cuts = Cuts::of(&scene.site.log()?)?;
    let owned = |id: &TraceId| cuts.green_owns(id, began(record, id)).unwrap_or(true);
    let missing = missing(record, scene.green.query, Demand::Acknowledged, SETTLED, owned)?;
    Ok(missing.absent.into_iter().chain(missing.torn.into_iter().map(|(id, _)| id)).collect())
}
