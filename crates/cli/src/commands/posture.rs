//! `crossfade posture`: the posture gate by itself, for environments of a site or for endpoints of one's own.

use crossfade_backends::otlp::{Endpoint, Protocol};
use crossfade_backends::posture::{Target, What};
use crossfade_backends::query::QueryEndpoint;
use crossfade_backends::tls::{Tls, TlsSettings};
use crossfade_control::gates::posture::{policy, query_target, report, report_of};
use crossfade_control::site::Site;
use crossfade_gates::posture::{Policy, Role};
use crossfade_gates::render;
use crossfade_gates::report::{Report, Verdict};
use crossfade_routing::EnvironmentId;

use super::{block_on, gate};
use crate::args::{GateFormat, Posture};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui;

pub(crate) fn run(args: &Posture) -> Outcome {
    let policy = match &args.spec {
        None => Policy::default(),
        Some(path) => policy(&gate::spec(path)?.gates.posture.unwrap_or_default()),
    };
    let seed = gate::seed(None)?;
    let reports = block_on(async {
        let looking = async {
            if args.otlp.is_some() || args.query.is_some() {
                return Ok(vec![report_of("endpoints", targets(args)?, &policy, seed).await]);
            }
            of_site(args, &policy, seed).await
        };
        tokio::select! {
            reports = looking => reports,
            _ = tokio::signal::ctrl_c() => Err(Failure::refused(anyhow::anyhow!("stopped before everything was looked at"))),
        }
    })?;
    match (reports.as_slice(), args.output) {
        ([one], format) => return Ok(gate::print(one, format)),
        (all, GateFormat::Text) => all.iter().for_each(|report| print!("{}", render::text(report))),
        (all, GateFormat::Json) => println!("{}", render::json_all(all)),
        (all, GateFormat::Junit) => print!("{}", render::junit(all)),
        (all, GateFormat::Sarif) => println!("{}", gate::sarif(all, &args.config.to_string_lossy())),
    }
    Ok(match Verdict::of_all(reports.iter().map(Report::verdict)) {
        Verdict::Pass => Exit::Passed,
        Verdict::Fail => Exit::Refused,
        Verdict::NoVerdict if reports.iter().any(|report| report.unreachable) => Exit::Unreachable,
        Verdict::NoVerdict => Exit::NoVerdict,
    })
}

/// One environment, beside another or alone; without a name, each alone.
async fn of_site(args: &Posture, policy: &Policy, seed: u64) -> Result<Vec<Report>, Failure> {
    let site = Site::load(&args.config, &ui::variable).or_usage()?;
    let named = |flag: &str, name: &Option<String>| -> Result<Option<EnvironmentId>, Failure> {
        let Some(name) = name else { return Ok(None) };
        let id = name.parse().map_err(|error| anyhow::anyhow!("{flag} {name}: {error}")).or_usage()?;
        site.wanted(&id, flag, "command line").map_err(|why| Failure::usage(anyhow::anyhow!(why)))?;
        Ok(Some(id))
    };
    let (subject, against) = (named("--environment", &args.environment)?, named("--against", &args.against)?);
    let subjects = subject.map_or_else(|| site.environments.keys().cloned().collect(), |id| vec![id]);
    let mut reports = Vec::new();
    for id in &subjects {
        let report = report(&site, id, against.as_ref(), policy, seed).await;
        reports.push(report.map_err(|why| Failure::usage(anyhow::anyhow!(why)))?);
    }
    Ok(reports)
}

fn targets(args: &Posture) -> Result<Vec<Target>, Failure> {
    let tls = Tls::new(TlsSettings { ca_file: args.ca_file.clone(), ..TlsSettings::default() });
    if args.ca_file.is_some() {
        tls.check().or_usage()?;
    }
    let mut targets = Vec::new();
    if let Some(url) = &args.otlp {
        let protocol = if args.protocol == "grpc" { Protocol::Grpc } else { Protocol::HttpProtobuf };
        let endpoint =
            Endpoint::parse(url, protocol).map_err(|error| anyhow::anyhow!("--otlp: {error}")).or_usage()?;
        let what = What::Otlp(endpoint.with_tls(tls.clone()));
        let headers = http::HeaderMap::new();
        targets.push(Target { name: "otlp".to_owned(), role: Role::Otlp, what, headers });
    }
    if let Some(url) = &args.query {
        let endpoint =
            QueryEndpoint::parse(url).map_err(|error| anyhow::anyhow!("--query: {error}")).or_usage()?;
        targets.push(query_target(endpoint.with_tls(tls), args.kind, http::HeaderMap::new()));
    }
    Ok(targets)
}
