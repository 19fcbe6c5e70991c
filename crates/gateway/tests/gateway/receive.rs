//! Every way a request can be wrong, on both transports, and what the client hears.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use crossfade_backends::otlp::{Message, Outcome, Protocol};
use crossfade_otlp::RpcStatus;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::PATIENCE;
use crate::support::{
    BOTH, Bench, Chunks, EXPORT, Environment, config, encode, export, grpc, http_raw, http1, ids, large,
    one_span, request, single, soon, span, trace,
};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const LIMIT: usize = 1 << 20;

struct Setup {
    blue: Environment,
    bench: Bench,
}

async fn setup() -> Setup {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue, &green, single());
    config.limits.request_bytes = LIMIT;
    let bench = Bench::start((config, state)).await;
    Setup { blue, bench }
}

impl Setup {
    fn grpc_addr(&self) -> SocketAddr {
        self.bench.gateway.grpc_addr().unwrap()
    }

    fn http_addr(&self) -> SocketAddr {
        self.bench.gateway.http_addr().unwrap()
    }

    fn nothing_was_forwarded(&self) {
        assert_eq!(self.blue.seen().len(), 0);
        assert_eq!(self.bench.status().ledger, []);
    }
}

fn framed(flag: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], bytes].concat()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Sends over gRPC; checks code and a part of the message, and that nothing was forwarded.
async fn check_grpc(headers: &[(&str, &str)], body: Vec<u8>, code: u8, message: &str) {
    let setup = setup().await;
    let reply = soon("an answer", grpc(setup.grpc_addr(), EXPORT, headers, Chunks::whole(body))).await;
    assert_eq!((reply.status, reply.header("grpc-status")), (200, code.to_string().as_str()), "{reply:?}");
    assert!(reply.header("grpc-message").contains(message), "{message:?} is not in {reply:?}");
    assert_eq!(reply.header("grpc-status-details-bin"), "", "permanent: no RetryInfo");
    setup.nothing_was_forwarded();
}

/// Sends over HTTP; checks status and a part of the rpc.Status message, and that nothing was forwarded.
async fn check_http(headers: &[(&str, &str)], body: Vec<u8>, status: u16, message: &str) {
    let setup = setup().await;
    let sent = http1(setup.http_addr(), Method::POST, "/v1/traces", headers, Chunks::whole(body));
    let reply = soon("an answer", sent).await;
    assert_eq!(reply.status, status, "{reply:?}");
    if headers.contains(&PROTOBUF) {
        assert_eq!(reply.header("content-type"), "application/x-protobuf");
        let status = RpcStatus::parse(&reply.body).unwrap();
        assert!(status.code > 0 && status.message.contains(message), "{message:?} is not in {status:?}");
    } else {
        assert_eq!(reply.header("content-type"), "application/json");
        let status: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert!(status["message"].as_str().unwrap().contains(message), "{message:?} is not in {status:?}");
    }
    setup.nothing_was_forwarded();
}

#[tokio::test]
async fn garbage_is_refused_with_its_place() {
    let mut bad = one_span().bytes.to_vec();
    bad.truncate(bad.len() - 3);
    check_grpc(&[], framed(0, &bad), 3, "resource_spans[0]").await;
    check_grpc(&[], framed(0, b"garbage"), 3, "byte 0").await;
    check_http(&[PROTOBUF], bad, 400, "resource_spans[0]").await;
    check_http(&[PROTOBUF], b"garbage".to_vec(), 400, "byte 0").await;
}

#[tokio::test]
async fn broken_compression_is_refused() {
    let mut packed = gzip(&one_span().bytes);
    let middle = packed.len() / 2;
    packed[middle] ^= 0xff;
    check_grpc(&[("grpc-encoding", "gzip")], framed(1, &packed), 3, "gzip").await;
    check_grpc(&[("grpc-encoding", "gzip")], framed(1, b""), 3, "gzip").await;
    check_grpc(&[], framed(1, &gzip(b"")), 3, "grpc-encoding").await;
    check_http(&[PROTOBUF, ("content-encoding", "gzip")], packed, 400, "gzip").await;
}

#[tokio::test]
async fn an_oversize_request_is_refused_for_good() {
    let oversize = large(LIMIT);
    check_grpc(&[], framed(0, &oversize), 8, "limit").await;
    check_grpc(&[("grpc-encoding", "gzip")], framed(1, &gzip(&oversize)), 8, "limit").await;
    check_http(&[PROTOBUF], oversize.clone(), 413, "limit").await;
    check_http(&[PROTOBUF, ("content-encoding", "gzip")], gzip(&oversize), 413, "limit").await;
}

#[tokio::test]
async fn a_bomb_is_refused_for_good() {
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < LIMIT);
    check_grpc(&[("grpc-encoding", "gzip")], framed(1, &bomb), 8, "after decompression").await;
    check_http(&[PROTOBUF, ("content-encoding", "gzip")], bomb.clone(), 413, "after decompression").await;
    // In members, so that the first alone is below the limit.
    let members = gzip(&vec![0; LIMIT / 2]).repeat(3);
    check_http(&[PROTOBUF, ("content-encoding", "gzip")], members, 413, "after decompression").await;
}

#[tokio::test]
async fn an_announced_length_reserves_nothing_and_is_refused_at_once() {
    let setup = setup().await;
    let announced = [&[0][..], &u32::MAX.to_be_bytes()].concat();
    let reply = grpc(setup.grpc_addr(), EXPORT, &[], Chunks::endless(announced));
    assert_eq!(soon("an answer", reply).await.header("grpc-status"), "8");
}

#[tokio::test]
async fn wrong_framing_is_refused() {
    let sound = one_span().bytes;
    check_grpc(&[], Vec::new(), 3, "before the message").await;
    check_grpc(&[], vec![0, 0, 0], 3, "before the message").await;
    check_grpc(&[], framed(0, &sound)[..20].to_vec(), 3, "ends after 15").await;
    check_grpc(&[], [framed(0, &sound), framed(0, &sound)].concat(), 3, "more than one message").await;
    check_grpc(&[], framed(7, &sound), 3, "not with 7").await;
}

#[tokio::test]
async fn unknown_codings_are_named() {
    check_grpc(&[("grpc-encoding", "zstd")], framed(1, b""), 12, "gzip").await;
    check_http(&[PROTOBUF, ("content-encoding", "zstd")], Vec::new(), 415, "gzip").await;
    let setup = setup().await;
    let reply =
        grpc(setup.grpc_addr(), EXPORT, &[("grpc-encoding", "br")], Chunks::whole(framed(0, b""))).await;
    assert_eq!(reply.header("grpc-accept-encoding"), "identity,gzip");
}

#[tokio::test]
async fn http_codings_know_no_case() {
    let setup = setup().await;
    let packed = gzip(&one_span().bytes);
    for (coding, body) in
        [("GZIP", packed.clone()), ("x-gzip", packed), ("Identity", one_span().bytes.to_vec())]
    {
        let headers = [PROTOBUF, ("content-encoding", coding)];
        let sent = http1(setup.http_addr(), Method::POST, "/v1/traces", &headers, Chunks::whole(body));
        assert_eq!(soon("an answer", sent).await.status, 200, "{coding}");
    }
    assert_eq!(setup.blue.stored().len(), 3);
}

// Scenario: a path or a head of an absurd length.
// Guarantee: it is not repeated in full, and of HTTP/1.1 no more than so much of a head is read.
#[tokio::test]
async fn long_heads_are_not_repeated_nor_read_for_ever() {
    let setup = setup().await;
    let path = format!("/{}", "x".repeat(20_000));
    let reply = grpc(setup.grpc_addr(), &path, &[], Chunks::whole(framed(0, b""))).await;
    let message = reply.header("grpc-message");
    assert!(message.starts_with("unknown method: /xxx") && message.len() == 1024, "{message}");
    let reply = http1(setup.http_addr(), Method::POST, &path, &[PROTOBUF], Chunks::whole("")).await;
    assert_eq!((reply.status, RpcStatus::parse(&reply.body).unwrap().message.len()), (404, 1024));
    for (length, status) in [(30_000, "200"), (200_000, "431")] {
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: g\r\nContent-Type: {}\r\nContent-Length: 0\r\nX-Long: {}\r\n\r\n",
            PROTOBUF.1,
            "x".repeat(length)
        );
        let answer = soon("an answer", http_raw(setup.http_addr(), head.as_bytes())).await;
        // A reset may overtake the refusal: some of the head was never read.
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) || status == "431" && answer.is_empty(),
            "{answer}"
        );
    }
    setup.nothing_was_forwarded();
}

#[tokio::test]
async fn other_content_types_are_refused_in_words() {
    check_http(&[("content-type", "application/json")], b"{}".to_vec(), 415, "http/protobuf").await;
    check_http(&[("content-type", "text/plain")], b"x".to_vec(), 415, "text/plain").await;
    check_http(&[], b"x".to_vec(), 415, "none").await;
    let setup = setup().await;
    for content_type in ["application/json", "application/grpc+json", "application/grpc-web", "text/html"] {
        let headers = [("content-type", content_type)];
        let reply = grpc(setup.grpc_addr(), EXPORT, &headers, Chunks::whole(framed(0, b""))).await;
        assert_eq!(reply.status, 415, "{content_type}");
    }
    let headers = [("content-type", "application/grpc+proto")];
    let reply = grpc(setup.grpc_addr(), EXPORT, &headers, Chunks::whole(framed(0, b""))).await;
    assert_eq!((reply.status, reply.header("grpc-status")), (200, "0"));
}

#[tokio::test]
async fn other_services_paths_and_methods_are_refused() {
    let setup = setup().await;
    for (path, message) in [
        ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "traces only"),
        ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "traces only"),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Import", "unknown method"),
        ("/grpc.health.v1.Health/Check", "unknown method"),
        ("/", "unknown method"),
    ] {
        let reply = grpc(setup.grpc_addr(), path, &[], Chunks::whole(framed(0, b""))).await;
        assert_eq!((reply.status, reply.header("grpc-status")), (200, "12"), "{path}");
        assert!(reply.header("grpc-message").contains(message), "{path}: {reply:?}");
        assert_eq!(reply.body.len(), 0, "an error is trailers only");
    }
    for (method, path, status) in [
        (Method::POST, "/v1/metrics", 404),
        (Method::POST, "/v1/logs", 404),
        (Method::POST, "/v1/traces/", 404),
        (Method::POST, "/", 404),
        (Method::GET, "/v1/traces", 405),
        (Method::PUT, "/v1/traces", 405),
    ] {
        let reply = http1(setup.http_addr(), method.clone(), path, &[PROTOBUF], Chunks::whole("")).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.header("allow"), if status == 405 { "POST" } else { "" });
        assert!(!RpcStatus::parse(&reply.body).unwrap().message.is_empty());
    }
    setup.nothing_was_forwarded();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue, &green, single());
    config.limits.body_timeout = Duration::from_millis(50);
    let bench = Bench::start((config, state)).await;
    let start = framed(0, &one_span().bytes)[..30].to_vec();
    let sent = grpc(bench.gateway.grpc_addr().unwrap(), EXPORT, &[], Chunks::endless(start.clone()));
    let reply = soon("an answer", sent).await;
    assert_eq!((reply.status, reply.header("grpc-status")), (200, "4"), "{reply:?}");
    let address = bench.gateway.http_addr().unwrap();
    for headers in [&[PROTOBUF][..], &[PROTOBUF, ("content-length", "500")]] {
        let sent = http1(address, Method::POST, "/v1/traces", headers, Chunks::endless(start.clone()));
        let reply = soon("an answer", sent).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "to be sent again");
    }
    assert_eq!(blue.seen().len(), 0);
}

/// Guarantee: whoever begins a connection and does not go on has its place taken away, on both ports, and no sender is locked out.
#[tokio::test]
async fn a_head_that_does_not_come_is_given_up() {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue, &green, single());
    config.limits.head_timeout = Duration::from_millis(200);
    config.limits.connections = 4;
    let bench = Bench::start((config, state)).await;
    let (grpc, http) = (bench.gateway.grpc_addr().unwrap(), bench.gateway.http_addr().unwrap());
    let mut slow = Vec::new();
    for (address, start) in
        [(grpc, "P"), (grpc, "PRI * HTTP/2.0\r\n"), (http, "P"), (http, "POST /v1/traces HT")]
    {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        slow.push((address, start, stream));
    }
    for (address, start, stream) in &mut slow {
        let mut rest = Vec::new();
        soon(&format!("{address} hangs up after {start:?}"), stream.read_to_end(&mut rest)).await.ok();
    }
    for protocol in BOTH {
        let heard = soon("an answer", export(&bench.client(protocol), one_span())).await;
        assert!(matches!(heard, Outcome::Accepted { .. }), "{heard:?}");
    }
}

/// What speaks no HTTP/2 on its port hears so at once, however little it says.
#[tokio::test]
async fn another_greeting_than_that_of_http_2_is_refused_at_once() {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue, &green, single());
    config.limits.head_timeout = 10 * PATIENCE;
    let bench = Bench::start((config, state)).await;
    for words in ["GET / HTTP/1.1\r\n\r\n", "PRIVATE", "\u{16}\u{3}"] {
        let mut stream = tokio::net::TcpStream::connect(bench.gateway.grpc_addr().unwrap()).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        soon("an end", stream.read_to_end(&mut answer)).await.ok();
    }
}

#[tokio::test]
async fn a_truncated_http_body_is_not_forwarded() {
    let setup = setup().await;
    let head = "POST /v1/traces HTTP/1.1\r\nHost: g\r\nContent-Type: application/x-protobuf\r\nContent-Length: 99\r\n\r\n";
    let sound = one_span().bytes;
    let truncated = [head.as_bytes(), &sound[..]].concat();
    let answer = soon("an answer", http_raw(setup.http_addr(), &truncated)).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    let chunked = head.replace("Content-Length: 99", "Transfer-Encoding: chunked") + "5\r\nabc";
    let answer = soon("an answer", http_raw(setup.http_addr(), chunked.as_bytes())).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    setup.nothing_was_forwarded();
}

#[tokio::test]
async fn an_empty_request_is_a_success_and_goes_nowhere() {
    let setup = setup().await;
    let resource_only = b"\x0a\x02\x0a\x00".as_slice();
    for protocol in BOTH {
        let client = setup.bench.client(protocol);
        for bytes in [Bytes::new(), Bytes::from_static(resource_only)] {
            let outcome = export(&client, Message::identity(bytes)).await;
            assert_eq!(outcome, Outcome::Accepted { rejected_spans: 0, message: String::new() });
        }
        assert!(export(&client, Message::gzip(b"")).await.is_clean());
    }
    setup.nothing_was_forwarded();
}

#[tokio::test]
async fn requests_in_any_chunks_are_taken() {
    let setup = setup().await;
    let sent = request(&[span(trace()), span(trace())]);
    let body = Bytes::from(framed(0, &encode(&sent).bytes));
    // Byte by byte; a first frame of one byte; the prefix across chunks; all at once.
    for sizes in [&[1][..], &[1, usize::MAX], &[3, 4, usize::MAX], &[5, usize::MAX], &[usize::MAX]] {
        let mut left = body.clone();
        let mut sizes = sizes.iter().copied().chain(std::iter::repeat(sizes[sizes.len() - 1]));
        let mut chunks = Vec::new();
        while !left.is_empty() {
            chunks.push(left.split_to(sizes.next().unwrap().min(left.len())));
        }
        let sending = grpc(setup.grpc_addr(), EXPORT, &[], Chunks::all(chunks.clone()));
        assert_eq!(soon("an answer", sending).await.header("grpc-status"), "0");
        let last = setup.blue.seen().pop().unwrap();
        assert_eq!(last.bytes, body.slice(5..));
        let unframed: Vec<_> = chunks.concat()[5..].chunks(7).map(Bytes::copy_from_slice).collect();
        let headers = [PROTOBUF];
        let sending = http1(setup.http_addr(), Method::POST, "/v1/traces", &headers, Chunks::all(unframed));
        assert_eq!(soon("an answer", sending).await.status, 200);
        assert_eq!(setup.blue.seen().pop().unwrap().bytes, body.slice(5..));
    }
}

#[tokio::test]
async fn large_requests_are_taken_in_small_frames_and_in_large_ones() {
    let setup = setup().await;
    // As a Go client sends them.
    for size in [100, 400_000, 900_000] {
        let message = Bytes::from(framed(0, &large(size)));
        let frames = message.chunks(16_384).map(|frame| message.slice_ref(frame)).collect();
        let sending = grpc(setup.grpc_addr(), EXPORT, &[], Chunks::all(frames));
        assert_eq!(soon("an answer", sending).await.header("grpc-status"), "0");
        assert!(setup.blue.seen().pop().unwrap().bytes == message.slice(5..), "{size}");
    }
    // As large as the gateway lets them be, small and large by turns on one connection, and several at a time.
    let client = setup.bench.client(Protocol::Grpc);
    for size in [100, 400_000, 10, 200_000, 700_000, 1, 16_384, 900_000] {
        let message = Message::identity(large(size));
        assert!(export(&client, message.clone()).await.is_clean());
        assert!(setup.blue.seen().pop().unwrap().bytes == message.bytes, "{size}");
    }
    let at_once = [300_000, 500_000, 800_000].map(|size| {
        let (client, message) = (client.clone(), Message::identity(large(size)));
        tokio::spawn(async move { export(&client, message).await })
    });
    for export in at_once {
        assert!(soon("an answer", export).await.unwrap().is_clean());
    }
    assert_eq!(setup.blue.stored().len(), 14);
}

// Scenario: a client writes a large body behind a head that is refused.
// Guarantee: the body is read, so that the answer is heard, and the connection is good for another request.
#[tokio::test]
async fn a_refusal_by_the_head_is_heard_behind_a_large_body() {
    let setup = setup().await;
    let stream = tokio::net::TcpStream::connect(setup.http_addr()).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut send = async |path: &str, content_type: &str, body: Vec<u8>| {
        let request = http::Request::post(path).header("host", "g").header("content-type", content_type);
        let request = request.body(Chunks::whole(body)).unwrap();
        soon("the connection is free", sender.ready()).await.unwrap();
        soon("an answer", sender.send_request(request)).await.unwrap().status()
    };
    assert_eq!(send("/v1/logs", PROTOBUF.1, vec![0; 900_000]).await, 404);
    assert_eq!(send("/v1/traces", "text/plain", vec![0; 900_000]).await, 415);
    assert_eq!(send("/v1/traces", PROTOBUF.1, one_span().bytes.to_vec()).await, 200);
}

#[tokio::test]
async fn every_coding_on_either_side_carries_the_same_spans() {
    use crossfade_backends::otlp::Compression as Wanted;
    for inward in BOTH {
        for outward in BOTH {
            for wanted in [Wanted::Preserve, Wanted::Gzip, Wanted::None] {
                let (blue, green) = (Environment::start(outward).await, Environment::grpc().await);
                let (mut config, state) = config(&blue, &green, single());
                for environment in config.environments.values_mut() {
                    environment.compression = wanted;
                }
                let bench = Bench::start((config, state)).await;
                let client = bench.client(inward);
                let sent = request(&[span(trace()), span(trace())]);
                let plain = encode(&sent);
                for message in [plain.clone(), Message::gzip(&plain.bytes)] {
                    let arrived_packed = message.bytes != plain.bytes;
                    assert!(export(&client, message.clone()).await.is_clean());
                    let seen = blue.seen().pop().unwrap();
                    let packed = match wanted {
                        Wanted::Preserve => arrived_packed,
                        Wanted::Gzip => true,
                        Wanted::None => false,
                    };
                    assert_eq!(seen.compressed, packed);
                    assert_eq!(ids([&seen.request]), ids([&sent]));
                    if packed == arrived_packed {
                        assert_eq!(seen.bytes, message.bytes, "passed on unopened");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_a_balanced_ledger() {
    let setup = setup().await;
    setup.blue.play(crate::support::Play::Hang);
    let client = setup.bench.client(Protocol::Grpc);
    let waiting =
        tokio::spawn(async move { tokio::time::timeout(PATIENCE, export(&client, one_span())).await });
    setup.blue.seen_count(1).await;
    waiting.abort();
    let settled = |row: &crossfade_routing::sync::LedgerRow| row.indeterminate == 1 && row.queued == 0;
    setup.bench.account_is(&crate::support::blue(), "the span is indeterminate", settled).await;
}
