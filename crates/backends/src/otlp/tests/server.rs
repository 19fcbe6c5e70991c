//! A server that answers as it is told.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::otlp::Protocol;

/// What to answer every request with.
#[derive(Clone, Debug)]
pub(super) enum Play {
    Answer(Box<Answer>),
    /// Never.
    Hang,
    /// With the end of the connection.
    Cut,
}

/// One answer, in full.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
}

/// A request that came.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

pub(super) struct Server {
    pub(super) address: String,
    play: Arc<Mutex<Play>>,
    seen: mpsc::UnboundedReceiver<Seen>,
    opened: Arc<AtomicUsize>,
    open: watch::Receiver<usize>,
    closing: watch::Sender<u64>,
    parting: watch::Sender<u64>,
}

pub(super) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

impl Play {
    pub(super) fn answer(answer: Answer) -> Play {
        Play::Answer(Box::new(answer))
    }

    /// Full success.
    pub(super) fn ok(protocol: Protocol) -> Play {
        match protocol {
            Protocol::Grpc => Play::grpc(&[0; 5], &[("grpc-status", "0")]),
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                Play::http(200, &[("content-type", "application/x-protobuf")], b"")
            }
        }
    }

    /// 200, a message with its prefix, and trailers.
    pub(super) fn grpc(body: &[u8], trailers: &[(&str, &str)]) -> Play {
        let headers_of = headers(&[("content-type", "application/grpc")]);
        let trailers = Some(headers(trailers));
        Play::answer(Answer { status: 200, headers: headers_of, body: body.to_vec(), trailers })
    }

    pub(super) fn http(status: u16, pairs: &[(&str, &str)], body: &[u8]) -> Play {
        Play::answer(Answer { status, headers: headers(pairs), body: body.to_vec(), trailers: None })
    }
}

impl Server {
    pub(super) async fn start(protocol: Protocol, play: Play) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let play = Arc::new(Mutex::new(play));
        let (tell, seen) = mpsc::unbounded_channel();
        let opened = Arc::new(AtomicUsize::new(0));
        let (count, open) = watch::channel(0);
        let (closing, parting) = (watch::Sender::new(0), watch::Sender::new(0));
        let parted = parting.subscribe();
        let (script, counter, closed) = (Arc::clone(&play), Arc::clone(&opened), closing.subscribe());
        tokio::spawn(async move {
            let count = Arc::new(count);
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let (script, tell, count) = (Arc::clone(&script), tell.clone(), Arc::clone(&count));
                let (mut closed, mut parted) = (closed.clone(), parted.clone());
                closed.mark_unchanged();
                parted.mark_unchanged();
                tokio::spawn(async move {
                    count.send_modify(|open| *open += 1);
                    let service = service_fn(move |request: http::Request<Incoming>| {
                        let (script, tell) = (Arc::clone(&script), tell.clone());
                        async move {
                            let (head, body) = request.into_parts();
                            let body = body.collect().await.map_err(|_| "broken off")?.to_bytes();
                            let play = script.lock().unwrap().clone();
                            let path = head.uri.path().to_owned();
                            let _ = tell.send(Seen { path, headers: head.headers, body });
                            match play {
                                Play::Answer(answer) => Ok(respond(*answer)),
                                Play::Hang => std::future::pending().await,
                                Play::Cut => Err("cut"),
                            }
                        }
                    });
                    let io = TokioIo::new(stream);
                    tokio::select! {
                        _ = closed.changed() => {}
                        () = async {
                            match protocol {
                                Protocol::Grpc => {
                                    let server = http2::Builder::new(TokioExecutor::new());
                                    let connection = server.serve_connection(io, service);
                                    tokio::pin!(connection);
                                    tokio::select! {
                                        _ = connection.as_mut() => return,
                                        _ = parted.changed() => connection.as_mut().graceful_shutdown(),
                                    }
                                    let _ = connection.await;
                                }
                                Protocol::HttpProtobuf | Protocol::HttpJson => {
                                    let _ = http1::Builder::new().serve_connection(io, service).await;
                                }
                            }
                        } => {}
                    }
                    count.send_modify(|open| *open -= 1);
                });
            }
        });
        Server { address, play, seen, opened, open, closing, parting }
    }

    /// Answers so from now on.
    pub(super) fn play(&self, play: Play) {
        *self.play.lock().unwrap() = play;
    }

    /// The next request that came.
    pub(super) async fn seen(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// How many connections there ever were.
    pub(super) fn connections(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Returns once no connection is open.
    pub(super) async fn until_disconnected(&mut self) {
        self.open.wait_for(|open| *open == 0).await.unwrap();
    }

    /// Says GOAWAY on every connection, and goes on with what is in flight there.
    pub(super) fn say_goodbye(&self) {
        self.parting.send_modify(|round| *round += 1);
    }

    pub(super) async fn close_connections(&mut self) {
        self.closing.send_modify(|round| *round += 1);
        self.until_disconnected().await;
    }
}

fn respond(answer: Answer) -> Response<Frames> {
    let mut frames = Vec::new();
    if !answer.body.is_empty() {
        frames.push(Frame::data(Bytes::from(answer.body)));
    }
    frames.extend(answer.trailers.map(Frame::trailers));
    let mut response = Response::new(Frames(frames.into_iter()));
    *response.status_mut() = answer.status.try_into().unwrap();
    *response.headers_mut() = answer.headers;
    response
}

/// A body of what is there already.
struct Frames(std::vec::IntoIter<Frame<Bytes>>);

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
