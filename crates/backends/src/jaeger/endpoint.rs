//! Where a query service is.

use std::fmt;

use http::uri::{Authority, Uri};

/// A query service's address: `http://host:port`, with the base path if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryEndpoint {
    authority: Authority,
    /// Empty, or begins with a slash and does not end with one.
    base: String,
}

/// Why a text is no address of a query service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryEndpointError {
    /// Not a URL.
    #[error("not a URL: write http://host:port")]
    NotAUrl,
    /// `https://`.
    #[error("TLS is not supported yet: use an http:// endpoint")]
    TlsNotSupported,
    /// Another scheme.
    #[error("unknown scheme {0:?}: write http://host:port")]
    UnknownScheme(String),
    /// `user:password@`.
    #[error("credentials do not belong in an endpoint: set them under headers")]
    Credentials,
}

/// Jaeger's own.
const DEFAULT_PORT: u16 = 16686;

impl QueryEndpoint {
    /// Reads `http://host:port/base` or `host:port`; the port is 16686 if it is not said.
    pub fn parse(text: &str) -> Result<Self, QueryEndpointError> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = with_scheme.parse().map_err(|_| QueryEndpointError::NotAUrl)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(QueryEndpointError::TlsNotSupported),
            other => return Err(QueryEndpointError::UnknownScheme(other.unwrap_or_default().to_owned())),
        }
        let authority = uri.authority().cloned().ok_or(QueryEndpointError::NotAUrl)?;
        if authority.as_str().contains('@') {
            return Err(QueryEndpointError::Credentials);
        }
        if authority.host().is_empty() || uri.query().is_some() {
            return Err(QueryEndpointError::NotAUrl);
        }
        Ok(Self { authority, base: uri.path().trim_end_matches('/').to_owned() })
    }

    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The host to connect to; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(DEFAULT_PORT)
    }
}

impl fmt::Display for QueryEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.base)
    }
}

/// A text within a query (RFC 3986): all but unreserved characters in percent-encoding.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
