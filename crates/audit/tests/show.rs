//! Showing and exporting.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use crossfade_audit::export::{ExportError, export};
use crossfade_audit::show::{self, Filter};
use crossfade_audit::verify::{Settle, verify, verify_with};
use crossfade_audit::{Log, Place, ReadError, keys};
use tempfile::TempDir;

use support::{PLAN, bytes, entries, entry, gate_run, key, preflight, time};

/// 270 entries: a genesis, a rollout at its gates with one gate run, then refused calls.
fn fixture() -> (TempDir, Place) {
    let above = tempfile::tempdir().unwrap();
    let place = support::place(above.path());
    Log::create(&place, &key()).unwrap();
    let (mut log, _) = Log::open(&place, key()).unwrap();
    log.put_evidence(PLAN).unwrap();
    let report = log.put_evidence(b"a report").unwrap();
    let all = [vec![entry(0)], preflight(1), gate_run(3, 1, report), entries(5..270)].concat();
    log.append(&all).unwrap();
    (above, place)
}

fn shown(place: &Place, filter: Filter) -> Vec<u64> {
    let shown = show::entries(&place.folder, filter).unwrap();
    shown.map(|leaf| leaf.unwrap().index).collect()
}

#[test]
fn entries_are_shown_by_number_rollout_type_actor_and_time() {
    let (_above, place) = fixture();
    let all = Filter::default;
    assert_eq!(shown(&place, all()), (0..270).collect::<Vec<_>>());
    assert_eq!(shown(&place, Filter { entries: 254..258, ..all() }), [254, 255, 256, 257]);
    assert_eq!(shown(&place, Filter { entries: 268..u64::MAX, ..all() }), [268, 269]);
    assert_eq!(shown(&place, Filter { rollout: Some("tempo-3".parse().unwrap()), ..all() }), [1, 2, 3, 4]);
    assert!(shown(&place, Filter { rollout: Some("tempo-4".parse().unwrap()), ..all() }).is_empty());
    let types = ["Genesis", "GateFinished"].map(str::to_owned).into();
    assert_eq!(shown(&place, Filter { types, ..all() }), [0, 4]);
    assert_eq!(shown(&place, Filter { actor: Some("control".parse().unwrap()), ..all() }).len(), 270);
    assert!(shown(&place, Filter { actor: Some("operator:1".parse().unwrap()), ..all() }).is_empty());
    assert_eq!(shown(&place, Filter { since: Some(time(267)), until: Some(time(269)), ..all() }), [267, 268]);
    let leaf = show::entries(&place.folder, all()).unwrap().nth(256).unwrap().unwrap();
    assert_eq!(leaf.bytes, bytes(&entry(256)));
}

#[test]
fn showing_ends_where_the_log_is_broken() {
    let (_above, place) = fixture();
    let file = place.folder.join("tile/entries/001.p/14");
    let cut = fs::read(&file).unwrap().len() - 1;
    fs::File::options().write(true).open(&file).unwrap().set_len(cut as u64).unwrap();
    let shown: Vec<_> = show::entries(&place.folder, Filter::default()).unwrap().collect();
    assert_eq!(shown.len(), 270);
    assert!(matches!(shown[269], Err(ReadError::Damaged { index: 269, .. })));
    fs::remove_file(place.folder.join("checkpoint")).unwrap();
    let error = show::entries(&place.folder, Filter::default()).unwrap_err();
    assert!(matches!(error, ReadError::NoCheckpoint { .. }));
}

#[test]
fn an_export_verifies_by_itself() {
    let (above, place) = fixture();
    let out = above.path().join("given-away/copy");
    // Nothing but the log itself is copied.
    fs::write(place.folder.join("notes.txt"), "mine").unwrap();
    let report = export(&place.folder, key().verifier(), &out).unwrap();
    assert!(report.intact, "{report}");
    let vkey = keys::load_verifier(&out.join("log.pub")).unwrap();
    assert!(verify(&out.join("audit"), &vkey).unwrap().intact);
    assert!(!out.join("audit/notes.txt").exists());
    assert!(matches!(export(&place.folder, key().verifier(), &out), Err(ExportError::Exists { .. })));

    // It can be opened and written to, should the original be lost.
    let copy = Place { emergency_size: 8192, ..Place::new(out.join("audit")) };
    let (mut log, recovery) = Log::open(&copy, key()).unwrap();
    assert!(recovery.is_clean());
    log.append(&[entry(500)]).unwrap();
}

#[test]
fn an_export_of_a_broken_log_says_so() {
    let (above, place) = fixture();
    fs::remove_dir_all(place.folder.join("evidence")).unwrap();
    let report = export(&place.folder, key().verifier(), &above.path().join("copy")).unwrap();
    assert!(!report.intact && report.to_string().contains("missing"), "{report}");
    let other = keys::generate("crossfade.example/test").unwrap();
    let refused = export(&place.folder, other.verifier(), &above.path().join("other"));
    assert!(matches!(refused, Err(ExportError::Checkpoint(_))));
    assert!(!above.path().join("other").exists());
}

/// *Scenario.* Logs are exported while another thread appends.
///
/// *Guarantee.* Each export is of one checkpoint, and verifies.
#[test]
fn a_live_log_can_be_exported() {
    let (above, place) = fixture();
    let (mut log, _) = Log::open(&place, key()).unwrap();
    let copies = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            for number in 300..330 {
                // Every 10 appends it waits for a copy, so that there are some however the threads are scheduled.
                while copies.load(Ordering::Acquire) < (number - 300) / 10 {
                    std::thread::yield_now();
                }
                log.append(&[entry(number.into())]).unwrap();
            }
        });
        let mut changed = None;
        while !appending.is_finished() {
            let out = above.path().join(copies.load(Ordering::Acquire).to_string());
            changed = changed.or(match export(&place.folder, key().verifier(), &out) {
                Ok(report) => (!report.intact).then(|| report.to_string()),
                Err(error) => Some(error.to_string()),
            });
            copies.fetch_add(1, Ordering::Release);
        }
        assert_eq!(changed, None);
    });
    assert!(copies.into_inner() > 1);
    let storage = std::sync::Arc::new(crossfade_audit::storage::Disk) as _;
    assert!(verify_with(&storage, &place.folder, key().verifier(), Settle::STILL).unwrap().intact);
}
