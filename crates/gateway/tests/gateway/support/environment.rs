//! An environment that does as it is told, and remembers what it was sent.

use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use crossfade_backends::otlp::framing::{encode_grpc_message, encode_status_details};
use crossfade_backends::otlp::{GrpcCode, Protocol};
use crossfade_otlp::{ExportTraceServiceResponse, PartialSuccess, RpcStatus};
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Request, ids, until};

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Play {
    Accept,
    Partial {
        rejected: i64,
        message: &'static str,
    },
    Grpc {
        code: GrpcCode,
        retry: Option<Duration>,
        message: &'static str,
    },
    Http {
        status: u16,
        retry_after: Option<&'static str>,
        message: &'static str,
    },
    /// Never answer.
    Hang,
    /// Accept, but not before [`Environment::release`].
    Hold,
    /// End the connection.
    Cut,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) headers: HeaderMap,
    /// As it was sent, without gRPC's prefix.
    pub(crate) bytes: Bytes,
    pub(crate) compressed: bool,
    pub(crate) request: Request,
}

type Script = Box<dyn FnMut(&Seen, usize) -> Play + Send>;

pub(crate) struct Environment {
    address: SocketAddr,
    protocol: Protocol,
    state: Arc<State>,
    server: Mutex<Option<JoinHandle<()>>>,
    /// While it is dead: bound and not listening, so that nobody else is given the port.
    grave: Mutex<Option<TcpSocket>>,
}

struct State {
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    /// What it said yes to.
    stored: Mutex<Vec<Request>>,
    hanging: watch::Sender<usize>,
    released: watch::Sender<bool>,
    killed: watch::Sender<bool>,
}

impl Environment {
    /// Accepts everything.
    pub(crate) async fn start(protocol: Protocol) -> Environment {
        let state = Arc::new(State {
            script: Mutex::new(Box::new(|_, _| Play::Accept)),
            seen: Mutex::default(),
            stored: Mutex::default(),
            hanging: watch::Sender::new(0),
            released: watch::Sender::new(false),
            killed: watch::Sender::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (server, grave) = (Mutex::default(), Mutex::default());
        let environment = Environment { address, protocol, state, server, grave };
        environment.serve(listener);
        environment
    }

    pub(crate) async fn grpc() -> Environment {
        Environment::start(Protocol::Grpc).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Does so with every request from now on. The number counts requests, from 0.
    pub(crate) fn script(&self, script: impl FnMut(&Seen, usize) -> Play + Send + 'static) {
        *self.state.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn play(&self, play: Play) {
        self.script(move |_, _| play.clone());
    }

    /// Everything that came, whatever was answered.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Requests that were accepted.
    pub(crate) fn stored(&self) -> Vec<Request> {
        self.state.stored.lock().unwrap().clone()
    }

    pub(crate) async fn seen_count(&self, count: usize) {
        until(&format!("{count} requests"), || (self.seen().len() >= count).then_some(())).await;
    }

    /// Waits until all spans of these requests were accepted.
    pub(crate) async fn stores<'a>(&self, requests: impl IntoIterator<Item = &'a Request>) {
        let wanted = ids(requests);
        until("all spans are stored", || wanted.is_subset(&ids(&self.stored())).then_some(())).await;
    }

    /// Requests that wait for an answer that never comes.
    pub(crate) fn hanging(&self) -> usize {
        *self.state.hanging.borrow()
    }

    /// Lets go of all that is held.
    pub(crate) fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// Like kill -9: every connection is reset, and nobody listens any more.
    pub(crate) async fn kill(&self) {
        let server = self.server.lock().unwrap().take();
        self.state.killed.send_replace(true);
        if let Some(server) = server {
            server.abort();
            let _ = server.await;
            let grave = TcpSocket::new_v4().unwrap();
            grave.set_reuseaddr(true).unwrap();
            grave.bind(self.address).unwrap();
            *self.grave.lock().unwrap() = Some(grave);
        }
    }

    /// Listens again, on the same port.
    pub(crate) fn revive(&self) {
        self.state.killed.send_replace(false);
        let grave = self.grave.lock().unwrap().take().unwrap();
        self.serve(grave.listen(1024).unwrap());
    }

    fn serve(&self, listener: TcpListener) {
        let (state, protocol) = (Arc::clone(&self.state), self.protocol);
        let server = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(connection(stream, protocol, Arc::clone(&state)));
            }
        });
        *self.server.lock().unwrap() = Some(server);
    }
}

async fn connection(stream: TcpStream, protocol: Protocol, state: Arc<State>) {
    let mut killed = state.killed.subscribe();
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    let serving = async {
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::Grpc => {
                let service = service_fn(|request| answer(request, protocol, Arc::clone(&state)));
                let _ = http2::Builder::new(TokioExecutor::new())
                    .max_frame_size(1 << 20)
                    .serve_connection(io, service)
                    .await;
            }
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                let service = service_fn(|request| answer(request, protocol, Arc::clone(&state)));
                let _ = http1::Builder::new().serve_connection(io, service).await;
            }
        }
    };
    tokio::select! {
        () = serving => {}
        _ = killed.wait_for(|killed| *killed) => {}
    }
}

type Answer = Result<Response<Frames>, &'static str>;

async fn answer(request: http::Request<Incoming>, protocol: Protocol, state: Arc<State>) -> Answer {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| "broken off")?.to_bytes();
    let (bytes, compressed) = match protocol {
        Protocol::Grpc => (body.slice(5..), body[0] == 1),
        Protocol::HttpProtobuf | Protocol::HttpJson => (body, head.headers.contains_key("content-encoding")),
    };
    let mut plain = Vec::new();
    if compressed {
        MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
    } else {
        plain.extend_from_slice(&bytes);
    }
    let request = Request::decode(&plain[..]).expect("a gateway passes on only what is sound");
    let seen = Seen { headers: head.headers, bytes, compressed, request };
    let number = {
        let mut all = state.seen.lock().unwrap();
        all.push(seen.clone());
        all.len() - 1
    };
    let play = (state.script.lock().unwrap())(&seen, number);
    perform(play, protocol, seen, &state).await
}

async fn perform(play: Play, protocol: Protocol, seen: Seen, state: &State) -> Answer {
    match play {
        Play::Hang => {
            state.hanging.send_modify(|count| *count += 1);
            let _leave = Leave(&state.hanging);
            std::future::pending().await
        }
        Play::Hold => {
            state.hanging.send_modify(|count| *count += 1);
            let leave = Leave(&state.hanging);
            let mut released = state.released.subscribe();
            released.wait_for(|released| *released).await.map_err(|_| "gone")?;
            drop(leave);
            state.stored.lock().unwrap().push(seen.request);
            Ok(success(protocol, &ExportTraceServiceResponse::default()))
        }
        Play::Cut => Err("cut"),
        Play::Grpc { code, retry, message } => Ok(grpc_status(code, retry, message)),
        Play::Http { status, retry_after, message } => Ok(http_status(status, retry_after, message)),
        Play::Accept => {
            state.stored.lock().unwrap().push(seen.request);
            Ok(success(protocol, &ExportTraceServiceResponse::default()))
        }
        Play::Partial { rejected, message } => {
            let partial = PartialSuccess { rejected_spans: rejected, error_message: message.to_owned() };
            Ok(success(protocol, &ExportTraceServiceResponse { partial_success: Some(partial) }))
        }
    }
}

struct Leave<'a>(&'a watch::Sender<usize>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn success(protocol: Protocol, response: &ExportTraceServiceResponse) -> Response<Frames> {
    let mut body = Vec::new();
    response.encode(&mut body);
    match protocol {
        Protocol::Grpc => {
            let mut framed = vec![0; 5];
            framed[1..].copy_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
            framed.extend(body);
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from(0))]);
            respond(200, "application/grpc", vec![Frame::data(framed.into()), Frame::trailers(trailers)])
        }
        Protocol::HttpProtobuf | Protocol::HttpJson => {
            respond(200, "application/x-protobuf", vec![Frame::data(body.into())])
        }
    }
}

fn grpc_status(code: GrpcCode, retry: Option<Duration>, message: &str) -> Response<Frames> {
    let mut response = respond(200, "application/grpc", Vec::new());
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(u16::from(code.number())));
    headers.insert("grpc-message", encode_grpc_message(message));
    if retry.is_some() {
        let status =
            RpcStatus { code: code.number().into(), message: message.to_owned(), retry_delay: retry };
        headers.insert("grpc-status-details-bin", encode_status_details(&status));
    }
    response
}

fn http_status(status: u16, retry_after: Option<&'static str>, message: &str) -> Response<Frames> {
    let mut body = Vec::new();
    RpcStatus { code: 2, message: message.to_owned(), retry_delay: None }.encode(&mut body);
    let mut response = respond(status, "application/x-protobuf", vec![Frame::data(body.into())]);
    if let Some(value) = retry_after {
        response.headers_mut().insert("retry-after", HeaderValue::from_static(value));
    }
    response
}

fn respond(status: u16, content_type: &'static str, frames: Vec<Frame<Bytes>>) -> Response<Frames> {
    let mut response = Response::new(Frames(frames.into_iter()));
    *response.status_mut() = status.try_into().unwrap();
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    response
}

/// A body of what is there already.
pub(crate) struct Frames(std::vec::IntoIter<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_slice().is_empty()
    }
}
