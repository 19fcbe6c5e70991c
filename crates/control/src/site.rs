//! The site: `crossfade.yaml`, read, expanded and checked.
//!
//! Relative paths are taken from the folder that the file is in. [`SiteFile`] is the file as written, and the source of its
//! JSON Schema; [`Site`] is what it means, with every address parsed and every default filled in.

mod endpoints;
mod file;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crossfade_backends::tls::TlsSettings;
use crossfade_gates::drift::Version;
use crossfade_routing::{EnvironmentId, GatewayId};
use crossfade_yaml::{self as yaml, Mark, Node};

use crate::gates::drift::{Listed, Source, SourceError};
pub use endpoints::header_map;
pub use file::{AdminKind, Compression, Protocol, QueryKind, ReceiverProtocol, SiteFile};

/// A checked site configuration.
#[derive(Debug, Clone)]
pub struct Site {
    /// The file it was read from.
    pub path: PathBuf,
    /// The environments by name.
    pub environments: BTreeMap<EnvironmentId, Environment>,
    /// The gateway.
    pub gateway: GatewaySite,
    /// The control API's address; loopback.
    pub control: SocketAddr,
    /// The operator's bearer token.
    pub token_file: PathBuf,
    /// The log's name in its checkpoints.
    pub origin: String,
    /// Everything that Crossfade keeps.
    pub data: PathBuf,
    /// The log folder.
    pub log_dir: PathBuf,
    /// The log's signing key.
    pub key_file: PathBuf,
}

/// One complete tracing stack.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its OTLP endpoint, a URL.
    pub otlp: String,
    /// How TLS is spoken with it, if its URL is `https://`.
    pub tls: TlsSettings,
    /// How to speak to it.
    pub protocol: Protocol,
    /// How requests to it are compressed.
    pub compression: Compression,
    /// Headers added to each request to it.
    pub headers: BTreeMap<String, String>,
    /// Where its traces are read back.
    pub query: Option<Query>,
    /// Its configurations by name: the files that are merged left to right.
    pub configs: BTreeMap<String, Vec<Source>>,
    /// What `${env:X}` stands for in them.
    pub env_file: Option<PathBuf>,
    /// What runs with each of them.
    pub versions: BTreeMap<String, Version>,
    /// Interfaces for those who run it.
    pub admin: Vec<Admin>,
    /// Further receivers of it.
    pub receivers: Vec<Receiver>,
    /// Further addresses of its own.
    pub endpoints: Vec<String>,
}

/// An interface for those who run an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// What it is.
    pub kind: AdminKind,
    /// Its address, a URL.
    pub endpoint: String,
}

/// A further receiver of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// A URL.
    pub endpoint: String,
    /// What it speaks.
    pub protocol: ReceiverProtocol,
}

/// Where traces are read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What answers there.
    pub kind: QueryKind,
    /// Its address, a URL.
    pub endpoint: String,
    /// How TLS is spoken with it, if its URL is `https://`.
    pub tls: TlsSettings,
    /// Headers added to each question to it.
    pub headers: BTreeMap<String, String>,
}

/// The gateway's part of the site.
#[derive(Debug, Clone)]
pub struct GatewaySite {
    /// Its name in the roster.
    pub id: GatewayId,
    /// The OTLP/gRPC listener.
    pub grpc: SocketAddr,
    /// The OTLP/HTTP listener.
    pub http: SocketAddr,
    /// Request headers that are passed on.
    pub forward_headers: Vec<String>,
    /// The largest request after decompression, in bytes.
    pub max_request_bytes: usize,
    /// The candidate's queue, in bytes.
    pub queue_bytes: usize,
    /// How long a drain may take.
    pub grace: std::time::Duration,
    /// Receiving threads.
    pub workers: usize,
    /// Where it keeps its schedule and its fence.
    pub state_dir: PathBuf,
    /// The gateway's bearer token.
    pub token_file: PathBuf,
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The place.
    pub mark: Mark,
    /// The field, as a dotted path.
    pub field: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; {}", self.mark, self.field, self.what, self.remedy)
    }
}

/// Why a site configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The file, or one it names, cannot be read.
    #[error(transparent)]
    Read(#[from] SourceError),
    /// Not YAML.
    #[error(transparent)]
    Yaml(#[from] yaml::YamlError),
    /// A key, type or unit is wrong.
    #[error(transparent)]
    Typed(#[from] yaml::TypedError),
    /// The values do not fit together.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
}

impl Environment {
    /// The files of one of its configurations.
    pub fn listed(&self, name: &str) -> Listed {
        let sources = self.configs.get(name).cloned().unwrap_or_default();
        Listed { sources, env_file: self.env_file.clone() }
    }
}

impl Site {
    /// Reads, expands and checks the file at `path`. `environment` looks up an environment variable.
    ///
    /// # Errors
    /// Names file, line, column, field and remedy.
    pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Site, SiteError> {
        Site::parse(&crate::files::read(path)?, path, environment)
    }

    /// As [`Site::load`], from text.
    ///
    /// # Errors
    /// Names file, line, column, field and remedy.
    pub fn parse(
        text: &str,
        path: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Site, SiteError> {
        let node = crate::files::expanded(text, path, environment)?;
        tls::refuse_on_listeners(&node)?;
        let file: SiteFile = yaml::from_node(&node)?;
        Checker { node: &node, base: path.parent().unwrap_or(Path::new("")), problems: Vec::new() }
            .site(file, path)
    }

    /// The environment's configuration, or `None` if the site does not know it.
    pub fn environment(&self, id: &EnvironmentId) -> Option<&Environment> {
        self.environments.get(id)
    }

    /// The environment that `field` of a rollout spec names.
    ///
    /// # Errors
    /// In words, that this site has no such environment, and which ones it has.
    pub fn wanted(&self, id: &EnvironmentId, field: &str, source: &str) -> Result<&Environment, String> {
        self.environment(id).ok_or_else(|| {
            let known: Vec<&str> = self.environments.keys().map(EnvironmentId::as_str).collect();
            let (site, known) = (self.path.display(), known.join(", "));
            format!("{source}: {field}: `{id}` is not an environment of {site}; use one of: {known}")
        })
    }

    /// The log's verifier key, beside the log folder.
    pub fn log_pub(&self) -> PathBuf {
        self.log_dir.with_file_name("log.pub")
    }

    /// The file that keeps entries of rollbacks while the disk is full: beside the log folder, where it is verified. A site
    /// that has it in its data directory, as it once was, keeps it there.
    pub fn emergency_file(&self) -> PathBuf {
        let (beside, earlier) = (self.log_dir.with_file_name("emergency"), self.data.join("emergency"));
        if earlier.exists() && !beside.exists() { earlier } else { beside }
    }

    /// The key of redacted digests.
    pub fn redact_key_file(&self) -> PathBuf {
        self.data.join("keys").join("redact.key")
    }
}

/// Collects every problem, so that a person mends a file once.
struct Checker<'a> {
    node: &'a Node,
    base: &'a Path,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn site(mut self, file: SiteFile, path: &Path) -> Result<Site, SiteError> {
        let data = self.path(file.data_directory.as_deref().unwrap_or("crossfade-data"));
        let environments = self.environments(&file);
        let gateway = self.gateway(&file, &data);
        let control_text = file.control.endpoint.as_deref().unwrap_or("127.0.0.1:8400");
        let control = self.address("control.endpoint", control_text);
        if let Some(control) = control.filter(|address| !address.ip().is_loopback()) {
            self.problem(
                "control.endpoint",
                format!("{control} is not a loopback address"),
                "the control API has no TLS: use 127.0.0.1 or [::1]",
            );
        }
        self.distinct_ports(&gateway, control);
        self.no_loops(&environments, gateway.as_ref());
        self.no_twins(&environments);
        self.usable(&environments);
        let origin = file.audit.origin.clone().unwrap_or_else(|| "crossfade.local/default".to_owned());
        if let Err(error) = origin.parse::<crossfade_tlog::key::KeyName>() {
            self.problem("audit.origin", error.to_string(), "use a name like bank.example/prod");
        }
        let join = |path: Option<&String>, default: PathBuf| path.map_or(default, |path| self.path(path));
        let log_dir = join(file.audit.directory.as_ref(), data.join("audit"));
        let key_file = join(file.audit.key_file.as_ref(), data.join("keys").join("log.key"));
        let token_file = join(file.control.token_file.as_ref(), data.join("token"));
        match (gateway, control) {
            (Some(gateway), Some(control)) if self.problems.is_empty() => Ok(Site {
                path: path.to_owned(),
                environments,
                gateway,
                control,
                token_file,
                origin,
                data,
                log_dir,
                key_file,
            }),
            _ => Err(SiteError::Problems(self.problems)),
        }
    }

    /// A path of the file, from the folder that the file is in; `.` adds nothing.
    fn path(&self, path: &str) -> PathBuf {
        self.base.join(path).components().collect()
    }

    fn environments(&mut self, file: &SiteFile) -> BTreeMap<EnvironmentId, Environment> {
        if file.environments.len() < 2 {
            self.problem(
                "environments",
                format!("{} environment is not enough for a rollout", file.environments.len()),
                "name two, such as blue and green",
            );
        }
        let mut found = BTreeMap::new();
        for (name, environment) in &file.environments {
            let field = format!("environments.{name}");
            let Ok(id) = name.parse::<EnvironmentId>() else {
                self.problem(&field, "not a valid name", "use 1 to 63 of a-z, 0-9 and '-'");
                continue;
            };
            self.url(&format!("{field}.otlp.endpoint"), &environment.otlp.endpoint);
            let tls =
                self.tls(&format!("{field}.otlp"), &environment.otlp.endpoint, environment.otlp.tls.as_ref());
            let query = environment.query.as_ref().map(|query| {
                self.url(&format!("{field}.query.endpoint"), &query.endpoint);
                self.headers(&format!("{field}.query.headers"), &query.headers);
                let tls = self.tls(&format!("{field}.query"), &query.endpoint, query.tls.as_ref());
                let (endpoint, headers) = (query.endpoint.clone(), query.headers.clone());
                Query { kind: query.kind, endpoint, headers, tls }
            });
            self.headers(&format!("{field}.otlp.headers"), &environment.otlp.headers);
            let configs = self.configs(&field, &environment.configs);
            let env_file = self.env_file(&field, environment.env_file.as_deref());
            let versions = self.versions(&field, environment);
            let admin = environment.admin.iter().enumerate().map(|(index, admin)| {
                self.url(&format!("{field}.admin[{index}].endpoint"), &admin.endpoint);
                Admin { kind: admin.kind, endpoint: admin.endpoint.clone() }
            });
            let admin = admin.collect();
            let receivers = environment.receivers.iter().enumerate().map(|(index, receiver)| {
                self.url(&format!("{field}.receivers[{index}].endpoint"), &receiver.endpoint);
                Receiver { endpoint: receiver.endpoint.clone(), protocol: receiver.protocol }
            });
            let receivers = receivers.collect();
            found.insert(
                id,
                Environment {
                    otlp: environment.otlp.endpoint.clone(),
                    tls,
                    protocol: environment.otlp.protocol,
                    compression: environment.otlp.compression,
                    headers: environment.otlp.headers.clone(),
                    query,
                    configs,
                    env_file,
                    versions,
                    admin,
                    receivers,
                    endpoints: environment.endpoints.clone(),
                },
            );
        }
        found
    }

    fn configs(
        &mut self,
        field: &str,
        configs: &BTreeMap<String, Vec<String>>,
    ) -> BTreeMap<String, Vec<Source>> {
        let mut found = BTreeMap::new();
        for (name, files) in configs {
            let place = format!("{field}.configs.{name}");
            if files.is_empty() {
                self.problem(&place, "no file is named", "list the files that make up this configuration");
            }
            let files: Vec<Source> =
                files.iter().map(|file| Source::read_name(file, |file| self.path(file))).collect();
            for (index, source) in files.iter().enumerate() {
                let Source::File(file) = source else { continue };
                if let Some(what) = no_file(file) {
                    self.problem(
                        &format!("{place}[{index}]"),
                        what,
                        "check the path; it is taken from this file's folder",
                    );
                }
            }
            found.insert(name.clone(), files);
        }
        found
    }

    fn env_file(&mut self, field: &str, file: Option<&str>) -> Option<PathBuf> {
        let path = self.path(file?);
        if let Some(what) = no_file(&path) {
            let remedy = "check the path; it is taken from this file's folder";
            self.problem(&format!("{field}.env_file"), what, remedy);
        }
        Some(path)
    }

    fn versions(&mut self, field: &str, environment: &file::EnvironmentFile) -> BTreeMap<String, Version> {
        let mut found = BTreeMap::new();
        for (name, text) in &environment.versions {
            let place = format!("{field}.versions.{name}");
            if !environment.configs.contains_key(name) {
                let known = environment.configs.keys().cloned().collect::<Vec<_>>().join(", ");
                let what = format!("no configuration is named `{name}`");
                self.problem(&place, what, &format!("use a name of `configs`: {known}"));
            }
            match text.parse::<Version>() {
                Ok(version) => _ = found.insert(name.clone(), version),
                Err(error) => self.problem(&place, error.to_string(), "write the release that runs"),
            }
        }
        found
    }

    fn gateway(&mut self, file: &SiteFile, data: &Path) -> Option<GatewaySite> {
        let section = &file.gateway;
        let id = section.id.as_deref().unwrap_or("gateway-1");
        let id = match id.parse::<GatewayId>() {
            Ok(id) => Some(id),
            Err(_) => {
                self.problem("gateway.id", "not a valid name", "use 1 to 63 of a-z, 0-9 and '-'");
                None
            }
        };
        let grpc = self
            .address("gateway.grpc.endpoint", section.grpc.endpoint.as_deref().unwrap_or("127.0.0.1:4317"));
        let http = self
            .address("gateway.http.endpoint", section.http.endpoint.as_deref().unwrap_or("127.0.0.1:4318"));
        for (index, header) in section.forward_headers.iter().enumerate() {
            let valid = !header.is_empty()
                && header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            if !valid {
                self.problem(
                    &format!("gateway.forward_headers[{index}]"),
                    "not a header name",
                    "use letters, digits and '-'",
                );
            }
        }
        let workers = section.workers.unwrap_or(2);
        if !(1..=64).contains(&workers) {
            self.problem("gateway.workers", format!("{workers} is out of range"), "use 1 to 64");
        }
        let max_request_bytes = self.bytes("gateway.max_request_size", section.max_request_size, 64 << 20);
        let queue_bytes = self.bytes("gateway.queue_size", section.queue_size, 256 << 20);
        if queue_bytes < max_request_bytes {
            self.problem(
                "gateway.queue_size",
                "smaller than one request may be",
                "make it at least gateway.max_request_size",
            );
        }
        Some(GatewaySite {
            id: id?,
            grpc: grpc?,
            http: http?,
            forward_headers: section.forward_headers.clone(),
            max_request_bytes,
            queue_bytes,
            grace: section.grace.map_or(std::time::Duration::from_secs(30), |grace| grace.0),
            workers,
            state_dir: data.join("gateway"),
            token_file: data.join("gateway.token"),
        })
    }

    fn bytes(&mut self, field: &str, size: Option<yaml::Size>, default: usize) -> usize {
        let Some(size) = size else { return default };
        let bytes = usize::try_from(size.0).unwrap_or(usize::MAX);
        if !(4096..=(4 << 30)).contains(&bytes) {
            self.problem(field, "out of range", "use 4KiB to 4GiB");
        }
        bytes
    }

    fn distinct_ports(&mut self, gateway: &Option<GatewaySite>, control: Option<SocketAddr>) {
        let mut named = vec![("control.endpoint", control)];
        if let Some(gateway) = gateway {
            named.push(("gateway.grpc.endpoint", Some(gateway.grpc)));
            named.push(("gateway.http.endpoint", Some(gateway.http)));
        }
        let mut taken: BTreeMap<u16, &str> = BTreeMap::new();
        for (field, address) in named {
            let Some(port) = address.map(|address| address.port()).filter(|port| *port != 0) else {
                continue;
            };
            let Some(other) = taken.insert(port, field) else { continue };
            // To be mended where the file says it, which a default does not.
            let is_written = |field: &str| self.node.at(&field.split('.').collect::<Vec<_>>()).is_some();
            let (field, other) = if is_written(field) { (field, other) } else { (other, field) };
            let what = format!("port {port} is used twice, the other time by {other}");
            self.problem(field, what, "give each listener a port of its own");
        }
    }

    fn headers(&mut self, field: &str, headers: &BTreeMap<String, String>) {
        for (name, value) in headers {
            if axum::http::HeaderName::try_from(name).is_err() {
                self.problem(&format!("{field}.{name}"), "not a header name", "use letters, digits and '-'");
            }
            if axum::http::HeaderValue::try_from(value).is_err() {
                self.problem(
                    &format!("{field}.{name}"),
                    "not a header value",
                    "use one line of visible characters",
                );
            }
        }
    }

    fn address(&mut self, field: &str, text: &str) -> Option<SocketAddr> {
        let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        match named.as_deref().unwrap_or(text).parse() {
            Ok(address) => Some(address),
            Err(_) => {
                self.problem(field, format!("`{text}` is not an address"), "write it like 127.0.0.1:4317");
                None
            }
        }
    }

    fn url(&mut self, field: &str, text: &str) {
        if text.contains('@') {
            // Not repeated: it may be a password.
            self.problem(field, "credentials do not belong in an endpoint", "set them under headers");
            return;
        }
        let uri = text
            .parse::<axum::http::Uri>()
            .ok()
            .filter(|_| text.starts_with("http://") || text.starts_with("https://"));
        let valid = uri.as_ref().and_then(axum::http::Uri::authority).is_some_and(|authority| {
            let after = &authority.as_str()[authority.host().len()..];
            !authority.host().is_empty()
                && (after.is_empty() || authority.port_u16().is_some_and(|port| port != 0))
        });
        if !valid {
            self.problem(field, format!("`{text}` is not a URL"), "write it like http://blue-collector:4317");
        }
    }

    fn problem(&mut self, field: &str, what: impl Into<String>, remedy: &str) {
        let mark = mark_of(self.node, field);
        self.problems.push(Problem {
            mark,
            field: field.to_owned(),
            what: what.into(),
            remedy: remedy.to_owned(),
        });
    }
}

/// The mark of the deepest part of a dotted path that the file has.
fn mark_of(node: &Node, field: &str) -> Mark {
    let mut here = node;
    for part in field.split('.') {
        let (name, index) = part
            .split_once('[')
            .map_or((part, None), |(name, rest)| (name, rest.trim_end_matches(']').parse::<usize>().ok()));
        let Some(next) = here.get(name) else { break };
        here = next;
        if let Some(item) = index.and_then(|index| here.as_list().and_then(|list| list.get(index))) {
            here = item;
        }
    }
    here.mark.clone()
}

/// What is in a file's place, if it is none.
fn no_file(path: &Path) -> Option<String> {
    let what = match path.metadata() {
        Ok(about) if about.is_file() => return None,
        Ok(about) if about.is_dir() => "is a folder, and no file",
        Ok(_) => "is no regular file",
        Err(_) => "does not exist",
    };
    Some(format!("{} {what}", path.display()))
}

#[cfg(test)]
mod tests;
