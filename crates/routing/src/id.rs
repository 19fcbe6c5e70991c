//! Names: of traces, environments, gateways and their boots.

use std::fmt;
use std::str::FromStr;

use crate::text::serde_as_text;

/// A trace id: 16 bytes, as in OTLP. Text form: 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// Why a name or id was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("a trace id is 32 hex digits, got {text:?}")]
    TraceId { text: String },
    #[error("{what} name {text:?} must be 1 to 63 characters, each of {allowed}")]
    Name { what: &'static str, text: String, allowed: &'static str },
}

impl TraceId {
    /// The invalid id of the OpenTelemetry specification: all zero.
    pub const INVALID: TraceId = TraceId([0; 16]);

    /// The id as found in a span; [`TraceId::INVALID`] unless it has exactly 16 bytes.
    #[must_use]
    pub fn from_wire(bytes: &[u8]) -> TraceId {
        bytes.try_into().map_or(TraceId::INVALID, TraceId)
    }

    /// Not all zero.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        *self != TraceId::INVALID
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for TraceId {
    type Err = IdError;

    /// 32 hex digits of either case.
    fn from_str(text: &str) -> Result<TraceId, IdError> {
        let refuse = || IdError::TraceId { text: text.to_owned() };
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        u128::from_str_radix(text, 16).map(|id| TraceId(id.to_be_bytes())).map_err(|_| refuse())
    }
}

serde_as_text!(TraceId);

fn checked(
    what: &'static str,
    text: &str,
    allowed: &'static str,
    ok: fn(u8) -> bool,
) -> Result<String, IdError> {
    if (1..=63).contains(&text.len()) && text.bytes().all(ok) {
        Ok(text.to_owned())
    } else {
        Err(IdError::Name { what, text: text.to_owned(), allowed })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $allowed:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            pub fn new(text: &str) -> Result<Self, IdError> {
                checked($what, text, $allowed, $ok).map(Self)
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $type {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        serde_as_text!($type);
    };
}

name!(
    /// The colour of an environment: `blue`, `green`.
    EnvironmentId,
    "environment",
    "a-z 0-9 -",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
);
name!(
    /// One gateway, across its restarts. Safe as a path segment of a URL and as a file name.
    GatewayId,
    "gateway",
    "a-z A-Z 0-9 - _",
    |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
);
name!(
    /// One life of a gateway process: ledgers count per boot.
    BootId,
    "boot",
    "a-z A-Z 0-9 - _",
    |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
);

#[cfg(test)]
mod tests;
