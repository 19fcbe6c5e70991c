//! The configurations that the table changes, beside `BASE`.

/// A gateway: two stages joined by a connector, metrics from spans, Kafka and an archive.
pub(super) const GATEWAY: &str = r#"
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 0.0.0.0:4317
        tls: {cert_file: /c, key_file: /k, client_ca_file: /ca, min_version: "1.2"}
      http: {endpoint: 0.0.0.0:4318}
processors:
  memory_limiter: {check_interval: 1s, limit_percentage: 80, spike_limit_percentage: 20}
  redaction: {allow_all_keys: false, blocked_values: ["4[0-9]{12}"], summary: silent}
  transform/scrub: {trace_statements: ["delete_key(span.attributes, \"user.email\")"]}
  tail_sampling:
    decision_wait: 10s
    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: rest, type: probabilistic, probabilistic: {sampling_percentage: 10}}
  batch:
connectors:
  forward:
  spanmetrics: {histogram: {explicit: {buckets: [10ms, 100ms]}}}
exporters:
  kafka:
    brokers: [k1:9092, k2:9092]
    traces: {topic: spans}
    auth: {sasl: {mechanism: SCRAM-SHA-512, username: u, password: hunter2}}
  otlp_http/archive:
    endpoint: https://archive.svc:4318
    headers: {x-team: obs}
    retry_on_failure: {enabled: true}
  prometheus: {endpoint: localhost:8889}
extensions:
  pprof: {endpoint: localhost:1777}
  health_check:
service:
  extensions: [pprof, health_check]
  telemetry:
    metrics: {level: detailed}
    logs: {level: info}
  pipelines:
    traces/in:
      receivers: [otlp]
      processors: [memory_limiter, redaction, transform/scrub]
      exporters: [forward, spanmetrics]
    traces/out:
      receivers: [forward]
      processors: [tail_sampling, batch]
      exporters: [kafka, otlp_http/archive]
    metrics:
      receivers: [spanmetrics]
      processors: [batch]
      exporters: [prometheus]
"#;

/// Two signals that share an exporter, and what listens without being a usual receiver.
pub(super) const SIGNALS: &str = r#"
receivers:
  otlp: {protocols: {grpc: {endpoint: localhost:4317}}}
  otelarrow: {protocols: {grpc: {endpoint: localhost:4319}}}
  homegrown: {endpoint: localhost:9000}
processors:
  redaction: {allow_all_keys: true, blocked_values: ["4[0-9]{12}"]}
  remotetap: {endpoint: localhost:12001}
exporters:
  otlp: {endpoint: tempo:4317}
extensions:
  http_forwarder: {ingress: {endpoint: localhost:7070}, egress: {endpoint: "http://inner:8080"}}
  jaegerremotesampling: {source: {remote: {endpoint: strategies:14250}}}
service:
  extensions: [http_forwarder, jaegerremotesampling]
  pipelines:
    traces:
      receivers: [otlp, otelarrow, homegrown]
      processors: [redaction, remotetap]
      exporters: [otlp]
    metrics: {receivers: [otlp], exporters: [otlp]}
"#;

/// Brokers and stores, each with its own way to say how it is reached.
pub(super) const BROKERS: &str = r#"
receivers:
  otlp: {protocols: {grpc: {endpoint: localhost:4317}}}
exporters:
  kafka:
    brokers: [k1:9093]
    tls: {insecure: false}
    traces: {topic: spans}
  kafka/other: {brokers: [k1:9093], traces: {topic: other}, tls: {}}
  rabbitmq: {connection: {endpoint: "amqps://rabbit:5671"}}
  pulsar: {endpoint: "pulsar+ssl://pulsar:6651"}
  clickhouse: {endpoint: "tcp://click:9000"}
  otlp_http: {endpoint: "https://writer:hunter2@tempo:4318"}
  otlp_http/plain: {endpoint: "https://plain:4318"}
  sentry: {dsn: "https://k1@sentry.io/42"}
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [kafka, kafka/other, rabbitmq, pulsar, clickhouse, otlp_http, otlp_http/plain, sentry]
"#;

/// Jaeger 2 with a store of its own and an archive.
pub(super) const JAEGER: &str = r#"
receivers:
  otlp: {protocols: {grpc: {endpoint: localhost:4317}}}
  jaeger: {protocols: {grpc: {endpoint: localhost:14250}}}
processors:
  batch:
exporters:
  jaeger_storage_exporter: {trace_storage: main}
extensions:
  jaeger_storage:
    backends:
      main:
        badger: {directories: {keys: /data/keys, values: /data/values}, ephemeral: false, ttl: {spans: 168h}}
      archive:
        elasticsearch: {server_urls: ["http://es:9200", "https://es-b:9200", "https://w:hunter2@es-c:9200"], auth: {basic: {username: u, password: hunter2}}, indices: {index_prefix: prod}}
  jaeger_query:
    storage: {traces: main, traces_archive: archive}
    http: {endpoint: localhost:16686}
    grpc: {endpoint: localhost:16685}
    multi_tenancy: {enabled: true, header: x-tenant, tenants: [a, b]}
  remote_sampling:
    file: {path: /strategies.json, default_sampling_probability: 0.5}
    http: {endpoint: localhost:5778}
service:
  extensions: [jaeger_storage, jaeger_query, remote_sampling]
  pipelines:
    traces:
      receivers: [otlp, jaeger]
      processors: [batch]
      exporters: [jaeger_storage_exporter]
"#;

/// Tempo, with tenants, TLS and an object store.
pub(super) const TEMPO: &str = r#"
multitenancy_enabled: true
server:
  http_listen_address: 127.0.0.1
  http_listen_port: 3200
  log_level: info
  grpc_server_max_recv_msg_size: 4194304
  tls_min_version: VersionTLS13
  http_tls_config: {cert_file: /c, key_file: /k, client_auth_type: RequireAndVerifyClientCert, client_ca_file: /ca}
distributor:
  max_attribute_bytes: 2048
  receivers:
    otlp:
      protocols:
        grpc: {endpoint: localhost:4317}
    opencensus:
ingester:
  lifecycler: {ring: {replication_factor: 3}}
compactor:
  compaction:
    block_retention: 336h
backend_worker:
  compaction:
    block_retention: 720h
query_frontend:
  max_outstanding_per_tenant: 100
metrics_generator:
  storage:
    path: /var/tempo/generator
    remote_write:
      - url: http://prometheus:9090/api/v1/write
storage:
  trace:
    backend: s3
    s3: {bucket: traces, endpoint: s3.internal, access_key: tempo, secret_key: hunter2, insecure: false}
    wal: {path: /var/tempo/wal}
overrides:
  defaults:
    ingestion:
      rate_limit_bytes: 16000000
    global:
      max_bytes_per_trace: 1000000
usage_report:
  reporting_enabled: false
"#;
