//! The parity gate over sockets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossfade_backends::otlp::{Client, ClientConfig, Endpoint, Message, Outcome, Protocol};
use crossfade_backends::parity::{ParityConfig, run};
use crossfade_backends::query::QueryKind;
use crossfade_backends::sample::Window;
use crossfade_gates::parity::Limits;
use crossfade_gates::report::{Report, Verdict};
use crossfade_lab::environment::{Environment, Faults};
use crossfade_stats::Confidence;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;

use super::support::{Reply, serve};
use super::world::{DAY, HOUR, World, asking, hanging_at, kept, names, put, refusing, rules, traffic};

fn config() -> ParityConfig {
    ParityConfig {
        names: names(),
        limits: Limits { differ_max: 0.09, confidence: Confidence::P95 },
        ignore: Vec::new(),
        window: DAY,
        traces: 40,
        seed: 7,
        both_ways: false,
        owns: None,
        baseline: None,
        patience: Duration::ZERO,
        deadline: Duration::from_secs(60),
    }
}

async fn compared(world: &World, config: &ParityConfig) -> Report {
    let (blue, green) = world.queries();
    run(&blue, &green, config, &|_, _, _| {}).await
}

/// Scenario: blue answers whatever is asked about the traffic at hand, and hangs when it is asked about what was before.
/// Guarantee: that is only of interest, and keeps nothing from being compared.
#[tokio::test]
async fn what_was_before_does_not_use_up_the_time() {
    let world = World::new(50, &|_, _, _| true).await;
    let before = Some(Window { from: DAY.from - 20 * HOUR, until: DAY.from - 10 * HOUR });
    let blue = asking(QueryKind::Jaeger, &hanging_at("2027-01-14", world.blue.query_addr()).await, false);
    let config = ParityConfig { baseline: before, deadline: Duration::from_secs(16), ..config() };
    let report = run(&blue, &world.queries().1, &config, &|_, _, _| {}).await;
    assert_eq!((report.verdict(), &report.facts["compared"]), (Verdict::Pass, &40.into()), "{report:?}");
}

#[tokio::test]
async fn equal_environments_pass_and_the_record_says_what_was_compared() {
    let world = World::new(50, &|_, _, _| true).await;
    let report = compared(&world, &config()).await;
    assert_eq!((report.verdict(), rules(&report)), (Verdict::Pass, vec![]), "{}", report.summary);
    assert_eq!(report.summary, "40 pairs are equal; at most 7.22 % differ (95 %), allowed 9.00 %");
    let facts = &report.facts;
    assert_eq!((&facts["compared"], &facts["sample"]["seed"]), (&40.into(), &"7".into()));
    assert_eq!(facts["sample"]["draw"]["found"], 50, "there is so little that all of it is found");
    assert_eq!(facts["sample"]["draw"]["covered_ppm"], 1_000_000);
    // The same seed compares the same traces, another one others.
    assert_eq!(compared(&world, &config()).await.facts["traces"], facts["traces"]);
    assert_ne!(
        compared(&world, &ParityConfig { seed: 8, ..config() }).await.facts["traces"],
        facts["traces"]
    );
}

/// Scenario: green answers every search but those for one service; drawn from both, blue answers them.
/// Guarantee: equal as the rest is, nothing is known of that service's traces in green: no verdict, and it says of which, and why.
#[tokio::test]
async fn a_service_that_cannot_be_searched_for_is_no_verdict() {
    let world = World::new(50, &|_, _, _| true).await;
    let (blue, _) = world.queries();
    let (address, _) = refusing("service_name=checkout&", 0..usize::MAX, world.green.query_addr()).await;
    let green = asking(QueryKind::Jaeger, &address, false);
    for both_ways in [false, true] {
        let report = run(&blue, &green, &ParityConfig { both_ways, ..config() }, &|_, _, _| {}).await;
        assert_eq!(
            (report.verdict(), rules(&report)),
            (Verdict::NoVerdict, vec!["pairs_unread"]),
            "{report:?}"
        );
        assert_eq!((&report.facts["compared"], report.unreachable), (&40.into(), false));
        let said = &report.findings[0].detail;
        assert!(said.contains("1 of the services had an answer: `checkout`; first: http://"), "{said}");
    }
}

#[tokio::test]
async fn what_the_candidate_loses_is_named() {
    let world = World::new(40, &|nth, _, span| {
        if nth % 4 == 0 && span.kind == SpanKind::Server as i32 {
            span.attributes.clear();
        }
        true
    })
    .await;
    let report = compared(&world, &config()).await;
    assert_eq!((report.verdict(), report.facts["different"].as_u64()), (Verdict::Fail, Some(10)));
    assert!(rules(&report).iter().all(|rule| *rule == "attribute_missing"), "{:?}", rules(&report));
    assert!(
        report.findings[0].detail.starts_with("10 of 40 traces lack attribute `"),
        "{}",
        report.findings[0].detail
    );
}

/// Scenario: a part of the traces never reached green.
/// Guarantee: drawn from green alone nothing is seen of them; drawn from both they are told.
#[tokio::test]
async fn traces_that_never_arrived_are_seen_from_the_other_side() {
    let world = World::new(50, &|nth, _, _| nth % 5 != 0).await;
    let one_way = ParityConfig { traces: 40, ..config() };
    assert_eq!(compared(&world, &one_way).await.verdict(), Verdict::Pass);
    let report = compared(&world, &ParityConfig { traces: 50, both_ways: true, ..config() }).await;
    assert_eq!((report.verdict(), report.facts["different"].as_u64()), (Verdict::Fail, Some(10)));
    assert_eq!(BTreeSet::from_iter(rules(&report)), BTreeSet::from(["trace_missing"]));
}

/// Scenario: green has copies of a part of what it does not own.
/// Guarantee: what it owns is compared, and nothing else.
#[tokio::test]
async fn only_what_the_candidate_owns_counts() {
    let world = World::new(60, &|nth, _, span| nth % 2 == 0 || span.kind == SpanKind::Server as i32).await;
    let whole: BTreeSet<Vec<u8>> = traffic(60)
        .step_by(2)
        .map(|(_, request)| request.resource_spans[0].scope_spans[0].spans[0].trace_id.clone())
        .collect();
    let owns: crossfade_backends::parity::Owns = Arc::new(move |id, _| whole.contains(id.0.as_slice()));
    let owned = ParityConfig { owns: Some(owns), ..config() };
    let report = compared(&world, &owned).await;
    assert_eq!((&report.facts["compared"], &report.facts["different"]), (&30.into(), &0.into()));
    assert_eq!(compared(&world, &config()).await.verdict(), Verdict::Fail);
}

/// Scenario: the last spans of some traces become readable in green only when the gate already waits for them.
/// Guarantee: that is no difference; without patience it is one.
#[tokio::test]
async fn what_is_late_is_waited_for() {
    let half = |nth: usize, span_id: &[u8]| nth >= 20 || span_id[7].is_multiple_of(2);
    let world = World::new(40, &move |nth, _, span| half(nth, &span.span_id)).await;
    let hasty = compared(&world, &config()).await;
    assert_eq!(hasty.verdict(), Verdict::Fail);
    let (blue, green) = world.queries();
    let store = world.green.store();
    let rest: Vec<_> = traffic(40).take(20).collect();
    let bring = |_: usize, _: usize, line: &str| {
        if line == "traces waited for" {
            for (nth, (at, request)) in rest.iter().enumerate() {
                put(&store, *at, kept(request.clone(), |span| !half(nth, &span.span_id)));
            }
        }
    };
    let patient = ParityConfig { patience: Duration::from_secs(30), ..config() };
    let report = run(&blue, &green, &patient, &bring).await;
    assert_eq!((report.verdict(), rules(&report)), (Verdict::Pass, vec![]), "{}", report.summary);
}

/// Scenario: a service of green does not understand the propagation format of its callers, and begins traces of its own.
/// Guarantee: the boundary is named, with both halves.
#[tokio::test]
async fn traces_that_break_at_a_service_are_told_as_such() {
    let (blue, green) = (Environment::start(1).await.unwrap(), Environment::start(2).await.unwrap());
    green.set_faults(Faults { break_at: Some("payment"), ..Faults::default() });
    let requests: Vec<_> = traffic(60).collect();
    for environment in [&blue, &green] {
        let endpoint =
            Endpoint::parse(&format!("http://{}", environment.http_addr()), Protocol::HttpProtobuf).unwrap();
        let connect_timeout = Duration::from_secs(5);
        let otlp = Client::new(ClientConfig { endpoint, headers: http::HeaderMap::new(), connect_timeout });
        for (_, request) in &requests {
            let message = Message::identity(request.encode_to_vec());
            let sent = otlp.export(message, &http::HeaderMap::new(), connect_timeout).await.outcome;
            assert!(matches!(sent, Outcome::Accepted { rejected_spans: 0, .. }), "{}", sent.describe());
        }
    }
    let world = World { blue, green };
    let report = compared(&world, &ParityConfig { traces: 100, both_ways: true, ..config() }).await;
    assert_eq!(report.verdict(), Verdict::Fail);
    let split = report.findings.iter().find(|f| f.rule == "request_split");
    let split = split.unwrap_or_else(|| panic!("{:?}", report.findings));
    assert!(
        split.detail.contains("and payment: `") && split.detail.contains("goes on as"),
        "{}",
        split.detail
    );
}

/// Scenario: green's query service is away, silent, resets, answers a web page, or says no.
/// Guarantee: no verdict, in good time, with the address in its words; who does not answer as a store does is out of reach.
#[tokio::test]
async fn a_query_service_that_does_not_answer_well_is_no_verdict() {
    let world = World::new(60, &|_, _, _| true).await;
    let (blue, _) = world.queries();
    let page = Reply::Full(200, b"<html>Sign in</html>".to_vec());
    for (reply, unreachable) in [
        (Reply::Hang, true),
        (Reply::Raw(Vec::new()), true),
        (page, true),
        (Reply::Full(503, b"overloaded".to_vec()), true),
        // A store without traces.
        (Reply::Full(200, br#"{"services":null}"#.to_vec()), false),
    ] {
        let (shown, hangs) = (format!("{reply:?}"), matches!(reply, Reply::Hang));
        let address = serve(move |_| reply.clone()).await;
        let report = run(&blue, &asking(QueryKind::Jaeger, &address, hangs), &config(), &|_, _, _| {}).await;
        let seen = (report.verdict(), report.unreachable);
        assert_eq!(seen, (Verdict::NoVerdict, unreachable), "{shown}: {report:?}");
    }
}

/// Scenario: green finds its traces, and then every read hangs; or every trace is given in part.
/// Guarantee: nobody waits for all of them, and nothing passes.
#[tokio::test]
async fn traces_that_cannot_be_read_are_no_verdict() {
    let world = World::new(200, &|_, _, _| true).await;
    let (blue, _) = world.queries();
    let ids: Vec<String> = traffic(200)
        .map(|(_, r)| {
            r.resource_spans[0].scope_spans[0].spans[0].trace_id.iter().map(|b| format!("{b:02x}")).collect()
        })
        .collect();
    for in_part in [false, true] {
        let asked = Arc::new(AtomicU32::new(0));
        let (count, ids) = (asked.clone(), ids.clone());
        let address = serve(move |seen| {
            if seen.path.contains("/tag/") {
                return Reply::Full(
                    200,
                    br#"{"tagValues":[{"type":"string","value":"shop"}],"metrics":{}}"#.to_vec(),
                );
            }
            if seen.path.starts_with("/api/search") {
                let found: Vec<_> =
                    ids.iter().take(150).map(|id| serde_json::json!({ "traceID": id })).collect();
                return Reply::Full(
                    200,
                    serde_json::json!({ "traces": found, "metrics": {} }).to_string().into_bytes(),
                );
            }
            count.fetch_add(1, Ordering::SeqCst);
            if in_part {
                return Reply::Full(
                    200,
                    br#"{"trace":{"resourceSpans":[]},"status":"PARTIAL","message":"too large"}"#.to_vec(),
                );
            }
            Reply::Hang
        })
        .await;
        let report =
            run(&blue, &asking(QueryKind::Tempo, &address, !in_part), &config(), &|_, _, _| {}).await;
        assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, !in_part), "{report:?}");
        assert!(rules(&report).contains(&"pairs_unread"), "{report:?}");
        if !in_part {
            assert!(asked.load(Ordering::SeqCst) < 150, "{}", asked.load(Ordering::SeqCst));
        }
    }
}

#[tokio::test]
async fn a_window_without_traces_is_no_verdict() {
    let world = World::new(60, &|_, _, _| true).await;
    let mut empty = config();
    (empty.window.from, empty.window.until) = (DAY.until + HOUR, DAY.until + 2 * HOUR);
    let report = compared(&world, &empty).await;
    assert_eq!((report.verdict(), rules(&report)), (Verdict::NoVerdict, vec!["too_few_pairs"]));
    assert_eq!(report.summary, "no pair could be compared");
}
