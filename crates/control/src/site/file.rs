//! `crossfade.yaml` as written: the types that serde reads and the JSON Schema shows.

use std::collections::BTreeMap;

use crossfade_yaml::{Duration, Size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The site's configuration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "crossfade.yaml")]
pub struct SiteFile {
    /// The tracing stacks by name: two or more, such as blue and green.
    pub environments: BTreeMap<String, EnvironmentFile>,
    /// Where spans come in.
    #[serde(default)]
    pub gateway: GatewayFile,
    /// The control API.
    #[serde(default)]
    pub control: ControlFile,
    /// The audit log.
    #[serde(default)]
    pub audit: AuditFile,
    /// Where everything is kept; `crossfade-data` beside this file, if left out.
    pub data_directory: Option<String>,
}

/// One complete tracing stack.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentFile {
    /// Where spans are sent.
    pub otlp: OtlpFile,
    /// Where traces are read back.
    pub query: Option<QueryFile>,
    /// Configurations by name, such as `collector`: the files, merged left to right, or the URL of an effective configuration. The same name in two environments is compared.
    #[serde(default)]
    pub configs: BTreeMap<String, Vec<String>>,
    /// A file of `NAME=value` lines: what `${env:NAME}` stands for in this environment's configurations. Without one, references are compared as they are written.
    pub env_file: Option<String>,
    /// What runs, by the names of `configs`, such as `collector: 0.150.0`: its defaults hold where nothing is written. The newest, if left out.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Further receivers of it, beside `otlp.endpoint`, with the same headers and TLS: the probe writes through each.
    #[serde(default)]
    pub receivers: Vec<ReceiverFile>,
    /// Interfaces for those who run it, such as pprof and zpages: the posture gate looks whether they are open. Those that its
    /// configurations name are looked at anyway.
    #[serde(default)]
    pub admin: Vec<AdminFile>,
    /// Further addresses of its own, such as its storage: pointing at them is no difference.
    #[serde(default)]
    pub endpoints: Vec<String>,
}

/// A receiver.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiverFile {
    /// A URL, such as `http://blue-collector:4318`.
    pub endpoint: String,
    /// What it speaks; gRPC, if left out.
    #[serde(default)]
    pub protocol: ReceiverProtocol,
}

/// What a receiver speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ReceiverProtocol {
    /// OTLP/gRPC.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// OTLP/HTTP with JSON bodies.
    #[serde(rename = "http/json")]
    HttpJson,
}

/// An interface for those who run an environment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminFile {
    /// What it is.
    pub kind: AdminKind,
    /// A URL with its port, such as `http://blue-collector:1777`; with a path, if it is not the usual one.
    pub endpoint: String,
}

/// A kind of interface for those who run an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdminKind {
    /// Anything else, such as Jaeger's admin port.
    Admin,
    /// Go's profiler.
    Pprof,
    /// The Collector's live view.
    Zpages,
    /// Counters.
    Metrics,
    /// Whether it is well.
    Health,
}

/// An OTLP endpoint, with the Collector's keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpFile {
    /// A URL, such as `http://blue-collector:4317`; `https://` speaks TLS.
    pub endpoint: String,
    /// How TLS is spoken, where the endpoint is `https://`.
    pub tls: Option<TlsFile>,
    /// `grpc`, or `http/protobuf`.
    #[serde(default)]
    pub protocol: Protocol,
    /// `preserve` sends what the client compressed as it is.
    #[serde(default)]
    pub compression: Compression,
    /// Headers added to each request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// TLS as a client, with the Collector's keys. Files are read again when they change.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFile {
    /// The certificates that the server's chain must lead to, PEM; the system's, if left out.
    pub ca_file: Option<String>,
    /// The certificate to show to a server that asks for one, PEM.
    pub cert_file: Option<String>,
    /// Its private key, PEM.
    pub key_file: Option<String>,
    /// The oldest version that is spoken: "1.2" (if left out) or "1.3".
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Takes any certificate from anybody: for a laboratory only. The posture gate calls it a finding.
    #[serde(default)]
    pub insecure_skip_verify: bool,
    /// The name that the certificate must be for; the endpoint's host, if left out.
    pub server_name_override: Option<String>,
}

/// A version of TLS, in quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// The protocol of an OTLP endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// OTLP/gRPC.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// How requests are compressed on their way on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they came in.
    #[default]
    Preserve,
    /// Always gzip.
    Gzip,
    /// Never.
    None,
}

/// Where traces are read back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryFile {
    /// What answers there.
    pub kind: QueryKind,
    /// A URL, such as `http://blue-jaeger:16686`; `https://` speaks TLS. The port is 16686 of a Jaeger and 3200 of a Tempo, if
    /// left out.
    pub endpoint: String,
    /// Headers added to each question, such as `X-Scope-OrgID`, Tempo's tenant.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How TLS is spoken, where the endpoint is `https://`.
    pub tls: Option<TlsFile>,
}

/// What answers a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueryKind {
    /// Jaeger 2: its query API.
    Jaeger,
    /// Tempo 2.7 or later: its HTTP API.
    Tempo,
}

/// The gateway.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayFile {
    /// Its name in the roster; `gateway-1`, if left out.
    pub id: Option<String>,
    /// The OTLP/gRPC listener; 127.0.0.1:4317, if left out.
    #[serde(default)]
    pub grpc: ListenFile,
    /// The OTLP/HTTP listener; 127.0.0.1:4318, if left out.
    #[serde(default)]
    pub http: ListenFile,
    /// Request headers that are passed on, such as `x-scope-orgid`; none, if left out.
    #[serde(default)]
    pub forward_headers: Vec<String>,
    /// When a client hears success: `delivered` is the only choice as yet.
    #[serde(default)]
    pub acknowledge: Acknowledge,
    /// The largest request after decompression; 64MiB, if left out.
    pub max_request_size: Option<Size>,
    /// The candidate's queue in memory; 256MiB, if left out.
    pub queue_size: Option<Size>,
    /// How long a drain may take; 30s, if left out.
    pub grace: Option<Duration>,
    /// Receiving threads; 2, if left out.
    pub workers: Option<usize>,
}

/// When a client hears success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// The answering environment has accepted the request.
    #[default]
    Delivered,
}

/// A listener.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenFile {
    /// An address, such as 127.0.0.1:4317.
    pub endpoint: Option<String>,
}

/// The control API.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlFile {
    /// A loopback address; 127.0.0.1:8400, if left out.
    pub endpoint: Option<String>,
    /// The operator's bearer token, in a file of mode 0600.
    pub token_file: Option<String>,
}

/// The audit log.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditFile {
    /// The log's name in its checkpoints, such as `crossfade.bank.example/prod`.
    pub origin: Option<String>,
    /// The log folder; `audit` in the data directory, if left out.
    pub directory: Option<String>,
    /// The log's signing key; `keys/log.key` in the data directory, if left out.
    pub key_file: Option<String>,
}
