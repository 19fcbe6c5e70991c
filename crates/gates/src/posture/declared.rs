//! Interfaces that a configuration opens beside the ones that a site names.

use std::net::IpAddr;

use crossfade_yaml::Node;

use super::facts::AdminKind;
use crate::drift::{Version, default_readers, extension_default, extension_kind};

/// An interface that a configuration opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What it is.
    pub kind: AdminKind,
    /// Where that is written, or would be: `extensions.pprof.endpoint`.
    pub path: String,
    /// The port that it listens on; `None` where the configuration alone does not tell: `${env:PORT}`.
    pub port: Option<u16>,
    /// What is called there in gRPC; `None`: HTTP is spoken.
    pub grpc: Option<&'static str>,
    /// Whether TLS is set up there.
    pub tls: bool,
    /// Whether it is bound to the machine itself: from elsewhere nobody gets there.
    pub loopback: bool,
}

/// The port of a Prometheus reader that names none (OpenTelemetry's declarative configuration).
const READER_PORT: u16 = 9464;

/// A question that tells who is let in: an authenticator is asked about methods that there are, and not about others.
const SERVICES: &str = "/jaeger.api_v3.QueryService/GetServices";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// What opens an interface: kind, where its address is written, and the port where the defaults that drift knows say none.
const EXTENSIONS: [(&str, AdminKind, &[&str], u16); 8] = [
    ("pprof", AdminKind::Pprof, &["endpoint"], 1777),
    ("zpages", AdminKind::Zpages, &["endpoint"], 55679),
    ("healthcheck", AdminKind::Health, &["endpoint"], 13133),
    ("healthcheckv2", AdminKind::Health, &["http", "endpoint"], 13133),
    ("healthcheckv2", AdminKind::Health, &["grpc", "endpoint"], 13132),
    ("expvar", AdminKind::Admin, &["endpoint"], 27777),
    ("jaegermcp", AdminKind::Admin, &["http", "endpoint"], 16687),
    ("jaegerquery", AdminKind::Admin, &["grpc", "endpoint"], 16685),
];

/// What a Collector's or a Jaeger's configuration opens: extensions that are enabled under `service.extensions`, and the
/// Prometheus readers of its own metrics, said or by default. `version`: what runs; the newest, if that is not known.
pub fn listeners(config: &Node, version: Option<Version>) -> Vec<Listener> {
    let mut found = Vec::new();
    let list = config.at(&["service", "extensions"]).filter(|list| !list.is_null());
    match list.map(Node::as_list) {
        None => {}
        Some(None) => found.push(unplaced(AdminKind::Admin, "service.extensions")),
        Some(Some(enabled)) => enabled.iter().for_each(|id| extension(config, id, version, &mut found)),
    }
    metrics(config, version, &mut found);
    found
}

fn extension(config: &Node, id: &Node, version: Option<Version>, found: &mut Vec<Listener>) {
    let id = id.as_str().unwrap_or_default().trim();
    if id.contains('$') {
        return found.push(unplaced(AdminKind::Admin, "service.extensions"));
    }
    let kind = extension_kind(id);
    let settings = config.at(&["extensions", id]);
    for (_, admin, keys, usual) in EXTENSIONS.iter().filter(|(name, ..)| *name == kind) {
        // Health checks of the second kind speak each protocol that has a block, and without one HTTP, by the old key.
        let block = |name: &str| settings.is_some_and(|settings| settings.get(name).is_some());
        let is_on = match (kind.as_str(), keys) {
            ("healthcheckv2", ["grpc", ..]) => block("grpc"),
            ("healthcheckv2", _) => block("http") || block("endpoint") || !block("grpc"),
            // A second way to the same traces, on the machine itself unless it is told otherwise; the first is the site's `query`.
            ("jaegerquery", _) => settings.is_some_and(|settings| settings.at(keys).is_some()),
            _ => true,
        };
        if !is_on {
            continue;
        }
        let old_key = || settings?.get("endpoint").filter(|_| keys.first() != Some(&"grpc"));
        let written = settings.and_then(|settings| settings.at(keys)).or_else(old_key);
        let (port, loopback) = match written.filter(|endpoint| !endpoint.is_null()) {
            // A socket in the file system is nobody's but the machine's.
            Some(_) if settings.is_some_and(|settings| on_file_system(settings, keys)) => continue,
            Some(endpoint) => (port_of(endpoint), is_loopback(endpoint)),
            None => extension_default(&kind, keys, version)
                .map_or((Some(*usual), false), |usual| (port_of(&usual), is_loopback(&usual))),
        };
        let path = format!("extensions.{id}.{}", keys.join("."));
        let grpc = match (kind.as_str(), keys) {
            ("jaegerquery", _) => Some(SERVICES),
            (_, ["grpc", ..]) => Some(HEALTH),
            _ => None,
        };
        let block = settings.and_then(|settings| settings.at(&keys[..keys.len() - 1]));
        let tls = block.and_then(|block| block.get("tls")).is_some_and(|tls| !tls.is_null());
        found.push(Listener { kind: *admin, path, port, grpc, tls, loopback });
    }
}

/// A socket in the file system, said beside the address.
fn on_file_system(settings: &Node, keys: &[&str]) -> bool {
    let beside = settings.at(&keys[..keys.len() - 1]).and_then(|block| block.get("transport"));
    let transport = beside.or_else(|| settings.get("transport")).and_then(Node::as_str);
    transport.is_some_and(|transport| transport.starts_with("unix"))
}

fn metrics(config: &Node, version: Option<Version>, found: &mut Vec<Listener>) {
    // Whatever has pipelines is a Collector, and has metrics of its own unless it is told otherwise.
    if config.at(&["service", "pipelines"]).is_none() {
        return;
    }
    let path = "service.telemetry.metrics";
    let telemetry = config.at(&["service", "telemetry"]).filter(|telemetry| !telemetry.is_null());
    let metrics = telemetry.and_then(|telemetry| telemetry.get("metrics")).filter(|node| !node.is_null());
    let opaque = |node: Option<&Node>| node.is_some_and(|node| node.as_map().is_none());
    if opaque(telemetry) || opaque(metrics) {
        return found.push(unplaced(AdminKind::Metrics, path));
    }
    let written =
        |key: &str| metrics.and_then(|metrics| metrics.get(key)).filter(|written| !written.is_null());
    if written("level").and_then(Node::as_str).is_some_and(|level| level.eq_ignore_ascii_case("none")) {
        return;
    }
    let address = written("address");
    if let Some(address) = address {
        let path = format!("{path}.address");
        let (port, loopback) = (port_of(address), is_loopback(address));
        found.push(Listener { kind: AdminKind::Metrics, path, port, grpc: None, tls: false, loopback });
    }
    let path = format!("{path}.readers");
    match (written("readers"), address) {
        (Some(readers), _) => self::readers(readers, &path, found),
        (None, Some(_)) => {}
        (None, None) => self::readers(&default_readers(version), &path, found),
    }
}

fn readers(readers: &Node, path: &str, found: &mut Vec<Listener>) {
    let Some(readers) = readers.as_list() else {
        return found.push(unplaced(AdminKind::Metrics, path));
    };
    for (index, reader) in readers.iter().enumerate() {
        let exporter = reader.at(&["pull", "exporter"]).and_then(Node::as_map);
        let is_prometheus = |name: &str| name.split('/').next() == Some("prometheus");
        for (_, settings) in
            exporter.into_iter().flat_map(|map| map.iter()).filter(|(key, _)| is_prometheus(&key.name))
        {
            let port = match settings.get("port").filter(|port| !port.is_null()) {
                None => Some(READER_PORT),
                Some(port) => port.scalar_text().and_then(|port| port.trim().parse().ok()),
            };
            let path = format!("{path}[{index}]");
            found.push(Listener {
                kind: AdminKind::Metrics,
                path,
                port: port.filter(|port| *port > 0),
                grpc: None,
                tls: false,
                loopback: settings.get("host").and_then(Node::as_str).is_some_and(is_own_machine),
            });
        }
    }
}

/// The port of `0.0.0.0:1777`; `None` if it is no number, or left to the system.
fn port_of(endpoint: &Node) -> Option<u16> {
    let text = endpoint.scalar_text()?;
    text.trim().rsplit_once(':')?.1.parse().ok().filter(|port| *port > 0)
}

/// Whether `localhost:1777` is all that is listened on.
fn is_loopback(endpoint: &Node) -> bool {
    let host = endpoint.as_str().and_then(|text| Some(text.trim().rsplit_once(':')?.0));
    host.is_some_and(|host| is_own_machine(host.trim_matches(['[', ']'])))
}

fn is_own_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn unplaced(kind: AdminKind, path: &str) -> Listener {
    Listener { kind, path: path.to_owned(), port: None, grpc: None, tls: false, loopback: false }
}
