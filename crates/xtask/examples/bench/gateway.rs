//! The gateway with a schedule that never changes, one worker, and no control plane.

use anyhow::{Context, Result};
use crossfade_backends::otlp::{Endpoint, Protocol};
use crossfade_gateway::{ControlLink, EnvironmentConfig, GatewayConfig};
use crossfade_routing::{
    Begin, Cut, Directive, EnvironmentId, GatewayId, Protection, Schedule, Seed, UnixNanos, Weight, Window,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where it receives OTLP/gRPC
    #[arg(long)]
    port: u16,
    /// Where blue receives
    #[arg(long)]
    blue: u16,
    /// Where green receives
    #[arg(long)]
    green: u16,
    #[arg(long)]
    shape: Shape,
    /// Folder for what it keeps
    #[arg(long)]
    state: PathBuf,
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    /// Blue gets everything, there is no green
    One,
    /// Blue gets everything, green half of the traces as well
    Copy,
    /// Each trace goes to one of the two, half to each
    Split,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let gateway = crossfade_gateway::start(config(&args)?).await.context("starting the gateway")?;
    std::future::pending::<()>().await;
    drop(gateway);
    Ok(())
}

fn config(args: &Args) -> Result<GatewayConfig> {
    let environment = |port: u16| -> Result<EnvironmentConfig> {
        let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}"), Protocol::Grpc)?;
        Ok(EnvironmentConfig::new(endpoint))
    };
    let (blue, green) = (EnvironmentId::new("blue")?, EnvironmentId::new("green")?);
    let environments = BTreeMap::from([(blue, environment(args.blue)?), (green, environment(args.green)?)]);
    let directive =
        Directive { schedule: schedule(args.shape)?, announced: None, horizon: UnixNanos(u64::MAX) };
    let control = ControlLink::Static(Box::new(directive));
    let mut config = GatewayConfig::new(GatewayId::new("bench")?, environments, args.state.clone(), control);
    config.grpc = Some(SocketAddr::from(([127, 0, 0, 1], args.port)));
    config.http = None;
    config.workers = NonZeroUsize::MIN;
    config.protection = if args.shape == Shape::Split { Protection::Split } else { Protection::Copy };
    Ok(config)
}

/// Half of all traces belong to green since long ago. The skew is hours, since the load's spans are built once and grow
/// old while they are sent again and again: a span that is too old would go to both.
fn schedule(shape: Shape) -> Result<Schedule> {
    let single = Schedule::genesis(EnvironmentId::new("blue")?);
    if shape == Shape::One {
        return Ok(single);
    }
    let window =
        Window::new(Duration::from_secs(600), Duration::from_secs(4 * 3600), Duration::from_millis(100))?;
    let to = EnvironmentId::new("green")?;
    let begun = single.begin(Begin { rollout: "bench".to_owned(), to, seed: Seed(42), window })?;
    Ok(begun.cut(Cut { at: UnixNanos(1), weight: Weight::from_ppm(500_000)? })?)
}
