//! What every test needs: environments, a gateway in front of them, requests, and patience.

mod environment;
mod raw;
mod requests;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use crossfade_backends::otlp::{Client, ClientConfig, Endpoint, Message, Outcome, Protocol};
use crossfade_gateway::{
    ControlLink, EnvironmentConfig, Gateway, GatewayConfig, GatewayStatus, Handle, StartError, start,
};
use crossfade_routing::sync::LedgerRow;
use crossfade_routing::{
    Begin, Cut, Directive, EnvironmentId, GatewayId, Schedule, Seed, UnixNanos, Weight, Window,
};
use http::HeaderMap;

pub(crate) use environment::{Environment, Play};
pub(crate) use raw::{Chunks, EXPORT, grpc, http_raw, http1};
pub(crate) use requests::{
    Request, SpanSpec, candidate_trace, encode, ids, large, now, one_span, plain_trace, request, span, trace,
};

use crate::PATIENCE;

pub(crate) fn blue() -> EnvironmentId {
    EnvironmentId::new("blue").unwrap()
}

pub(crate) fn green() -> EnvironmentId {
    EnvironmentId::new("green").unwrap()
}

/// Waits until a condition holds.
pub(crate) async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(value) = condition() {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("never: {what}"),
    }
}

/// Starts a gateway on the folder of one that has ended, as soon as the thread that wrote it has let go of it.
pub(crate) async fn start_again(config: GatewayConfig) -> Gateway {
    let again = async {
        loop {
            match start(config.clone()).await {
                Ok(gateway) => return gateway,
                Err(StartError::State(_)) => tokio::time::sleep(Duration::from_millis(2)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    soon("the folder is free", again).await
}

/// Waits for a future, but not for ever.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("never: {what}"),
    }
}

pub(crate) const SEED: Seed = Seed(7);

/// One environment.
pub(crate) fn single() -> Schedule {
    Schedule::genesis(blue())
}

/// Blue to green, nothing moved yet. Windows are short, and cuts lie an hour back: all is settled.
pub(crate) fn candidate() -> Schedule {
    let second = Duration::from_secs(1);
    let window = Window::new(second, 10 * second, Duration::from_millis(100)).unwrap();
    let begin = Begin { rollout: "tempo-3".to_owned(), to: green(), seed: SEED, window };
    single().begin(begin).unwrap()
}

/// So much owned by green, for an hour already.
pub(crate) fn weight(percent: &str) -> Schedule {
    let at = UnixNanos(now() - 3_600_000_000_000);
    candidate().cut(Cut { at, weight: Weight::from_percent_str(percent).unwrap() }).unwrap()
}

pub(crate) fn promoted(mirror_back: bool) -> Schedule {
    weight("100").promoted(mirror_back).unwrap()
}

/// For good.
pub(crate) fn directive(schedule: Schedule) -> Directive {
    Directive { schedule, announced: None, horizon: UnixNanos::MAX }
}

/// A gateway under test, with its state folder.
pub(crate) struct Bench {
    pub(crate) gateway: Gateway,
    pub(crate) handle: Handle,
    pub(crate) state: tempfile::TempDir,
}

pub(crate) fn environment_config(environment: &Environment) -> EnvironmentConfig {
    let endpoint = Endpoint::parse(&environment.url(), environment.protocol()).unwrap();
    // What hangs, hangs for as long as a test takes; what is there has all the time that it needs.
    EnvironmentConfig { timeout: 2 * PATIENCE, connect_timeout: PATIENCE, ..EnvironmentConfig::new(endpoint) }
}

/// One worker, and as many as a small machine has: what holds for one may not hold between two.
pub(crate) const ONE_AND_TWO: [NonZeroUsize; 2] = [NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(1)];
/// So many that it cannot be chance if they are all one worker's.
pub(crate) const CONNECTIONS: usize = 24;

/// Blue and green behind a gateway that routes by `schedule`. Short waits, one worker: the tests count.
pub(crate) fn config(
    blue_is: &Environment,
    green_is: &Environment,
    schedule: Schedule,
) -> (GatewayConfig, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let environments =
        BTreeMap::from([(blue(), environment_config(blue_is)), (green(), environment_config(green_is))]);
    let control = ControlLink::Static(Box::new(directive(schedule)));
    let id = GatewayId::new("gw").unwrap();
    let mut config = GatewayConfig::new(id, environments, state.path().to_owned(), control);
    config.workers = NonZeroUsize::MIN;
    config.delivery.backoff_first = Duration::from_millis(1);
    config.delivery.backoff_max = Duration::from_millis(20);
    (config, state)
}

impl Bench {
    pub(crate) async fn start((config, state): (GatewayConfig, tempfile::TempDir)) -> Bench {
        let gateway = start(config).await.unwrap();
        let handle = gateway.handle();
        Bench { gateway, handle, state }
    }

    /// A gateway with its defaults in front of blue and green.
    pub(crate) async fn new(blue_is: &Environment, green_is: &Environment, schedule: Schedule) -> Bench {
        Bench::start(config(blue_is, green_is, schedule)).await
    }

    pub(crate) fn client(&self, protocol: Protocol) -> Client {
        let address = match protocol {
            Protocol::Grpc => self.gateway.grpc_addr(),
            Protocol::HttpProtobuf | Protocol::HttpJson => self.gateway.http_addr(),
        };
        client(&format!("http://{}", address.unwrap()), protocol)
    }

    /// Clients with a connection each, enough that every worker has some.
    pub(crate) fn clients(&self, protocol: Protocol) -> Vec<Client> {
        (0..CONNECTIONS).map(|_| self.client(protocol)).collect()
    }

    pub(crate) fn status(&self) -> GatewayStatus {
        self.handle.status()
    }

    /// An environment's account, over all generations.
    pub(crate) fn account(&self, environment: &EnvironmentId) -> LedgerRow {
        let status = self.status();
        assert!(status.balanced, "the ledger does not balance: {:?}", status.ledger);
        sum(environment, &status.ledger)
    }

    /// Waits until an account is as described.
    pub(crate) async fn account_is(
        &self,
        environment: &EnvironmentId,
        what: &str,
        is: impl Fn(&LedgerRow) -> bool,
    ) {
        let last = std::cell::RefCell::new(None);
        let check = || {
            let row = self.account(environment);
            let met = is(&row);
            *last.borrow_mut() = Some(row);
            met.then_some(())
        };
        let waited = tokio::time::timeout(PATIENCE, until(what, check)).await;
        assert!(waited.is_ok(), "never: {what}: {:?}", last.borrow());
    }
}

pub(crate) fn sum(environment: &EnvironmentId, rows: &[LedgerRow]) -> LedgerRow {
    let empty = LedgerRow::empty(environment.clone(), crossfade_routing::Generation(0));
    rows.iter().filter(|row| row.environment == *environment).fold(empty, |mut sum, row| {
        sum.received += row.received;
        sum.delivered += row.delivered;
        sum.rejected += row.rejected;
        sum.returned += row.returned;
        sum.shed += row.shed;
        sum.shed_untrusted += row.shed_untrusted;
        sum.indeterminate += row.indeterminate;
        sum.queued += row.queued;
        sum
    })
}

pub(crate) fn client(url: &str, protocol: Protocol) -> Client {
    let endpoint = Endpoint::parse(url, protocol).unwrap();
    Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout: PATIENCE })
}

/// Exports a request as an SDK would.
pub(crate) async fn export(client: &Client, message: Message) -> Outcome {
    client.export(message, &HeaderMap::new(), PATIENCE).await.outcome
}

pub(crate) const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
