//! TLS in the site: as a client of the environments; not yet on listeners.

use crossfade_backends::query::{QueryEndpoint, QueryEndpointError};
use crossfade_backends::tls::{MinVersion, Tls, TlsSettings};
use crossfade_yaml::Node;

use super::file::{TlsFile, TlsVersion};
use super::{Checker, Problem, Query, SiteError};

/// Whoever asks for TLS must neither get plain text nor be pointed at some other key.
pub(super) fn refuse_on_listeners(node: &Node) -> Result<(), SiteError> {
    let listeners = [&["gateway", "grpc"][..], &["gateway", "http"], &["control"]];
    let problems = listeners.into_iter().filter_map(|path| {
        let (key, _) = node.at(path)?.as_map()?.entry("tls")?;
        Some(Problem {
            mark: key.mark.clone(),
            field: format!("{}.tls", path.join(".")),
            what: "TLS is not supported on listeners yet".to_owned(),
            remedy: "remove it, and stay inside a protected network".to_owned(),
        })
    });
    let problems: Vec<Problem> = problems.collect();
    if problems.is_empty() { Ok(()) } else { Err(SiteError::Problems(problems)) }
}

impl Query {
    /// Its address, as questions are put to it.
    ///
    /// # Errors
    /// An address that is none.
    pub fn address(&self) -> Result<QueryEndpoint, QueryEndpointError> {
        Ok(QueryEndpoint::parse(&self.endpoint)?.with_tls(Tls::new(self.tls.clone())))
    }
}

impl Checker<'_> {
    /// The settings of a client of `endpoint`, with their files' paths; `section` is where both stand.
    pub(super) fn tls(&mut self, section: &str, endpoint: &str, file: Option<&TlsFile>) -> TlsSettings {
        let field = format!("{section}.tls");
        let Some(file) = file else { return TlsSettings::default() };
        let path = |path: &Option<String>| path.as_ref().map(|path| self.path(path));
        let settings = TlsSettings {
            ca_file: path(&file.ca_file),
            cert_file: path(&file.cert_file),
            key_file: path(&file.key_file),
            min_version: match file.min_version {
                TlsVersion::Tls12 => MinVersion::Tls12,
                TlsVersion::Tls13 => MinVersion::Tls13,
            },
            insecure_skip_verify: file.insecure_skip_verify,
            server_name_override: file.server_name_override.clone(),
        };
        if endpoint.starts_with("http://") {
            self.problem(
                &field,
                "the endpoint is http://, which is plain text",
                "write https://, or remove it",
            );
        } else if let Err(error) = Tls::new(settings.clone()).check() {
            let source = std::error::Error::source(&error).map(|source| format!(" ({source})"));
            let what = format!("{error}{}", source.unwrap_or_default());
            self.problem(&field, what, "a path is taken from this file's folder");
        }
        settings
    }
}
