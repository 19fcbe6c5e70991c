//! The sink: receives on any number of ports, over gRPC or HTTP, counts what came to each, and answers at once. What it counted
//! can be asked for on a port of its own, by plain HTTP.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A port that receives; may be given several times
    #[arg(long, required = true)]
    port: Vec<u16>,
    /// The port that tells the counts
    #[arg(long)]
    counts: u16,
    /// Largest DATA frame that it lets its peers send
    #[arg(long, default_value_t = 16_384)]
    frame: u32,
    /// Receive over HTTP/1.1 instead of gRPC
    #[arg(long)]
    http: bool,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    spans: AtomicU64,
    bytes: AtomicU64,
    /// What could not be read as a request.
    broken: AtomicU64,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let counts: Vec<_> = args.port.iter().map(|_| Arc::new(Counts::default())).collect();
    for (port, counts) in args.port.iter().zip(&counts) {
        let listener = listen(*port).await?;
        tokio::spawn(receive(listener, (!args.http).then_some(args.frame), Arc::clone(counts)));
    }
    let listener = listen(args.counts).await?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting a question")?;
        // Whoever asks and goes away is not waited for.
        let _ = tell(stream, &counts).await;
    }
}

async fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("listening on {port}"))
}

async fn tell(mut stream: TcpStream, counts: &[Arc<Counts>]) -> std::io::Result<()> {
    let rows: Vec<_> = counts
        .iter()
        .map(|counts| {
            let [requests, spans, bytes, broken] =
                [&counts.requests, &counts.spans, &counts.bytes, &counts.broken]
                    .map(|n| n.load(Ordering::Relaxed));
            format!(r#"{{"requests":{requests},"spans":{spans},"bytes":{bytes},"broken":{broken}}}"#)
        })
        .collect();
    let answer = format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[{}]", rows.join(","));
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut question).await? == 0 {
            break;
        }
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Over gRPC with frames of so many bytes, or over HTTP/1.1.
async fn receive(listener: TcpListener, frame: Option<u32>, counts: Arc<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            // A peer that resets its connection at the end of a run is no failure of the sink.
            let _ = stream.set_nodelay(true);
            let Some(frame) = frame else {
                let service = service_fn(move |request| answer_http(request, Arc::clone(&counts)));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                return;
            };
            let service = service_fn(move |request| answer(request, Arc::clone(&counts)));
            let _ = http2::Builder::new(TokioExecutor::new())
                .max_frame_size(frame)
                .initial_stream_window_size(8 << 20)
                .initial_connection_window_size(64 << 20)
                .max_concurrent_streams(1_000)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Answer = WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>;

async fn answer(request: Request<Incoming>, counts: Arc<Counts>) -> Result<Response<Answer>, hyper::Error> {
    let message = request.into_body().collect().await?.to_bytes();
    counts.count(message.len(), spans(&message));
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    // An empty ExportTraceServiceResponse: everything was accepted.
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(ready(Some(Ok(trailers))));
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}

async fn answer_http(
    request: Request<Incoming>,
    counts: Arc<Counts>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let gzip = request.headers().contains_key("content-encoding");
    let body = request.into_body().collect().await?.to_bytes();
    counts.count(body.len(), if gzip { count_gzip(&body) } else { count(&body) });
    // An empty ExportTraceServiceResponse is empty.
    let mut response = Response::new(Full::default());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/x-protobuf"));
    Ok(response)
}

impl Counts {
    fn count(&self, bytes: usize, spans: Option<u64>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        match spans {
            Some(spans) => self.spans.fetch_add(spans, Ordering::Relaxed),
            None => self.broken.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// The spans of a gRPC message, or nothing where it is none.
fn spans(message: &[u8]) -> Option<u64> {
    let (prefix, body) = message.split_at_checked(5)?;
    let length = u32::from_be_bytes(prefix.get(1..)?.try_into().ok()?);
    if body.len() != usize::try_from(length).ok()? {
        return None;
    }
    if prefix.first() == Some(&0) { count(body) } else { count_gzip(body) }
}

fn count_gzip(body: &[u8]) -> Option<u64> {
    let mut plain = Vec::new();
    Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(body), &mut plain).ok()?;
    count(&plain)
}

fn count(request: &[u8]) -> Option<u64> {
    crossfade_otlp::scan(request).try_fold(0, |spans, span| span.ok().map(|_| spans + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload;

    #[test]
    fn spans_are_counted_and_nonsense_is_none() {
        assert_eq!(spans(&payload::build(1, false)[0]), Some(512));
        assert_eq!(spans(&payload::build(1, true)[0]), Some(512));
        assert_eq!(spans(&[0, 0, 0, 0, 0]), Some(0));
        assert_eq!(spans(&[0, 0, 0, 0, 9, 1]), None);
        assert_eq!(spans(b"x"), None);
    }
}
