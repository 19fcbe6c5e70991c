//! A simulated tracing environment: OTLP receivers, a store, Jaeger's query API, and faults that are switched at run time.
//!
//! Three loopback ports, each chosen by the system: OTLP/gRPC (HTTP/2 without TLS), OTLP/HTTP (protobuf), and queries.
//! Requests are plain or gzip. An environment lives on the runtime that started it and ends when it is dropped: its
//! ports close, and every connection with them. What it stored stays readable through [`Environment::store`].

mod digest;
mod faults;
mod ingest;
mod listener;
mod query;
mod receive;
mod store;
#[cfg(test)]
mod tests;

pub use digest::SpanDigest;
pub use faults::{Faults, Refusal, Share};
pub use ingest::Observed;
pub use store::{BadId, Held, Inserted, Search, SpanId, Store};

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

/// A port of a simulated environment could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open a loopback port for the simulated {port}")]
pub struct StartError {
    port: &'static str,
    #[source]
    source: io::Error,
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
    /// Opens the three ports and serves them on the current runtime. The seed decides which requests a share of
    /// faults hits.
    pub async fn start(seed: u64) -> Result<Environment, StartError> {
        let ingest = Arc::new(Ingest::new(seed));
        let resets = watch::Sender::new(0);
        let failed = |port| move |source| StartError { port, source };
        let for_grpc = Arc::clone(&ingest);
        let grpc = Listener::start(Wire::Http2, resets.subscribe(), move |request, hangup| {
            receive::grpc(Arc::clone(&for_grpc), request, hangup)
        });
        let for_http = Arc::clone(&ingest);
        let http = Listener::start(Wire::Http1, resets.subscribe(), move |request, hangup| {
            receive::http(Arc::clone(&for_http), request, hangup)
        });
        let routes = TowerToHyperService::new(query::router(Arc::clone(&ingest.store)));
        let query = Listener::start(Wire::Http1, resets.subscribe(), move |request, _| {
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
