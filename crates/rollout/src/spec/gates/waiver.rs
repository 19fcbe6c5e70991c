//! Accepted risks: which finding, why, who answers for it, until when.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crossfade_routing::UnixNanos;
use crossfade_yaml::{Raw, Spanned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::rfc3339;
use crate::units::UnitError;

/// One accepted risk. It lets a finding through until it expires, and never lets *no verdict* through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The finding's id, like `CF-POSTURE-004`.
    pub finding: Spanned<String>,
    /// Where: an environment, or part of a component, file or address in whole names (`processors.batch`, which is not
    /// `processors.batch/pii`); without it, wherever it is found.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why the risk is taken.
    pub reason: String,
    /// Who answers for it: a role or a ticket, no personal data.
    pub owner: String,
    /// Until when: a day, as which begins in UTC it ends, or a time. One that expires today has expired.
    pub expires: Expiry,
}

/// A time at which something ends: `2027-01-31` or `2027-01-31T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(pub UnixNanos);

impl FromStr for Expiry {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let day = text.len() == 10;
        let time = if day { rfc3339::read(&format!("{text}T00:00:00Z")) } else { rfc3339::read(text) };
        time.map(Self).ok_or_else(|| UnitError::Expiry(text.to_owned()))
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = rfc3339::format(self.0);
        f.write_str(text.strip_suffix("T00:00:00.000000000Z").unwrap_or(&text))
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Raw::deserialize(deserializer)?.as_str().parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Expiry {
    fn schema_name() -> Cow<'static, str> {
        "Expiry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+Z)?$",
            "examples": ["2027-01-31"],
            "description": "A day, as which begins in UTC it ends, or a time in UTC.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Expiry;

    #[test]
    fn days_and_times() {
        for (text, again) in [
            ("2027-01-31", "2027-01-31"),
            ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00.000000000Z"),
            ("2027-01-31T00:00:00.000000000Z", "2027-01-31"),
            ("2027-01-31T01:00:00+01:00", "2027-01-31"),
        ] {
            assert_eq!(text.parse::<Expiry>().map(|expiry| expiry.to_string()).as_deref(), Ok(again));
        }
        for text in ["", "2027-02-30", "2027-1-1", "31.1.2027", "2027-01-31T12:00:00", "never", "ä234567890"]
        {
            assert!(text.parse::<Expiry>().is_err(), "{text}");
        }
    }
}
