//! Durations and sizes as people write them in configurations.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, written `30m`, `1h30m`, `1.5s`, `250ms`. Units: `ns us µs ms s m h d w`; exact to the nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub std::time::Duration);

/// A number of bytes, written `8GiB`, `512KiB`, `10MB`, `4096`. Units: `B KiB MiB GiB TiB kB KB MB GB TB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// A text that is not a duration or size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a duration.
    #[error("`{0}` is not a duration; write a number and a unit, such as 500ms, 30s, 15m, 1h30m or 7d")]
    NotADuration(String),
    /// A number alone.
    #[error("`{0}` has no unit; write for instance {0}s or {0}m")]
    NoUnit(String),
    /// A negative duration.
    #[error("`{0}` is negative; durations go forward")]
    Negative(String),
    /// Not a size.
    #[error("`{0}` is not a size; write a number and a unit, such as 64KiB, 512MiB or 8GiB")]
    NotASize(String),
    /// Beyond what 64 bits hold.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// Nanoseconds in each unit.
const TIME_UNITS: [(&str, u128); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// Bytes in each unit.
const SIZE_UNITS: [(&str, u128); 10] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

impl Duration {
    /// A duration of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(std::time::Duration::from_secs(secs))
    }

    /// The same as the standard library's type.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl FromStr for Duration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let not = || UnitError::NotADuration(text.to_owned());
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.strip_prefix('-').is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())) {
            return Err(UnitError::Negative(text.to_owned()));
        }
        let mut nanos: u128 = 0;
        loop {
            let (number, tail) = decimal(rest).ok_or_else(not)?;
            let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            if unit.is_empty() && nanos == 0 {
                return Err(UnitError::NoUnit(text.to_owned()));
            }
            let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not)?;
            let part = scale(&number, *factor).ok_or_else(|| UnitError::TooLarge(text.to_owned()))?;
            nanos = nanos.saturating_add(part);
            if tail.is_empty() {
                break;
            }
            rest = tail;
        }
        let nanos = u64::try_from(nanos).map_err(|_| UnitError::TooLarge(text.to_owned()))?;
        Ok(Self(std::time::Duration::from_nanos(nanos)))
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let not = || UnitError::NotASize(text.to_owned());
        let (number, unit) = decimal(text.trim()).ok_or_else(not)?;
        let unit = if unit.is_empty() { "B" } else { unit.trim_start() };
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not)?;
        let bytes = scale(&number, *factor).and_then(|b| u64::try_from(b).ok());
        bytes.map(Self).ok_or_else(|| UnitError::TooLarge(text.to_owned()))
    }
}

/// A decimal number: digits before and after the point.
struct Decimal<'a> {
    whole: &'a str,
    fraction: &'a str,
}

fn decimal(text: &str) -> Option<(Decimal<'_>, &str)> {
    let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => after.split_at(digits(after)),
        None => ("", rest),
    };
    (!whole.is_empty() || !fraction.is_empty()).then_some((Decimal { whole, fraction }, rest))
}

/// `number * factor`, cut to a whole number; `None` if it does not fit 128 bits.
fn scale(number: &Decimal<'_>, factor: u128) -> Option<u128> {
    let whole = if number.whole.is_empty() { 0 } else { number.whole.parse::<u128>().ok()? };
    // Eighteen digits of fraction are far below a nanosecond of a week.
    let fraction = number.fraction.get(..number.fraction.len().min(18))?;
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let power = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_mul(factor)?.checked_add(part.checked_mul(factor)? / power)
}

/// The shortest exact form: `1h30m`, `1.5s` is `1s500ms`, zero is `0s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_nanos();
        if left == 0 {
            return f.write_str("0s");
        }
        for unit in ["d", "h", "m", "s", "ms", "us", "ns"] {
            let factor = TIME_UNITS.iter().find(|(name, _)| *name == unit).map_or(1, |(_, n)| *n);
            let n = left / factor;
            left %= factor;
            if n > 0 {
                write!(f, "{n}{unit}")?;
            }
        }
        Ok(())
    }
}

/// The largest binary unit that gives a whole number.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl From<std::time::Duration> for Duration {
    fn from(d: std::time::Duration) -> Self {
        Self(d)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = crate::Raw::deserialize(deserializer)?;
        text.as_str().parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = crate::Raw::deserialize(deserializer)?;
        text.as_str().parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^(0|([0-9]+(\\.[0-9]*)?(ns|us|µs|ms|s|m|h|d|w))+)$",
            "examples": ["500ms", "30s", "15m", "1h30m"],
            "description": "A span of time: numbers with units, such as 30s or 1h30m.",
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]+(\\.[0-9]*)? ?(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)?$",
            "examples": ["64KiB", "8GiB"],
            "description": "A number of bytes, with or without a unit, such as 8GiB.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Size, UnitError};

    fn nanos(text: &str) -> Result<u128, UnitError> {
        text.parse::<Duration>().map(|d| d.0.as_nanos())
    }

    #[test]
    fn durations_read_as_written() {
        for (text, expected) in [
            ("1000ms", 1_000_000_000),
            ("1s", 1_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("7d", 604_800_000_000_000),
            ("250us", 250_000),
            ("0", 0),
            ("0s", 0),
            (".5s", 500_000_000),
            ("1.000000001s", 1_000_000_001),
        ] {
            assert_eq!(nanos(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_a_remedy() {
        for text in ["", "m", "30", "3x", "1s2", "1h 30m", "abc", "1..2s", "-5s", "99999999999999999999h"] {
            assert!(nanos(text).is_err(), "{text}");
        }
        assert_eq!(nanos("30"), Err(UnitError::NoUnit("30".to_owned())));
    }

    #[test]
    fn sizes_read_as_written() {
        for (text, expected) in
            [("8GiB", 8 << 30), ("1.5KiB", 1536), ("10MB", 10_000_000), ("77", 77), ("4 KiB", 4096)]
        {
            assert_eq!(text.parse(), Ok(Size(expected)), "{text}");
        }
        for text in ["", "GiB", "8GB B", "8gib", "-1", "99999999999TiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn display_reads_back() {
        for d in [0u64, 1, 999, 1_000_001, 5_400_000_000_000, u64::MAX] {
            let d = Duration(std::time::Duration::from_nanos(d));
            assert_eq!(d.to_string().parse(), Ok(d));
        }
        for s in [0, 1, 1024, 1536, 8 << 30, u64::MAX] {
            assert_eq!(Size(s).to_string().parse(), Ok(Size(s)));
        }
        assert_eq!(Duration::from_secs(5400).to_string(), "1h30m");
        assert_eq!(Size(8 << 30).to_string(), "8GiB");
    }
}
