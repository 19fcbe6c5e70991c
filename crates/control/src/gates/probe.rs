//! The probe gate: synthetic traces through the candidate's own endpoints.

use std::time::Duration;

use crossfade_backends::otlp::{Client, ClientConfig, Endpoint};
use crossfade_backends::probe::suite::{SuiteConfig, Target, suite};
use crossfade_backends::probe::{ProbeConfig, run as run_probe};
use crossfade_backends::query::Query;
use crossfade_backends::spread::{SpreadConfig, StartSpread, measure};
use crossfade_gates::drift::masking;
use crossfade_gates::look::cannot_look;
use crossfade_gates::probe::canary::Sensitive;
use crossfade_gates::probe::masks_not_said;
use crossfade_gates::probe::suite::Suite;
use crossfade_gates::report::Report;
use crossfade_gates::{Finding, Place};
use crossfade_rollout::spec;
use crossfade_routing::EnvironmentId;

use super::Cx;
use crate::clock;
use crate::site::{Environment, Site};

/// How far back traces are looked at for their spread.
const SPREAD_LOOK_BACK: Duration = Duration::from_secs(24 * 3600);
const SPREAD_TRACES_PER_SERVICE: u32 = 100;
const SPREAD_SERVICES_MAX: usize = 50;

/// Runs the gate: the whole suite.
pub(super) async fn run(cx: &Cx<'_>) -> Report {
    look(cx).await.unwrap_or_else(|why| cannot_look("probe", why))
}

async fn look(cx: &Cx<'_>) -> Result<Report, String> {
    let candidate = target(cx.to.as_str(), cx.candidate()?)?;
    let active = cx.active()?;
    let separation = cx.settings.probe.separation;
    let is_asked = separation.unwrap_or(true);
    let (other, not_separated) = match &active.query {
        Some(_) if is_asked => (Some(target(cx.from.as_str(), active)?), None),
        // The candidate is judged by itself.
        None if is_asked => (None, active.query_client(cx.from).err()),
        _ => (None, None),
    };
    let gauge = cx.gauge.clone();
    let told = move |done: usize, total: usize, line: &str| gauge.set(done, total, line);
    let seen = suite(&candidate, &config(&cx.settings.probe, cx.seed, other), &told).await;
    let mut report = Suite { not_separated, must_be_separated: separation == Some(true), ..seen }.report();
    if let Some(missing) = MasksMissing::look(cx.site, cx.from, cx.settings).await {
        report.findings.push(missing.finding());
    }
    Ok(report)
}

/// The active environment masks, and a spec does not say what has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasksMissing {
    environment: String,
    /// `collector: redaction/pan`.
    processors: Vec<String>,
}

impl MasksMissing {
    /// Whether that is so, by the configurations as they are now. What cannot be read is for drift to say.
    pub async fn look(site: &Site, from: &EnvironmentId, settings: &spec::Gates) -> Option<MasksMissing> {
        let active = site.environment(from).filter(|_| settings.probe.masks.is_empty())?;
        let listed: Vec<_> = active.configs.keys().map(|name| (name.clone(), active.listed(name))).collect();
        let private = super::drift::private(site);
        let read = tokio::task::spawn_blocking(move || {
            let each = listed.iter().flat_map(|(name, listed)| {
                let all = super::configs::read(listed, &private).unwrap_or_default();
                let ids: Vec<String> = all.iter().flat_map(|loaded| masking(&loaded.node)).collect();
                ids.into_iter().map(move |id| format!("{name}: {id}"))
            });
            each.collect::<Vec<String>>()
        });
        let processors = read.await.unwrap_or_default();
        let environment = from.to_string();
        (!processors.is_empty()).then_some(MasksMissing { environment, processors })
    }

    /// In a line.
    pub fn detail(&self) -> String {
        let MasksMissing { environment, processors } = self;
        let named = processors.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let more = processors.len().saturating_sub(5);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!(
            "{environment} masks ({named}{more}), and no canaries are looked for: nothing says what has to be masked"
        )
    }

    /// What to paste into the rollout's spec.
    pub fn remedy(&self) -> String {
        let kinds: Vec<&str> = Sensitive::ALL.into_iter().map(Sensitive::word).collect();
        format!(
            "add to the rollout's spec, with the kinds that {} masks: `gates: {{ probe: {{ masks: [{}] }} }}`",
            self.environment,
            kinds.join(", ")
        )
    }

    fn finding(&self) -> Finding {
        let place = Place::environment(&self.environment).component("gates.probe.masks");
        masks_not_said().at(place).detail(self.detail()).remedy(self.remedy())
    }
}

fn config(gate: &spec::Probe, seed: u64, other: Option<Target>) -> SuiteConfig {
    SuiteConfig {
        probe: ProbeConfig::new(seed, gate.traces, gate.deadline.0),
        searches: gate.searches,
        masks: gate.masks.iter().copied().map(sensitive).collect(),
        other,
        freshness_max: gate.freshness_max.as_ref().map(|longest| longest.0),
    }
}

/// An environment with all of its receivers.
///
/// # Errors
/// In words: no query endpoint, or an address or a header that is none.
pub fn target(id: &str, environment: &Environment) -> Result<Target, String> {
    let (receivers, query) = (clients(environment)?, environment.query_client(id)?);
    Ok(Target { name: id.to_owned(), receivers, query })
}

/// A client of each receiver of an environment, that of its endpoint first.
pub(super) fn clients(environment: &Environment) -> Result<Vec<Client>, String> {
    let endpoints = environment.receivers().map_err(|error| error.to_string())?;
    endpoints.into_iter().map(|endpoint| client_at(environment, endpoint)).collect()
}

const fn sensitive(kind: spec::Sensitive) -> Sensitive {
    match kind {
        spec::Sensitive::Card => Sensitive::Card,
        spec::Sensitive::CardInGroups => Sensitive::CardInGroups,
        spec::Sensitive::Patient => Sensitive::Patient,
        spec::Sensitive::Email => Sensitive::Email,
        spec::Sensitive::Token => Sensitive::Token,
        spec::Sensitive::NationalId => Sensitive::NationalId,
    }
}

/// What one round of probe traces within a step has shown. One that could not be sent has shown nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Round {
    /// Traces that were answered for: read back, or known not to be.
    pub(crate) traces: u32,
    /// Those that were not read back whole.
    pub(crate) failed: u32,
    /// The report.
    pub(crate) report: Option<Vec<u8>>,
}

/// One round within a step. As for the gate, what nobody answered for is neither good nor bad.
pub(super) async fn round(
    id: &EnvironmentId,
    candidate: &Environment,
    traces: u32,
    deadline: Duration,
    seed: u64,
) -> Round {
    let (Ok(otlp), Ok(query)) = (client(candidate), candidate.query_client(id)) else {
        return Round::default();
    };
    let report = run_probe(&otlp, &query, &ProbeConfig::new(seed, traces, deadline)).await;
    let unanswered = report.unanswered();
    Round {
        traces: report.summary.traces.saturating_sub(unanswered),
        failed: report.summary.failed.saturating_sub(unanswered),
        report: Some(report.json().into_bytes()),
    }
}

/// A client of an environment's OTLP endpoint, with its headers.
fn client(environment: &Environment) -> Result<Client, String> {
    client_at(environment, environment.endpoint().map_err(|error| error.to_string())?)
}

fn client_at(environment: &Environment, endpoint: Endpoint) -> Result<Client, String> {
    Ok(Client::new(ClientConfig::new(endpoint, environment.header_map()?)))
}

/// How far the starts of recent traces' spans lie apart.
pub(super) async fn start_spread(query: &Query) -> Result<StartSpread, String> {
    let now = clock::now();
    let config = SpreadConfig {
        from: now.minus(SPREAD_LOOK_BACK).0,
        until: now.0,
        traces_per_service: SPREAD_TRACES_PER_SERVICE,
        services_max: SPREAD_SERVICES_MAX,
    };
    measure(query, &config).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
