//! What `backends::query` promises, asked of a real store: `cargo xtask e2e stores` starts one and runs this against it.
//! Traces of the probe are written through OTLP, then read and searched for in every way that there is.
//!
//! It is an example and not a binary so that the chores build without the adapters.

mod checks;

use anyhow::{Context, Result};
use clap::Parser;
use crossfade_backends::otlp::{Client, ClientConfig, Endpoint, Protocol};
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind};
use http::{HeaderMap, HeaderValue};
use std::time::Duration;

#[derive(Parser)]
struct Cli {
    /// jaeger or tempo
    kind: QueryKind,
    /// OTLP/gRPC
    #[arg(long)]
    otlp: String,
    #[arg(long)]
    query: String,
    /// Tempo's tenant to write to and read from; another one, and none, must see nothing
    #[arg(long)]
    tenant: Option<String>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&cli))
}

async fn run(cli: &Cli) -> Result<()> {
    let headers = headers(cli.tenant.as_deref())?;
    let endpoint = Endpoint::parse(&cli.otlp, Protocol::Grpc)?;
    let otlp = Client::new(ClientConfig {
        endpoint,
        headers: headers.clone(),
        connect_timeout: Duration::from_secs(5),
    });
    let query = client(cli, headers)?;
    let written = checks::write(&otlp, &query).await.context("writing")?;
    checks::by_id(&query, &written).await.context("reading by id")?;
    checks::names(&query, &written).await.context("names of services and operations")?;
    checks::finds(&query, &written).await.context("searching")?;
    // A search found them all, so by now they are where the store keeps what it is not just receiving.
    checks::by_id(&query, &written).await.context("reading by id, once indexed")?;
    if cli.tenant.is_some() {
        let (other, nobody) =
            (client(cli, self::headers(Some("nobody-else"))?)?, client(cli, HeaderMap::new())?);
        checks::separate(&other, &nobody, &written).await.context("tenants")?;
    }
    println!("{} traces of a {} read and found", written.len(), cli.kind.product());
    Ok(())
}

fn client(cli: &Cli, headers: HeaderMap) -> Result<Query> {
    let mut config = QueryConfig::new(cli.kind, QueryEndpoint::parse(&cli.query)?);
    config.headers = headers;
    Ok(Query::new(config))
}

fn headers(tenant: Option<&str>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(tenant) = tenant {
        headers.insert("x-scope-orgid", HeaderValue::from_str(tenant)?);
    }
    Ok(headers)
}
