//! An engine that can be broken, and gateways that report to it; time passes when the test says so.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossfade_audit::keys;
use crossfade_audit::show::{self, Filter};
use crossfade_audit::storage::{Disk, Storage};
use crossfade_audit::verify::{self, Settle};
use crossfade_lab::environment::Environment;
use crossfade_rollout::event::{Alert, Event};
use crossfade_rollout::{Actor, Command, Entry, Phase, PlanFile};
use crossfade_routing::UnixNanos;
use crossfade_routing::sync::{Reply, Report};

use super::super::{Engine, Handle, Parts};
use crate::api::{ApiError, PlanRequest};
use crate::gates::Gates;
use crate::jobs::Jobs;
use crate::journal::faulty::{Faults, FaultyDisk};
use crate::journal::{Journal, place};
use crate::planner::Planner;
use crate::progress::Progress;
use crate::site::Site;
use crate::status::Status;

#[path = "../../../tests/it/support/gateway.rs"]
mod gateway;

use gateway::Gateway;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
/// No wait takes longer, in real time.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How time passes while something is waited for.
pub(super) const PACE: Duration = Duration::from_millis(50);
/// 2026-11-21T12:00:00Z.
const START: u64 = 1_795_262_400_000_000_000;

pub(super) const WELL: Faults = Faults::NONE;

pub(super) fn full() -> Faults {
    Faults { full: true, ..WELL }
}

pub(super) const SPEC: &str = "
name: move
from: blue
to: green
routing: { overlap: 2s, skew: 500ms, gamma: 10ms }
steps:
  - mirror: { percent: 5, duration: 1s }
  - weight: { percent: 10, duration: 1s }
  - pause: {}
  - weight: { percent: 100, duration: 1s }
  - promote: {}
  - bake: { duration: 1s }
  - finalize: {}
gates: { probe: { traces: 1, deadline: 60s } }
analysis: { min_requests: 10, metrics: [{ name: export_errors }] }
";

pub(super) struct Rig {
    pub(super) handle: Handle,
    pub(super) disk: FaultyDisk,
    pub(super) site: Arc<Site>,
    pub(super) gateways: Vec<Gateway>,
    clock: Arc<AtomicU64>,
    engine: Option<JoinHandle<()>>,
    planner: Planner,
    folders: Vec<tempfile::TempDir>,
    environments: Arc<(Environment, Environment)>,
    /// What gateways were told last, and the log has been found to say.
    announced: Option<UnixNanos>,
    watermark: UnixNanos,
}

pub(super) fn operator() -> Actor {
    "operator:00000000".parse().unwrap()
}

fn write_site(folder: &Path, blue: &Environment, green: &Environment) {
    let environment = |name: &str, environment: &Environment| {
        let (otlp, query) = (environment.grpc_addr(), environment.query_addr());
        format!(
            "  {name}:\n    otlp: {{ endpoint: \"http://{otlp}\" }}\n    query: {{ kind: jaeger, endpoint: \"http://{query}\" }}\n    configs: {{ collector: [collector.yaml] }}\n"
        )
    };
    let text = format!("environments:\n{}{}", environment("blue", blue), environment("green", green));
    fs::write(folder.join("crossfade.yaml"), text).unwrap();
    fs::write(folder.join("collector.yaml"), "receivers: { otlp: {} }\n").unwrap();
}

fn load(folder: &Path) -> Arc<Site> {
    Arc::new(Site::load(&folder.join("crossfade.yaml"), &|_| None).unwrap())
}

impl Rig {
    /// An engine with two gateways that know the first generation.
    pub(super) async fn start() -> Rig {
        let environments =
            Arc::new((Environment::start(1).await.unwrap(), Environment::start(2).await.unwrap()));
        let folder = tempfile::tempdir().unwrap();
        write_site(folder.path(), &environments.0, &environments.1);
        let site = load(folder.path());
        crate::init(&site, &"blue".parse().unwrap(), UnixNanos(START)).unwrap();
        let key = keys::load_verifier(&site.log_pub()).unwrap();
        let gateways = ["gw-1", "gw-2"].map(|id| Gateway::new(id, "boot-1", &key)).into();
        let clock = Arc::new(AtomicU64::new(START));
        let mut rig = Rig::on(vec![folder], site, environments, clock, gateways, WELL);
        rig.until("the first generation", |rig| {
            rig.gateways.iter().all(|gateway| gateway.follower.ack().is_some())
        })
        .await;
        rig
    }

    fn on(
        folders: Vec<tempfile::TempDir>,
        site: Arc<Site>,
        environments: Arc<(Environment, Environment)>,
        clock: Arc<AtomicU64>,
        gateways: Vec<Gateway>,
        faults: Faults,
    ) -> Rig {
        let disk = FaultyDisk::default();
        disk.set(faults);
        let now = UnixNanos(clock.load(Ordering::SeqCst));
        let key = keys::load(&site.key_file).unwrap();
        let opened = Journal::open_on(Arc::new(disk.clone()), &place(&site), key, now).unwrap();
        let gates = Arc::new(Gates::new(Arc::clone(&site)).unwrap());
        let reading = Arc::clone(&clock);
        let parts = Parts {
            journal: opened.journal,
            jobs: Jobs::new(tokio::runtime::Handle::current(), Arc::clone(&gates)),
            boot: format!("control-{}", folders.len()).parse().unwrap(),
            version: "0.0.0-test".to_owned(),
            clock: Arc::new(move || match reading.load(Ordering::SeqCst) {
                0 => panic!("the test wants the engine's thread to end here"),
                now => UnixNanos(now),
            }),
            horizon: Duration::from_secs(30),
            environments: crate::planner::facts(&site),
        };
        let (handle, engine) = Engine::start(parts).unwrap();
        let planner = Planner::new(Arc::clone(&site), gates);
        let engine = Some(engine);
        Rig {
            handle,
            disk,
            site,
            gateways,
            clock,
            engine,
            planner,
            folders,
            environments,
            announced: None,
            watermark: UnixNanos::ZERO,
        }
    }

    /// Plans the rollout and starts it.
    pub(super) async fn begin(&mut self) {
        let plan = self.plan().await;
        self.begin_plan(plan).await.unwrap();
    }

    pub(super) async fn plan(&self) -> PlanFile {
        self.plan_of(SPEC).await
    }

    pub(super) async fn plan_of(&self, spec: &str) -> PlanFile {
        let baseline = self.handle.baseline().await.unwrap();
        let request = PlanRequest { spec: spec.to_owned(), source: "rollout.yaml".to_owned() };
        let status = self.handle.status();
        self.planner.plan(&request, baseline, &status, &Progress::default()).await.unwrap()
    }

    pub(super) async fn begin_plan(&self, plan: PlanFile) -> Result<(), ApiError> {
        let snapshots = plan.plan.snapshots.clone();
        self.handle.start(operator(), plan, snapshots).await
    }

    /// Somebody writes another address of green into the site's configuration. It is read when the engine starts again.
    pub(super) fn move_green(&self) {
        let path = self.folders.last().unwrap().path().join("crossfade.yaml");
        let text = fs::read_to_string(&path).unwrap();
        let address = self.environments.1.grpc_addr().to_string();
        assert!(text.contains(&address), "{text}");
        fs::write(&path, text.replace(&address, "127.0.0.1:9")).unwrap();
    }

    pub(super) async fn command(&self, command: Command) -> Result<(), ApiError> {
        self.handle.command(operator(), command).await
    }

    pub(super) fn now(&self) -> UnixNanos {
        UnixNanos(self.clock.load(Ordering::SeqCst))
    }

    /// The cut that gateways know of and that is not committed.
    pub(super) fn announced(&self) -> Option<UnixNanos> {
        self.announced
    }

    pub(super) fn clock_back(&self, by: Duration) {
        self.clock.fetch_sub(u64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    pub(super) fn report(&mut self, gateway: usize) -> Report {
        let now = self.now();
        self.gateways[gateway].report(now, 0)
    }

    /// The engine's thread panics with its next look.
    pub(super) fn crash(&self) {
        self.clock.store(0, Ordering::SeqCst);
    }

    /// Time passes, and nobody reports.
    pub(super) fn wait(&self, time: Duration) {
        self.clock.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    /// Time passes, and every gateway reports and is answered, whatever the disk does.
    pub(super) async fn pass(&mut self, time: Duration) {
        self.wait(time);
        for gateway in 0..self.gateways.len() {
            let report = self.report(gateway);
            let reply = self.handle.sync(report, Duration::ZERO).await.expect("every gateway is answered");
            self.on_record(&reply);
            // A gateway that is fenced refuses what goes on with the rollout.
            let _ = self.gateways[gateway].hear(&reply);
        }
    }

    /// Nothing that a gateway is told goes beyond what the log says by then.
    fn on_record(&mut self, reply: &Reply) {
        let directive = &reply.directive;
        if directive.announced.is_some() && directive.announced != self.announced {
            let said = |event: &Event| match event {
                Event::CutAnnounced { cut_at, .. } => Some(*cut_at),
                _ => None,
            };
            let last = self.events().iter().rev().find_map(said);
            assert_eq!(directive.announced, last, "announced before it was on record");
        }
        self.announced = directive.announced;
        let granted = |event: &Event| match event {
            Event::HorizonWatermark { until, .. } => Some(*until),
            _ => None,
        };
        if directive.horizon > self.watermark {
            self.watermark = self.events().iter().filter_map(granted).max().unwrap_or_default();
        }
        assert!(directive.horizon <= self.watermark, "a horizon beyond the watermark on record");
    }

    /// Lets time pass until something is so.
    pub(super) async fn until(&mut self, what: &str, wanted: impl Fn(&Rig) -> bool) {
        let patience = Instant::now() + PATIENCE;
        while !wanted(self) {
            assert!(Instant::now() < patience, "{what}: did not happen; {}", self.why());
            self.pass(PACE).await;
            // Gates look at real sockets, which take real time.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Breaks the disk, and lets the engine notice: it does with the next entry, here that of a denied call.
    pub(super) async fn fill(&mut self, faults: Faults) {
        self.disk.set(faults);
        let denied = Command::DenyAccess { call: "GET /".to_owned(), why: "no token".to_owned() };
        self.command(denied).await.expect_err("the log takes nothing");
        let patience = Instant::now() + PATIENCE;
        while !self.status().alerts.contains_key(&Alert::LogUnwritable) {
            assert!(Instant::now() < patience, "no alert, although no time may pass: {}", self.why());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Why nothing happens.
    pub(super) fn why(&self) -> String {
        let status = self.status();
        format!(
            "{:?}; log {:?}; alerts {:?}; waiting for {:#?}",
            self.phase(),
            status.log,
            status.alerts,
            status.waiting
        )
    }

    pub(super) fn status(&self) -> Arc<Status> {
        self.handle.status()
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.status().rollout.as_ref().map(|rollout| rollout.phase)
    }

    /// Whether a step runs; steps count from 0.
    pub(super) fn runs(&self, step: u32) -> bool {
        self.status()
            .rollout
            .as_ref()
            .is_some_and(|rollout| rollout.step == step && rollout.running.is_some())
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let leaves = show::entries(&self.site.log_dir, Filter::default()).unwrap();
        leaves.map(|leaf| leaf.unwrap().entry().unwrap()).collect()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.entries().into_iter().map(|entry| entry.event).collect()
    }

    pub(super) async fn stop(&mut self) {
        self.handle.stop().await;
        if let Some(engine) = self.engine.take() {
            engine.join().unwrap();
        }
    }

    /// Nothing is wrong with the log, in an auditor's eyes.
    pub(super) fn verify(&self) {
        let storage: Arc<dyn Storage> = Arc::new(Disk);
        let key = keys::load_verifier(&self.site.log_pub()).unwrap();
        let report = verify::verify_with(&storage, &self.site.log_dir, &key, Settle::STILL).unwrap();
        assert!(report.intact, "{report}");
    }

    /// As after `kill -9`: another engine on what the disk holds now. What the old one does from here on, it does to files
    /// that nobody looks at.
    pub(super) async fn killed(self) -> Rig {
        self.killed_on(WELL).await
    }

    /// The same, on a disk with faults.
    pub(super) async fn killed_on(mut self, faults: Faults) -> Rig {
        // Between two writes: what was begun is finished, or has failed.
        let _ = self.handle.baseline().await;
        let folder = tempfile::tempdir().unwrap();
        copy(self.folders.last().unwrap().path(), folder.path());
        self.stop().await;
        let site = load(folder.path());
        self.folders.push(folder);
        let Rig { folders, environments, clock, gateways, .. } = self;
        Rig::on(folders, site, environments, clock, gateways, faults)
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            fs::create_dir(to.join(&name)).unwrap();
            copy(&path, &to.join(&name));
        } else {
            fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}
