//! Two simulated environments that hold the traffic of a day.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind};
use crossfade_backends::sample::Window;
use crossfade_gates::parity::Names;
use crossfade_gates::report::Report;
use crossfade_lab::environment::{Environment, Store};
use crossfade_lab::traffic::{TrafficConfig, past};
use crossfade_routing::UnixNanos;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// 2027-01-15T08:00:00Z.
pub(crate) const BEGIN: u64 = 1_800_000_000_000_000_000;
pub(crate) const HOUR: u64 = 3_600_000_000_000;
pub(crate) const DAY: Window = Window { from: BEGIN, until: BEGIN + 24 * HOUR };

pub(crate) struct World {
    pub(crate) blue: Environment,
    pub(crate) green: Environment,
}

/// What becomes of a trace on its way to green: the nth, when it began, its spans. `None`: it does not get there.
type Change<'a> = dyn Fn(usize, u64, &mut Span) -> bool + 'a;

impl World {
    /// `count` traces of a day in blue; in green those spans of them that `keep` says, as it changes them.
    pub(crate) async fn new(count: u64, keep: &Change<'_>) -> World {
        World::of(DAY, count, keep).await
    }

    /// The same, of another time.
    pub(crate) async fn of(time: Window, count: u64, keep: &Change<'_>) -> World {
        let world =
            World { blue: Environment::start(1).await.unwrap(), green: Environment::start(2).await.unwrap() };
        for (nth, (began, request)) in traffic_of(time, count).enumerate() {
            put(&world.green.store(), began, kept(request.clone(), |span| keep(nth, began.0, span)));
            put(&world.blue.store(), began, request);
        }
        world
    }

    pub(crate) fn queries(&self) -> (Query, Query) {
        (jaeger(&self.blue.query_addr().to_string()), jaeger(&self.green.query_addr().to_string()))
    }
}

pub(crate) fn traffic(count: u64) -> impl Iterator<Item = (UnixNanos, ExportTraceServiceRequest)> {
    traffic_of(DAY, count)
}

fn traffic_of(time: Window, count: u64) -> impl Iterator<Item = (UnixNanos, ExportTraceServiceRequest)> {
    let config = TrafficConfig::default();
    past(&config, time.from..time.until, count).collect::<Vec<_>>().into_iter()
}

pub(crate) fn put(store: &Arc<Store>, at: UnixNanos, request: ExportTraceServiceRequest) {
    store.insert(request, at).unwrap();
}

/// The spans that `keep` keeps, as it leaves them.
pub(crate) fn kept(
    mut request: ExportTraceServiceRequest,
    mut keep: impl FnMut(&mut Span) -> bool,
) -> ExportTraceServiceRequest {
    for scope in request.resource_spans.iter_mut().flat_map(|part| &mut part.scope_spans) {
        scope.spans.retain_mut(&mut keep);
    }
    request
}

pub(crate) fn jaeger(address: &str) -> Query {
    client(QueryKind::Jaeger, address)
}

pub(crate) fn client(kind: QueryKind, address: &str) -> Query {
    Query::new(QueryConfig::new(kind, QueryEndpoint::parse(address).unwrap()))
}

/// Waits for nobody who will not answer, and as long as it takes for anybody else.
pub(crate) fn asking(kind: QueryKind, address: &str, hangs: bool) -> Query {
    let mut config = QueryConfig::new(kind, QueryEndpoint::parse(address).unwrap());
    config.timeout = std::time::Duration::from_millis(if hangs { 200 } else { 30_000 });
    Query::new(config)
}

pub(crate) fn names() -> Names {
    Names { active: "blue".into(), candidate: "green".into() }
}

pub(crate) fn rules(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.rule).collect()
}

/// A server in front of two query services: traces are read by id from one, and everything else is asked of the other.
pub(crate) async fn in_front(reads: SocketAddr, searches: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pass_on(BufReader::new(stream), reads, searches));
        }
    });
    address
}

/// A server in front of a query service, which never answers a question that has `word` in it.
pub(crate) async fn hanging_at(word: &'static str, service: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = BufReader::new(stream);
            tokio::spawn(pass_on_unless(Some(word), stream, service, service));
        }
    });
    address
}

/// One request, one answer, then the end of the connection.
async fn pass_on(
    stream: BufReader<TcpStream>,
    reads: SocketAddr,
    searches: SocketAddr,
) -> std::io::Result<()> {
    pass_on_unless(None, stream, reads, searches).await
}

/// The same; but nothing at all, for as long as anybody waits, if the request has a word in it.
async fn pass_on_unless(
    hangs_at: Option<&str>,
    stream: BufReader<TcpStream>,
    reads: SocketAddr,
    searches: SocketAddr,
) -> std::io::Result<()> {
    pass_on_as(|head| head, hangs_at, stream, reads, searches).await
}

/// The same; the request as it is changed.
async fn pass_on_as(
    change: fn(String) -> String,
    hangs_at: Option<&str>,
    mut stream: BufReader<TcpStream>,
    reads: SocketAddr,
    searches: SocketAddr,
) -> std::io::Result<()> {
    let head = change(head_of(&mut stream).await?);
    if hangs_at.is_some_and(|word| head.contains(word)) {
        std::future::pending::<()>().await;
    }
    let to = if head.starts_with("GET /api/v3/traces/") { reads } else { searches };
    pass_head_on(head, stream, to).await
}

async fn pass_head_on(head: String, mut stream: BufReader<TcpStream>, to: SocketAddr) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(to).await?;
    upstream.write_all(head.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).await?;
    tokio::io::copy(&mut upstream, stream.get_mut()).await?;
    Ok(())
}

async fn head_of(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await? > 0 {}
    Ok(head)
}

/// A server in front of a query service, which refuses some of the questions that have `word` in them; and how many those were so far.
pub(crate) async fn refusing(
    word: &'static str,
    refused: Range<usize>,
    service: SocketAddr,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (count, refused, mut stream) = (Arc::clone(&count), refused.clone(), BufReader::new(stream));
            tokio::spawn(async move {
                let head = head_of(&mut stream).await?;
                if head.contains(word) && refused.contains(&count.fetch_add(1, Ordering::Relaxed)) {
                    let reply = b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                    return stream.write_all(reply).await;
                }
                pass_head_on(head, stream, service).await
            });
        }
    });
    (address, seen)
}

/// A server in front of a query service, whose searches give traces of the whole day, whatever the time that is asked for.
pub(crate) async fn whenever(service: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pass_on_as(of_the_day, None, BufReader::new(stream), service, service));
        }
    });
    address
}

/// A request of any time as one of the day.
fn of_the_day(head: String) -> String {
    let part = |part: &str| match part.split_once('=') {
        Some((key @ "query.start_time_min", _)) => format!("{key}=2027-01-15T08:00:00Z"),
        Some((key @ "query.start_time_max", _)) => format!("{key}=2027-01-16T08:00:00Z"),
        _ => part.to_owned(),
    };
    head.split('&').map(part).collect::<Vec<_>>().join("&")
}
