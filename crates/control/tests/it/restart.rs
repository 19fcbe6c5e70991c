//! A control plane that is killed at any moment goes on from its log.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crossfade_control::{Control, Site};
use crossfade_rollout::Phase;
use crossfade_rollout::event::{Event, GenerationCause};
use crossfade_routing::Weight;

use crate::support::{Gateway, House, Syncing, control, spec_waiting_at_ten};

/// Where the child finds its site.
const SITE: &str = "CROSSFADE_TEST_SITE";

/// A control plane in a process of its own, to be killed.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(site: &Path) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "restart::a_process_to_be_killed", "--ignored", "--nocapture"])
            .env(SITE, site)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = lines.map_while(Result::ok);
        let address = told.find_map(|line| line.split("listens on ").nth(1)?.trim().parse().ok());
        Process { child, address: address.expect("the child says where it listens") }
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs until it is killed: the tests beside it start it"]
#[allow(clippy::disallowed_methods, reason = "a child of a test is told by its environment what to do")]
async fn a_process_to_be_killed() {
    let site = PathBuf::from(std::env::var(SITE).expect("started by a test"));
    let site = Site::load(&site, &|_| None).unwrap();
    let control: Control = control(site).await;
    println!("listens on {}", control.address());
    std::future::pending::<()>().await;
}

/// The gateways go on while nobody answers, and then speak to whoever does.
async fn handed_over(gateways: Vec<Syncing>, house: &House, process: &Process) -> Vec<Syncing> {
    let mut again = Vec::new();
    for gateway in gateways {
        let gateway: Gateway = gateway.end().await;
        again.push(Syncing::start(gateway, house.line(process.address)));
    }
    again
}

/// Scenario: the control plane is killed with -9 in preflight, in a step, between a promotion and its end, and started
/// again each time. A gateway is restarted with it.
/// Guarantee: the rollout goes on from the log to its end; a gate that was looking looks again; a schedule that an earlier
/// life issued is issued again before a cut; nothing is lost from the record, and it verifies.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_survives_kill_9() {
    let house = House::new().await;
    let site = house.path("crossfade.yaml");
    let process = Process::start(&site);
    let operator = house.operator(process.address);
    let line = house.line(process.address);
    let gateways = ["gw-1", "gw-2"].map(|id| Syncing::start(house.gateway(id, "boot-1"), line.clone()));
    operator.until("both gateways", |status| status.gateways.len() == 2).await;
    operator.begin(&spec_waiting_at_ten()).await;
    process.kill();

    let process = Process::start(&site);
    let gateways = handed_over(gateways.into(), &house, &process).await;
    let operator = house.operator(process.address);
    operator.until_step(2).await;
    process.kill();

    let process = Process::start(&site);
    let mut gateways = handed_over(gateways, &house, &process).await;
    let last = gateways.pop().unwrap().end().await.restarted("boot-2");
    gateways.push(Syncing::start(last, house.line(process.address)));
    let operator = house.operator(process.address);
    operator.until_step(2).await;
    operator.say("promote").await.unwrap();
    operator.until("100 %", |_| gateways[0].with(|gateway| gateway.weight() == Weight::FULL)).await;
    process.kill();

    let recovered = control(house.site()).await;
    let gateways = {
        let mut again = Vec::new();
        for gateway in gateways {
            again.push(Syncing::start(gateway.end().await, house.line(recovered.address())));
        }
        again
    };
    assert_eq!(house.operator(recovered.address()).until_over().await, Phase::Finalized);
    for gateway in gateways {
        assert_eq!(gateway.end().await.schedule().unwrap().from().as_str(), "green");
    }
    recovered.stop().await;

    let events = house.events();
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, Event::ControlStarted { .. })), 4);
    let unknown = |event: &Event| matches!(event, Event::ControlStarted { reads_unknown_since: Some(_), .. });
    assert_eq!(count(unknown), 3, "reads of the lives that were killed");
    assert_eq!(count(|event| matches!(event, Event::ControlStopped { .. })), 1);
    assert_eq!(count(|event| matches!(event, Event::RolloutDrafted { .. })), 1);
    let again = |event: &Event| {
        matches!(event, Event::GenerationIssued { why: GenerationCause::ControlRestarted, .. })
    };
    assert!(count(again) >= 1, "before the cut to 100 %");
    assert_eq!(count(|event| matches!(event, Event::AnalysisResumed { .. })), 1, "the gateway's restart");
    assert_eq!(count(|event| matches!(event, Event::LedgerGapDeclared { .. })), 1, "of the killed boot");
    let gaps = events.iter().filter_map(|event| match event {
        Event::AnalysisResumed { from, until, .. } | Event::LedgerGapDeclared { from, until, .. } => {
            Some((*from, *until))
        }
        _ => None,
    });
    let gaps: Vec<_> = gaps.collect();
    assert_eq!(gaps[0], gaps[1], "one gap, whoever speaks of it");
    house.verify();
}
