//! The OTLP export client: encoded requests in, one [`Outcome`] out.
//!
//! It sends bytes that it never opens, over gRPC (HTTP/2, own framing) or HTTP/1.1, and sorts what comes back into
//! what the sender has to do about it. It is *not* a queue and does not retry: an [`Outcome`] says what may be sent
//! again, and whoever holds the request decides. The one exception is a request that provably never left, because
//! the server closed an idle connection in that instant; it goes out on a new connection.
//!
//! A [`Client`] belongs to one runtime thread: it has its own connections and shares nothing with others.
//!
//! | module | holds |
//! |---|---|
//! | `code` | [`GrpcCode`], [`Code`]: status codes, which are retryable, how they map between the transports |
//! | `cork` | small writes gathered into large ones |
//! | `dial` | opening connections, and cutting all of them |
//! | `endpoint` | [`Endpoint`], [`Protocol`] |
//! | [`framing`] | gRPC's message prefix, `grpc-message`, `grpc-timeout`, `grpc-status-details-bin` |
//! | `grpc`, `http1` | the two transports |
//! | `line` | a TCP stream on a leash; [`Meter`] |
//! | `message` | [`Message`], [`Coding`], [`Compression`] |
//! | `outcome` | [`Outcome`], [`Silence`], [`Export`] |
//! | `retry_after` | `Retry-After` |

mod code;
mod cork;
mod dial;
mod endpoint;
pub mod framing;
mod grpc;
mod http1;
mod line;
mod message;
mod outcome;
mod retry_after;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::uri::Uri;
use tokio::time::{Instant, timeout_at};

pub use code::{Code, GrpcCode, http_is_retryable};
pub use dial::Lease;
pub use endpoint::{Endpoint, EndpointError, Protocol};
pub use line::Meter;
pub use message::{Coding, Compression, Message};
pub use outcome::{Export, Outcome, Silence};

pub(crate) use grpc::chain;

use dial::{DialError, Dialer};
use grpc::{GrpcPool, Progress};
use http1::HttpPool;

/// How much of an answer is read; the rest is thrown away. A `partial_success` fits many times.
const RESPONSE_BYTES_MAX: usize = 64 << 10;
/// How much of a server's message is kept: it may have to fit into a header again.
const MESSAGE_BYTES_MAX: usize = 1024;

const OWN_USER_AGENT: &str = concat!("crossfade/", env!("CARGO_PKG_VERSION"));

/// Where to, and with what.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub endpoint: Endpoint,
    /// Sent with every request, over what the caller passes on.
    pub headers: HeaderMap,
    /// For opening a connection.
    pub connect_timeout: Duration,
}

impl ClientConfig {
    /// With the patience of a gate, which has somebody waiting for it.
    pub const fn new(endpoint: Endpoint, headers: HeaderMap) -> Self {
        Self { endpoint, headers, connect_timeout: Duration::from_secs(3) }
    }
}

/// A client of one environment's OTLP endpoint. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
    dialer: Arc<Dialer>,
    pool: Pool,
}

#[derive(Debug)]
enum Pool {
    Grpc(GrpcPool),
    Http(HttpPool),
}

impl Client {
    /// A client without a connection; the first export opens one.
    pub fn new(config: ClientConfig) -> Client {
        let dialer = Dialer::new(config.endpoint.clone(), config.connect_timeout);
        let pool = match config.endpoint.protocol() {
            Protocol::Grpc => Pool::Grpc(GrpcPool::new(Arc::clone(&dialer))),
            Protocol::HttpProtobuf | Protocol::HttpJson => Pool::Http(HttpPool::new(Arc::clone(&dialer))),
        };
        Client { inner: Arc::new(Inner { config, dialer, pool }) }
    }

    /// A client of the same endpoint that shares no connection with this one.
    pub fn apart(&self) -> Client {
        Client::new(self.inner.config.clone())
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.config.endpoint
    }

    /// Sends one request and waits for its answer, at most for `timeout`. `metadata` is passed on beside the
    /// configured headers, which win. Dropping the future resets the stream.
    pub async fn export(&self, message: Message, metadata: &HeaderMap, timeout: Duration) -> Export {
        self.export_under(self.lease(), message, metadata, timeout).await
    }

    /// Leave to send, until the next [`sever`](Client::sever).
    pub fn lease(&self) -> Lease {
        self.inner.dialer.lease()
    }

    /// As [`export`](Client::export), under a lease that was taken before: if it has ended, nothing is sent.
    pub async fn export_under(
        &self,
        lease: Lease,
        message: Message,
        metadata: &HeaderMap,
        timeout: Duration,
    ) -> Export {
        let started = Instant::now();
        let progress = AtomicBool::new(false);
        let deadline = started + timeout;
        let call = Call { config: &self.inner.config, lease, metadata, deadline, progress: &progress };
        let exchange = async {
            match &self.inner.pool {
                Pool::Grpc(pool) => pool.exchange(call, message).await,
                Pool::Http(pool) => pool.exchange(call, message).await,
            }
        };
        let outcome = match timeout_at(deadline, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => self.timed_out(started, timeout, progress.load(Ordering::Relaxed)),
        };
        Export { outcome, latency: started.elapsed() }
    }

    /// Whether the environment can be connected to. Sends nothing.
    pub async fn reach(&self) -> Result<(), String> {
        let live = match &self.inner.pool {
            Pool::Grpc(pool) => pool.is_live(),
            Pool::Http(pool) => pool.is_live(),
        };
        if live { Ok(()) } else { self.inner.dialer.knock().await }
    }

    /// Cuts every connection. When this returns, nothing that was begun before can write another byte; what was in
    /// flight ends as [`Silence::Severed`] or [`Silence::Broken`]. A later export opens a new connection.
    pub fn sever(&self) {
        self.inner.dialer.sever();
        match &self.inner.pool {
            Pool::Grpc(pool) => pool.forget_all(),
            Pool::Http(pool) => pool.forget_all(),
        }
    }

    pub fn meter(&self) -> &Meter {
        self.inner.dialer.meter()
    }

    fn timed_out(&self, started: Instant, timeout: Duration, sent: bool) -> Outcome {
        if let Pool::Grpc(pool) = &self.inner.pool {
            pool.distrust(started);
        }
        let silence = if sent { Silence::TimedOut } else { Silence::Unreachable };
        grpc::silence(silence, format!("no answer from {} within {timeout:?}", self.endpoint()))
    }
}

/// One export, as the transports see it.
struct Call<'a> {
    config: &'a ClientConfig,
    lease: Lease,
    metadata: &'a HeaderMap,
    deadline: Instant,
    progress: &'a Progress,
}

impl Call<'_> {
    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn uri(&self) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.config.endpoint.scheme());
        parts.authority = Some(self.config.endpoint.authority().clone());
        parts.path_and_query = Some(self.config.endpoint.path().clone());
        Uri::from_parts(parts).expect("a scheme, an authority and a path make a URI")
    }

    fn path(&self) -> Uri {
        Uri::from(self.config.endpoint.path().clone())
    }

    fn host(&self) -> HeaderValue {
        HeaderValue::from_str(self.config.endpoint.authority().as_str())
            .expect("an authority is a header value")
    }

    fn put_metadata(&self, headers: &mut HeaderMap) {
        headers.insert(USER_AGENT, HeaderValue::from_static(OWN_USER_AGENT));
        for source in [self.metadata, &self.config.headers] {
            for name in source.keys().filter(|name| may_be_passed_on(name)) {
                headers.remove(name);
                for value in source.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
    }
}

/// Whether a header may be taken over from a request or a configuration. Not those which belong to one connection, and
/// not those which say what the body is: they are ours to set.
pub fn may_be_passed_on(name: &HeaderName) -> bool {
    const OURS: [&str; 13] = [
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    !OURS.contains(&name.as_str()) && !name.as_str().starts_with("grpc-")
}

fn unreachable(error: DialError) -> Outcome {
    match error {
        DialError::Failed(detail) => grpc::silence(Silence::Unreachable, detail),
        DialError::Severed => grpc::silence(Silence::Severed, "the connection was cut".to_owned()),
    }
}

/// The first `max` bytes of a text, cut between characters.
fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}
