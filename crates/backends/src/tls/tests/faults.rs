//! What each kind of server amounts to, for both OTLP transports and for queries.

use std::time::Duration;

use http::HeaderMap;
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::authority::{Authority, Clients};
use super::server::Server;
use crate::otlp::{Client, ClientConfig, Endpoint, Message, Outcome, Protocol, Silence};
use crate::query::{Query, QueryConfig, QueryEndpoint, QueryError, QueryKind};
use crate::tls::{MinVersion, Tls, TlsSettings};

/// Long enough that only a defect reaches it.
const PATIENCE: Duration = Duration::from_secs(60);
const EVERY: [&str; 2] = ["h2", "http/1.1"];

fn client(port: u16, protocol: Protocol, settings: &TlsSettings) -> Client {
    let endpoint = Endpoint::parse(&format!("https://127.0.0.1:{port}"), protocol).unwrap();
    let endpoint = endpoint.with_tls(Tls::new(settings.clone()));
    Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout: PATIENCE })
}

fn message() -> Message {
    Message::identity(&b"\x0a\x00"[..])
}

async fn export(port: u16, protocol: Protocol, settings: &TlsSettings) -> Outcome {
    client(port, protocol, settings).export(message(), &HeaderMap::new(), PATIENCE).await.outcome
}

async fn services(port: u16, settings: &TlsSettings) -> Result<Vec<String>, QueryError> {
    let endpoint = QueryEndpoint::parse(&format!("https://127.0.0.1:{port}")).unwrap();
    let endpoint = endpoint.with_tls(Tls::new(settings.clone()));
    let config = QueryConfig { timeout: PATIENCE, ..QueryConfig::new(QueryKind::Jaeger, endpoint) };
    Query::new(config).services().await
}

/// All three ways in work.
async fn open(server: ServerConfig, settings: &TlsSettings) {
    let server = Server::start(server, &EVERY).await;
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let outcome = export(server.port, protocol, settings).await;
        assert!(outcome.is_clean(), "{protocol:?}: {}", outcome.describe());
    }
    assert_eq!(services(server.port, settings).await.unwrap(), ["a"]);
}

/// All three ways in are closed, and for this reason; before a byte of a request was sent if `unsent`.
async fn closed(server: ServerConfig, settings: &TlsSettings, why: &str) {
    let server = Server::start(server, &EVERY).await;
    closed_at(server.port, settings, why).await;
    assert!(server.connections() <= 80, "{} connections", server.connections());
}

async fn closed_at(port: u16, settings: &TlsSettings, why: &str) {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        match export(port, protocol, settings).await {
            Outcome::Unanswered { silence: Silence::Unreachable | Silence::Broken, detail } => {
                assert!(detail.contains(why), "{protocol:?}: {detail}");
            }
            other => panic!("{protocol:?}: {other:?}"),
        }
    }
    let error = services(port, settings).await.unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[tokio::test]
async fn both_versions_are_spoken_and_the_older_one_only_if_it_may_be() {
    let authority = Authority::new();
    let (local, trusted) = (authority.local(), authority.trusted());
    let newest = TlsSettings { min_version: MinVersion::Tls13, ..trusted.clone() };
    for versions in [&[&TLS12][..], &[&TLS13], &[&TLS12, &TLS13]] {
        open(authority.server(&local, versions, Clients::Unasked), &trusted).await;
    }
    open(authority.server(&local, &[&TLS13], Clients::Unasked), &newest).await;
    let old = authority.server(&local, &[&TLS12], Clients::Unasked);
    closed(old, &newest, "no TLS version or cipher suite in common").await;
}

// Scenario: a server's certificate is not what it should be.
// Guarantee: it is not talked to, and the words say what is wrong. Unless nobody wants to know.
#[tokio::test]
async fn a_certificate_that_is_not_right_is_refused_with_its_reason() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = |identity| authority.server(identity, &[&TLS13, &TLS12], Clients::Unasked);
    let careless = TlsSettings { insecure_skip_verify: true, ..TlsSettings::default() };
    let (local, expired) = (authority.local(), authority.expired());
    let other = authority.issue("other.example", |_| {});
    for (identity, settings, why) in [
        (&local, stranger.trusted(), "unknown CA"),
        (&other, authority.trusted(), "name mismatch: the certificate is for"),
        (&other, authority.trusted(), "other.example"),
        (&expired, authority.trusted(), "expired"),
    ] {
        closed(server(identity), &settings, why).await;
        open(server(identity), &careless).await;
    }
    let renamed = TlsSettings { server_name_override: Some("other.example".into()), ..authority.trusted() };
    open(server(&other), &renamed).await;
    closed(server(&local), &renamed, "not for other.example").await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let local = authority.local();
    let nobody = authority.trusted();
    let somebody = authority.trusted_as(&authority.issue("crossfade", |_| {}));
    let other = stranger.trusted_as(&stranger.issue("crossfade", |_| {}));
    let other = TlsSettings { ca_file: nobody.ca_file.clone(), ..other };
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let server = |clients| authority.server(&local, versions, clients);
        open(server(Clients::Demanded), &somebody).await;
        open(server(Clients::Asked), &nobody).await;
        closed(server(Clients::Demanded), &nobody, "client certificate demanded").await;
        closed(server(Clients::Demanded), &other, "client certificate refused").await;
    }
}

#[tokio::test]
async fn a_peer_without_tls_is_called_so() {
    for says in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 5, 0, 0, 64, 0]] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(says).await;
            }
        });
        closed_at(port, &Authority::new().trusted(), "plain text peer").await;
    }
    // One that just hangs up.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    closed_at(port, &Authority::new().trusted(), "closed the connection during the TLS handshake").await;
}

#[tokio::test]
async fn grpc_wants_http2_and_says_so() {
    let authority = Authority::new();
    let local = authority.local();
    for alpn in [&["http/1.1"][..], &[]] {
        let config = authority.server(&local, &[&TLS13], Clients::Unasked);
        let server = Server::start(config, alpn).await;
        let outcome = export(server.port, Protocol::Grpc, &authority.trusted()).await;
        assert!(outcome.describe().contains("does not agree to HTTP/2"), "{}", outcome.describe());
        assert!(export(server.port, Protocol::HttpProtobuf, &authority.trusted()).await.is_clean());
    }
}

// Scenario: a fence falls while a handshake is under way.
// Guarantee: it ends as severed, and no request is sent.
#[tokio::test]
async fn a_fence_cuts_a_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let authority = Authority::new();
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let client = client(port, protocol, &authority.trusted());
        let exporting = tokio::spawn({
            let client = client.clone();
            async move { client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome }
        });
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.read_exact(&mut [0; 16]).await.unwrap();
        client.sever();
        let outcome = exporting.await.unwrap();
        assert!(
            matches!(outcome, Outcome::Unanswered { silence: Silence::Severed, .. }),
            "{protocol:?}: {outcome:?}"
        );
    }
}

// Scenario: a request is larger than every buffer on its way, so that encrypted bytes have to wait.
// Guarantee: it arrives.
#[tokio::test]
async fn large_requests_arrive() {
    let authority = Authority::new();
    let config = authority.server(&authority.local(), &[&TLS13], Clients::Unasked);
    let server = Server::start(config, &EVERY).await;
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let client = client(server.port, protocol, &authority.trusted());
        for bytes in [40_000, 300_000, 8 << 20] {
            let message = Message::identity(vec![7; bytes]);
            let outcome = client.export(message, &HeaderMap::new(), PATIENCE).await.outcome;
            assert!(outcome.is_clean(), "{protocol:?}, {bytes}: {}", outcome.describe());
        }
    }
    assert_eq!(server.connections(), 2);
}
