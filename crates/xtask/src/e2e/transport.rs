//! How Collectors, Jaegers and Tempos are spoken to, in the words of their configurations and of a site. Certificates lie in the folder of
//! the run.

/// How something is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// In plain text.
    Plain,
    /// Over TLS, with the folder's `server.pem`.
    Tls,
    /// Likewise, from TLS 1.0 on.
    Old,
    /// Over TLS, and only with a certificate of the folder's `ca.pem`.
    Mutual,
}

impl Transport {
    /// The `tls` of a Collector's receiver, a Tempo's or a Jaeger's query API.
    pub(crate) const fn server(self) -> &'static str {
        match self {
            Self::Plain => "null",
            Self::Tls => "{ cert_file: server.pem, key_file: server.key }",
            Self::Old => "{ cert_file: server.pem, key_file: server.key, min_version: \"1.0\" }",
            Self::Mutual => "{ cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem }",
        }
    }

    /// A Tempo's `http_tls_config`.
    pub(crate) const fn tempo(self) -> &'static str {
        match self {
            Self::Plain => "{}",
            Self::Tls => "{ cert_file: server.pem, key_file: server.key }",
            Self::Old => "{ cert_file: server.pem, key_file: server.key, tls_min_version: VersionTLS10 }",
            Self::Mutual => {
                "{ cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert }"
            }
        }
    }

    /// The `tls` of a Collector's exporter.
    pub(crate) const fn exporter(self) -> &'static str {
        match self {
            Self::Plain => "{ insecure: true }",
            _ => self.client(),
        }
    }

    /// The `tls` of an address in a site's file.
    pub(crate) const fn client(self) -> &'static str {
        match self {
            Self::Plain => "null",
            Self::Tls | Self::Old => "{ ca_file: ca.pem }",
            Self::Mutual => "{ ca_file: ca.pem, cert_file: client.pem, key_file: client.key }",
        }
    }

    /// The address of a port of this machine.
    pub(crate) fn url(self, port: u16) -> String {
        format!("http{}://127.0.0.1:{port}", if self == Self::Plain { "" } else { "s" })
    }
}
