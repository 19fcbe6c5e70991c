//! The whole suite against environments that mask behind one receiver only, mask late, lag, and do not answer searches.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossfade_backends::otlp::{Client, ClientConfig, Endpoint, Protocol};
use crossfade_backends::probe::suite::{SuiteConfig, Target, suite};
use crossfade_backends::probe::{ProbeConfig, run};
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind};
use crossfade_gates::probe::Failure;
use crossfade_gates::probe::canary::Sensitive;
use crossfade_gates::report::{Report, Verdict};
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::support::{Environment, Reply, Seen, serve};

/// Only a defect reaches it.
const PATIENT: Duration = Duration::from_secs(60);
const CARD: &str = "4111111111111111";

fn target(name: &str, receivers: &[&str], query: &str) -> Target {
    let receiver = |address: &&str| {
        let endpoint = Endpoint::parse(address, Protocol::HttpProtobuf).unwrap();
        Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout: PATIENT })
    };
    let endpoint = QueryEndpoint::parse(query).unwrap();
    Target {
        name: name.to_owned(),
        receivers: receivers.iter().map(receiver).collect(),
        query: Query::new(QueryConfig::new(QueryKind::Jaeger, endpoint)),
    }
}

fn config(traces: u32) -> SuiteConfig {
    SuiteConfig {
        probe: ProbeConfig::new(7, traces, PATIENT),
        searches: 0,
        masks: Vec::new(),
        other: None,
        freshness_max: None,
    }
}

async fn look(target: &Target, config: &SuiteConfig) -> Report {
    suite(target, config, &|_, _, _| {}).await.report()
}

fn ids(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.id).collect()
}

/// What a Collector does that masks in names and nowhere else, and is given nothing else to mask.
fn masked(mut span: Span) -> Option<Span> {
    span.name = span.name.replace(CARD, "****");
    Some(span)
}

fn is_leak_of_names(report: &Report, through: Option<&str>) -> bool {
    report.findings.iter().any(|finding| {
        finding.id == "CF-PROBE-010"
            && finding.place.component.as_deref() == Some("span name")
            && finding.place.url.as_deref() == through
    })
}

/// Scenario: an environment with two receivers, of which the second leads past what masks.
/// Guarantee: the field leaks through the second, and only there, however few traces are asked for.
#[tokio::test]
async fn every_receiver_is_tried_with_every_canary() {
    let environment = Environment::default();
    let (first, second) = (environment.clone(), environment);
    let first = serve(move |seen| first.answer(seen, masked, 0)).await;
    let second = serve(move |seen| second.answer(seen, Some, 0)).await;
    let green = target("green", &[&first, &second], &first);
    let config = SuiteConfig { masks: vec![Sensitive::Card], ..config(1) };
    let report = look(&green, &config).await;
    assert!(
        is_leak_of_names(&report, Some(&format!("http/protobuf http://{second}/v1/traces"))),
        "{report:#?}"
    );
    assert!(
        !is_leak_of_names(&report, Some(&format!("http/protobuf http://{first}/v1/traces"))),
        "{report:#?}"
    );
    assert!(report.summary.starts_with("2/2 read back"), "a trace for each receiver: {}", report.summary);
}

/// Scenario: the first reading shows names masked; then what does not mask has written too. Guarantee: the leak is found.
#[tokio::test]
async fn what_leaks_late_is_found() {
    let (environment, read) = (Environment::default(), Mutex::new(BTreeSet::new()));
    let address = serve(move |seen| {
        let reply = environment.answer(seen, Some, 0);
        match reply {
            Reply::Full(200, body) if seen.path.starts_with("/api/v3/traces/") => {
                let is_first = read.lock().unwrap().insert(seen.path.clone());
                let body = String::from_utf8(body).unwrap();
                let names = body.replace(&format!("POST /canary paid with {CARD}"), "POST /canary ****");
                Reply::Full(200, if is_first { names } else { body }.into_bytes())
            }
            reply => reply,
        }
    })
    .await;
    let config = SuiteConfig { masks: vec![Sensitive::Card], ..config(1) };
    let report = look(&target("green", &[&address], &address), &config).await;
    assert!(is_leak_of_names(&report, None), "{report:#?}");
}

/// Scenario: searches are answered with an error. Guarantee: it is not claimed that they find nothing, and that is no pass.
#[tokio::test]
async fn a_search_without_an_answer_is_not_known() {
    let environment = Environment::default();
    let address = serve(move |seen| match seen.path.starts_with("/api/traces?") {
        true => Reply::Full(400, b"no".to_vec()),
        false => environment.answer(seen, Some, 0),
    })
    .await;
    let report =
        look(&target("green", &[&address], &address), &SuiteConfig { searches: 2, ..config(4) }).await;
    assert_eq!((report.verdict(), ids(&report)), (Verdict::NoVerdict, vec!["CF-PROBE-014"]), "{report:#?}");
    assert!(report.findings[0].detail.contains("2 of 2 searches"), "{}", report.findings[0].detail);
}

/// A store that two environments share.
#[derive(Default)]
struct Shared {
    environment: Environment,
    written: Mutex<BTreeMap<String, Instant>>,
}

impl Shared {
    /// Answers for one of them, whose view of the store lags.
    fn answer(&self, seen: &Seen, lag: Duration) -> Reply {
        let mut written = self.written.lock().unwrap();
        if seen.path == "/v1/traces" {
            for id in trace_ids(seen) {
                written.insert(id, Instant::now());
            }
        }
        let asked = written.iter().find(|(id, _)| seen.path.contains(id.as_str()));
        match asked {
            Some((_, at)) if at.elapsed() < lag => Environment::default().answer(seen, Some, 0),
            _ => self.environment.answer(seen, Some, 0),
        }
    }
}

fn trace_ids(seen: &Seen) -> Vec<String> {
    let request = ExportTraceServiceRequest::decode(seen.body.as_slice()).unwrap();
    let spans = request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
    spans.map(|span| span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect()).collect()
}

/// Scenario: two environments share a store, and the view of one of them lags by more than anybody looks at the least.
/// Guarantee: what was written to the other is found there all the same.
#[tokio::test]
async fn a_store_that_lags_is_waited_for() {
    let shared = Arc::new(Shared::default());
    let (quick, slow) = (Arc::clone(&shared), shared);
    let quick = serve(move |seen| quick.answer(seen, Duration::ZERO)).await;
    let slow = serve(move |seen| slow.answer(seen, Duration::from_secs(4))).await;
    let other = target("blue", &[&slow], &slow);
    let report =
        look(&target("green", &[&quick], &quick), &SuiteConfig { other: Some(other), ..config(1) }).await;
    let found: Vec<_> = report.findings.iter().map(|f| (f.id, f.place.environment.as_deref())).collect();
    assert_eq!(found, [("CF-PROBE-011", Some("green")), ("CF-PROBE-011", Some("blue"))], "{report:#?}");
}

/// Scenario: the other environment takes traces and shows none. Guarantee: that it does not show ours says nothing.
#[tokio::test]
async fn the_silence_of_a_store_that_shows_nothing_is_none() {
    let (green, blue) = (Environment::start(Some, 0).await, Environment::start(|_| None, 0).await);
    let config = SuiteConfig {
        probe: ProbeConfig::new(7, 1, Duration::from_secs(6)),
        other: Some(target("blue", &[&blue], &blue)),
        ..config(1)
    };
    let report = look(&target("green", &[&green], &green), &config).await;
    assert_eq!(
        (report.verdict(), ids(&report)),
        (Verdict::NoVerdict, vec!["CF-PROBE-012", "CF-PROBE-012"]),
        "{report:#?}"
    );
    let seen: Vec<_> =
        report.facts["separation"].as_array().unwrap().iter().map(|one| &one["seen"]).collect();
    assert_eq!(seen, ["unknown", "unknown"]);
}

/// Scenario: a store that takes no more spans of a trace once somebody has read it. Guarantee: the probe's late spans are late enough to
/// see that.
#[tokio::test]
async fn late_spans_come_when_the_others_can_be_read() {
    let (environment, sealed) = (Environment::default(), Mutex::new(BTreeSet::new()));
    let address = serve(move |seen| {
        if seen.path == "/v1/traces" {
            let late = trace_ids(seen).iter().any(|id| sealed.lock().unwrap().contains(id));
            return if late { Reply::Full(200, Vec::new()) } else { environment.answer(seen, Some, 0) };
        }
        let reply = environment.answer(seen, Some, 0);
        if matches!(reply, Reply::Full(200, _)) {
            let id = seen.path.trim_start_matches("/api/v3/traces/").split('?').next().unwrap_or_default();
            sealed.lock().unwrap().insert(id.to_owned());
        }
        reply
    })
    .await;
    let green = target("green", &[&address], &address);
    let config = ProbeConfig::new(7, 8, Duration::from_secs(6));
    let report = run(&green.receivers[0], &green.query, &config).await;
    assert_eq!(report.summary.failures, [(Failure::MissingSpans, 1)].into(), "{}", report.line());
    assert!(report.findings[0].detail.starts_with("1 of "), "{}", report.findings[0].detail);
}

/// Scenario: a trace of two services, through one receiver. Guarantee: each service has a connection of its own, as on two hosts.
#[tokio::test]
async fn services_write_over_connections_of_their_own() {
    let (environment, peers) = (Environment::default(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&peers);
    let address = serve(move |seen| {
        if seen.path == "/v1/traces" {
            let ids: BTreeSet<String> = trace_ids(seen).into_iter().collect();
            noted.lock().unwrap().extend(ids.into_iter().map(|id| (id, seen.peer)));
        }
        environment.answer(seen, Some, 0)
    })
    .await;
    let green = target("green", &[&address], &address);
    let config = ProbeConfig { concurrency: 1, ..ProbeConfig::new(7, 8, PATIENT) };
    let report = run(&green.receivers[0], &green.query, &config).await;
    assert_eq!(report.summary.whole, 8, "{}", report.line());
    let mut by_peer: BTreeMap<SocketAddr, BTreeSet<String>> = BTreeMap::new();
    for (id, peer) in peers.lock().unwrap().drain(..) {
        by_peer.entry(peer.unwrap()).or_default().insert(id);
    }
    let alone: Vec<_> = by_peer.values().filter(|ids| ids.len() == 1).collect();
    assert!(alone.len() == 2 && alone[0] == alone[1], "{by_peer:?}");
}

/// Scenario: nobody is at the query endpoint. Guarantee: the finding is about that address, and not about the receiver's.
#[tokio::test]
async fn who_is_not_there_is_named() {
    let address = Environment::start(Some, 0).await;
    let config = SuiteConfig { probe: ProbeConfig::new(7, 2, Duration::from_secs(2)), ..config(2) };
    let report = look(&target("green", &[&address], "127.0.0.1:1"), &config).await;
    assert_eq!((report.verdict(), ids(&report)), (Verdict::NoVerdict, vec!["CF-PROBE-005"]), "{report:#?}");
    assert_eq!(report.findings[0].place.url.as_deref(), Some("http://127.0.0.1:1"));
    let report = look(&target("green", &["127.0.0.1:1"], &address), &config).await;
    assert_eq!(report.findings[0].place.url.as_deref(), Some("http/protobuf http://127.0.0.1:1/v1/traces"));
}
