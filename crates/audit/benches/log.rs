//! What the log costs on the disk of the machine at hand: appending, opening, verifying.
//!
//! `TMPDIR` says which disk. An append is dominated by the disk: it waits for three rounds of syncs
//! (files, folders, the rename).
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::ops::Range;

use crossfade_audit::verify::verify;
use crossfade_audit::{Log, Place};
use crossfade_rollout::{Actor, Digest, Entry, Event};
use crossfade_routing::UnixNanos;
use crossfade_tlog::SignerKey;
use divan::Bencher;
use divan::counter::ItemsCount;
use tempfile::TempDir;

fn main() {
    divan::main();
}

fn key() -> SignerKey {
    SignerKey::from_seed("crossfade.example/bench".parse().unwrap(), [7; 32])
}

/// A genesis, then refused calls: 300 bytes each.
fn entries(numbers: Range<u64>) -> Vec<Entry> {
    let one = |number| {
        let at = UnixNanos(1_795_259_280_000_000_000 + number);
        let event = if number == 0 {
            let (active, site) = ("blue".parse().unwrap(), Digest::from_bytes([0; 32]));
            Event::Genesis { origin: "crossfade.example/bench".into(), active, site, at }
        } else {
            Event::AccessDenied { call: "POST /v1/rollouts".into(), why: format!("{number:<150}"), at }
        };
        Entry::new(Actor::control(), at, event)
    };
    numbers.map(one).collect()
}

fn log(size: u64) -> (TempDir, Place) {
    let above = tempfile::tempdir().unwrap();
    let place = Place::new(above.path().join("audit"));
    Log::create(&place, &key()).unwrap();
    let (mut log, _) = Log::open(&place, key()).unwrap();
    log.append(&entries(0..size)).unwrap();
    (above, place)
}

/// One append of so many entries, durable.
#[divan::bench(args = [1, 16, 128], sample_count = 300)]
fn append(bencher: Bencher<'_, '_>, count: u64) {
    let (_above, place) = log(1);
    let (mut log, _) = Log::open(&place, key()).unwrap();
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| entries(log_size(&place)..log_size(&place) + count))
        .bench_local_values(|entries| log.append(&entries).unwrap());
}

fn log_size(place: &Place) -> u64 {
    crossfade_audit::show::entries(&place.folder, crossfade_audit::show::Filter::default())
        .unwrap()
        .checkpoint()
        .size
}

/// One entry into the emergency file, durable.
#[divan::bench(sample_count = 300)]
fn append_emergency(bencher: Bencher<'_, '_>) {
    let (_above, place) = log(1);
    let (mut log, _) = Log::open(&place, key()).unwrap();
    let entry = &entries(1..2)[0];
    bencher.bench_local(|| log.append_emergency(entry).unwrap());
}

#[divan::bench(args = [1_000, 50_000], sample_count = 5)]
fn open(bencher: Bencher<'_, '_>, size: u64) {
    let (_above, place) = log(size);
    bencher.counter(ItemsCount::new(size)).bench_local(|| Log::open(&place, key()).unwrap());
}

#[divan::bench(args = [1_000, 50_000], sample_count = 5)]
fn verify_all(bencher: Bencher<'_, '_>, size: u64) {
    let (_above, place) = log(size);
    let verifier = key().verifier().clone();
    bencher.counter(ItemsCount::new(size)).bench_local(|| {
        let report = verify(&place.folder, &verifier).unwrap();
        assert!(report.intact, "{report}");
    });
}

/// The proof that one entry is in the log.
#[divan::bench]
fn inclusion(bencher: Bencher<'_, '_>) {
    let (_above, place) = log(50_000);
    let (log, _) = Log::open(&place, key()).unwrap();
    bencher.bench_local(|| log.inclusion(divan::black_box(31_415)).unwrap());
}
