//! `crossfade posture`: the posture gate by itself, for environments of a site or for endpoints of one's own.

use crossfade_backends::otlp::{Endpoint, Protocol};
use crossfade_backends::posture::{Target, What};
use crossfade_backends::tls::{Tls, TlsSettings};
use crossfade_control::gates::posture::{policy, query_target, report, report_of};
use crossfade_gates::posture::Role;
use crossfade_rollout::event::Gate;

use super::ending::{Ending, gates_of, look};
use super::{environment, gate, query_endpoint};
use crate::args::Posture;
use crate::exit::{Failure, OrExit, Outcome};

pub(crate) fn run(args: &Posture) -> Outcome {
    let ending = Ending::of(&args.results, Some(args.spec.as_deref().unwrap_or(&args.config)))?;
    let gates = gates_of(args.spec.as_deref())?.with(Gate::Posture);
    let policy = policy(&gates.posture.clone().unwrap_or_default());
    let (deadline, seed) = (gates.deadline(Gate::Posture), gate::seed(None)?);
    if args.otlp.is_some() || args.query.is_some() {
        let targets = targets(args)?;
        let work = async { Ok(report_of("endpoints", targets, &policy, seed).await) };
        return ending.one(&look(Gate::Posture, deadline, &gates.waivers, work)?);
    }
    // One environment, beside another or alone; without a name, each alone.
    let site = super::site(&crate::args::Site { config: args.config.clone() })?;
    let named = |flag: &str, name: &Option<String>| {
        name.as_ref().map(|name| environment(&site, flag, name).map(|(id, _)| id)).transpose()
    };
    let (subject, against) = (named("--environment", &args.environment)?, named("--against", &args.against)?);
    let subjects = subject.map_or_else(|| site.environments.keys().cloned().collect(), |id| vec![id]);
    let mut reports = Vec::new();
    for id in &subjects {
        let work = async {
            report(&site, id, against.as_ref(), &policy, seed).await.map_err(anyhow::Error::msg).or_usage()
        };
        reports.push(look(Gate::Posture, deadline, &gates.waivers, work)?);
    }
    match reports.as_slice() {
        [report] => ending.one(report),
        reports => ending.all(reports),
    }
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
        targets.push(Target {
            name: "otlp".to_owned(),
            role: Role::Otlp,
            what,
            headers,
            assumed: false,
            shares: false,
        });
    }
    if let Some(url) = &args.query {
        let endpoint = query_endpoint("--query", url)?;
        targets.push(query_target(endpoint.with_tls(tls), args.kind, http::HeaderMap::new()));
    }
    Ok(targets)
}
