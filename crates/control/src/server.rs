//! The control plane as one thing that starts and stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use crossfade_routing::{BootId, Conductor};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::api::{self, Access, ApiError, Shared, TokenError};
use crate::clock;
use crate::engine::{Engine, Handle, Parts};
use crate::gates::{Gates, GatesError};
use crate::jobs::Jobs;
use crate::journal::{Journal, JournalError};
use crate::planner::Planner;
use crate::site::Site;
use crate::status::Status;

/// How a control plane runs.
#[derive(Clone)]
pub struct ControlConfig {
    /// The site.
    pub site: Site,
    /// The program's version, for the record.
    pub version: String,
    /// How far ahead a gateway in touch may rely on its schedule.
    pub horizon: Duration,
}

impl ControlConfig {
    /// The defaults for a site.
    pub fn new(site: Site, version: &str) -> Self {
        ControlConfig { site, version: version.to_owned(), horizon: Conductor::HORIZON }
    }
}

/// Why a control plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The log.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: choose another control.endpoint")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The gates' inputs.
    #[error(transparent)]
    Gates(#[from] GatesError),
    /// No name for this life of the control plane.
    #[error("the system gives no random bytes")]
    Boot(#[source] crossfade_audit::keys::KeyFileError),
    /// The log does not take the first entry.
    #[error(transparent)]
    Engine(#[from] ApiError),
}

/// A control plane that runs.
pub struct Control {
    address: SocketAddr,
    handle: Handle,
    engine: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    server: tokio::task::JoinHandle<()>,
    /// What opening the log found, a line each; empty if all was in order.
    pub recovery: Vec<String>,
}

impl Control {
    /// Opens the log, takes up where it ends, and listens. `beside` is served on the same address: the gateway's own routes.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: ControlConfig, beside: Router) -> Result<Control, StartError> {
        let mut site = config.site;
        let access = Access::load(&site.token_file, &site.gateway.token_file)?;
        let opened = Journal::open(&site, clock::now())?;
        let listener = TcpListener::bind(site.control)
            .await
            .map_err(|source| StartError::Listen { address: site.control, source })?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: site.control, source })?;
        // Gates ask here for what the gateway knows: port 0 is nobody's.
        site.control = address;
        let site = Arc::new(site);
        let gates = Arc::new(Gates::new(Arc::clone(&site))?);
        let boot = BootId::new(&boot_name().map_err(StartError::Boot)?)
            .expect("hexadecimal digits are a valid name");
        let parts = Parts {
            journal: opened.journal,
            jobs: Jobs::new(tokio::runtime::Handle::current(), Arc::clone(&gates)),
            boot,
            version: config.version,
            clock: Arc::new(clock::now),
            horizon: config.horizon,
            environments: crate::planner::facts(&site),
        };
        let (handle, engine) = tokio::task::block_in_place(|| Engine::start(parts))?;
        let planner = Arc::new(Planner::new(site, gates));
        let denials = api::Denials::default();
        let router =
            api::router(Arc::new(Shared { engine: handle.clone(), planner, access, denials }), beside);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let ended = async move {
                let _ = stopped.await;
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(ended).await {
                tracing::error!(%error, "the control API ended");
            }
        });
        let recovery = opened.recovery.to_string().lines().map(str::to_owned).collect();
        Ok(Control { address, handle, engine: Some(engine), stop: Some(stop), server, recovery })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The last snapshot of its status.
    pub fn status(&self) -> Arc<Status> {
        self.handle.status()
    }

    /// Writes the last entries and stops. Gateways should have ended before, so that their closing accounts are on record.
    pub async fn stop(mut self) {
        self.handle.stop().await;
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.server.abort();
        // Over only when its address is free again: whoever starts next may want the same one.
        let _ = (&mut self.server).await;
        if let Some(engine) = self.engine.take() {
            let _ = tokio::task::spawn_blocking(move || engine.join()).await;
        }
    }
}

fn boot_name() -> Result<String, crossfade_audit::keys::KeyFileError> {
    let bytes = crossfade_audit::keys::random()?;
    Ok(bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}
