//! What `crossfade parity` and `crossfade history` take.

use std::path::PathBuf;

use clap::Args;

use super::{Results, Site};

/// Two environments of a site, and which traces of them.
#[derive(Debug, Args)]
pub(crate) struct Between {
    #[command(flatten)]
    pub(crate) site: Site,
    /// The environment that serves, or served
    #[arg(long, default_value = "blue", value_name = "ENVIRONMENT")]
    pub(crate) from: String,
    /// The environment that is to serve
    #[arg(long, default_value = "green", value_name = "ENVIRONMENT")]
    pub(crate) to: String,
    /// What decides which traces are drawn; random, and printed, if left out
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Traces that began since then: a time, or how long ago
    #[arg(long, default_value = "1h", value_name = "TIME")]
    pub(crate) since: String,
    /// And before then; now, if left out
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Attributes that are meant to differ; a `*` at the end stands for any rest
    #[arg(long, value_delimiter = ',', value_name = "KEYS")]
    pub(crate) ignore: Vec<String>,
    /// How long all of it may take
    #[arg(long, default_value = "5m", value_name = "DURATION")]
    pub(crate) deadline: String,
    /// A rollout spec whose waivers hold; all else is said here
    #[arg(long = "rollout", alias = "spec", value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) results: Results,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade parity --from blue --to green --since 30m\n  crossfade parity --from blue --to green --both-ways --traces 2995 --differ-max 0.1% -o junit"
)]
pub(crate) struct ParityArgs {
    #[command(flatten)]
    pub(crate) between: Between,
    /// How many traces are compared; 2,000, if left out
    #[arg(long)]
    pub(crate) traces: Option<u32>,
    /// Draw from both: what only the first has is a difference, too. Only where both receive every trace
    #[arg(long)]
    pub(crate) both_ways: bool,
    /// The share of traces that may differ: its upper bound must not be greater
    #[arg(long, default_value = "1%", value_name = "SHARE")]
    pub(crate) differ_max: String,
    /// How sure that bound is
    #[arg(long, default_value = "95%", value_name = "SHARE")]
    pub(crate) confidence: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade history --from blue --to green --since 7d --until 2026-11-21T10:00:00Z\n  crossfade history --from blue --to green --since 7d --until 2026-11-21T10:00:00Z --kept-for 90d"
)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    pub(crate) between: Between,
    /// How many old traces are looked at; 500, if left out
    #[arg(long)]
    pub(crate) traces: Option<u32>,
    /// Old traces stay in the first environment, which remains readable for this long after --until
    #[arg(long, value_name = "DURATION")]
    pub(crate) kept_for: Option<String>,
}
