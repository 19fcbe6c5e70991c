//! A worker: one thread with its own runtime, listeners, connections, queues and books.
//!
//! Nothing on a request's way is shared between workers but a few counters, and where a queue is full, what waits in the
//! others'. The steward talks to a worker by orders,
//! which the worker carries out on its own thread: so a new schedule, and above all a fence, takes effect between two
//! steps of whatever else the worker does, and is complete when the order is answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crossfade_backends::otlp::{Client, ClientConfig};
use http::{HeaderMap, HeaderName};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::answer::Refusal;
use crate::books::{Books, Place};
use crate::budget::{Budget, Exhausted, Share};
use crate::config::{GatewayConfig, Limits};
use crate::dispatch::Scratch;
use crate::lane::Lane;
use crate::listen::{Transport, accept};
use crate::pool::Pool;
use crate::queue::Queue;
use crate::receive::body::Bounds;
use crate::route::{Route, RouteCell};
use crate::status::Phase;
use crate::tap::{Tap, TapBox};
use crate::vitals::Vitals;

/// A request takes one of the slots only when its body is in. So many may be on their way to each: a body that does not
/// come costs little, and whoever sends the heads of requests only shall not be able to keep the others out.
const RECEIVING_FOR_EACH_SLOT: usize = 4;
/// One connection's part of those: it takes this many connections to fill them.
const CONNECTIONS_TO_FILL: usize = 128;
/// But every connection may have so many.
const RECEIVING_MIN: usize = 16;

/// What all workers of a gateway share.
#[derive(Clone, Debug)]
pub(crate) struct Commons {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) tap: Arc<Tap>,
    pub(crate) memory: Arc<Budget>,
    pub(crate) in_flight: Arc<Budget>,
    /// Requests whose bodies are still coming in.
    pub(crate) receiving: Arc<Budget>,
    /// Of each environment, for each worker.
    queues: Vec<Vec<Queue>>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) refusals: Arc<[AtomicU64; Refusal::KINDS.len()]>,
}

impl Commons {
    pub(crate) fn new(config: &GatewayConfig, vitals: Arc<Vitals>, tap: Arc<Tap>) -> Commons {
        let (limits, merge_bytes_max) = (&config.limits, config.delivery.merge_bytes_max);
        let queues = || Queue::for_workers(config.workers.get(), limits.queue_bytes, merge_bytes_max);
        Commons {
            vitals,
            tap,
            memory: Budget::new(limits.memory_bytes),
            in_flight: Budget::new(limits.requests_in_flight),
            receiving: Budget::new(limits.requests_in_flight.saturating_mul(RECEIVING_FOR_EACH_SLOT)),
            queues: config.environments.keys().map(|_| queues()).collect(),
            connections: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            refusals: Arc::default(),
        }
    }
}

/// See the module's description.
pub(crate) struct Worker {
    pub(crate) route: RouteCell,
    pub(crate) books: Arc<Books>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) tap: Arc<TapBox>,
    pub(crate) in_flight: Arc<Budget>,
    receiving: Arc<Budget>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) forward_headers: Vec<HeaderName>,
    pub(crate) no_metadata: Arc<HeaderMap>,
    pub(crate) pool: Arc<Pool>,
    memory: Arc<Budget>,
    refusals: Arc<[AtomicU64; Refusal::KINDS.len()]>,
    lanes: Vec<Arc<Lane>>,
    pub(crate) limits: Limits,
    scratch: Mutex<Scratch>,
}

/// From the steward.
#[derive(Debug)]
pub(crate) struct Order {
    /// Route by this from now on.
    pub(crate) route: Arc<Route>,
    /// And send nothing more to this environment: not a byte, not even of what is on its way.
    pub(crate) sever: Option<Place>,
    pub(crate) done: oneshot::Sender<()>,
}

impl Worker {
    pub(crate) fn new(config: &GatewayConfig, commons: &Commons, number: usize) -> Arc<Worker> {
        let Commons { vitals, tap, memory, in_flight, receiving, queues, connections, refusals } =
            commons.clone();
        let mut queues = queues.into_iter().filter_map(|workers| workers.into_iter().nth(number));
        let lane = |(place, environment): (Place, &crate::EnvironmentConfig)| {
            let client = Client::new(ClientConfig {
                endpoint: environment.endpoint.clone(),
                headers: environment.headers.clone(),
                connect_timeout: environment.connect_timeout,
            });
            let queue = queues.next().expect("there is one for each environment and worker");
            let sending = (environment.compression, environment.timeout);
            Lane::new(place, client, sending, (config.delivery, queue), Arc::clone(&commons.vitals))
        };
        Arc::new(Worker {
            route: RouteCell::default(),
            books: Arc::default(),
            vitals,
            tap: tap.of_worker(number),
            in_flight,
            receiving,
            connections,
            forward_headers: config.forward_headers.clone(),
            no_metadata: Arc::default(),
            pool: Arc::default(),
            memory,
            refusals,
            lanes: config.environments.values().enumerate().map(lane).collect(),
            limits: config.limits,
            scratch: Mutex::new(Scratch::new(config.limits.request_bytes)),
        })
    }

    pub(crate) fn lane(&self, place: Place) -> &Arc<Lane> {
        self.lanes.get(place).expect("every place has a lane")
    }

    pub(crate) fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    /// Held while one request is planned, which never waits.
    pub(crate) fn scratch(&self) -> MutexGuard<'_, Scratch> {
        self.scratch.lock().expect("planning does not panic")
    }

    /// One connection's part of the bodies that may be coming in.
    pub(crate) fn receiving_on_one_connection(&self) -> Arc<Budget> {
        Budget::new((self.receiving.max() / CONNECTIONS_TO_FILL).max(RECEIVING_MIN))
    }

    /// Leave to receive a body.
    pub(crate) fn receive(&self) -> Result<Share, Exhausted> {
        self.receiving.share(1)
    }

    /// Bounds on the body of a request whose head has just come.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            bytes_max: self.limits.request_bytes,
            deadline: Instant::now() + self.limits.body_timeout,
            memory: Arc::clone(&self.memory),
            pool: Arc::clone(&self.pool),
        }
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        if let Some(count) = self.refusals.get(refusal.kind()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn obey(&self, order: Order) {
        self.route.set(order.route);
        if let Some(place) = order.sever {
            self.lane(place).sever();
        }
        // The steward may have stopped waiting.
        let _ = order.done.send(());
    }
}

/// What a worker is started with.
pub(crate) struct Start {
    pub(crate) worker: Arc<Worker>,
    pub(crate) listeners: Vec<(Transport, std::net::TcpListener)>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) grace: Duration,
}

/// After the grace time, for what was cut off to settle its accounts.
const SETTLING: Duration = Duration::from_secs(1);

/// Runs until the drain is over. Returns whether it was complete.
pub(crate) async fn run(start: Start) -> bool {
    let Start { worker, listeners, mut orders, mut phase, grace } = start;
    let obedient = Arc::clone(&worker);
    tokio::spawn(async move {
        while let Some(order) = orders.recv().await {
            obedient.obey(order);
        }
    });
    for lane in worker.lanes() {
        tokio::spawn(Arc::clone(lane).run());
    }
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|(transport, listener)| {
            tokio::spawn(accept(listener, transport, Arc::clone(&worker), phase.clone()))
        })
        .collect();
    // The sender lives as long as the gateway; without one there is nobody left to serve for.
    let _ = phase.wait_for(|phase| *phase != Phase::Serving).await;
    let drain = async {
        for accepting in accepting {
            let _ = accepting.await;
        }
        drained(&worker).await;
    };
    let abandoned = phase.wait_for(|phase| *phase == Phase::Closed);
    let complete = tokio::select! {
        drained = timeout(grace, drain) => drained.is_ok(),
        _ = abandoned => false,
    };
    if !complete {
        for lane in worker.lanes() {
            lane.sever();
        }
        let _ = timeout(SETTLING, drained(&worker)).await;
    }
    complete
}

async fn drained(worker: &Worker) {
    for lane in worker.lanes() {
        lane.drained().await;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use crossfade_backends::otlp::{Endpoint, Protocol};
    use crossfade_routing::{EnvironmentId, GatewayId, Protection, Router, Schedule, UnixNanos};

    use super::*;
    use crate::{ControlLink, EnvironmentConfig};

    /// A worker that routes by `schedule`, and sends nothing: nobody runs its lanes.
    pub(crate) fn idle(schedule: &Schedule, forward: &[&str]) -> Arc<Worker> {
        let endpoint = || Endpoint::parse("localhost:1", Protocol::Grpc).unwrap();
        let names = ["blue", "green"].map(|name| EnvironmentId::new(name).unwrap());
        let environments: BTreeMap<_, _> =
            names.iter().map(|name| (name.clone(), EnvironmentConfig::new(endpoint()))).collect();
        let directive = crossfade_routing::Directive {
            schedule: schedule.clone(),
            announced: None,
            horizon: UnixNanos::MAX,
        };
        let control = ControlLink::Static(Box::new(directive));
        let mut config = GatewayConfig::new(GatewayId::new("gw").unwrap(), environments, "".into(), control);
        config.forward_headers = forward.iter().map(|name| name.parse().unwrap()).collect();
        let vitals = Arc::new(Vitals::new(2, config.breaker, mpsc::unbounded_channel().0));
        let tap = Tap::new(&config.tap, config.workers.get());
        let worker = Worker::new(&config, &Commons::new(&config, vitals, tap), 0);
        let router = Router::new(schedule, UnixNanos::MAX, Protection::Copy);
        worker.route.set(Arc::new(Route::new(router, &names).unwrap()));
        worker
    }
}
