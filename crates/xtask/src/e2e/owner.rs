//! Who owns a trace, worked out anew from the cuts that the log says were committed: the oracle of the cases.

use super::crossfade::Entry;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The cuts of one rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cuts {
    seed: u64,
    /// When, in nanoseconds, and how many of a million traces from then on; growing in both.
    pub(crate) cuts: Vec<(u64, u64)>,
}

impl Cuts {
    /// From the last committed cut of the log, which names those before it.
    pub(crate) fn of(log: &[Entry]) -> Result<Self> {
        let last =
            log.iter().rev().find(|entry| entry.kind == "CutCommitted").context("no cut was committed")?;
        Self::parse(&last.event["schedule"])
    }

    /// Whether the candidate owns a trace whose root started at `start`.
    pub(crate) fn green_owns(&self, trace: &str, start: u64) -> Result<bool> {
        let weight = self.cuts.iter().rev().find(|(at, _)| *at <= start).map_or(0, |(_, weight)| *weight);
        let share = u128::from(xxh3_64_with_seed(&bytes(trace)?, self.seed));
        // share / 2^64 < weight / 10^6
        Ok(share * 1_000_000 < u128::from(weight) << 64)
    }

    fn parse(schedule: &Value) -> Result<Self> {
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
        let seed = number(&schedule["seed"]).context("a schedule has a seed")?;
        let cuts = schedule["cuts"].as_array().context("a schedule has cuts")?;
        let cuts = cuts.iter().map(|cut| Some((number(&cut["at"])?, cut["weight_ppm"].as_u64()?)));
        Ok(Self { seed, cuts: cuts.collect::<Option<_>>().context("a cut has a time and a weight")? })
    }
}

fn bytes(trace: &str) -> Result<[u8; 16]> {
    if trace.len() != 32 || !trace.is_ascii() {
        bail!("`{trace}` is no trace id");
    }
    let number = u128::from_str_radix(trace, 16).with_context(|| format!("`{trace}` is no trace id"))?;
    Ok(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts() -> Cuts {
        let schedule =
            r#"{"seed":"7","cuts":[{"at":"100","weight_ppm":250000},{"at":"200","weight_ppm":1000000}]}"#;
        Cuts::parse(&serde_json::from_str(schedule).unwrap()).unwrap()
    }

    #[test]
    fn the_last_cut_before_the_start_decides() {
        let cuts = cuts();
        let traces: Vec<_> = (1..2_001_u128).map(|number| format!("{:032x}", number << 64)).collect();
        let share = |start| traces.iter().filter(|trace| cuts.green_owns(trace, start).unwrap()).count();
        assert_eq!((share(99), share(200)), (0, 2_000));
        assert!((400..600).contains(&share(100)), "{}", share(100));
    }

    #[test]
    fn what_is_no_trace_id_is_an_error() {
        assert!(cuts().green_owns("12", 0).is_err());
        assert!(cuts().green_owns(&"g".repeat(32), 0).is_err());
    }
}
