//! Protection `copy`: active gets everything and answers, the candidate its share of whole traces beside it.

use std::time::Duration;

use crossfade_backends::otlp::{GrpcCode, Message, Outcome, Protocol};
use crossfade_routing::Weight;
use http::HeaderMap;
use prost::Message as _;

use crate::PATIENCE;
use crate::support::{
    BOTH, Bench, CONNECTIONS, Environment, ONE_AND_TWO, Play, Request, SpanSpec, blue, candidate,
    candidate_trace, client, config, encode, export, green, ids, now, plain_trace, promoted, request, single,
    soon, span, trace, until, weight,
};

/// Traces of both owners in one request, two spans each.
fn mixed(schedule: &crossfade_routing::Schedule) -> (Request, Request) {
    let (theirs, ours) = (candidate_trace(schedule), plain_trace(schedule));
    let all = request(&[span(ours), span(theirs), span(ours), span(theirs)]);
    let mut share = all.clone();
    share.resource_spans.retain(|resource| resource.scope_spans[0].spans[0].trace_id == theirs.0);
    (all, share)
}

#[tokio::test]
async fn active_gets_the_original_bytes_and_the_candidate_its_whole_traces() {
    let schedule = weight("50");
    for inward in BOTH {
        for packed in [false, true] {
            let (blue_is, green_is) = (Environment::grpc().await, Environment::start(inward).await);
            let bench = Bench::new(&blue_is, &green_is, schedule.clone()).await;
            let (all, share) = mixed(&schedule);
            let plain = encode(&all);
            let message = if packed { Message::gzip(&plain.bytes) } else { plain };
            assert!(export(&bench.client(inward), message.clone()).await.is_clean());
            let seen = blue_is.seen().pop().unwrap();
            assert_eq!((seen.bytes, seen.compressed), (message.bytes, packed));
            green_is.stores([&share]).await;
            assert_eq!(green_is.stored(), [share], "its traces, and no span of another");
            bench
                .account_is(&green(), "two spans are delivered", |row| row.delivered == 2 && row.queued == 0)
                .await;
            assert_eq!(bench.account(&blue()).delivered, 4);
        }
    }
}

#[tokio::test]
async fn a_candidate_that_owns_everything_gets_the_original_bytes_too() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
    let message = Message::gzip(&encode(&request(&[span(trace()), span(trace())])).bytes);
    assert!(export(&bench.client(Protocol::Grpc), message.clone()).await.is_clean());
    green_is.seen_count(1).await;
    let seen = green_is.seen().pop().unwrap();
    assert_eq!((seen.bytes, seen.compressed), (message.bytes, true));
}

#[tokio::test]
async fn a_mirror_copies_whole_traces_that_it_does_not_own() {
    let schedule = candidate().mirrored(Weight::from_percent_str("50").unwrap()).unwrap();
    let in_mirror = |id: &crossfade_routing::TraceId| {
        schedule.mirror().contains(crossfade_routing::fraction(schedule.seed(), id))
    };
    let inside = std::iter::repeat_with(trace).find(in_mirror).unwrap();
    let outside = std::iter::repeat_with(trace).find(|id| !in_mirror(id)).unwrap();
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, schedule.clone()).await;
    let (copied, kept) = (request(&[span(inside), span(inside)]), request(&[span(outside)]));
    for request in [&kept, &copied] {
        assert!(export(&bench.client(Protocol::Grpc), encode(request)).await.is_clean());
    }
    green_is.stores([&copied]).await;
    assert_eq!(green_is.stored(), [copied]);
    assert_eq!(blue_is.stored().len(), 2);
    assert!(bench.handle.metrics().contains("crossfade_spans_routed_total{reason=\"mirror\"} 2\n"));
}

// Scenario: the candidate owns every trace and holds every request open.
// Guarantee: its clients' thousand requests are answered by active while not one of the candidate's is.
#[tokio::test]
async fn a_candidate_that_hangs_costs_the_clients_nothing() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hang);
    let (mut config, state) = config(&blue_is, &green_is, weight("100"));
    for environment in config.environments.values_mut() {
        environment.timeout = PATIENCE * 10;
    }
    let bench = Bench::start((config, state)).await;
    let requests: Vec<Request> = (0..1000).map(|_| request(&[span(trace())])).collect();
    for batch in requests.chunks(50) {
        let exports = batch.iter().map(|request| {
            let (client, message) = (bench.client(Protocol::Grpc), encode(request));
            tokio::spawn(async move { export(&client, message).await })
        });
        for export in exports.collect::<Vec<_>>() {
            assert!(soon("an answer", export).await.unwrap().is_clean());
        }
    }
    assert_eq!(ids(&blue_is.stored()), ids(&requests));
    until("the candidate holds what it was given", || (green_is.hanging() == 32).then_some(())).await;
    let row = bench.account(&green());
    assert_eq!((row.received, row.queued), (1000, 1000), "not one was answered");
}

#[tokio::test]
async fn a_candidate_that_refuses_or_is_away_costs_the_clients_nothing() {
    let dead = [
        Play::Grpc { code: GrpcCode::Internal, retry: None, message: "no" },
        Play::Grpc { code: GrpcCode::Unavailable, retry: None, message: "no" },
        Play::Cut,
    ];
    for play in dead {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        green_is.play(play);
        let (mut config, state) = config(&blue_is, &green_is, weight("100"));
        config.breaker.consecutive_min = 1_000_000;
        config.breaker.requests_min = 1_000_000;
        let bench = Bench::start((config, state)).await;
        let client = bench.client(Protocol::Grpc);
        for _ in 0..50 {
            assert!(export(&client, crate::support::one_span()).await.is_clean());
        }
        assert_eq!(blue_is.stored().len(), 50);
        green_is.seen_count(1).await;
        assert_eq!(green_is.stored().len(), 0);
    }
}

#[tokio::test]
async fn a_copy_is_sent_again_until_it_is_taken() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.script(|_, number| match number {
        0 => Play::Grpc { code: GrpcCode::Unavailable, retry: Some(Duration::from_millis(5)), message: "" },
        1 => Play::Grpc { code: GrpcCode::ResourceExhausted, retry: Some(Duration::ZERO), message: "" },
        2 => Play::Cut,
        _ => Play::Accept,
    });
    let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
    let sent = request(&[span(trace())]);
    assert!(export(&bench.client(Protocol::Grpc), encode(&sent)).await.is_clean());
    green_is.stores([&sent]).await;
    assert_eq!(green_is.seen().len(), 4);
    bench.account_is(&green(), "delivered", |row| row.delivered == 1 && row.queued == 0).await;
    // For the analysis it is one request, whose first attempt failed.
    let metrics = bench.handle.metrics();
    assert!(metrics.contains("crossfade_requests_total{environment=\"green\"} 1\n"), "{metrics}");
    assert!(metrics.contains("crossfade_requests_failed_total{environment=\"green\"} 1\n"));
    assert!(metrics.contains("crossfade_requests_failed_total{environment=\"blue\"} 0\n"));
}

#[tokio::test]
async fn a_copy_that_is_refused_for_good_is_not_sent_again() {
    for (play, rejected) in [
        (Play::Grpc { code: GrpcCode::InvalidArgument, retry: None, message: "no" }, 2),
        (Play::Grpc { code: GrpcCode::ResourceExhausted, retry: None, message: "no" }, 2),
        (Play::Partial { rejected: 1, message: "one" }, 1),
    ] {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        green_is.play(play);
        let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
        let message = encode(&request(&[span(trace()), span(trace())]));
        assert!(export(&bench.client(Protocol::Grpc), message).await.is_clean());
        bench.account_is(&green(), "settled", |row| row.received == 2 && row.queued == 0).await;
        let row = bench.account(&green());
        assert_eq!((row.rejected, row.delivered), (rejected, 2 - rejected));
        assert_eq!(green_is.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_copy_is_given_up_at_its_deadline_and_counted() {
    for (play, doubtful) in
        [(Play::Grpc { code: GrpcCode::Unavailable, retry: None, message: "" }, false), (Play::Cut, true)]
    {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        green_is.play(play);
        let (mut config, state) = config(&blue_is, &green_is, weight("100"));
        config.delivery.deadline = Duration::from_millis(30);
        let bench = Bench::start((config, state)).await;
        assert!(export(&bench.client(Protocol::Grpc), crate::support::one_span()).await.is_clean());
        bench.account_is(&green(), "given up", |row| row.received == 1 && row.queued == 0).await;
        let row = bench.account(&green());
        let expected = if doubtful { (0, 1) } else { (1, 0) };
        assert_eq!((row.shed, row.indeterminate), expected, "what may have been stored is not called shed");
    }
}

// Scenario: the candidate asks to be left alone for longer than any clock goes.
// Guarantee: no delivery panics over it: the copy is given up, counted, and gives its room back.
#[tokio::test]
async fn a_wish_without_end_is_a_wish_like_any_other() {
    let endless = Duration::from_secs(u64::try_from(i64::MAX).unwrap());
    for (protocol, play) in [
        (Protocol::Grpc, Play::Grpc { code: GrpcCode::Unavailable, retry: Some(endless), message: "" }),
        (
            Protocol::HttpProtobuf,
            Play::Http { status: 503, retry_after: Some("18446744073709551615"), message: "" },
        ),
    ] {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::start(protocol).await);
        green_is.play(play);
        let (mut config, state) = config(&blue_is, &green_is, weight("100"));
        // Of a long pause, retries are spread by seconds: on top of the wish.
        config.delivery.backoff_first = Duration::from_secs(60);
        config.delivery.backoff_max = Duration::from_secs(60);
        let bench = Bench::start((config, state)).await;
        for _ in 0..8 {
            assert!(export(&bench.client(Protocol::Grpc), crate::support::one_span()).await.is_clean());
        }
        bench.account_is(&green(), "given up", |row| row.shed == 8 && row.queued == 0).await;
        until("its room is free", || {
            bench.status().queues.iter().all(|queue| queue.bytes == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_environment_that_wants_gzip_gets_it() {
    let schedule = weight("50");
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue_is, &green_is, schedule.clone());
    for environment in config.environments.values_mut() {
        environment.compression = crossfade_backends::otlp::Compression::Gzip;
    }
    let bench = Bench::start((config, state)).await;
    for (copies, whole) in [(1, true), (1, false), (1000, true), (1000, false)] {
        let theirs = candidate_trace(&schedule);
        let ours = if whole { theirs } else { plain_trace(&schedule) };
        let spans: Vec<_> = (0..copies).flat_map(|_| [span(theirs), span(ours)]).collect();
        let mut share = request(&spans);
        assert!(export(&bench.client(Protocol::Grpc), encode(&share)).await.is_clean());
        let seen = blue_is.seen().pop().unwrap();
        assert!(seen.compressed && seen.request == share, "{copies} {whole}");
        share.resource_spans.retain(|resource| resource.scope_spans[0].spans[0].trace_id == theirs.0);
        green_is.stores([&share]).await;
        let seen = green_is.seen().pop().unwrap();
        assert!(seen.compressed && seen.request == share, "{copies} {whole}");
    }
    until("all is settled", || bench.status().queues.iter().all(|queue| queue.bytes == 0).then_some(()))
        .await;
}

// Scenario: the candidate wants its requests compressed, and its only slot is taken.
// Guarantee: what waits has not been compressed yet: its client was answered without having waited for that.
#[tokio::test]
async fn nobody_waits_while_a_copy_is_compressed() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hold);
    let (mut config, state) = config(&blue_is, &green_is, weight("100"));
    config.environments.get_mut(&green()).unwrap().compression = crossfade_backends::otlp::Compression::Gzip;
    config.delivery.in_flight = 1;
    let bench = Bench::start((config, state)).await;
    let held = || bench.status().queues.into_iter().find(|queue| queue.environment == green()).unwrap().bytes;
    let spans: Vec<_> = (0..2000).map(|_| span(trace())).collect();
    let message = encode(&request(&spans));
    let packed = Message::gzip(&message.bytes).bytes.len();
    assert!(packed < message.bytes.len() / 2);
    assert!(export(&bench.client(Protocol::Grpc), message.clone()).await.is_clean());
    green_is.seen_count(1).await;
    assert!(held() < packed + 1024, "the one on its way takes less room: {}", held());
    assert!(export(&bench.client(Protocol::Grpc), message.clone()).await.is_clean());
    assert!(held() > message.bytes.len(), "the one that waits is as it came: {}", held());
    green_is.release();
    bench.account_is(&green(), "both are delivered", |row| row.delivered == 4000 && row.queued == 0).await;
    assert!(green_is.seen().iter().all(|seen| seen.compressed));
}

#[tokio::test]
async fn a_full_queue_sheds_and_counts() {
    for workers in ONE_AND_TWO {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        green_is.play(Play::Hang);
        let (mut config, state) = config(&blue_is, &green_is, weight("100"));
        config.workers = workers;
        config.limits.queue_bytes = 3000;
        let bench = Bench::start((config, state)).await;
        for client in bench.clients(Protocol::Grpc).iter().cycle().take(2 * CONNECTIONS) {
            assert!(export(client, crate::support::one_span()).await.is_clean());
        }
        let row = bench.account(&green());
        assert_eq!(row.received, 48);
        assert!(row.shed >= 38 && row.queued + row.shed == 48, "{row:?}");
        assert_eq!(row.shed_untrusted, 0);
        let queue = bench.status().queues.into_iter().find(|queue| queue.environment == green()).unwrap();
        assert!(queue.bytes <= queue.bytes_max && queue.bytes_max == 3000, "{queue:?}");
        assert_eq!(bench.account(&blue()).delivered, 48);
    }
}

// Scenario: copies that are small wait with a large header each, on either transport.
// Guarantee: the header counts too: where two of them do not fit, one waits.
#[tokio::test]
async fn a_queue_counts_the_headers_that_wait_in_it() {
    for protocol in BOTH {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        green_is.play(Play::Hang);
        let (mut config, state) = config(&blue_is, &green_is, weight("100"));
        config.limits.queue_bytes = 5000;
        config.forward_headers = vec!["x-scope-orgid".parse().unwrap()];
        let bench = Bench::start((config, state)).await;
        let client = bench.client(protocol);
        let tenant = tenant(&"x".repeat(2_000));
        for _ in 0..3 {
            let export = client.export(crate::support::one_span(), &tenant, PATIENCE).await;
            assert!(export.outcome.is_clean());
        }
        let row = bench.account(&green());
        assert_eq!((row.received, row.shed), (3, 2), "{row:?}");
        let queue = bench.status().queues.into_iter().find(|queue| queue.environment == green()).unwrap();
        assert!(queue.requests == 1 && queue.bytes > 2_512, "{queue:?}");
    }
}

// Scenario: the candidate holds a request of each worker open, and the queue fills up with copies for untrusted clocks over
// all connections. Then copies for believed clocks come over one connection, which is one worker's.
// Guarantee: as long as a copy for an untrusted clock waits, whichever worker's it is, none of the others is shed.
#[tokio::test]
async fn copies_for_untrusted_clocks_are_shed_first() {
    for workers in ONE_AND_TWO {
        let schedule = weight("50");
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        green_is.play(Play::Hang);
        let (mut config, state) = config(&blue_is, &green_is, schedule.clone());
        config.workers = workers;
        config.limits.queue_bytes = 30_000;
        config.delivery.in_flight = 1;
        let bench = Bench::start((config, state)).await;
        let clients = bench.clients(Protocol::Grpc);
        let hour = 3_600_000_000_000;
        let late = |id| SpanSpec { trace: id, start: now() - 3 * hour, end: now() - 2 * hour };
        let believed = || encode(&request(&[span(candidate_trace(&schedule))]));
        for client in &clients {
            assert!(export(client, believed()).await.is_clean());
        }
        green_is.seen_count(workers.get()).await;
        for client in clients.iter().cycle().take(2 * CONNECTIONS) {
            assert!(export(client, encode(&request(&[late(plain_trace(&schedule))]))).await.is_clean());
        }
        let full = bench.account(&green());
        assert!(full.shed_untrusted > 0 && full.shed == full.shed_untrusted, "{full:?}");
        let waiting = 48 - full.shed_untrusted;
        assert!(waiting > 10, "some wait with either worker: {full:?}");
        for sent in 1.. {
            assert!(export(&clients[0], believed()).await.is_clean());
            let row = bench.account(&green());
            if row.shed > row.shed_untrusted {
                assert_eq!(
                    row.shed_untrusted, 48,
                    "all of them went before the first of the others: {row:?}"
                );
                assert!(sent > waiting, "{sent} of {waiting}");
                break;
            }
        }
        assert!(
            bench.handle.metrics().contains("crossfade_spans_routed_total{reason=\"untrusted_clock\"} 48\n")
        );
    }
}

#[tokio::test]
async fn after_promotion_the_roles_are_swapped() {
    for (mirror_back, kept) in [(true, 1), (false, 0)] {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        blue_is.play(Play::Grpc { code: GrpcCode::Internal, retry: None, message: "I am the old one" });
        let bench = Bench::new(&blue_is, &green_is, promoted(mirror_back)).await;
        let sent = request(&[span(trace())]);
        assert!(export(&bench.client(Protocol::Grpc), encode(&sent)).await.is_clean(), "green answers");
        assert_eq!(green_is.stored(), [sent]);
        bench.account_is(&blue(), "its copy is settled", |row| row.received == kept && row.queued == 0).await;
        assert_eq!(blue_is.seen().len(), usize::try_from(kept).unwrap());
        green_is.play(Play::Grpc { code: GrpcCode::NotFound, retry: None, message: "from green" });
        let heard = export(&bench.client(Protocol::Grpc), crate::support::one_span()).await;
        assert!(matches!(&heard, Outcome::Rejected { message, .. } if message == "from green"), "{heard:?}");
    }
}

#[tokio::test]
async fn without_a_rollout_there_is_one_destination() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, single()).await;
    for _ in 0..20 {
        assert!(export(&bench.client(Protocol::Grpc), crate::support::one_span()).await.is_clean());
    }
    assert_eq!((blue_is.stored().len(), green_is.seen().len()), (20, 0));
    assert_eq!(bench.account(&green()).received, 0);
}

#[tokio::test]
async fn metadata_goes_on_by_allow_list() {
    for protocol in BOTH {
        let (blue_is, green_is) = (Environment::start(protocol).await, Environment::start(protocol).await);
        let (mut config, state) = config(&blue_is, &green_is, weight("100"));
        config.forward_headers = vec!["x-scope-orgid".parse().unwrap()];
        let bench = Bench::start((config, state)).await;
        let headers: HeaderMap =
            [("x-scope-orgid", "bank"), ("authorization", "Bearer secret"), ("x-other", "1")]
                .into_iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
        let client = bench.client(protocol);
        let export = client.export(crate::support::one_span(), &headers, PATIENCE).await;
        assert!(export.outcome.is_clean());
        green_is.seen_count(1).await;
        for environment in [&blue_is, &green_is] {
            let seen = environment.seen().pop().unwrap();
            assert_eq!(seen.headers["x-scope-orgid"], "bank");
            assert!(!seen.headers.contains_key("authorization") && !seen.headers.contains_key("x-other"));
            assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("crossfade/"));
        }
    }
}

/// Holds the candidate's only slot with one request, queues more behind it, then lets go.
async fn behind_a_stuck_one(
    play: fn(&Request) -> Play,
    headers: &[HeaderMap],
) -> (Environment, Bench, Vec<Request>) {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hold);
    let (mut config, state) = config(&blue_is, &green_is, weight("100"));
    config.delivery.in_flight = 1;
    config.delivery.merge_bytes_max = 1 << 20;
    config.forward_headers = vec!["x-scope-orgid".parse().unwrap()];
    let bench = Bench::start((config, state)).await;
    let sender = client(&format!("http://{}", bench.gateway.grpc_addr().unwrap()), Protocol::Grpc);
    let mut requests = Vec::new();
    let stuck = request(&[span(trace())]);
    assert!(export(&sender, encode(&stuck)).await.is_clean());
    green_is.seen_count(1).await;
    for headers in headers {
        let next = request(&[span(trace())]);
        assert!(sender.export(encode(&next), headers, PATIENCE).await.outcome.is_clean());
        requests.push(next);
    }
    requests.insert(0, stuck);
    green_is.script(move |seen, _| play(&seen.request));
    green_is.release();
    (green_is, bench, requests)
}

fn tenant(name: &str) -> HeaderMap {
    HeaderMap::from_iter([("x-scope-orgid".parse().unwrap(), name.parse().unwrap())])
}

#[tokio::test]
async fn copies_are_merged_only_under_one_delivery_key() {
    let headers = [tenant("a"), tenant("a"), tenant("b"), tenant("a")];
    let (green_is, bench, requests) = behind_a_stuck_one(|_| Play::Accept, &headers).await;
    green_is.stores(&requests).await;
    bench.account_is(&green(), "all delivered", |row| row.delivered == 5 && row.queued == 0).await;
    for seen in green_is.seen() {
        let spans = ids([&seen.request]);
        let tenants: Vec<_> = requests[1..]
            .iter()
            .zip(["a", "a", "b", "a"])
            .filter(|(request, _)| ids([*request]).is_subset(&spans))
            .map(|(_, tenant)| tenant)
            .collect();
        let header = seen.headers.get("x-scope-orgid").map(|value| value.to_str().unwrap());
        assert!(tenants.iter().all(|tenant| Some(*tenant) == header), "{tenants:?} under {header:?}");
    }
    let merged = green_is.stored().iter().filter(|request| request.resource_spans.len() == 2).count();
    assert_eq!(merged, 1, "the two neighbours of one tenant");
    // Each client's request counts by itself.
    assert!(bench.handle.metrics().contains("crossfade_requests_total{environment=\"green\"} 5\n"));
}

#[tokio::test]
async fn a_bad_span_in_a_merged_request_fails_alone() {
    let headers = [tenant("a"), tenant("a"), tenant("a"), tenant("a"), tenant("a")];
    // It refuses whatever holds the third request's name.
    fn play(request: &Request) -> Play {
        let poisoned = request.resource_spans.iter().any(|resource| resource.schema_url == "poison");
        match poisoned {
            true => Play::Grpc { code: GrpcCode::InvalidArgument, retry: None, message: "poison" },
            false => Play::Accept,
        }
    }
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hold);
    let (mut config, state) = config(&blue_is, &green_is, weight("100"));
    config.delivery.in_flight = 1;
    config.delivery.merge_bytes_max = 1 << 20;
    let bench = Bench::start((config, state)).await;
    let sender = bench.client(Protocol::Grpc);
    assert!(export(&sender, crate::support::one_span()).await.is_clean());
    green_is.seen_count(1).await;
    let mut sound = Vec::new();
    for number in 0..headers.len() {
        let mut next = request(&[span(trace())]);
        if number == 2 {
            next.resource_spans[0].schema_url = "poison".to_owned();
        } else {
            sound.push(next.clone());
        }
        assert!(export(&sender, Message::identity(next.encode_to_vec())).await.is_clean());
    }
    green_is.script(|seen, _| play(&seen.request));
    green_is.release();
    green_is.stores(&sound).await;
    bench.account_is(&green(), "settled", |row| row.received == 6 && row.queued == 0).await;
    let row = bench.account(&green());
    assert_eq!((row.delivered, row.rejected), (5, 1));
    assert!(green_is.seen().iter().any(|seen| seen.request.resource_spans.len() >= 5), "it was merged");
}
