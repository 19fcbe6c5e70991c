//! The log on a real disk.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use crossfade_audit::keys::generate;
use crossfade_audit::storage::{Disk, Storage};
use crossfade_audit::verify::{Report, Settle, verify, verify_with};
use crossfade_audit::{AppendError, EvidenceError, Log, OpenError, Place, ReadError, Recovery};
use crossfade_rollout::Digest;
use crossfade_tlog::proof::verify_consistency;
use crossfade_tlog::tile::tiles;
use crossfade_tlog::{Checkpoint, leaf_hash, verify_entry};
use tempfile::TempDir;

use support::{PLAN, bytes, entries, entry, gate_run, key, preflight};

struct Fixture {
    _folder: TempDir,
    place: Place,
}

/// An empty log on disk.
fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let place = support::place(folder.path());
    Log::create(&place, &key()).unwrap();
    Fixture { _folder: folder, place }
}

impl Fixture {
    fn open(&self) -> (Log, Recovery) {
        Log::open(&self.place, key()).unwrap()
    }

    /// A closed log with this many entries.
    fn with(entries_before: u64) -> Self {
        let fixture = fixture();
        fixture.open().0.append(&entries(0..entries_before)).unwrap();
        fixture
    }

    /// A closed log with a rollout at its gates: three entries, one blob.
    fn preflight() -> Self {
        let fixture = Self::with(1);
        let (mut log, _) = fixture.open();
        log.put_evidence(PLAN).unwrap();
        log.append(&preflight(1)).unwrap();
        fixture
    }

    fn verify(&self) -> Report {
        verify(&self.place.folder, key().verifier()).unwrap()
    }

    fn file(&self, relative: &str) -> PathBuf {
        self.place.folder.join(relative)
    }

    fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.file(relative).parent().unwrap()).unwrap();
        fs::write(self.file(relative), content).unwrap();
    }

    fn files(&self) -> Vec<String> {
        fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
            for one in fs::read_dir(folder).unwrap() {
                let path = one.unwrap().path();
                if path.is_dir() {
                    walk(root, &path, found);
                } else {
                    found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.place.folder, &self.place.folder, &mut found);
        found.sort();
        found
    }
}

#[test]
fn grows_and_reads_back_over_tile_borders() {
    let fixture = fixture();
    let sizes = [0, 1, 2, 3, 255, 256, 257, 511, 512, 600];
    for pair in sizes.windows(2) {
        let (mut log, recovery) = fixture.open();
        assert!(recovery.is_clean(), "{recovery}");
        let receipt = log.append(&entries(pair[0]..pair[1])).unwrap();
        assert_eq!(receipt.entries, pair[0]..pair[1]);
        let read = log.entries(0..pair[1]).unwrap();
        assert!(
            read.iter()
                .map(|leaf| &leaf.bytes)
                .eq(&entries(0..pair[1]).iter().map(bytes).collect::<Vec<_>>())
        );

        // The folder holds the tiles of this size, the checkpoint, and nothing else.
        let mut expected: Vec<String> = tiles(pair[1]).map(|tile| tile.to_string()).collect();
        expected.push("checkpoint".into());
        expected.sort();
        assert_eq!(fixture.files(), expected);
        let report = fixture.verify();
        assert!(report.intact, "{report}");
    }
    let (log, _) = fixture.open();
    assert_eq!(
        log.entries(254..258).unwrap().iter().map(|leaf| leaf.index).collect::<Vec<_>>(),
        [254, 255, 256, 257]
    );
    assert_eq!(log.entry(511).unwrap().entry().unwrap(), entry(511));
    assert!(log.entries(7..7).unwrap().is_empty());
    assert!(matches!(log.entry(600), Err(ReadError::OutOfRange { index: 600, size: 600 })));
    assert!(matches!(log.entry(u64::MAX), Err(ReadError::OutOfRange { .. })));
}

#[test]
fn an_empty_append_writes_nothing() {
    let fixture = Fixture::with(2);
    let (mut log, _) = fixture.open();
    let before = log.checkpoint();
    let receipt = log.append(&[]).unwrap();
    assert_eq!((receipt.entries, receipt.checkpoint), (2..2, before));
}

#[test]
fn proofs_convince_who_holds_only_the_key() {
    let fixture = Fixture::with(300);
    let (mut log, _) = fixture.open();
    let vkey = key().verifier().clone();
    let old = Checkpoint::open(log.checkpoint().as_bytes(), &vkey).unwrap();
    log.append(&entries(300..333)).unwrap();
    for index in [0, 1, 255, 256, 299, 300, 332] {
        let shown = log.inclusion(index).unwrap();
        let note = shown.checkpoint.as_bytes();
        let verified = verify_entry(&vkey, note, index, &shown.leaf.bytes, &shown.proof).unwrap();
        assert_eq!(verified.size, 333);
    }
    let (proof, note) = log.reader().consistency(old.size).unwrap();
    let new = Checkpoint::open(note.as_bytes(), &vkey).unwrap();
    assert_eq!(verify_consistency(old.size, new.size, &old.root, &new.root, &proof), Ok(()));
}

#[test]
fn two_writers_never() {
    let fixture = Fixture::with(1);
    let (log, _) = fixture.open();
    assert!(matches!(Log::open(&fixture.place, key()), Err(OpenError::Locked { .. })));
    assert!(matches!(Log::create(&fixture.place, &key()), Err(OpenError::Locked { .. })));
    assert!(fixture.verify().intact, "reading needs no lock");
    drop(log);
    assert!(Log::open(&fixture.place, key()).is_ok());
}

#[test]
fn readers_see_whole_appends_only_and_never_wait() {
    let fixture = Fixture::with(250);
    let (mut log, _) = fixture.open();
    let reader = log.reader();
    let vkey = key().verifier().clone();
    let looked = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while reader.size() < 280 {
                let last = reader.size() - 1;
                let shown = reader.inclusion(last).unwrap();
                verify_entry(&vkey, shown.checkpoint.as_bytes(), last, &shown.leaf.bytes, &shown.proof)
                    .unwrap();
                let all = reader.entries(240..reader.size()).unwrap();
                assert_eq!(all.len() as u64 % 3, 1, "appends of three");
                looked.store(true, Ordering::Release);
            }
        });
        // The last append waits for the first look, so that there is one however the threads are scheduled.
        for number in (250..280).step_by(3) {
            while number == 277 && !looked.load(Ordering::Acquire) && !looking.is_finished() {
                thread::yield_now();
            }
            log.append(&entries(number..number + 3)).unwrap();
        }
        looking.join().unwrap();
        assert!(looked.load(Ordering::Acquire));
    });
}

#[test]
fn a_live_log_verifies_all_the_time() {
    let fixture = Fixture::preflight();
    let (mut log, _) = fixture.open();
    log.append(&entries(3..230)).unwrap();
    // An append may be held up half-way for as long as the machine likes.
    let (storage, patient) = (Arc::new(Disk) as Arc<dyn Storage>, Settle { looks: 1200, ..Settle::LIVE });
    let looks = AtomicU32::new(0);
    thread::scope(|scope| {
        let appending = scope.spawn(|| {
            for run in 1..60 {
                // Every 5 appends it waits for a look, so that there are some however the threads are scheduled, and so that
                // none sees more changes than it will follow, however slow the disk is.
                while looks.load(Ordering::Acquire) < run / 5 {
                    thread::yield_now();
                }
                let digest = log.put_evidence(format!("report {run}").as_bytes()).unwrap();
                log.append(&gate_run(300, run, digest)).unwrap();
            }
        });
        let mut changed = None;
        while !appending.is_finished() {
            changed =
                changed.or(match verify_with(&storage, &fixture.place.folder, key().verifier(), patient) {
                    Ok(report) => (!report.intact).then(|| report.to_string()),
                    Err(error) => Some(error.to_string()),
                });
            looks.fetch_add(1, Ordering::Release);
        }
        assert_eq!(changed, None);
    });
    assert!(looks.into_inner() > 1);
}

// ---- what a crash leaves

/// *Scenario.* The power failed while entry 7 was being appended: its bundle is torn.
///
/// *Guarantee.* Opening says so, with the place; the log ends with the last entry that a checkpoint
/// covers; the next entry takes the number; and the folder verifies.
#[test]
fn a_torn_last_entry_is_cut_off_and_reported() {
    let fixture = Fixture::with(7);
    let whole = fs::read(fixture.file("tile/entries/000.p/7")).unwrap();
    let mut longer = whole.clone();
    crossfade_tlog::bundle::push(&mut longer, &bytes(&entry(7))).unwrap();
    for cut in [whole.len(), whole.len() + 1, whole.len() + 2, longer.len() - 1] {
        fixture.write("tile/entries/000.p/8", &longer[..cut]);
        assert!(!fixture.verify().intact);
        let (log, recovery) = fixture.open();
        assert_eq!((log.size(), recovery.cut.len()), (7, 1), "{recovery}");
        let torn = recovery.cut[0].torn.expect("torn");
        assert_eq!((recovery.cut[0].entries, torn.offset), (0, whole.len()));
        assert!(
            recovery.to_string().contains("tile/entries/000.p/8, and a torn one: torn at byte"),
            "{recovery}"
        );
        assert_eq!(recovery.removed, ["tile/entries/000.p/8"]);
        assert!(fixture.verify().intact);
    }
    // Written to the end, and still not acknowledged: no checkpoint covers it.
    fixture.write("tile/entries/000.p/8", &longer);
    fixture.write("checkpoint.tmp", "crossfade.ex");
    let (mut log, recovery) = fixture.open();
    assert_eq!((recovery.cut[0].entries, recovery.cut[0].torn), (1, None));
    assert_eq!(recovery.removed, ["checkpoint.tmp", "tile/entries/000.p/8"]);
    assert_eq!(log.append(&[entry(70)]).unwrap().entries, 7..8);
    assert!(fixture.verify().intact);
}

/// *Scenario.* The bundle that the checkpoint covers has grown by half an entry.
///
/// *Guarantee.* As above; what is covered is proved to be unharmed, and stays.
#[test]
fn half_an_entry_behind_the_covered_ones_is_cut_off() {
    let fixture = Fixture::with(7);
    let whole = fs::read(fixture.file("tile/entries/000.p/7")).unwrap();
    fixture.write("tile/entries/000.p/7", [&whole[..], b"\x00\x40{\"actor\""].concat());
    let (log, recovery) = fixture.open();
    assert_eq!((log.size(), recovery.cut[0].entries), (7, 0));
    assert_eq!(recovery.cut[0].torn.unwrap().offset, whole.len());
    assert_eq!(fs::read(fixture.file("tile/entries/000.p/7")).unwrap(), whole);
    assert!(fixture.verify().intact);
}

#[test]
fn leftovers_are_removed_and_strangers_are_not() {
    let fixture = Fixture::with(7);
    let blob = Digest::from_bytes(crossfade_tlog::sha256(b"unnamed")).to_string();
    let blob = blob.trim_start_matches("sha256:");
    let blob = format!("evidence/{}/{blob}", &blob[..2]);
    fixture.write("tile/0/000.p/6", [1; 192]);
    fixture.write("tile/1/000.p/1", [1; 32]);
    fixture.write(&blob, "unnamed");
    fixture.write("notes.txt", "mine");
    fixture.write("tile/0/more/notes.txt", "mine");
    symlink("checkpoint", fixture.file("evidence/link")).unwrap();
    fs::create_dir_all(fixture.file("tile/0/x001")).unwrap();
    let (_, recovery) = fixture.open();
    assert_eq!(recovery.foreign, ["evidence/link", "notes.txt", "tile/0/more/notes.txt"]);
    let folder = blob.rsplit_once('/').unwrap().0;
    for removed in
        ["tile/0/000.p/6", "tile/1/000.p/1", "tile/1/000.p", "tile/1", &blob, folder, "tile/0/x001"]
    {
        assert!(recovery.removed.iter().any(|one| one == removed), "{removed} in {recovery}");
        assert!(!fixture.file(removed).exists());
    }
    assert_eq!(recovery.removed.len(), 7, "{recovery}");
    assert_eq!(fs::read_to_string(fixture.file("notes.txt")).unwrap(), "mine");
    let named: Vec<String> =
        fixture.verify().checks.into_iter().flat_map(|check| check.findings).map(|one| one.file).collect();
    assert_eq!(named, ["evidence/link", "notes.txt", "tile/0/more/notes.txt"]);
}

/// *Scenario.* Something that the checkpoint covers is gone or changed: no crash does that.
///
/// *Guarantee.* The log is not opened, nothing is touched, and the message names the file.
#[test]
fn damage_is_not_repaired() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 6] = [
        ("tile/entries/001.p/44", |bytes| bytes.truncate(bytes.len() - 1)),
        ("tile/entries/001.p/44", Vec::clear),
        ("tile/entries/000", |bytes| bytes[1000] ^= 1),
        ("tile/0/000", |bytes| bytes[1000] ^= 1),
        ("tile/0/001.p/44", |bytes| bytes.push(0)),
        ("tile/1/000.p/1", |bytes| bytes[31] ^= 1),
    ];
    let fixture = Fixture::with(300);
    for (file, damage) in damages {
        let before = fs::read(fixture.file(file)).unwrap();
        let mut bytes = before.clone();
        damage(&mut bytes);
        fixture.write(file, &bytes);
        fixture.write("checkpoint.tmp", "stays too");
        match Log::open(&fixture.place, key()) {
            Err(OpenError::Damaged { file: named, .. }) => {
                // A flipped bit in an entry shows at the root only.
                assert!(named.ends_with(file) || file == "tile/entries/000", "{}", named.display());
            }
            Err(OpenError::Entry { .. }) if file == "tile/entries/000" => {}
            other => panic!("{file}: {other:?}"),
        }
        assert_eq!(fs::read(fixture.file(file)).unwrap(), bytes);
        assert!(fixture.file("checkpoint.tmp").exists());
        fixture.write(file, &before);
    }
    for file in ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"] {
        let before = fs::read(fixture.file(file)).unwrap();
        fs::remove_file(fixture.file(file)).unwrap();
        assert!(matches!(Log::open(&fixture.place, key()), Err(OpenError::Damaged { .. })), "{file}");
        fixture.write(file, &before);
    }
    assert!(Log::open(&fixture.place, key()).is_ok());
}

#[test]
fn what_is_no_log_of_this_key() {
    let fixture = Fixture::with(3);
    let other = generate("crossfade.example/test").unwrap();
    assert!(matches!(Log::open(&fixture.place, other), Err(OpenError::Checkpoint { .. })));
    assert!(matches!(Log::create(&fixture.place, &key()), Err(OpenError::Exists { .. })));
    fs::remove_file(fixture.file("checkpoint")).unwrap();
    assert!(matches!(Log::open(&fixture.place, key()), Err(OpenError::NoLog { .. })));
    assert!(matches!(Log::create(&fixture.place, &key()), Err(OpenError::NotEmpty { .. })));
    let nowhere = Place::new(fixture.file("nowhere"));
    assert!(matches!(Log::open(&nowhere, key()), Err(OpenError::NoLog { .. })));
}

#[test]
fn an_interrupted_creation_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let place = support::place(folder.path());
    fs::create_dir(&place.folder).unwrap();
    fs::write(place.folder.join("checkpoint.tmp"), "crossfade.exa").unwrap();
    Log::create(&place, &key()).unwrap();
    let (log, recovery) = Log::open(&place, key()).unwrap();
    assert_eq!((log.size(), recovery.is_clean()), (0, true));
    let report = verify(&place.folder, key().verifier()).unwrap();
    assert!(report.intact, "{report}");
}

// ---- evidence

#[test]
fn evidence_is_stored_with_the_first_entry_that_names_it() {
    let fixture = Fixture::preflight();
    let (mut log, _) = fixture.open();
    let unknown = Digest::from_bytes([1; 32]);
    let error = log.append(&gate_run(3, 1, unknown)).unwrap_err();
    assert!(matches!(error, AppendError::NoEvidence(digest) if digest == unknown));
    assert_eq!(log.size(), 3, "all or none");
    assert!(fixture.verify().intact);

    let digest = log.put_evidence(b"a report").unwrap();
    let hex = digest.to_string().trim_start_matches("sha256:").to_owned();
    let blob = format!("evidence/{}/{hex}", &hex[..2]);
    assert_eq!(log.evidence(&digest).unwrap(), b"a report");
    assert!(!fixture.file(&blob).exists(), "no entry names it yet");
    log.append(&gate_run(3, 1, digest)).unwrap();
    assert_eq!(log.reader().evidence(&digest).unwrap(), b"a report");
    drop(log);

    let (mut log, recovery) = fixture.open();
    assert!(recovery.is_clean(), "{recovery}");
    log.append(&gate_run(4, 2, digest)).unwrap();
    assert_eq!(log.put_evidence(b"a report").unwrap(), digest);
    assert!(fixture.verify().intact);

    fixture.write(&blob, "a forged report");
    assert!(matches!(log.evidence(&digest), Err(ReadError::Evidence(_))));
    fs::remove_file(fixture.file(&blob)).unwrap();
    drop(log);
    let (_, recovery) = fixture.open();
    assert_eq!(recovery.missing_evidence, [digest]);
}

#[test]
fn evidence_has_limits() {
    let fixture = fixture();
    let (mut log, _) = fixture.open();
    let big = vec![0; 16 << 20];
    assert!(matches!(log.put_evidence(&vec![0; big.len() + 1]), Err(EvidenceError::TooLarge { .. })));
    for number in 0..4u8 {
        let mut blob = big.clone();
        blob[0] = number;
        log.put_evidence(&blob).unwrap();
    }
    assert!(log.put_evidence(&big).is_ok(), "known already");
    assert!(matches!(log.put_evidence(b"one more"), Err(EvidenceError::TooMany { .. })));
}

#[test]
fn an_entry_that_fits_no_bundle_is_refused() {
    let fixture = fixture();
    let (mut log, _) = fixture.open();
    let mut long = entry(1);
    if let crossfade_rollout::Event::AccessDenied { why, .. } = &mut long.event {
        *why = "x".repeat(65_536);
    }
    let error = log.append(&[entry(0), long.clone()]).unwrap_err();
    assert!(matches!(error, AppendError::Entry { position: 2, of: 2, .. }), "{error}");
    assert!(log.append_emergency(&long).is_err());
    log.append(&[entry(0)]).unwrap();
}

#[test]
fn leaves_are_the_bytes_that_the_tree_covers() {
    let fixture = Fixture::with(3);
    let (log, _) = fixture.open();
    let shown = log.inclusion(0).unwrap();
    assert_eq!(shown.proof[0], leaf_hash(&bytes(&entry(1))));
}
