//! A simulated tracing environment: OTLP receivers, a store, Jaeger's query API, and faults that are switched at run time.
//!
//! Three loopback ports, each chosen by the system: OTLP/gRPC (HTTP/2), OTLP/HTTP (protobuf), and queries. By default without
//! TLS, open to anyone, and nothing is masked: [`Setup`] says otherwise.
//! Requests are plain or gzip. An environment lives on the runtime that started it and ends when it is dropped: its
//! ports close, and every connection with them. What it stored stays readable through [`Environment::store`].

mod digest;
mod faults;
mod ingest;
mod listener;
mod query;
mod receive;
mod redact;
mod store;
#[cfg(test)]
mod tests;
mod tls;

pub use digest::SpanDigest;
pub use faults::{Faults, Refusal, Share};
pub use ingest::Observed;
pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
pub use store::{BadId, Held, Inserted, Search, SpanId, Store};
pub use tls::{Authority, Clients, Identity, TlsError};

use axum::body::Body as AxumBody;
use http_body_util::BodyExt;
use hyper_util::service::TowerToHyperService;
use ingest::Ingest;
use listener::{Listener, Wire};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Why a simulated environment does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port could not be opened.
    #[error("cannot open a loopback port for the simulated {port}")]
    Port {
        /// Which.
        port: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How an environment is built. The default is plain, open, and masks nothing.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Decides which requests a share of faults hits.
    pub seed: u64,
    /// TLS on all ports, with whom the OTLP ports take.
    pub tls: Option<(Arc<Authority>, Clients)>,
    /// The bearer token that queries need.
    pub query_token: Option<String>,
    /// Whether what looks like a card number, a mail address, a token, a patient's or a national number is masked.
    pub redacts: bool,
}

/// A running environment.
#[derive(Debug)]
pub struct Environment {
    ingest: Arc<Ingest>,
    resets: watch::Sender<u64>,
    grpc: Listener,
    http: Listener,
    query: Listener,
}

impl Environment {
    /// One that is plain and open. The seed decides which requests a share of faults hits.
    ///
    /// # Errors
    /// A port that cannot be opened.
    pub async fn start(seed: u64) -> Result<Environment, StartError> {
        Environment::build(Setup { seed, ..Setup::default() }).await
    }

    /// Opens the three ports and serves them on the current runtime.
    ///
    /// # Errors
    /// A port that cannot be opened, or TLS that cannot be set up.
    pub async fn build(setup: Setup) -> Result<Environment, StartError> {
        let acceptor = |alpn: &[u8], clients: Option<Clients>| {
            let tls = setup.tls.as_ref();
            tls.map(|(authority, asked)| authority.acceptor(clients.unwrap_or(*asked), alpn)).transpose()
        };
        let ingest = Arc::new(Ingest::new(setup.seed, setup.redacts));
        let resets = watch::Sender::new(0);
        let failed = |port| move |source| StartError::Port { port, source };
        let for_grpc = Arc::clone(&ingest);
        let grpc = Listener::start(
            Wire::Http2,
            acceptor(b"h2", None)?,
            resets.subscribe(),
            move |request, hangup| receive::grpc(Arc::clone(&for_grpc), request, hangup),
        );
        let for_http = Arc::clone(&ingest);
        let tls = acceptor(b"http/1.1", None)?;
        let http = Listener::start(Wire::Http1, tls, resets.subscribe(), move |request, hangup| {
            receive::http(Arc::clone(&for_http), request, hangup)
        });
        let routes = TowerToHyperService::new(query::router(Arc::clone(&ingest.store), setup.query_token));
        // Who asks proves it by a token: people have no certificates.
        let tls = acceptor(b"http/1.1", Some(Clients::Anyone))?;
        let query = Listener::start(Wire::Http1, tls, resets.subscribe(), move |request, _| {
            let answer = hyper::service::Service::call(&routes, request);
            async move {
                let response: Result<http::Response<AxumBody>, Infallible> = answer.await;
                match response {
                    Ok(response) => response.map(BodyExt::boxed_unsync),
                    Err(never) => match never {},
                }
            }
        });
        Ok(Environment {
            grpc: grpc.await.map_err(failed("OTLP/gRPC"))?,
            http: http.await.map_err(failed("OTLP/HTTP"))?,
            query: query.await.map_err(failed("query API"))?,
            ingest,
            resets,
        })
    }

    /// Where OTLP/gRPC is received.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc.address
    }

    /// Where OTLP/HTTP is received, at `/v1/traces`.
    pub fn http_addr(&self) -> SocketAddr {
        self.http.address
    }

    /// Where queries are answered, below `/api/v3`.
    pub fn query_addr(&self) -> SocketAddr {
        self.query.address
    }

    /// What it has stored; still there when the environment is gone.
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.ingest.store)
    }

    /// Replaces everything that is wrong with it, from the next request on. Requests held by `hang` go on when it ends.
    pub fn set_faults(&self, faults: Faults) {
        self.ingest.set_faults(faults);
    }

    /// What is wrong with it now.
    pub fn faults(&self) -> Faults {
        self.ingest.faults()
    }

    /// Resets every connection that is open now, once.
    pub fn reset_connections(&self) {
        self.resets.send_modify(|resets| *resets += 1);
    }

    /// What it has seen since it started.
    pub fn observed(&self) -> Observed {
        self.ingest.observed()
    }
}
