//! *Scenario.* Green's Collector is killed while green owns 25 % of the traces.
//! *Guarantee.* Without a person the rollout rolls back within seconds; the SDKs see no failure; and every span that was ever
//! sent is in blue.

use super::scene::{READABLE, Scene};
use crate::e2e::Ground;
use crate::e2e::stack::End;
use crate::e2e::whole::{Demand, demand_whole};
use anyhow::Result;
use std::time::{Duration, Instant};

/// "Within seconds", on a machine where two cores carry everything.
const SECONDS: Duration = Duration::from_secs(60);

pub(super) fn run(ground: &Ground) -> Result<String> {
    let mut scene = Scene::start(ground, &[])?;
    let clients = scene.clients(&ground.dir)?;
    scene.site.start("rollout-interrupted.yaml")?;
    scene.green_holds_its_own(&clients)?;

    let killed = Instant::now();
    scene.green.end_collector(End::Killed)?;
    scene.ends("RolledBack", SECONDS)?;
    let took = killed.elapsed();

    let record = clients.finish_unharmed()?;
    let whole = demand_whole("blue", &record, scene.blue.query, Demand::All, READABLE)?;
    scene.site.verify()?;
    Ok(format!(
        "rolled back after {:.1} s, {} traces whole in blue",
        took.as_secs_f64(),
        whole.traces_checked
    ))
}
