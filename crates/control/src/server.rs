//! The control plane as one thing that starts and stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use crossfade_routing::{BootId, Conductor};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::api::{self, Access, ApiError, Shared, TokenError};
use crate::clock;
use crate::engine::{Engine, Handle, Parts};
use crate::gates::{Gates, GatesError};
use crate::init::{self, RestoreError};
use crate::jobs::Jobs;
use crate::journal::{Journal, JournalError, Opened};
use crate::listen;
use crate::monitor::Monitor;
use crate::planner::Planner;
use crate::site::Site;
use crate::status::Status;

/// How long its end may take.
const STOP_MAX: Duration = Duration::from_secs(5);

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
    /// The verifier key beside the log.
    #[error(transparent)]
    Verifier(#[from] RestoreError),
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
    shared: Arc<Shared>,
    ending: watch::Sender<bool>,
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
        let access = Access::load(&config.site.token_file, &config.site.gateway.token_file)?;
        let opened = Journal::open(&config.site, clock::now())?;
        Control::start_on(opened, access, config, beside).await
    }

    async fn start_on(
        opened: Opened,
        access: Access,
        config: ControlConfig,
        beside: Router,
    ) -> Result<Control, StartError> {
        let mut site = config.site;
        let mut recovery: Vec<String> = opened.recovery.to_string().lines().map(str::to_owned).collect();
        match init::restore_verifier(&site, opened.journal.verifier_key()) {
            Ok(false) => {}
            Ok(true) => recovery.push(format!(
                "{} was missing, and is written anew from the signing key; compare it with a copy that an auditor has",
                site.log_pub().display()
            )),
            Err(another @ RestoreError::Another { .. }) => return Err(another.into()),
            // Auditors need the file. Whoever wants to roll back does not.
            Err(error) => recovery.push(format!("the log's verifier key is not at its place: {error}")),
        }
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
        let (ending, stopped) = watch::channel(false);
        let denials = api::Denials::new(stopped.clone());
        let shared =
            Arc::new(Shared { engine: handle.clone(), planner, access, denials, ending: stopped.clone() });
        let router = api::router(Arc::clone(&shared), beside);
        let server = tokio::spawn(listen::serve(listener, router, stopped));
        Ok(Control { address, handle, engine: Some(engine), shared, ending, server, recovery })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The last snapshot of its status.
    pub fn status(&self) -> Arc<Status> {
        self.handle.status()
    }

    /// For metrics and readiness.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.handle.clone())
    }

    /// Returns if the engine ends although nobody has stopped it: then nothing is decided or recorded any more.
    pub fn broken(&self) -> impl Future<Output = ()> + Send + 'static {
        let handle = self.handle.clone();
        async move { handle.gone().await }
    }

    /// Writes the last entries and stops; says whether they are on record. Takes 5 s at most: a disk may hang. Gateways should
    /// have ended before, so that their closing accounts are on record.
    pub async fn stop(mut self) -> bool {
        match tokio::time::timeout(STOP_MAX, self.wind_up()).await {
            Ok(recorded) => recorded,
            Err(_) => {
                let waited = STOP_MAX.as_secs();
                tracing::error!("the log has not taken the last entries for {waited} s: its disk hangs");
                false
            }
        }
    }

    async fn wind_up(&mut self) -> bool {
        self.ending.send_replace(true);
        // Over only when its address is free again: whoever starts next may want the same one.
        let _ = (&mut self.server).await;
        self.shared.denials.finish(&self.handle).await;
        let recorded = self.handle.stop().await;
        if let Some(engine) = self.engine.take() {
            let _ = tokio::task::spawn_blocking(move || engine.join()).await;
        }
        recorded
    }
}

fn boot_name() -> Result<String, crossfade_audit::keys::KeyFileError> {
    let bytes = crossfade_audit::keys::random()?;
    Ok(bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
