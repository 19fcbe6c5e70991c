//! What a gateway holds at one time: memory, requests, and bodies that are coming in.

use std::net::SocketAddr;
use std::time::Duration;

use crossfade_backends::otlp::{Message, Outcome, Protocol};

use crate::PATIENCE;
use crate::support::{
    BOTH, Bench, CONNECTIONS, Chunks, EXPORT, Environment, ONE_AND_TWO, config, export, large, one_span,
    single, soon, until,
};

// Scenario: more is being sent than the gateway will hold.
// Guarantee: what does not fit is refused as something to be sent again, the rest is answered, and no share of the memory
// is kept by what was refused.
#[tokio::test]
async fn memory_is_bounded_over_all_connections() {
    for workers in ONE_AND_TWO {
        let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
        blue.play(crate::support::Play::Hang);
        let (mut config, state) = config(&blue, &green, single());
        config.workers = workers;
        config.limits.memory_bytes = 300_000;
        let bench = Bench::start((config, state)).await;
        let filler = |bytes| Message::identity(large(bytes));
        let hold = |client| tokio::spawn(async move { export(&client, filler(200_000 / CONNECTIONS)).await });
        let holders: Vec<_> = bench.clients(Protocol::Grpc).into_iter().map(hold).collect();
        blue.seen_count(CONNECTIONS).await;
        for client in BOTH.into_iter().flat_map(|protocol| bench.clients(protocol)) {
            match export(&client, filler(150_000)).await {
                Outcome::Retryable { retry_after, message, .. } => {
                    assert_eq!(retry_after, Some(Duration::from_secs(1)));
                    assert!(message.contains("memory"), "{message}");
                }
                other => panic!("{other:?}"),
            }
        }
        blue.play(crate::support::Play::Accept);
        assert!(export(&bench.client(Protocol::Grpc), filler(50_000)).await.is_clean());
        for holder in holders {
            holder.abort();
            let _ = holder.await;
        }
        let free = || bench.handle.metrics().contains("crossfade_request_memory_bytes 0\n").then_some(());
        until("the memory is given back", free).await;
        until("so is the slot", || {
            bench.handle.metrics().contains("crossfade_requests_in_flight 0\n").then_some(())
        })
        .await;
    }
}

// Scenario: a request's headers that are passed on are larger than the memory that is left.
// Guarantee: they count as the body does.
#[tokio::test]
async fn what_is_passed_on_of_a_head_counts_as_memory_too() {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue, &green, single());
    config.limits.memory_bytes = 10_000;
    config.forward_headers = vec!["x-scope-orgid".parse().unwrap()];
    let bench = Bench::start((config, state)).await;
    for protocol in BOTH {
        let client = bench.client(protocol);
        for (length, fits) in [(2_000, true), (12_000, false)] {
            let tenant = ("x-scope-orgid".parse().unwrap(), "x".repeat(length).parse().unwrap());
            let export = client.export(one_span(), &http::HeaderMap::from_iter([tenant]), PATIENCE).await;
            match export.outcome {
                Outcome::Retryable { message, .. } => {
                    assert!(!fits && message.contains("memory"), "{message}")
                }
                other => assert!(fits && other.is_clean(), "{length}: {other:?}"),
            }
        }
    }
    assert_eq!(blue.seen().len(), 2);
}

#[tokio::test]
async fn requests_at_a_time_are_bounded() {
    for workers in ONE_AND_TWO {
        let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
        blue.play(crate::support::Play::Hang);
        let (mut config, state) = config(&blue, &green, single());
        config.workers = workers;
        config.limits.requests_in_flight = 1;
        let bench = Bench::start((config, state)).await;
        let client = bench.client(Protocol::Grpc);
        let holder = tokio::spawn(async move { export(&client, one_span()).await });
        blue.seen_count(1).await;
        for client in BOTH.into_iter().flat_map(|protocol| bench.clients(protocol)) {
            let outcome = export(&client, one_span()).await;
            assert!(matches!(outcome, Outcome::Retryable { .. }), "{outcome:?}");
        }
        assert_eq!(blue.seen().len(), 1);
        holder.abort();
    }
}

// Scenario: the environment wants requests without compression, and what a client sent packed is larger than what is left.
// Guarantee: the unpacked copy counts too: it is refused as something to be sent again, and nothing of it is sent or entered.
#[tokio::test]
async fn what_is_unpacked_counts_as_memory_too() {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue, &green, single());
    config.limits.memory_bytes = 300_000;
    for environment in config.environments.values_mut() {
        environment.compression = crossfade_backends::otlp::Compression::None;
    }
    let bench = Bench::start((config, state)).await;
    let client = bench.client(Protocol::Grpc);
    let outcome = export(&client, Message::gzip(&large(400_000))).await;
    assert!(
        matches!(&outcome, Outcome::Retryable { message, .. } if message.contains("memory")),
        "{outcome:?}"
    );
    assert_eq!((blue.seen().len(), bench.status().ledger), (0, vec![]));
    assert!(export(&client, Message::identity(large(250_000))).await.is_clean(), "as it came it fits");
    assert!(export(&client, Message::gzip(&large(250_000))).await.is_clean());
    let free = || bench.handle.metrics().contains("crossfade_request_memory_bytes 0\n").then_some(());
    until("the memory is given back", free).await;
}

type Sender = hyper::client::conn::http2::SendRequest<Chunks>;

/// Opens requests on one connection, of which nothing comes but the head.
async fn only_heads(address: SocketAddr, count: usize) -> Sender {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::Builder::new(executor).handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut open = |path: &str, body: Chunks| {
        let request = http::Request::post(format!("http://{address}{path}"));
        let request = request.header("content-type", "application/grpc").version(http::Version::HTTP_2);
        sender.send_request(request.body(body).unwrap())
    };
    for _ in 0..count {
        tokio::spawn(open(EXPORT, Chunks::endless("")));
    }
    // Those that are let in hear nothing. When the one behind them is answered, all of them were looked at.
    soon("an answer", open("/unknown", Chunks::whole(""))).await.unwrap();
    sender
}

// Scenario: clients open many requests and never send their bodies.
// Guarantee: they take no slot from the others, and no connection may have more than its part of such requests.
#[tokio::test]
async fn heads_without_bodies_keep_nobody_out() {
    for workers in ONE_AND_TWO {
        let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
        let (mut config, state) = config(&blue, &green, single());
        config.workers = workers;
        config.limits.requests_in_flight = 20;
        let bench = Bench::start((config, state)).await;
        let address = bench.gateway.grpc_addr().unwrap();
        let refused = |count: usize| {
            let line = format!("crossfade_requests_refused_total{{kind=\"overloaded\"}} {count}\n");
            assert!(bench.handle.metrics().contains(&line), "{line}{}", bench.handle.metrics());
        };
        let _first = only_heads(address, 30).await;
        refused(14); // beyond the sixteen of one connection
        for client in BOTH.into_iter().flat_map(|protocol| bench.clients(protocol)) {
            assert!(export(&client, one_span()).await.is_clean());
        }
        let mut more = Vec::new();
        for _ in 0..4 {
            more.push(only_heads(address, 16).await);
        }
        refused(14); // five times sixteen: the eighty of all
        for client in bench.clients(Protocol::Grpc) {
            assert!(matches!(export(&client, one_span()).await, Outcome::Retryable { .. }));
        }
        refused(14 + CONNECTIONS);
    }
}
