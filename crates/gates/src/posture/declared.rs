//! Interfaces that a configuration opens beside the ones that a site names.

use crossfade_yaml::Node;

use super::facts::AdminKind;

/// An interface and the port that it listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What it is.
    pub kind: AdminKind,
    /// Where it listens: `0.0.0.0:1777`, or what the component listens on by itself.
    pub port: u16,
}

/// The extensions that open one, with the port that is theirs if none is said.
const EXTENSIONS: [(&str, AdminKind, u16); 5] = [
    ("pprof", AdminKind::Pprof, 1777),
    ("zpages", AdminKind::Zpages, 55679),
    ("health_check", AdminKind::Health, 13133),
    ("healthcheckv2", AdminKind::Health, 13133),
    ("expvar", AdminKind::Admin, 27777),
];

/// What a Collector's or a Jaeger's configuration opens: extensions that are enabled under `service.extensions`, and the
/// Prometheus readers of its own metrics. Ports that are no numbers, such as `${env:PORT}`, are passed over.
pub fn listeners(config: &Node) -> Vec<Listener> {
    let enabled = config.at(&["service", "extensions"]).and_then(Node::as_list).into_iter().flatten();
    let mut found: Vec<Listener> = enabled
        .filter_map(|id| {
            let id = id.as_str()?;
            let (_, kind, port) =
                EXTENSIONS.iter().find(|(name, ..)| *name == id.split('/').next().unwrap_or(id))?;
            let settings = config.at(&["extensions", id]);
            let endpoint = settings.and_then(|settings| {
                settings.get("endpoint").or_else(|| settings.at(&["http", "endpoint"]))?.as_str()
            });
            let port = match endpoint {
                None => *port,
                Some(endpoint) => endpoint.rsplit_once(':')?.1.parse().ok()?,
            };
            Some(Listener { kind: *kind, port })
        })
        .collect();
    found.extend(metrics(config));
    found
}

fn metrics(config: &Node) -> Vec<Listener> {
    let Some(metrics) = config.at(&["service", "telemetry", "metrics"]) else { return Vec::new() };
    let kind = AdminKind::Metrics;
    let old = metrics.get("address").and_then(Node::as_str);
    let old = old.and_then(|address| address.rsplit_once(':')?.1.parse().ok());
    let readers = metrics.get("readers").and_then(Node::as_list).into_iter().flatten();
    let readers = readers.filter_map(|reader| {
        let prometheus = reader.at(&["pull", "exporter", "prometheus"])?;
        prometheus.get("port")?.scalar_text()?.parse().ok()
    });
    readers.chain(old).map(|port| Listener { kind, port }).collect()
}
