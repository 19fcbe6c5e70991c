//! `crossfade load`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use crossfade_backends::query::QueryKind;
use crossfade_gates::load::Objective;
use crossfade_rollout::units::Share;
use crossfade_yaml::Duration;

use super::Results;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade load --otlp http://127.0.0.1:4317 --query http://127.0.0.1:16686 --rate 50000 --objective p99=250ms\n  crossfade load -c crossfade.yaml --environment green --against blue --multiple 1.5\n\nRequests are sent when they are due, whatever became of those before; latency counts from when a request was due.\nThe objective is asked of the ramp and of the rate held. Ctrl-C stops the load and prints what was measured."
)]
pub(crate) struct Load {
    /// The OTLP endpoint to send to
    #[arg(long, value_name = "URL", required_unless_present = "environment")]
    pub(crate) otlp: Option<String>,
    /// The protocol of the OTLP endpoint: grpc or http/protobuf
    #[arg(long, default_value = "grpc", value_parser = ["grpc", "http/protobuf"], conflicts_with = "environment")]
    pub(crate) protocol: String,
    /// How requests are compressed; without it none, or as the site says
    #[arg(long, value_enum)]
    pub(crate) compression: Option<Compression>,
    /// The query endpoint to read traces back from
    #[arg(long, value_name = "URL", conflicts_with = "environment")]
    pub(crate) query: Option<String>,
    #[arg(long, help = format!("What answers at the query endpoint: {}", QueryKind::names()), default_value = "jaeger", conflicts_with = "environment")]
    pub(crate) kind: QueryKind,
    /// The site's configuration
    #[arg(short, long, env = "CROSSFADE_CONFIG", default_value = "crossfade.yaml", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// An environment of the site, instead of --otlp and --query; its receivers (gRPC, HTTP) take turns, and share the time
    #[arg(long, value_name = "NAME", conflicts_with = "otlp")]
    pub(crate) environment: Option<String>,
    /// Another one to hold it against; it gets the same load before, on top of what it serves
    #[arg(long, value_name = "NAME", requires = "environment")]
    pub(crate) against: Option<String>,
    /// Spans per second while holding
    #[arg(long, value_name = "SPANS", required_unless_present = "multiple", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) rate: Option<u64>,
    /// Instead of --rate: so many times what clients send now, as the control plane's ledgers say
    #[arg(long, value_name = "FACTOR", conflicts_with = "rate")]
    pub(crate) multiple: Option<f64>,
    /// How long the rate rises
    #[arg(long, default_value = "20s", value_name = "DURATION")]
    pub(crate) ramp: Duration,
    /// In how many steps it rises: more of them find the highest rate more closely
    #[arg(long, default_value_t = 4, value_name = "STEPS", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) ramp_steps: u32,
    /// How long the rate is held
    #[arg(long = "hold", alias = "duration", default_value = "60s", value_name = "DURATION")]
    pub(crate) duration: Duration,
    /// How long the spike after that is; 0s for none
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    pub(crate) spike: Duration,
    /// The spike's rate, as a multiple of the rate held
    #[arg(long, default_value_t = 1.5, value_name = "FACTOR")]
    pub(crate) spike_multiple: f64,
    /// A latency that a share of the requests must not exceed, such as p99=250ms or max=2s; may be given several times
    #[arg(long, default_value = "p99=1s", value_name = "OBJECTIVE")]
    pub(crate) objective: Vec<Objective>,
    /// The share of spans that may be refused, unanswered or unsent
    #[arg(long, default_value = "0", value_name = "SHARE")]
    pub(crate) errors_max: Share,
    /// By how much its latency may exceed that of --against
    #[arg(long, default_value = "20%", value_name = "SHARE", requires = "against")]
    pub(crate) worse_max: Share,
    /// How many accepted traces to read back; 0 for none
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) traces: u32,
    /// How long a trace may take to become readable
    #[arg(long, default_value = "60s", value_name = "DURATION")]
    pub(crate) read_back: Duration,
    /// Spans in a request; without it 512, or fewer at a slow rate
    #[arg(long, value_name = "SPANS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) spans_per_request: Option<u32>,
    /// Bytes of a span, about
    #[arg(long, default_value_t = 685, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) span_bytes: u32,
    /// Requests in flight at once; what is due beyond that waits, and the wait counts
    #[arg(long, default_value_t = 256, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) in_flight: u32,
    /// How long an answer is waited for
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    pub(crate) timeout: Duration,
    /// Chooses ids and sample; random, if left out
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// A rollout spec whose waivers hold; all else is said here
    #[arg(long = "rollout", alias = "spec", value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) results: Results,
    /// The control plane's address, for --multiple, if not the one in the configuration
    #[arg(long, env = "CROSSFADE_CONTROL", value_name = "URL")]
    pub(crate) control: Option<String>,
    /// A file that holds the bearer token, if not the one in the configuration
    #[arg(long, env = "CROSSFADE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    None,
    Gzip,
}
