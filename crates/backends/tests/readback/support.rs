//! A server that answers as a test says, and an environment made of it: OTLP/HTTP in, Jaeger's query API out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A whole answer.
    Full(u16, Vec<u8>),
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// A success without a body, once this is true.
    Once(watch::Receiver<bool>),
    /// Nothing, for ever.
    Hang,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Path and query.
    pub(crate) path: String,
    /// The head, as it came.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The other end of the connection, over HTTP/1.1.
    pub(crate) peer: Option<SocketAddr>,
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// Starts a server and returns its address.
pub(crate) async fn serve(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let handler: Arc<Handler> = Arc::new(handler);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, handler.clone()));
        }
    });
    address
}

/// Starts a gRPC server that asks a handler as [`serve`] does - for a message without its prefix, inflated - and returns
/// its address. A reply that is not 200 becomes `UNAVAILABLE`.
pub(crate) async fn serve_grpc(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let handler: Arc<Handler> = Arc::new(handler);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = handler.clone();
            let service = service_fn(move |request| grpc(request, handler.clone()));
            let server = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn grpc(
    request: Request<Incoming>,
    handler: Arc<Handler>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    let message = request.into_body().collect().await?.to_bytes();
    let seen = Seen {
        path: "/v1/traces".to_owned(),
        head: String::new(),
        body: inflated(message[0] == 1, &message[5..]),
        peer: None,
    };
    let status = match handler(&seen) {
        Reply::Full(200, _) => "0",
        Reply::Full(..) | Reply::Raw(_) => "14",
        Reply::Once(mut ready) => {
            let _ = ready.wait_for(|ready| *ready).await;
            "0"
        }
        Reply::Hang => std::future::pending().await,
    };
    let trailers =
        HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static(status))]);
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(std::future::ready(Some(Ok(trailers))));
    Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

fn inflated(gzip: bool, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    if gzip {
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body), &mut plain).unwrap();
    } else {
        plain.extend_from_slice(body);
    }
    plain
}

async fn connection(stream: TcpStream, handler: Arc<Handler>) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read(&mut stream).await {
        let reply = match handler(&seen) {
            Reply::Once(mut ready) => {
                let _ = ready.wait_for(|ready| *ready).await;
                Reply::Full(200, Vec::new())
            }
            reply => reply,
        };
        match reply {
            Reply::Full(status, body) => {
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", body.len());
                if stream.write_all(&[head.as_bytes(), &body].concat()).await.is_err() {
                    return;
                }
            }
            Reply::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::Once(_) | Reply::Hang => std::future::pending().await,
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let length =
        head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let body = inflated(head.to_lowercase().contains("content-encoding: gzip"), &body);
    let path = head.split(' ').nth(1)?.to_owned();
    let peer = stream.get_ref().peer_addr().ok();
    Some(Seen { path, head, body, peer })
}

/// What an environment does to the spans it takes; `None` drops one.
pub(crate) type Change = fn(Span) -> Option<Span>;

/// A whole environment at one address.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    stored: Arc<Mutex<BTreeMap<Vec<u8>, Vec<ResourceSpans>>>>,
    asked: Arc<Mutex<u32>>,
}

impl Environment {
    /// Takes spans, changes them, and answers queries about a trace from the `readable_after`th on.
    pub(crate) async fn start(change: Change, readable_after: u32) -> String {
        let environment = Environment::default();
        serve(move |seen| environment.answer(seen, change, readable_after)).await
    }

    /// Loses everything.
    pub(crate) fn forget(&self) {
        self.stored.lock().unwrap().clear();
    }

    /// One request, answered.
    pub(crate) fn answer(&self, seen: &Seen, change: Change, readable_after: u32) -> Reply {
        if seen.path == "/v1/traces" {
            self.store(&seen.body, change);
            return Reply::Full(200, Vec::new());
        }
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        let id =
            seen.path.strip_prefix("/api/v3/traces/").and_then(|p| p.split('?').next()).unwrap_or_default();
        let id: Vec<u8> =
            (0..id.len() / 2).map(|i| u8::from_str_radix(&id[2 * i..2 * i + 2], 16).unwrap()).collect();
        let stored = self.stored.lock().unwrap();
        match stored.get(&id).filter(|_| *asked >= readable_after) {
            Some(resource_spans) => traces(resource_spans.clone()),
            None => Reply::Full(404, br#"{"error":{"httpCode":404,"message":"No traces found"}}"#.to_vec()),
        }
    }

    fn store(&self, body: &[u8], change: Change) {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let mut stored = self.stored.lock().unwrap();
        for resource_spans in request.resource_spans {
            for scope in &resource_spans.scope_spans {
                for span in &scope.spans {
                    let Some(changed) = change(span.clone()) else { continue };
                    let scope = ScopeSpans { spans: vec![changed], ..scope.clone() };
                    let alone = ResourceSpans { scope_spans: vec![scope], ..resource_spans.clone() };
                    stored.entry(span.trace_id.clone()).or_default().push(alone);
                }
            }
        }
    }
}

/// Jaeger's answer with these spans.
pub(crate) fn traces(resource_spans: Vec<ResourceSpans>) -> Reply {
    let body = serde_json::json!({ "result": TracesData { resource_spans } });
    Reply::Full(200, body.to_string().into_bytes())
}
