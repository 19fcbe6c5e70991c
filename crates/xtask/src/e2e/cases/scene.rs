//! What the cases with Crossfade have in common: two environments, a site between them, `serve`, and clients that send
//! through its gateway.

use crate::e2e::Ground;
use crate::e2e::client::{Sdk, Traffic, load};
use crate::e2e::crossfade::Site;
use crate::e2e::owner::Cuts;
use crate::e2e::record::Record;
use crate::e2e::stack::Environment;
use crate::rig::process::Process;
use crate::rig::wait;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Duration;

pub(super) const STARTUP: Duration = Duration::from_secs(120);
/// Until what was sent last can be read from a Jaeger.
pub(super) const READABLE: Duration = Duration::from_secs(120);
/// For a whole rollout of the short specs, on a machine that is busy.
pub(super) const ROLLOUT: Duration = Duration::from_secs(300);

/// Everything of one case.
pub(super) struct Scene {
    pub(super) blue: Environment,
    pub(super) green: Environment,
    pub(super) site: Site,
    pub(super) serve: Process,
}

/// Both SDKs, and telemetrygen for load.
pub(super) struct Clients {
    sdks: [Sdk; 2],
    load: Process,
}

impl Scene {
    /// Starts everything but the clients; `green` is laid over green's Collector.
    pub(super) fn start(ground: &Ground, green: &[&str]) -> Result<Self> {
        let blue = Environment::start("blue", &ground.dir, &[])?;
        let green = Environment::start("green", &ground.dir, green)?;
        let site = Site::init(&blue, &green, ground)?;
        let serve = site.serve()?;
        Ok(Self { blue, green, site, serve })
    }

    /// Starts the clients, and waits until both SDKs have been answered.
    pub(super) fn clients(&self, dir: &Path) -> Result<Clients> {
        let traffic = Traffic::default();
        let mut sdks = [Sdk::python(self.site.grpc, traffic, dir)?, Sdk::node(self.site.http, traffic, dir)?];
        let load = load(self.site.grpc, 20, 600, dir)?;
        sdks.iter_mut().try_for_each(|sdk| sdk.until_exported(3, STARTUP))?;
        Ok(Clients { sdks, load })
    }

    /// Waits until so many cuts have been committed.
    pub(super) fn cuts(&self, count: usize) -> Result<()> {
        wait::until(&format!("cut {count}"), ROLLOUT, || {
            let cuts = self.site.log()?.iter().filter(|entry| entry.kind == "CutCommitted").count();
            Ok((cuts >= count).then_some(()))
        })
        .with_context(|| self.site.told())
    }

    /// Waits until green holds a trace that it owns by a committed cut.
    pub(super) fn green_holds_its_own(&self, clients: &Clients) -> Result<()> {
        self.cuts(1)?;
        let cuts = Cuts::of(&self.site.log()?)?;
        wait::until("green to hold a trace that it owns", STARTUP, || {
            for record in clients.sdks.iter().filter_map(Sdk::so_far) {
                for id in record.traces.keys() {
                    let began = began(&record, id);
                    if cuts.green_owns(id, began)? && !self.green.query.trace(id)?.is_empty() {
                        return Ok(Some(()));
                    }
                }
            }
            Ok(None)
        })
    }

    /// Waits for the end of the rollout, which must be this one, in the words of the log.
    pub(super) fn ends(&self, how: &str, limit: Duration) -> Result<()> {
        let end = self.site.ended(limit)?;
        ensure!(end == how, "the rollout ended as {end}\n{}", self.site.told());
        Ok(())
    }

    /// Asks `serve` to end, which it must do well: with nothing queued.
    pub(super) fn drained(self) -> Result<Site> {
        let status = self.serve.terminate(STARTUP)?;
        ensure!(status.success(), "serve ended with {status}");
        Ok(self.site)
    }
}

impl Clients {
    /// Ends the clients, none of which may have seen a failure; what both SDKs recorded.
    pub(super) fn finish_unharmed(mut self) -> Result<Record> {
        // telemetrygen ends at its first export that fails.
        ensure!(self.load.runs()?, "telemetrygen has ended:\n{}", self.load.tail(5));
        let record = self.finish()?;
        ensure!(record.failed_exports == 0, "{} exports failed", record.failed_exports);
        Ok(record)
    }

    /// Ends the clients; what both SDKs recorded.
    pub(super) fn finish(self) -> Result<Record> {
        let [python, node] = self.sdks;
        drop(self.load);
        let mut record = python.finish()?;
        record.join(node.finish()?);
        ensure!(record.traces.len() >= 100, "only {} traces were recorded", record.traces.len());
        Ok(record)
    }
}

/// When a recorded trace began: the start of its root.
pub(super) fn began(record: &Record, trace: &str) -> u64 {
    let spans = record.traces[trace].values();
    let root = spans.clone().find(|span| span.parent.is_empty()).map(|span| span.start);
    // A trace whose root was never ended; its first span is the best that is known.
    root.or_else(|| spans.map(|span| span.start).min()).unwrap_or(0)
}
