//! What was seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was seen of one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its name.
    pub environment: String,
    /// Of each of its endpoints.
    pub endpoints: Vec<EndpointFacts>,
    /// Interfaces that its configurations open at an address that they do not tell: they were not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unplaced: Vec<Unplaced>,
}

/// An interface whose address is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unplaced {
    /// What it is.
    pub kind: AdminKind,
    /// Where its address is written, or would be: `collector:extensions.pprof.endpoint`.
    pub path: String,
}

/// Something that was looked for: what it is, or why that could not be determined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// So it is.
    Known(T),
    /// Why it is not known.
    Unknown(String),
}

impl<T> Fact<T> {
    /// What it is, if that is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// What was seen of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointFacts {
    /// Its name within its environment: `otlp`, `query`, `pprof`.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// How it is spoken to: `grpc` or `http`. With the role it says which endpoint of another environment is the same.
    #[serde(default)]
    pub protocol: String,
    /// Its address, without credentials.
    pub url: String,
    /// Whether it is a page at the port of another endpoint, which is looked at by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shares: bool,
    /// Whether that is on this very machine.
    pub loopback: bool,
    /// What is spoken there.
    pub transport: Fact<Transport>,
    /// Its TLS, if it speaks TLS.
    pub tls: Option<TlsFacts>,
    /// Who is let in; `None` where that was not looked for.
    pub access: Option<AccessFacts>,
    /// Which web pages may read what it answers; `None` where there are no web pages.
    pub cors: Option<Fact<Cors>>,
    /// Whether Crossfade is told to take any certificate from it.
    pub unverified: bool,
}

/// What an endpoint is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Spans come in.
    Otlp,
    /// Traces are read back.
    Query,
    /// Something for those who run it.
    Admin(AdminKind),
}

/// A kind of interface for those who run an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminKind {
    /// Anything else, such as Jaeger's admin port.
    Admin,
    /// Go's profiler: memory contents, and load on demand.
    Pprof,
    /// The Collector's live view of what passes.
    Zpages,
    /// Counters.
    Metrics,
    /// Whether it is well.
    Health,
}

impl AdminKind {
    /// Its name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Pprof => "pprof",
            Self::Zpages => "zpages",
            Self::Metrics => "metrics",
            Self::Health => "health",
        }
    }
}

/// What is spoken at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TLS.
    Tls,
    /// HTTP without TLS.
    Plain,
    /// Nothing: connections are refused.
    Closed,
}

/// What was seen of an endpoint's TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// Whether it also takes plain text.
    pub plain_text: Fact<bool>,
    /// Which versions it takes.
    pub versions: BTreeMap<Version, Fact<bool>>,
    /// Which families of cipher suites it takes, up to TLS 1.2.
    pub suites: BTreeMap<Family, Fact<bool>>,
    /// Its certificate.
    pub certificate: Fact<Certificate>,
    /// What it asks of clients.
    pub client_certificate: Fact<ClientCertificate>,
    /// What becomes of a client whose certificate nobody has signed but itself; `None` where none is asked for, or was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strange_certificate: Option<Fact<Access>>,
}

impl TlsFacts {
    /// Whether nobody gets in without a certificate that somebody vouches for.
    pub(super) fn admits_by_certificate(&self) -> bool {
        self.client_certificate.known() == Some(&ClientCertificate::Required)
            && self.strange_certificate != Some(Fact::Known(Access::Taken))
    }
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// 1996; broken by POODLE.
    #[serde(rename = "SSL 3.0")]
    Ssl30,
    /// 1999.
    #[serde(rename = "TLS 1.0")]
    Tls10,
    /// 2006.
    #[serde(rename = "TLS 1.1")]
    Tls11,
    /// 2008.
    #[serde(rename = "TLS 1.2")]
    Tls12,
    /// 2018.
    #[serde(rename = "TLS 1.3")]
    Tls13,
}

impl Version {
    /// From the oldest on.
    pub const ALL: [Version; 5] = [Self::Ssl30, Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ssl30 => "SSL 3.0",
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
    }
}

/// Cipher suites that have the same weakness, up to TLS 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// No encryption.
    Null,
    /// Keys of 40 and 56 bits.
    Export,
    /// Nobody proves who he is.
    Anonymous,
    /// A stream cipher that leaks.
    Rc4,
    /// DES, Triple DES, IDEA: blocks of 64 bits.
    Des,
    /// The key is sent under the server's own: whoever gets that reads what was recorded.
    StaticRsa,
    /// Blocks chained, with SHA-1.
    CbcSha1,
    /// Forward secret, authenticated.
    Aead,
}

impl Family {
    /// From the weakest on.
    pub const ALL: [Family; 8] = [
        Self::Null,
        Self::Export,
        Self::Anonymous,
        Self::Rc4,
        Self::Des,
        Self::StaticRsa,
        Self::CbcSha1,
        Self::Aead,
    ];
    /// Those that nobody should take. CBC with SHA-1 is old, but taken by default by what is current.
    pub const WEAK: [Family; 6] =
        [Self::Null, Self::Export, Self::Anonymous, Self::Rc4, Self::Des, Self::StaticRsa];

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL (no encryption)",
            Self::Export => "EXPORT",
            Self::Anonymous => "anonymous",
            Self::Rc4 => "RC4",
            Self::Des => "DES, 3DES or IDEA",
            Self::StaticRsa => "static RSA (no forward secrecy)",
            Self::CbcSha1 => "CBC with SHA-1",
            Self::Aead => "forward secret AEAD",
        }
    }
}

/// A server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The names that it is for; the first few.
    pub names: Vec<String>,
    /// Whether the endpoint's host is among them.
    pub names_host: bool,
    /// The first second, since 1970.
    pub not_before: i64,
    /// The last second, since 1970.
    pub not_after: i64,
    /// Its key.
    pub key: Key,
    /// How it is signed: `sha256WithRSAEncryption`.
    pub signature: String,
    /// Whether that is with MD5 or SHA-1.
    pub signature_weak: bool,
    /// Whether it signed itself.
    pub self_signed: bool,
    /// Whether it leads to a certificate that Crossfade is told to trust.
    pub trust: Trust,
    /// How many certificates were shown.
    pub chain: usize,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `RSA`, `EC`, `Ed25519`.
    pub algorithm: String,
    /// Its length.
    pub bits: u32,
}

/// Whether a chain leads somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// To a certificate that is trusted.
    Trusted,
    /// To none; why.
    Untrusted(String),
}

/// What a server asks of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// Nothing.
    NotAsked,
    /// A certificate, but it goes without.
    Optional,
    /// A certificate.
    Required,
}

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessFacts {
    /// A request without credentials.
    pub anonymous: Fact<Access>,
    /// One with a token that nobody gave out; `None` where it makes no difference.
    pub wrong_token: Option<Fact<Access>>,
    /// One with our credentials, and another tenant's name; `None` where there are no tenants.
    pub other_tenant: Option<Fact<Access>>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// It was served.
    Taken,
    /// It was turned away for who asked.
    Refused,
}

/// Which web pages may read the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cors {
    /// Not those of strangers.
    Closed,
    /// All: `*`.
    Any {
        /// With the reader's cookies and the like.
        credentials: bool,
    },
    /// All: whoever asks is named.
    Reflected {
        /// With the reader's cookies and the like.
        credentials: bool,
    },
}
