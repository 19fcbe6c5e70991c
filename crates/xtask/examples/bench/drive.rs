//! The load gate's generator, driven up in steps until it can no more. Prints each step as a line of JSON.

use anyhow::{Context, Result};
use crossfade_backends::load::{LoadConfig, Receiver, Reins, run as run_load};
use crossfade_backends::otlp::{ClientConfig, Coding, Endpoint, Protocol};
use crossfade_gates::load::{Counts, Part, Phase, Schedule};
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to
    #[arg(long)]
    target: String,
    /// HTTP/protobuf instead of gRPC
    #[arg(long)]
    http: bool,
    #[arg(long)]
    gzip: bool,
    /// Spans a second, one step after the other
    #[arg(long, value_delimiter = ',')]
    rates: Vec<u64>,
    /// How long each step takes
    #[arg(long)]
    seconds: u64,
    #[arg(long, default_value_t = 512)]
    spans: u32,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let (protocol, coding) = (
        if args.http { Protocol::HttpProtobuf } else { Protocol::Grpc },
        if args.gzip { Coding::Gzip } else { Coding::Identity },
    );
    let otlp = ClientConfig {
        endpoint: Endpoint::parse(&args.target, protocol).context("the target")?,
        headers: http::HeaderMap::new(),
        connect_timeout: Duration::from_secs(5),
    };
    let of = u32::try_from(args.rates.len())?;
    let duration = Duration::from_secs(args.seconds);
    let phases: Vec<Phase> = (1..)
        .zip(&args.rates)
        .map(|(step, rate)| Phase { part: Part::Ramp { step, of }, rate: *rate, duration })
        .collect();
    let config = LoadConfig::new(Schedule::new(&phases, args.spans), 1);
    let (_stop, stop) = watch::channel(false);
    let reins = Reins { stop, progress: watch::Sender::default() };
    let mut measured = run_load(&[Receiver { otlp, coding }], None, &config, reins).await;
    let measured = measured.pop().context("one receiver")??;
    let cpu_nanos = cpu_nanos()?;
    measured.phases.iter().for_each(|counts| println!("{}", line(counts, args.seconds, cpu_nanos)));
    Ok(())
}

/// CPU time of this process, its ended threads too, in user space and kernel; counted in ticks of 10 ms.
fn cpu_nanos() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("reading the times of this process")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>().context("reading the times of this process")? * 10_000_000)
}

fn line(counts: &Counts, seconds: u64, cpu_nanos: u64) -> serde_json::Value {
    let micros = |latency: &crossfade_gates::load::Latency| {
        latency.quantile(0.99).map_or(0, |p99| u64::try_from(p99.as_micros()).unwrap_or(u64::MAX))
    };
    json!({
        "rate": counts.phase.rate,
        "offered": counts.offered,
        "accepted": counts.accepted,
        "held": counts.held,
        "bytes": counts.bytes,
        "seconds": seconds,
        "p99_us": micros(&counts.latency),
        "lag_p99_us": micros(&counts.lag),
        // Of all steps together.
        "cpu_nanos": cpu_nanos,
    })
}
