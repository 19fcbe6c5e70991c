//! The whole probe against simulated environments: what masks, what leaks, what is shared, what is not found.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use crossfade_backends::otlp::{Client, ClientConfig, Endpoint, Protocol};
use crossfade_backends::probe::purge::held;
use crossfade_backends::probe::suite::{SuiteConfig, Target, suite};
use crossfade_backends::probe::{ProbeConfig, run};
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind};
use crossfade_backends::sample::Window;
use crossfade_gates::probe::canary::Sensitive;
use crossfade_gates::report::{Report, Verdict};
use crossfade_lab::environment::{Environment, Faults, Setup};
use http::HeaderMap;

const PATIENCE: Duration = Duration::from_secs(30);
/// Waited for in full where something is not found.
const SHORT: Duration = Duration::from_secs(3);

fn target(name: &str, environment: &Environment, read: &Environment) -> Target {
    let client = |protocol: Protocol| {
        let address =
            if protocol == Protocol::Grpc { environment.grpc_addr() } else { environment.http_addr() };
        let endpoint = Endpoint::parse(&format!("http://{address}"), protocol).unwrap();
        Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout: PATIENCE })
    };
    let endpoint = QueryEndpoint::parse(&format!("http://{}", read.query_addr())).unwrap();
    Target {
        name: name.to_owned(),
        receivers: [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson].map(client).into(),
        query: Query::new(QueryConfig::new(QueryKind::Jaeger, endpoint)),
    }
}

fn config(deadline: Duration) -> SuiteConfig {
    SuiteConfig {
        probe: ProbeConfig::new(7, 24, deadline),
        searches: 8,
        masks: Vec::new(),
        other: None,
        freshness_max: None,
    }
}

fn ids(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.id).collect()
}

async fn look(target: &Target, config: &SuiteConfig) -> Report {
    suite(target, config, &|_, _, _| {}).await.report()
}

async fn environment(redacts: bool) -> Environment {
    Environment::build(Setup { redacts, ..Setup::default() }).await.unwrap()
}

/// Scenario: an environment with receivers for gRPC, HTTP/protobuf and HTTP/JSON that masks what is sensitive, and another one.
/// Guarantee: every trace of every shape comes back whole by id and by search, nothing leaks, nothing is shared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_environment_passes_the_whole_suite() {
    let (green, blue) = (environment(true).await, environment(false).await);
    let config = SuiteConfig {
        masks: Sensitive::ALL.into(),
        other: Some(target("blue", &blue, &blue)),
        ..config(PATIENCE)
    };
    let report = look(&target("green", &green, &green), &config).await;
    assert_eq!((report.verdict(), ids(&report)), (Verdict::Pass, vec![]), "{report:#?}");
    assert_eq!(report.facts["searches"]["traces"], 8);
    assert!(report.facts["canaries"]["planted"].as_u64().unwrap() >= 450);
    assert_eq!(report.facts["separation"].as_array().unwrap().len(), 6);
}

/// Scenario: an environment that has to mask does not. Guarantee: a finding for each of the 26 fields, with every kind and receiver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_that_leaks_is_found_field_by_field() {
    let green = environment(false).await;
    let config = SuiteConfig { masks: Sensitive::ALL.into(), ..config(PATIENCE) };
    let report = look(&target("green", &green, &green), &config).await;
    assert_eq!(ids(&report), vec!["CF-PROBE-010"; 26], "{report:#?}");
    let matrix = report.facts["canaries"]["leaks_by_field"].as_object().unwrap();
    let cells: usize = matrix.values().map(|kinds| kinds.as_array().unwrap().len()).sum();
    println!("canary matrix, simulated: {cells} of {} found", report.facts["canaries"]["planted"]);
    assert_eq!(
        Some(3 * cells as u64),
        report.facts["canaries"]["planted"].as_u64(),
        "each through three receivers"
    );
}

/// Scenario: green's query endpoint reads blue's store. Guarantee: what was written to one is found in the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_store_is_found() {
    let shared = environment(false).await;
    let config = SuiteConfig { other: Some(target("blue", &shared, &shared)), ..config(PATIENCE) };
    let report = look(&target("green", &shared, &shared), &config).await;
    assert_eq!(ids(&report), ["CF-PROBE-011", "CF-PROBE-011"]);
}

/// Scenario: the search index lags behind the store for ever. Guarantee: that is told apart from lost traces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_lags_is_found() {
    let green = environment(false).await;
    green.store().leave_out_of_index(0..u64::MAX);
    let report = look(&target("green", &green, &green), &config(SHORT)).await;
    assert_eq!(ids(&report), ["CF-PROBE-006"], "{report:#?}");
}

/// Scenario: the other environment refuses every request. Guarantee: nothing is known of whether the two are separate, and that is
/// no pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn separation_is_not_known_if_one_of_them_is_silent() {
    let (green, blue) = (environment(false).await, environment(false).await);
    blue.set_faults(Faults {
        refuse: Some(crossfade_lab::environment::Refusal::permanent(crossfade_lab::environment::Share::ALL)),
        ..Faults::default()
    });
    let config = SuiteConfig { other: Some(target("blue", &blue, &blue)), ..config(PATIENCE) };
    let report = look(&target("green", &green, &green), &config).await;
    assert_eq!(
        (report.verdict(), ids(&report)),
        (Verdict::NoVerdict, vec!["CF-PROBE-012", "CF-PROBE-012"]),
        "{report:#?}"
    );
}

/// Scenario: an environment holds more synthetic traces than one search gives. Guarantee: every one of them is listed, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_synthetic_is_listed_however_much_there_is() {
    let green = environment(false).await;
    let target = target("green", &green, &green);
    let window = Window { from: 1, until: u64::MAX / 2 };
    let before = held(&target.query, window).await.unwrap();
    assert_eq!((before.traces().len(), before.complete), (0, true));
    let written = run(&target.receivers[0], &target.query, &ProbeConfig::new(7, 620, PATIENCE)).await;
    assert_eq!(written.summary.whole, 620, "{}", written.line());
    let after = held(&target.query, window).await.unwrap();
    assert_eq!((after.traces().len(), after.complete), (620, true));
    assert_eq!(after.services["crossfade-probe"].len(), 620);
}
