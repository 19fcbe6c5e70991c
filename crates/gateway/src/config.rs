//! What a gateway is started with. Read from no file and no environment: the binary does that, and hands it down.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crossfade_backends::otlp::{Compression, Endpoint, may_be_passed_on};
use crossfade_routing::{Directive, EnvironmentId, GatewayId, Protection};
use crossfade_tlog::VerifierKey;
use http::{HeaderMap, HeaderName};

/// A gateway's whole configuration. [`GatewayConfig::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    pub id: GatewayId,
    /// Listener for OTLP/gRPC; port 0 takes a free one.
    pub grpc: Option<SocketAddr>,
    /// Listener for OTLP/HTTP; port 0 takes a free one.
    pub http: Option<SocketAddr>,
    pub environments: BTreeMap<EnvironmentId, EnvironmentConfig>,
    /// Request headers (gRPC metadata) that are passed on; none by default. Requests that differ in one of them
    /// are never merged. What belongs to one connection, or says what the body is, cannot be listed.
    pub forward_headers: Vec<HeaderName>,
    pub limits: Limits,
    pub delivery: DeliveryConfig,
    pub breaker: BreakerConfig,
    /// Receiving threads, each with its own listener, connections and queues.
    pub workers: NonZeroUsize,
    /// Where the schedule and the fence are kept. Created if missing. One gateway each.
    pub state_dir: PathBuf,
    /// How long a drain may take.
    pub grace: Duration,
    pub control: ControlLink,
    /// Bearer token for `POST /v1/gateway/fence`; without one, nobody may.
    pub admin_token: Option<Token>,
    /// How much of what comes by is looked at.
    pub tap: TapConfig,
    /// `Copy`, but for benchmarks of what `holdback` will build on.
    pub protection: Protection,
}

/// One environment's OTLP endpoint.
#[derive(Clone, Debug)]
pub struct EnvironmentConfig {
    pub endpoint: Endpoint,
    pub compression: Compression,
    /// Sent with every request, over what is passed on.
    pub headers: HeaderMap,
    /// How long an export may take; a client's shorter deadline wins. Half of it without an answer counts as a failure,
    /// however little the client waits.
    pub timeout: Duration,
    pub connect_timeout: Duration,
}

/// Bounds on what the gateway holds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request, before and after decompression.
    pub request_bytes: usize,
    /// All requests being received or waiting for an answer, over all connections, with what had to be made of them. Beyond
    /// it: retryable refusals. Each worker has scratch memory beside it, to unpack and split one request at a time.
    pub memory_bytes: usize,
    /// Requests being answered at one time, over all workers. Beyond it: retryable refusals. Four times as many may still be
    /// being received.
    pub requests_in_flight: usize,
    /// Connections, over all workers. Beyond it, new ones wait.
    pub connections: usize,
    /// For a connection's greeting (HTTP/2) or the head of a request (HTTP/1.1); also how long an idle HTTP/1.1 connection stays.
    pub head_timeout: Duration,
    /// From a request's head to the end of its body.
    pub body_timeout: Duration,
    /// Copies waiting for an environment that does not answer the clients, over all workers; as much for each environment.
    pub queue_bytes: usize,
}

/// How queued copies are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryConfig {
    /// Requests on the way to one environment at one time, of each worker.
    pub in_flight: usize,
    /// From a copy's arrival until it is given up.
    pub deadline: Duration,
    /// Wait before the second attempt; doubles up to `backoff_max`. The server's own wish wins if it is longer.
    pub backoff_first: Duration,
    pub backoff_max: Duration,
    /// Copies under one delivery key are merged up to this size; 0 = never. Off by default: merged requests fail
    /// together, and the analysis counts each client's request by itself.
    pub merge_bytes_max: usize,
}

/// When a gateway fences by itself: whole requests refused or unanswered by `to` while `from` is healthy. A candidate
/// that refuses only a *share* of its requests is the analysis's business; keep `share_ppm_min` well above that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// This many failures in a row...
    pub consecutive_min: u32,
    /// ... or at least this share of the requests in `window` ...
    pub share_ppm_min: u32,
    /// ... of which there must be this many.
    pub requests_min: u32,
    pub window: Duration,
}

/// How much of what comes by is looked at, for the inventory of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapConfig {
    /// The share of one processor that it may take, in parts per million; 0: nothing is looked at.
    pub cpu_share_ppm: u32,
    /// What may wait to be looked at, of each worker.
    pub box_bytes: usize,
    /// How long after a trace's first span its others are waited for.
    pub settle: Duration,
}

/// Where directives come from.
#[derive(Clone, Debug)]
pub enum ControlLink {
    /// A control plane, asked again and again.
    Remote(RemoteControl),
    /// One directive for good: benchmarks, tests, the lab.
    Static(Box<Directive>),
}

/// A control plane and what is needed to believe it.
#[derive(Clone, Debug)]
pub struct RemoteControl {
    /// `http://host:port`, without a path.
    pub url: String,
    pub token: Token,
    /// A generation is taken only with its proof of inclusion in the log of this key.
    pub log_key: VerifierKey,
}

/// A bearer token. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn new(secret: impl Into<String>) -> Token {
        Token(secret.into())
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// Compares in constant time for a given length.
    pub(crate) fn matches(&self, offered: &str) -> bool {
        let (own, offered) = (self.0.as_bytes(), offered.as_bytes());
        own.len() == offered.len() && own.iter().zip(offered).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("no listener: set the gateway's grpc endpoint, its http endpoint, or both")]
    NoListener,
    #[error("no environment: set at least one")]
    NoEnvironment,
    #[error("forward_headers: {0:?} belongs to one connection or describes the body, and is never passed on")]
    HeaderNotAllowed(HeaderName),
    #[error("{0} must be larger than zero")]
    Zero(&'static str),
    #[error("breaker.share_ppm_min is {0}: parts per million, from 1 to 1,000,000")]
    BreakerShare(u32),
    #[error("tap.cpu_share_ppm is {0}: parts per million of one processor, at most 1,000,000")]
    TapShare(u32),
    #[error("the control plane's address: {0}")]
    ControlUrl(String),
    #[error("the directive names environment {0}, which is not configured")]
    UnknownEnvironment(EnvironmentId),
}

impl GatewayConfig {
    /// Everything by default: both listeners on free loopback ports, two workers at most.
    pub fn new(
        id: GatewayId,
        environments: BTreeMap<EnvironmentId, EnvironmentConfig>,
        state_dir: PathBuf,
        control: ControlLink,
    ) -> GatewayConfig {
        let loopback = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        GatewayConfig {
            id,
            grpc: loopback,
            http: loopback,
            environments,
            forward_headers: Vec::new(),
            limits: Limits::default(),
            delivery: DeliveryConfig::default(),
            breaker: BreakerConfig::default(),
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            state_dir,
            grace: Duration::from_secs(30),
            control,
            admin_token: None,
            tap: TapConfig::default(),
            protection: Protection::Copy,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.grpc.is_none() && self.http.is_none() {
            return Err(ConfigError::NoListener);
        }
        if self.environments.is_empty() {
            return Err(ConfigError::NoEnvironment);
        }
        if let Some(name) = self.forward_headers.iter().find(|name| !may_be_passed_on(name)) {
            return Err(ConfigError::HeaderNotAllowed(name.clone()));
        }
        let Limits { request_bytes, memory_bytes, requests_in_flight, connections, queue_bytes, .. } =
            self.limits;
        let sizes = [
            ("limits.request_bytes", request_bytes),
            ("limits.memory_bytes", memory_bytes),
            ("limits.requests_in_flight", requests_in_flight),
            ("limits.connections", connections),
            ("limits.queue_bytes", queue_bytes),
            ("delivery.in_flight", self.delivery.in_flight),
            ("breaker.consecutive_min", self.breaker.consecutive_min as usize),
            ("breaker.requests_min", self.breaker.requests_min as usize),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(ConfigError::Zero(name));
        }
        if self.tap.cpu_share_ppm > 1_000_000 {
            return Err(ConfigError::TapShare(self.tap.cpu_share_ppm));
        }
        if !(1..=1_000_000).contains(&self.breaker.share_ppm_min) {
            return Err(ConfigError::BreakerShare(self.breaker.share_ppm_min));
        }
        Ok(())
    }
}

impl EnvironmentConfig {
    /// `endpoint` with the defaults: compression as it came, 10 s.
    pub fn new(endpoint: Endpoint) -> EnvironmentConfig {
        EnvironmentConfig {
            endpoint,
            compression: Compression::Preserve,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_bytes: 64 << 20,
            memory_bytes: 256 << 20,
            requests_in_flight: 4096,
            connections: 4096,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            queue_bytes: 256 << 20,
        }
    }
}

impl Default for DeliveryConfig {
    fn default() -> DeliveryConfig {
        DeliveryConfig {
            in_flight: 32,
            deadline: Duration::from_secs(300),
            backoff_first: Duration::from_millis(250),
            backoff_max: Duration::from_secs(10),
            merge_bytes_max: 0,
        }
    }
}

impl Default for TapConfig {
    fn default() -> TapConfig {
        TapConfig { cpu_share_ppm: 50_000, box_bytes: 8 << 20, settle: Duration::from_secs(15) }
    }
}

impl Default for BreakerConfig {
    fn default() -> BreakerConfig {
        BreakerConfig {
            consecutive_min: 20,
            share_ppm_min: 950_000,
            requests_min: 20,
            window: Duration::from_secs(10),
        }
    }
}
