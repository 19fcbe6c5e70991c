//! The end of a gateway: nothing that was accepted is dropped, within the grace time.

use std::time::Duration;

use crossfade_backends::otlp::{Outcome, Protocol};
use tokio::net::TcpStream;

use crate::support::{
    BOTH, Bench, Environment, Play, blue, client, config, export, green, one_span, single, soon, start_again,
    sum, until, weight,
};

#[tokio::test]
async fn requests_in_flight_are_answered() {
    for protocol in BOTH {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        blue_is.play(Play::Hold);
        let bench = Bench::new(&blue_is, &green_is, single()).await;
        let address = bench.gateway.grpc_addr().unwrap();
        let waiting = tokio::spawn({
            let client = bench.client(protocol);
            async move { export(&client, one_span()).await }
        });
        blue_is.seen_count(1).await;
        let closing = tokio::spawn(bench.gateway.shutdown());
        // Nothing new is taken...
        let refuses = async { while TcpStream::connect(address).await.is_ok() {} };
        soon("new connections are refused", refuses).await;
        assert!(!closing.is_finished());
        // ... but what was taken is finished.
        blue_is.release();
        assert!(soon("an answer", waiting).await.unwrap().is_clean());
        let ledger = soon("the end", closing).await.unwrap();
        assert!(ledger.drained && !ledger.reported, "there is no control to report to");
        assert_eq!(sum(&blue(), &ledger.rows).delivered, 1);
    }
}

#[tokio::test]
async fn queued_copies_are_delivered() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hold);
    let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
    let sender = bench.client(Protocol::Grpc);
    for _ in 0..50 {
        assert!(export(&sender, one_span()).await.is_clean());
    }
    until("green holds what it was given", || (green_is.hanging() == 32).then_some(())).await;
    let closing = tokio::spawn(bench.gateway.shutdown());
    green_is.release();
    let ledger = soon("the end", closing).await.unwrap();
    assert!(ledger.drained);
    assert_eq!(green_is.stored().len(), 50);
    let row = sum(&green(), &ledger.rows);
    assert_eq!((row.received, row.delivered, row.queued), (50, 50, 0));
}

#[tokio::test]
async fn a_copy_that_waits_for_another_attempt_gets_it() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.kill().await;
    let (mut config, state) = config(&blue_is, &green_is, weight("100"));
    config.breaker.consecutive_min = 1_000_000;
    config.breaker.requests_min = 1_000_000;
    let bench = Bench::start((config, state)).await;
    let sender = bench.client(Protocol::Grpc);
    for _ in 0..10 {
        assert!(export(&sender, one_span()).await.is_clean());
    }
    let closing = tokio::spawn(bench.gateway.shutdown());
    green_is.revive();
    let ledger = soon("the end", closing).await.unwrap();
    assert!(ledger.drained);
    assert_eq!(sum(&green(), &ledger.rows).delivered, 10);
}

#[tokio::test]
async fn after_the_grace_time_what_is_left_is_counted() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hang);
    let (mut config, state) = config(&blue_is, &green_is, weight("100"));
    config.grace = Duration::from_millis(100);
    let bench = Bench::start((config, state)).await;
    let sender = bench.client(Protocol::Grpc);
    for _ in 0..50 {
        assert!(export(&sender, one_span()).await.is_clean());
    }
    until("green holds what it was given", || (green_is.hanging() == 32).then_some(())).await;
    blue_is.play(Play::Hang);
    let waiting = tokio::spawn(async move { export(&sender, one_span()).await });
    blue_is.seen_count(51).await;
    let ledger = soon("the end", bench.gateway.shutdown()).await;
    assert!(!ledger.drained);
    assert!(ledger.rows.iter().all(|row| row.is_balanced() && row.queued == 0), "{:?}", ledger.rows);
    let row = sum(&green(), &ledger.rows);
    assert_eq!((row.received, row.delivered, row.indeterminate, row.shed), (51, 0, 32, 19));
    assert_eq!(sum(&blue(), &ledger.rows).indeterminate, 1);
    let heard = soon("the client hears of it", waiting).await.unwrap();
    assert!(matches!(heard, Outcome::Unanswered { .. } | Outcome::Retryable { .. }), "{heard:?}");
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, single()).await;
    let clients = BOTH.map(|protocol| bench.client(protocol));
    for client in &clients {
        assert!(export(client, one_span()).await.is_clean());
    }
    let silent = TcpStream::connect(bench.gateway.grpc_addr().unwrap()).await.unwrap();
    let ledger = soon("the end", bench.gateway.shutdown()).await;
    assert!(ledger.drained);
    drop(silent);
}

#[tokio::test]
async fn a_dropped_gateway_stops() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, single()).await;
    let address = bench.gateway.grpc_addr().unwrap();
    let Bench { gateway, state, .. } = bench;
    drop(gateway);
    let refuses = async { while TcpStream::connect(address).await.is_ok() {} };
    soon("it listens no more", refuses).await;
    let heard = export(&client(&format!("http://{address}"), Protocol::Grpc), one_span()).await;
    assert!(heard.may_retry());
    // Its folder is free again.
    let (mut config, _) = config(&blue_is, &green_is, single());
    config.state_dir = state.path().to_owned();
    start_again(config).await;
}
