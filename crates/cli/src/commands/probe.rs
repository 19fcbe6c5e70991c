//! `crossfade probe`: the probe gate by itself, for any OTLP endpoint with a Jaeger or a Tempo behind it.

use crossfade_backends::otlp::{Endpoint, Protocol};
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint};
use crossfade_control::gates::probe::probe_endpoints;

use super::{block_on, gate};
use crate::args::{GateFormat, Probe};
use crate::exit::{Failure, OrExit, Outcome};

pub(crate) fn run(args: &Probe) -> Outcome {
    let deadline: crossfade_yaml::Duration = gate::parsed("--deadline", &args.deadline)?;
    if args.traces == 0 {
        return Err(Failure::usage(anyhow::anyhow!("--traces: nothing to write; use 1 or more")));
    }
    let protocol = if args.protocol == "grpc" { Protocol::Grpc } else { Protocol::HttpProtobuf };
    let endpoint = Endpoint::parse(&args.otlp, protocol)
        .map_err(|error| anyhow::anyhow!("--otlp: {error}"))
        .or_usage()?;
    let query =
        QueryEndpoint::parse(&args.query).map_err(|error| anyhow::anyhow!("--query: {error}")).or_usage()?;
    let query = Query::new(QueryConfig::new(args.kind, query));
    let seed = gate::seed(None)?;
    let headers = http::HeaderMap::new();
    let report = block_on(async {
        let probing = probe_endpoints(endpoint, headers, &query, args.traces, deadline.0, seed);
        tokio::select! {
            report = probing => Ok(report),
            _ = tokio::signal::ctrl_c() => Err(Failure::refused(anyhow::anyhow!("stopped before every trace was read back"))),
        }
    })?;
    Ok(match args.output {
        GateFormat::Text => {
            print!("{}", report.text());
            gate::exit(&report.report())
        }
        format => gate::print(&report.report(), format),
    })
}
