//! Starting a gateway, holding it, and ending it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossfade_gates::inventory::{Inventory, Sent};
use crossfade_routing::sync::LedgerRow;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::config::{ConfigError, ControlLink, GatewayConfig};
use crate::listen::{Transport, bind};
use crate::overview::Overview;
use crate::status::{ClosingLedger, FenceError, FenceRequest, Fenced, GatewayStatus, Phase};
use crate::steward::keep::{Keep, KeepError};
use crate::steward::keeper::Keeper;
use crate::steward::link::Link;
use crate::steward::{Command, FollowError, Inbox, Steward, chain};
use crate::tap::{self, Tap, TapThread};
use crate::vitals::Vitals;
use crate::worker::{self, Commons, Start, Worker};

/// Why a gateway did not start. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    State(#[from] KeepError),
    #[error("cannot listen on {address} for {transport}")]
    Listen {
        address: SocketAddr,
        transport: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    #[error("the schedule cannot be taken: {0}")]
    Schedule(String),
}

/// A gateway that runs on threads of its own. Dropping it stops it at once; [`Gateway::shutdown`] drains it.
#[derive(Debug)]
pub struct Gateway {
    handle: Handle,
    phase: watch::Sender<Phase>,
    workers: Vec<oneshot::Receiver<bool>>,
    steward: oneshot::Receiver<()>,
    _tap: TapThread,
    grace: Duration,
}

/// Asks a running gateway, and lets a fence fall. Cheap to clone; outlives the gateway, which then answers as closed.
#[derive(Clone)]
pub struct Handle {
    pub(crate) overview: Arc<Overview>,
    commands: mpsc::UnboundedSender<Command>,
    pub(crate) admin_token: Option<crate::Token>,
}

/// Binds the listeners, reads the state folder, and starts serving. Does not wait for any environment, nor for control:
/// without a saved schedule requests are refused as unavailable until control has given one.
pub async fn start(config: GatewayConfig) -> Result<Gateway, StartError> {
    config.check()?;
    if let ControlLink::Remote(control) = &config.control {
        Link::new(&config.id, control)?;
    }
    let (keep, kept) = Keep::open(&config.state_dir)?;
    let (grpc, grpc_listeners) = listen(config.grpc, "grpc", &config)?;
    let (http, http_listeners) = listen(config.http, "http", &config)?;

    let (phase, phases) = watch::channel(Phase::Serving);
    let (tripped, trips) = mpsc::unbounded_channel();
    let vitals = Arc::new(Vitals::new(config.environments.len(), config.breaker, tripped));
    let tap = Tap::new(&config.tap, config.workers.get());
    let commons = Commons::new(&config, vitals, Arc::clone(&tap));
    let workers: Vec<_> =
        (0..config.workers.get()).map(|number| Worker::new(&config, &commons, number)).collect();
    let overview = Overview::new(&config, (grpc, http), (workers.clone(), commons), phases.clone());
    let overview = Arc::new(overview);
    let (commands, inbox) = mpsc::unbounded_channel();
    let handle =
        Handle { overview: Arc::clone(&overview), commands, admin_token: config.admin_token.clone() };

    let mut ends = Vec::new();
    let mut orders = Vec::new();
    let mut grpc_listeners = grpc_listeners.into_iter();
    let mut http_listeners = http_listeners.into_iter();
    for (number, worker) in workers.into_iter().enumerate() {
        let grpc = grpc_listeners.next().map(|listener| (Transport::Grpc, listener));
        let http = http_listeners.next().map(|listener| (Transport::Http, listener));
        let (order, ordered) = mpsc::unbounded_channel();
        orders.push(order);
        let listeners = grpc.into_iter().chain(http).collect();
        let (phase, grace) = (phases.clone(), config.grace);
        let start = Start { worker, listeners, orders: ordered, phase, grace };
        ends.push(on_thread(&format!("gateway-{number}"), || worker::run(start))?);
    }

    let tap = tap::start(&tap, &config.tap).map_err(StartError::Thread)?;
    let keeper = Keeper::start(keep).map_err(StartError::Thread)?;
    let mut steward = Steward::new((keeper, kept), config.control, overview, orders);
    let (awake, woken) = oneshot::channel();
    let inbox = Inbox { commands: inbox, tripped: trips, phase: phases };
    let steward = on_thread("steward", || async move {
        match steward.wake().await {
            Ok(()) => {
                // Whoever started it may have gone: then the loop sees that, too.
                let _ = awake.send(Ok(()));
                steward.run(inbox).await;
            }
            Err(error) => {
                steward.abandon().await;
                let _ = awake.send(Err(error));
            }
        }
    })?;
    let gateway = Gateway { handle, phase, workers: ends, steward, _tap: tap, grace: config.grace };
    let refused = |error: FollowError| StartError::Schedule(chain(&error));
    match woken.await {
        Ok(result) => result.map(|()| gateway).map_err(refused),
        Err(_) => Err(StartError::Schedule("the steward has ended".to_owned())),
    }
}

/// For the closing ledger to be heard, should the drain have used up its time.
const FAREWELL_MIN: Duration = Duration::from_secs(5);

/// Of each worker, beside its own.
const BLOCKING_THREADS: usize = 4;

type Listening = (Option<SocketAddr>, Vec<std::net::TcpListener>);

fn listen(
    address: Option<SocketAddr>,
    transport: &'static str,
    config: &GatewayConfig,
) -> Result<Listening, StartError> {
    let Some(address) = address else { return Ok((None, Vec::new())) };
    let bound = bind(address, config.workers);
    let (address, listeners) = bound.map_err(|source| StartError::Listen { address, transport, source })?;
    Ok((Some(address), listeners))
}

/// Runs a future on a thread and a runtime of its own. When the receiver is answered, both are gone.
fn on_thread<F: Future>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<oneshot::Receiver<F::Output>, StartError>
where
    F::Output: Send + 'static,
{
    let mut builder = Builder::new_current_thread();
    // For compressing copies, and for names: a crowd of threads would take the processors from those who serve.
    let runtime = builder.enable_all().max_blocking_threads(BLOCKING_THREADS).build();
    let runtime = runtime.map_err(StartError::Thread)?;
    let (ended, end) = oneshot::channel();
    let run = move |runtime: Runtime| {
        let output = runtime.block_on(async { work().await });
        // What is still running ends here, and settles its accounts.
        drop(runtime);
        let _ = ended.send(output);
    };
    thread::Builder::new().name(name.to_owned()).spawn(move || run(runtime)).map_err(StartError::Thread)?;
    Ok(end)
}

impl Gateway {
    /// Where OTLP/gRPC is served.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.handle.overview.grpc
    }

    /// Where OTLP/HTTP is served.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.handle.overview.http
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Drains: takes nothing new, answers what is in flight, delivers what is queued, and reports the closing ledger until
    /// control has it on record. Takes the grace time at most, and a few seconds if the report comes late. What is left after the grace time is counted, as shed if it
    /// never left, else as indeterminate.
    pub async fn shutdown(self) -> ClosingLedger {
        let started = Instant::now();
        let _ = self.phase.send(Phase::Draining);
        let mut drained = true;
        for worker in self.workers {
            drained &= worker.await.unwrap_or(false);
        }
        let until = (started + self.grace).max(Instant::now() + FAREWELL_MIN);
        let (answer, heard) = oneshot::channel();
        let reported = match self.handle.commands.send(Command::Close { until, answer }) {
            Ok(()) => heard.await.unwrap_or(false),
            Err(_) => false,
        };
        let _ = self.steward.await;
        let _ = self.phase.send(Phase::Closed);
        let rows = self.handle.overview.ledger(&self.handle.overview.pages());
        ClosingLedger { drained: drained && nothing_is_left(&rows), rows, reported, took: started.elapsed() }
    }

    /// The grace time of a drain.
    pub fn grace(&self) -> Duration {
        self.grace
    }
}

fn nothing_is_left(rows: &[LedgerRow]) -> bool {
    rows.iter().all(|row| row.queued == 0)
}

impl Handle {
    pub fn status(&self) -> GatewayStatus {
        self.overview.status()
    }

    /// Lets a fence fall, for `actor`: everything back to `from`, and not a byte more to `to`, for the rest of this rollout. When
    /// this returns it is in effect, and durable unless [`Fenced::durable`] says otherwise. Never waits for control, and for
    /// a disk only briefly.
    pub async fn fence(&self, actor: &str, request: FenceRequest) -> Result<Fenced, FenceError> {
        let (answer, fenced) = oneshot::channel();
        let actor = actor.to_owned();
        self.commands.send(Command::Fence { actor, request, answer }).map_err(|_| FenceError::Closed)?;
        fenced.await.map_err(|_| FenceError::Closed)?
    }

    /// What clients sent, as the tap saw it.
    pub fn sent(&self) -> Sent {
        self.overview.sent()
    }

    /// Looks at the inventory of what clients sent without copying it. The tap waits meanwhile; requests do not.
    pub fn read_inventory<T>(&self, look: impl FnOnce(&Inventory) -> T) -> T {
        self.overview.commons.tap.read(look)
    }

    /// Prometheus text exposition.
    pub fn metrics(&self) -> String {
        crate::metrics::render(&self.overview)
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("gateway", self.overview.gateway()).finish_non_exhaustive()
    }
}
