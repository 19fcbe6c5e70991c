//! Shares of traces: weights, and the fraction that a trace id hashes to.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::id::TraceId;
use crate::text::serde_as_decimal_string;

/// Seed of a rollout's hash: another rollout picks other traces. In JSON a decimal string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seed(pub u64);

serde_as_decimal_string!(Seed, Seed);

/// `u(trace_id)`: where a trace lies in `[0, 1)`, in units of 2^-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(pub u64);

/// XXH3-64 of the 16 bytes of the trace id, seeded.
///
/// Not the low 56 bits of the id itself: OpenTelemetry's consistent sampling has already selected on those, so
/// among sampled traces they are not uniform.
#[must_use]
pub fn fraction(seed: Seed, trace: &TraceId) -> Fraction {
    Fraction(xxh3_64_with_seed(&trace.0, seed.0))
}

/// A share of traces in parts per million, from none to all. In JSON the integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

/// Why a share was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    #[error("{ppm} parts per million is more than everything (1000000)")]
    MoreThanAll { ppm: u64 },
    #[error("{text:?} is not a percentage: write a number from 0 to 100 with at most 4 decimals, like 12.5")]
    NotAPercentage { text: String },
}

impl Weight {
    pub const ZERO: Weight = Weight(0);
    pub const FULL: Weight = Weight(1_000_000);

    pub fn from_ppm(ppm: u32) -> Result<Weight, WeightError> {
        if ppm <= Weight::FULL.0 {
            Ok(Weight(ppm))
        } else {
            Err(WeightError::MoreThanAll { ppm: ppm.into() })
        }
    }

    /// Reads `5`, `12.5`, `0.01`, each with or without a `%` sign.
    pub fn from_percent_str(text: &str) -> Result<Weight, WeightError> {
        let refuse = || WeightError::NotAPercentage { text: text.to_owned() };
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || whole.len() > 9 || decimals.len() > 4 {
            return Err(refuse());
        }
        let ppm: u64 = format!("{whole}{decimals:0<4}").parse().map_err(|_| refuse())?;
        u32::try_from(ppm)
            .ok()
            .and_then(|ppm| Weight::from_ppm(ppm).ok())
            .ok_or(WeightError::MoreThanAll { ppm })
    }

    #[must_use]
    pub fn ppm(self) -> u32 {
        self.0
    }

    /// Whether a trace at `u` belongs to this share: `u / 2^64 < ppm / 10^6`, exactly.
    #[must_use]
    pub fn contains(self, u: Fraction) -> bool {
        u128::from(u.0) * 1_000_000 < u128::from(self.0) << 64
    }
}

impl Weight {
    /// This weight as the hot path compares it.
    pub(crate) fn share(self) -> Share {
        Share((u128::from(self.0) << 64).div_ceil(1_000_000))
    }
}

/// A weight compiled: the least fraction outside it, of 2^64 (so up to 2^64 itself).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share(u128);

impl Share {
    /// As [`Weight::contains`]: for whole `u`, `u < x` is `u < ceil(x)`.
    #[inline]
    pub(crate) fn contains(self, u: Fraction) -> bool {
        u128::from(u.0) < self.0
    }
}

impl TryFrom<u32> for Weight {
    type Error = WeightError;

    fn try_from(ppm: u32) -> Result<Weight, WeightError> {
        Weight::from_ppm(ppm)
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> u32 {
        weight.0
    }
}

impl fmt::Display for Weight {
    /// In percent, without trailing zeros: `12.5 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            return write!(f, "{whole} %");
        }
        let decimals = format!("{rest:04}");
        write!(f, "{whole}.{} %", decimals.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests;
