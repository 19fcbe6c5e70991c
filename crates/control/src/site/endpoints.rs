//! Where the environments are: none of them is the gateway itself, and no two are one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use crossfade_backends::otlp::{Endpoint, EndpointError, Protocol as WireProtocol};
use crossfade_backends::query::{Query as QueryClient, QueryConfig, QueryEndpoint, QueryKind as WireKind};
use crossfade_backends::tls::Tls;
use crossfade_routing::EnvironmentId;

use super::{
    Checker, Environment, GatewaySite, Protocol, Query, QueryKind, Receiver, ReceiverProtocol, mark_of,
};

/// Where an endpoint is. Two are one if these are equal; the port is the one that is connected to, said or not.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// In lower case, an IPv6 address without its brackets; `localhost` is 127.0.0.1.
    host: String,
    port: u16,
    /// What tells two receivers on one port apart. One that speaks gRPC has the port to itself.
    path: Option<String>,
}

impl Address {
    fn of(url: &str, default_port: u16) -> Option<Address> {
        let uri: Uri = url.parse().ok()?;
        let host = uri.host()?.trim_matches(['[', ']', '.']).to_ascii_lowercase();
        let host = if host == "localhost" { "127.0.0.1".to_owned() } else { host };
        let path = Some(uri.path().trim_end_matches('/').to_owned());
        Some(Address { host, port: uri.port_u16().unwrap_or(default_port), path })
    }

    fn otlp(environment: &Environment) -> Option<Address> {
        match environment.protocol {
            Protocol::Grpc => Some(Address { path: None, ..Address::of(&environment.otlp, 4317)? }),
            Protocol::HttpProtobuf => {
                let address = Address::of(&environment.otlp, 4318)?;
                // The path that a request is sent to may be said in full.
                let path = address.path.map(|path| path.trim_end_matches("/v1/traces").to_owned());
                Some(Address { path, ..address })
            }
        }
    }

    fn query(environment: &Environment) -> Option<Address> {
        let query = environment.query.as_ref()?;
        Address::of(&query.endpoint, WireKind::from(query.kind).default_port())
    }

    fn is_that_of(&self, other: &Address) -> bool {
        let same_path = self.path.is_none() || other.path.is_none() || self.path == other.path;
        self.host == other.host && self.port == other.port && same_path
    }
}

impl Environment {
    /// Its OTLP endpoint, as requests are sent to it.
    ///
    /// # Errors
    /// An address that is none.
    pub fn endpoint(&self) -> Result<Endpoint, EndpointError> {
        let protocol = match self.protocol {
            Protocol::Grpc => WireProtocol::Grpc,
            Protocol::HttpProtobuf => WireProtocol::HttpProtobuf,
        };
        Ok(Endpoint::parse(&self.otlp, protocol)?.with_tls(Tls::new(self.tls.clone())))
    }

    /// Every receiver of it, the endpoint that requests are sent to first.
    ///
    /// # Errors
    /// An address that is none.
    pub fn receivers(&self) -> Result<Vec<Endpoint>, EndpointError> {
        let tls = Tls::new(self.tls.clone());
        let further = self.receivers.iter().map(|receiver| Ok(receiver.endpoint()?.with_tls(tls.clone())));
        std::iter::once(self.endpoint()).chain(further).collect()
    }

    /// Headers added to each request to it; their values are never shown.
    ///
    /// # Errors
    /// A name or a value that no header can have.
    pub fn header_map(&self) -> Result<HeaderMap, String> {
        header_map(&self.headers)
    }

    /// A client of its query endpoint. `id` is its name in the site.
    ///
    /// # Errors
    /// In words: it has no query endpoint, or an address or a header that is none.
    pub fn query_client(&self, id: impl std::fmt::Display) -> Result<QueryClient, String> {
        let query = self.query.as_ref();
        query.ok_or_else(|| format!("{id} has no query endpoint: set environments.{id}.query"))?.client()
    }
}

impl Query {
    /// A client of it, with its headers.
    ///
    /// # Errors
    /// An address or a header that is none.
    pub fn client(&self) -> Result<QueryClient, String> {
        let endpoint = self.address().map_err(|error| error.to_string())?;
        let mut config = QueryConfig::new(self.kind.into(), endpoint);
        config.headers = self.header_map()?;
        Ok(QueryClient::new(config))
    }

    /// Headers added to each question; their values are never shown.
    ///
    /// # Errors
    /// A name or a value that no header can have.
    pub fn header_map(&self) -> Result<HeaderMap, String> {
        header_map(&self.headers)
    }
}

impl From<QueryKind> for WireKind {
    fn from(kind: QueryKind) -> WireKind {
        match kind {
            QueryKind::Jaeger => WireKind::Jaeger,
            QueryKind::Tempo => WireKind::Tempo,
        }
    }
}

/// Headers whose values are never shown.
///
/// # Errors
/// A name or a value that no header can have.
pub fn header_map(headers: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let known = HeaderName::try_from(name).map_err(|error| format!("header {name}: {error}"))?;
        let mut value = HeaderValue::try_from(value).map_err(|error| format!("header {name}: {error}"))?;
        value.set_sensitive(true);
        map.insert(known, value);
    }
    Ok(map)
}

impl Receiver {
    fn endpoint(&self) -> Result<Endpoint, EndpointError> {
        let protocol = match self.protocol {
            ReceiverProtocol::Grpc => WireProtocol::Grpc,
            ReceiverProtocol::HttpProtobuf => WireProtocol::HttpProtobuf,
            ReceiverProtocol::HttpJson => WireProtocol::HttpJson,
        };
        Endpoint::parse(&self.endpoint, protocol)
    }
}

impl Checker<'_> {
    /// An endpoint that is a URL, but none that requests can be sent to.
    pub(super) fn usable(&mut self, environments: &BTreeMap<EnvironmentId, Environment>) {
        for (name, environment) in environments {
            let field = |what: &str| format!("environments.{name}.{what}.endpoint");
            self.usable_otlp(&field("otlp"), &environment.otlp, environment.endpoint());
            for (index, receiver) in environment.receivers.iter().enumerate() {
                let field = field(&format!("receivers[{index}]"));
                self.usable_otlp(&field, &receiver.endpoint, receiver.endpoint());
            }
            let field = field("query");
            let told = self.problems.iter().any(|problem| problem.field == field);
            if let Some(query) = environment.query.as_ref().filter(|_| !told)
                && let Err(error) = QueryEndpoint::parse(&query.endpoint)
            {
                let what = format!("`{}`: {error}", query.endpoint);
                self.problem(&field, what, "write it like http://blue-jaeger:16686");
            }
        }
    }

    fn usable_otlp(&mut self, field: &str, url: &str, endpoint: Result<Endpoint, EndpointError>) {
        // Other mistakes of a URL are told by `url`.
        let told = self.problems.iter().any(|problem| problem.field == field);
        if let Some(error) = endpoint.err().filter(|_| !told) {
            let remedy = match error {
                EndpointError::PathOnGrpc => "or set protocol: http/protobuf",
                _ => "write it like http://blue-collector:4317",
            };
            self.problem(field, format!("`{url}`: {error}"), remedy);
        }
    }

    /// An environment that is the gateway itself: every span would come back, for ever.
    pub(super) fn no_loops(
        &mut self,
        environments: &BTreeMap<EnvironmentId, Environment>,
        gateway: Option<&GatewaySite>,
    ) {
        let Some(gateway) = gateway else { return };
        for (name, environment) in environments {
            let Some(Address { host, port, .. }) = Address::otlp(environment) else { continue };
            let here = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
            if here && [gateway.grpc, gateway.http].iter().any(|own| own.port() == port) {
                let what = format!(
                    "{} is this gateway's own listener: every span would come back",
                    environment.otlp
                );
                self.problem(
                    &format!("environments.{name}.otlp.endpoint"),
                    what,
                    "name the environment's Collector, or move gateway.grpc and gateway.http",
                );
            }
        }
    }

    /// Two environments that are one: green would be compared with itself, and pass.
    pub(super) fn no_twins(&mut self, environments: &BTreeMap<EnvironmentId, Environment>) {
        let all: Vec<(&EnvironmentId, &Environment)> = environments.iter().collect();
        for (index, (name, environment)) in all.iter().enumerate() {
            for (other, earlier) in all.iter().take(index) {
                let of =
                    |what: &str| [name, other].map(|name| format!("environments.{name}.{what}.endpoint"));
                // Tenants may be told apart by a header.
                if is_one(Address::otlp(environment), Address::otlp(earlier))
                    && lower(&environment.headers) == lower(&earlier.headers)
                {
                    self.twin(of("otlp"), &environment.otlp, "every span would get there twice");
                }
                if let Some((query, other)) = environment.query.as_ref().zip(earlier.query.as_ref())
                    && is_one(Address::query(environment), Address::query(earlier))
                    && lower(&query.headers) == lower(&other.headers)
                {
                    self.twin(of("query"), &query.endpoint, "what one holds would be taken for the other's");
                }
            }
        }
    }

    fn twin(&mut self, [field, other]: [String; 2], url: &str, consequence: &str) {
        let elsewhere = mark_of(self.node, &other);
        let what = format!("{url} is the same as {other} ({elsewhere}): {consequence}");
        self.problem(&field, what, "give each environment an endpoint of its own");
    }
}

/// A header's name is the same in either case.
fn lower(headers: &BTreeMap<String, String>) -> BTreeMap<String, &str> {
    headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str())).collect()
}

fn is_one(one: Option<Address>, other: Option<Address>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one.is_that_of(&other))
}
