//! Tempo's configuration: flat Go structs with their own words. Its distributor's receivers are the Collector's.

mod filled;

use crossfade_yaml::{Node, parse};

use super::classify::{Role, Subject};
use super::ids::Section;
use super::path::Path;
use super::rules;
use super::secret::is_hidden;
use super::version::{OPEN_IN_TEMPO, Version};
use crate::rule::Rule;

pub(crate) use filled::{is_own, without};

/// Keys that Tempo has at its top. `storage` and `server` are other programs' too.
pub(super) const TOP: [&str; 17] = [
    "distributor",
    "ingester",
    "ingester_client",
    "compactor",
    "querier",
    "query_frontend",
    "metrics_generator",
    "overrides",
    "memberlist",
    "multitenancy_enabled",
    "usage_report",
    "live_store",
    "block_builder",
    "backend_scheduler",
    "backend_worker",
    "stream_over_http_enabled",
    "cache",
];

/// What Tempo assumes where nothing is written (2.x and 3.x alike).
const DEFAULTS: &[(&str, &str)] = &[
    ("target", "all"),
    ("multitenancy_enabled", "false"),
    ("stream_over_http_enabled", "false"),
    ("http_api_prefix", "''"),
    ("server.http_listen_address", "''"),
    ("server.http_listen_port", "3200"),
    ("server.grpc_listen_address", "''"),
    ("server.grpc_listen_port", "9095"),
    ("server.log_level", "info"),
    ("server.log_format", "logfmt"),
    ("server.log_request_headers", "false"),
    ("server.http_server_read_timeout", "30s"),
    ("server.http_server_write_timeout", "30s"),
    ("server.http_server_idle_timeout", "2m"),
    ("server.grpc_server_max_recv_msg_size", "16777216"),
    ("server.grpc_server_max_send_msg_size", "16777216"),
    ("server.grpc_server_max_concurrent_streams", "100"),
    ("distributor.max_attribute_bytes", "2048"),
    ("distributor.log_received_spans.enabled", "false"),
    ("distributor.log_received_spans.include_all_attributes", "false"),
    ("distributor.log_received_spans.filter_by_status_error", "false"),
    ("distributor.log_discarded_spans.enabled", "false"),
    ("distributor.log_discarded_spans.include_all_attributes", "false"),
    ("compactor.compaction.block_retention", "336h"),
    ("compactor.compaction.compacted_block_retention", "1h"),
    ("backend_worker.compaction.block_retention", "336h"),
    ("backend_worker.compaction.compacted_block_retention", "1h"),
    ("backend_scheduler.provider.compaction.compaction.block_retention", "336h"),
    ("overrides.defaults.global.max_bytes_per_trace", "5000000"),
    ("storage.trace.s3.insecure", "false"),
    ("storage.trace.gcs.insecure", "false"),
    ("usage_report.reporting_enabled", "true"),
    ("query_frontend.mcp_server.enabled", "false"),
];

/// Words of what may be asked or sent: without them one tenant or one trace uses up the store.
const LIMITS: [&str; 9] = [
    "max_bytes_per_trace",
    "max_traces_per_user",
    "rate_limit_bytes",
    "burst_size_bytes",
    "rate_strategy",
    "max_bytes_per_tag_values_query",
    "max_blocks_per_tag_values_query",
    "max_search_duration",
    "http_listen_conn_limit",
];

/// Whether a tree is Tempo's configuration.
pub(crate) fn is_tempo(root: &Node) -> bool {
    let known = TOP.iter().filter(|key| root.get(key).is_some()).count();
    let store = root.at(&["storage", "trace"]).is_some();
    root.get("service").is_none() && (known >= 2 || store || root.at(&["distributor", "receivers"]).is_some())
}

/// The receiver that a path leads into, and the path below it.
pub(crate) fn receiver(path: &Path) -> Option<(String, Path)> {
    match path.keys().as_slice() {
        ["distributor", "receivers", kind, ..] => {
            Some((super::ids::Id::read(Section::Receivers, kind).kind, path.below(3)))
        }
        _ => None,
    }
}

/// What an address at `path` is for.
pub(crate) fn role(path: &Path) -> Option<Role> {
    if let Some((kind, below)) = receiver(path) {
        return Subject::Component { section: Section::Receivers, kind: &kind }.address_role(&below);
    }
    let last = path.last_key();
    let listens = last.ends_with("listen_address") || matches!(last, "bind_addr" | "advertise_addr");
    let sends = matches!(last, "endpoint" | "address" | "addresses" | "url" | "host" | "join_members")
        || last.ends_with("_address")
        || last.ends_with("_addr");
    match (listens, sends) {
        (true, _) => Some(Role::Listener),
        (_, true) => Some(Role::Destination),
        _ => None,
    }
}

/// Whether a number is the port of a listener: each side's own.
pub(crate) fn is_port(path: &Path) -> bool {
    let last = path.last_key();
    last.ends_with("listen_port") || matches!(last, "bind_port" | "advertise_port")
}

/// What Tempo assumes at `path`.
pub(crate) fn default(path: &Path, version: Option<Version>) -> Option<Node> {
    let dotted = path.to_string();
    if let Some((kind, below)) = receiver(path) {
        let open = kind == "otlp" && version.is_some_and(|version| version.is_before(2, 7));
        let dotted = below.to_string();
        let former = OPEN_IN_TEMPO.iter().find(|(at, _)| open && *at == dotted);
        return match former {
            Some((_, former)) => Some(value(former)),
            None => super::defaults::component(Section::Receivers, &kind, &below, None),
        };
    }
    DEFAULTS.iter().find(|(at, _)| *at == dotted).map(|(_, text)| value(text))
}

/// The defaults, for a test that writes them all out.
#[cfg(test)]
pub(crate) fn all() -> Vec<(&'static str, Node)> {
    DEFAULTS.iter().map(|(path, text)| (*path, value(text))).collect()
}

fn value(text: &str) -> Node {
    parse(text, "default").expect("the table holds valid YAML; a test reads it all")
}

/// The rule for a difference at `path`; `None`: its words have to tell.
pub(crate) fn rule(path: &Path) -> Option<&'static Rule> {
    let keys = path.keys();
    let last = path.last_key();
    if let Some((kind, below)) = receiver(path) {
        let subject = Subject::Component { section: Section::Receivers, kind: &kind };
        return Some(if below.segments().is_empty() { &rules::LISTENER_ADDED } else { subject.rule(&below) });
    }
    Some(match keys.as_slice() {
        ["multitenancy_enabled" | "auth_enabled"] => &rules::TENANCY,
        [.., "http_tls_config" | "grpc_tls_config"] => &rules::TRANSPORT_ENCRYPTION,
        [.., "http_tls_config" | "grpc_tls_config", key] if key.starts_with("client_") => {
            &rules::CLIENT_CERTIFICATES
        }
        [.., "http_tls_config" | "grpc_tls_config", _] => &rules::TLS_SETTINGS,
        _ if is_hidden(path) => &rules::SECRET_CHANGED,
        [.., "insecure" | "tls_enabled" | "insecure_skip_verify" | "tls_insecure_skip_verify" | "sse"]
        | [.., "sse", _] => &rules::TRANSPORT_ENCRYPTION,
        _ if last.starts_with("tls_") => &rules::TLS_SETTINGS,
        ["distributor", "log_received_spans" | "log_discarded_spans" | "log_received_traces", ..]
        | ["server", "log_request_headers"] => &rules::PAYLOAD_IN_LOGS,
        ["distributor", "forwarders", ..] => &rules::DESTINATION_CHANGED,
        ["query_frontend", "mcp_server", ..] => &rules::DIAGNOSTICS_EXPOSED,
        ["usage_report", ..] => &rules::TELEMETRY_EXPOSED,
        _ if LIMITS.contains(&last) => &rules::REQUEST_LIMITS,
        ["server" | "internal_server", key]
            if key.contains("_server_") && (key.contains("max_") || key.ends_with("timeout")) =>
        {
            &rules::REQUEST_LIMITS
        }
        ["server", key] if key.starts_with("log_") => &rules::TELEMETRY,
        _ if last.contains("retention") || last == "compaction_disabled" => &rules::RETENTION,
        [.., "replication_factor"] => &rules::DELIVERY,
        [
            "storage",
            "trace",
            _,
            "bucket" | "bucket_name" | "container_name" | "storage_account_name" | "prefix" | "region",
        ]
        | ["ingest", "kafka", "topic"]
        | [.., "remote_write"] => &rules::DESTINATION_CHANGED,
        ["storage", "trace", "backend"] | ["storage", "trace"] | ["storage"] => &rules::STORAGE,
        ["storage", "trace", "local" | "wal", ..] => &rules::STORAGE,
        ["metrics_generator", "processor", ..] => &rules::PROCESSING,
        ["metrics_generator" | "overrides", .., "processors" | "dimensions"] => &rules::PROCESSING,
        ["target"] => &rules::PIPELINE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid() {
        assert_eq!(all().len(), DEFAULTS.len());
    }

    #[test]
    fn what_is_tempos() {
        let is = |text: &str| is_tempo(&parse(text, "t").expect("YAML"));
        assert!(is("storage: {trace: {backend: local}}"));
        assert!(is("distributor: {max_attribute_bytes: 1}\ncompactor: {}"));
        assert!(!is("distributor: {max_attribute_bytes: 1}"));
        assert!(!is("receivers: {}\nexporters: {}"));
        assert!(!is("storage: {trace: {}}\nservice: {}"));
    }
}
