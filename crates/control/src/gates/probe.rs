//! The probe gate: synthetic traces through the candidate's own endpoints.

use std::time::Duration;

use axum::http::HeaderMap;
use crossfade_backends::otlp::{Client, ClientConfig, Endpoint};
use crossfade_backends::probe::{ProbeConfig, run as run_probe};
use crossfade_backends::query::Query;
use crossfade_backends::spread::{SpreadConfig, StartSpread, measure};
use crossfade_gates::look::cannot_look;
use crossfade_gates::probe::ProbeReport;
use crossfade_gates::report::Report;

use super::Cx;
use crate::clock;
use crate::site::Environment;

/// How far back traces are looked at for their spread.
const SPREAD_LOOK_BACK: Duration = Duration::from_secs(24 * 3600);
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const SPREAD_TRACES_PER_SERVICE: u32 = 100;
const SPREAD_SERVICES_MAX: usize = 50;

/// Runs the gate.
pub(super) async fn run(cx: &Cx<'_>) -> Report {
    let gate = &cx.settings.probe;
    let candidate = match cx.candidate() {
        Ok(candidate) => candidate,
        Err(why) => return cannot_look("probe", why),
    };
    match probe(candidate, gate.traces, gate.deadline.0, cx.seed).await {
        Ok(report) => report.report(),
        Err(why) => cannot_look("probe", why),
    }
}

/// One round within a step: how many traces were not read back whole, and the report.
pub(super) async fn round(
    candidate: &Environment,
    traces: u32,
    deadline: Duration,
    seed: u64,
) -> (u32, Option<Vec<u8>>) {
    match probe(candidate, traces, deadline, seed).await {
        Ok(report) => (report.summary.failed, Some(report.json().into_bytes())),
        Err(_) => (traces, None),
    }
}

/// Writes traces to an environment's OTLP endpoint and reads them back from its query endpoint.
async fn probe(
    candidate: &Environment,
    traces: u32,
    deadline: Duration,
    seed: u64,
) -> Result<ProbeReport, String> {
    let query =
        candidate.query.as_ref().ok_or("the candidate has no query endpoint: set environments.*.query")?;
    Ok(run_probe(&client(candidate)?, &query.client()?, &ProbeConfig::new(seed, traces, deadline)).await)
}

/// A client of an environment's OTLP endpoint, with its headers.
pub(super) fn client(environment: &Environment) -> Result<Client, String> {
    let endpoint = environment.endpoint().map_err(|error| error.to_string())?;
    let headers = environment.header_map()?;
    Ok(Client::new(ClientConfig { endpoint, headers, connect_timeout: CONNECT_TIMEOUT }))
}

/// As the gate does it, for endpoints of one's own: `crossfade probe`.
pub async fn probe_endpoints(
    endpoint: Endpoint,
    headers: HeaderMap,
    query: &Query,
    traces: u32,
    deadline: Duration,
    seed: u64,
) -> ProbeReport {
    let client = Client::new(ClientConfig { endpoint, headers, connect_timeout: CONNECT_TIMEOUT });
    run_probe(&client, query, &ProbeConfig::new(seed, traces, deadline)).await
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
