//! The harness itself, without Crossfade.
//!
//! *Scenario.* Both SDKs and telemetrygen send straight to blue's Collector for a while; green's Collector drops every
//! span of kind CLIENT and gets the same clients' traffic in a second round. In a third, blue's Collector goes away.
//! *Guarantee.* Every recorded trace is found whole in blue, nothing of it in green; from the green that drops spans,
//! exactly the traces with a CLIENT span are told as torn; and a client whose exports fail says so, for just the spans
//! that were not stored, and that it was told to try again. So neither a pass nor a failure of the other cases is an accident of the harness.

use crate::e2e::Ground;
use crate::e2e::client::{Load, Sdk, Traffic};
use crate::e2e::record::{Export, Record};
use crate::e2e::stack::{End, Environment};
use crate::e2e::whole::{Demand, LOAD, demand_load, demand_whole, missing};
use crate::rig::{listens, wait};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;

const STARTUP: Duration = Duration::from_secs(120);
const READABLE: Duration = Duration::from_secs(120);

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    let mut blue = Environment::start("blue", dir, &[])?;
    let mut green = Environment::start("green", dir, &["drops-client.yaml"])?;
    let whole = round_one(&blue, &green, &folder(dir, "to-blue")?)?;
    let torn = round_two(&green, &folder(dir, "to-green")?)?;
    green.end_collector(End::Killed)?;
    ensure!(!listens(green.grpc), "a killed Collector still listens");
    let failed = round_three(&mut blue, &folder(dir, "to-nobody")?)?;
    Ok(format!("{whole} traces whole, {torn} torn as they should be, {failed} failed spans told"))
}

/// Everything arrives in blue, and nothing elsewhere.
fn round_one(blue: &Environment, green: &Environment, dir: &Path) -> Result<usize> {
    let load = Load::start(blue.grpc, dir)?;
    let record = send(blue, dir)?;
    demand_load("blue", blue.query, load.finish()?, READABLE)?;
    ensure!(record.failed_exports == 0, "{} exports failed", record.failed_exports);
    ensure!(record.retries == 0, "{} exports were tried again", record.retries);
    let whole = demand_whole("blue", &record, blue.query, Demand::All, READABLE)?;
    let elsewhere = missing(&record, green.query, Demand::All, Duration::ZERO, |_| true)?;
    ensure!(elsewhere.absent.len() == record.traces.len(), "green holds traces that it was never sent");
    ensure!(green.query.traces_of(LOAD)?.is_empty(), "green holds load that it was never sent");
    Ok(whole.traces_checked)
}

/// A dropped span tears its trace, and no other.
fn round_two(green: &Environment, dir: &Path) -> Result<usize> {
    let record = send(green, dir)?;
    let expected =
        record.traces.values().filter(|spans| spans.values().any(|span| span.kind == "CLIENT")).count();
    ensure!(expected > 0, "no trace has a span of kind CLIENT, so nothing is shown");
    let mut last = String::new();
    let torn = wait::until("the rest of each trace", READABLE, || {
        let found = missing(&record, green.query, Demand::All, Duration::ZERO, |_| true)?;
        last = format!("{expected} traces lost a CLIENT span, found were {found}");
        Ok((found.torn.len() == expected && found.absent.is_empty()).then_some(expected))
    });
    torn.context(last)
}

/// What was acknowledged is stored; what was not is told as failed.
fn round_three(blue: &mut Environment, dir: &Path) -> Result<usize> {
    let traffic = Traffic { timeout: 4, ..Traffic::default() };
    let mut clients = [Sdk::python(blue.grpc, traffic, dir)?, Sdk::node(blue.http, traffic, dir)?];
    clients.iter_mut().try_for_each(|client| client.until_exported(4, STARTUP))?;
    blue.end_collector(End::Drained)?;
    let failing = |client: &mut Sdk| {
        client.until("failing exports", STARTUP, |record| record.failed_exports > 0 && record.retries > 0)
    };
    clients.iter_mut().try_for_each(failing)?;
    let record = finish(clients)?;
    demand_whole("acknowledged", &record, blue.query, Demand::Acknowledged, READABLE)?;
    let all = missing(&record, blue.query, Demand::All, Duration::ZERO, |_| true)?;
    ensure!(!all.is_nothing(), "spans whose export failed are stored all the same");
    blue.start_collector()?;
    Ok(record.spans(Export::Failed))
}

/// Both SDKs for a few exports each.
fn send(environment: &Environment, dir: &Path) -> Result<Record> {
    let traffic = Traffic { longest: 1.0, ..Traffic::default() };
    let mut clients =
        [Sdk::python(environment.grpc, traffic, dir)?, Sdk::node(environment.http, traffic, dir)?];
    clients.iter_mut().try_for_each(|client| client.until_exported(8, STARTUP))?;
    finish(clients)
}

/// What both recorded, once both have said good-bye.
fn finish([python, node]: [Sdk; 2]) -> Result<Record> {
    let mut record = python.finish()?;
    record.join(node.finish()?);
    Ok(record)
}

fn folder(dir: &Path, name: &str) -> Result<PathBuf> {
    let folder = dir.join(name);
    std::fs::create_dir(&folder)?;
    Ok(folder)
}
