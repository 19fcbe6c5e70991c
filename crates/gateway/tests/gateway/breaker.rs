//! The breaker: a dead candidate is fenced without a person, a bad one is not its business.

use std::time::Duration;

use crossfade_backends::otlp::{GrpcCode, Protocol};
use crossfade_gateway::BreakerStatus;
use crossfade_routing::sync::FenceCause;

use crate::PATIENCE;
use crate::support::{
    Bench, Environment, Play, Request, blue, config, encode, export, green, ids, one_span, promoted, request,
    soon, span, trace, until, weight,
};

fn fence_cause(bench: &Bench) -> Option<FenceCause> {
    let status = bench.status();
    status.fence.filter(|_| status.fenced).map(|fence| fence.cause)
}

// Scenario: green is killed while it owns a quarter of all traces.
// Guarantee: the gateway fences by itself, no client sees a failure, and every span is in blue.
#[tokio::test]
async fn a_killed_candidate_is_fenced() {
    let schedule = weight("25");
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, schedule).await;
    let client = bench.client(Protocol::Grpc);
    let mut sent: Vec<Request> = Vec::new();
    let mut send = async |count: usize| {
        for _ in 0..count {
            let next = request(&[span(trace()), span(trace()), span(trace())]);
            assert!(export(&client, encode(&next)).await.is_clean());
            sent.push(next);
        }
    };
    send(30).await;
    green_is.seen_count(1).await;
    green_is.kill().await;
    send(100).await;
    let cause = until("a fence", || fence_cause(&bench)).await;
    assert!(matches!(&cause, FenceCause::Breaker { detail } if detail.contains("in a row")), "{cause:?}");
    assert_eq!(bench.status().breaker, BreakerStatus::Closed, "it watches nothing any more");
    green_is.revive();
    let before = green_is.seen().len();
    send(50).await;
    assert_eq!(green_is.seen().len(), before, "irrevocable, even though it is back");
    assert_eq!(ids(&blue_is.stored()), ids(&sent));
    bench.account_is(&green(), "nothing is left for green", |row| row.queued == 0).await;
}

#[tokio::test]
async fn a_candidate_that_never_answers_is_fenced() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hang);
    let (mut config, state) = config(&blue_is, &green_is, weight("100"));
    config.environments.get_mut(&green()).unwrap().timeout = Duration::from_millis(20);
    let bench = Bench::start((config, state)).await;
    let client = bench.client(Protocol::Grpc);
    for _ in 0..40 {
        assert!(export(&client, one_span()).await.is_clean());
    }
    until("a fence", || fence_cause(&bench)).await;
    assert_eq!(bench.account(&blue()).delivered, 40);
}

#[tokio::test]
async fn a_candidate_that_refuses_a_share_is_left_to_the_analysis() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let refuse = || Play::Grpc { code: GrpcCode::Internal, retry: None, message: "" };
    green_is.script(move |_, number| if number % 10 < 7 { refuse() } else { Play::Accept });
    let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
    let client = bench.client(Protocol::Grpc);
    for _ in 0..300 {
        assert!(export(&client, one_span()).await.is_clean());
    }
    green_is.seen_count(300).await;
    bench.account_is(&green(), "all settled", |row| row.queued == 0).await;
    assert_eq!(fence_cause(&bench), None);
    let metrics = bench.handle.metrics();
    assert!(metrics.contains("crossfade_requests_failed_total{environment=\"green\"} 210\n"), "{metrics}");
}

#[tokio::test]
async fn it_holds_while_both_fail_and_fences_when_active_is_back() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
    let client = bench.client(Protocol::Grpc);
    blue_is.kill().await;
    green_is.kill().await;
    for _ in 0..60 {
        assert!(export(&client, one_span()).await.may_retry());
    }
    let holding = || (bench.status().breaker == BreakerStatus::Holding).then_some(());
    until("the breaker holds", holding).await;
    assert_eq!(fence_cause(&bench), None);
    blue_is.revive();
    let fenced = until("a fence", || fence_cause(&bench));
    let traffic = async {
        loop {
            let _ = export(&client, one_span()).await;
        }
    };
    tokio::select! {
        _ = fenced => {}
        () = traffic => {}
    }
}

// Scenario: green was promoted and answers the clients; then it dies.
// Guarantee: the breaker goes back to blue; the clients, who were told to try again, succeed.
#[tokio::test]
async fn a_promoted_candidate_that_dies_is_fenced_too() {
    for mirror_back in [true, false] {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        let bench = Bench::new(&blue_is, &green_is, promoted(mirror_back)).await;
        let client = bench.client(Protocol::Grpc);
        assert!(export(&client, one_span()).await.is_clean());
        let reachable = || bench.status().environments.iter().all(|health| health.reachable).then_some(());
        until("both were looked at", reachable).await;
        green_is.kill().await;
        let answered = async { while !export(&client, one_span()).await.is_clean() {} };
        soon("an answer from blue", answered).await;
        until("the fence is shown", || fence_cause(&bench)).await;
        assert!(export(&client, one_span()).await.is_clean());
    }
}

/// Green was promoted, takes connections and requests, and never answers.
async fn promoted_and_silent(timeout: Duration) -> (Environment, Environment, Bench) {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hang);
    let (mut config, state) = config(&blue_is, &green_is, promoted(false));
    config.environments.get_mut(&green()).unwrap().timeout = timeout;
    let bench = Bench::start((config, state)).await;
    let reachable = || bench.status().environments.iter().all(|health| health.reachable).then_some(());
    until("both were looked at", reachable).await;
    (blue_is, green_is, bench)
}

/// Green's failed requests, as the analysis counts them.
fn failed(bench: &Bench) -> u64 {
    let metrics = bench.handle.metrics();
    let line = "crossfade_requests_failed_total{environment=\"green\"} ";
    metrics.lines().find_map(|text| text.strip_prefix(line)).unwrap().parse().unwrap()
}

/// Thirty requests at a time, each given up after `patience`, whether the gateway knows of it or not.
async fn impatient(bench: &Bench, patience: Duration, says_so: bool) {
    let client = bench.client(Protocol::Grpc);
    let exports = (0..30).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let export = async {
                let deadline = if says_so { patience } else { PATIENCE };
                client.export(one_span(), &http::HeaderMap::new(), deadline).await
            };
            let _ = tokio::time::timeout(patience, export).await;
        })
    });
    for export in exports.collect::<Vec<_>>() {
        export.await.unwrap();
    }
}

// Scenario: green was promoted and hangs; every client gives up a little before the gateway would.
// Guarantee: the breaker sees it all the same, and so does the analysis, whether a client says how long it waits or just
// goes away.
#[tokio::test]
async fn a_promoted_candidate_that_hangs_is_fenced_though_clients_give_up_first() {
    for says_so in [true, false] {
        let (_blue, _green, bench) = promoted_and_silent(Duration::from_secs(2)).await;
        // A busy machine may need a second go: who waits for less than a second is no witness.
        let traffic = async {
            loop {
                impatient(&bench, Duration::from_millis(1900), says_so).await;
            }
        };
        tokio::select! {
            _ = until("a fence", || fence_cause(&bench)) => {}
            () = traffic => {}
        }
        until("all is counted", || (failed(&bench) >= 20).then_some(())).await;
    }
}

#[tokio::test]
async fn who_hardly_waits_at_all_is_no_witness() {
    for says_so in [true, false] {
        let (_blue, green_is, bench) = promoted_and_silent(10 * PATIENCE).await;
        let seen = async {
            while green_is.seen().is_empty() {
                impatient(&bench, Duration::from_millis(300), says_so).await;
            }
        };
        soon("green has seen some", seen).await;
        let settled = |row: &crossfade_routing::sync::LedgerRow| row.received > 0 && row.queued == 0;
        bench.account_is(&green(), "all settled", settled).await;
        assert_eq!((fence_cause(&bench), failed(&bench)), (None, 0));
    }
}
