//! The posture gate's inputs: the endpoints of both environments, as the site and their configurations name them.

use std::path::PathBuf;

use axum::http::HeaderMap;
use crossfade_backends::posture::{LookConfig, Target, What, look};
use crossfade_backends::query::{QueryEndpoint, QueryKind as WireKind};
use crossfade_gates::look::cannot_look;
use crossfade_gates::posture::{AdminKind, Facts, Input, Listener, Policy, Role, Version, judge, listeners};
use crossfade_gates::report::Report;
use crossfade_rollout::spec::{self, Moment, TlsVersion};
use crossfade_routing::EnvironmentId;
use serde::Deserialize;
use serde_json::Value;

use super::{Cx, configs};
use crate::clock;
use crate::site::{self, Environment, Site};

/// The policy that settings ask for.
pub fn policy(settings: &spec::Posture) -> Policy {
    Policy {
        tls_min: match settings.tls_min {
            TlsVersion::Tls12 => Version::Tls12,
            TlsVersion::Tls13 => Version::Tls13,
        },
        valid_secs_min: i64::try_from(settings.valid_min.0.as_secs()).unwrap_or(i64::MAX),
        rsa_bits_min: settings.rsa_bits_min,
        client_certificate: settings.client_certificate,
        authentication: settings.authentication,
        plain_text: settings.plain_text,
        ..Policy::default()
    }
}

/// Runs the gate.
pub(super) async fn run(cx: &Cx<'_>) -> Report {
    // Before a rollout an environment may be changed as anybody likes.
    let before = match cx.before.filter(|_| cx.moment != Moment::Preflight).map(subject).transpose() {
        Ok(before) => before,
        Err(why) => {
            return cannot_look("posture", format!("what it looked like before cannot be read: {why}"));
        }
    };
    let (blue, green) = match (cx.active(), cx.candidate()) {
        (Ok(blue), Ok(green)) => (blue, green),
        (Err(why), _) | (_, Err(why)) => return cannot_look("posture", why),
    };
    let (blue, green) = tokio::join!(
        facts(cx.site, cx.from.as_str(), blue, cx.seed),
        facts(cx.site, cx.to.as_str(), green, cx.seed)
    );
    let (blue, green) = match (blue, green) {
        (Ok(blue), Ok(green)) => (blue, green),
        (Err(why), _) | (_, Err(why)) => return cannot_look("posture", why),
    };
    let policy = policy(&cx.settings.posture.clone().unwrap_or_default());
    let now = seconds(cx.now.0);
    let (subject, reference) = (&green, Some(&blue));
    judge(&Input { subject, reference, before: before.as_ref(), policy: &policy, now })
}

/// What a report says of the candidate.
fn subject(report: &Value) -> Result<Facts, String> {
    // A report that cannot be read says why in its summary.
    let why = |error| report["summary"].as_str().map_or_else(|| format!("{error}"), str::to_owned);
    Facts::deserialize(&report["facts"]["subject"]).map_err(why)
}

/// Whether a report says that the candidate had got weaker.
pub(crate) fn has_regressed(report: &Value) -> bool {
    let findings = report["findings"].as_array();
    findings.is_some_and(|findings| findings.iter().any(|finding| finding["rule"] == "regressed"))
}

/// As the gate does it, for one environment of a site, beside another or alone: `crossfade posture`.
///
/// # Errors
/// In words: an environment that is none, or a configuration that cannot be read.
pub async fn report(
    site: &Site,
    subject: &EnvironmentId,
    reference: Option<&EnvironmentId>,
    policy: &Policy,
    seed: u64,
) -> Result<Report, String> {
    let look = async |id: &EnvironmentId| {
        let environment =
            site.environment(id).ok_or_else(|| format!("{id} is not an environment of this site"))?;
        facts(site, id.as_str(), environment, seed).await
    };
    let subject = look(subject).await?;
    let reference = match reference {
        Some(id) => Some(look(id).await?),
        None => None,
    };
    let now = seconds(clock::now().0);
    Ok(judge(&Input { subject: &subject, reference: reference.as_ref(), before: None, policy, now }))
}

/// As the gate does it, for endpoints of one's own.
pub async fn report_of(name: &str, targets: Vec<Target>, policy: &Policy, seed: u64) -> Report {
    let subject = look(name, targets, LookConfig::new(seed)).await;
    let now = seconds(clock::now().0);
    judge(&Input { subject: &subject, reference: None, before: None, policy, now })
}

/// A query endpoint, and a question that any of its kind answers.
pub fn query_target(endpoint: QueryEndpoint, kind: WireKind, headers: HeaderMap) -> Target {
    let path = match kind {
        WireKind::Jaeger => "/api/v3/services",
        WireKind::Tempo => "/api/search/tags",
    };
    let what = What::Http { endpoint, port: kind.default_port(), path: path.to_owned() };
    Target { name: "query".to_owned(), role: Role::Query, what, headers }
}

async fn facts(site: &Site, name: &str, environment: &Environment, seed: u64) -> Result<Facts, String> {
    let declared = declared(environment, super::drift::private(site)).await?;
    Ok(look(name, targets(environment, &declared)?, LookConfig::new(seed)).await)
}

/// What the environment's configurations open.
async fn declared(environment: &Environment, private: Vec<PathBuf>) -> Result<Vec<Listener>, String> {
    let listed: Vec<_> = environment.configs.keys().map(|name| environment.listed(name)).collect();
    let read = move || {
        let mut found = Vec::new();
        for listed in &listed {
            for loaded in configs::read(listed, &private).map_err(|error| error.to_string())? {
                found.extend(listeners(&loaded.node));
            }
        }
        Ok(found)
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
}

/// `host:port` of an address that may have a scheme before it and a path behind.
fn authority(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

fn targets(environment: &Environment, declared: &[Listener]) -> Result<Vec<Target>, String> {
    let otlp = environment.endpoint().map_err(|error| error.to_string())?;
    let host = otlp.host().to_owned();
    let headers = environment.header_map()?;
    let mut targets =
        vec![Target { name: "otlp".to_owned(), role: Role::Otlp, what: What::Otlp(otlp), headers }];
    if let Some(query) = &environment.query {
        let endpoint = query.address().map_err(|error| error.to_string())?;
        targets.push(query_target(endpoint, query.kind.into(), query.header_map()?));
    }
    let mut admin: Vec<(AdminKind, String)> = Vec::new();
    for named in &environment.admin {
        admin.push((kind(named.kind), named.endpoint.clone()));
    }
    for listener in declared {
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let address = format!("{host}:{}", listener.port);
        if !admin.iter().any(|(_, endpoint)| authority(endpoint) == address) {
            admin.push((listener.kind, format!("http://{address}")));
        }
    }
    for (index, (kind, endpoint)) in admin.iter().enumerate() {
        let earlier = admin.iter().take(index).filter(|(other, _)| other == kind).count();
        let name =
            if earlier == 0 { kind.name().to_owned() } else { format!("{}#{}", kind.name(), earlier + 1) };
        targets.push(admin_target(name, *kind, endpoint)?);
    }
    Ok(targets)
}

/// An interface for those who run an environment.
///
/// # Errors
/// An address that is none.
pub fn admin_target(name: String, kind: AdminKind, endpoint: &str) -> Result<Target, String> {
    let endpoint = QueryEndpoint::parse(endpoint).map_err(|error| error.to_string())?;
    let path = match kind {
        _ if endpoint.has_path() => "",
        AdminKind::Pprof => "/debug/pprof/",
        AdminKind::Zpages => "/debug/servicez",
        AdminKind::Metrics => "/metrics",
        AdminKind::Admin | AdminKind::Health => "/",
    };
    let what = What::Http { endpoint, port: 80, path: path.to_owned() };
    Ok(Target { name, role: Role::Admin(kind), what, headers: HeaderMap::new() })
}

fn kind(kind: site::AdminKind) -> AdminKind {
    match kind {
        site::AdminKind::Admin => AdminKind::Admin,
        site::AdminKind::Pprof => AdminKind::Pprof,
        site::AdminKind::Zpages => AdminKind::Zpages,
        site::AdminKind::Metrics => AdminKind::Metrics,
        site::AdminKind::Health => AdminKind::Health,
    }
}

fn seconds(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX)
}
