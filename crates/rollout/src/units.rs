//! The small types that specs, plans and events are made of: ids, digests, shares, literals, and integers as text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crossfade_yaml::Raw;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Number, Value, json};

/// Why a small type could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("`{0}` is no digest; expected `sha256:` and 64 lower-case hexadecimal digits")]
    Digest(String),
    #[error("`{0}` is no rollout id; expected a name of a-z, 0-9 and `-`, and perhaps `.` and an attempt")]
    RolloutId(String),
    #[error("`{0}` is no actor; expected 1 to 100 characters of A-Z, a-z, 0-9 and `:._@-`")]
    Actor(String),
    #[error("`{0}` is no day and no time; expected one like `2027-01-31` or `2027-01-31T12:00:00Z`")]
    Expiry(String),
    #[error(
        "`{0}` is no share; expected a number from 0 to 1, like `0.01`, or a percentage, like `20%`; more than the whole is a percentage, like `150%`"
    )]
    Share(String),
}

/// SHA-256 of a blob, as `sha256:<64 hex digits>`. Computed outside of this crate, which knows no hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// From the 32 bytes that a hash function gave.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::Digest(text.to_owned());
        let hex = text.strip_prefix("sha256:").ok_or_else(wrong)?.as_bytes();
        if hex.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = (nibble(pair[0]).ok_or_else(wrong)? << 4) | nibble(pair[1]).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Names one rollout for ever: the spec's name, and from the second attempt on `.<attempt>`.
///
/// A gateway never forgets a fence, and a fence names its rollout: no two rollouts of a log may share an id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RolloutId(String);

impl RolloutId {
    /// The id of the given attempt (from 1) at the spec called `name`.
    ///
    /// # Errors
    /// If `name` is not 1 to 63 characters of `a-z0-9-`, beginning with a letter or digit.
    pub fn attempt(name: &str, attempt: u32) -> Result<Self, UnitError> {
        if !is_name(name) || attempt == 0 {
            return Err(UnitError::RolloutId(name.to_owned()));
        }
        Ok(Self(if attempt == 1 { name.to_owned() } else { format!("{name}.{attempt}") }))
    }

    /// The spec's name, without the attempt.
    pub fn name(&self) -> &str {
        self.0.split_once('.').map_or(self.0.as_str(), |(name, _)| name)
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(crate) fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl FromStr for RolloutId {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::RolloutId(text.to_owned());
        match text.split_once('.') {
            None => Self::attempt(text, 1),
            Some((name, attempt)) => {
                let number: u32 = attempt.parse().map_err(|_| wrong())?;
                let id = Self::attempt(name, number)?;
                if id.0 == text { Ok(id) } else { Err(wrong()) }
            }
        }
    }
}

/// Who did it, as a pseudonym: `control`, `gateway:<id>`, `operator:<digits>`. Never personal data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor(String);

impl Actor {
    /// The control plane itself.
    pub fn control() -> Self {
        Self("control".to_owned())
    }

    /// A gateway.
    pub fn gateway(gateway: &crossfade_routing::GatewayId) -> Self {
        Self(format!("gateway:{gateway}"))
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Actor {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":._@-".contains(&b);
        if (1..=100).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(UnitError::Actor(text.to_owned()))
        }
    }
}

/// A share in parts per million, 0 to 1: a quantile, an error level, a tolerance (which may exceed 1).
///
/// Read as `0.01` or as `1%`; always written as `1%`, since a log holds no floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

/// All, in parts per million.
const WHOLE: u32 = 1_000_000;

impl Share {
    /// From parts per million.
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(ppm)
    }

    /// Parts per million.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// As a number, 1.0 being the whole.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 10_000, self.0 % 10_000);
        if part == 0 {
            return write!(f, "{whole}%");
        }
        let digits = format!("{part:04}");
        write!(f, "{whole}.{}%", digits.trim_end_matches('0'))
    }
}

impl FromStr for Share {
    type Err = UnitError;

    /// `20%`, `20 %`, `0.2`: decimal digits only, at most as fine as a millionth. More than the whole is a percentage.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::Share(text.to_owned());
        let (number, places) = match text.trim().strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 4),
            None => (text.trim(), 6),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let part = part.trim_end_matches('0');
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > places {
            return Err(wrong());
        }
        let share = format!("{whole}{part:0<places$}").parse().map(Self).map_err(|_| wrong())?;
        // `20` is more likely 20 % than 2000 %.
        if places == 6 && share.0 > WHOLE {
            return Err(wrong());
        }
        Ok(share)
    }
}

/// Any configuration value, so that `2048`, `"2048"`, `0.1` and `null` stay apart.
///
/// Written as the value itself, but a number that JSON would not keep exactly becomes `{"$number": "0.1"}`: a log
/// holds no floats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Literal(Value);

impl Literal {
    /// From a value with or without floats.
    pub fn new(value: Value) -> Self {
        Self(without_floats(value))
    }

    /// The value as it was written, floats and all.
    pub fn value(&self) -> Value {
        with_floats(&self.0)
    }
}

/// The largest integer up to which every JSON reader is exact: 2^53.
const EXACT_MAX: u64 = 1 << 53;
const NUMBER: &str = "$number";

fn without_floats(value: Value) -> Value {
    match value {
        Value::Number(n) if n.as_i64().is_none_or(|n| n.unsigned_abs() > EXACT_MAX) => {
            json!({ NUMBER: n.to_string() })
        }
        Value::Array(items) => items.into_iter().map(without_floats).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, without_floats(value))).collect(),
        other => other,
    }
}

fn with_floats(value: &Value) -> Value {
    let number = |map: &serde_json::Map<String, Value>| match (map.len(), map.get(NUMBER)) {
        // Integers as serde_json reads them, anything else as the standard library does, which is exact.
        (1, Some(Value::String(text))) => match text.parse::<u64>() {
            Ok(integer) => Some(integer.into()),
            Err(_) => {
                text.parse::<i64>().map(Into::into).ok().or_else(|| Number::from_f64(text.parse().ok()?))
            }
        },
        _ => None,
    };
    match value {
        Value::Object(map) => match number(map) {
            Some(number) => Value::Number(number),
            None => map.iter().map(|(key, value)| (key.clone(), with_floats(value))).collect(),
        },
        Value::Array(items) => items.iter().map(with_floats).collect(),
        other => other.clone(),
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::new)
    }
}

/// `null` is a value like any other, and not the absence of one.
pub(crate) fn some_literal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Literal>, D::Error> {
    Literal::deserialize(deserializer).map(Some)
}

impl JsonSchema for Literal {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AnyValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Raw::deserialize(deserializer)?.as_str().parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number"],
            "pattern": "^([0-9]+(\\.[0-9]*)? ?%|0(\\.[0-9]*)?|1(\\.0*)?)$",
            "minimum": 0,
            "maximum": 1,
            "examples": [0.01, "20%"],
            "description": "A share: a number from 0 to 1, or a percentage.",
        })
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text!(Digest, RolloutId, Actor);

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Most bytes of a free text in the log: an entry is bounded, and what people and gateways write is not.
const TEXT_MAX: usize = 1_000;

/// The text, cut to what an entry can hold.
pub(crate) fn brief(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Digests of configuration inputs, by the name under which a report shows them (`green/collector.yaml`).
pub type Snapshots = BTreeMap<String, Digest>;

/// `#[serde(with = "text64")]`: 64-bit integers as decimal strings, since JSON numbers lose bits past 2^53.
pub mod text64 {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes the integer as a decimal string.
    ///
    /// # Errors
    /// As the serializer does.
    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads a decimal string, in its one canonical spelling.
    ///
    /// # Errors
    /// If it is not an integer of the type, or not spelled as this module would spell it.
    pub fn deserialize<'de, T: FromStr + Display, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom(format_args!("`{text}` is no 64-bit integer in decimal digits"));
        let value: T = text.parse().map_err(|_| wrong())?;
        if value.to_string() == text { Ok(value) } else { Err(wrong()) }
    }
}

/// `#[serde(with = "percent")]`: a routing weight as people write it, `5`, `12.5`, `12.5%`; written as `"12.5"`.
pub mod percent {
    use crossfade_routing::Weight;
    use crossfade_yaml::Raw;
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes the percentage as text without the sign.
    ///
    /// # Errors
    /// As the serializer does.
    pub fn serialize<S: Serializer>(weight: &Weight, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&crate::units::Share::from_ppm(weight.ppm()).to_string().trim_end_matches('%'))
    }

    /// Reads a percentage.
    ///
    /// # Errors
    /// If it is not a number from 0 to 100 with at most four decimal places.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Weight, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        let text = raw.as_str().trim().trim_end_matches('%').trim_end();
        let wrong = |_| {
            de::Error::custom(format_args!(
                "`{raw}` is no share of traces; write 0 to 100, with at most 4 decimals"
            ))
        };
        Weight::from_percent_str(text).map_err(wrong)
    }
}

#[cfg(test)]
mod tests;
