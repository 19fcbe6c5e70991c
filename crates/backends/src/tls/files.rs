//! Certificates and keys, from PEM files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

use super::verify::Unverified;
use super::{MinVersion, TlsSettings};

/// Where systems keep the certificates that they trust, in one file.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("cannot read {path}: check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not PEM, or the PEM of something else.
    #[error("{path} is not PEM: {detail}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file of certificates without any.
    #[error("{path} holds no certificate: it must have a BEGIN CERTIFICATE section")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate that cannot be trusted as a root.
    #[error("{path} holds a certificate that cannot be used: {detail}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file of a key without one.
    #[error("{path} holds no private key: it must have a BEGIN PRIVATE KEY section, not encrypted")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// One without the other.
    #[error("{has} is set, but not {lacks}: a certificate is shown together with its key")]
    HalfIdentity {
        /// The key that is there.
        has: &'static str,
        /// The key that is missing.
        lacks: &'static str,
    },
    /// They do not belong together, or are of a kind that is not spoken.
    #[error("{path} and its key cannot be used: {detail}")]
    Identity {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// No file of trusted certificates where systems have one.
    #[error("no certificates of the system were found: set ca_file")]
    NoSystemRoots,
}

/// A configuration, and the files as they were when it was made.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ClientConfig>,
    stamps: Vec<Option<Stamp>>,
}

/// What changes when a file is replaced or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Loaded {
    pub(super) fn load(settings: &TlsSettings) -> Result<Loaded, TlsError> {
        // Before they are read: what changes in between is read again.
        let stamps = stamps(settings);
        Ok(Loaded { config: Arc::new(config(settings)?), stamps })
    }

    pub(super) fn is_current(&self, settings: &TlsSettings) -> bool {
        stamps(settings) == self.stamps
    }

    /// The files as they are now are of no use, and not read again until they change.
    pub(super) fn put_up_with(&mut self, settings: &TlsSettings) {
        self.stamps = stamps(settings);
    }
}

/// The one provider.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The certificates that chains must lead to: of a file, or the system's.
pub(crate) fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    if let Some(path) = ca_file {
        for certificate in certificates(path)? {
            store.add(certificate).map_err(|error| TlsError::Certificate {
                path: path.to_owned(),
                detail: error.to_string(),
            })?;
        }
        return Ok(store);
    }
    let path = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.is_file());
    // A system trusts some that are of no use here; the others are.
    store.add_parsable_certificates(certificates(path.ok_or(TlsError::NoSystemRoots)?)?);
    if store.is_empty() { Err(TlsError::NoSystemRoots) } else { Ok(store) }
}

fn config(settings: &TlsSettings) -> Result<ClientConfig, TlsError> {
    let versions: &[_] = match settings.min_version {
        MinVersion::Tls12 => &[&TLS13, &TLS12],
        MinVersion::Tls13 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("the provider has suites for both versions");
    let builder = if settings.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified::new()))
    } else {
        builder.with_root_certificates(roots(settings.ca_file.as_deref())?)
    };
    match (&settings.cert_file, &settings.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let identity = builder.with_client_auth_cert(certificates(cert)?, private_key(key)?);
            identity.map_err(|error| TlsError::Identity { path: cert.clone(), detail: error.to_string() })
        }
        (Some(_), None) => Err(TlsError::HalfIdentity { has: "cert_file", lacks: "key_file" }),
        (None, Some(_)) => Err(TlsError::HalfIdentity { has: "key_file", lacks: "cert_file" }),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|error| unreadable(path, &error))?;
    if all.is_empty() { Err(TlsError::NoCertificate { path: path.to_owned() }) } else { Ok(all) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        other => unreadable(path, &other),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// Nothing of the file's content is repeated: it may be a key.
fn unreadable(path: &Path, error: &pem::Error) -> TlsError {
    let detail = match error {
        pem::Error::MissingSectionEnd { .. } => "a section does not end",
        pem::Error::IllegalSectionStart { .. } => "a section's first line is wrong",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be understood",
    };
    TlsError::Pem { path: path.to_owned(), detail: detail.to_owned() }
}

fn stamps(settings: &TlsSettings) -> Vec<Option<Stamp>> {
    let files = [&settings.ca_file, &settings.cert_file, &settings.key_file];
    let stamp = |path: &PathBuf| {
        let meta = fs::metadata(path).ok()?;
        Some(Stamp { inode: meta.ino(), bytes: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) })
    };
    files.into_iter().map(|path| path.as_ref().and_then(stamp)).collect()
}
