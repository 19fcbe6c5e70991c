//! `serve` is ended in the middle of a rollout's step, and started again: in order, and by force. Everything is real but the
//! environments: the program, its signals, its log, and OTLP traffic through it.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crossfade_audit::show::{self, Filter};
use crossfade_control::status::Status;
use crossfade_lab::environment::Environment;
use crossfade_lab::traffic::{self, Answer, Pace, Record, Targets, Traffic, TrafficConfig};
use crossfade_rollout::event::Event;
use crossfade_rollout::state::{LedgerStatus, Rollout};
use crossfade_rollout::{State, replay};
use support::Folder;

/// No wait takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
const LOG: &str = "crossfade-data/audit";

const ROLLOUT: &str = "
name: next
from: blue
to: green
routing: { overlap: 500ms, skew: 300ms, gamma: 10ms }
steps:
  - weight: { percent: 50, duration: 1h }
  - weight: { percent: 100, duration: 1h }
  - promote: {}
  - finalize: {}
gates: { probe: { traces: 1, deadline: 20s } }
analysis: { min_requests: 1, no_verdict_max: 1h, metrics: [{ name: export_errors }] }
";

/// `serve`, running.
struct Serve {
    child: Child,
    grpc: SocketAddr,
    http: SocketAddr,
    control: String,
    /// What it said until then.
    told: Vec<String>,
}

impl Serve {
    fn start(folder: &Folder) -> Serve {
        let mut child = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .arg("serve")
            .current_dir(folder.path())
            .env("NO_COLOR", "1")
            .env_remove("CROSSFADE_CONFIG")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut told = Vec::new();
        let mut after = |what: &str| {
            let lines = lines.by_ref().map_while(Result::ok).inspect(|line| told.push(line.clone()));
            let mut lines = lines.filter_map(|line| Some(line.split(what).nth(1)?.trim().to_owned()));
            lines.next().unwrap_or_else(|| panic!("it says {what}"))
        };
        let grpc = after("OTLP/gRPC on ").parse().expect("an address");
        let http = after("OTLP/HTTP on http://").parse().expect("an address");
        let control = after("/metrics on ");
        // Whoever nobody listens to cannot write.
        std::thread::spawn(move || lines.for_each(|line| eprintln!("serve: {}", line.unwrap_or_default())));
        Serve { child, grpc, http, control, told }
    }

    fn run(&self, folder: &Folder, arguments: &[&str]) -> support::Ran {
        folder.run(&[arguments, &["--control", &self.control]].concat())
    }

    async fn status_until(
        &self,
        folder: &Folder,
        what: &str,
        wanted: impl Fn(&Status, &Rollout) -> bool,
    ) -> Status {
        let patience = Instant::now() + PATIENCE;
        loop {
            let ran = self.run(folder, &["rollout", "status", "-o", "json"]);
            let status: Status = serde_json::from_str(&ran.stdout)
                .unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
            if status.rollout.as_ref().is_some_and(|rollout| wanted(&status, rollout)) {
                return status;
            }
            assert!(Instant::now() < patience, "{what}: did not happen: {:?}", status.waiting);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The body of one of the pages that need no token.
    fn page(&self, path: &str) -> String {
        let address = self.control.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it takes the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        body.to_owned()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("there is a kill").success());
    }

    /// Waits for its end; its exit code, unless a signal ended it.
    async fn ended(mut self) -> Option<i32> {
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status.code();
            }
            assert!(Instant::now() < patience, "it does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A site between two environments, with a rollout in its 50 % step.
struct Scene {
    folder: Folder,
    _environments: [Environment; 2],
}

impl Scene {
    async fn start() -> (Scene, Serve) {
        let (blue, green) =
            (Environment::start(1).await.expect("blue"), Environment::start(2).await.expect("green"));
        let folder = Folder::new();
        let environment = |name: &str, environment: &Environment| {
            let (otlp, query) = (environment.grpc_addr(), environment.query_addr());
            format!(
                "  {name}:\n    otlp: {{ endpoint: \"http://{otlp}\" }}\n    query: {{ kind: jaeger, endpoint: \"http://{query}\" }}\n    configs: {{ collector: [collector.yaml] }}\n"
            )
        };
        let site = format!(
            "environments:\n{}{}gateway: {{ grpc: {{ endpoint: \"127.0.0.1:0\" }}, http: {{ endpoint: \"127.0.0.1:0\" }} }}\ncontrol: {{ endpoint: \"127.0.0.1:0\" }}\n",
            environment("blue", &blue),
            environment("green", &green)
        );
        folder.write("crossfade.yaml", &site);
        folder.write("collector.yaml", "receivers: { otlp: {} }\nexporters: { debug: {} }\n");
        folder.write("rollout.yaml", ROLLOUT);
        let made = folder.run(&["init", "--active", "blue"]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let serve = Serve::start(&folder);
        let planned = serve.run(&folder, &["rollout", "plan", "rollout.yaml", "--out", "plan.json"]);
        assert_eq!(planned.code, 0, "{}{}", planned.stdout, planned.stderr);
        let started = serve.run(&folder, &["rollout", "start", "plan.json"]);
        assert_eq!(started.code, 0, "{}", started.stderr);
        serve
            .status_until(&folder, "50 %", |_, rollout| rollout.step == 0 && rollout.running.is_some())
            .await;
        (Scene { folder, _environments: [blue, green] }, serve)
    }

    fn events(&self) -> Vec<Event> {
        let leaves = show::entries(&self.folder.path().join(LOG), Filter::default()).expect("a log");
        leaves.map(|leaf| leaf.expect("a leaf").entry().expect("an entry").event).collect()
    }

    fn state(&self) -> State {
        replay(&self.events())
    }

    fn verify(&self) {
        let ran = self.folder.run(&["audit", "verify", LOG, "--key", "crossfade-data/log.pub"]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }
}

fn clients(serve: &Serve, seed: u64) -> Traffic {
    let config = TrafficConfig {
        seed,
        traces_per_second: 50,
        longest_trace: Duration::from_millis(300),
        pace: Pace {
            batch_delay: Duration::from_millis(50),
            batch_spans_max: 64,
            give_up_after: Duration::from_millis(500),
        },
        ..TrafficConfig::default()
    };
    traffic::start(config, &Targets { grpc: vec![serve.grpc], http: vec![serve.http] })
        .expect("there are targets")
}

/// Exports that were accepted, and so were answered by blue.
fn accepted(record: &Record) -> u64 {
    let accepted = record.requests.iter().filter(|request| matches!(request.answer, Answer::Accepted { .. }));
    accepted.count() as u64
}

fn is_gap(event: &&Event) -> bool {
    matches!(event, Event::LedgerGapDeclared { .. } | Event::AnalysisResumed { .. })
}

/// Scenario: with traffic under way, in the 50 % step, `serve` gets a SIGTERM, and is started again; and once more.
/// Guarantee: it drains; no gap is declared; the analysis counts on from where it was: each accepted export, once, of all
/// lives; and every life's accounts are closed.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_in_order_nothing_is_lost_to_the_analysis() {
    let (scene, mut serve) = Scene::start().await;
    let mut exports = 0;
    for life in 1..=3 {
        let clients = clients(&serve, life);
        let reported = |status: &Status, _: &Rollout| {
            let arms = status.gateways.iter().filter_map(|gateway| gateway.report.as_ref());
            arms.flat_map(|report| &report.arms)
                .any(|arm| arm.environment.as_str() == "green" && arm.requests > 20)
        };
        serve.status_until(&scene.folder, "traffic", reported).await;
        let page = serve.page("/metrics");
        for line in [
            "crossfade_spans_received_total{environment=\"green\"} ",
            "crossfade_log_writable 1\n",
            "crossfade_alert{alert=\"log_unwritable\"} 0\n",
            "crossfade_rollout_phase{rollout=\"next\",phase=\"shifting\"} 1\n",
            "crossfade_rollout_step{rollout=\"next\"} 1\n",
            "crossfade_rollout_weight_ratio{rollout=\"next\"} 0.500000\n",
        ] {
            assert!(page.contains(line), "{line}: {page}");
        }
        assert!(serve.page("/readyz").contains("\"warnings\":[]"), "{}", serve.page("/readyz"));
        serve.signal("-TERM");
        assert_eq!(serve.ended().await, Some(0), "drained");
        exports += accepted(&clients.stop().await);

        let state = scene.state();
        let rollout = state.rollout.as_ref().expect("a rollout");
        let counted: u64 = rollout.tallies.values().map(|tally| tally.total().from.requests).sum();
        assert_eq!(counted, exports, "after life {life}");
        assert_eq!(rollout.running.as_ref().expect("it goes on").gaps, 0);
        let ledgers: Vec<_> = rollout.ledgers.values().flat_map(|boots| boots.values()).collect();
        assert_eq!(ledgers.len() as u64, life);
        assert!(ledgers.iter().all(|ledger| ledger.status == LedgerStatus::Closed), "{ledgers:?}");
        serve = Serve::start(&scene.folder);
    }
    assert_eq!(scene.events().iter().filter(is_gap).count(), 0);
    let alerts = scene.events().into_iter().filter(|event| matches!(event, Event::AlertRaised { .. }));
    assert_eq!(alerts.collect::<Vec<_>>(), []);
    serve.signal("-TERM");
    assert_eq!(serve.ended().await, Some(0));
    scene.verify();
}

/// Scenario: with traffic under way, in the 50 % step, `serve` is killed with -9, and started again.
/// Guarantee: one gap is declared, for its one gateway, and the step is told of the same one.
#[tokio::test(flavor = "multi_thread")]
async fn killed_it_leaves_one_gap() {
    let (scene, serve) = Scene::start().await;
    let clients = clients(&serve, 1);
    let first = serve.status_until(&scene.folder, "a gateway", |status, _| status.gateways.len() == 1).await;
    let boot = |status: &Status| Some(status.gateways.first()?.report.as_ref()?.boot.clone());
    serve.signal("-KILL");
    assert_eq!(serve.ended().await, None);
    drop(clients);
    let serve = Serve::start(&scene.folder);
    let back = |status: &Status, rollout: &Rollout| {
        boot(status).is_some_and(|now| Some(now) != boot(&first))
            && rollout.running.as_ref().is_some_and(|running| running.gaps == 1)
    };
    serve.status_until(&scene.folder, "the gap", back).await;
    serve.signal("-TERM");
    assert_eq!(serve.ended().await, Some(0));
    let gaps = scene.events().into_iter().filter_map(|event| match event {
        Event::LedgerGapDeclared { from, until, .. } => Some(("accounts", from, until)),
        Event::AnalysisResumed { from, until, .. } => Some(("counts", from, until)),
        _ => None,
    });
    let gaps: Vec<_> = gaps.collect();
    let [("accounts", from, until), ("counts", same, too)] = gaps[..] else { panic!("{gaps:?}") };
    assert_eq!((from, until), (same, too));
    assert!(from < until);
    scene.verify();
}

/// Scenario: `serve` was killed within an append: of the next bundle a part is there, its last entry torn. Later the emergency file is damaged.
/// Guarantee: the first is cut back, in words, and the log verifies; over the second `serve` does not start, and changes nothing.
#[tokio::test]
async fn what_a_crash_has_left_in_the_log_is_told() {
    let folder = Folder::new();
    folder.write("crossfade.yaml", AWAY);
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    let bundles = folder.path().join(LOG).join("tile/entries/000.p");
    let whole = std::fs::read(bundles.join("1")).expect("the first entry");
    std::fs::write(bundles.join("2"), [&whole[..], b"\x00\x50{\"actor\":\"con"].concat()).expect("a folder");
    let refused = folder.run(&["audit", "verify", LOG]);
    assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);

    let serve = Serve::start(&folder);
    let cut = "! log: cut 0 unacknowledged entries off tile/entries/000.p/2, and a torn one: ";
    let removed = "! log: removed tile/entries/000.p/2: the checkpoint does not account for it";
    for wanted in [cut, removed] {
        assert!(serve.told.iter().any(|line| line.starts_with(wanted)), "{wanted}: {:?}", serve.told);
    }
    serve.signal("-TERM");
    assert_eq!(serve.ended().await, Some(0));
    assert_eq!(folder.run(&["audit", "verify", LOG]).code, 0);

    let file = folder.path().join("crossfade-data/emergency");
    let mut bytes = std::fs::read(&file).expect("it lies beside the log");
    bytes[22..200].fill(b'x');
    std::fs::write(&file, &bytes).expect("a file");
    let refused = folder.run(&["audit", "verify", LOG]);
    assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stdout.contains("../emergency byte 22: "), "{}", refused.stdout);
    let refused = folder.run(&["serve"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("emergency is damaged at byte 22, behind 0 whole entries"),
        "{}",
        refused.stderr
    );
    assert_eq!(std::fs::read(&file).expect("a file"), bytes);
}

/// A site whose environments are away.
const AWAY: &str = "environments:
  blue: { otlp: { endpoint: \"http://127.0.0.1:1\" }, configs: { collector: [collector.yaml] } }
  green: { otlp: { endpoint: \"http://127.0.0.1:2\" }, configs: { collector: [collector.yaml] } }
gateway: { grpc: { endpoint: \"127.0.0.1:0\" }, http: { endpoint: \"127.0.0.1:0\" } }
control: { endpoint: \"127.0.0.1:0\" }
";
