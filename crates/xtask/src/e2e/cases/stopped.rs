//! *Scenario.* Green's Collector drops every span of kind CLIENT, by a `filter` processor that knows nothing of the probe.
//! *Guarantee.* Drift stops the rollout, because of the filter; with the difference declared drift passes, and the probe stops it, because
//! of the spans of kind CLIENT that it lacks. Either way no trace has moved: green was sent nothing but probes, and blue has everything.

use super::gates::rules;
use super::scene::{ROLLOUT, Scene};
use crate::e2e::Ground;
use crate::e2e::crossfade::Entry;
use crate::e2e::whole::{Demand, LOAD, missing};
use crate::rig::wait;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) fn run(ground: &Ground) -> Result<String> {
    let scene = Scene::start(ground, &["drops-client.yaml"])?;
    let clients = scene.clients(&ground.dir)?;

    scene.site.start("rollout-undeclared.yaml")?;
    let found = ended_by(&scene, 1, "drift")?;
    ensure!(rules(&found).contains("filter_changed"), "drift found {found:#}");
    scene.site.start("rollout-declared.yaml")?;
    let found = ended_by(&scene, 2, "probe")?;
    let kinds = &found["facts"]["traces"]["summary"]["missing_kinds"];
    ensure!(rules(&found).contains("missing_spans"), "the probe found {found:#}");
    ensure!(*kinds == json!({ "CLIENT": PROBES }), "the probe misses spans of {kinds}");
    let log = scene.site.log()?;
    let drift = finished(&log, 2, "drift")?;
    ensure!(drift.event["outcome"] == "pass", "drift did not let a declared difference pass");
    ensure!(log.iter().all(|entry| entry.kind != "CutAnnounced"), "a cut was announced");

    let sent = clients.finish_unharmed()?;
    let whole = scene.demand_blue(&sent, Demand::All)?;
    scene.all_delivered(&sent)?;
    let green = missing(&sent.record, scene.green.query, Demand::All, Duration::ZERO, |_| true)?;
    ensure!(green.absent.len() == sent.record.traces.len(), "green holds live traces: {green}");
    let services = scene.green.query.services()?;
    let live = services.iter().find(|name| ["checkout", "inventory", LOAD].contains(&&***name));
    ensure!(live.is_none(), "green holds spans of {live:?}: {services:?}");
    scene.site.verify()?;
    Ok(format!("stopped twice, {whole} traces whole in blue, {} more, counted", sent.load))
}

/// The traces of `rollout-declared.yaml`'s probe, each of which has a span of kind CLIENT.
const PROBES: usize = 20;

/// Waits for the end of the given attempt, counted from 1, and demands that this gate ended it, and no other; what it reported.
fn ended_by(scene: &Scene, attempt: usize, gate: &str) -> Result<Value> {
    wait::until("the rollout to be aborted", ROLLOUT, || {
        let aborted = scene.site.log()?.iter().filter(|entry| entry.kind == "Aborted").count();
        Ok((aborted >= attempt).then_some(()))
    })?;
    let log = scene.site.log()?;
    let started = log.iter().filter(|entry| entry.kind == "AbortStarted").nth(attempt - 1);
    let started = &started.context("an abort was started")?.event;
    let reason = json!({ "cause": "gate", "gate": gate, "outcome": "fail" });
    let finished = finished(&log, attempt, gate)?;
    ensure!(
        started["reason"] == reason && started["rollout"] == finished.event["rollout"],
        "the {gate} gate did not abort this: {started}"
    );
    scene.site.report(finished)
}

/// What the log says of a gate's look in an attempt.
fn finished<'a>(log: &'a [Entry], attempt: usize, gate: &str) -> Result<&'a Entry> {
    let drafts = log.iter().filter(|entry| entry.kind == "RolloutDrafted");
    let draft =
        drafts.map(|entry| &entry.event["rollout"]).nth(attempt - 1).context("an attempt was drafted")?;
    let finished = log.iter().rev().find(|entry| {
        entry.kind == "GateFinished" && entry.event["gate"] == gate && entry.event["rollout"] == *draft
    });
    finished.with_context(|| format!("the {gate} gate has not looked"))
}
