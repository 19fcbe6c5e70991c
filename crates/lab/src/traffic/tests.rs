use super::*;
use crate::environment::{Environment, Faults, Refusal, Share};
use crate::testing::until;
use crossfade_routing::TraceId;
use std::collections::BTreeSet;

/// Short traces, quick batches: a run takes well below a second.
fn quick(traces_max: u64) -> TrafficConfig {
    let pace = Pace { batch_delay: Duration::from_millis(20), ..TrafficConfig::default().pace };
    TrafficConfig {
        traces_per_second: 1_000,
        traces_max,
        longest_trace: Duration::from_millis(200),
        clock_error_max: Duration::from_millis(5),
        pace,
        ..TrafficConfig::default()
    }
}

fn targets(environments: &[&Environment]) -> Targets {
    Targets {
        grpc: environments.iter().map(|environment| environment.grpc_addr()).collect(),
        http: environments.iter().map(|environment| environment.http_addr()).collect(),
    }
}

/// Scenario: SDKs of both protocols send to a healthy environment.
/// Guarantee: the record holds what the environment stored, span for span and byte for byte.
#[tokio::test]
async fn the_record_is_what_was_stored() {
    let environment = Environment::start(1).await.unwrap();
    let record = start(quick(150), &targets(&[&environment])).unwrap().finish().await;
    let store = environment.store();
    assert_eq!(record.traces.len(), 150);
    assert_eq!(store.span_count(), record.span_count());
    for (id, trace) in &record.traces {
        let held = store.held(id);
        assert_eq!((trace.spans.len(), held.len()), (trace.planned, trace.planned));
        assert!(trace.spans.iter().all(|span| held[&span.id].digest == span.digest));
    }
    assert_eq!((record.unacknowledged(), store.duplicate_count()), (0, 0));
    let protocols = record.requests.iter().map(|request| record.sdks[request.sdk].protocol == Protocol::Grpc);
    assert_eq!(protocols.collect::<BTreeSet<_>>().len(), 2, "both protocols sent");
}

/// Scenario: hosts whose clocks are wrong by up to 5 ms.
/// Guarantee: no span is sent before it truly ended, spans carry their host's time, and batches wait no longer than said.
#[tokio::test]
async fn spans_are_sent_after_their_end_with_the_times_of_their_host() {
    let environment = Environment::start(1).await.unwrap();
    let record = start(quick(100), &targets(&[&environment])).unwrap().finish().await;
    let mut spans_of_requests = vec![0; record.requests.len()];
    for (id, trace) in &record.traces {
        let stored = environment.store().trace(id).unwrap();
        let stored = stored.iter().flat_map(|group| &group.scope_spans[0].spans);
        let stored: Vec<_> =
            stored.map(|span| (span.start_time_unix_nano, span.end_time_unix_nano)).collect();
        for span in &trace.spans {
            let request = &record.requests[span.request];
            assert!(request.sent_at >= span.end, "sent before its end");
            assert!(span.start >= trace.root_start && span.end <= trace.end());
            assert!(stored.contains(&(record.reported_start(span).0, record.reported_end(span).0)));
            assert!(record.reported_start(span).0.abs_diff(span.start.0) <= 5_000_000);
            assert_eq!(request.sdk, span.sdk);
            spans_of_requests[span.request] += 1;
        }
    }
    let said: Vec<_> = record.requests.iter().map(|request| request.spans).collect();
    assert_eq!(said, spans_of_requests);
    assert!(said.iter().any(|spans| *spans > 1), "spans are batched");
}

#[tokio::test]
async fn one_seed_sends_the_same_traces_at_the_same_distances() {
    let environment = Environment::start(1).await.unwrap();
    let run = async |seed| {
        let config = TrafficConfig { seed, ..quick(60) };
        let record = start(config, &targets(&[&environment])).unwrap().finish().await;
        let first = record.traces.values().map(|trace| trace.root_start.0).min().unwrap();
        let shape = |(id, trace): (&TraceId, &SentTrace)| (*id, trace.root_start.0 - first, trace.planned);
        record.traces.iter().map(shape).collect::<Vec<_>>()
    };
    let first = run(3).await;
    assert_eq!(first, run(3).await);
    assert_ne!(first, run(4).await);
}

/// Scenario: the receiver refuses half of the requests for now, later none.
/// Guarantee: SDKs send them again until they are taken; the record tells the first answer and the last.
#[tokio::test]
async fn retryable_refusals_are_sent_again_and_permanent_ones_are_not() {
    let environment = Environment::start(1).await.unwrap();
    let refuse = |refusal| environment.set_faults(Faults { refuse: Some(refusal), ..Faults::default() });
    refuse(Refusal::unavailable(Share::percent(50)));
    let traffic = start(quick(60), &targets(&[&environment])).unwrap();
    until("five refusals", || environment.observed().refused >= 5).await;
    environment.set_faults(Faults::default());
    let record = traffic.finish().await;
    assert_eq!(record.unacknowledged(), 0);
    assert_eq!(environment.store().span_count(), record.span_count());
    let retried: Vec<_> = record.requests.iter().filter(|request| request.attempts > 1).collect();
    assert!(!retried.is_empty());
    for request in retried {
        assert!(matches!(request.first_answer, Answer::Retryable { .. }));
        assert_eq!(request.answer, Answer::Accepted { rejected_spans: 0 });
    }

    refuse(Refusal::permanent(Share::ALL));
    let record =
        start(TrafficConfig { seed: 5, ..quick(20) }, &targets(&[&environment])).unwrap().finish().await;
    assert_eq!(record.unacknowledged(), record.span_count());
    assert!(record.requests.iter().all(|request| request.attempts == 1));
}

/// Scenario: nothing listens.
/// Guarantee: the traffic gives up in time, and the record says that nothing was answered.
#[tokio::test]
async fn it_gives_up_on_a_receiver_that_is_not_there() {
    // Bound and not listening: nobody else is given these ports meanwhile, and every connection is refused.
    let nobody = [(); 2].map(|()| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket
    });
    let [grpc, http] = nobody.each_ref().map(|socket| vec![socket.local_addr().unwrap()]);
    let targets = Targets { grpc, http };
    // A retry begins 120 ms after a refusal at the latest: there is one, unless a connection takes seconds to be refused.
    let pace = Pace { give_up_after: Duration::from_secs(3), ..quick(0).pace };
    let record = start(TrafficConfig { pace, ..quick(10) }, &targets).unwrap().finish().await;
    assert_eq!(record.unacknowledged(), record.span_count());
    assert!(
        record.requests.iter().all(|request| request.answer == Answer::Unanswered && request.attempts > 1)
    );
}

#[tokio::test]
async fn sdks_are_dealt_out_over_the_gateways() {
    let environments = [Environment::start(1).await.unwrap(), Environment::start(2).await.unwrap()];
    let both = targets(&[&environments[0], &environments[1]]);
    let record = start(quick(60), &both).unwrap().finish().await;
    let stored = environments.each_ref().map(|environment| environment.store().span_count());
    assert_eq!(stored[0] + stored[1], record.span_count());
    assert!(stored.iter().all(|spans| *spans > record.span_count() / 4), "{stored:?}");

    let only_grpc = Targets { http: Vec::new(), ..both };
    assert_eq!(start(quick(1), &only_grpc).unwrap_err(), NoTarget(Protocol::HttpProtobufGzip));
}

#[tokio::test]
async fn stop_begins_nothing_more_and_finishes_what_runs() {
    let environment = Environment::start(1).await.unwrap();
    let traffic = start(quick(1_000_000), &targets(&[&environment])).unwrap();
    until("200 spans acknowledged", || traffic.progress().spans_acknowledged >= 200).await;
    let before = traffic.progress().traces;
    let record = traffic.stop().await;
    let after = record.traces.len() as u64;
    assert!(after < before + 60_000, "{after} after {before}: more than any stall of the machine explains");
    assert!(record.traces.values().all(|trace| trace.spans.len() == trace.planned));
    assert_eq!(environment.store().span_count(), record.span_count());
}

#[tokio::test]
async fn a_batch_is_sent_when_it_is_full() {
    let environment = Environment::start(1).await.unwrap();
    let pace = Pace { batch_spans_max: 4, batch_delay: Duration::from_secs(3), ..quick(0).pace };
    let record =
        start(TrafficConfig { pace, ..quick(100) }, &targets(&[&environment])).unwrap().finish().await;
    assert!(record.requests.iter().all(|request| request.spans <= 4));
    assert!(record.requests.iter().filter(|request| request.spans == 4).count() > 50);
}
