//! What `crossfade probe` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use crossfade_backends::query::QueryKind;

use super::{Format, Results};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  crossfade probe --otlp http://127.0.0.1:4317 --query http://127.0.0.1:16686 --traces 20\n  crossfade probe --environment green --against blue --masks card,email\n  crossfade probe --otlp https://green:4317 --receiver http/json=https://green:4318 --query https://green:16686 --ca-file ca.pem\n  crossfade probe purge --environment green\n\nOf an environment of the site, every receiver is written to, with the site's headers and TLS. What it has to mask is said here, or in\na rollout's gates.probe.masks: card, card_in_groups, patient, email, token, national_id; or all."
)]
pub(crate) struct Probe {
    #[command(subcommand)]
    pub(crate) command: Option<ProbeCommand>,
    /// The OTLP endpoint to write to
    #[arg(long, value_name = "URL", required_unless_present = "environment", conflicts_with = "environment")]
    pub(crate) otlp: Option<String>,
    /// The protocol of the OTLP endpoint: grpc, http/protobuf or http/json
    #[arg(long, default_value = "grpc", value_parser = ["grpc", "http/protobuf", "http/json"], conflicts_with = "environment")]
    pub(crate) protocol: String,
    /// A further receiver to write to, such as http/json=http://127.0.0.1:4318; gRPC, if no protocol is said; may be given several times
    #[arg(long, value_name = "[PROTOCOL=]URL", conflicts_with = "environment")]
    pub(crate) receiver: Vec<String>,
    /// A header of each request that is written, such as x-scope-orgid=bank; @FILE for a value that is in a file; may be given several times
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "environment")]
    pub(crate) header: Vec<String>,
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// An environment of the site with which it must share no store; long values that both cut are no finding
    #[arg(long, value_name = "NAME", requires = "environment")]
    pub(crate) against: Option<String>,
    /// How many traces; never fewer than there are receivers
    #[arg(long, default_value_t = 20)]
    pub(crate) traces: u32,
    /// How many of them are searched for too, by service, time and attribute
    #[arg(long, default_value_t = 10)]
    pub(crate) searches: u32,
    /// What must come back masked: made-up values of these kinds are written into every field that carries text
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    pub(crate) masks: Vec<String>,
    /// How long a trace may take to become readable
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub(crate) deadline: String,
    /// The longest that 99 % of the traces may take to be readable
    #[arg(long, value_name = "DURATION")]
    pub(crate) freshness_max: Option<String>,
    /// Makes the traces, with the time; random, if left out
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// A rollout spec whose waivers hold; all else is said here
    #[arg(long = "rollout", alias = "spec", value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) results: Results,
}

/// Where traces are read.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whose").args(["environment", "query"]).required(true))]
pub(crate) struct Asked {
    /// The site's configuration
    #[arg(short, long, env = "CROSSFADE_CONFIG", default_value = "crossfade.yaml", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// An environment of the site, instead of endpoints
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// The query endpoint to read from
    #[arg(long, value_name = "URL")]
    pub(crate) query: Option<String>,
    #[arg(long, help = format!("What answers at the query endpoint: {}", QueryKind::names()), default_value = "jaeger", conflicts_with = "environment")]
    pub(crate) kind: QueryKind,
    /// A header of each question, such as X-Scope-OrgID=bank; @FILE for a value that is in a file; may be given several times
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "environment")]
    pub(crate) query_header: Vec<String>,
    /// The certificates that chains must lead to; the system's, if left out
    #[arg(long, value_name = "FILE", conflicts_with = "environment")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// What else there is to do about synthetic traces.
#[derive(Debug, Subcommand)]
pub(crate) enum ProbeCommand {
    /// List the synthetic traces that an environment holds, and remove those that its store lets go
    #[command(
        after_help = "Examples:\n  crossfade probe purge --environment green --since 7d\n  crossfade probe purge --query http://127.0.0.1:16686 -o json\n\nExit codes: 0 there are none · 1 there are some, which stay · 3 it is not known · 5 out of reach"
    )]
    Purge(Purge),
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Traces that began since then: a time, or how long ago
    #[arg(long, default_value = "1d", value_name = "TIME")]
    pub(crate) since: String,
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
}
