//! *Scenario.* A rollout from YAML goes mirror, 25 %, 100 %, promote, bake, finalize, through `serve` and commands of their own,
//! while SDKs of two languages and telemetrygen send through the gateway, with traces that live across every cut.
//! *Guarantee.* It is finalized; no client saw a failure; every recorded trace is whole in its owner, worked out from the
//! committed cuts alone and read from the owner's store alone; and the log verifies.

use super::scene::{READABLE, ROLLOUT, Scene, began};
use crate::e2e::Ground;
use crate::e2e::owner::Cuts;
use crate::e2e::record::{Record, TraceId};
use crate::e2e::whole::{Demand, missing};
use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long after a cut, and how long before one, the start of a root must lie for its trace to be in its owner alone,
/// by the windows of the spec: overlap and skew after it; the longest trace and skew before it.
const AFTER: u64 = 6_000_000_000;
const BEFORE: u64 = 5_000_000_000;

pub(super) fn run(ground: &Ground) -> Result<String> {
    let scene = Scene::start(ground, &[])?;
    let clients = scene.clients(&ground.dir)?;
    scene.site.start("rollout-promoted.yaml")?;
    scene.ends("Finalized", ROLLOUT)?;
    let record = clients.finish_unharmed()?;

    let cuts = Cuts::of(&scene.site.log()?)?;
    ensure!(cuts.cuts.len() == 2, "two cuts were planned, {} committed", cuts.cuts.len());
    let green_owned = owned_by_green(&record, &cuts)?;
    let in_green = missing(&record, scene.green.query, Demand::All, READABLE, |id| green_owned.contains(id))?;
    ensure!(in_green.is_nothing(), "of what green owns: {in_green}");
    let in_blue = missing(&record, scene.blue.query, Demand::All, READABLE, |id| !green_owned.contains(id))?;
    ensure!(in_blue.is_nothing(), "of what blue owns: {in_blue}");

    let straddling = not_in_vain(&scene, &record, &cuts, &green_owned)?;
    agrees(&scene, &record, &green_owned)?;
    let site = scene.drained()?;
    site.verify()?;
    let (green, blue) = (in_green.traces_checked, in_blue.traces_checked);
    Ok(format!("{green} traces whole in green, {blue} in blue, {straddling} across a cut"))
}

fn owned_by_green(record: &Record, cuts: &Cuts) -> Result<BTreeSet<TraceId>> {
    let mut owned = BTreeSet::new();
    for id in record.traces.keys() {
        if cuts.green_owns(id, began(record, id))? {
            owned.insert(id.clone());
        }
    }
    Ok(owned)
}

/// The traces live across cuts, green owns some of the 25 % step, and what it does not own there it was not sent.
fn not_in_vain(scene: &Scene, record: &Record, cuts: &Cuts, green: &BTreeSet<TraceId>) -> Result<usize> {
    let (first, second) = (cuts.cuts[0].0, cuts.cuts[1].0);
    let across = |id: &&TraceId| {
        let spans = record.traces[*id].values();
        let (start, end) = (began(record, id), spans.map(|span| span.end).max().unwrap_or(0));
        [first, second].iter().any(|cut| start < *cut && *cut < end)
    };
    let straddling = record.traces.keys().filter(across).count();
    ensure!(straddling >= 20, "only {straddling} traces live across a cut");
    let between = |id: &&TraceId| {
        let start = began(record, id);
        start > first + AFTER && start + BEFORE < second
    };
    let quiet: Vec<_> = record.traces.keys().filter(between).collect();
    let owned = quiet.iter().filter(|id| green.contains(**id)).count();
    ensure!(owned >= 5, "green owns only {owned} of {} traces far from the cuts", quiet.len());
    let not_owned: BTreeSet<_> = quiet.into_iter().filter(|id| !green.contains(*id)).collect();
    let absent =
        missing(record, scene.green.query, Demand::All, Duration::ZERO, |id| not_owned.contains(id))?;
    ensure!(
        absent.absent.len() * 2 > not_owned.len(),
        "green was sent most of the {} traces that blue owns far from the cuts",
        not_owned.len()
    );
    Ok(straddling)
}

/// The program says the same of a few traces.
fn agrees(scene: &Scene, record: &Record, green: &BTreeSet<TraceId>) -> Result<()> {
    for id in record.traces.keys().step_by(record.traces.len() / 5) {
        let told = scene.site.locate(id, began(record, id))?;
        let owner = if green.contains(id) { "green" } else { "blue" };
        ensure!(told == owner, "`trace locate` says {told} of {id}, by the cuts it is {owner}");
    }
    Ok(())
}
