//! The load against environments that keep up, stall, refuse, break off, stay silent, lose, or are none.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade_backends::load::{LoadConfig, LoadError, Progress, Receiver, Reins, run};
use crossfade_backends::otlp::{ClientConfig, Coding, Endpoint, Protocol};
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind};
use crossfade_gates::load::{Found, Measured, PEER_SERVICE, Part, Phase, SERVICE, Schedule};
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::sync::watch;

use super::support::{Change, Environment, Reply, Seen, serve, serve_grpc};

const SPANS: u32 = 20;

/// 30 requests of 20 spans, within 300 ms, in two phases.
fn config() -> LoadConfig {
    let half = Phase { part: Part::Hold, rate: 2_000, duration: Duration::from_millis(150) };
    let mut config = LoadConfig::new(Schedule::new(&[half, half], SPANS), 7);
    config.read_back = 20;
    config.read_back_deadline = Duration::from_millis(300);
    config
}

fn receiver(address: &str, protocol: Protocol, coding: Coding) -> Receiver {
    let otlp = ClientConfig {
        endpoint: Endpoint::parse(address, protocol).unwrap(),
        headers: HeaderMap::new(),
        connect_timeout: Duration::from_secs(60),
    };
    Receiver { otlp, coding }
}

fn jaeger(address: &str) -> Query {
    Query::new(QueryConfig::new(QueryKind::Jaeger, QueryEndpoint::parse(address).unwrap()))
}

/// Reins that nobody holds but the test.
fn reins() -> (watch::Sender<bool>, watch::Receiver<Option<Progress>>, Reins) {
    let (stop, stopped) = watch::channel(false);
    let (progress, seen) = watch::channel(None);
    (stop, seen, Reins { stop: stopped, progress })
}

fn one<T>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1);
    all.remove(0)
}

async fn load(
    address: &str,
    protocol: Protocol,
    query: Option<&str>,
    config: &LoadConfig,
) -> Result<Measured, LoadError> {
    let (_stop, _seen, reins) = reins();
    let query = query.map(jaeger);
    one(run(&[receiver(address, protocol, Coding::Identity)], query.as_ref(), config, reins).await)
}

/// A load over HTTP on a server that takes the first, empty requests, and answers all others so.
async fn against(reply: Reply, config: &LoadConfig) -> Measured {
    let address =
        serve(move |seen| if seen.body.is_empty() { Reply::Full(200, Vec::new()) } else { reply.clone() })
            .await;
    load(&address, Protocol::HttpProtobuf, None, config).await.unwrap()
}

/// Offered, accepted, rejected, retryable, unanswered, unsent: over all phases.
fn sums(measured: &Measured) -> [u64; 6] {
    measured.phases.iter().fold([0; 6], |sum, c| {
        let all = [c.offered, c.accepted, c.rejected, c.retryable, c.unanswered, c.unsent];
        std::array::from_fn(|i| sum[i] + all[i])
    })
}

/// Scenario: an environment that keeps what it gets; both protocols, with and without compression.
/// Guarantee: everything that was offered is accepted and counted, arrives as whole traces under the load's own service names, each
/// id once; and the sample is read back whole.
#[tokio::test]
async fn what_is_offered_arrives() {
    for (protocol, coding) in [
        (Protocol::Grpc, Coding::Identity),
        (Protocol::Grpc, Coding::Gzip),
        (Protocol::HttpProtobuf, Coding::Identity),
        (Protocol::HttpProtobuf, Coding::Gzip),
    ] {
        let (environment, bodies) = (Environment::default(), Arc::new(Mutex::new(Vec::new())));
        let (keeping, came) = (environment.clone(), bodies.clone());
        let take = move |seen: &Seen| {
            came.lock().unwrap().push(seen.body.clone());
            keeping.answer(seen, Some, 0)
        };
        let address = match protocol {
            Protocol::Grpc => serve_grpc(take).await,
            Protocol::HttpProtobuf | Protocol::HttpJson => serve(take).await,
        };
        let query = serve(move |seen| environment.answer(seen, Some, 0)).await;
        let (_stop, _seen, reins) = reins();
        let receivers = [receiver(&address, protocol, coding)];
        let measured = one(run(&receivers, Some(&jaeger(&query)), &config(), reins).await).unwrap();
        assert_eq!(sums(&measured), [600, 600, 0, 0, 0, 0], "{protocol:?} {coding:?}");
        let found = Found { asked: 10, whole: 10, ..Found::default() };
        assert_eq!(measured.read_back.phases, [found, found]);
        assert!(measured.phases.iter().all(|counts| counts.bytes > 0 && counts.busy.is_some()));
        assert_eq!((measured.phases[0].latency.count(), measured.interrupted), (15, false));

        let (mut services, mut spans) = (BTreeSet::new(), BTreeSet::new());
        for body in bodies.lock().unwrap().iter() {
            for group in ExportTraceServiceRequest::decode(&**body).unwrap().resource_spans {
                services.insert(format!("{:?}", group.resource.unwrap().attributes[0].value));
                let scopes = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(scopes.map(|span| (span.trace_id, span.span_id)));
            }
        }
        assert_eq!(spans.len(), 600);
        assert_eq!(services.len(), 2, "{services:?}");
        assert!([SERVICE, PEER_SERVICE].iter().all(|name| services.iter().any(|s| s.contains(name))));
    }
}

/// Scenario: an environment answers nobody until every request of the load has come to it.
/// Guarantee: they all come, and all of them are accepted: arrivals do not wait for answers.
#[tokio::test]
async fn arrivals_do_not_wait_for_answers() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let (ready, all) = watch::channel(false);
        let came = AtomicU64::new(0);
        let hold = move |seen: &Seen| {
            if seen.body.is_empty() {
                return Reply::Full(200, Vec::new());
            }
            if came.fetch_add(1, Ordering::SeqCst) + 1 == 30 {
                ready.send_replace(true);
            }
            Reply::Once(all.clone())
        };
        let address = match protocol {
            Protocol::Grpc => serve_grpc(hold).await,
            Protocol::HttpProtobuf | Protocol::HttpJson => serve(hold).await,
        };
        let config = LoadConfig { timeout: Duration::from_secs(60), ..config() };
        let measured = load(&address, protocol, None, &config).await.unwrap();
        assert_eq!(sums(&measured), [600, 600, 0, 0, 0, 0]);
        let longest = measured.phases[0].latency.max().unwrap();
        assert!(longest >= Duration::from_millis(280), "the first waited for the last: {longest:?}");
    }
}

#[tokio::test]
async fn refusals_are_counted_with_their_words() {
    let measured = against(Reply::Full(400, b"too many attributes".to_vec()), &config()).await;
    assert_eq!(sums(&measured), [600, 0, 600, 0, 0, 0]);
    assert_eq!(measured.words.ranked(), [("refused for good, HTTP 400: too many attributes", 30)]);
    let measured = against(Reply::Full(503, Vec::new()), &config()).await;
    assert_eq!(sums(&measured), [600, 0, 0, 600, 0, 0]);
    assert_eq!(measured.phases[0].latency.count(), 0, "a refusal is quick, and that is no merit");

    let partial = ExportTracePartialSuccess { rejected_spans: 5, error_message: "no".to_owned() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n";
    let head = format!("{head}content-length: {}\r\n\r\n", partial.len());
    let measured = against(Reply::Raw([head.into_bytes(), partial].concat()), &config()).await;
    assert_eq!(sums(&measured), [600, 450, 150, 0, 0, 0]);
}

/// Scenario: connections break, or nobody ever answers and there is room for ten requests only.
/// Guarantee: each request is counted, as unanswered or as unsent, and the silent ones with the time they waited.
#[tokio::test]
async fn silence_is_counted() {
    let measured = against(Reply::Raw(Vec::new()), &config()).await;
    assert_eq!(sums(&measured), [600, 0, 0, 0, 600, 0]);

    let timeout = Duration::from_millis(400);
    let narrow = LoadConfig { timeout, in_flight_max: 10, ..config() };
    let measured = against(Reply::Hang, &narrow).await;
    let [offered, .., unanswered, unsent] = sums(&measured);
    assert_eq!((offered, unanswered + unsent), (600, 600));
    assert!(unanswered >= 200 && measured.phases[1].held > 0, "{:?}", sums(&measured));
    assert!(measured.phases.iter().all(|counts| counts.latency.quantile(0.0).unwrap() >= timeout * 9 / 10));
}

/// Scenario: nobody listens; or a website does, or a server that refuses whoever comes.
/// Guarantee: it is said, and nothing is offered.
#[tokio::test]
async fn what_takes_no_otlp_is_not_measured() {
    let page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<h1>".to_vec();
    let website = serve(move |_| Reply::Raw(page.clone())).await;
    let closed = serve(|_| Reply::Full(401, b"who are you?".to_vec())).await;
    let silent = serve(|_| Reply::Hang).await;
    let impatient = LoadConfig { timeout: Duration::from_millis(300), ..config() };
    for (address, protocol) in [
        ("127.0.0.1:1", Protocol::Grpc),
        ("127.0.0.1:1", Protocol::HttpProtobuf),
        (&website, Protocol::Grpc),
        (&website, Protocol::HttpProtobuf),
        (&silent, Protocol::Grpc),
        (&silent, Protocol::HttpProtobuf),
    ] {
        let error = load(address, protocol, None, &impatient).await.unwrap_err();
        assert!(matches!(error, LoadError::Unreachable(_)), "{address} {protocol:?}: {error:?}");
    }
    let error = load(&closed, Protocol::HttpProtobuf, None, &config()).await.unwrap_err();
    assert!(matches!(&error, LoadError::Refused(why) if why.contains("who are you?")), "{error:?}");
}

/// Scenario: everything is accepted; one span of each trace is then dropped, or all are, or the store cannot be asked.
/// Guarantee: read back it is seen: torn, absent, or unknown, which is not whole.
#[tokio::test]
async fn what_was_lost_behind_the_answer_is_seen() {
    let cases: [(Change, Found); 2] = [
        (|span| (span.kind != 3).then_some(span), Found { asked: 20, torn: 20, ..Found::default() }),
        (|_| None, Found { asked: 20, absent: 20, ..Found::default() }),
    ];
    for (change, wanted) in cases {
        let address = Environment::start(change, 0).await;
        let measured = load(&address, Protocol::HttpProtobuf, Some(&address), &config()).await.unwrap();
        assert_eq!(sums(&measured), [600, 600, 0, 0, 0, 0]);
        assert_eq!(measured.read_back.total(), wanted);
        assert!(measured.read_back.examples.iter().all(|trace| trace.found < trace.expected));
    }
    let address = Environment::start(Some, 0).await;
    let html = serve(|_| Reply::Full(200, b"<h1>It works!</h1>".to_vec())).await;
    for query in ["127.0.0.1:1", &html] {
        let measured = load(&address, Protocol::HttpProtobuf, Some(query), &config()).await.unwrap();
        assert_eq!(measured.read_back.total(), Found { asked: 20, unknown: 20, ..Found::default() });
        assert!(measured.read_back.unknown.is_some());
    }
}

/// Scenario: a load of an hour is stopped when it is seen to go on.
/// Guarantee: it ends, with what was measured until then, and is told from one that came to its end.
#[tokio::test]
async fn a_stop_returns_what_was_measured() {
    let address = Environment::start(Some, 0).await;
    let hold = Phase { part: Part::Hold, rate: 2_000, duration: Duration::from_secs(3_600) };
    let config = LoadConfig { schedule: Schedule::new(&[hold], SPANS), ..config() };
    let (stop, mut seen, reins) = reins();
    let query = jaeger(&address);
    let receivers = [receiver(&address, Protocol::HttpProtobuf, Coding::Identity)];
    let running = run(&receivers, Some(&query), &config, reins);
    let stopping = async {
        let accepted = |p: &Option<Progress>| {
            p.as_ref().is_some_and(|p| p.counts.as_ref().is_some_and(|c| c.accepted > 0))
        };
        seen.wait_for(accepted).await.unwrap();
        stop.send_replace(true);
    };
    let (measured, ()) = tokio::join!(running, stopping);
    let measured = one(measured).unwrap();
    let [offered, accepted, ..] = sums(&measured);
    assert!(measured.interrupted && accepted > 0 && offered < 2_000 * 60, "{offered}");
    assert_eq!(accepted + measured.phases[0].abandoned, offered);
}

/// Scenario: the load is stopped while nobody answers the first, empty request.
/// Guarantee: it ends as stopped, not as unreachable; nothing was offered.
#[tokio::test]
async fn a_stop_is_heard_before_anybody_answers() {
    let address = serve(|_| Reply::Hang).await;
    let (stop, _seen, reins) = reins();
    stop.send_replace(true);
    let receivers = [receiver(&address, Protocol::HttpProtobuf, Coding::Identity)];
    let measured = one(run(&receivers, None, &config(), reins).await).unwrap();
    assert!(measured.interrupted);
    assert_eq!(measured.phases.iter().map(|counts| counts.accepted).sum::<u64>(), 0);
}
