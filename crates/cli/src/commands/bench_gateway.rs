//! `crossfade bench-gateway`: a gateway with a fixed schedule, for measurements. Not for production: it keeps no record.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use crossfade_control::site::Protocol;
use crossfade_gateway::{ControlLink, EnvironmentConfig, GatewayConfig};
use crossfade_routing::{
    Begin, Cut, Directive, EnvironmentId, GatewayId, Protection, Schedule, Seed, UnixNanos, Weight, Window,
};
use tokio::signal::unix::{SignalKind, signal};

use super::block_on;
use crate::args::BenchGateway;
use crate::compose::endpoint;
use crate::exit::{Exit, OrExit, Outcome};

pub(crate) fn run(args: &BenchGateway) -> Outcome {
    let config = config(args)?;
    let state_dir = config.state_dir.clone();
    let outcome = block_on(async move {
        let mut terminate = signal(SignalKind::terminate()).or_usage()?;
        let mut interrupt = signal(SignalKind::interrupt()).or_usage()?;
        let gateway = crossfade_gateway::start(config).await.or_usage()?;
        // The driver reads this line to learn the ports.
        println!("{}", serde_json::json!({ "grpc": gateway.grpc_addr(), "http": gateway.http_addr() }));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = gateway.shutdown().await;
        Ok(Exit::Passed)
    });
    // What it kept is of no use to anybody.
    let _ = std::fs::remove_dir_all(state_dir);
    outcome
}

fn config(args: &BenchGateway) -> Result<GatewayConfig, crate::exit::Failure> {
    let name = |text: &str| EnvironmentId::new(text).expect("a valid name");
    let mut environments =
        BTreeMap::from([(name("blue"), EnvironmentConfig::new(endpoint(&args.from, Protocol::Grpc)?))]);
    if let Some(to) = &args.to {
        environments.insert(name("green"), EnvironmentConfig::new(endpoint(to, Protocol::Grpc)?));
    }
    let schedule = schedule(args)?;
    let directive = Directive { schedule, announced: None, horizon: UnixNanos::MAX };
    let state_dir = std::env::temp_dir().join(format!("crossfade-bench-{}", std::process::id()));
    let id = GatewayId::new("bench").expect("a valid name");
    let mut config = GatewayConfig::new(id, environments, state_dir, ControlLink::Static(Box::new(directive)));
    config.grpc = Some(args.grpc.parse().or_usage()?);
    config.http = args.http.as_deref().map(str::parse).transpose().or_usage()?;
    config.workers = NonZeroUsize::new(args.workers).unwrap_or(NonZeroUsize::MIN);
    config.protection = if args.protection == "split" { Protection::Split } else { Protection::Copy };
    Ok(config)
}

/// One environment for good, or a cut long ago.
fn schedule(args: &BenchGateway) -> Result<Schedule, crate::exit::Failure> {
    let genesis = Schedule::genesis(EnvironmentId::new("blue").expect("a valid name"));
    if args.to.is_none() {
        return Ok(genesis);
    }
    let begin = Begin {
        rollout: "bench".to_owned(),
        to: EnvironmentId::new("green").expect("a valid name"),
        seed: Seed(42),
        window: Window::new(Duration::from_secs(600), Duration::from_secs(30), Duration::from_millis(250)).or_usage()?,
    };
    let weight = Weight::from_percent_str(&args.percent).or_usage()?;
    let cut = Cut { at: UnixNanos(1_000_000_000), weight };
    genesis.begin(begin).or_usage()?.cut(cut).or_usage()
}
