//! What `crossfade posture` takes.

use std::path::PathBuf;

use clap::Args;
use crossfade_backends::query::QueryKind;

use super::Results;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade posture --environment green --against blue\n  crossfade posture --otlp https://green:4317 --ca-file ca.pem"
)]
pub(crate) struct Posture {
    /// The site; its environments are looked at
    #[arg(short, long, env = "CROSSFADE_CONFIG", default_value = "crossfade.yaml", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Only this environment of the site
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Held against this one: it may be weaker in no item
    #[arg(long, value_name = "NAME", requires = "environment")]
    pub(crate) against: Option<String>,
    /// A rollout spec, whose gates.posture says what is asked for, and whose waivers hold
    #[arg(long = "rollout", alias = "spec", value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// Without a site: an OTLP endpoint
    #[arg(long, value_name = "URL", conflicts_with = "environment")]
    pub(crate) otlp: Option<String>,
    /// The protocol of the OTLP endpoint: grpc or http/protobuf
    #[arg(long, default_value = "grpc", value_parser = ["grpc", "http/protobuf"])]
    pub(crate) protocol: String,
    /// Without a site: a query endpoint
    #[arg(long, value_name = "URL", conflicts_with = "environment")]
    pub(crate) query: Option<String>,
    #[arg(long, help = format!("What answers at the query endpoint: {}", QueryKind::names()), default_value = "jaeger")]
    pub(crate) kind: QueryKind,
    /// Without a site: the certificates that chains must lead to; the system's, if left out
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) results: Results,
}
