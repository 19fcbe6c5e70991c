//! A site on disk with two simulated environments behind it, a control plane as `serve` runs it, and gateways that sync.

mod gateway;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use crossfade_audit::show::{self, Filter};
use crossfade_audit::verify::{self, Settle};
use crossfade_control::api::{ApiError, ErrorCode, PlanRequest, Started, VerbRequest, read_token};
use crossfade_control::client::Client;
use crossfade_control::status::Status;
use crossfade_control::{Control, ControlConfig, Site};
use crossfade_lab::environment::Environment;
use crossfade_rollout::event::Event;
use crossfade_rollout::{Entry, Phase, PlanFile};
use crossfade_routing::sync::{Reply, Report};
use crossfade_tlog::VerifierKey;
use tokio::task::JoinHandle;

pub(crate) use gateway::Gateway;

/// No wait in a test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// As short as a rollout can be.
pub(crate) const SPEC: &str = "
name: move
from: blue
to: green
routing: { overlap: 200ms, skew: 100ms, gamma: 10ms }
steps:
  - mirror: { percent: 5, duration: 50ms }
  - weight: { percent: 10, duration: 50ms }
  - weight: { percent: 100, duration: 50ms }
  - promote: {}
  - bake: { duration: 50ms }
  - finalize: {}
gates: { probe: { traces: 2, deadline: 60s } }
analysis: { min_requests: 10, no_verdict_max: 60s, metrics: [{ name: export_errors }] }
";

/// The same, with a stop of its own length at 10 %.
pub(crate) fn spec_waiting_at_ten() -> String {
    SPEC.replace("  - weight: { percent: 100", "  - pause: {}\n  - weight: { percent: 100")
}

/// Files, keys and environments of one site.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) environments: [Environment; 2],
}

impl House {
    /// Initialised, with blue active.
    pub(crate) async fn new() -> House {
        let (blue, green) = (Environment::start(1).await.unwrap(), Environment::start(2).await.unwrap());
        let dir = tempfile::tempdir().unwrap();
        let text = site_text(&blue, &green);
        fs::write(dir.path().join("crossfade.yaml"), text).unwrap();
        for name in ["blue.yaml", "green.yaml"] {
            fs::write(dir.path().join(name), "receivers: { otlp: {} }\nexporters: { debug: {} }\n").unwrap();
        }
        let house = House { dir, environments: [blue, green] };
        crossfade_control::init(&house.site(), &"blue".parse().unwrap(), crossfade_control::now()).unwrap();
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn site(&self) -> Site {
        load(&self.path("crossfade.yaml"))
    }

    pub(crate) fn key(&self) -> VerifierKey {
        crossfade_audit::keys::load_verifier(&self.site().log_pub()).unwrap()
    }

    pub(crate) fn gateway(&self, id: &str, boot: &str) -> Gateway {
        Gateway::new(id, boot, &self.key())
    }

    pub(crate) fn operator(&self, address: std::net::SocketAddr) -> Operator {
        let token = read_token(&self.site().token_file).unwrap();
        Operator { client: Client::with_token(&format!("http://{address}"), token).unwrap() }
    }

    pub(crate) fn line(&self, address: std::net::SocketAddr) -> Client {
        let token = read_token(&self.site().gateway.token_file).unwrap();
        Client::with_token(&format!("http://{address}"), token).unwrap()
    }

    /// Everything that the log says.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let leaves = show::entries(&self.site().log_dir, Filter::default()).unwrap();
        leaves.map(|leaf| leaf.unwrap().entry().unwrap()).collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.entries().into_iter().map(|entry| entry.event).collect()
    }

    /// Nothing is wrong with the log, in an auditor's eyes.
    pub(crate) fn verify(&self) {
        let storage: Arc<dyn crossfade_audit::storage::Storage> = Arc::new(crossfade_audit::storage::Disk);
        let report = verify::verify_with(&storage, &self.site().log_dir, &self.key(), Settle::STILL).unwrap();
        assert!(report.intact, "{report}");
    }
}

fn load(path: &Path) -> Site {
    Site::load(path, &|_| None).unwrap_or_else(|error| panic!("{error}"))
}

fn site_text(blue: &Environment, green: &Environment) -> String {
    let environment = |name: &str, environment: &Environment| {
        let (otlp, query) = (environment.grpc_addr(), environment.query_addr());
        format!(
            "  {name}:\n    otlp: {{ endpoint: \"http://{otlp}\" }}\n    query: {{ kind: jaeger, endpoint: \"http://{query}\" }}\n    configs: {{ collector: [{name}.yaml] }}\n"
        )
    };
    format!(
        "environments:\n{}{}gateway: {{ grpc: {{ endpoint: \"127.0.0.1:0\" }}, http: {{ endpoint: \"127.0.0.1:0\" }} }}\ncontrol: {{ endpoint: \"127.0.0.1:0\" }}\n",
        environment("blue", blue),
        environment("green", green)
    )
}

/// A control plane, as `serve` runs it.
pub(crate) async fn control(site: Site) -> Control {
    control_with(site, Duration::from_secs(5)).await
}

/// The same; a gateway that has gone silent is waited for that long.
pub(crate) async fn control_with(site: Site, horizon: Duration) -> Control {
    let mut config = ControlConfig::new(site, "0.0.0-test");
    config.horizon = horizon;
    Control::start(config, Router::new()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// What an operator does.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) client: Client,
}

impl Operator {
    pub(crate) async fn status(&self) -> Status {
        self.client.get("/v1/status").await.unwrap()
    }

    pub(crate) async fn plan(&self, spec: &str) -> Result<PlanFile, ApiError> {
        let request = PlanRequest { spec: spec.to_owned(), source: "rollout.yaml".to_owned() };
        self.client.post("/v1/plans", &request).await
    }

    pub(crate) async fn start(&self, plan: &PlanFile) -> Result<Started, ApiError> {
        self.client.post("/v1/rollouts", plan).await
    }

    /// Starts it although its dry run did not pass.
    pub(crate) async fn start_anyway(&self, plan: &PlanFile) -> Result<Started, ApiError> {
        self.client.post("/v1/rollouts?anyway=true", plan).await
    }

    /// Plans and starts.
    pub(crate) async fn begin(&self, spec: &str) {
        let plan = self.plan(spec).await.unwrap();
        self.start(&plan).await.unwrap();
    }

    pub(crate) async fn say(&self, verb: &str) -> Result<Started, ApiError> {
        self.order("current", verb, &VerbRequest::default()).await
    }

    pub(crate) async fn order(
        &self,
        name: &str,
        verb: &str,
        request: &VerbRequest,
    ) -> Result<Started, ApiError> {
        self.client.post(&format!("/v1/rollouts/{name}/{verb}"), request).await
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let waiting = async {
            loop {
                let status = self.status().await;
                if wanted(&status) {
                    return status;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(status) => status,
            Err(_) => {
                let status = self.status().await;
                let phase = status
                    .rollout
                    .map(|rollout| (rollout.phase, rollout.step, rollout.paused, rollout.steps.len()));
                panic!(
                    "{what}: did not happen; {phase:?}; log {:?}; waiting for {:#?}",
                    status.log, status.waiting
                )
            }
        }
    }

    /// Waits until a step runs; steps count from 0.
    pub(crate) async fn until_step(&self, step: u32) -> Status {
        let runs = |status: &Status| {
            status.rollout.as_ref().is_some_and(|it| it.step == step && it.running.is_some())
        };
        self.until(&format!("step {step} runs"), runs).await
    }

    /// Waits until the rollout has ended.
    pub(crate) async fn until_over(&self) -> Phase {
        let over = |status: &Status| status.rollout.as_ref().is_some_and(|it| it.phase.is_final());
        self.until("the end", over).await.rollout.unwrap().phase
    }
}

/// A gateway that reports in a loop, whoever answers at the address.
pub(crate) struct Syncing {
    pub(crate) gateway: Arc<Mutex<Gateway>>,
    task: JoinHandle<()>,
}

impl Syncing {
    pub(crate) fn start(gateway: Gateway, line: Client) -> Syncing {
        let gateway = Arc::new(Mutex::new(gateway));
        let shared = Arc::clone(&gateway);
        let task = tokio::spawn(async move {
            loop {
                let answered = once(&shared, &line, 100).await;
                if answered.is_err() {
                    tokio::time::sleep(LOOK).await;
                }
            }
        });
        Syncing { gateway, task }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Gateway) -> T) -> T {
        look(&mut self.gateway.lock().unwrap())
    }

    /// Ends, and gives the gateway back.
    pub(crate) async fn end(self) -> Gateway {
        self.task.abort();
        let _ = self.task.await;
        Arc::into_inner(self.gateway).expect("the task is over").into_inner().unwrap()
    }
}

/// One report, and its answer taken.
pub(crate) async fn once(gateway: &Mutex<Gateway>, line: &Client, wait_ms: u32) -> Result<Reply, ApiError> {
    let report = gateway.lock().unwrap().report(crossfade_control::now(), wait_ms);
    let reply = send(line, &report).await?;
    // A gateway that is fenced refuses what goes on with the rollout.
    let _ = gateway.lock().unwrap().hear(&reply);
    Ok(reply)
}

pub(crate) async fn send(line: &Client, report: &Report) -> Result<Reply, ApiError> {
    line.post(&format!("/v1/gateways/{}/sync", report.gateway), report).await
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> ErrorCode {
    result.expect_err("it is refused").0.code
}
