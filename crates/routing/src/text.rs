//! 64-bit integers in JSON are decimal strings: a JavaScript reader would round a bare one.
//!
//! One spelling only (no sign, no leading zero), so that equal values have equal bytes and digests.

use serde::{Deserialize, Deserializer, Serializer};

/// Reads a canonical decimal `u64`; `None` for any other spelling.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let canonical = text == "0" || (text.starts_with(|c: char| ('1'..='9').contains(&c)));
    if !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn parse_or<E: serde::de::Error>(text: &str) -> Result<u64, E> {
    parse(text).ok_or_else(|| E::custom(format!("{text:?} is not a decimal 64-bit integer in a string")))
}

/// `#[serde(with = "text::u64_string")]` for a bare `u64`.
pub(crate) mod u64_string {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        parse_or(&std::borrow::Cow::<str>::deserialize(deserializer)?)
    }
}

/// `#[serde(with = "text::u64_strings")]` for a list of counts.
pub(crate) mod u64_strings {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(values: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(u64::to_string))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| parse_or(text)).collect()
    }
}

/// `#[serde(with = "text::nanos")]` for a `Duration` as whole nanoseconds.
pub(crate) mod nanos {
    use super::*;
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&value.as_nanos())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64_string::deserialize(deserializer).map(Duration::from_nanos)
    }
}

/// Serde for a newtype over `u64` that is written as a decimal string.
macro_rules! serde_as_decimal_string {
    ($type:ty, $wrap:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::text::u64_string::serialize(&self.0, serializer)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::text::u64_string::deserialize(deserializer).map($wrap)
            }
        }
    };
}
pub(crate) use serde_as_decimal_string;

/// Serde for a type that is written by `Display` and read by `FromStr`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                $crate::text::from_text(&text)
            }
        }
    };
}
pub(crate) use serde_as_text;

pub(crate) fn from_text<T, E>(text: &str) -> Result<T, E>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    E: serde::de::Error,
{
    text.parse().map_err(E::custom)
}
