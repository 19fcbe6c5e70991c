//! Collects the gates' inputs, and lets the pure gates judge them. One module for each gate.

mod configs;
pub mod drift;
pub mod probe;
pub mod reach;

use std::path::PathBuf;
use std::sync::Arc;

use crossfade_backends::spread::StartSpread;
use crossfade_rollout::event::{Gate, Outcome, SeedSource};
use crossfade_rollout::plan::{Outline, Plan};
use crossfade_rollout::units::Snapshots;
use crossfade_routing::EnvironmentId;

use self::configs::Listed;
pub(crate) use self::configs::Unread;
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
}

impl Gates {
    /// With the site's key for redacted digests.
    pub(crate) fn new(site: Arc<Site>) -> Result<Gates, GatesError> {
        let path = site.redact_key_file();
        let redact_key = std::fs::read(&path).map_err(|source| GatesError::RedactKey { path, source })?;
        Ok(Gates { site, redact_key })
    }

    /// Runs one gate. `seed`: the checkpoint that sampling derives from; none in a dry run.
    pub(crate) async fn run(&self, gate: Gate, plan: &Plan, seed: Option<&SeedSource>) -> GateReport {
        match gate {
            Gate::Drift => drift::run(&self.site, &plan.outline, &self.redact_key),
            Gate::Probe => {
                let gate = &plan.outline.gates.probe;
                match self.candidate(&plan.outline) {
                    Ok(candidate) => {
                        probe::run(candidate, gate.traces, gate.deadline.0, probe_seed(plan, seed)).await
                    }
                    Err(report) => report,
                }
            }
        }
    }

    /// One round of probe traces within a step: how many were not read back whole, and the report.
    pub(crate) async fn probe_round(
        &self,
        plan: &Plan,
        traces: u32,
        seed: Option<&SeedSource>,
    ) -> (u32, Option<Vec<u8>>) {
        let Ok(candidate) = self.candidate(&plan.outline) else { return (traces, None) };
        probe::round(candidate, traces, plan.outline.gates.probe.deadline.0, probe_seed(plan, seed)).await
    }

    /// How far apart the spans of recent traces of an environment start.
    pub(crate) async fn start_spread(&self, id: &EnvironmentId) -> Result<StartSpread, String> {
        let environment = self.site.environment(id).ok_or_else(|| format!("{id} is not in the site"))?;
        let query = environment.query.as_ref().ok_or_else(|| format!("{id} has no query endpoint"))?;
        probe::start_spread(&query.endpoint).await
    }

    fn candidate(&self, outline: &Outline) -> Result<&Environment, GateReport> {
        self.site.environment(&outline.to).ok_or_else(|| {
            GateReport::no_verdict(&format!("{} is not an environment of this site", outline.to))
        })
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
            let sets = environment.configs.iter();
            listed.extend(
                sets.map(|(name, paths)| Listed { name: format!("{id}/{name}"), paths: paths.clone() }),
            );
        }
        let (wanted, private) = (wanted.cloned(), private(&self.site));
        let read =
            tokio::task::spawn_blocking(move || configs::digests(&listed, wanted.as_ref(), &private)).await;
        read.unwrap_or_else(|error| Err(Unread::broken(&error.to_string())))
    }
}

/// The site's own files, which no configuration has to do with.
fn private(site: &Site) -> Vec<PathBuf> {
    [&site.data, &site.key_file, &site.log_dir, &site.token_file, &site.gateway.token_file]
        .map(PathBuf::clone)
        .into()
}

/// From the checkpoint that followed the gate's start, so that nobody could choose it; a dry run takes the plan's time.
fn probe_seed(plan: &Plan, seed: Option<&SeedSource>) -> u64 {
    let text = match seed {
        Some(source) => format!("{} {}", source.size, source.root),
        None => format!("dry run {}", plan.planned_at.0),
    };
    let hash = crossfade_tlog::sha256(text.as_bytes());
    hash.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
