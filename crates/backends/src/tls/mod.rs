//! TLS as a client: what is asked of a peer, and in words what is wrong with it.
//!
//! Settings have the Collector's keys. A [`Tls`] belongs to an endpoint; it reads its files when the first connection is
//! opened, or when it is [checked](Tls::check), and again for a later connection if a file has changed since: certificates
//! are renewed while programs run. New files that cannot be used are logged, and the last good ones stay in use.
//! One provider does the cryptography: aws-lc-rs. There are no versions below TLS 1.2 here; whether a peer would take them
//! is for `posture` to find out, which has a ClientHello of its own.
//!
//! | module | holds |
//! |---|---|
//! | `fault` | [`TlsFault`]: why a peer is not trusted, or does not trust us |
//! | `files` | reading certificates and keys; [`TlsError`] |
//! | `stream` | a connection with TLS or without |
//! | `verify` | no verification, where that is asked for |

mod fault;
mod files;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod verify;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use self::fault::TlsFault;
pub(crate) use self::fault::{explain, refuses_client};
use self::files::Loaded;
pub use self::files::TlsError;
pub(crate) use self::files::{provider, roots};
pub(crate) use self::stream::Stream;
pub(crate) use self::verify::Unverified;

/// What a connection has to be, with the Collector's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificates that a peer's chain must lead to, PEM; the system's, if none.
    pub ca_file: Option<PathBuf>,
    /// The certificate chain to show to a peer that asks for one, PEM.
    pub cert_file: Option<PathBuf>,
    /// Its private key, PEM.
    pub key_file: Option<PathBuf>,
    /// Nothing older is spoken.
    pub min_version: MinVersion,
    /// Takes any certificate from anybody.
    pub insecure_skip_verify: bool,
    /// The name that the certificate must be for, in place of the endpoint's host.
    pub server_name_override: Option<String>,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Which protocol is to be spoken inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// gRPC must agree on it: a peer that does not speaks no HTTP/2.
    H2,
    /// Offered; a peer may pass over it.
    Http1,
}

/// TLS with certain settings. Cheap to clone; clones share the files that were read, and sessions to resume.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    settings: TlsSettings,
    /// That nothing is verified is what is wanted, for once.
    probing: bool,
    /// Shown to a peer that asks, in place of a certificate from files.
    shown: Option<Arc<SingleCertAndKey>>,
    loaded: Mutex<Option<Loaded>>,
}

impl PartialEq for Tls {
    fn eq(&self, other: &Tls) -> bool {
        self.inner.settings == other.inner.settings
    }
}

impl Eq for Tls {}

impl Tls {
    /// Reads nothing yet.
    pub fn new(settings: TlsSettings) -> Tls {
        Tls { inner: Arc::new(Inner { settings, ..Inner::default() }) }
    }

    /// For probes that send nothing of value: that they do not verify is not logged. `shown`: who they say they are.
    pub(crate) fn probing(settings: TlsSettings, shown: Option<Arc<SingleCertAndKey>>) -> Tls {
        Tls { inner: Arc::new(Inner { settings, probing: true, shown, loaded: Mutex::default() }) }
    }

    /// What was asked for.
    pub fn settings(&self) -> &TlsSettings {
        &self.inner.settings
    }

    /// Whether the files can be used as they are now.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn check(&self) -> Result<(), TlsError> {
        self.config().map(drop)
    }

    /// Shakes hands with the peer at the other end of `stream`, which is to be `host`.
    ///
    /// # Errors
    /// Why the peer is not trusted, does not trust us, or speaks no TLS. Bounded in time by the caller.
    pub async fn connect<S>(&self, stream: S, host: &str, alpn: Alpn) -> Result<TlsStream<S>, TlsFault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = (*self.config()?).clone();
        config.alpn_protocols = match alpn {
            Alpn::H2 => vec![b"h2".to_vec()],
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
        };
        if let Some(shown) = &self.inner.shown {
            config.client_auth_cert_resolver = Arc::<SingleCertAndKey>::clone(shown);
        }
        let name = self.settings().server_name_override.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsFault::NoName(name.to_owned()))?;
        let showed = self.settings().cert_file.is_some() || self.inner.shown.is_some();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let stream = stream.map_err(|error| fault::of_handshake(&error, showed))?;
        match (alpn, stream.get_ref().1.alpn_protocol()) {
            (Alpn::H2, Some(b"h2")) | (Alpn::Http1, _) => Ok(stream),
            (Alpn::H2, _) => Err(TlsFault::NoHttp2),
        }
    }

    /// The configuration in use: a new one if a file has changed.
    fn config(&self) -> Result<Arc<rustls::ClientConfig>, TlsError> {
        let settings = self.settings();
        let mut loaded = self.lock();
        if let Some(last) = &*loaded
            && last.is_current(settings)
        {
            return Ok(Arc::clone(&last.config));
        }
        if settings.insecure_skip_verify && !self.inner.probing {
            tracing::warn!(
                "insecure_skip_verify: certificates are not verified, anybody may answer as the server"
            );
        }
        match (Loaded::load(settings), loaded.as_mut()) {
            (Ok(new), _) => Ok(Arc::clone(&loaded.insert(new).config)),
            (Err(error), None) => Err(error),
            (Err(error), Some(last)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(%error, cause, "changed TLS files cannot be used; the last good ones stay");
                last.put_up_with(settings);
                Ok(Arc::clone(&last.config))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.inner.loaded.lock().expect("nothing panics while it holds this lock")
    }
}
