//! *Scenario.* A rollout from YAML goes mirror, 25 %, 100 %, promote, bake, finalize, through `serve` and commands of their own,
//! while SDKs of two languages and telemetrygen send through the gateway, with traces that live across every cut.
//! *Guarantee.* It is finalized; no client saw a failure, nor was told to try again; every trace is whole in its owner, worked out from
//! the committed cuts alone and read from the owner's store alone: each that was recorded, and as many as telemetrygen sent; and the
//! log verifies.

use super::scene::{READABLE, ROLLOUT, Scene, began};
use crate::e2e::Ground;
use crate::e2e::owner::Cuts;
use crate::e2e::record::{Record, TraceId};
use crate::e2e::whole::{Demand, LOAD, is_load, missing};
use crate::rig::wait;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
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
    let sent = clients.finish_unharmed()?;
    scene.nothing_returned()?;
    let record = sent.record;

    let cuts = Cuts::of(&scene.site.log()?)?;
    ensure!(cuts.cuts.len() == 2, "two cuts were planned, {} committed", cuts.cuts.len());
    let green_owned = owned_by_green(&record, &cuts)?;
    let in_green = missing(&record, scene.green.query, Demand::All, READABLE, |id| green_owned.contains(id))?;
    ensure!(in_green.is_nothing(), "of what green owns: {in_green}");
    let in_blue = missing(&record, scene.blue.query, Demand::All, READABLE, |id| !green_owned.contains(id))?;
    ensure!(in_blue.is_nothing(), "of what blue owns: {in_blue}");

    let load = load_in_owner(&scene, &cuts, sent.load)?;
    let straddling = not_in_vain(&scene, &record, &cuts, &green_owned)?;
    agrees(&scene, &record, &green_owned)?;
    let site = scene.drained()?;
    site.verify()?;
    let (green, blue) = (in_green.traces_checked, in_blue.traces_checked);
    Ok(format!(
        "{green} traces whole in green, {blue} in blue, {straddling} across a cut; {load} more, counted"
    ))
}

/// Waits until as many traces of telemetrygen as it sent are whole in their owners; how many.
fn load_in_owner(scene: &Scene, cuts: &Cuts, sent: usize) -> Result<usize> {
    let mut last = String::new();
    let found = wait::until("telemetrygen's traces", READABLE, || {
        let (blue, green) = (scene.blue.query.traces_of(LOAD)?, scene.green.query.traces_of(LOAD)?);
        let known: BTreeSet<_> = blue.keys().chain(green.keys()).collect();
        let mut whole = [0, 0];
        for id in &known {
            // Both of its spans start with the trace.
            let spans = blue.get(*id).into_iter().chain(green.get(*id)).flat_map(BTreeMap::values);
            let start = spans.map(|span| span.start).min().unwrap_or(0);
            let (nth, owner) = if cuts.green_owns(id, start)? { (1, &green) } else { (0, &blue) };
            whole[nth] += usize::from(owner.get(*id).is_some_and(is_load));
        }
        let [in_blue, in_green] = whole;
        let known = known.len();
        last = format!(
            "telemetrygen sent {sent} traces, stored are {known}: {in_blue} whole in blue, {in_green} in green"
        );
        ensure!(known <= sent, "{last}");
        Ok((in_blue + in_green == sent && in_blue > 0 && in_green > 0).then_some(sent))
    });
    found.context(last)
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
