//! A server's certificate, and whether it asks for ours.
//!
//! The handshake is the TLS library's, with a verifier that takes everything and remembers it; what the certificate is worth is
//! looked at afterwards.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade_gates::posture::{Certificate, Fact, Key, Trust};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::wire::Peer;
use crate::clock;
use crate::tls::{TlsError, TlsSettings, Unverified, provider, refuses_client, roots};

/// Names that are kept.
const NAMES_MAX: usize = 20;
/// How long a server may take to turn away a client that showed no certificate, once the client believes to be in.
const SECOND_THOUGHTS: Duration = Duration::from_secs(1);

/// What a handshake showed.
#[derive(Debug)]
pub(super) struct Shaken {
    pub(super) certificate: Fact<Certificate>,
    pub(super) client: Client,
}

/// What a server made of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// It did not ask who we are.
    NotAsked,
    /// It asked, and has not said no: a request will tell.
    NotRefused,
    /// It asked, and said in so many words that what it got will not do.
    TurnedAway,
    /// Why that is not known.
    Unknown(String),
}

/// A certificate that nobody has signed but itself, made for one look.
pub(super) fn throwaway() -> Result<Arc<SingleCertAndKey>, String> {
    let made = || {
        let mut params = CertificateParams::new(vec!["crossfade-posture.invalid".to_owned()])?;
        // By a name of its own: what goes by the name of a CA and is not signed by it fails for another reason.
        params.distinguished_name.push(DnType::CommonName, "crossfade posture, known to nobody");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        Ok::<_, rcgen::Error>((params.self_signed(&key)?, key))
    };
    let (certificate, key) = made().map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let certified = CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider());
    Ok(Arc::new(SingleCertAndKey::from(certified.map_err(|error| error.to_string())?)))
}

/// Shakes hands, and looks at the certificate as a client with these settings would. `shown`: ours; none, if left out.
pub(super) async fn shake(
    peer: &Peer,
    settings: &TlsSettings,
    shown: Option<Arc<SingleCertAndKey>>,
) -> Shaken {
    let seen = Arc::new(Seen {
        verifier: Unverified::new(),
        chain: Mutex::default(),
        asked: AtomicBool::new(false),
        shown,
    });
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_client_cert_resolver(Arc::clone(&seen) as Arc<dyn ResolvesClientCert>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    let wanted = settings.server_name_override.as_deref().unwrap_or(&peer.host);
    let Ok(name) = ServerName::try_from(wanted.to_owned()) else {
        return Shaken::unknown(format!("{wanted:?} is no name that a certificate could be for"));
    };
    let connecting = async {
        let stream = TcpStream::connect((peer.host.as_str(), peer.port)).await?;
        TlsConnector::from(Arc::new(config)).connect(name.clone(), stream).await
    };
    let connected = timeout(peer.patience, connecting).await;
    let chain = std::mem::take(&mut *seen.lock());
    let asked = seen.asked.load(Ordering::SeqCst);
    let client = match connected {
        // Up to TLS 1.2 a server has had its say by now.
        Ok(Ok(stream))
            if asked && stream.get_ref().1.protocol_version() != Some(ProtocolVersion::TLSv1_3) =>
        {
            Client::NotRefused
        }
        Ok(Ok(mut stream)) if asked => {
            // In TLS 1.3 a server says only now what it thinks of us.
            match timeout(SECOND_THOUGHTS.min(peer.patience), stream.read(&mut [0; 64])).await {
                Ok(Err(error)) if refuses_client(&error) => Client::TurnedAway,
                _ => Client::NotRefused,
            }
        }
        Ok(Ok(_)) => Client::NotAsked,
        Ok(Err(error)) if !chain.is_empty() && asked && refuses_client(&error) => Client::TurnedAway,
        Ok(Err(error)) if !chain.is_empty() => Client::Unknown(format!("TLS handshake: {error}")),
        Ok(Err(error)) => return Shaken::unknown(format!("TLS handshake: {error}")),
        Err(_) => return Shaken::unknown(format!("no TLS handshake within {:?}", peer.patience)),
    };
    let certificate = match describe(&chain, &name, roots(settings.ca_file.as_deref())) {
        Ok(certificate) => Fact::Known(certificate),
        Err(why) => Fact::Unknown(why),
    };
    Shaken { certificate, client }
}

impl Shaken {
    fn unknown(why: String) -> Shaken {
        Shaken { certificate: Fact::Unknown(why.clone()), client: Client::Unknown(why) }
    }
}

/// What a chain is, and what it is worth.
fn describe(
    chain: &[CertificateDer<'static>],
    name: &ServerName<'_>,
    roots: Result<RootCertStore, TlsError>,
) -> Result<Certificate, String> {
    let (leaf, others) = chain.split_first().ok_or("it shows no certificate")?;
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|error| format!("its certificate cannot be read: {error}"))?;
    let key = parsed.public_key();
    let (algorithm, bits) = match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => ("RSA".to_owned(), rsa.key_size()),
        Ok(PublicKey::EC(point)) => ("EC".to_owned(), point.key_size()),
        Ok(PublicKey::DSA(bytes)) => ("DSA".to_owned(), bytes.len() * 8),
        _ => match key.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => ("Ed25519".to_owned(), 256),
            "1.3.101.113" => ("Ed448".to_owned(), 456),
            other => (other.to_owned(), key.subject_public_key.data.len() * 8),
        },
    };
    let (signature, signature_weak) = signature(&parsed.signature_algorithm.algorithm.to_id_string());
    let validity = parsed.validity();
    let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let readable = ParsedCertificate::try_from(leaf);
    let names_host = readable.as_ref().is_ok_and(|leaf| verify_server_name(leaf, name).is_ok());
    let trust = match (roots, readable) {
        (Err(error), _) => Err(error.to_string()),
        (_, Err(error)) => Err(error.to_string()),
        (Ok(roots), Ok(leaf)) => {
            // Whether it is valid now is another question, judged by the gate's own time.
            let at = now().clamp(not_before.max(0), not_after.max(0));
            let at = UnixTime::since_unix_epoch(Duration::from_secs(at.unsigned_abs()));
            let algorithms = provider().signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&leaf, &roots, others, at, algorithms)
                .map_err(|error| why_untrusted(&error))
        }
    };
    Ok(Certificate {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        names: names(&parsed),
        names_host,
        not_before,
        not_after,
        key: Key { algorithm, bits: u32::try_from(bits).unwrap_or(u32::MAX) },
        signature,
        signature_weak,
        self_signed: parsed.subject() == parsed.issuer() && signed_itself(leaf),
        trust: match trust {
            Ok(()) => Trust::Trusted,
            Err(why) => Trust::Untrusted(why),
        },
        chain: chain.len(),
    })
}

/// Names alone do not say it: a CA and what it issues may go by the same one.
fn signed_itself(leaf: &CertificateDer<'static>) -> bool {
    let mut itself = RootCertStore::empty();
    let (Ok(()), Ok(parsed)) = (itself.add(leaf.clone()), ParsedCertificate::try_from(leaf)) else {
        return false;
    };
    let at = UnixTime::since_unix_epoch(Duration::from_secs(now().unsigned_abs()));
    let algorithms = provider().signature_verification_algorithms.all;
    let verified = verify_server_cert_signed_by_trust_anchor(&parsed, &itself, &[], at, algorithms);
    // A CA's own is not accepted as a server's, which is known only once its signature is.
    verified.is_ok() || format!("{verified:?}").contains("CaUsedAsEndEntity")
}

fn why_untrusted(error: &Error) -> String {
    use rustls::CertificateError as Why;
    match error {
        Error::InvalidCertificate(Why::UnknownIssuer | Why::BadSignature) => "unknown CA".to_owned(),
        Error::InvalidCertificate(why) => why.to_string(),
        other => other.to_string(),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(IpAddr::from([a, b, c, d]).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(name).take(NAMES_MAX).collect()
}

/// A signature algorithm's name, and whether it is one that can be forged.
fn signature(oid: &str) -> (String, bool) {
    let (name, weak) = match oid {
        "1.2.840.113549.1.1.2" => ("md2WithRSAEncryption", true),
        "1.2.840.113549.1.1.4" => ("md5WithRSAEncryption", true),
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => ("sha1WithRSAEncryption", true),
        "1.2.840.10040.4.3" => ("dsa-with-SHA1", true),
        "1.2.840.10045.4.1" => ("ecdsa-with-SHA1", true),
        "1.2.840.113549.1.1.10" => ("RSASSA-PSS", false),
        "1.2.840.113549.1.1.11" => ("sha256WithRSAEncryption", false),
        "1.2.840.113549.1.1.12" => ("sha384WithRSAEncryption", false),
        "1.2.840.113549.1.1.13" => ("sha512WithRSAEncryption", false),
        "1.2.840.10045.4.3.2" => ("ecdsa-with-SHA256", false),
        "1.2.840.10045.4.3.3" => ("ecdsa-with-SHA384", false),
        "1.2.840.10045.4.3.4" => ("ecdsa-with-SHA512", false),
        "1.3.101.112" => ("Ed25519", false),
        other => (other, false),
    };
    (name.to_owned(), weak)
}

fn now() -> i64 {
    let since = clock::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Takes everything, shows what it is told to, and remembers.
#[derive(Debug)]
struct Seen {
    shown: Option<Arc<SingleCertAndKey>>,
    verifier: Unverified,
    chain: Mutex<Vec<CertificateDer<'static>>>,
    asked: AtomicBool,
}

impl Seen {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<CertificateDer<'static>>> {
        self.chain.lock().expect("nothing panics while it holds this lock")
    }
}

impl ResolvesClientCert for Seen {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::SeqCst);
        self.shown.as_ref()?.resolve(issuers, schemes)
    }

    fn has_certs(&self) -> bool {
        // So that it is asked at all.
        true
    }
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(leaf).chain(others);
        *self.lock() = all.map(|certificate| certificate.clone().into_owned()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
