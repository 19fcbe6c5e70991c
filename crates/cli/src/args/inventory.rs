//! What `crossfade coverage` and `crossfade dependencies` take.

use std::path::PathBuf;

use clap::Args;
use crossfade_backends::query::QueryKind;

use super::Results;

/// What the gates that read traces have in common.
#[derive(Debug, Args)]
pub(crate) struct GateInputs {
    /// The site, for what is not given by its URL; `crossfade.yaml`, if that is needed
    #[arg(short, long, env = "CROSSFADE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A rollout spec whose `gates` block has the settings and the waivers
    #[arg(long = "rollout", alias = "spec", value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    #[arg(long, help = format!("What answers at query endpoints that are given by URL: {}", QueryKind::names()), default_value = "jaeger")]
    pub(crate) kind: QueryKind,
    /// How long it may take
    #[arg(long, value_name = "DURATION")]
    pub(crate) deadline: Option<String>,
    #[command(flatten)]
    pub(crate) results: Results,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade coverage -c crossfade.yaml --window 30m\n  crossfade coverage --blue http://blue-jaeger:16686 --green http://green-jaeger:16686 --share 10"
)]
pub(crate) struct Coverage {
    /// The active environment's name
    #[arg(long, default_value = "blue", value_name = "ENVIRONMENT")]
    pub(crate) from: String,
    /// The candidate's name
    #[arg(long, default_value = "green", value_name = "ENVIRONMENT")]
    pub(crate) to: String,
    /// The active environment's query endpoint, if not the site's
    #[arg(long, value_name = "URL")]
    pub(crate) blue: Option<String>,
    /// The candidate's query endpoint, if not the site's
    #[arg(long, value_name = "URL")]
    pub(crate) green: Option<String>,
    /// The candidate's share of traffic, in percent; as the gateway says, if left out, and 100 without a site
    #[arg(long, value_name = "PERCENT")]
    pub(crate) share: Option<f64>,
    /// How far back to look
    #[arg(long, value_name = "DURATION")]
    pub(crate) window: Option<String>,
    /// How far back before that, to see what stopped
    #[arg(long, value_name = "DURATION")]
    pub(crate) before: Option<String>,
    /// How long traces may take until they can be read
    #[arg(long, value_name = "DURATION")]
    pub(crate) settle: Option<String>,
    /// Services that may be missing; `*` stands for anything
    #[arg(long, value_delimiter = ',', value_name = "SERVICES")]
    pub(crate) ignore: Vec<String>,
    #[command(flatten)]
    pub(crate) inputs: GateInputs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade dependencies --live http://jaeger:16686 --tests test-traces.json\n  crossfade dependencies -c crossfade.yaml --tests-attribute test.run=nightly --simulated 'sandbox.*'"
)]
pub(crate) struct Dependencies {
    /// The environment with the live traces
    #[arg(long, default_value = "blue", value_name = "ENVIRONMENT")]
    pub(crate) from: String,
    /// The environment with the traces of the test run
    #[arg(long, default_value = "green", value_name = "ENVIRONMENT")]
    pub(crate) to: String,
    /// The query endpoint with the live traces, if not the site's
    #[arg(long, value_name = "URL")]
    pub(crate) live: Option<String>,
    /// Files of OTLP/JSON with the traces of the test run, as the Collector's file exporter writes them
    #[arg(long, value_delimiter = ',', value_name = "FILES", conflicts_with = "tests_query")]
    pub(crate) tests: Vec<PathBuf>,
    /// The query endpoint with the traces of the test run, if not the site's
    #[arg(long, value_name = "URL")]
    pub(crate) tests_query: Option<String>,
    /// What marks the traces of the test run; deployment.environment.name=test, if left out
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) tests_attribute: Vec<String>,
    /// Names of simulated services, besides those that are known as such; `*` stands for anything
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) simulated: Vec<String>,
    /// How far back to look
    #[arg(long, value_name = "DURATION")]
    pub(crate) window: Option<String>,
    #[command(flatten)]
    pub(crate) inputs: GateInputs,
}
