//! Why a TLS connection did not come about, in words that say whose fault it is.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::files::TlsError;

/// What stands between us and the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// Our own files.
    #[error("{0}")]
    Files(String),
    /// The chain leads to nobody who is trusted.
    #[error("unknown CA: no trusted certificate has signed the server's; set tls.ca_file to its CA")]
    UnknownCa,
    /// Somebody else's certificate.
    #[error(
        "name mismatch: the certificate is for {presented}, not for {expected}; use that name, or set \
         tls.server_name_override"
    )]
    WrongName {
        /// Whom we wanted.
        expected: String,
        /// Whom it names.
        presented: String,
    },
    /// Too late.
    #[error("expired: the server's certificate is past its end; renew it")]
    Expired,
    /// Too early.
    #[error("the server's certificate is not valid yet; check the clocks")]
    NotYetValid,
    /// Anything else about the certificate.
    #[error("the server's certificate is not accepted: {0}")]
    Certificate(String),
    /// It wants to know who we are.
    #[error("client certificate demanded: set tls.cert_file and tls.key_file")]
    ClientCertificateDemanded,
    /// It does not like who we are.
    #[error("client certificate refused ({0}): use one that the server's CA has signed")]
    ClientCertificateRefused(String),
    /// It answers, but not in TLS.
    #[error("plain text peer: what answers speaks no TLS; use http://, or enable TLS there")]
    PlainText,
    /// No version or suite in common.
    #[error("no TLS version or cipher suite in common ({0}): at least TLS 1.2 is needed, or tls.min_version")]
    NothingInCommon(String),
    /// It says no more than that.
    #[error(
        "the server refuses the handshake: no cipher suite in common, or it demands another client certificate"
    )]
    HandshakeRefused,
    /// TLS, but not gRPC.
    #[error(
        "speaks TLS, but does not agree to HTTP/2 (ALPN h2), which gRPC needs; check the port and the protocol"
    )]
    NoHttp2,
    /// Not a name that a certificate can be for.
    #[error("{0:?} is no host name or address that a certificate could be for")]
    NoName(String),
    /// It hung up.
    #[error(
        "closed the connection during the TLS handshake: it may speak no TLS, or demand a client certificate"
    )]
    Closed,
    /// Anything else.
    #[error("TLS handshake: {0}")]
    Other(String),
}

impl From<TlsError> for TlsFault {
    fn from(error: TlsError) -> TlsFault {
        let cause = error.source().map(|source| format!(" ({source})")).unwrap_or_default();
        TlsFault::Files(format!("{error}{cause}"))
    }
}

/// What a server may say about the certificate that a client shows, or does not.
const CLIENT_CERTIFICATE_ALERTS: [AlertDescription; 9] = [
    AlertDescription::CertificateRequired,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
];

/// What ended a handshake. `showed`: we have a certificate to show.
pub(super) fn of_handshake(error: &io::Error, showed: bool) -> TlsFault {
    match rustls_error(error) {
        Some(cause) => of(cause, showed),
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => TlsFault::Closed,
            _ => TlsFault::Other(error.to_string()),
        },
    }
}

/// What ended a connection later on, if it was TLS's doing: in TLS 1.3 a server looks at our certificate after we believe
/// that all is well. `text`: the error with its sources. (Of what ended a connection the HTTP/2 library keeps only the text.)
pub(crate) fn explain(text: &str) -> Option<TlsFault> {
    let (_, alert) = text.split_once("received fatal alert: ")?;
    let name: String = alert.chars().take_while(char::is_ascii_alphanumeric).collect();
    let known = CLIENT_CERTIFICATE_ALERTS.into_iter().find(|known| format!("{known:?}") == name)?;
    Some(of_alert(known, true))
}

/// Whether a server ended the connection over the certificate that a client showed or did not, once it had asked for one.
/// Nothing but an alert that says so counts: whatever else ends a connection may have any reason.
pub(crate) fn refuses_client(error: &io::Error) -> bool {
    let Some(Error::AlertReceived(alert)) = rustls_error(error) else { return false };
    // `decrypt_error` is about a signature, not about whose it is; and up to TLS 1.2 many servers call it a failed handshake.
    *alert == AlertDescription::HandshakeFailure
        || CLIENT_CERTIFICATE_ALERTS.contains(alert) && *alert != AlertDescription::DecryptError
}

fn rustls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        // An io::Error hides what it wraps behind its source's source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn of(error: &Error, showed: bool) -> TlsFault {
    match error {
        Error::InvalidCertificate(certificate) => of_certificate(certificate),
        Error::NoCertificatesPresented => TlsFault::Certificate("it shows none".to_owned()),
        Error::AlertReceived(alert) => of_alert(*alert, showed),
        Error::PeerIncompatible(what) => TlsFault::NothingInCommon(format!("{what:?}")),
        Error::NoApplicationProtocol => TlsFault::NoHttp2,
        // The first record is none.
        Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => TlsFault::PlainText,
        other => TlsFault::Other(other.to_string()),
    }
}

fn of_certificate(error: &CertificateError) -> TlsFault {
    match error {
        // The signature is wrong where another CA goes by the same name: one that was made anew.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::UnknownCa,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            TlsFault::WrongName { expected: expected.to_str().into_owned(), presented }
        }
        other => {
            let text = other.to_string();
            let hint = if text.contains("CaUsedAsEndEntity") {
                "it is a CA's own; have it issue one for the server"
            } else {
                &text
            };
            TlsFault::Certificate(hint.to_owned())
        }
    }
}

fn of_alert(alert: AlertDescription, showed: bool) -> TlsFault {
    match alert {
        AlertDescription::CertificateRequired => TlsFault::ClientCertificateDemanded,
        alert if CLIENT_CERTIFICATE_ALERTS.contains(&alert) => {
            if showed || alert == AlertDescription::DecryptError {
                TlsFault::ClientCertificateRefused(format!("{alert:?}"))
            } else {
                // What servers say in TLS 1.2 to somebody who shows none.
                TlsFault::ClientCertificateDemanded
            }
        }
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            TlsFault::NothingInCommon(format!("{alert:?}"))
        }
        AlertDescription::HandshakeFailure => TlsFault::HandshakeRefused,
        AlertDescription::NoApplicationProtocol => TlsFault::NoHttp2,
        other => TlsFault::Other(format!("the server says {other:?}")),
    }
}
