//! The composition root: a site made into a gateway and a control plane that talk over their own protocol.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use crossfade_backends::otlp::Compression;
use crossfade_control::api::read_token;
use crossfade_control::site::{self, Site};
use crossfade_control::{Control, ControlConfig, Monitor};
use crossfade_gateway::{
    ClosingLedger, ControlLink, EnvironmentConfig, Gateway, GatewayConfig, RemoteControl, Token,
};
use http::HeaderName;
use tower::ServiceExt;

use crate::exit::{Failure, OrExit};

/// Both planes of one site, running.
pub(crate) struct Running {
    pub(crate) control: Control,
    pub(crate) gateway: Gateway,
}

/// How a site is run otherwise than by default.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tuning {
    /// How far ahead a gateway in touch may rely on its schedule.
    pub(crate) horizon: Option<Duration>,
    /// How long the gateway's tap waits for the spans of a trace.
    pub(crate) tap_settle: Option<Duration>,
}

impl Running {
    /// Starts the gateway's routes, the control plane, and the gateway, in the order in which they need each other.
    pub(crate) async fn start(site: Site, tuning: Tuning) -> Result<Running, Failure> {
        // The control plane begins with an entry in the log: what would keep the gateway from starting is looked for before.
        ports_are_free(&site)?;
        let admin = LateRouter::default();
        let mut config = ControlConfig::new(site.clone(), env!("CARGO_PKG_VERSION"));
        if let Some(horizon) = tuning.horizon {
            config.horizon = horizon;
        }
        let control = Control::start(config, admin.router()).await.or_usage()?;
        let mut config = gateway_config(&site, control.address())?;
        if let Some(settle) = tuning.tap_settle {
            config.tap.settle = settle;
        }
        let gateway = crossfade_gateway::start(config).await.or_usage()?;
        admin.attach(with_control(&gateway.handle(), control.monitor()));
        Ok(Running { control, gateway })
    }

    /// Drains the gateway, so that its closing accounts reach the log, then ends the control plane. Says also whether the log's
    /// last entries are on record.
    pub(crate) async fn stop(self) -> (ClosingLedger, bool) {
        let closing = self.gateway.shutdown().await;
        let recorded = self.control.stop().await;
        (closing, recorded)
    }
}

/// Refuses a site whose receivers cannot listen.
fn ports_are_free(site: &Site) -> Result<(), Failure> {
    for (field, address) in
        [("gateway.grpc.endpoint", site.gateway.grpc), ("gateway.http.endpoint", site.gateway.http)]
    {
        std::net::TcpListener::bind(address).map_err(|error| {
            let path = site.path.display();
            Failure::usage(anyhow::anyhow!(
                "{path}: {field}: cannot listen on {address}: {error}; stop what uses it, or choose another address"
            ))
        })?;
    }
    Ok(())
}

/// The gateway's own routes on the control plane's address. The control plane listens first, since the gateway asks it for a
/// schedule; until the gateway is there, they answer that it is not.
#[derive(Clone, Default)]
struct LateRouter(Arc<OnceLock<Router>>);

impl LateRouter {
    fn attach(&self, router: Router) {
        let _ = self.0.set(router);
    }

    fn router(&self) -> Router {
        let late = Arc::clone(&self.0);
        Router::new().fallback(async move |request: Request| match late.get() {
            Some(router) => router.clone().oneshot(request).await.into_response(),
            None => (StatusCode::SERVICE_UNAVAILABLE, "the gateway is starting\n").into_response(),
        })
    }
}

/// The gateway's own routes; its metrics and warnings also tell of the control plane beside it. Nothing waits for that one.
fn with_control(gateway: &crossfade_gateway::Handle, monitor: Monitor) -> Router {
    let (metrics, readiness) = (gateway.clone(), gateway.clone());
    let warns = monitor.clone();
    let metrics = async move || {
        let text = "text/plain; version=0.0.4; charset=utf-8";
        ([(CONTENT_TYPE, text)], metrics.metrics() + &monitor.metrics())
    };
    let readyz = async move || {
        let mut readiness = readiness.readiness();
        readiness.warnings.extend(warns.warnings());
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, axum::Json(readiness))
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/readyz", get(readyz))
        .fallback_service(crossfade_gateway::admin_router(gateway))
}

/// The gateway's configuration, as the site has it.
fn gateway_config(site: &Site, control: SocketAddr) -> Result<GatewayConfig, Failure> {
    let mut environments = std::collections::BTreeMap::new();
    for (id, environment) in &site.environments {
        environments.insert(id.clone(), environment_config(environment)?);
    }
    let link = RemoteControl {
        url: format!("http://{control}"),
        token: Token::new(read_token(&site.gateway.token_file).or_usage()?),
        log_key: crossfade_audit::keys::load_verifier(&site.log_pub()).or_usage()?,
    };
    let section = &site.gateway;
    let mut config = GatewayConfig::new(
        section.id.clone(),
        environments,
        section.state_dir.clone(),
        ControlLink::Remote(link),
    );
    config.grpc = Some(section.grpc);
    config.http = Some(section.http);
    config.forward_headers = headers(&section.forward_headers)?;
    config.limits.request_bytes = section.max_request_bytes;
    config.limits.memory_bytes = config.limits.memory_bytes.max(4 * section.max_request_bytes);
    config.limits.queue_bytes = section.queue_bytes;
    config.workers = NonZeroUsize::new(section.workers).unwrap_or(NonZeroUsize::MIN);
    config.grace = section.grace;
    config.admin_token = Some(Token::new(read_token(&site.token_file).or_usage()?));
    Ok(config)
}

fn headers(names: &[String]) -> Result<Vec<HeaderName>, Failure> {
    names.iter().map(|name| HeaderName::from_str(name).or_usage()).collect()
}

/// One environment, as the gateway needs it.
pub(crate) fn environment_config(environment: &site::Environment) -> Result<EnvironmentConfig, Failure> {
    let mut config = EnvironmentConfig::new(environment.endpoint().or_usage()?);
    config.compression = match environment.compression {
        site::Compression::Preserve => Compression::Preserve,
        site::Compression::Gzip => Compression::Gzip,
        site::Compression::None => Compression::None,
    };
    config.headers = environment.header_map().map_err(anyhow::Error::msg).or_usage()?;
    Ok(config)
}
