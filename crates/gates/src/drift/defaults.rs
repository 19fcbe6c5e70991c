//! What the Collector assumes where nothing is written.
//!
//! Taken from the components' `createDefaultConfig` and READMEs (Collector 0.158, Jaeger 2). A default that is missing here
//! costs a declaration when one side writes it out; a wrong one would hide a difference, so only certain ones are listed.

use crossfade_yaml::{Node, parse};

use super::ids::Section;
use super::path::Path;
use super::version::{FORMER, FORMER_READERS, Former, Version};

/// Kind (without underscores; `*` for any), path, value as YAML.
type Row = (&'static str, &'static str, &'static str);

const RECEIVERS: &[Row] = &[
    ("otlp", "protocols.grpc.endpoint", "localhost:4317"),
    ("otlp", "protocols.grpc.transport", "tcp"),
    ("otlp", "protocols.grpc.read_buffer_size", "524288"),
    ("otlp", "protocols.grpc.max_recv_msg_size_mib", "0"),
    ("otlp", "protocols.grpc.max_concurrent_streams", "0"),
    ("otlp", "protocols.grpc.include_metadata", "false"),
    ("otlp", "protocols.http.endpoint", "localhost:4318"),
    ("otlp", "protocols.http.traces_url_path", "/v1/traces"),
    ("otlp", "protocols.http.metrics_url_path", "/v1/metrics"),
    ("otlp", "protocols.http.logs_url_path", "/v1/logs"),
    ("otlp", "protocols.http.include_metadata", "false"),
    ("otlp", "protocols.http.max_request_body_size", "20971520"),
    ("otlp", "protocols.http.transport", "tcp"),
    ("otlp", "protocols.http.keep_alives_enabled", "true"),
    ("otlp", "protocols.http.idle_timeout", "0s"),
    ("otlp", "protocols.http.read_header_timeout", "0s"),
    ("otlp", "protocols.http.write_timeout", "0s"),
    ("jaeger", "protocols.grpc.endpoint", "localhost:14250"),
    ("jaeger", "protocols.thrift_http.endpoint", "localhost:14268"),
    ("jaeger", "protocols.thrift_compact.endpoint", "localhost:6831"),
    ("jaeger", "protocols.thrift_binary.endpoint", "localhost:6832"),
    ("jaeger", "protocols.grpc.max_recv_msg_size_mib", "0"),
    ("zipkin", "endpoint", "localhost:9411"),
    ("zipkin", "parse_string_tags", "false"),
];

const PROCESSORS: &[Row] = &[
    ("batch", "timeout", "200ms"),
    ("batch", "send_batch_size", "8192"),
    ("batch", "send_batch_max_size", "0"),
    ("batch", "metadata_keys", "[]"),
    ("batch", "metadata_cardinality_limit", "1000"),
    ("memorylimiter", "limit_mib", "0"),
    ("memorylimiter", "spike_limit_mib", "0"),
    ("memorylimiter", "limit_percentage", "0"),
    ("memorylimiter", "spike_limit_percentage", "0"),
    ("memorylimiter", "min_gc_interval_when_soft_limited", "10s"),
    ("memorylimiter", "min_gc_interval_when_hard_limited", "0s"),
    ("memorylimiter", "max_gc_interval_when_soft_limited", "30s"),
    ("memorylimiter", "max_gc_interval_when_hard_limited", "30s"),
    ("probabilisticsampler", "hash_seed", "0"),
    ("probabilisticsampler", "attribute_source", "traceID"),
    ("probabilisticsampler", "fail_closed", "true"),
    ("probabilisticsampler", "sampling_precision", "4"),
    ("tailsampling", "decision_wait", "30s"),
    ("tailsampling", "num_traces", "50000"),
    ("tailsampling", "expected_new_traces_per_sec", "0"),
    ("filter", "error_mode", "ignore"),
    ("transform", "error_mode", "ignore"),
    ("redaction", "allow_all_keys", "false"),
];

const EXPORTERS: &[Row] = &[
    ("otlp", "timeout", "5s"),
    ("otlp", "compression", "gzip"),
    ("otlp", "balancer_name", "round_robin"),
    ("otlp", "wait_for_ready", "false"),
    ("otlp", "read_buffer_size", "0"),
    ("otlp", "write_buffer_size", "524288"),
    ("otlphttp", "timeout", "30s"),
    ("otlphttp", "compression", "gzip"),
    ("otlphttp", "encoding", "proto"),
    ("otlphttp", "read_buffer_size", "0"),
    ("otlphttp", "write_buffer_size", "524288"),
    ("otlphttp", "max_idle_conns", "100"),
    ("otlphttp", "idle_conn_timeout", "90s"),
    ("otlphttp", "force_attempt_http2", "true"),
    ("otlphttp", "traces_endpoint", "''"),
    ("otlphttp", "metrics_endpoint", "''"),
    ("otlphttp", "logs_endpoint", "''"),
    ("otlphttp", "profiles_endpoint", "''"),
    ("debug", "verbosity", "basic"),
    ("debug", "sampling_initial", "2"),
    ("debug", "sampling_thereafter", "1"),
    ("debug", "use_internal_logger", "true"),
    ("debug", "output_paths", "[]"),
];

/// Exporters whose queue and retries are on by default (exporterhelper's defaults).
const QUEUED: [&str; 3] = ["otlp", "otlphttp", "kafka"];

const QUEUE_AND_RETRY: &[(&str, &str)] = &[
    ("sending_queue.enabled", "true"),
    ("sending_queue.num_consumers", "10"),
    ("sending_queue.queue_size", "1000"),
    ("sending_queue.sizer", "requests"),
    ("sending_queue.block_on_overflow", "false"),
    ("sending_queue.wait_for_result", "false"),
    ("sending_queue.batch.flush_timeout", "200ms"),
    ("sending_queue.batch.min_size", "8192"),
    ("retry_on_failure.enabled", "true"),
    ("retry_on_failure.initial_interval", "5s"),
    ("retry_on_failure.randomization_factor", "0.5"),
    ("retry_on_failure.multiplier", "1.5"),
    ("retry_on_failure.max_interval", "30s"),
    ("retry_on_failure.max_elapsed_time", "5m"),
];

const CONNECTORS: &[Row] = &[
    ("spanmetrics", "metrics_flush_interval", "60s"),
    ("spanmetrics", "aggregation_temporality", "AGGREGATION_TEMPORALITY_CUMULATIVE"),
    ("spanmetrics", "namespace", "traces.span.metrics"),
    ("spanmetrics", "histogram.disable", "false"),
    ("spanmetrics", "histogram.unit", "ms"),
];

const EXTENSIONS: &[Row] = &[
    ("healthcheck", "endpoint", "localhost:13133"),
    ("healthcheck", "path", "/"),
    ("healthcheckv2", "use_v2", "false"),
    ("healthcheckv2", "http.endpoint", "localhost:13133"),
    ("healthcheckv2", "grpc.endpoint", "localhost:13132"),
    ("zpages", "endpoint", "localhost:55679"),
    ("pprof", "endpoint", "localhost:1777"),
    ("pprof", "block_profile_fraction", "0"),
    ("pprof", "mutex_profile_fraction", "0"),
    ("jaegerquery", "max_clock_skew_adjust", "0s"),
];

const SERVICE: &[(&str, &str)] = &[
    ("telemetry.logs.level", "info"),
    ("telemetry.logs.encoding", "console"),
    ("telemetry.logs.development", "false"),
    ("telemetry.logs.disable_caller", "false"),
    ("telemetry.logs.disable_stacktrace", "false"),
    ("telemetry.logs.output_paths", "[stderr]"),
    ("telemetry.logs.error_output_paths", "[stderr]"),
    ("telemetry.logs.sampling.enabled", "true"),
    ("telemetry.logs.sampling.tick", "10s"),
    ("telemetry.logs.sampling.initial", "10"),
    ("telemetry.logs.sampling.thereafter", "100"),
    ("telemetry.metrics.level", "normal"),
    ("telemetry.metrics.readers", "[{pull: {exporter: {prometheus: {host: localhost, port: 8888}}}}]"),
    ("telemetry.traces.level", "basic"),
];

/// Client TLS where no block says what an empty one does ([`client_tls`]): encrypted and checked unless said otherwise.
const CLIENT_TLS: [(&str, &str); 3] =
    [("insecure", "false"), ("insecure_skip_verify", "false"), ("include_system_ca_certs_pool", "false")];

/// Exporters whose `tls` is that of the Collector's own gRPC or HTTP client (configgrpc, confighttp). For others (Kafka, Pulsar,
/// RabbitMQ, Redis, MongoDB) no block means plain text, and so it does wherever nothing certain is known.
const CLIENTS: [&str; 6] =
    ["otlp", "otlphttp", "zipkin", "splunkhec", "prometheusremotewrite", "elasticsearch"];

/// Exporters that have no queue unless it is written.
const UNQUEUED: [&str; 2] = ["debug", "loadbalancing"];

/// Blocks in which nothing written means the defaults, whether the block is there or not. `sizer` is a word, which a Collector that
/// prints its configuration writes as an empty block.
const OPTIONAL_BLOCKS: [&str; 6] =
    ["sending_queue", "retry_on_failure", "keepalive", "server_parameters", "enforcement_policy", "sizer"];

/// The value that a component has at `path` where nothing is written.
pub(crate) fn component(section: Section, kind: &str, path: &Path, version: Option<Version>) -> Option<Node> {
    let keys = path.keys();
    if keys.len() != path.segments().len() {
        return None;
    }
    let dotted = keys.join(".");
    if let Some(version) = version {
        let row = |row: &&Former| {
            row.section == section
                && row.kind == kind
                && row.path == dotted
                && version.is_collector_before(row.until)
        };
        if let Some(former) = FORMER.iter().find(row) {
            return former.value.map(value);
        }
    }
    let table = match section {
        Section::Receivers => RECEIVERS,
        Section::Processors => PROCESSORS,
        Section::Exporters => EXPORTERS,
        Section::Connectors => CONNECTORS,
        Section::Extensions => EXTENSIONS,
    };
    let own = table.iter().find(|(k, p, _)| *k == kind && *p == dotted).map(|(_, _, v)| *v);
    let queue = || {
        let queued = section == Section::Exporters && QUEUED.contains(&kind);
        QUEUE_AND_RETRY.iter().find(|(p, _)| queued && *p == dotted).map(|(_, v)| *v)
    };
    let tls = || match keys.as_slice() {
        [above @ .., "tls", last] if client_tls(section, kind, above) => {
            CLIENT_TLS.iter().find(|(k, _)| k == last).map(|(_, v)| *v)
        }
        _ => None,
    };
    own.or_else(queue).or_else(tls).map(value)
}

/// The value that `service` has at `path` where nothing is written.
pub(crate) fn service(path: &Path, version: Option<Version>) -> Option<Node> {
    let dotted = path.to_string();
    let (until, readers) = FORMER_READERS;
    if dotted == "telemetry.metrics.readers"
        && version.is_some_and(|version| version.is_collector_before(until))
    {
        return Some(value(readers));
    }
    SERVICE.iter().find(|(p, _)| *p == dotted).map(|(_, v)| value(v))
}

/// Whether no `tls` below `above` says what an empty one does.
pub(crate) fn client_tls(section: Section, kind: &str, above: &[&str]) -> bool {
    match (section, kind, above) {
        (Section::Exporters, "loadbalancing", ["protocol", "otlp"]) => true,
        (Section::Exporters, kind, []) => CLIENTS.contains(&kind),
        // ClickHouse's is plain text without.
        (Section::Extensions, "jaegerstorage", above) => {
            above.iter().any(|key| matches!(*key, "elasticsearch" | "opensearch" | "cassandra" | "grpc"))
        }
        _ => false,
    }
}

/// Whether an empty block at `path` says the same as none.
pub(crate) fn empty_is_absent(section: Section, kind: &str, path: &Path) -> bool {
    match path.keys().as_slice() {
        [above @ .., "tls"] => client_tls(section, kind, above),
        [.., "sending_queue"] if UNQUEUED.contains(&kind) => false,
        _ => OPTIONAL_BLOCKS.contains(&path.last_key()),
    }
}

/// Whether every list of a component is empty unless it is written.
pub(crate) fn lists_begin_empty(section: Section, kind: &str) -> bool {
    section == Section::Processors && matches!(kind, "filter" | "transform" | "redaction")
}

/// Every default of a component that has no settings yet, as path and value; for tests that write them all out.
#[cfg(test)]
pub(crate) fn all_of(section: Section, kind: &str) -> Vec<(String, Node)> {
    let table = match section {
        Section::Receivers => RECEIVERS,
        Section::Processors => PROCESSORS,
        Section::Exporters => EXPORTERS,
        Section::Connectors => CONNECTORS,
        Section::Extensions => EXTENSIONS,
    };
    let own = table.iter().filter(|(k, _, _)| *k == kind).map(|(_, p, v)| ((*p).to_owned(), value(v)));
    let queued = section == Section::Exporters && QUEUED.contains(&kind);
    let queue = QUEUE_AND_RETRY.iter().filter(|_| queued).map(|(p, v)| ((*p).to_owned(), value(v)));
    own.chain(queue).collect()
}

#[cfg(test)]
pub(crate) fn all_of_service() -> Vec<(String, Node)> {
    SERVICE.iter().map(|(p, v)| ((*p).to_owned(), value(v))).collect()
}

fn value(text: &str) -> Node {
    parse(text, "default").expect("the tables hold valid YAML; a test reads them all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid() {
        for table in [RECEIVERS, PROCESSORS, EXPORTERS, CONNECTORS, EXTENSIONS] {
            table.iter().for_each(|(_, _, v)| drop(value(v)));
        }
        SERVICE.iter().chain(QUEUE_AND_RETRY).chain(&CLIENT_TLS).for_each(|(_, v)| drop(value(v)));
    }

    #[test]
    fn defaults_are_found_by_path() {
        let at = |path: &[&str]| {
            component(Section::Exporters, "otlp", &Path::of(path), None).map(|n| n.scalar_text())
        };
        assert_eq!(at(&["timeout"]), Some(Some("5s".to_owned())));
        assert_eq!(at(&["sending_queue", "queue_size"]), Some(Some("1000".to_owned())));
        assert_eq!(at(&["tls", "insecure"]), Some(Some("false".to_owned())));
        assert_eq!(at(&["endpoint"]), None);
        let server =
            component(Section::Receivers, "otlp", &Path::of(&["protocols", "grpc", "tls", "insecure"]), None);
        assert_eq!(server, None);
    }
}
