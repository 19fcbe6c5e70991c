//! One document by its URL: an effective configuration, as an agent's page or an OpAMP server shows it.

use std::time::Duration;

use crate::query::http::Http;
use crate::query::{QueryConfig, QueryEndpoint, QueryEndpointError, QueryError, QueryKind};

/// A document that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The address.
    #[error("{0}")]
    Address(#[from] QueryEndpointError),
    /// The way, or the answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// 404.
    #[error("{url} does not know it (status 404); check the path")]
    NotFound {
        /// What was asked for.
        url: String,
    },
}

/// `GET url`: the body, if the answer is a good one, of `bytes_max` bytes at most and within `timeout`.
///
/// # Errors
/// Nobody answers, somebody refuses, or the answer is too long.
pub async fn fetch(url: &str, bytes_max: usize, timeout: Duration) -> Result<Vec<u8>, DocumentError> {
    let endpoint = QueryEndpoint::parse(&with_port(url))?;
    // No question of either kind is asked: the kind is nobody's.
    let config = QueryConfig {
        timeout,
        response_bytes_max: bytes_max,
        ..QueryConfig::new(QueryKind::Jaeger, endpoint)
    };
    let http = Http::new(config);
    let path = if http.endpoint().base().is_empty() { "/" } else { "" };
    match http.get(path, |bytes| Ok(bytes.to_vec())).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) | Err(QueryError::Malformed { .. }) => Err(DocumentError::NotFound { url: http.url(path) }),
        Err(error) => Err(error.into()),
    }
}

/// A URL's usual port, where it says none.
fn with_port(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let said = authority.rsplit_once(']').map_or(authority, |(_, after)| after).contains(':');
    let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    if said { url.to_owned() } else { format!("{scheme}://{authority}:{port}{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_is_filled_in() {
        for (url, expected) in [
            ("http://a/b", "http://a:80/b"),
            ("https://a", "https://a:443"),
            ("http://a:1/b:2", "http://a:1/b:2"),
            ("http://[::1]/b", "http://[::1]:80/b"),
            ("http://[::1]:8/b", "http://[::1]:8/b"),
        ] {
            assert_eq!(with_port(url), expected);
        }
    }
}
