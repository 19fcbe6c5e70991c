//! Which rule a differing field falls under.

use crossfade_yaml::Node;

use super::ids::Section;
use super::kinds::is_known;
use super::path::Path;
use super::rules;
use super::secret::{holds_headers, is_hidden};
use super::tempo;
use crate::rule::Rule;

/// Whose field it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    Component {
        section: Section,
        kind: &'a str,
    },
    Service,
    Tempo,
    /// A configuration that is not a Collector's, or a key outside of its sections.
    Other,
}

/// Receivers that others connect to. Any other receiver goes and fetches.
const LISTENING_RECEIVERS: [&str; 33] = [
    "otlp",
    "jaeger",
    "zipkin",
    "opencensus",
    "skywalking",
    "faro",
    "loki",
    "statsd",
    "carbon",
    "collectd",
    "fluentforward",
    "syslog",
    "tcplog",
    "udplog",
    "splunkhec",
    "signalfx",
    "sapm",
    "influxdb",
    "datadog",
    "awsxray",
    "awsfirehose",
    "webhookevent",
    "githubwebhook",
    "prometheusremotewrite",
    "namedpipe",
    "netflow",
    "otelarrow",
    "stef",
    "libhoney",
    "envoyals",
    "cloudflare",
    "github",
    "gitlab",
];

/// Exporters that wait to be asked.
const LISTENING_EXPORTERS: [&str; 1] = ["prometheus"];

/// Extensions that others connect to, beside those that show what is inside and those that hand out strategies.
const LISTENING_EXTENSIONS: [&str; 2] = ["httpforwarder", "awsproxy"];

/// Extensions that show what is inside.
const DIAGNOSTICS: [&str; 8] =
    ["zpages", "pprof", "healthcheck", "healthcheckv2", "jaegerquery", "jaegermcp", "expvar", "remotetap"];

/// Blocks of what listens that say where it connects to itself. What scrapes beside a webhook fetches.
const OUTWARD: [&str; 7] = ["ai", "otlp_proxy", "client", "remote", "egress", "proxy_address", "scrapers"];

/// Extensions that authenticate.
const AUTHENTICATORS: [&str; 10] = [
    "basicauth",
    "bearertokenauth",
    "oauth2client",
    "oidc",
    "sigv4auth",
    "asapclient",
    "googleclientauth",
    "azureauth",
    "opa",
    "cognitoauth",
];

const SAMPLERS: [&str; 5] =
    ["probabilisticsampler", "tailsampling", "adaptivesampling", "remotesampling", "jaegerremotesampling"];

/// Keys of exporters that say where data goes without being an address.
const PLACE_KEYS: [&str; 17] = [
    "topic",
    "project",
    "bucket",
    "s3_bucket",
    "site",
    "realm",
    "region",
    "path",
    "directory",
    "database",
    "dataset",
    "stream_name",
    "log_group_name",
    "log_stream_name",
    "workspace",
    "account",
    "service",
];

/// Keys that hold an address or several.
const ADDRESS_KEYS: [&str; 22] = [
    "endpoint",
    "endpoints",
    "address",
    "addresses",
    "listen_address",
    "host",
    "hostname",
    "hostnames",
    "url",
    "urls",
    "brokers",
    "server_urls",
    "servers",
    "target",
    "traces_endpoint",
    "metrics_endpoint",
    "logs_endpoint",
    "profiles_endpoint",
    "dsn",
    "bootstrap_servers",
    "agent_url",
    "issuer_url",
];

const LIMIT_KEYS: [&str; 10] = [
    "max_recv_msg_size_mib",
    "max_request_body_size",
    "max_concurrent_streams",
    "read_header_timeout",
    "max_header_bytes",
    "keepalive",
    "write_timeout",
    "idle_timeout",
    "max_decompressed_size",
    "max_connections",
];

const CAPACITY_KEYS: [&str; 22] = [
    "timeout",
    "queue_size",
    "num_consumers",
    "send_batch_size",
    "send_batch_max_size",
    "batch",
    "sizer",
    "workers",
    "num_workers",
    "num_traces",
    "read_buffer_size",
    "write_buffer_size",
    "max_idle_conns",
    "max_idle_conns_per_host",
    "idle_conn_timeout",
    "limit_mib",
    "spike_limit_mib",
    "limit_percentage",
    "spike_limit_percentage",
    "check_interval",
    "replicas",
    "shards",
];

const RETENTION_WORDS: [&str; 6] = ["ttl", "retention", "max_traces", "rollover", "max_age", "spans_ttl"];

/// Whether a processor can remove or mask what is in a span.
pub(crate) fn redacts(kind: &str, settings: Option<&Node>) -> bool {
    let removes = |n: &Node| {
        let actions =
            n.get("attributes").or_else(|| n.get("actions")).and_then(Node::as_list).unwrap_or_default();
        actions.iter().any(|a| matches!(a.get("action").and_then(Node::as_str), Some("delete" | "hash")))
    };
    matches!(kind, "redaction" | "attributes" | "transform")
        || (kind == "resource" && settings.is_some_and(removes))
}

pub(crate) fn samples(kind: &str) -> bool {
    SAMPLERS.contains(&kind)
}

pub(crate) fn authenticates(kind: &str) -> bool {
    AUTHENTICATORS.contains(&kind)
}

pub(crate) fn diagnoses(kind: &str) -> bool {
    DIAGNOSTICS.contains(&kind)
}

/// Whether a component, if it runs, guards what is recorded: its place and presence are a matter of security.
pub(crate) fn protects(section: Section, kind: &str, settings: Option<&Node>) -> bool {
    match section {
        Section::Processors => {
            redacts(kind, settings) || samples(kind) || matches!(kind, "filter" | "memorylimiter")
        }
        Section::Extensions => authenticates(kind),
        _ => false,
    }
}

/// Whether others connect to this component.
pub(crate) fn listens(section: Section, kind: &str) -> bool {
    match section {
        Section::Receivers => LISTENING_RECEIVERS.contains(&kind),
        Section::Exporters => LISTENING_EXPORTERS.contains(&kind),
        Section::Extensions => diagnoses(kind) || samples(kind) || LISTENING_EXTENSIONS.contains(&kind),
        // What passes through it can be watched at its own port.
        Section::Processors => kind == "remotetap",
        Section::Connectors => false,
    }
}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Listener,
    Destination,
}

impl Subject<'_> {
    /// Whether the field holds an address, and what for.
    pub(crate) fn address_role(self, path: &Path) -> Option<Role> {
        let keys = path.keys();
        let last = path.last_key();
        let address = match self {
            Self::Tempo => return tempo::role(path),
            // Other programs have other words.
            Self::Other => ["endpoint", "address", "_url", "brokers"].iter().any(|w| last.contains(w)),
            _ => ADDRESS_KEYS.contains(&last),
        };
        if !address {
            return None;
        }
        match self {
            Self::Component { section, kind } if listens(section, kind) => {
                // A proxy or an agent behind a query page is a place to send to, and so is where strategies come from.
                let outward = keys.iter().any(|k| OUTWARD.contains(k));
                Some(if outward { Role::Destination } else { Role::Listener })
            }
            // It may listen, or fetch: neither's leniency is due.
            Self::Component { section: section @ (Section::Receivers | Section::Extensions), kind }
                if !is_known(section, kind) =>
            {
                None
            }
            Self::Component { .. } => Some(Role::Destination),
            Self::Service
                if keys.contains(&"pull") || keys.as_slice() == ["telemetry", "metrics", "address"] =>
            {
                Some(Role::Listener)
            }
            Self::Service if keys.first() == Some(&"telemetry") => Some(Role::Destination),
            Self::Service | Self::Tempo => None,
            Self::Other => {
                let listens =
                    keys.iter().any(|k| k.contains("listen") || matches!(*k, "receivers" | "server"));
                Some(if listens { Role::Listener } else { Role::Destination })
            }
        }
    }

    /// The rule for a difference at `path`.
    pub(crate) fn rule(self, path: &Path) -> &'static Rule {
        let keys = path.keys();
        let has = |word: &str| keys.contains(&word);
        if let Some(rule) = matches!(self, Self::Tempo).then(|| tempo::rule(path)).flatten() {
            return rule;
        }
        if let Some(rule) = general(path, &keys) {
            return rule;
        }
        match self {
            Self::Component { section, kind } => component(section, kind, path, &keys),
            Self::Service if has("telemetry") => telemetry(&keys),
            Self::Service => &rules::SETTING,
            Self::Tempo | Self::Other => match self.address_role(path) {
                Some(Role::Listener) => &rules::LISTENER_EXPOSED,
                Some(Role::Destination) => &rules::DESTINATION_CHANGED,
                None => sized(&keys),
            },
        }
    }
}

/// What a key means wherever it stands.
fn general(path: &Path, keys: &[&str]) -> Option<&'static Rule> {
    let last = path.last_key();
    let has = |word: &str| keys.contains(&word);
    Some(match last {
        "insecure" | "insecure_skip_verify" | "tls" => &rules::TRANSPORT_ENCRYPTION,
        _ if last.starts_with("client_ca") => &rules::CLIENT_CERTIFICATES,
        _ if keys.iter().any(|k| holds_headers(k)) => &rules::REQUEST_HEADERS,
        _ if is_hidden(path) => &rules::SECRET_CHANGED,
        _ if has("tls")
            || matches!(last, "ca_file" | "cert_file" | "key_file" | "min_version" | "cipher_suites") =>
        {
            &rules::TLS_SETTINGS
        }
        _ if has("auth") || last == "authenticator" => &rules::AUTHENTICATION,
        _ if has("cors") => &rules::CORS,
        "include_metadata" | "metadata_keys" | "from_context" => &rules::CLIENT_METADATA,
        "proxy_url" | "http_proxy" | "https_proxy" => &rules::PROXY,
        "max_elapsed_time" | "storage" | "block_on_overflow" | "wait_for_result"
            if has("sending_queue") || has("retry_on_failure") =>
        {
            &rules::DELIVERY
        }
        "enabled" if has("sending_queue") || has("retry_on_failure") => &rules::DELIVERY,
        "sending_queue" | "retry_on_failure" => &rules::DELIVERY,
        _ => return None,
    })
}

fn component(section: Section, kind: &str, path: &Path, keys: &[&str]) -> &'static Rule {
    let subject = Subject::Component { section, kind };
    let last = path.last_key();
    match (section, subject.address_role(path)) {
        (Section::Extensions, Some(Role::Listener)) if diagnoses(kind) => return &rules::DIAGNOSTICS_EXPOSED,
        (_, Some(Role::Listener)) => return &rules::LISTENER_EXPOSED,
        (Section::Exporters | Section::Extensions, Some(Role::Destination)) => {
            return &rules::DESTINATION_CHANGED;
        }
        (Section::Receivers | Section::Extensions, None)
            if ADDRESS_KEYS.contains(&last) && !is_known(section, kind) =>
        {
            return &rules::LISTENER_EXPOSED;
        }
        _ => {}
    }
    let under = keys.iter().any(|k| LIMIT_KEYS.contains(k));
    match section {
        Section::Receivers if keys.len() == 2 && keys.first() == Some(&"protocols") => &rules::LISTENER_ADDED,
        Section::Receivers if under => &rules::REQUEST_LIMITS,
        Section::Exporters if kind == "debug" => &rules::PAYLOAD_IN_LOGS,
        Section::Exporters if PLACE_KEYS.contains(&last) || keys.contains(&"resolver") => {
            &rules::DESTINATION_CHANGED
        }
        Section::Extensions | Section::Exporters
            if kind.starts_with("jaeger") && jaeger(kind, keys).is_some() =>
        {
            jaeger(kind, keys).unwrap_or(&rules::SETTING)
        }
        Section::Extensions if samples(kind) => &rules::SAMPLING,
        Section::Extensions if authenticates(kind) => &rules::AUTHENTICATION,
        Section::Extensions if kind == "headerssetter" => &rules::REQUEST_HEADERS,
        Section::Extensions if diagnoses(kind) && matches!(last, "http" | "grpc" | "mcp") => {
            &rules::DIAGNOSTICS_EXPOSED
        }
        Section::Processors => processor(kind, keys),
        Section::Connectors => match sized(keys) {
            rule if std::ptr::eq(rule, &rules::SETTING) => &rules::PROCESSING,
            rule => rule,
        },
        _ => sized(keys),
    }
}

/// What Jaeger 2's own components say.
fn jaeger(kind: &str, keys: &[&str]) -> Option<&'static Rule> {
    Some(match (kind, keys) {
        ("jaegerquery", ["multi_tenancy", ..]) => &rules::TENANCY,
        ("jaegerquery", ["bearer_token_propagation"]) => &rules::CLIENT_METADATA,
        ("jaegerquery", ["storage", ..]) | ("jaegerstorageexporter", ["trace_storage"]) => &rules::STORAGE,
        ("jaegerquery", ["max_clock_skew_adjust"]) => &rules::PROCESSING,
        ("jaegerstorageexporter", ["queue", ..]) => &rules::DELIVERY,
        ("jaegerstorage", [.., "index_prefix" | "keyspace"]) => &rules::DESTINATION_CHANGED,
        (
            "jaegerstorage",
            [.., "directories", _] | [.., "ephemeral"] | ["backends" | "trace_backends", _],
        ) => &rules::STORAGE,
        _ => return None,
    })
}

fn processor(kind: &str, keys: &[&str]) -> &'static Rule {
    match kind {
        _ if redacts(kind, None) => &rules::REDACTION_CHANGED,
        // How many traces wait, and how long, decides what is kept too.
        _ if samples(kind) => &rules::SAMPLING,
        "filter" => &rules::FILTER,
        "batch" | "memorylimiter" => sized(keys),
        _ => &rules::PROCESSING,
    }
}

fn telemetry(keys: &[&str]) -> &'static Rule {
    let exposed = ["host", "port", "endpoint", "address", "readers", "processors", "exporter", "exporters"];
    if keys.iter().any(|k| exposed.contains(k)) { &rules::TELEMETRY_EXPOSED } else { &rules::TELEMETRY }
}

/// What a key's words tell, where nothing else does.
fn sized(keys: &[&str]) -> &'static Rule {
    let Some(last) = keys.last() else { return &rules::SETTING };
    if RETENTION_WORDS.iter().any(|w| last.contains(w)) || keys.contains(&"ttl") {
        return &rules::RETENTION;
    }
    let word = ["max_", "_max", "limit", "_size", "_bytes", "_mib"].iter().any(|w| last.contains(w));
    if word || keys.iter().any(|k| CAPACITY_KEYS.contains(k)) { &rules::CAPACITY } else { &rules::SETTING }
}
