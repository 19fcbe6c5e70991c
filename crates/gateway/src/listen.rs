//! Listeners, and the connections they accept.
//!
//! Every worker listens on the same address (SO_REUSEPORT), and the kernel spreads connections over them: no accepted
//! connection ever moves between threads.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gulp::Gulp;
use crate::receive::{grpc, http};
use crate::status::Phase;
use crate::worker::Worker;

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Grpc,
    Http,
}

/// Measured: large frames and windows save system calls, which are most of the cost of a request.
const FRAME_BYTES: u32 = 1 << 20;
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
/// Streams of one connection that are open at a time. A stream costs memory before it is admitted.
const STREAMS_MAX: u32 = 1024;
const HEADER_BYTES_MAX: u32 = 64 << 10;
/// A silent connection is asked for a sign of life this often, and given as long to answer.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What every HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The longest head of an HTTP/1.1 request, and the most that is read of its body at one time.
const READ_BYTES_MAX: usize = 128 << 10;
/// For a connection without a request, after the drain began.
const PARTING: Duration = Duration::from_secs(1);
const BACKLOG: i32 = 1024;

/// One listener for each worker, all on the same address; a port 0 is resolved once.
pub(crate) fn bind(address: SocketAddr, workers: NonZeroUsize) -> io::Result<(SocketAddr, Vec<StdListener>)> {
    // With SO_REUSEPORT the kernel would let a second program of the same user share our port, and take half of the
    // traffic. So the port is tried without it first.
    let trial = listener(address, false)?;
    let address = trial.local_addr()?;
    drop(trial);
    let listeners = (0..workers.get()).map(|_| listener(address, true)).collect::<io::Result<_>>()?;
    Ok((address, listeners))
}

fn listener(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections until the drain begins, then waits for the last of them to end.
pub(crate) async fn accept(
    listener: StdListener,
    transport: Transport,
    worker: Arc<Worker>,
    phase: watch::Receiver<Phase>,
) {
    let mut stop = phase.clone();
    let listener = TcpListener::from_std(listener).expect("the listener is valid and not blocking");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|phase| *phase != Phase::Serving) => break,
            Some(_) = connections.join_next() => {}
            accepted = next(&listener, &worker) => {
                let (stream, slot) = accepted;
                let (worker, phase) = (Arc::clone(&worker), phase.clone());
                connections.spawn(serve(stream, slot, transport, worker, phase));
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn next(listener: &TcpListener, worker: &Worker) -> (TcpStream, OwnedSemaphorePermit) {
    let slots = Arc::clone(&worker.connections);
    let slot = slots.acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            // A connection that is gone before it was accepted concerns nobody. Having no file descriptors left does,
            // and passes only as connections end.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// What a connection begins with: all of HTTP/2's preface, for the rest of which hyper would wait for ever, or as much as shows
/// that it is none; of HTTP/1.1 anything, hyper has a watch on the rest. Nothing if the client has hung up.
async fn greeting(stream: &mut TcpStream, transport: Transport) -> io::Result<Vec<u8>> {
    let wanted = match transport {
        Transport::Grpc => PREFACE.len(),
        Transport::Http => 1,
    };
    let mut first = Vec::with_capacity(wanted);
    while first.len() < wanted && PREFACE.starts_with(&first) {
        let missing = (wanted - first.len()) as u64;
        if stream.take(missing).read_buf(&mut first).await? == 0 {
            break;
        }
    }
    Ok(first)
}

async fn serve(
    mut stream: TcpStream,
    _slot: OwnedSemaphorePermit,
    transport: Transport,
    worker: Arc<Worker>,
    mut phase: watch::Receiver<Phase>,
) {
    let _ = stream.set_nodelay(true);
    let first = tokio::select! {
        biased;
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
        first = timeout(worker.limits.head_timeout, greeting(&mut stream, transport)) => match first {
            Ok(Ok(first)) if !first.is_empty() => first,
            _ => return,
        },
    };
    let io = TokioIo::new(Gulp::new(stream, Arc::clone(&worker.pool), first));
    let served = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&served);
    // An error of a connection is the client's affair: its requests have their own accounts.
    match transport {
        Transport::Grpc => {
            let receiving = worker.receiving_on_one_connection();
            let service = service_fn(move |request| {
                note.store(true, Ordering::Relaxed);
                grpc::serve(Arc::clone(&worker), Arc::clone(&receiving), request)
            });
            let connection = grpc_server().serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = phase.wait_for(|phase| *phase != Phase::Serving) => {}
            }
            connection.as_mut().graceful_shutdown();
            part(connection, &served).await;
        }
        Transport::Http => {
            let server = http_server(worker.limits.head_timeout);
            let service = service_fn(move |request| {
                note.store(true, Ordering::Relaxed);
                http::serve(Arc::clone(&worker), request)
            });
            let connection = server.serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = phase.wait_for(|phase| *phase != Phase::Serving) => {}
            }
            connection.as_mut().graceful_shutdown();
            part(connection, &served).await;
        }
    }
}

/// Waits for a connection that was said goodbye to. One that never got so far as a request is not waited for: hyper
/// would finish its handshake first, whenever that comes.
async fn part(connection: impl Future, served: &AtomicBool) {
    if served.load(Ordering::Relaxed) {
        connection.await;
    } else {
        let _ = timeout(PARTING, connection).await;
    }
}

fn grpc_server() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_frame_size(FRAME_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .auto_date_header(false);
    builder
}

fn http_server(head_timeout: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_timeout).half_close(true);
    builder.max_buf_size(READ_BYTES_MAX);
    builder
}
