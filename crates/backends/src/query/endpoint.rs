//! Where a query service is.

use std::fmt;

use http::uri::{Authority, Uri};

use crate::tls::Tls;

/// A query service's address: `http://host:port`, with the base path if it has one; and how TLS is spoken with it, if it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryEndpoint {
    authority: Authority,
    /// Empty, or begins with a slash and does not end with one.
    base: String,
    tls: Option<Tls>,
}

/// Why a text is no address of a query service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryEndpointError {
    /// Not a URL.
    #[error("not a URL: write http://host:port")]
    NotAUrl,
    /// Another scheme.
    #[error("unknown scheme {0:?}: write http://host:port")]
    UnknownScheme(String),
    /// `?tenant=bank`.
    #[error(
        "a question does not belong in an endpoint: write http://host:port, and what goes with each question under headers"
    )]
    Question,
    /// `user:password@`.
    #[error("credentials do not belong in an endpoint: set them under headers")]
    Credentials,
}

impl QueryEndpoint {
    /// Reads `http://host:port/base`, `https://…` or `host:port`, which is plain text. What TLS asks for beyond the defaults:
    /// [`QueryEndpoint::with_tls`].
    pub fn parse(text: &str) -> Result<Self, QueryEndpointError> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = with_scheme.parse().map_err(|_| QueryEndpointError::NotAUrl)?;
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => Some(Tls::default()),
            other => return Err(QueryEndpointError::UnknownScheme(other.unwrap_or_default().to_owned())),
        };
        let authority = uri.authority().cloned().ok_or(QueryEndpointError::NotAUrl)?;
        if authority.as_str().contains('@') {
            return Err(QueryEndpointError::Credentials);
        }
        if authority.host().is_empty() {
            return Err(QueryEndpointError::NotAUrl);
        }
        if uri.query().is_some() {
            return Err(QueryEndpointError::Question);
        }
        Ok(Self { authority, base: uri.path().trim_end_matches('/').to_owned(), tls })
    }

    /// With other settings of TLS; to a plain text endpoint they mean nothing.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = self.tls.map(|_| tls);
        self
    }

    /// How TLS is spoken; `None`: plain text.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Whether it has a base path.
    pub fn has_path(&self) -> bool {
        !self.base.is_empty()
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

    /// The port to connect to, or this one if none is said.
    pub fn port_or(&self, default: u16) -> u16 {
        self.authority.port_u16().unwrap_or(default)
    }
}

impl fmt::Display for QueryEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.base)
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
