//! The posture gate's inputs: the endpoints of both environments, as the site and their configurations name them.

use std::path::PathBuf;

use axum::http::HeaderMap;
use crossfade_backends::otlp::{Endpoint, Protocol};
use crossfade_backends::posture::{LookConfig, Target, What, look};
use crossfade_backends::query::{QueryEndpoint, QueryKind as WireKind};
use crossfade_backends::tls::Tls;
use crossfade_gates::look::cannot_look;
use crossfade_gates::posture::{
    AdminKind, Facts, Input, Listener, Policy, Role, Unplaced, Version, judge, listeners,
};
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
    Target { name: "query".to_owned(), role: Role::Query, what, headers, assumed: false, shares: false }
}

async fn facts(site: &Site, name: &str, environment: &Environment, seed: u64) -> Result<Facts, String> {
    let declared = declared(environment, super::drift::private(site)).await?;
    let (targets, unplaced) = targets(environment, &declared)?;
    Ok(Facts { unplaced, ..look(name, targets, LookConfig::new(seed)).await })
}

/// What the environment's configurations open. Paths begin with a configuration's name.
async fn declared(environment: &Environment, private: Vec<PathBuf>) -> Result<Vec<Listener>, String> {
    let listed = environment.configs.keys();
    let listed: Vec<_> = listed
        .map(|name| (name.clone(), environment.listed(name), environment.versions.get(name).copied()))
        .collect();
    let read = move || {
        let mut found = Vec::new();
        for (name, listed, version) in &listed {
            for loaded in configs::read(listed, &private).map_err(|error| error.to_string())? {
                let opened = listeners(&loaded.node, *version).into_iter();
                found.extend(opened.map(|l| Listener { path: format!("{name}:{}", l.path), ..l }));
            }
        }
        Ok(found)
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
}

/// Where something listens; `localhost` is 127.0.0.1.
type Place = (String, u16);

fn place(host: &str, port: u16) -> Place {
    let host = host.to_ascii_lowercase();
    (if host == "localhost" { "127.0.0.1".to_owned() } else { host }, port)
}

/// Whether an interface can be reached by a host's name: one that is bound to its own machine is nobody else's business there, and
/// what answers at its port is not it.
fn reaches(listener: &Listener, host: &str) -> bool {
    let host = place(host, 0).0;
    !listener.loopback || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// What there is to look at, and the declared interfaces of which nobody knows where they are.
fn targets(environment: &Environment, declared: &[Listener]) -> Result<(Vec<Target>, Vec<Unplaced>), String> {
    let headers = environment.header_map()?;
    let mut targets: Vec<Target> = Vec::new();
    // Which of an environment's machines a configuration is for is not known: each is looked at.
    let mut hosts: Vec<String> = Vec::new();
    let mut ports: Vec<(Place, Protocol)> = Vec::new();
    for receiver in environment.receivers().map_err(|error| error.to_string())? {
        // Bodies of two kinds on one port are let in by the same door.
        let protocol = match receiver.protocol() {
            Protocol::HttpJson => Protocol::HttpProtobuf,
            other => other,
        };
        let port = (place(receiver.host(), receiver.port()), protocol);
        if ports.contains(&port) {
            continue;
        }
        ports.push(port);
        hosts.push(receiver.host().to_owned());
        let name = match (targets.is_empty(), protocol) {
            (true, _) => "otlp",
            (false, Protocol::Grpc) => "otlp grpc",
            (false, _) => "otlp http",
        };
        let (name, what) = (numbered(&targets, name), What::Otlp(receiver));
        let headers = headers.clone();
        targets.push(Target { name, role: Role::Otlp, what, headers, assumed: false, shares: false });
    }
    if let Some(query) = &environment.query {
        let endpoint = query.address().map_err(|error| error.to_string())?;
        hosts.push(endpoint.host().to_owned());
        targets.push(query_target(endpoint, query.kind.into(), query.header_map()?));
    }
    // Whoever signs for the query endpoint, or for the receivers, is taken to sign for what else there is.
    let own = match &environment.query {
        Some(query) => query.address().map_err(|error| error.to_string())?.tls().cloned(),
        None => None,
    };
    let own = own.unwrap_or_else(|| Tls::new(environment.tls.clone()));
    let mut seen: Vec<Place> = Vec::new();
    let mut named: Vec<(AdminKind, Place)> = Vec::new();
    for admin in &environment.admin {
        let kind = kind(admin.kind);
        let target = admin_target(numbered(&targets, kind.name()), kind, &admin.endpoint)?;
        let (host, port) = target.what.address();
        named.push((kind, place(host, port)));
        targets.push(target);
    }
    seen.extend(named.iter().map(|(_, place)| place.clone()));
    if let Some(query) = &environment.query {
        let endpoint = query.address().map_err(|error| error.to_string())?;
        let pages = match query.kind {
            site::QueryKind::Tempo => of_tempo(&endpoint),
            // Its pages are on ports of their own, which `admin` names.
            site::QueryKind::Jaeger => Vec::new(),
        };
        for target in pages {
            let is_same = |other: &Target| same_page(other, &target);
            if !targets.iter().any(is_same) {
                targets.push(target);
            }
        }
    }
    hosts.dedup_by_key(|host| place(host, 0));
    for listener in declared {
        let Some(port) = listener.port else { continue };
        for host in hosts.iter().filter(|host| reaches(listener, host)) {
            let place = place(host, port);
            if seen.contains(&place) {
                // It is told where this one is: it is not that of which nobody knows where it is.
                named.retain(|(_, known)| *known != place);
                continue;
            }
            seen.push(place);
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            let name = numbered(&targets, listener.kind.name());
            let scheme = if listener.tls { "https" } else { "http" };
            let endpoint = format!("{scheme}://{host}:{port}");
            let mut target = admin_target(name, listener.kind, &endpoint)?;
            target.assumed = true;
            target.what = match (target.what, listener.grpc) {
                (_, Some(method)) => {
                    let endpoint =
                        Endpoint::parse(&endpoint, Protocol::Grpc).map_err(|error| error.to_string())?;
                    What::Otlp(endpoint.calling(method).with_tls(own.clone()))
                }
                (What::Http { endpoint, port, path }, None) => {
                    What::Http { endpoint: endpoint.with_tls(own.clone()), port, path }
                }
                (other, None) => other,
            };
            targets.push(target);
        }
    }
    let mut unplaced = Vec::new();
    let is_there = |listener: &&Listener| hosts.iter().any(|host| reaches(listener, host));
    for listener in declared.iter().filter(|listener| listener.port.is_none()).filter(is_there) {
        // What the site names of that kind may well be it.
        match named.iter().position(|(kind, _)| *kind == listener.kind) {
            Some(at) => drop(named.swap_remove(at)),
            None => unplaced.push(Unplaced { kind: listener.kind, path: listener.path.clone() }),
        }
    }
    Ok((targets, unplaced))
}

/// What a Tempo shows to whoever asks, at the port of its queries: it has no other.
fn of_tempo(endpoint: &QueryEndpoint) -> Vec<Target> {
    let pages = [
        ("metrics", AdminKind::Metrics, "/metrics"),
        ("pprof", AdminKind::Pprof, "/debug/pprof/"),
        ("status", AdminKind::Admin, "/status"),
        ("config", AdminKind::Admin, "/status/config"),
    ];
    let port = WireKind::Tempo.default_port();
    let targets = pages.into_iter().map(|(name, kind, path)| Target {
        name: format!("tempo {name}"),
        role: Role::Admin(kind),
        what: What::Http { endpoint: endpoint.clone(), port, path: path.to_owned() },
        headers: HeaderMap::new(),
        assumed: true,
        shares: true,
    });
    targets.collect()
}

fn same_page(one: &Target, other: &Target) -> bool {
    let place = |target: &Target| {
        let (host, port) = target.what.address();
        place(host, port)
    };
    place(one) == place(other)
        && one.what.path().trim_end_matches('/') == other.what.path().trim_end_matches('/')
}

/// `pprof`, and the next of that name `pprof#2`.
fn numbered(targets: &[Target], name: &str) -> String {
    let is_one = |target: &&Target| target.name.split('#').next() == Some(name);
    match targets.iter().filter(is_one).count() {
        0 => name.to_owned(),
        earlier => format!("{name}#{}", earlier + 1),
    }
}

/// An interface for those who run an environment.
///
/// # Errors
/// An address that is none.
pub fn admin_target(name: String, kind: AdminKind, endpoint: &str) -> Result<Target, String> {
    let has_slash = endpoint.ends_with('/');
    let endpoint = QueryEndpoint::parse(endpoint).map_err(|error| error.to_string())?;
    let path = match kind {
        // What is written is asked for: to a folder without its slash the answer is another.
        _ if endpoint.has_path() && has_slash => "/",
        _ if endpoint.has_path() => "",
        AdminKind::Pprof => "/debug/pprof/",
        AdminKind::Zpages => "/debug/servicez",
        AdminKind::Metrics => "/metrics",
        AdminKind::Admin | AdminKind::Health => "/",
    };
    let port = if endpoint.tls().is_some() { 443 } else { 80 };
    let what = What::Http { endpoint, port, path: path.to_owned() };
    let headers = HeaderMap::new();
    Ok(Target { name, role: Role::Admin(kind), what, headers, assumed: false, shares: false })
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

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: &str = "
extensions:
  pprof: { endpoint: \"0.0.0.0:${env:PPROF}\" }
  zpages: { endpoint: \"0.0.0.0:55679\" }
  healthcheckv2: { use_v2: true, grpc: { endpoint: \"0.0.0.0:13132\" } }
service:
  extensions: [pprof, zpages, healthcheckv2]
  pipelines: {}
";

    /// What there is to look at in an environment with this of its own, and this configuration: `name url`.
    async fn looked_at(own: &str, config: &str) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("blue.yaml"), config).unwrap();
        let path = folder.path().join("crossfade.yaml");
        let text = format!(
            "environments:\n  blue:\n    configs: {{ collector: [blue.yaml] }}\n{own}\n  green: {{ otlp: {{ endpoint: \"http://green:4317\" }} }}\n"
        );
        let site = Site::parse(&text, &path, &|_| None).unwrap();
        let blue = site.environment(&"blue".parse().unwrap()).unwrap();
        let (targets, unplaced) = targets(blue, &declared(blue, Vec::new()).await.unwrap()).unwrap();
        let line = |target: &Target| {
            let (host, port) = target.what.address();
            format!("{} {host}:{port}", target.name)
        };
        (targets.iter().map(line).collect(), unplaced.into_iter().map(|unplaced| unplaced.path).collect())
    }

    // Scenario: an environment has further receivers, and machines of several names; what its configuration opens may be on any.
    // Guarantee: all are looked at, each once; and what nobody knows where it is is not passed over. What is bound to a machine itself, as
    // a Collector's metrics are unless it is told otherwise, is looked at on this machine alone: elsewhere its port is another's.
    #[tokio::test]
    async fn whatever_is_open_is_looked_at() {
        let own = "    otlp: { endpoint: \"http://in:4317\" }
    receivers: [{ endpoint: \"http://in:4318\", protocol: http/protobuf }, { endpoint: \"http://IN:4318\", protocol: http/json }]
    query: { kind: jaeger, endpoint: \"http://out\" }
    admin: [{ kind: zpages, endpoint: \"http://in:55679/debug/servicez\" }]";
        let (targets, unplaced) = looked_at(own, BLUE).await;
        let expected = [
            "otlp in:4317",
            "otlp http in:4318",
            "query out:16686",
            "zpages in:55679",
            "zpages#2 out:55679",
            "health in:13132",
            "health#2 out:13132",
        ];
        assert_eq!(targets, expected);
        assert_eq!(unplaced, ["collector:extensions.pprof.endpoint"]);
        let everywhere =
            BLUE.replace("service:", "service:\n  telemetry: { metrics: { address: \"0.0.0.0:8888\" } }");
        let (targets, _) = looked_at(own, &everywhere).await;
        assert_eq!(targets[expected.len()..], ["metrics in:8888", "metrics#2 out:8888"]);
        // Named in the site, it is known where it is.
        let (_, unplaced) = looked_at(
            &own.replace("admin: [", "admin: [{ kind: pprof, endpoint: \"http://in:1777\" }, "),
            BLUE,
        )
        .await;
        assert_eq!(unplaced, Vec::<String>::new());
        // What is named, and known, is not another of that kind.
        let (_, unplaced) = looked_at(own, &BLUE.replace("55679\"", "${env:ZPAGES}\"")).await;
        assert_eq!(unplaced, ["collector:extensions.pprof.endpoint"]);
        let two = BLUE
            .replace("[pprof,", "[zpages/two, pprof,")
            .replace("service:", "  zpages/two: { endpoint: \"${env:Z}\" }\nservice:");
        let (_, unplaced) = looked_at(own, &two).await;
        assert_eq!(
            unplaced,
            ["collector:extensions.zpages/two.endpoint", "collector:extensions.pprof.endpoint"]
        );
        let here = "    otlp: { endpoint: \"http://127.0.0.1:14317\" }\n    query: { kind: tempo, endpoint: \"http://localhost:3200\" }";
        let (targets, _) = looked_at(here, "service: { pipelines: {} }\n").await;
        let pages =
            ["metrics", "pprof", "status", "config"].map(|page| format!("tempo {page} localhost:3200"));
        assert_eq!(targets[..2], ["otlp 127.0.0.1:14317", "query localhost:3200"]);
        assert_eq!(targets[2..6], pages);
        assert_eq!(targets[6..], ["metrics 127.0.0.1:8888"]);
        // What the site names is not looked at twice.
        let named =
            format!("{here}\n    admin: [{{ kind: metrics, endpoint: \"http://127.0.0.1:3200/metrics\" }}]");
        let (targets, _) = looked_at(&named, "service: { pipelines: {} }\n").await;
        assert_eq!(targets[2..6], [&["metrics 127.0.0.1:3200".to_owned()][..], &pages[1..]].concat());
    }

    // Scenario: a Jaeger's second query port, with TLS, beside a query endpoint whose certificate is for another name.
    // Guarantee: it is asked over TLS, by a question that it knows, and by the settings of the other.
    #[tokio::test]
    async fn a_second_query_port_is_looked_at_over_tls() {
        let config = "extensions: { jaeger_query: { grpc: { endpoint: \"0.0.0.0:16685\", tls: { cert_file: s.pem, key_file: s.key } } } }
service: { extensions: [jaeger_query] }\n";
        let site = "environments:\n  blue:\n    configs: { jaeger: [blue.yaml] }\n    otlp: { endpoint: \"http://in:4317\" }
    query: { kind: jaeger, endpoint: \"https://in:16686\", tls: { server_name_override: jaeger.example } }\n  green: { otlp: { endpoint: \"http://green:4317\" } }\n";
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("blue.yaml"), config).unwrap();
        let site = Site::parse(site, &folder.path().join("crossfade.yaml"), &|_| None).unwrap();
        let blue = site.environment(&"blue".parse().unwrap()).unwrap();
        let (targets, _) = targets(blue, &declared(blue, Vec::new()).await.unwrap()).unwrap();
        let What::Otlp(endpoint) = &targets.last().unwrap().what else { panic!("it speaks gRPC") };
        assert_eq!(endpoint.to_string(), "https://in:16685");
        assert_eq!(endpoint.path().as_str(), "/jaeger.api_v3.QueryService/GetServices");
        let name = endpoint.tls().unwrap().settings().server_name_override.as_deref();
        assert_eq!(name, Some("jaeger.example"));
    }

    // Scenario: the site names a path of its own for an interface.
    // Guarantee: it is asked for as it is written; a slash more or less is another page.
    #[test]
    fn a_path_is_asked_for_as_it_is_written() {
        for (endpoint, port, path) in [
            ("http://h:1777", 1777, "/debug/pprof/"),
            ("http://h:1777/", 1777, "/debug/pprof/"),
            ("http://h:1777/debug/pprof/", 1777, "/debug/pprof/"),
            ("http://h/debug/pprof", 80, "/debug/pprof"),
            ("https://h/own/", 443, "/own/"),
        ] {
            let target = admin_target("pprof".to_owned(), AdminKind::Pprof, endpoint).unwrap();
            assert_eq!(
                (target.what.address(), target.what.path()),
                (("h", port), path.to_owned()),
                "{endpoint}"
            );
        }
    }
}
