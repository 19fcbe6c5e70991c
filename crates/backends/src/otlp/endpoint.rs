//! Where to export to.

use std::fmt;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};

use crate::tls::Tls;

/// The transports of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    HttpProtobuf,
    /// The message's bytes are JSON already: nothing is converted here. The gateway does not send it; the probe does.
    HttpJson,
}

impl Protocol {
    /// The name that OpenTelemetry's own settings use.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::HttpJson => "http/json",
        }
    }
}

/// A host, a port, a path and a protocol; and how TLS is spoken with it, if it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    authority: Authority,
    path: PathAndQuery,
    protocol: Protocol,
    tls: Option<Tls>,
}

/// Why a text is no endpoint. The text itself belongs in the caller's message, beside its place in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("not a URL: write http://host:port")]
    NotAUrl,
    #[error("unknown scheme {0:?}: write http://host:port")]
    UnknownScheme(String),
    #[error("credentials do not belong in an endpoint: set them under headers")]
    Credentials,
    #[error("no host: write http://host:port")]
    NoHost,
    #[error("a gRPC endpoint has no path: write http://host:port")]
    PathOnGrpc,
}

const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const HTTP_PATH: &str = "/v1/traces";

impl Endpoint {
    /// Reads `http://host:port`, `https://host:port` or, as the Collector takes it too, `host:port`, which is plain text. The
    /// default port is the protocol's own (4317, 4318). What TLS asks for beyond the defaults: [`Endpoint::with_tls`]. An HTTP endpoint is a base, to which `/v1/traces` is added unless it ends so already.
    pub fn parse(text: &str, protocol: Protocol) -> Result<Endpoint, EndpointError> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = with_scheme.parse().map_err(|_| EndpointError::NotAUrl)?;
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => Some(Tls::default()),
            other => return Err(EndpointError::UnknownScheme(other.unwrap_or_default().to_owned())),
        };
        let authority = uri.authority().cloned().ok_or(EndpointError::NoHost)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        if authority.host().is_empty() {
            return Err(EndpointError::NoHost);
        }
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(EndpointError::NotAUrl); // what follows the host is no port
        }
        let path = match protocol {
            Protocol::Grpc if !matches!(uri.path(), "" | "/") => return Err(EndpointError::PathOnGrpc),
            Protocol::Grpc => PathAndQuery::from_static(GRPC_PATH),
            Protocol::HttpProtobuf | Protocol::HttpJson => http_path(uri.path())?,
        };
        Ok(Endpoint { authority, path, protocol, tls })
    }

    /// With other settings of TLS; to a plain text endpoint they mean nothing.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Endpoint {
        self.tls = self.tls.map(|_| tls);
        self
    }

    /// Another method than OTLP's, such as `/grpc.health.v1.Health/Check`, over gRPC; over HTTP it means nothing.
    #[must_use]
    pub fn calling(mut self, method: &'static str) -> Endpoint {
        if self.protocol == Protocol::Grpc {
            self.path = PathAndQuery::from_static(method);
        }
        self
    }

    /// How TLS is spoken; `None`: plain text.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> Scheme {
        if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP }
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Host and port as they go into `:authority` and `Host`.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The path that a request is sent to.
    pub fn path(&self) -> &PathAndQuery {
        &self.path
    }

    /// The host to connect to; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(match self.protocol {
            Protocol::Grpc => 4317,
            Protocol::HttpProtobuf | Protocol::HttpJson => 4318,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)?;
        match self.protocol {
            Protocol::Grpc => Ok(()),
            Protocol::HttpProtobuf | Protocol::HttpJson => f.write_str(self.path.as_str()),
        }
    }
}

fn http_path(base: &str) -> Result<PathAndQuery, EndpointError> {
    let base = base.trim_end_matches('/');
    if base.ends_with(HTTP_PATH) {
        return PathAndQuery::try_from(base).map_err(|_| EndpointError::NotAUrl);
    }
    PathAndQuery::try_from(format!("{base}{HTTP_PATH}")).map_err(|_| EndpointError::NotAUrl)
}
