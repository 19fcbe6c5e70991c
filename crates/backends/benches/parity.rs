//! Parity of 2,000 traces between two simulated environments, over loopback sockets: how long it takes, and what it reads.
//!
//! `cargo bench -p crossfade-backends --bench parity`

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crossfade_backends::parity::{ParityConfig, run};
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind};
use crossfade_backends::sample::Window;
use crossfade_gates::parity::{Limits, Names};
use crossfade_lab::environment::Environment;
use crossfade_lab::traffic::{TrafficConfig, past};
use crossfade_stats::Confidence;

const BEGIN: u64 = 1_800_000_000_000_000_000;
const HOUR: u64 = 3_600_000_000_000;

fn main() {
    for stored in [2_000, 20_000] {
        let (tell, told) = mpsc::channel();
        // On a thread of their own, as they would be on machines of their own.
        std::thread::spawn(move || on_this_thread(serve(stored, tell)));
        let ports = told.recv().expect("the environments start");
        on_this_thread(measure(stored, ports));
    }
}

fn on_this_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(work)
}

/// Two environments with the same traces; says where they answer, and goes on until the program ends.
async fn serve(stored: u64, tell: mpsc::Sender<[SocketAddr; 2]>) {
    let (blue, green) = (environment(1).await, environment(2).await);
    for (at, request) in past(&TrafficConfig::default(), BEGIN..BEGIN + HOUR, stored) {
        for environment in [&blue, &green] {
            environment.store().insert(request.clone(), at).expect("the traffic is well-formed");
        }
    }
    tell.send([blue.query_addr(), green.query_addr()]).expect("somebody waits for it");
    std::future::pending().await
}

async fn measure(stored: u64, [blue, green]: [SocketAddr; 2]) {
    let config = ParityConfig {
        names: Names { active: "blue".into(), candidate: "green".into() },
        limits: Limits { differ_max: 0.01, confidence: Confidence::P95 },
        ignore: Vec::new(),
        window: Window { from: BEGIN, until: BEGIN + HOUR },
        traces: 2_000,
        seed: 7,
        both_ways: true,
        owns: None,
        baseline: None,
        patience: Duration::from_secs(10),
        deadline: Duration::from_secs(120),
    };
    let begun = Instant::now();
    let report = run(&query(blue), &query(green), &config, &|_, _, _| {}).await;
    println!(
        "{} of {stored} stored traces compared, {} spans each side, in {:.2} s; {} searches; {}",
        report.facts["compared"],
        report.facts["spans"],
        begun.elapsed().as_secs_f64(),
        report.facts["sample"]["draw"]["searches"],
        report.summary,
    );
}

async fn environment(seed: u64) -> Environment {
    Environment::start(seed).await.expect("loopback ports can be opened")
}

fn query(address: SocketAddr) -> Query {
    let endpoint = QueryEndpoint::parse(&address.to_string()).expect("it is an address");
    Query::new(QueryConfig::new(QueryKind::Jaeger, endpoint))
}
