//! The probe against environments that keep, lose, change and refuse.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossfade_backends::otlp::{Client, ClientConfig, Endpoint, Protocol};
use crossfade_backends::probe::{ProbeConfig, run};
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind};
use crossfade_gates::probe::{Failure, ProbeReport, Verdict};
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use super::support::{Change, Environment, Reply, serve};

/// Only a defect reaches it.
const PATIENT: Duration = Duration::from_secs(60);
/// Waited for in full where something is lost; long enough for a loaded machine to write.
const SHORT: Duration = Duration::from_secs(3);

fn otlp(address: &str) -> Client {
    Client::new(ClientConfig {
        endpoint: Endpoint::parse(address, Protocol::HttpProtobuf).unwrap(),
        headers: HeaderMap::new(),
        connect_timeout: PATIENT,
    })
}

fn jaeger(address: &str) -> Query {
    Query::new(config(address))
}

fn config(address: &str) -> QueryConfig {
    QueryConfig::new(QueryKind::Jaeger, QueryEndpoint::parse(address).unwrap())
}

async fn probe(change: Change, readable_after: u32, deadline: Duration) -> ProbeReport {
    let address = Environment::start(change, readable_after).await;
    run(&otlp(&address), &jaeger(&address), &ProbeConfig::new(7, 40, deadline)).await
}

#[tokio::test]
async fn a_whole_environment_passes() {
    let report = probe(Some, 0, PATIENT).await;
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Pass, 0), "{}", report.line());
    assert_eq!((report.summary.traces, report.summary.whole), (40, 40));
    assert!(report.summary.read_back_p99_ms.is_some());
}

#[tokio::test]
async fn a_slow_store_is_waited_for() {
    let report = probe(Some, 100, PATIENT).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.line());
}

/// Scenario: green drops every span of kind CLIENT. Guarantee: the probe fails, and says which kind is missing.
#[tokio::test]
async fn a_filter_of_client_spans_is_found() {
    let report = probe(|span| (span.kind != 3).then_some(span), 0, SHORT).await;
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(report.summary.failures, [(Failure::MissingSpans, 40)].into(), "{:#?}", report.findings);
    assert_eq!(report.summary.missing_kinds, [("CLIENT", 40)].into());
}

#[tokio::test]
async fn lost_traces_and_changed_spans_are_found() {
    let report = probe(|_| None, 0, SHORT).await;
    assert_eq!(report.summary.failures, [(Failure::NotFound, 40)].into(), "{}", report.line());
    let cut = probe(
        |mut span| {
            span.attributes.retain(|a| a.key != "probe.text");
            Some(span)
        },
        0,
        PATIENT,
    )
    .await;
    assert_eq!(cut.summary.failures, [(Failure::IncorrectSpan, 40)].into(), "{}", cut.line());
    assert_eq!(cut.summary.incorrect_fields.keys().collect::<Vec<_>>(), ["attributes[probe.text]"]);
}

/// Scenario: two pipelines lead to one store, and the second is slower: its copies arrive when a trace is whole already.
/// Guarantee: the copies are found all the same.
#[tokio::test]
async fn duplicates_are_found() {
    let (environment, late) = (Environment::default(), Mutex::new(Vec::new()));
    let address = serve(move |seen| {
        let reply = environment.answer(seen, Some, 0);
        if seen.path == "/v1/traces" {
            late.lock().unwrap().push(seen.clone());
        } else {
            late.lock().unwrap().drain(..).for_each(|seen| drop(environment.answer(&seen, Some, 0)));
        }
        reply
    })
    .await;
    let config = ProbeConfig { concurrency: 1, ..ProbeConfig::new(7, 3, PATIENT) };
    let report = run(&otlp(&address), &jaeger(&address), &config).await;
    assert_eq!(report.summary.failures, [(Failure::ExtraSpans, 3)].into(), "{}", report.line());
}

/// Scenario: a store gives a trace whole, and moves it then from one place to another, where it gives but a part for a moment.
/// Guarantee: what came back whole has come back.
#[tokio::test]
async fn what_came_back_whole_stays_whole() {
    let (environment, last) = (Environment::default(), Mutex::new(Vec::new()));
    let parts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&parts);
    let address = serve(move |seen| match environment.answer(seen, Some, 0) {
        Reply::Full(200, body) if seen.path.starts_with("/api/v3/traces/") => {
            let mut last = last.lock().unwrap();
            // What it has given once, it gives but for one span.
            if *last != body {
                last.clone_from(&body);
                return Reply::Full(200, body);
            }
            counted.fetch_add(1, Ordering::SeqCst);
            let mut part: serde_json::Value = serde_json::from_slice(&body).unwrap();
            part["result"]["resourceSpans"].as_array_mut().unwrap().pop();
            Reply::Full(200, part.to_string().into_bytes())
        }
        reply => reply,
    })
    .await;
    let config = ProbeConfig { concurrency: 1, ..ProbeConfig::new(7, 1, PATIENT) };
    let report = run(&otlp(&address), &jaeger(&address), &config).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.line());
    assert!(parts.load(Ordering::SeqCst) > 0, "it was read again");
}

/// Scenario: the OTLP endpoint is refusing for a while, or breaks off an answer after it has stored the spans.
/// Guarantee: the probe sends again, as any client does, and does not take its own copies for a fault.
#[tokio::test]
async fn what_may_be_sent_again_is() {
    for reply in [Reply::Full(503, Vec::new()), Reply::Raw(Vec::new())] {
        let (environment, refusals) = (Environment::default(), AtomicU32::new(0));
        let address = serve(move |seen| {
            let stored = environment.answer(seen, Some, 0);
            let refuse = seen.path == "/v1/traces" && refusals.fetch_add(1, Ordering::SeqCst) < 3;
            // Only a broken-off answer leaves its spans behind.
            if refuse && matches!(reply, Reply::Full(..)) {
                environment.forget();
            }
            if refuse { reply.clone() } else { stored }
        })
        .await;
        let config = ProbeConfig { concurrency: 1, ..ProbeConfig::new(7, 3, PATIENT) };
        let report = run(&otlp(&address), &jaeger(&address), &config).await;
        assert_eq!(report.verdict, Verdict::Pass, "{}", report.line());
    }
}

#[tokio::test]
async fn refusals_are_failures_and_silence_is_no_verdict() {
    let config = ProbeConfig::new(7, 4, SHORT);
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "too long".to_owned() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        partial.len()
    );
    let partial = Reply::Raw([head.into_bytes(), partial].concat());
    for (reply, words) in [
        (Reply::Full(400, b"no".to_vec()), "no"),
        (Reply::Full(503, Vec::new()), "refused for now"),
        (partial, "2 spans rejected"),
    ] {
        let address = serve(move |_| reply.clone()).await;
        let report = run(&otlp(&address), &jaeger(&address), &config).await;
        assert_eq!(report.verdict, Verdict::Fail, "{}", report.line());
        assert_eq!(report.summary.failures, [(Failure::RequestFailed, 4)].into());
        assert!(report.findings[0].detail.contains(words), "{}", report.findings[0].detail);
    }
    let address = Environment::start(Some, 0).await;
    let (away, here) = ("127.0.0.1:1", address.as_str());
    for (write, read) in [(away, here), (here, away)] {
        let report = run(&otlp(write), &jaeger(read), &config).await;
        assert_eq!(report.verdict, Verdict::NoVerdict, "{}", report.line());
    }
}

/// Scenario: hundreds of traces, and every one fails as slowly as it can: none is ever readable, or no
/// export is answered, or no question.
/// Guarantee: all of them wait together; the run takes two deadlines at most, not one for each batch.
#[tokio::test]
async fn a_run_is_bounded_however_many_traces_fail() {
    let lost = Environment::start(|_| None, 0).await;
    let silent = serve(|_| Reply::Hang).await;
    for (write, read) in [(&lost, &lost), (&silent, &lost), (&lost, &silent)] {
        let begun = Instant::now();
        let config = ProbeConfig { concurrency: 2, ..ProbeConfig::new(7, 200, Duration::from_secs(1)) };
        let mut query = self::config(read);
        query.timeout = Duration::from_secs(2);
        let report = run(&otlp(write), &Query::new(query), &config).await;
        assert_eq!((report.summary.failed, report.verdict == Verdict::Pass), (200, false));
        // One batch after the other would be 100 s; the rest is room for a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn nothing_tried_is_no_verdict() {
    let address = Environment::start(Some, 0).await;
    let report = run(&otlp(&address), &jaeger(&address), &ProbeConfig::new(7, 0, SHORT)).await;
    assert_eq!(report.verdict, Verdict::NoVerdict);
}
