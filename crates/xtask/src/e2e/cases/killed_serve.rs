//! *Scenario.* `serve`, gateway and control plane in one process, is killed with -9 in the middle of the 25 % step, and started
//! again.
//! *Guarantee.* The rollout goes on from the log and is finalized in the end; the log verifies; every span whose export was
//! acknowledged is whole in blue, as long as blue is kept whole; and what the killed gateway held is declared as a gap.

use super::scene::{READABLE, ROLLOUT, Scene};
use crate::e2e::Ground;
use crate::e2e::whole::{Demand, demand_whole};
use anyhow::{Result, ensure};

pub(super) fn run(ground: &Ground) -> Result<String> {
    let mut scene = Scene::start(ground, &[])?;
    let clients = scene.clients(&ground.dir)?;
    scene.site.start("rollout-interrupted.yaml")?;
    scene.green_holds_its_own(&clients)?;
    let before = scene.site.log()?.len();

    scene.serve.kill()?;
    scene.site.verify()?;
    scene.serve = scene.site.serve()?;
    let log = scene.site.log()?;
    ensure!(log.len() >= before, "the log had {before} entries, and has {}", log.len());

    // The steps go on by themselves up to the pause, which waits for a person.
    scene.cuts(2)?;
    let record = clients.finish()?;
    let whole = demand_whole("blue", &record, scene.blue.query, Demand::Acknowledged, READABLE)?;

    scene.site.demand(&["rollout", "promote", "--full"])?;
    scene.ends("Finalized", ROLLOUT)?;
    scene.site.verify()?;
    let gaps = scene.site.log()?.iter().filter(|entry| entry.kind == "LedgerGapDeclared").count();
    ensure!(gaps > 0, "no gap is declared for the gateway that was killed");
    scene.drained()?;
    Ok(format!("{} acknowledged traces whole in blue, {gaps} gap declared", whole.traces_checked))
}
