//! Traffic, a real gateway and two environments together: what the demo composes, without a control plane.

#![allow(clippy::unwrap_used, reason = "a test")]

use crossfade_backends::otlp::{Endpoint, Protocol};
use crossfade_gateway::{ControlLink, EnvironmentConfig, GatewayConfig};
use crossfade_lab::clock;
use crossfade_lab::environment::Environment;
use crossfade_lab::measure::{AnnouncedCut, RolloutFacts, measure};
use crossfade_lab::traffic::{self, Pace, Targets, TrafficConfig};
use crossfade_routing::{
    Begin, Cut, Directive, EnvironmentId, GatewayId, Protection, Schedule, Seed, UnixNanos, Weight, Window,
};
use std::collections::BTreeMap;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn id(name: &str) -> EnvironmentId {
    EnvironmentId::new(name).unwrap()
}

fn endpoint(environment: &Environment) -> EnvironmentConfig {
    let url = format!("http://{}", environment.grpc_addr());
    EnvironmentConfig::new(Endpoint::parse(&url, Protocol::Grpc).unwrap())
}

/// Half of the traces are green's from 1 s on, all of them from 1.6 s on.
fn schedule(begin_at: UnixNanos) -> Schedule {
    let window = Window::new(400 * MS, 400 * MS, 50 * MS).unwrap();
    let begin = Begin { rollout: "lab".into(), to: id("green"), seed: Seed(5), window };
    let cut = |millis, ppm| Cut { at: begin_at.plus(millis * MS), weight: Weight::from_ppm(ppm).unwrap() };
    let candidate = Schedule::genesis(id("blue")).begin(begin).unwrap();
    candidate.cut(cut(1_000, 500_000)).unwrap().cut(cut(1_600, 1_000_000)).unwrap()
}

/// Scenario: SDKs of both protocols send traces through one gateway that splits them by the rule, each span only where
/// the rule wants it, over two cuts.
/// Guarantee: every trace is whole in its owner and no span is lost, where a split by request would tear many; and the
/// candidate had nothing before the first cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_that_straddle_cuts_stay_whole() {
    let (blue, green) = (Environment::start(1).await.unwrap(), Environment::start(2).await.unwrap());
    // The gateway has that long to start.
    let begin_at = clock::now().plus(2_000 * MS);
    let schedule = schedule(begin_at);
    let directive = Directive { schedule: schedule.clone(), announced: None, horizon: UnixNanos::MAX };
    let environments = BTreeMap::from([(id("blue"), endpoint(&blue)), (id("green"), endpoint(&green))]);
    let state = tempfile::tempdir().unwrap();
    let control = ControlLink::Static(Box::new(directive));
    let gateway = GatewayId::new("lab").unwrap();
    let config = GatewayConfig {
        protection: Protection::Split,
        ..GatewayConfig::new(gateway, environments, state.path().to_owned(), control)
    };
    let gateway = crossfade_gateway::start(config).await.unwrap();

    let targets = Targets {
        grpc: gateway.grpc_addr().into_iter().collect(),
        http: gateway.http_addr().into_iter().collect(),
    };
    let config = TrafficConfig {
        traces_per_second: 300,
        traces_max: 660,
        longest_trace: 350 * MS,
        pace: Pace { batch_delay: 60 * MS, ..TrafficConfig::default().pace },
        ..TrafficConfig::default()
    };
    clock::wait_until(begin_at).await;
    let record = traffic::start(config, &targets).unwrap().finish().await;
    gateway.shutdown().await;

    assert_eq!(record.unacknowledged(), 0);
    let cuts = schedule.cuts().iter().map(|cut| AnnouncedCut { announced: cut.at, cut: *cut }).collect();
    let facts = RolloutFacts {
        seed: schedule.seed(),
        window: *schedule.window(),
        mirror: None,
        cuts,
        verdict: None,
        cause: None,
        outcome: None,
    };
    let found = measure(&record, &facts, &blue.store(), &green.store());
    assert_eq!((found.torn, found.spans_lost), (0, 0), "{:?}", found.examples);
    assert_eq!((found.traces, found.spans_sent), (660, record.span_count()));
    assert!(found.straddling > 30, "{} straddle", found.straddling);
    assert!(found.torn_by_request_split > 10, "{} torn by the split", found.torn_by_request_split);
    assert!((50..600).contains(&found.green_owned), "{} owned by green", found.green_owned);
    assert!(found.whole_in_active < found.traces, "blue was relieved of some");
}
