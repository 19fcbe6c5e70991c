//! What the tests of the log share: entries, and a disk that fails on demand.
#![allow(clippy::unwrap_used, dead_code, reason = "test support, of which no test uses all")]

pub(crate) mod disk;

use crossfade_audit::Place;
use crossfade_rollout::event::{Gate, Outcome};
use crossfade_rollout::{Actor, Digest, Entry, Event};
use crossfade_routing::UnixNanos;
use crossfade_tlog::SignerKey;

pub(crate) const ORIGIN: &str = "crossfade.example/test";

pub(crate) fn key() -> SignerKey {
    SignerKey::from_seed(ORIGIN.parse().unwrap(), [7; 32])
}

pub(crate) fn place(folder: &std::path::Path) -> Place {
    Place { emergency_size: 8192, ..Place::new(folder.join("audit")) }
}

/// Entry number `number` of a made-up log: unlike any other, of varying length.
pub(crate) fn entry(number: u64) -> Entry {
    let at = time(number);
    let why = "no ".repeat(usize::try_from(number % 7).unwrap()) + &number.to_string();
    Entry::new(Actor::control(), at, Event::AccessDenied { call: "POST /v1/rollouts".into(), why, at })
}

pub(crate) fn entries(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    numbers.map(entry).collect()
}

/// An entry that names evidence.
pub(crate) fn gate(number: u64, evidence: Digest) -> Entry {
    let event = Event::GateFinished {
        rollout: "tempo-3".parse().unwrap(),
        gate: Gate::Drift,
        run: 1,
        outcome: Outcome::Pass,
        summary: format!("run {number}"),
        evidence: Some(evidence),
        seed: None,
        at: time(number),
    };
    Entry::new(Actor::control(), time(number), event)
}

pub(crate) fn time(number: u64) -> UnixNanos {
    UnixNanos(1_795_259_280_000_000_000 + number * 1_000_000)
}

pub(crate) fn bytes(entry: &Entry) -> Vec<u8> {
    crossfade_audit::entry::encode(entry).unwrap()
}
