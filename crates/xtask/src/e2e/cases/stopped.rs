//! *Scenario.* Green's Collector drops every span of kind CLIENT, by a `filter` processor that knows nothing of the probe.
//! *Guarantee.* Drift stops the rollout; with the difference declared drift passes, and the probe stops it. Either way no
//! trace has moved: green was sent nothing but probes, and blue has everything.

use super::scene::{READABLE, ROLLOUT, Scene};
use crate::e2e::Ground;
use crate::e2e::crossfade::Entry;
use crate::e2e::whole::{Demand, demand_whole, missing};
use crate::rig::wait;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

pub(super) fn run(ground: &Ground) -> Result<String> {
    let scene = Scene::start(ground, &["drops-client.yaml"])?;
    let clients = scene.clients(&ground.dir)?;

    scene.site.start("rollout-undeclared.yaml")?;
    ended_by(&scene, 1, "drift")?;
    scene.site.start("rollout-declared.yaml")?;
    ended_by(&scene, 2, "probe")?;
    let log = scene.site.log()?;
    ensure!(outcome(&log, 2, "drift")? == "pass", "drift did not let a declared difference pass");
    ensure!(log.iter().all(|entry| entry.kind != "CutAnnounced"), "a cut was announced");

    let record = clients.finish_unharmed()?;
    let whole = demand_whole("blue", &record, scene.blue.query, Demand::All, READABLE)?;
    let green = missing(&record, scene.green.query, Demand::All, Duration::ZERO, |_| true)?;
    ensure!(green.absent.len() == record.traces.len(), "green holds live traces: {green}");
    scene.site.verify()?;
    Ok(format!("stopped twice, {} traces whole in blue", whole.traces_checked))
}

/// Waits for the end of the given attempt, counted from 1, and demands that this gate ended it.
fn ended_by(scene: &Scene, attempt: usize, gate: &str) -> Result<()> {
    wait::until("the rollout to be aborted", ROLLOUT, || {
        let aborted = scene.site.log()?.iter().filter(|entry| entry.kind == "Aborted").count();
        Ok((aborted >= attempt).then_some(()))
    })?;
    let outcome = outcome(&scene.site.log()?, attempt, gate)?;
    ensure!(outcome == "fail", "the {gate} gate said {outcome}");
    Ok(())
}

/// What a gate said in an attempt.
fn outcome(log: &[Entry], attempt: usize, gate: &str) -> Result<String> {
    let drafts = log.iter().filter(|entry| entry.kind == "RolloutDrafted");
    let draft =
        drafts.map(|entry| &entry.event["rollout"]).nth(attempt - 1).context("an attempt was drafted")?;
    let finished = log.iter().rev().find(|entry| {
        entry.kind == "GateFinished" && entry.event["gate"] == gate && entry.event["rollout"] == *draft
    });
    let outcome = &finished.with_context(|| format!("the {gate} gate has not looked"))?.event["outcome"];
    Ok(outcome.as_str().context("a gate has an outcome")?.to_owned())
}
