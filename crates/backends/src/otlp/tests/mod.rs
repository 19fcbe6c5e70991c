//! The client against a scripted server: what every answer, and every lack of one, amounts to.

mod grpc;
mod http;
mod server;
mod values;

use std::time::Duration;

use ::http::HeaderMap;
use tokio::io::AsyncReadExt;

use super::{Client, ClientConfig, Endpoint, Message, Outcome, Protocol, Silence};
use server::{Play, Server};

/// Long enough that only a defect reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

fn client(address: &str, protocol: Protocol) -> Client {
    let endpoint = Endpoint::parse(&format!("http://{address}"), protocol).unwrap();
    Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout: PATIENCE })
}

fn message() -> Message {
    Message::identity(&b"\x0a\x00"[..])
}

/// The outcome of one export that the server answers so.
async fn outcome(protocol: Protocol, play: Play) -> Outcome {
    let server = Server::start(protocol, play).await;
    client(&server.address, protocol).export(message(), &HeaderMap::new(), PATIENCE).await.outcome
}

fn silence_of(outcome: &Outcome) -> Option<Silence> {
    match outcome {
        Outcome::Unanswered { silence, .. } => Some(*silence),
        _ => None,
    }
}

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

#[tokio::test]
async fn nobody_there_is_unreachable() {
    // Bound and not listening: nobody else is given the port meanwhile, and every connection is refused.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    for protocol in BOTH {
        let client = client(&address, protocol);
        let outcome = client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome;
        assert_eq!(silence_of(&outcome), Some(Silence::Unreachable), "{outcome:?}");
        assert!(client.reach().await.is_err());
        assert_eq!((client.meter().sent_bytes(), client.meter().last_sent()), (0, None));
    }
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    for protocol in BOTH {
        let server = Server::start(protocol, Play::Hang).await;
        let client = client(&server.address, protocol);
        let export = client.export(message(), &HeaderMap::new(), Duration::from_millis(50)).await;
        assert_eq!(silence_of(&export.outcome), Some(Silence::TimedOut), "{export:?}");
        assert!(export.latency >= Duration::from_millis(50));
        assert!(client.reach().await.is_ok());
    }
}

#[tokio::test]
async fn a_broken_connection_is_no_answer_and_the_next_export_opens_another() {
    for protocol in BOTH {
        let mut server = Server::start(protocol, Play::Cut).await;
        let client = client(&server.address, protocol);
        let first = client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome;
        assert_eq!(silence_of(&first), Some(Silence::Broken), "{first:?}");
        server.play(Play::ok(protocol));
        let second = client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome;
        assert!(second.is_clean(), "{second:?}");
        server.seen().await;
        server.seen().await;
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_costs_nothing() {
    for protocol in BOTH {
        let mut server = Server::start(protocol, Play::ok(protocol)).await;
        let client = client(&server.address, protocol);
        for round in 0..5 {
            let outcome = client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome;
            assert!(outcome.is_clean(), "round {round}: {outcome:?}");
            server.seen().await;
            server.close_connections().await;
        }
    }
}

// Scenario: a server is being replaced: it says GOAWAY while a request is in flight, and others are being sent.
// Guarantee: the others are taken, on a new connection; the one in flight is left to end there.
#[tokio::test]
async fn a_server_that_says_goodbye_loses_no_request() {
    let mut server = Server::start(Protocol::Grpc, Play::Hang).await;
    let client = client(&server.address, Protocol::Grpc);
    let flying = tokio::spawn({
        let client = client.clone();
        async move { client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome }
    });
    server.seen().await;
    server.play(Play::ok(Protocol::Grpc));
    server.say_goodbye();
    for round in 0..200 {
        let outcome = client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome;
        assert!(outcome.is_clean(), "round {round}: {outcome:?}");
        tokio::task::yield_now().await;
    }
    assert_eq!(server.connections(), 2);
    assert!(!flying.is_finished());
    flying.abort();
}

// The server takes frames of 16 KiB, so that a large message comes in many.
#[tokio::test]
async fn large_messages_arrive_whole_and_beside_each_other() {
    for protocol in BOTH {
        let mut server = Server::start(protocol, Play::ok(protocol)).await;
        let client = client(&server.address, protocol);
        let sizes = [0usize, 1, 5, 16_379, 16_384, 65_535, 65_536, 300_000, 1_000_000];
        let exports = sizes.map(|size| {
            let client = client.clone();
            let bytes: Vec<u8> = (0..size).map(|at| (at * 31 + size) as u8).collect();
            let metadata = HeaderMap::from_iter([("x-size".parse().unwrap(), size.into())]);
            let message = Message::identity(bytes.clone());
            let export =
                tokio::spawn(async move { client.export(message, &metadata, PATIENCE).await.outcome });
            (bytes, export)
        });
        let mut sent = std::collections::BTreeMap::new();
        for (bytes, export) in exports {
            assert!(export.await.unwrap().is_clean());
            sent.insert(bytes.len(), bytes);
        }
        for _ in sizes {
            let seen = server.seen().await;
            let size: usize = seen.headers["x-size"].to_str().unwrap().parse().unwrap();
            let body = match protocol {
                Protocol::Grpc => seen.body.slice(5..),
                Protocol::HttpProtobuf | Protocol::HttpJson => seen.body,
            };
            assert!(body == sent[&size], "{size}");
        }
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    for protocol in BOTH {
        let mut server = Server::start(protocol, Play::ok(protocol)).await;
        let client = client(&server.address, protocol);
        for _ in 0..5 {
            assert!(client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome.is_clean());
            server.seen().await;
        }
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_burst_opens_one_grpc_connection() {
    let server = Server::start(Protocol::Grpc, Play::ok(Protocol::Grpc)).await;
    let client = client(&server.address, Protocol::Grpc);
    let exports = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome })
    });
    for export in exports.collect::<Vec<_>>() {
        assert!(export.await.unwrap().is_clean());
    }
    assert_eq!(server.connections(), 1);
}

// Scenario: exports are in flight, and others are about to be made, as the client is severed.
// Guarantee: not a byte is written any more; what was in flight ends now; what was decided before is not sent after.
#[tokio::test]
async fn a_severed_client_writes_nothing() {
    for protocol in BOTH {
        let mut server = Server::start(protocol, Play::Hang).await;
        let client = client(&server.address, protocol);
        let lease = client.lease();
        let flying = tokio::spawn({
            let client = client.clone();
            async move { client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome }
        });
        server.seen().await;
        client.sever();
        let (sent, at) = (client.meter().sent_bytes(), client.meter().last_sent());
        let late = client.export_under(lease, message(), &HeaderMap::new(), PATIENCE).await.outcome;
        assert_eq!(silence_of(&late), Some(Silence::Severed), "{late:?}");
        let cut = flying.await.unwrap();
        assert!(matches!(silence_of(&cut), Some(Silence::Broken | Silence::Severed)), "{cut:?}");
        server.until_disconnected().await;
        assert_eq!((client.meter().sent_bytes(), client.meter().last_sent()), (sent, at));
        // A new lease is a new decision: the environment may be used again.
        server.play(Play::ok(protocol));
        assert!(client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome.is_clean());
        server.seen().await;
        // The old one is not, although there is a connection again.
        let sent = client.meter().sent_bytes();
        let late = client.export_under(lease, message(), &HeaderMap::new(), PATIENCE).await.outcome;
        assert_eq!(silence_of(&late), Some(Silence::Severed), "{late:?}");
        assert_eq!(client.meter().sent_bytes(), sent);
    }
}

#[tokio::test]
async fn a_dial_that_was_under_way_does_not_survive_a_sever() {
    // The listener's backlog takes the connection, and nobody ever answers on it.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener.local_addr().unwrap().to_string(), Protocol::Grpc);
    let (lease, metadata) = (client.lease(), HeaderMap::new());
    let export = client.export_under(lease, message(), &metadata, PATIENCE);
    tokio::pin!(export);
    // Polled once: the connection is being opened.
    assert!(futures_poll_once(export.as_mut()).await.is_none());
    client.sever();
    let outcome = export.await.outcome;
    assert_eq!(silence_of(&outcome), Some(Silence::Severed), "{outcome:?}");
    // The connection came about, and ends without a byte.
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    assert!(end.is_ok(), "the connection was left open");
    assert_eq!((received.len(), client.meter().sent_bytes()), (0, 0));
}

async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn configured_headers_win_over_what_is_passed_on_and_neither_touches_ours() {
    for protocol in BOTH {
        let mut server = Server::start(protocol, Play::ok(protocol)).await;
        let endpoint = Endpoint::parse(&server.address, protocol).unwrap();
        let pairs = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect()
        };
        let headers = pairs(&[("x-scope-orgid", "ours"), ("content-type", "text/plain")]);
        let client = Client::new(ClientConfig { endpoint, headers, connect_timeout: PATIENCE });
        let metadata = pairs(&[
            ("x-scope-orgid", "theirs"),
            ("x-tenant", "a"),
            ("user-agent", "sdk/1"),
            ("grpc-encoding", "zstd"),
            ("content-encoding", "zstd"),
            ("content-length", "7"),
            ("te", "gzip"),
        ]);
        let outcome = client.export(Message::gzip(b""), &metadata, PATIENCE).await.outcome;
        assert!(outcome.is_clean(), "{outcome:?}");
        let seen = server.seen().await;
        assert_eq!(seen.headers["x-scope-orgid"], "ours");
        assert_eq!(seen.headers["x-tenant"], "a");
        assert_eq!(seen.headers["user-agent"], "sdk/1");
        let (content_type, encoding) = match protocol {
            Protocol::Grpc => ("application/grpc", "grpc-encoding"),
            Protocol::HttpProtobuf => ("application/x-protobuf", "content-encoding"),
            Protocol::HttpJson => ("application/json", "content-encoding"),
        };
        assert_eq!(seen.headers["content-type"], content_type);
        assert_eq!(seen.headers[encoding], "gzip");
    }
}
