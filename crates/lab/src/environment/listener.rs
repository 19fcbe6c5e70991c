//! An accept loop on a loopback port of the system's choosing, whose connections end with it.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Body of every response.
pub(crate) type Body = UnsyncBoxBody<Bytes, axum::Error>;

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HTTP/2 without an upgrade, as gRPC begins it.
    Http2,
    Http1,
}

/// Lets a handler cut the connection that its request came by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hangup(Arc<Notify>);

impl Hangup {
    /// Resets the connection; every request on it goes unanswered, this one too.
    pub(crate) async fn reset(&self) -> Infallible {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// A bound port and the task that serves it. Dropping it closes the port and every connection.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// Binds a free loopback port and serves it. A change of `resets` resets all connections.
    pub(crate) async fn start<H, F>(
        wire: Wire,
        tls: Option<TlsAcceptor>,
        resets: watch::Receiver<u64>,
        handler: H,
    ) -> io::Result<Listener>
    where
        H: Fn(Request<Incoming>, Hangup) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, wire, tls, resets, handler));
        Ok(Listener { address, task })
    }
}

async fn accept<H, F>(
    listener: TcpListener,
    wire: Wire,
    tls: Option<TlsAcceptor>,
    resets: watch::Receiver<u64>,
    handler: H,
) where
    H: Fn(Request<Incoming>, Hangup) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    // Dropped with this future, and then every connection ends.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, wire, tls.clone(), resets.clone(), handler.clone()));
                }
                // Out of descriptors, or the peer left already: the port itself is still good.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve<H, F>(
    stream: TcpStream,
    wire: Wire,
    tls: Option<TlsAcceptor>,
    mut resets: watch::Receiver<u64>,
    handler: H,
) where
    H: Fn(Request<Incoming>, Hangup) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    resets.mark_unchanged();
    let Ok((stream, twin)) = with_twin(stream) else { return };
    let hangup = Hangup::default();
    let service = service_fn({
        let hangup = hangup.clone();
        move |request| {
            let response = handler(request, hangup.clone());
            async move { Ok::<_, Infallible>(response.await) }
        }
    });
    let connection = async move {
        match tls {
            None => speak(stream, wire, service).await,
            // A client that TLS does not let in is told so by an alert.
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream).await {
                    speak(stream, wire, service).await;
                }
            }
        }
    };
    tokio::select! {
        () = connection => return,
        () = hangup.0.notified() => {}
        _ = resets.changed() => {}
    }
    // A close with linger zero sends RST instead of FIN. The connection's own handle is dropped already.
    let _ = twin.set_linger(Some(Duration::ZERO));
}

/// Serves one connection to its end. What goes wrong on it is the sender's to notice.
async fn speak<I, S>(stream: I, wire: Wire, service: S)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let io = TokioIo::new(stream);
    match wire {
        Wire::Http1 => {
            let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await;
        }
        Wire::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).max_frame_size(1 << 20).max_send_buf_size(1 << 20);
            builder.initial_stream_window_size(8 << 20).initial_connection_window_size(64 << 20);
            let _ = builder.serve_connection(io, service).await;
        }
    }
}

/// A second handle of the same socket, by which it can still be configured once hyper owns the first.
fn with_twin(stream: TcpStream) -> io::Result<(TcpStream, socket2::Socket)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let twin = socket2::Socket::from(stream.try_clone()?);
    Ok((TcpStream::from_std(stream)?, twin))
}
