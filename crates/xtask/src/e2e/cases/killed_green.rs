//! *Scenario.* Green's Collector is killed while green owns 25 % of the traces.
//! *Guarantee.* Without a person green is fenced off within seconds and the rollout rolls back; the SDKs see no failure, and are not told to
//! try again; and every span that was ever sent is in blue, telemetrygen's too, and was delivered there once.

use super::now;
use super::scene::{ROLLOUT, Scene, only_cut};
use crate::e2e::Ground;
use crate::e2e::stack::End;
use crate::e2e::whole::Demand;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// "Within seconds", on a machine where two cores carry everything.
const SECONDS: Duration = Duration::from_secs(30);

pub(super) fn run(ground: &Ground) -> Result<String> {
    let mut scene = Scene::start(ground, &[])?;
    let clients = scene.clients(&ground.dir)?;
    scene.site.start_with("rollout-interrupted.yaml", &[("at_25", "10m")])?;
    scene.green_holds_its_own(&clients)?;

    let killed = now()?;
    scene.green.end_collector(End::Killed)?;
    scene.ends("RolledBack", ROLLOUT)?;
    let log = scene.site.log()?;
    only_cut(&log, killed)?;
    let fence = log.iter().find(|entry| entry.kind == "Fenced").context("green was not fenced off")?;
    let fenced = fence.event["fence"]["at"].as_str().and_then(|at| at.parse::<u64>().ok());
    let took = fenced.and_then(|at| at.checked_sub(killed)).context("the fence comes after the kill")?;
    let took = Duration::from_nanos(took);
    ensure!(took <= SECONDS, "green was fenced off {took:?} after the kill");

    let sent = clients.finish_unharmed()?;
    let whole = scene.demand_blue(&sent, Demand::All)?;
    scene.all_delivered(&sent)?;
    scene.site.verify()?;
    Ok(format!(
        "fenced off after {:.1} s and rolled back; {whole} traces whole in blue, {} more, counted",
        took.as_secs_f64(),
        sent.load
    ))
}
