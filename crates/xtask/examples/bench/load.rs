//! The load: a closed loop of so many requests in flight over a few connections, every request prebuilt.

use crate::payload;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

const DIFFERENT: usize = 16;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    target: SocketAddr,
    #[arg(long)]
    requests: usize,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests in flight, over all connections
    #[arg(long, default_value_t = 16)]
    in_flight: usize,
    /// Largest DATA frame that is sent; without it, as large as the peer takes
    #[arg(long)]
    frame: Option<usize>,
    #[arg(long)]
    gzip: bool,
}

/// What all senders share; they run on one thread.
struct Shared {
    messages: Vec<Bytes>,
    args: Args,
    next: Cell<usize>,
    latencies: RefCell<Vec<u64>>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let messages = payload::build(DIFFERENT, args.gzip);
    let bytes: usize = messages.iter().map(Bytes::len).sum::<usize>() / DIFFERENT * args.requests;
    let latencies = RefCell::new(Vec::with_capacity(args.requests));
    let shared = Rc::new(Shared { messages, args, next: Cell::new(0), latencies });
    let local = LocalSet::new();
    let start = Instant::now();
    local.run_until(send_all(Rc::clone(&shared))).await?;
    let nanos = start.elapsed().as_nanos();
    let mut latencies = shared.latencies.take();
    latencies.sort_unstable();
    let quantile = |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or(0);
    println!(
        r#"{{"requests":{},"spans":{},"bytes":{bytes},"nanos":{nanos},"p50_us":{},"p99_us":{}}}"#,
        shared.args.requests,
        shared.args.requests * payload::SPANS,
        quantile(50),
        quantile(99),
    );
    Ok(())
}

async fn send_all(shared: Rc<Shared>) -> Result<()> {
    let mut senders = Vec::new();
    let connections = shared.args.connections.max(1);
    for connection in 0..connections {
        let client = connect(shared.args.target).await?;
        let share = (shared.args.in_flight + connection) / connections;
        for _ in 0..share {
            senders.push(tokio::task::spawn_local(sender(client.clone(), Rc::clone(&shared))));
        }
    }
    for sender in senders {
        sender.await.context("a sender died")??;
    }
    Ok(())
}

async fn connect(target: SocketAddr) -> Result<SendRequest<Chunks>> {
    let stream = TcpStream::connect(target).await.with_context(|| format!("connecting to {target}"))?;
    stream.set_nodelay(true)?;
    let (client, connection) = Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .context("the HTTP/2 handshake")?;
    tokio::spawn(connection);
    Ok(client)
}

async fn sender(mut client: SendRequest<Chunks>, shared: Rc<Shared>) -> Result<()> {
    loop {
        let index = shared.next.get();
        if index >= shared.args.requests {
            return Ok(());
        }
        shared.next.set(index + 1);
        let message = shared.messages[index % DIFFERENT].clone();
        let start = Instant::now();
        send(&mut client, message, &shared.args).await.with_context(|| format!("request {index}"))?;
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        shared.latencies.borrow_mut().push(micros);
    }
}

async fn send(client: &mut SendRequest<Chunks>, message: Bytes, args: &Args) -> Result<()> {
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let mut request = Request::post(format!("http://{}{path}", args.target))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "crossfade-bench");
    if args.gzip {
        request = request.header("grpc-encoding", "gzip");
    }
    let size = args.frame.unwrap_or(usize::MAX);
    client.ready().await?;
    let response = client.send_request(request.body(Chunks { rest: message, size })?).await?;
    let (head, body) = response.into_parts();
    let status = head.status;
    let trailers = body.collect().await?.trailers().cloned();
    let code = |headers: &HeaderMap| headers.get("grpc-status").map(|code| code.as_bytes() == b"0");
    if trailers.as_ref().and_then(code).or_else(|| code(&head.headers)) != Some(true) {
        bail!("answered with {status} {:?} {trailers:?}", head.headers);
    }
    Ok(())
}

/// A body in pieces of at most `size` bytes, each of which becomes at least one DATA frame.
struct Chunks {
    rest: Bytes,
    size: usize,
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.size.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }
}
