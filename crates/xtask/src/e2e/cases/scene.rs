//! What the cases with Crossfade have in common: two environments, a site between them, `serve`, and clients that send
//! through its gateway.

use crate::e2e::Ground;
use crate::e2e::client::{Load, Sdk, Traffic};
use crate::e2e::crossfade::{Entry, Site};
use crate::e2e::owner::Cuts;
use crate::e2e::record::{Export, Record};
use crate::e2e::stack::Environment;
use crate::e2e::whole::{Demand, demand_load, demand_whole};
use crate::rig::process::Process;
use crate::rig::wait;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

pub(super) const STARTUP: Duration = Duration::from_secs(120);
/// Until what was sent last can be read from a Jaeger.
pub(super) const READABLE: Duration = Duration::from_secs(120);
/// For a whole rollout of the short specs, on a machine that is busy.
pub(super) const ROLLOUT: Duration = Duration::from_secs(300);

/// The step of `rollout-interrupted.yaml` at 25 %.
const AT_25: u64 = 1;

/// The longest that an export may take for nobody to be harmed: nowhere near the ten seconds after which an SDK gives up.
const LONGEST_EXPORT: Duration = Duration::from_secs(8);

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
    load: Load,
}

/// What they have sent.
pub(super) struct Sent {
    pub(super) record: Record,
    /// Traces of telemetrygen.
    pub(super) load: usize,
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
        let load = Load::start(self.site.grpc, dir)?;
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

    /// Demands that blue has all of it that is demanded, and all of telemetrygen's; how many recorded traces there are.
    pub(super) fn demand_blue(&self, sent: &Sent, demand: Demand) -> Result<usize> {
        let whole = demand_whole("blue", &sent.record, self.blue.query, demand, READABLE)?;
        demand_load("blue", self.blue.query, sent.load, READABLE)?;
        Ok(whole.traces_checked)
    }

    /// What the gateway's ledger says of an environment since the gateway was started: a column, over all generations.
    pub(super) fn ledger(&self, environment: &str, column: &str) -> Result<u64> {
        let told = self.site.demand(&["gateway", "status", "-o", "json"])?;
        let told: Value = serde_json::from_str(&told).context("what `gateway status` says")?;
        let rows = told["ledger"].as_array().context("`gateway status` has a ledger")?;
        let of_it = rows.iter().filter(|row| row["environment"] == environment);
        let spans = of_it.map(|row| row[column].as_str()?.parse::<u64>().ok());
        spans.sum::<Option<u64>>().with_context(|| format!("the ledger counts what is {column}"))
    }

    /// Demands of the ledger that nothing was given back to a client, to be sent again.
    pub(super) fn nothing_returned(&self) -> Result<()> {
        for environment in ["blue", "green"] {
            let returned = self.ledger(environment, "returned")?;
            ensure!(returned == 0, "{returned} spans for {environment} were given back to their clients");
        }
        Ok(())
    }

    /// Demands of the ledger that blue was sent everything, once, and took it.
    pub(super) fn all_delivered(&self, sent: &Sent) -> Result<()> {
        self.nothing_returned()?;
        let spans = u64::try_from(sent.record.spans(Export::Acknowledged) + 2 * sent.load)?;
        for column in ["received", "delivered"] {
            let counted = self.ledger("blue", column)?;
            ensure!(counted == spans, "of {spans} spans that were sent, {counted} are {column} for blue");
        }
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
    /// Ends the clients, none of which may have seen a failure, nor been told to try again.
    pub(super) fn finish_unharmed(self) -> Result<Sent> {
        let sent = self.finish()?;
        let Record { failed_exports, retries, longest_export, .. } = sent.record;
        ensure!(
            failed_exports == 0 && retries == 0,
            "{failed_exports} exports failed, after {retries} retries"
        );
        ensure!(longest_export <= LONGEST_EXPORT, "an export took {longest_export:?}");
        Ok(sent)
    }

    /// Ends the clients.
    pub(super) fn finish(self) -> Result<Sent> {
        let [python, node] = self.sdks;
        self.load.stop()?;
        let mut record = python.finish()?;
        record.join(node.finish()?);
        ensure!(record.traces.len() >= 100, "only {} traces were recorded", record.traces.len());
        Ok(Sent { record, load: self.load.finish()? })
    }
}

/// Demands that one cut was committed in all, to 25 %, and that it had come by then.
pub(super) fn only_cut(log: &[Entry], by: u64) -> Result<()> {
    let committed = log.iter().filter(|entry| entry.kind == "CutCommitted").count();
    let cuts = Cuts::of(log)?.cuts;
    let at_25 = cuts.iter().all(|(at, weight)| *at <= by && *weight == 250_000);
    ensure!(
        committed == 1 && cuts.len() == 1 && at_25,
        "{committed} cuts, not one to 25 % before {by}: {cuts:?}"
    );
    let ended = log.iter().any(|entry| entry.kind == "StepEnded" && entry.event["step"] == AT_25);
    ensure!(!ended, "the step at 25 % had ended");
    Ok(())
}

/// When a recorded trace began: the start of its root.
pub(super) fn began(record: &Record, trace: &str) -> u64 {
    let spans = record.traces[trace].values();
    let root = spans.clone().find(|span| span.parent.is_empty()).map(|span| span.start);
    // A trace whose root was never ended; its first span is the best that is known.
    root.or_else(|| spans.map(|span| span.start).min()).unwrap_or(0)
}
