//! Collects the gates' inputs, and lets the pure gates judge them. One module for each gate.

mod configs;
pub mod coverage;
pub mod dependencies;
pub mod drift;
mod gauge;
pub mod history;
mod live;
pub mod load;
pub mod parity;
pub mod posture;
pub mod probe;
pub mod reach;
mod sources;

use std::path::PathBuf;
use std::sync::Arc;

use crossfade_backends::spread::StartSpread;
use crossfade_gates::render;
use crossfade_gates::report::{Report, Verdict};
use crossfade_rollout::event::{Gate, Outcome, SeedSource};
use crossfade_rollout::plan::{Outline, Plan};
use crossfade_rollout::spec::{self, Moment};
use crossfade_rollout::units::Snapshots;
use crossfade_routing::{EnvironmentId, UnixNanos};

pub(crate) use self::configs::Unread;
pub use self::gauge::{Gauge, Reading};
pub(crate) use self::live::LiveRate;
use crate::clock;
use crate::site::{Environment, Site};

/// What a gate found.
#[derive(Debug, Clone)]
pub(crate) struct GateReport {
    pub(crate) outcome: Outcome,
    /// One line.
    pub(crate) summary: String,
    /// More lines, for people.
    pub(crate) details: Vec<String>,
    /// The whole report as JSON.
    pub(crate) evidence: Option<Vec<u8>>,
}

impl GateReport {
    pub(crate) fn no_verdict(why: &str) -> GateReport {
        GateReport {
            outcome: Outcome::NoVerdict,
            summary: why.to_owned(),
            details: Vec::new(),
            evidence: None,
        }
    }

    fn or_why(report: Result<Report, String>) -> GateReport {
        report.map_or_else(|why| GateReport::no_verdict(&why), |report| GateReport::of(&report))
    }

    fn of(report: &Report) -> GateReport {
        let outcome = match report.verdict() {
            Verdict::Pass => Outcome::Pass,
            Verdict::Fail => Outcome::Fail,
            Verdict::NoVerdict => Outcome::NoVerdict,
        };
        let details = render::text(report).lines().skip(1).map(str::to_owned).collect();
        GateReport { outcome, summary: report.summary.clone(), details, evidence: Some(report.evidence()) }
    }
}

/// Why the gates of a site cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GatesError {
    /// The key of redacted digests.
    #[error("cannot read {path}: run `crossfade init` first, or check the path")]
    RedactKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The gates of one site.
pub struct Gates {
    site: Arc<Site>,
    redact_key: Vec<u8>,
    live: LiveRate,
    posture_seen: posture::Seen,
}

/// What a gate looks at, and how. The same in a rollout, in a plan's dry run and on the command line.
#[derive(Debug, Clone)]
pub struct Cx<'a> {
    /// Where the environments are.
    pub site: &'a Site,
    /// The active environment.
    pub from: &'a EnvironmentId,
    /// The candidate.
    pub to: &'a EnvironmentId,
    /// The spec's `gates`.
    pub settings: &'a spec::Gates,
    /// What sampling derives from. In a rollout it follows from a checkpoint that is later than the gate's start.
    pub seed: u64,
    /// When in a rollout this is.
    pub moment: Moment,
    /// The time by which certificates, waivers and windows are judged.
    pub now: UnixNanos,
    /// Since when traffic is as it is: the beginning of the step, where there is one.
    pub since: Option<UnixNanos>,
    /// What clients send, in spans per second, if that is known.
    pub live: Option<u64>,
    /// Keys the digests that stand for secrets.
    pub redact_key: &'a [u8],
    /// Where the gate says how far it has come.
    pub gauge: Gauge,
}

impl Cx<'_> {
    /// The active environment.
    pub(crate) fn active(&self) -> Result<&Environment, String> {
        self.environment(self.from)
    }

    /// The candidate.
    pub(crate) fn candidate(&self) -> Result<&Environment, String> {
        self.environment(self.to)
    }

    fn environment(&self, id: &EnvironmentId) -> Result<&Environment, String> {
        self.site.environment(id).ok_or_else(|| format!("{id} is not an environment of this site"))
    }
}

impl Gates {
    /// With the site's key for redacted digests.
    ///
    /// # Errors
    /// If the key cannot be read.
    pub fn new(site: Arc<Site>) -> Result<Gates, GatesError> {
        let path = site.redact_key_file();
        let redact_key = std::fs::read(&path).map_err(|source| GatesError::RedactKey { path, source })?;
        Ok(Gates { site, redact_key, live: LiveRate::default(), posture_seen: posture::Seen::default() })
    }

    /// With another key: redacted digests are then comparable with those of the same key alone.
    pub fn with_key(site: Arc<Site>, redact_key: Vec<u8>) -> Gates {
        Gates { site, redact_key, live: LiveRate::default(), posture_seen: posture::Seen::default() }
    }

    /// Where the live rate is noted for those that ask for it.
    pub(crate) fn live(&self) -> &LiveRate {
        &self.live
    }

    /// What a gate of a rollout, or of a plan's dry run, looks at. `seed`: the checkpoint that sampling derives from; none in
    /// a dry run.
    pub(crate) fn cx<'a>(&'a self, plan: &'a Plan, moment: Moment, seed: Option<&SeedSource>) -> Cx<'a> {
        Cx {
            site: &self.site,
            from: &plan.outline.from,
            to: &plan.outline.to,
            settings: &plan.outline.gates,
            seed: seed_of(plan, seed),
            moment,
            now: clock::now(),
            since: None,
            live: self.live.get(),
            redact_key: &self.redact_key,
            gauge: Gauge::default(),
        }
    }

    /// Runs one gate.
    pub(crate) async fn run(&self, gate: Gate, cx: &Cx<'_>) -> GateReport {
        match gate {
            Gate::Drift => drift::run(cx).await,
            Gate::Probe => probe::run(cx).await,
            Gate::Load => GateReport::of(&load::run(cx).await),
            Gate::Coverage => GateReport::of(&coverage::run(cx).await),
            Gate::Dependencies => GateReport::of(&dependencies::run(cx).await),
            Gate::Posture => posture::run(cx, &self.posture_seen).await,
            Gate::Parity => GateReport::or_why(parity::run(cx).await),
            Gate::History => GateReport::or_why(history::run(cx).await),
            Gate::Policy => GateReport::no_verdict("this gate cannot run here yet"),
        }
    }

    /// One round of probe traces within a step: how many were not read back whole, and the report.
    pub(crate) async fn probe_round(
        &self,
        plan: &Plan,
        traces: u32,
        seed: Option<&SeedSource>,
    ) -> (u32, Option<Vec<u8>>) {
        let Some(candidate) = self.site.environment(&plan.outline.to) else { return (traces, None) };
        probe::round(candidate, traces, plan.outline.gates.probe.deadline.0, seed_of(plan, seed)).await
    }

    /// How far apart the spans of recent traces of an environment start.
    pub(crate) async fn start_spread(&self, id: &EnvironmentId) -> Result<StartSpread, String> {
        let environment = self.site.environment(id).ok_or_else(|| format!("{id} is not in the site"))?;
        let query = environment.query.as_ref().ok_or_else(|| format!("{id} has no query endpoint"))?;
        probe::start_spread(&query.client()?).await
    }

    /// Digests of every file of the compared configurations and of what they include, as they are now. A file that cannot be
    /// read is absent, unless it is among `wanted`.
    pub(crate) async fn snapshots(
        &self,
        outline: &Outline,
        wanted: Option<&Snapshots>,
    ) -> Result<Snapshots, Unread> {
        let mut listed = Vec::new();
        for id in [&outline.from, &outline.to] {
            let Some(environment) = self.site.environment(id) else { continue };
            let sets = environment.configs.keys();
            listed.extend(sets.map(|name| (format!("{id}/{name}"), environment.listed(name))));
        }
        let (wanted, private, key) = (wanted.cloned(), drift::private(&self.site), self.redact_key.clone());
        let read =
            tokio::task::spawn_blocking(move || configs::digests(&listed, wanted.as_ref(), &private, &key))
                .await;
        read.unwrap_or_else(|error| Err(Unread::broken(&error.to_string())))
    }
}

/// From the checkpoint that followed the gate's start, so that nobody could choose it; a dry run takes the plan's time.
fn seed_of(plan: &Plan, seed: Option<&SeedSource>) -> u64 {
    let text = match seed {
        Some(source) => format!("{} {}", source.size, source.root),
        None => format!("dry run {}", plan.planned_at.0),
    };
    let hash = crossfade_tlog::sha256(text.as_bytes());
    hash.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
