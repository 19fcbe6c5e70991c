//! The control plane's address: whoever can reach it may open connections, and shall not be able to keep others out.
//!
//! So many connections are open at a time; a newcomer takes the place of one that has been silent. What is silent for long
//! goes by itself, as does a request whose body does not come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::Request;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tower::ServiceExt;

/// Connections that are open at a time. Gateways hold one each; the rest is for people, probes and monitoring.
pub(crate) const CONNECTIONS_MAX: usize = 128;
/// How long a connection without a request is left alone when others want its place.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// For the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// For its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// For requests that are being answered when the control plane ends.
const PARTING: Duration = Duration::from_secs(1);

/// Serves until the end is announced; when this returns, no connection is left and the address is free.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut ending: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    let mut open = VecDeque::new();
    let stop = ending.clone();
    loop {
        open.retain(|connection: &Connection| !connection.task.is_finished());
        let full = (open.len() >= CONNECTIONS_MAX).then(|| longest_silent(&open));
        let gives_way = async {
            match full.flatten() {
                Some((place, since)) => {
                    sleep_until(since + SILENCE_MAX).await;
                    place
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = ended(&mut ending) => break,
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept(), if full.is_none() => match accepted {
                Ok((stream, _)) => {
                    let silent = Silent::default();
                    let task = tasks.spawn(speak(stream, router.clone(), silent.clone(), stop.clone()));
                    open.push_back(Connection { task, silent });
                }
                // A connection that is gone before it was accepted concerns nobody. Having no file descriptors left does,
                // and passes only as connections end.
                Err(error) => {
                    tracing::warn!(%error, "the control API cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            place = gives_way => {
                // It may have spoken since.
                let silent = |connection: &&Connection| {
                    connection.silent.since().is_some_and(|since| since.elapsed() >= SILENCE_MAX)
                };
                if open.get(place).filter(silent).is_some()
                    && let Some(connection) = open.remove(place)
                {
                    connection.task.abort();
                }
            }
            () = sleep(SILENCE_MAX), if full.is_some() => {}
        }
    }
    drop(listener);
    let last = async { while tasks.join_next().await.is_some() {} };
    let _ = timeout(PARTING, last).await;
    tasks.shutdown().await;
}

/// Resolves once the end is announced, or nobody is left who could.
pub(crate) async fn ended(ending: &mut watch::Receiver<bool>) {
    let _ = ending.wait_for(|ending| *ending).await;
}

struct Connection {
    task: AbortHandle,
    silent: Silent,
}

fn longest_silent(open: &VecDeque<Connection>) -> Option<(usize, Instant)> {
    let silent = open.iter().enumerate();
    silent.filter_map(|(place, known)| Some((place, known.silent.since()?))).min_by_key(|(_, since)| *since)
}

/// Since when a connection has no request; `None` while it has one.
#[derive(Clone)]
struct Silent(Arc<Mutex<Option<Instant>>>);

impl Default for Silent {
    fn default() -> Silent {
        Silent(Arc::new(Mutex::new(Some(Instant::now()))))
    }
}

impl Silent {
    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since(&self) -> Option<Instant> {
        *self.lock()
    }

    fn broken(&self) -> Busy {
        *self.lock() = None;
        Busy(self.clone())
    }
}

/// A request, until the last of its answer is handed over.
struct Busy(Silent);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.lock() = Some(Instant::now());
    }
}

async fn speak(stream: TcpStream, router: Router, silent: Silent, mut ending: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (router, busy) = (router.clone(), silent.broken());
        let deadline = Box::pin(sleep(BODY_TIMEOUT));
        let request = request.map(|body| Body::new(Timed { body: Body::new(body), deadline }));
        let mut answer = Box::pin(router.oneshot(request));
        // Who called is looked at before it is noticed that the caller has hung up.
        let early = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        async move {
            let answer = match early {
                Poll::Ready(answer) => answer,
                Poll::Pending => answer.await,
            };
            answer.map(|answer| answer.map(|body| Held { body, _busy: busy }))
        }
    });
    let mut server = http1::Builder::new();
    let server = server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // An error of a connection is the caller's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = ended(&mut ending) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// The body of a request, which has so much time to come.
struct Timed {
    body: Body,
    deadline: Pin<Box<Sleep>>,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.deadline.as_mut().poll(cx));
        let seconds = BODY_TIMEOUT.as_secs();
        Poll::Ready(Some(Err(format!("the body did not come within {seconds} s").into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer: the connection is busy until it is sent.
struct Held {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
