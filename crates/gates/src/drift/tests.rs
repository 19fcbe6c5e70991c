mod forms;
mod hidden;
mod mutations;
mod noise;
mod reports;
mod rewritten;
mod secrets;
mod silence;
mod table;
mod table_bases;
mod unknown;
mod whole;

use std::fmt::Write;

use crossfade_yaml::Node;

use super::*;

/// Stands in for a keyed digest; good enough to tell values apart.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        state = (state ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    out[..8].copy_from_slice(&state.to_be_bytes());
    out
}

pub(crate) fn tree(text: &str, name: &str) -> Node {
    load(&[(name, text)], &KeepReferences).expect("a configuration")
}

pub(crate) fn drift(blue: &Node, green: &Node, allow: &[Allow], context: &Context) -> DriftReport {
    compare(
        &[Pair { name: "collector", blue: Some(blue), green: Some(green), versions: Versions::default() }],
        allow,
        context,
        &digest,
    )
}

/// Compares two texts and expects exactly these findings, as `ID path blue -> green`.
#[track_caller]
pub(crate) fn check(blue: &str, green: &str, expected: &[&str]) {
    check_in(&Context::default(), blue, green, expected);
}

#[track_caller]
pub(crate) fn check_in(context: &Context, blue: &str, green: &str, expected: &[&str]) {
    let report = drift(&tree(blue, "blue.yaml"), &tree(green, "green.yaml"), &[], context);
    assert_eq!(brief(&report), expected, "\n{}", render::text(&report, render::Detail::All));
}

pub(crate) fn brief(report: &DriftReport) -> Vec<String> {
    let mut out = Vec::new();
    for f in &report.findings {
        let mut line =
            format!("{} {}", f.id.trim_start_matches("CF-DRIFT-"), f.path.trim_start_matches("collector:"));
        let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "-".to_owned());
        write!(line, " {} -> {}", value(&f.blue), value(&f.green)).expect("a string takes it");
        out.push(line);
    }
    out
}

/// What is said of two configurations, but for variables on which security hangs: those are unknown wherever they stand.
pub(crate) fn differences(report: &DriftReport) -> Vec<&Finding> {
    let of_variables = |f: &&Finding| f.detail.contains("no env_file says");
    report.findings.iter().filter(|f| !of_variables(f)).collect()
}

/// A plain, safe Collector: the base of most tests.
pub(crate) const BASE: &str = r#"
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: localhost:4317
        include_metadata: true
        max_recv_msg_size_mib: 16
        tls:
          cert_file: /tls/server.crt
          key_file: /tls/server.key
          client_ca_file: /tls/ca.crt
          min_version: "1.3"
        auth:
          authenticator: basicauth/server
      http:
        endpoint: localhost:4318
        cors:
          allowed_origins: ["https://app.example"]
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 512}
  redaction/pan: {allow_all_keys: true, blocked_values: ["4[0-9]{12}"]}
  attributes/mail: {actions: [{key: user.email, action: delete}]}
  filter/health: {error_mode: ignore, traces: {span: ['name == "health"']}}
  probabilistic_sampler: {sampling_percentage: 20}
  resource/env: {attributes: [{key: deployment, value: prod, action: upsert}]}
  batch: {timeout: 5s}
exporters:
  otlp/tempo:
    endpoint: tempo.trace.svc:4317
    headers: {authorization: "Bearer hunter2", x-scope-orgid: shop}
    sending_queue: {storage: file_storage/queue}
    retry_on_failure: {max_elapsed_time: 0}
    proxy_url: http://proxy:3128
  debug: {verbosity: basic}
extensions:
  basicauth/server: {htpasswd: {inline: "user:hunter2"}}
  file_storage/queue: {directory: /var/lib/queue}
  zpages: {endpoint: localhost:55679}
  health_check: {endpoint: localhost:13133}
service:
  extensions: [basicauth/server, file_storage/queue, zpages, health_check]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, redaction/pan, attributes/mail, filter/health, probabilistic_sampler, resource/env, batch]
      exporters: [otlp/tempo, debug]
  telemetry:
    logs: {level: info}
    metrics:
      level: normal
      readers: [{pull: {exporter: {prometheus: {host: localhost, port: 8888}}}}]
"#;
