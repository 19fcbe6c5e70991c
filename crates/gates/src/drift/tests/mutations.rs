//! Each way to make green worse is one change to `BASE`, found and classified.

use super::*;
use crate::drift::Class::{self, Behaviour, Capacity, Cosmetic, Data, Security};

const PROCESSORS: &str = "memory_limiter, redaction/pan, attributes/mail, filter/health, probabilistic_sampler, resource/env, batch";

/// Replaces `from` by `to` in `BASE` and expects exactly these rules, all of class `class`, with a place on green.
#[track_caller]
fn change(class: Class, from: &str, to: &str, expected: &[&str]) {
    assert_eq!(BASE.matches(from).count(), 1, "`{from}` must stand once in BASE");
    changed(class, BASE, &BASE.replace(from, to), expected);
}

#[track_caller]
fn changed(class: Class, blue: &str, green: &str, expected: &[&str]) {
    let report = drift(&tree(blue, "blue.yaml"), &tree(green, "green.yaml"), &[], &Context::default());
    let shown = render::text(&report, render::Detail::All);
    let found: Vec<String> = report
        .findings
        .iter()
        .map(|f| format!("{} {}", f.rule, f.path.trim_start_matches("collector:")))
        .collect();
    assert_eq!(found, expected, "\n{shown}");
    for finding in &report.findings {
        assert_eq!(finding.class, class, "\n{shown}");
        assert!(!finding.mark.is_nowhere(), "no place:\n{shown}");
    }
    assert!(!report.passed());
}

/// The pipeline's processors on green.
#[track_caller]
fn processors(class: Class, list: &str, expected: &[&str]) {
    change(class, PROCESSORS, list, expected);
}

const LIST: &str = "service.pipelines.traces.processors";

#[test]
fn who_can_reach_a_listener() {
    let grpc = "receivers.otlp.protocols.grpc";
    for address in ["0.0.0.0:4317", "\":4317\"", "\"[::]:4317\"", "10.0.0.7:4317", "${env:POD_IP}:4317"] {
        let to = format!("endpoint: {address}");
        change(Security, "endpoint: localhost:4317", &to, &[&format!("listener_exposed {grpc}.endpoint")]);
    }
    change(
        Security,
        "localhost:4318",
        "0.0.0.0:4318",
        &["listener_exposed receivers.otlp.protocols.http.endpoint"],
    );
    change(
        Security,
        "      http:\n        endpoint: localhost:4318\n        cors:\n          allowed_origins: [\"https://app.example\"]\n",
        "",
        &["listener_added receivers.otlp.protocols.http"],
    );
    change(
        Security,
        "  otlp:\n    protocols:\n",
        "  otlp:\n    protocols:\n      arrow: {endpoint: 0.0.0.0:9}\n",
        &["listener_added receivers.otlp.protocols.arrow"],
    );
    let zipkin = BASE.replace("receivers:\n  otlp:", "receivers:\n  zipkin:\n  otlp:");
    changed(
        Security,
        BASE,
        &zipkin.replace("receivers: [otlp]", "receivers: [otlp, zipkin]"),
        &["listener_added service.pipelines.traces.receivers"],
    );
}

#[test]
fn encryption_and_identity() {
    let grpc = "receivers.otlp.protocols.grpc";
    let tls = "        tls:\n          cert_file: /tls/server.crt\n          key_file: /tls/server.key\n          \
               client_ca_file: /tls/ca.crt\n          min_version: \"1.3\"\n";
    change(Security, tls, "", &[&format!("transport_encryption {grpc}.tls")]);
    change(
        Security,
        "          client_ca_file: /tls/ca.crt\n",
        "",
        &[&format!("client_certificates {grpc}.tls.client_ca_file")],
    );
    change(Security, "\"1.3\"", "\"1.2\"", &[&format!("tls_settings {grpc}.tls.min_version")]);
    change(
        Security,
        "\"1.3\"",
        "\"1.3\"\n          cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]",
        &[&format!("tls_settings {grpc}.tls.cipher_suites")],
    );
    change(Security, "/tls/server.key", "/tls/other.key", &[&format!("tls_settings {grpc}.tls.key_file")]);
    change(
        Security,
        "        auth:\n          authenticator: basicauth/server\n",
        "",
        &[&format!("authentication {grpc}.auth.authenticator")],
    );
    change(
        Security,
        "extensions: [basicauth/server, file",
        "extensions: [file",
        &[
            "authentication receivers.otlp.protocols.grpc.auth.authenticator",
            "authentication service.extensions",
        ],
    );
    change(
        Security,
        "authenticator: basicauth/server",
        "authenticator: basicauth/client",
        &[
            // It differs, and nothing of that name is enabled.
            &format!("authentication {grpc}.auth.authenticator"),
            &format!("authentication {grpc}.auth.authenticator"),
        ],
    );
    change(
        Security,
        "endpoint: tempo.trace.svc:4317",
        "endpoint: tempo.trace.svc:4317\n    tls: {insecure: true}",
        &["transport_encryption exporters.otlp/tempo.tls.insecure"],
    );
    change(
        Security,
        "endpoint: tempo.trace.svc:4317",
        "endpoint: tempo.trace.svc:4317\n    tls: {insecure_skip_verify: true}",
        &["transport_encryption exporters.otlp/tempo.tls.insecure_skip_verify"],
    );
}

#[test]
fn what_a_client_may_do() {
    change(
        Security,
        "[\"https://app.example\"]",
        "[\"*\"]",
        &["cors receivers.otlp.protocols.http.cors.allowed_origins"],
    );
    change(
        Security,
        "include_metadata: true",
        "include_metadata: false",
        &["client_metadata receivers.otlp.protocols.grpc.include_metadata"],
    );
    change(
        Security,
        "max_recv_msg_size_mib: 16",
        "max_recv_msg_size_mib: 1600",
        &["request_limits receivers.otlp.protocols.grpc.max_recv_msg_size_mib"],
    );
}

#[test]
fn where_data_goes() {
    let to = "exporters.otlp/tempo";
    change(
        Security,
        "tempo.trace.svc:4317",
        "collect.vendor.example:4317",
        &[&format!("destination_changed {to}.endpoint")],
    );
    change(
        Security,
        "tempo.trace.svc:4317",
        "\"https://tempo.trace.svc:4317\"",
        &[&format!("transport_encryption {to}.endpoint")],
    );
    change(Security, "http://proxy:3128", "http://other:3128", &[&format!("proxy {to}.proxy_url")]);
    change(
        Security,
        "Bearer hunter2",
        "Bearer hunter3",
        &[&format!("request_headers {to}.headers.authorization")],
    );
    change(
        Security,
        "x-scope-orgid: shop",
        "x-scope-orgid: test",
        &[&format!("request_headers {to}.headers.x-scope-orgid")],
    );
    let vendor = BASE.replace(
        "exporters:\n  otlp",
        "exporters:\n  otlphttp/vendor: {endpoint: \"https://v.example\"}\n  otlp",
    );
    changed(
        Security,
        BASE,
        &vendor.replace("exporters: [otlp/tempo", "exporters: [otlphttp/vendor, otlp/tempo"),
        &["exporter_added service.pipelines.traces.exporters"],
    );
    changed(Cosmetic, BASE, &vendor, &["unused_component exporters.otlphttp/vendor"]);
    change(Data, "[otlp/tempo, debug]", "[debug]", &["exporter_removed service.pipelines.traces.exporters"]);
    change(
        Behaviour,
        "[otlp/tempo, debug]",
        "[otlp/tempo]",
        &["setting_changed service.pipelines.traces.exporters"],
    );
    change(
        Security,
        "verbosity: basic",
        "verbosity: detailed",
        &["payload_in_logs exporters.debug.verbosity"],
    );
    let no_debug = BASE.replace("[otlp/tempo, debug]", "[otlp/tempo]").replace("basic}", "detailed}");
    let debug = no_debug.replace("[otlp/tempo]", "[otlp/tempo, debug]");
    changed(Security, &no_debug, &debug, &["payload_in_logs service.pipelines.traces.exporters"]);
}

#[test]
fn what_is_taken_out_of_spans() {
    processors(Security, &PROCESSORS.replace("redaction/pan, ", ""), &[&format!("redaction_removed {LIST}")]);
    processors(
        Security,
        &PROCESSORS.replace("attributes/mail, ", ""),
        &[&format!("redaction_removed {LIST}")],
    );
    change(
        Security,
        "4[0-9]{12}",
        "5[0-9]{12}",
        &["redaction_changed processors.redaction/pan.blocked_values"],
    );
    change(
        Security,
        "key: user.email",
        "key: user.mail",
        &[
            "redaction_changed processors.attributes/mail.actions[user.email]",
            "redaction_changed processors.attributes/mail.actions[user.mail]",
        ],
    );
    change(
        Security,
        "key: user.email, action: delete",
        "key: user.email, action: hash",
        &["redaction_changed processors.attributes/mail.actions[user.email].action"],
    );
    processors(
        Security,
        "memory_limiter, redaction/pan, filter/health, attributes/mail, probabilistic_sampler, resource/env, batch",
        &[&format!("redaction_moved {LIST}")],
    );
    let unused = BASE
        .replace("processors:\n  memory", "processors:\n  transform/scrub: {error_mode: ignore}\n  memory");
    changed(Security, BASE, &unused, &["unused_protection processors.transform/scrub"]);
}

#[test]
fn blind_spots() {
    change(
        Security,
        "sampling_percentage: 20",
        "sampling_percentage: 10",
        &["sampling_changed processors.probabilistic_sampler.sampling_percentage"],
    );
    processors(
        Security,
        &PROCESSORS.replace("probabilistic_sampler, ", ""),
        &[&format!("sampling_changed {LIST}")],
    );
    processors(Security, &PROCESSORS.replace("filter/health, ", ""), &[&format!("filter_changed {LIST}")]);
    change(
        Security,
        "name == \"health\"",
        "kind == 3",
        &["filter_changed processors.filter/health.traces.span"],
    );
    let client = BASE
        .replace(
            "processors:\n  memory",
            "processors:\n  filter/client: {traces: {span: ['kind == 3']}}\n  memory",
        )
        .replace(PROCESSORS, &PROCESSORS.replace("batch", "filter/client, batch"));
    changed(Security, BASE, &client, &["filter_changed service.pipelines.traces.processors"]);
}

#[test]
fn what_keeps_it_alive_and_lossless() {
    processors(Security, &PROCESSORS.replace("memory_limiter, ", ""), &[&format!("memory_limiter {LIST}")]);
    processors(
        Security,
        &PROCESSORS.replace("memory_limiter, redaction/pan", "redaction/pan, memory_limiter"),
        &[&format!("memory_limiter {LIST}")],
    );
    change(
        Security,
        "sending_queue: {storage: file_storage/queue}",
        "sending_queue: {}",
        &["delivery_guarantee exporters.otlp/tempo.sending_queue.storage"],
    );
    change(
        Security,
        "{storage: file_storage/queue}",
        "{storage: file_storage/queue, enabled: false}",
        &["delivery_guarantee exporters.otlp/tempo.sending_queue.enabled"],
    );
    change(
        Security,
        "max_elapsed_time: 0",
        "max_elapsed_time: 10s",
        &["delivery_guarantee exporters.otlp/tempo.retry_on_failure.max_elapsed_time"],
    );
    change(
        Capacity,
        "{storage: file_storage/queue}",
        "{storage: file_storage/queue, queue_size: 10}",
        &["capacity_changed exporters.otlp/tempo.sending_queue.queue_size"],
    );
    change(
        Capacity,
        "limit_mib: 512",
        "limit_mib: 64",
        &["capacity_changed processors.memory_limiter.limit_mib"],
    );
    change(Capacity, "{timeout: 5s}", "{timeout: 6s}", &["capacity_changed processors.batch.timeout"]);
    change(Capacity, "{timeout: 5s}", "{}", &["capacity_changed processors.batch.timeout"]);
}

#[test]
fn what_is_open_for_diagnosis() {
    change(
        Security,
        "zpages: {endpoint: localhost:55679}",
        "zpages: {endpoint: \":55679\"}",
        &["diagnostics_exposed extensions.zpages.endpoint"],
    );
    change(
        Security,
        "health_check: {endpoint: localhost:13133}",
        "health_check: {endpoint: 0.0.0.0:13133}",
        &["diagnostics_exposed extensions.health_check.endpoint"],
    );
    let pprof = BASE.replace("extensions:\n  basicauth", "extensions:\n  pprof:\n  basicauth");
    changed(
        Security,
        BASE,
        &pprof.replace("zpages, health_check]", "zpages, health_check, pprof]"),
        &["diagnostics_exposed service.extensions"],
    );
}

#[test]
fn its_own_telemetry() {
    let readers = "service.telemetry.metrics.readers[0].pull.exporter.prometheus";
    change(
        Security,
        "host: localhost, port: 8888",
        "host: 0.0.0.0, port: 8888",
        &[&format!("telemetry_exposed {readers}.host")],
    );
    change(
        Behaviour,
        "logs: {level: info}",
        "logs: {level: error}",
        &["telemetry_changed service.telemetry.logs.level"],
    );
    change(
        Security,
        "logs: {level: info}",
        "logs: {level: info, processors: [{batch: {exporter: {otlp: {endpoint: \"https://v.example\"}}}}]}",
        &["telemetry_exposed service.telemetry.logs.processors"],
    );
}

#[test]
fn what_is_recorded() {
    change(
        Data,
        "value: prod",
        "value: test",
        &["processing_changed processors.resource/env.attributes[deployment].value"],
    );
    processors(Data, &PROCESSORS.replace("resource/env, ", ""), &[&format!("processor_differs {LIST}")]);
    let metrics =
        BASE.replace("    traces:\n", "    metrics: {receivers: [otlp], exporters: [debug]}\n    traces:\n");
    changed(Data, &metrics, BASE, &["pipeline_differs service.pipelines.metrics"]);
}

#[test]
fn the_rest() {
    processors(
        Behaviour,
        &PROCESSORS.replace("resource/env, batch", "batch, resource/env"),
        &[&format!("processor_order {LIST}")],
    );
    change(
        Behaviour,
        "exporters: [otlp/tempo, debug]",
        "exporters: [otlp/tempo, debug, nop]",
        &["undefined_component exporters.nop", "setting_changed service.pipelines.traces.exporters"],
    );
    let renamed = BASE.replace("otlp/tempo", "otlp/store");
    changed(Cosmetic, BASE, &renamed, &["component_renamed exporters.otlp/tempo"]);
    change(
        Behaviour,
        "directory: /var/lib/queue",
        "directory: /tmp",
        &["setting_changed extensions.file_storage/queue.directory"],
    );
    let service = BASE.replace("service:\n", "connectors:\n  spanmetrics: {namespace: a}\nservice:\n");
    let other = service.replace("namespace: a", "namespace: b");
    changed(Cosmetic, &service, &other, &["unused_component_changed connectors.spanmetrics.namespace"]);
}
