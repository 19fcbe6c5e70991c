//! The posture gate: what is true on the wire, not what a file says.
//!
//! [`Facts`] are what was seen of an environment's endpoints: versions and suites that they take, certificates, who is let in.
//! They are plain data, and comparable over time. [`judge`] holds the candidate against a [`Policy`], against the active
//! environment - weaker in no item - and, in a running rollout, against an earlier look at itself.
//!
//! Plain text, and an interface that asks nobody who he is, are findings; on a loopback address, where nobody else is on the
//! wire, they are notes, unless the other environment does better. What the active environment does wrong is a note: it is
//! what there is, and must not keep anybody from something better. What could not be determined is *unknown*, and never passes.
//!
//! | module | holds |
//! |---|---|
//! | `declared` | admin interfaces that a Collector's or Jaeger's configuration opens |
//! | `facts` | [`Facts`] |
//! | `items` | facts as items that have a strength, and a rule if they are wrong as such |
//! | `judge` | [`judge`] |
//! | `matched` | which endpoints of two environments are the same |
//! | `rules` | the rules |

mod declared;
mod facts;
mod items;
mod judge;
mod matched;
mod rules;
#[cfg(test)]
mod tests;

pub use self::declared::{Listener, listeners};
pub use self::facts::{
    Access, AccessFacts, AdminKind, Certificate, ClientCertificate, Cors, EndpointFacts, Fact, Facts, Family,
    Key, Role, TlsFacts, Transport, Trust, Unplaced, Version,
};
pub use self::judge::{Input, judge};
pub use self::rules::RULES;

/// What is asked of an environment, whatever the other one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The oldest version of TLS that may be accepted.
    pub tls_min: Version,
    /// Families of cipher suites that must be refused.
    pub suites_refused: Vec<Family>,
    /// How long a certificate must be valid yet, in seconds.
    pub valid_secs_min: i64,
    /// The shortest RSA key.
    pub rsa_bits_min: u32,
    /// Whether OTLP clients must show a certificate.
    pub client_certificate: bool,
    /// Whether OTLP, query and admin interfaces must ask who is there.
    pub authentication: bool,
    /// Whether plain text is allowed everywhere, and not on loopback alone.
    pub plain_text: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tls_min: Version::Tls12,
            suites_refused: Family::WEAK.to_vec(),
            valid_secs_min: 14 * 24 * 3600,
            rsa_bits_min: 2048,
            client_certificate: false,
            authentication: true,
            plain_text: false,
        }
    }
}
