//! Everything that can be said of this gateway, in one place: for its status, its metrics and its reports to control.
//!
//! It reads what the workers and the steward write, and changes nothing of theirs.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade_backends::otlp::{Client, ClientConfig};
use crossfade_gates::inventory::Sent;
use crossfade_routing::sync::{ArmCounts, EnvironmentHealth, Fence, LedgerRow, Report};
use crossfade_routing::{Ack, BootId, Directive, EnvironmentId, GatewayId, Protection, UnixNanos};
use tokio::sync::{Notify, watch};

use crate::answer::Refusal;
use crate::books::{Pages, Place};
use crate::clock;
use crate::config::GatewayConfig;
use crate::status::{ControlStatus, GatewayStatus, Phase, QueueStatus};
use crate::vitals::Vitals;
use crate::worker::{Commons, Worker};

/// See the module's description.
pub(crate) struct Overview {
    gateway: GatewayId,
    boot: BootId,
    since: UnixNanos,
    protection: Protection,
    environments: Vec<EnvironmentId>,
    /// For looking whether they can be reached; no request is ever sent on these.
    probes: Vec<Client>,
    pub(crate) grpc: Option<SocketAddr>,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) workers: Vec<Arc<Worker>>,
    pub(crate) commons: Commons,
    phase: watch::Receiver<Phase>,
    board: Mutex<Board>,
    urgent: Notify,
}

/// What the steward holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    pub(crate) directive: Option<Directive>,
    pub(crate) edge: Option<UnixNanos>,
    pub(crate) ack: Option<Ack>,
    pub(crate) fence: Option<Fence>,
    pub(crate) fenced: bool,
    pub(crate) fence_unsaved: Option<String>,
    pub(crate) control: ControlStatus,
}

impl Overview {
    pub(crate) fn new(
        config: &GatewayConfig,
        (grpc, http): (Option<SocketAddr>, Option<SocketAddr>),
        (workers, commons): (Vec<Arc<Worker>>, Commons),
        phase: watch::Receiver<Phase>,
    ) -> Overview {
        let since = clock::now();
        let boot = format!("{:x}-{:x}", since.0, std::process::id());
        let probe = |environment: &crate::EnvironmentConfig| {
            Client::new(ClientConfig {
                endpoint: environment.endpoint.clone(),
                headers: http::HeaderMap::new(),
                connect_timeout: environment.connect_timeout,
            })
        };
        Overview {
            gateway: config.id.clone(),
            boot: BootId::new(&boot).expect("hex digits and a dash name a boot"),
            since,
            protection: config.protection,
            environments: config.environments.keys().cloned().collect(),
            probes: config.environments.values().map(probe).collect(),
            grpc,
            http,
            workers,
            commons,
            phase,
            board: Mutex::default(),
            urgent: Notify::new(),
        }
    }

    pub(crate) fn gateway(&self) -> &GatewayId {
        &self.gateway
    }

    pub(crate) fn environments(&self) -> &[EnvironmentId] {
        &self.environments
    }

    pub(crate) fn protection(&self) -> Protection {
        self.protection
    }

    pub(crate) fn vitals(&self) -> &Vitals {
        &self.commons.vitals
    }

    /// Whether an environment can be connected to. Sends nothing.
    pub(crate) async fn knock(&self, place: Place) -> Result<(), String> {
        match self.probes.get(place) {
            Some(probe) => probe.reach().await,
            None => Ok(()),
        }
    }

    /// Changes what the steward shows.
    pub(crate) fn post(&self, change: impl FnOnce(&mut Board)) {
        change(&mut self.board.lock().expect("nothing panics while it holds this lock"));
    }

    pub(crate) fn board(&self) -> Board {
        self.board.lock().expect("nothing panics while it holds this lock").clone()
    }

    /// Something happened that control should hear at once.
    pub(crate) fn urge(&self) {
        self.urgent.notify_one();
    }

    pub(crate) async fn urged(&self) {
        self.urgent.notified().await;
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// All workers' books.
    pub(crate) fn pages(&self) -> Pages {
        Pages::sum(self.workers.iter().map(|worker| worker.books.read()))
    }

    pub(crate) fn ledger(&self, pages: &Pages) -> Vec<LedgerRow> {
        let rows = pages.accounts.iter();
        rows.filter_map(|((place, generation), account)| {
            Some(account.ledger_row(self.environments.get(*place)?, *generation))
        })
        .collect()
    }

    fn arms(&self, pages: &Pages) -> Vec<ArmCounts> {
        let arms = pages.accounts.iter();
        arms.filter_map(|((place, generation), account)| {
            Some(account.arm_counts(self.environments.get(*place)?, *generation))
        })
        .collect()
    }

    /// When the last byte was handed to the kernel for an environment, by any worker.
    pub(crate) fn last_sent(&self, environment: &EnvironmentId) -> Option<UnixNanos> {
        let place = self.environments.iter().position(|known| known == environment)?;
        let last =
            self.workers.iter().filter_map(|worker| worker.lane(place).client.meter().last_sent()).max()?;
        Some(clock::at(last))
    }

    /// How every environment is. One that nobody has looked at yet is not known to be reachable.
    pub(crate) fn health(&self) -> Vec<EnvironmentHealth> {
        self.found().map(|(_, health)| health).collect()
    }

    /// The same, for conclusions: without those that nobody has looked at yet. They are not known to be away either.
    pub(crate) fn known_health(&self) -> Vec<EnvironmentHealth> {
        self.found().filter(|(known, _)| *known).map(|(_, health)| health).collect()
    }

    fn found(&self) -> impl Iterator<Item = (bool, EnvironmentHealth)> {
        let health = |(place, environment): (Place, &EnvironmentId)| {
            let condition = self.vitals().condition(place);
            let health = EnvironmentHealth {
                environment: environment.clone(),
                reachable: condition.reachable == Some(true),
                detail: condition.detail,
                last_ok: condition.last_ok,
                last_sent: self.last_sent(environment),
            };
            (condition.reachable.is_some(), health)
        };
        self.environments.iter().enumerate().map(health)
    }

    pub(crate) fn queues(&self) -> Vec<QueueStatus> {
        let queue = |(place, environment): (Place, &EnvironmentId)| {
            let empty = QueueStatus { environment: environment.clone(), requests: 0, bytes: 0, bytes_max: 0 };
            self.workers.iter().map(|worker| worker.lane(place).fill()).fold(empty, |mut sum, fill| {
                sum.requests += fill.requests;
                sum.bytes += fill.bytes;
                sum.bytes_max = fill.bytes_max;
                sum
            })
        };
        self.environments.iter().enumerate().map(queue).collect()
    }

    /// Requests that the gateway itself refused, by [`Refusal::KINDS`].
    pub(crate) fn refusals(&self) -> [u64; Refusal::KINDS.len()] {
        std::array::from_fn(|kind| {
            self.commons.refusals.get(kind).map_or(0, |count| count.load(Ordering::Relaxed))
        })
    }

    pub(crate) fn report(&self, sequence: u64, wait: Duration, drained: bool) -> Report {
        let board = self.board();
        // Read the acknowledgement before the counts: they then cover at least what it speaks of.
        let pages = self.pages();
        Report {
            gateway: self.gateway.clone(),
            boot: self.boot.clone(),
            sequence,
            now: clock::now(),
            ack: board.ack,
            fence: board.fence,
            health: self.known_health(),
            ledger: self.ledger(&pages),
            arms: self.arms(&pages),
            clock: pages.clock,
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            drained,
        }
    }

    pub(crate) fn sent(&self) -> Sent {
        Sent {
            schema_version: 1,
            gateway: self.gateway.to_string(),
            boot: self.boot.to_string(),
            since: self.since.0,
            now: clock::now().0,
            tap: self.commons.tap.counts(),
            passed: self.commons.tap.passed(),
            inventory: self.commons.tap.read(Clone::clone),
        }
    }

    pub(crate) fn status(&self) -> GatewayStatus {
        let board = self.board();
        let ledger = self.ledger(&self.pages());
        let (schedule, horizon) = board.directive.map(|held| (held.schedule, held.horizon)).unzip();
        GatewayStatus {
            schema_version: 1,
            gateway: self.gateway.clone(),
            boot: self.boot.clone(),
            grpc: self.grpc,
            http: self.http,
            phase: self.phase(),
            schedule,
            horizon,
            edge: board.edge,
            ack: board.ack,
            fence: board.fence,
            fenced: board.fenced,
            fence_unsaved: board.fence_unsaved,
            control: board.control,
            breaker: self.vitals().breaker(),
            environments: self.health(),
            queues: self.queues(),
            balanced: ledger.iter().all(LedgerRow::is_balanced),
            ledger,
        }
    }
}
