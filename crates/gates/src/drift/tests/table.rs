//! The labelled table: one change each, over configurations of four kinds. Every one has to be found, with its class, and
//! nothing else may be said.

use super::table_bases::{BROKERS, GATEWAY, JAEGER, SIGNALS, TEMPO};
use super::*;
use crate::drift::Class::{self, Behaviour, Capacity, Cosmetic, Data, Security};

/// What is changed, in which base, from what to what, and the rules that it falls under; the first has the class.
type Mutation = (&'static str, &'static str, &'static str, &'static str, Class, &'static [&'static str]);

#[rustfmt::skip] // One line each: it is a table.
const MUTATIONS: &[Mutation] = &[
    // Who can reach what.
    ("gRPC opened", BASE, "localhost:4317", "0.0.0.0:4317", Security, &["listener_exposed"]),
    ("gRPC opened, by an empty host", BASE, "endpoint: localhost:4317", "endpoint: \":4317\"", Security, &["listener_exposed"]),
    ("HTTP opened over IPv6", BASE, "endpoint: localhost:4318", "endpoint: \"[::]:4318\"", Security, &["listener_exposed"]),
    ("Prometheus exporter opened", GATEWAY, "localhost:8889", "0.0.0.0:8889", Security, &["listener_exposed"]),
    ("HTTP receiver gone", GATEWAY, "      http: {endpoint: 0.0.0.0:4318}\n", "", Security, &["listener_added"]),
    ("zpages opened", BASE, "localhost:55679", "0.0.0.0:55679", Security, &["diagnostics_exposed"]),
    ("health check opened", BASE, "localhost:13133", "0.0.0.0:13133", Security, &["diagnostics_exposed"]),
    ("pprof opened", GATEWAY, "localhost:1777", "10.0.0.5:1777", Security, &["diagnostics_exposed"]),
    ("pprof enabled", BASE, "zpages, health_check]", "zpages, health_check, pprof/x]", Security, &["diagnostics_exposed", "undefined_component"]),
    ("query page opened", JAEGER, "localhost:16686", "0.0.0.0:16686", Security, &["diagnostics_exposed"]),
    ("query gRPC opened", JAEGER, "localhost:16685", "0.0.0.0:16685", Security, &["diagnostics_exposed"]),
    ("Arrow receiver moved", SIGNALS, "endpoint: localhost:4319", "endpoint: green-collector:4319", Security, &["listener_exposed"]),
    ("forwarder opened", SIGNALS, "endpoint: localhost:7070", "endpoint: 0.0.0.0:7070", Security, &["listener_exposed"]),
    ("forwarder sends elsewhere", SIGNALS, "http://inner:8080", "http://other:8080", Security, &["destination_changed"]),
    ("tap opened", SIGNALS, "endpoint: localhost:12001", "endpoint: 0.0.0.0:12001", Security, &["listener_exposed"]),
    ("strategies from elsewhere", SIGNALS, "endpoint: strategies:14250", "endpoint: localhost:14250", Security, &["destination_changed"]),
    ("listener of an unknown kind", SIGNALS, "endpoint: localhost:9000", "endpoint: 0.0.0.0:9000", Security, &["listener_exposed"]),
    ("Tempo's receiver opened", TEMPO, "localhost:4317", "0.0.0.0:4317", Security, &["listener_exposed"]),
    ("Tempo's API opened", TEMPO, "http_listen_address: 127.0.0.1", "http_listen_address: 0.0.0.0", Security, &["listener_exposed"]),
    ("Tempo's second receiver", TEMPO, "    otlp:\n", "    zipkin: {endpoint: localhost:9411}\n    otlp:\n", Security, &["listener_added"]),
    ("Tempo's HTTP receiver, by its name alone", TEMPO, "        grpc: {endpoint: localhost:4317}\n", "        grpc: {endpoint: localhost:4317}\n        http:\n", Security, &["listener_added"]),
    ("Tempo's receiver without settings gone", TEMPO, "    opencensus:\n", "", Security, &["listener_added"]),
    ("Tempo's Zipkin receiver, by its name alone", TEMPO, "    opencensus:\n", "    opencensus:\n    zipkin:\n", Security, &["listener_added"]),
    ("Tempo's MCP server", TEMPO, "query_frontend:\n", "query_frontend:\n  mcp_server: {enabled: true}\n", Security, &["diagnostics_exposed"]),
    // Encryption and identity.
    ("server TLS gone", GATEWAY, "        tls: {cert_file: /c, key_file: /k, client_ca_file: /ca, min_version: \"1.2\"}\n", "", Security, &["transport_encryption"]),
    ("exporter in plain text", BASE, "endpoint: tempo.trace.svc:4317", "endpoint: tempo.trace.svc:4317\n    tls: {insecure: true}", Security, &["transport_encryption"]),
    ("certificate unchecked", BASE, "endpoint: tempo.trace.svc:4317", "endpoint: tempo.trace.svc:4317\n    tls: {insecure_skip_verify: true}", Security, &["transport_encryption"]),
    ("https to http", GATEWAY, "https://archive.svc:4318", "http://archive.svc:4318", Security, &["transport_encryption"]),
    ("Tempo's server TLS gone", TEMPO, "  http_tls_config: {cert_file: /c, key_file: /k, client_auth_type: RequireAndVerifyClientCert, client_ca_file: /ca}\n", "", Security, &["client_certificates"]),
    ("Tempo takes any client", TEMPO, "RequireAndVerifyClientCert", "NoClientCert", Security, &["client_certificates"]),
    ("Tempo's store in plain text", TEMPO, "insecure: false", "insecure: true", Security, &["transport_encryption"]),
    ("Tempo's TLS version", TEMPO, "tls_min_version: VersionTLS13", "tls_min_version: VersionTLS10", Security, &["tls_settings"]),
    ("client CA gone", GATEWAY, ", client_ca_file: /ca", "", Security, &["client_certificates"]),
    ("TLS 1.0", GATEWAY, "min_version: \"1.2\"", "min_version: \"1.0\"", Security, &["tls_settings"]),
    ("weak cipher", GATEWAY, "min_version: \"1.2\"", "min_version: \"1.2\", cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]", Security, &["tls_settings"]),
    ("insecure ciphers allowed", GATEWAY, "min_version: \"1.2\"", "min_version: \"1.2\", include_insecure_cipher_suites: true", Security, &["tls_settings"]),
    ("authenticator gone", BASE, "        auth:\n          authenticator: basicauth/server\n", "", Security, &["authentication"]),
    ("authenticator not enabled", BASE, "extensions: [basicauth/server, file", "extensions: [file", Security, &["authentication"]),
    ("authenticator of another name", BASE, "authenticator: basicauth/server", "authenticator: basicauth/none", Security, &["authentication"]),
    ("Kafka's mechanism", GATEWAY, "SCRAM-SHA-512", "PLAIN", Security, &["authentication"]),
    ("Kafka's password", GATEWAY, "password: hunter2", "password: hunter3", Security, &["secret_changed"]),
    ("store's password", JAEGER, "password: hunter2", "password: hunter3", Security, &["secret_changed"]),
    ("Tempo's store key", TEMPO, "secret_key: hunter2", "secret_key: hunter3", Security, &["secret_changed"]),
    ("Kafka's TLS gone", BROKERS, "    tls: {insecure: false}\n    traces", "    traces", Security, &["transport_encryption"]),
    ("Kafka's empty TLS gone", BROKERS, "traces: {topic: other}, tls: {}", "traces: {topic: other}", Security, &["transport_encryption"]),
    ("AMQP in plain text", BROKERS, "amqps://rabbit:5671", "amqp://rabbit:5671", Security, &["transport_encryption"]),
    ("Pulsar in plain text", BROKERS, "pulsar+ssl://pulsar:6651", "pulsar://pulsar:6651", Security, &["transport_encryption"]),
    ("another protocol at the same port", BROKERS, "tcp://click:9000", "clickhouse://click:9000", Security, &["destination_changed"]),
    ("store's list in plain text", JAEGER, "https://es-b:9200", "http://es-b:9200", Security, &["transport_encryption"]),
    ("another path in a store's list", JAEGER, "https://es-b:9200", "https://es-b:9200/other", Security, &["destination_changed"]),
    ("credentials in an address gone", BROKERS, "https://writer:hunter2@tempo:4318", "https://tempo:4318", Security, &["authentication"]),
    ("credentials in an address added", BROKERS, "https://plain:4318", "https://writer:hunter2@plain:4318", Security, &["authentication"]),
    ("another user in an address", BROKERS, "https://writer:hunter2@tempo:4318", "https://admin:hunter3@tempo:4318", Security, &["secret_changed"]),
    ("another key in a DSN", BROKERS, "https://k1@sentry.io/42", "https://k2@sentry.io/42", Security, &["secret_changed"]),
    ("no credentials in a list", JAEGER, "https://w:hunter2@es-c:9200", "https://es-c:9200", Security, &["authentication"]),
    // What a client may do.
    ("CORS for all", BASE, "[\"https://app.example\"]", "[\"*\"]", Security, &["cors"]),
    ("CORS headers", BASE, "[\"https://app.example\"]", "[\"https://app.example\"]\n          allowed_headers: [\"*\"]", Security, &["cors"]),
    ("metadata dropped", BASE, "include_metadata: true", "include_metadata: false", Security, &["client_metadata"]),
    ("message size", BASE, "max_recv_msg_size_mib: 16", "max_recv_msg_size_mib: 0", Security, &["request_limits"]),
    ("Tempo's message size", TEMPO, "grpc_server_max_recv_msg_size: 4194304", "grpc_server_max_recv_msg_size: 1073741824", Security, &["request_limits"]),
    ("Tempo's ingestion limit gone", TEMPO, "      rate_limit_bytes: 16000000\n", "", Security, &["request_limits"]),
    ("Tempo's trace limit", TEMPO, "max_bytes_per_trace: 1000000", "max_bytes_per_trace: 0", Security, &["request_limits"]),
    ("Tempo without tenants", TEMPO, "multitenancy_enabled: true", "multitenancy_enabled: false", Security, &["tenant_separation"]),
    ("Jaeger without tenants", JAEGER, "enabled: true", "enabled: false", Security, &["tenant_separation"]),
    ("Jaeger's tenant header", JAEGER, "header: x-tenant", "header: x-other", Security, &["tenant_separation"]),
    ("Jaeger passes tokens on", JAEGER, "    storage:", "    bearer_token_propagation: true\n    storage:", Security, &["client_metadata"]),
    // Where data goes.
    ("exporter elsewhere", BASE, "tempo.trace.svc:4317", "collect.vendor.example:4317", Security, &["destination_changed"]),
    ("Kafka topic", GATEWAY, "topic: spans", "topic: other", Security, &["destination_changed"]),
    ("Kafka brokers", GATEWAY, "[k1:9092, k2:9092]", "[k1:9092, evil:9092]", Security, &["destination_changed"]),
    ("store elsewhere", JAEGER, "http://es:9200", "http://es.vendor.example:9200", Security, &["destination_changed"]),
    ("store's index", JAEGER, "index_prefix: prod", "index_prefix: test", Security, &["destination_changed"]),
    ("Tempo's bucket", TEMPO, "bucket: traces", "bucket: traces-test", Security, &["destination_changed"]),
    ("Tempo's store elsewhere", TEMPO, "endpoint: s3.internal", "endpoint: s3.vendor.example", Security, &["destination_changed"]),
    ("Tempo's metrics elsewhere", TEMPO, "http://prometheus:9090/api/v1/write", "http://vendor.example/write", Security, &["destination_changed"]),
    ("Tempo forwards", TEMPO, "distributor:\n", "distributor:\n  forwarders: [{name: a, backend: otlpgrpc}]\n", Security, &["destination_changed"]),
    ("Tempo reports usage", TEMPO, "reporting_enabled: false", "reporting_enabled: true", Security, &["telemetry_exposed"]),
    ("second exporter", GATEWAY, "exporters: [kafka, otlp_http/archive]", "exporters: [kafka, otlp_http/archive, otlp_http/new]", Security, &["exporter_added", "undefined_component"]),
    ("exporter gone", GATEWAY, "exporters: [kafka, otlp_http/archive]", "exporters: [kafka]", Data, &["exporter_removed"]),
    ("header changed", GATEWAY, "x-team: obs", "x-team: none", Security, &["request_headers"]),
    ("tenant header", BASE, "x-scope-orgid: shop", "x-scope-orgid: test", Security, &["request_headers"]),
    ("proxy", BASE, "http://proxy:3128", "http://other:3128", Security, &["proxy"]),
    ("debug prints payloads", BASE, "verbosity: basic", "verbosity: detailed", Security, &["payload_in_logs"]),
    ("Tempo logs spans", TEMPO, "distributor:\n", "distributor:\n  log_received_spans: {enabled: true, include_all_attributes: true}\n", Security, &["payload_in_logs"]),
    ("Tempo logs headers", TEMPO, "  log_level: info\n", "  log_level: info\n  log_request_headers: true\n", Security, &["payload_in_logs"]),
    // Redaction.
    ("redaction gone", BASE, "redaction/pan, attributes/mail,", "attributes/mail,", Security, &["redaction_removed"]),
    ("redaction gone before a connector", GATEWAY, "[memory_limiter, redaction, transform/scrub]", "[memory_limiter, transform/scrub]", Security, &["redaction_removed"]),
    ("redaction behind the batch", BASE, "redaction/pan, attributes/mail, filter/health, probabilistic_sampler, resource/env, batch", "attributes/mail, filter/health, probabilistic_sampler, resource/env, batch, redaction/pan", Security, &["redaction_moved"]),
    ("redaction past metrics to the same exporter", SIGNALS, "    metrics:", "    traces/raw: {receivers: [otlp], exporters: [otlp]}\n    metrics:", Security, &["redaction_removed", "exporter_added", "pipeline_differs"]),
    ("redaction in one pipeline only", GATEWAY, "  pipelines:\n", "  pipelines:\n    traces/raw: {receivers: [otlp], exporters: [kafka]}\n", Security, &["redaction_removed", "exporter_added", "pipeline_differs"]),
    ("redaction behind the branch", GATEWAY, "exporters: [forward, spanmetrics]", "exporters: [forward, spanmetrics, kafka]", Security, &["sampling_changed", "exporter_added"]),
    ("redaction moved behind a connector", GATEWAY, "redaction, transform/scrub]\n      exporters: [forward, spanmetrics]\n    traces/out:\n      receivers: [forward]\n      processors: [tail_sampling", "transform/scrub]\n      exporters: [forward, spanmetrics]\n    traces/out:\n      receivers: [forward]\n      processors: [redaction, tail_sampling", Security, &["redaction_removed", "redaction_changed"]),
    ("redaction pattern", GATEWAY, "4[0-9]{12}", "9[0-9]{12}", Security, &["redaction_changed"]),
    ("redaction action", BASE, "key: user.email, action: delete", "key: user.email, action: hash", Security, &["redaction_changed"]),
    ("scrub statement", GATEWAY, "delete_key(span.attributes, \\\"user.email\\\")", "delete_key(span.attributes, \\\"none\\\")", Security, &["redaction_changed"]),
    ("everything allowed", GATEWAY, "allow_all_keys: false", "allow_all_keys: true", Security, &["redaction_changed"]),
    ("redaction defined and unused", BASE, "processors:\n  memory", "processors:\n  redaction/new: {allow_all_keys: false}\n  memory", Security, &["unused_protection"]),
    // Blind spots.
    ("sampling rate", BASE, "sampling_percentage: 20", "sampling_percentage: 1", Security, &["sampling_changed"]),
    ("tail sampling rate", GATEWAY, "sampling_percentage: 10", "sampling_percentage: 1", Security, &["sampling_changed"]),
    ("tail sampling policy gone", GATEWAY, "      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}\n", "", Security, &["sampling_changed"]),
    ("tail sampling waits less", GATEWAY, "decision_wait: 10s", "decision_wait: 1s", Security, &["sampling_changed"]),
    ("sampler gone", GATEWAY, "processors: [tail_sampling, batch]", "processors: [batch]", Security, &["sampling_changed"]),
    ("sampler behind the batch", GATEWAY, "processors: [tail_sampling, batch]", "processors: [batch, tail_sampling]", Security, &["protection_moved"]),
    ("strategies of remote sampling", JAEGER, "default_sampling_probability: 0.5", "default_sampling_probability: 0.01", Security, &["sampling_changed"]),
    ("filter condition", BASE, "name == \"health\"", "kind == 3", Security, &["filter_changed"]),
    ("filter gone", BASE, "filter/health, probabilistic_sampler,", "probabilistic_sampler,", Security, &["filter_changed"]),
    ("pipeline gone", GATEWAY, "    metrics:\n      receivers: [spanmetrics]\n      processors: [batch]\n      exporters: [prometheus]\n", "", Data, &["pipeline_differs"]),
    ("receiver gone", JAEGER, "receivers: [otlp, jaeger]", "receivers: [otlp]", Data, &["receiver_differs"]),
    ("connector gone", GATEWAY, "exporters: [forward, spanmetrics]", "exporters: [forward]", Data, &["processing_changed"]),
    // Loss.
    ("queue in memory", BASE, "sending_queue: {storage: file_storage/queue}", "sending_queue: {}", Security, &["delivery_guarantee"]),
    ("queue off", BASE, "{storage: file_storage/queue}", "{storage: file_storage/queue, enabled: false}", Security, &["delivery_guarantee"]),
    ("retries end", BASE, "max_elapsed_time: 0", "max_elapsed_time: 10s", Security, &["delivery_guarantee"]),
    ("retries off", GATEWAY, "retry_on_failure: {enabled: true}", "retry_on_failure: {enabled: false}", Security, &["delivery_guarantee"]),
    ("one replica in Tempo", TEMPO, "replication_factor: 3", "replication_factor: 1", Security, &["delivery_guarantee"]),
    ("memory limiter gone", GATEWAY, "[memory_limiter, redaction,", "[redaction,", Security, &["memory_limiter"]),
    ("memory limiter not first", GATEWAY, "[memory_limiter, redaction,", "[redaction, memory_limiter,", Security, &["memory_limiter"]),
    ("queue size", BASE, "{storage: file_storage/queue}", "{storage: file_storage/queue, queue_size: 10}", Capacity, &["capacity_changed"]),
    ("queue in batches", BASE, "{storage: file_storage/queue}", "{storage: file_storage/queue, batch: {}}", Capacity, &["capacity_changed"]),
    ("memory limit in name alone", BASE, "limit_mib: 512", "limit_mib: 512000", Security, &["memory_limiter"]),
    ("memory limit at the top", GATEWAY, "limit_percentage: 80", "limit_percentage: 100", Security, &["memory_limiter"]),
    ("memory looked at seldom", BASE, "check_interval: 1s", "check_interval: 1m", Security, &["memory_limiter"]),
    ("more memory", BASE, "limit_mib: 512", "limit_mib: 1024", Capacity, &["capacity_changed"]),
    ("memory limit", GATEWAY, "limit_percentage: 80", "limit_percentage: 20", Capacity, &["capacity_changed"]),
    ("batch", BASE, "batch: {timeout: 5s}", "batch: {timeout: 5s, send_batch_size: 1}", Capacity, &["capacity_changed"]),
    ("Tempo's attribute size", TEMPO, "max_attribute_bytes: 2048", "max_attribute_bytes: 1024", Capacity, &["capacity_changed"]),
    // What is kept.
    ("Badger's retention", JAEGER, "spans: 168h", "spans: 24h", Data, &["retention_changed"]),
    ("Badger forgets", JAEGER, "ephemeral: false", "ephemeral: true", Data, &["storage_changed"]),
    ("Badger's folder", JAEGER, "keys: /data/keys", "keys: /tmp/keys", Data, &["storage_changed"]),
    ("Jaeger writes to another store", JAEGER, "trace_storage: main", "trace_storage: archive", Data, &["storage_changed"]),
    ("Jaeger reads another store", JAEGER, "traces: main", "traces: archive", Data, &["storage_changed"]),
    ("Tempo's retention", TEMPO, "block_retention: 336h", "block_retention: 24h", Data, &["retention_changed"]),
    ("Tempo's retention, by default", TEMPO, "    block_retention: 720h\n", "", Data, &["retention_changed"]),
    ("Tempo's store", TEMPO, "backend: s3", "backend: local", Data, &["storage_changed"]),
    ("Tempo's log", TEMPO, "path: /var/tempo/wal", "path: /tmp/wal", Data, &["storage_changed"]),
    ("attribute set", BASE, "value: prod", "value: test", Data, &["processing_changed"]),
    ("histogram", GATEWAY, "[10ms, 100ms]", "[10ms, 200ms]", Data, &["processing_changed"]),
    // Itself.
    ("own metrics opened", BASE, "host: localhost, port: 8888", "host: 0.0.0.0, port: 8888", Security, &["telemetry_exposed"]),
    ("own metrics level", GATEWAY, "level: detailed", "level: none", Behaviour, &["telemetry_changed"]),
    ("own logs", GATEWAY, "logs: {level: info}", "logs: {level: error}", Behaviour, &["telemetry_changed"]),
    ("own traces elsewhere", GATEWAY, "logs: {level: info}", "logs: {level: info}\n    traces: {processors: [{batch: {exporter: {otlp: {endpoint: \"https://v.example\"}}}}]}", Security, &["telemetry_exposed"]),
    ("order of what does not protect", BASE, "resource/env, batch]", "batch, resource/env]", Behaviour, &["processor_order"]),
    ("name of a component", GATEWAY, "otlp_http/archive", "otlp_http/store", Cosmetic, &["component_renamed"]),
    ("value withheld", GATEWAY, "password: hunter2", "password: '[REDACTED]'", Security, &["value_unknown"]),
];

struct Figures {
    found: usize,
    class: usize,
    alarms: Vec<String>,
    missed: Vec<String>,
}

/// Scenario: one change of a known kind. Guarantee: it is found under its rule and class, and nothing else is said, from either
/// side where the rule does not depend on the side.
#[test]
fn every_mutation_is_found_with_its_class() {
    let mut figures = Figures { found: 0, class: 0, alarms: Vec::new(), missed: Vec::new() };
    for (label, base, from, to, class, rules) in MUTATIONS {
        assert!(base.contains(from), "{label}: `{from}` is in its base");
        let changed = base.replace(from, to);
        let report = drift(&tree(base, "blue.yaml"), &tree(&changed, "green.yaml"), &[], &Context::default());
        let found: Vec<&str> = report.findings.iter().map(|f| f.rule).collect();
        let first = report.findings.iter().find(|f| f.rule == rules[0]);
        let shown = || format!("{label}: {found:?}\n{}", render::text(&report, render::Detail::Differences));
        match rules.iter().all(|rule| found.contains(rule)) {
            true => figures.found += 1,
            false => figures.missed.push(shown()),
        }
        if first.is_some_and(|f| f.class == *class && !f.mark.is_nowhere()) {
            figures.class += 1;
        }
        if found.iter().any(|rule| !rules.contains(rule)) {
            figures.alarms.push(shown());
        }
        if report.report().verdict() == crate::report::Verdict::Pass {
            figures.missed.push(format!("{label}: passed"));
        }
    }
    let all = MUTATIONS.len();
    println!(
        "{all} mutations: {} found, {} with the right class, {} false alarms",
        figures.found,
        figures.class,
        figures.alarms.len()
    );
    let said = format!("missed: {}\nalarms: {}", figures.missed.join("\n"), figures.alarms.join("\n"));
    assert_eq!((figures.found, figures.class, figures.alarms.len()), (all, all, 0), "{said}");
    assert!(all >= 90, "{all}");
}

#[test]
fn labels_are_there_once() {
    let mut labels: Vec<&str> = MUTATIONS.iter().map(|m| m.0).collect();
    labels.sort_unstable();
    assert!(labels.windows(2).all(|pair| pair[0] != pair[1]));
}
