//! `crossfade probe`: the probe gate by itself, for an environment of the site, or for endpoints of one's own with a Jaeger or a Tempo
//! behind them.

mod purge;

use std::collections::BTreeMap;
use std::path::Path;

use crossfade_backends::otlp::{Client, ClientConfig, Endpoint, Protocol};
use crossfade_backends::probe::ProbeConfig;
use crossfade_backends::probe::suite::{SuiteConfig, Target, suite};
use crossfade_backends::query::{Query, QueryConfig};
use crossfade_backends::tls::{Tls, TlsSettings};
use crossfade_control::gates::probe::target as target_of;
use crossfade_control::site::{Site, header_map};
use crossfade_gates::probe::canary::Sensitive;
use crossfade_rollout::event::Gate;
use crossfade_rollout::spec::{Gates, Probe as Spec};
use http::HeaderMap;

use super::ending::{Ending, gates_of, look};
use super::{environment, gate, query_endpoint, read_text};
use crate::args::{Asked, Probe, ProbeCommand};
use crate::exit::{Failure, OrExit, Outcome};

const GRPC: &str = "grpc";
const PROTOCOLS: [(&str, Protocol); 3] =
    [(GRPC, Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf), ("http/json", Protocol::HttpJson)];

pub(crate) fn run(args: &Probe) -> Outcome {
    if let Some(ProbeCommand::Purge(args)) = &args.command {
        return purge::run(args);
    }
    let ending = Ending::of(&args.results, Some(args.spec.as_deref().unwrap_or(&args.asked.config)))?;
    let gates = gates_of(args.spec.as_deref())?;
    if args.traces == 0 {
        return Err(Failure::usage(anyhow::anyhow!("--traces: nothing to write; use 1 or more")));
    }
    let duration = |flag: &str, text: &str| gate::parsed::<crossfade_yaml::Duration>(flag, text).map(|d| d.0);
    let freshness_max =
        args.freshness_max.as_deref().map(|text| duration("--freshness-max", text)).transpose()?;
    let masks = masks(&args.masks)?;
    let (target, other) = targets(args)?;
    let seed = gate::seed(args.seed)?;
    let config = SuiteConfig {
        probe: ProbeConfig::new(seed, args.traces, duration("--deadline", &args.deadline)?),
        searches: args.searches,
        masks,
        other,
        freshness_max,
    };
    eprintln!("seed {seed}");
    let gates = Gates {
        probe: Spec { deadline: crossfade_yaml::Duration(config.probe.deadline), ..Spec::default() },
        ..gates
    };
    let work = async { Ok(suite(&target, &config, &|_, _, _| {}).await.report()) };
    ending.one(&look(Gate::Probe, gates.deadline(Gate::Probe), &gates.waivers, work)?)
}

/// The environment, and the one that it must share nothing with.
fn targets(args: &Probe) -> Result<(Target, Option<Target>), Failure> {
    let Some(name) = &args.asked.environment else {
        if args.against.is_some() {
            let what = "--against: it names an environment of the site, and so must --environment; leave out --otlp and --query";
            return Err(Failure::usage(anyhow::anyhow!(what)));
        }
        return Ok((endpoints(args)?, None));
    };
    let site = site(&args.asked)?;
    if args.against.as_ref() == Some(name) {
        let what = "--against and --environment are the same: an environment shares everything with itself";
        return Err(Failure::usage(anyhow::anyhow!(what)));
    }
    let target = |flag: &str, name: &String| {
        let found = target_of(name, environment(&site, flag, name)?.1);
        found.map_err(|why| anyhow::anyhow!("environments.{name}: {why}")).or_usage()
    };
    let other = args.against.as_ref().map(|name| target("--against", name)).transpose()?;
    Ok((target("--environment", name)?, other))
}

fn endpoints(args: &Probe) -> Result<Target, Failure> {
    let otlp = args.otlp.as_deref().unwrap_or_default();
    let protocol =
        |name: &str| PROTOCOLS.into_iter().find(|(known, _)| *known == name).map(|(_, protocol)| protocol);
    let (tls, headers) = (tls(&args.asked)?, headers("--header", &args.header)?);
    let client = |flag: &str, name: &str, url: &str| -> Result<Client, Failure> {
        let endpoint = Endpoint::parse(url, protocol(name).unwrap_or(Protocol::Grpc))
            .map_err(|error| anyhow::anyhow!("{flag}: {error}"))
            .or_usage()?;
        let endpoint = endpoint.with_tls(tls.clone());
        Ok(Client::new(ClientConfig::new(endpoint, headers.clone())))
    };
    let mut receivers = vec![client("--otlp", &args.protocol, otlp)?];
    for further in &args.receiver {
        // An address may have a `=` of its own.
        let said = further.split_once('=').filter(|(name, _)| protocol(name).is_some());
        let (name, url) = said.unwrap_or((GRPC, further));
        receivers.push(client("--receiver", name, url)?);
    }
    Ok(Target { name: otlp.to_owned(), receivers, query: query(&args.asked)? })
}

/// The query endpoint, as the flags say it.
fn query(args: &Asked) -> Result<Query, Failure> {
    let url = args.query.as_deref().unwrap_or_default();
    let endpoint = query_endpoint("--query", url)?;
    let mut config = QueryConfig::new(args.kind, endpoint.with_tls(tls(args)?));
    config.headers = headers("--query-header", &args.query_header)?;
    Ok(Query::new(config))
}

fn site(args: &Asked) -> Result<Site, Failure> {
    super::site(&crate::args::Site { config: args.config.clone() })
}

fn tls(args: &Asked) -> Result<Tls, Failure> {
    let tls = Tls::new(TlsSettings { ca_file: args.ca_file.clone(), ..TlsSettings::default() });
    if args.ca_file.is_some() {
        tls.check().or_usage()?;
    }
    Ok(tls)
}

/// `NAME=VALUE`, or `NAME=@FILE`: what is on a command line can be read by everybody on the machine. What is no header is not
/// repeated: `authorization: Bearer …` is none.
fn headers(flag: &str, given: &[String]) -> Result<HeaderMap, Failure> {
    let mut map = BTreeMap::new();
    for header in given {
        let said = header.split_once('=').filter(|(name, _)| !name.contains([':', ' ']));
        let Some((name, value)) = said else {
            let what =
                format!("{flag}: this is no header; write NAME=VALUE, for instance x-scope-orgid=bank");
            return Err(Failure::usage(anyhow::anyhow!(what)));
        };
        let value = match value.strip_prefix('@') {
            Some(file) => read_text(Path::new(file))?.trim_end().to_owned(),
            None => value.to_owned(),
        };
        map.insert(name.to_owned(), value);
    }
    header_map(&map).map_err(|why| anyhow::anyhow!("{flag}: {why}")).or_usage()
}

fn masks(given: &[String]) -> Result<Vec<Sensitive>, Failure> {
    const ALL: &str = "all";
    if given.iter().any(|word| word == ALL) {
        return Ok(Sensitive::ALL.to_vec());
    }
    let mut masks = Vec::new();
    for word in given {
        let Some(kind) = Sensitive::ALL.into_iter().find(|kind| kind.word() == word) else {
            let words = Sensitive::ALL.map(Sensitive::word).join(", ");
            return Err(Failure::usage(anyhow::anyhow!(
                "--masks: `{word}` is no kind; there are {words}, and {ALL}"
            )));
        };
        masks.push(kind);
    }
    masks.sort();
    masks.dedup();
    Ok(masks)
}
