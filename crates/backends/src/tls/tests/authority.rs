//! A certificate authority for tests, and what it issues, as files.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use tempfile::TempDir;

use crate::tls::{TlsSettings, Unverified, provider};

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    pem: (String, String),
}

/// How a server treats clients' certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    Unasked,
    Asked,
    Demanded,
    /// Asked for, and not verified.
    AskedOnly,
    /// Demanded, and not verified.
    DemandedOnly,
}

/// Takes any certificate of a client that has the key to it.
#[derive(Debug)]
struct Anybody {
    mandatory: bool,
}

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Unverified::new().verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Unverified::new().verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Unverified::new().supported_verify_schemes()
    }
}

impl Identity {
    /// The certificate, as it is shown.
    pub(crate) fn der(&self) -> &[u8] {
        &self.certificate
    }
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Authority { issuer, folder: tempfile::tempdir().unwrap() };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Settings that trust this authority.
    pub(crate) fn trusted(&self) -> TlsSettings {
        TlsSettings { ca_file: Some(self.path("ca.pem")), ..TlsSettings::default() }
    }

    /// Settings that also show a certificate of this authority.
    pub(crate) fn trusted_as(&self, client: &Identity) -> TlsSettings {
        let cert_file = Some(self.write("client.pem", &client.pem.0));
        let key_file = Some(self.write("client.key", &client.pem.1));
        TlsSettings { cert_file, key_file, ..self.trusted() }
    }

    pub(crate) fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            pem: (certificate.pem(), key.serialize_pem()),
        }
    }

    /// A certificate for 127.0.0.1.
    pub(crate) fn local(&self) -> Identity {
        self.issue("127.0.0.1", |_| {})
    }

    /// One that nobody else has signed.
    pub(crate) fn self_signed(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            pem: (certificate.pem(), key.serialize_pem()),
        }
    }

    pub(crate) fn expired(&self) -> Identity {
        self.issue("127.0.0.1", |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    /// A server with this certificate.
    pub(crate) fn server(
        &self,
        identity: &Identity,
        versions: &[&'static rustls::SupportedProtocolVersion],
        clients: Clients,
    ) -> ServerConfig {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
        let builder = if clients == Clients::Unasked {
            builder.with_no_client_auth()
        } else if matches!(clients, Clients::AskedOnly | Clients::DemandedOnly) {
            builder
                .with_client_cert_verifier(Arc::new(Anybody { mandatory: clients == Clients::DemandedOnly }))
        } else {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            let verifier =
                if clients == Clients::Asked { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().unwrap())
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.clone()));
        builder.with_single_cert(vec![identity.certificate.clone()], key).unwrap()
    }
}
