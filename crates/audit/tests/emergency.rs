//! The emergency file: what it keeps, what a crash leaves of it, and what no crash does.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::sync::Arc;

use crossfade_audit::storage::{Disk, Storage};
use crossfade_audit::verify::{Report, Settle, verify_with};
use crossfade_audit::{AppendError, EmergencyError, Log, OpenError, Place, Recovery};
use tempfile::TempDir;

use support::{bytes, entries, entry, gate_finished, key, time};

/// Bytes before the first record, and of a record before its entry.
const MAGIC: usize = 22;
const HEAD: usize = 36;

struct Fixture {
    _folder: TempDir,
    place: Place,
}

impl Fixture {
    /// A closed log with this many entries.
    fn with(entries_before: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = support::place(folder.path());
        Log::create(&place, &key()).unwrap();
        let fixture = Fixture { _folder: folder, place };
        fixture.open().0.append(&entries(0..entries_before)).unwrap();
        fixture
    }

    /// And with entries 2 to 4 in its emergency file, whose bytes are given.
    fn waiting() -> (Self, Vec<u8>) {
        let fixture = Self::with(2);
        let (mut log, _) = fixture.open();
        (2..5).for_each(|number| log.append_emergency(&entry(number)).unwrap());
        drop(log);
        let file = fs::read(&fixture.place.emergency).unwrap();
        (fixture, file)
    }

    fn open(&self) -> (Log, Recovery) {
        Log::open(&self.place, key()).unwrap()
    }

    fn verify(&self) -> Report {
        let storage: Arc<dyn Storage> = Arc::new(Disk);
        verify_with(&storage, &self.place.folder, key().verifier(), Settle::STILL).unwrap()
    }

    /// The file as it is now is taken for damaged: by who opens the log, who leaves it alone, and by who verifies it.
    fn is_damaged(&self, file: &[u8], what: &str) {
        fs::write(&self.place.emergency, file).unwrap();
        let refused = Log::open(&self.place, key()).map(|(_, recovery)| recovery);
        let refused = refused.expect_err(what).to_string();
        assert!(
            refused.contains("is damaged at byte") && refused.contains("move it aside"),
            "{what}: {refused}"
        );
        assert_eq!(fs::read(&self.place.emergency).unwrap(), file, "{what}: it was changed");
        let report = self.verify();
        let text = report.to_string();
        assert!(
            !report.intact && text.contains("✘ emergency    1 finding\n    ../emergency byte "),
            "{what}: {text}"
        );
    }
}

/// Where record number `number`, 0 to 2, of [`Fixture::waiting`] begins; 3 is the end.
fn start(number: u64) -> usize {
    MAGIC + (0..number).map(|one| HEAD + bytes(&entry(2 + one)).len()).sum::<usize>()
}

/// *Scenario.* The log is verified while an entry still waits in the emergency file, and again when it has been merged.
/// *Guarantee.* The report says that one waits, then no more; the log is intact both times.
#[test]
fn verify_notes_what_waits_in_the_emergency_file() {
    let fixture = Fixture::with(2);
    assert!(!fixture.verify().to_string().contains("emergency"));
    let (mut log, _) = fixture.open();
    log.append_emergency(&entry(7)).unwrap();
    let report = fixture.verify();
    assert!(report.intact && report.to_string().contains("1 entry waits"), "{report}");
    log.merge_emergency(time(9)).unwrap();
    let report = fixture.verify();
    assert!(report.intact && !report.to_string().contains("emergency"), "{report}");
}

#[test]
fn emergency_entries_survive_and_are_merged_under_their_mark() {
    let fixture = Fixture::with(2);
    let (mut log, _) = fixture.open();
    assert!(log.merge_emergency(time(5)).unwrap().is_none());
    log.append_emergency(&entry(2)).unwrap();
    log.append_emergency(&entry(3)).unwrap();
    assert!(matches!(log.append(&[entry(9)]), Err(AppendError::EmergencyWaiting { waiting: 2 })));
    drop(log);
    let (mut log, recovery) = fixture.open();
    assert_eq!(recovery.emergency_waiting, 2);
    assert_eq!(log.emergency_entries(), [bytes(&entry(2)), bytes(&entry(3))]);
    let before = fs::read(&fixture.place.emergency).unwrap();
    log.merge_emergency(time(5)).unwrap().unwrap();
    assert_eq!(log.entry(3).unwrap().entry().unwrap(), entry(2));
    drop(log);
    assert!(fixture.verify().intact);

    // Killed after the merge and before the file was emptied: nothing is merged twice.
    fs::write(&fixture.place.emergency, &before).unwrap();
    let (log, recovery) = fixture.open();
    assert_eq!((recovery.emergency_merged, recovery.emergency_waiting), (2, 0));
    assert_eq!(log.size(), 5);
    assert!(fs::read(&fixture.place.emergency).unwrap()[22..].iter().all(|byte| *byte == 0));
}

#[test]
fn the_emergency_file_takes_no_room_later() {
    let fixture = Fixture::with(2);
    let size = fs::metadata(&fixture.place.emergency).unwrap().len();
    assert_eq!(size, fixture.place.emergency_size);
    let (mut log, _) = fixture.open();
    let mut kept = 0;
    let left = loop {
        match log.append_emergency(&entry(kept)) {
            Ok(()) => kept += 1,
            Err(EmergencyError::Full { left, .. }) => break left,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(left < bytes(&entry(kept)).len() && kept > 20);
    assert_eq!(fs::metadata(&fixture.place.emergency).unwrap().len(), size);
    log.merge_emergency(time(99)).unwrap();
    log.append_emergency(&entry(500)).unwrap();
}

#[test]
fn an_emergency_entry_names_no_waiting_evidence() {
    let fixture = Fixture::with(2);
    let (mut log, _) = fixture.open();
    let digest = log.put_evidence(b"in memory only").unwrap();
    assert!(matches!(log.append_emergency(&gate_finished(1, 1, digest)), Err(EmergencyError::Evidence(_))));
}

#[test]
fn another_file_in_the_emergency_files_place() {
    let fixture = Fixture::with(2);
    fs::write(&fixture.place.emergency, "my notes").unwrap();
    assert!(matches!(
        Log::open(&fixture.place, key()),
        Err(OpenError::Emergency(EmergencyError::Foreign { .. }))
    ));
    let report = fixture.verify();
    assert!(
        !report.intact && report.to_string().contains("../emergency byte 0: it is no emergency"),
        "{report}"
    );
    fs::remove_file(&fixture.place.emergency).unwrap();
    assert!(fixture.verify().intact, "none beside it");
    assert!(fixture.open().1.is_clean(), "a missing one is made again");
}

/// *Scenario.* Of three acknowledged records any one byte becomes another one.
///
/// *Guarantee.* That is damage: the log is not opened, nothing is wiped, verification fails and names the file.
#[test]
fn any_changed_byte_of_an_acknowledged_record_is_damage() {
    let (fixture, file) = Fixture::waiting();
    for at in MAGIC..start(3) {
        // A verification reads the whole folder: the borders of each record, and some of what lies between.
        let near =
            (0..4).any(|number| at.abs_diff(start(number)) < 6 || at.abs_diff(start(number) + HEAD) < 3);
        if !near && at % 17 != 0 {
            continue;
        }
        for change in [0x04, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= change;
            fixture.is_damaged(&damaged, &format!("byte {at} ^ {change}"));
        }
    }
    fs::write(&fixture.place.emergency, &file).unwrap();
    assert_eq!(fixture.open().1.emergency_waiting, 3, "put back");
}

/// *Scenario.* A sector's worth of zeros, of other bytes, and a record that is gone, before others that are whole.
#[test]
fn what_stands_behind_a_gap_is_not_wiped() {
    let (fixture, file) = Fixture::waiting();
    let change = |range: std::ops::Range<usize>, byte: u8| {
        let mut damaged = file.clone();
        damaged[range].fill(byte);
        damaged
    };
    for number in 0..2 {
        let (from, to) = (start(number), start(number + 1));
        fixture.is_damaged(&change(from..to, 0), "a record of zeros");
        fixture.is_damaged(&change(from..to, b'x'), "a record of something");
        fixture.is_damaged(&change(from..to + 8, 0), "and the next one's length");
        fixture.is_damaged(&change(from..from + HEAD, 0), "no head");
        fixture.is_damaged(&change(to - 9..to, 0), "no tail");
    }
    let cut = file[..start(1) + HEAD + 9].to_vec();
    fixture.is_damaged(&cut, "a shorter file");
    let mut strange = file.clone();
    strange.truncate(start(3));
    strange.extend([1; 9]);
    fixture.is_damaged(&strange, "no room for what stands there");
}

/// *Scenario.* Of the last record a prefix was written, or a part of it as disks write: some sectors, and others not.
///
/// *Guarantee.* It is wiped, which is told, and the ones before it stay; the log still verifies.
#[test]
fn a_torn_record_is_wiped_and_the_ones_before_it_stay() {
    let (fixture, file) = Fixture::waiting();
    let (last, end) = (start(2), start(3));
    let mut torn: Vec<Vec<u8>> = Vec::new();
    for at in last + 1..end {
        if !(at - last).is_multiple_of(7) && at - last > 40 && at + 3 < end {
            continue;
        }
        let mut prefix = file.clone();
        prefix[at..end].fill(0);
        torn.push(prefix);
        if at >= last + HEAD {
            let mut suffix = file.clone();
            suffix[last..at].fill(0);
            torn.push(suffix);
            let mut middle = file.clone();
            middle[at.min(end - 2)..end - 2].fill(0);
            torn.push(middle);
        }
    }
    torn.retain(|torn| torn != &file && torn[last..].iter().any(|byte| *byte != 0));
    assert!(torn.len() > 100, "{}", torn.len());
    for torn in torn {
        fs::write(&fixture.place.emergency, &torn).unwrap();
        assert!(fixture.verify().intact);
        let (mut log, recovery) = fixture.open();
        assert_eq!((recovery.emergency_torn, recovery.emergency_waiting), (Some(last), 2), "{recovery}");
        assert!(recovery.to_string().contains(&format!("wiped a torn record at byte {last}")), "{recovery}");
        log.append_emergency(&entry(9)).unwrap();
        drop(log);
        let wanted = [2, 3, 9].map(|number| bytes(&entry(number)));
        assert_eq!(fixture.open().0.emergency_entries(), wanted);
    }
}

/// *Scenario.* The program is killed while it empties the file, whose entries are in the log; and a file that holds other
/// entries bears the same mark.
#[test]
fn a_file_that_is_half_empty_is_known_by_its_mark_and_by_the_log() {
    let (fixture, file) = Fixture::waiting();
    let mut marked = file.clone();
    marked[MAGIC] = 0xff;
    fixture.is_damaged(&marked, "entries that are not in the log");
    fs::write(&fixture.place.emergency, &file).unwrap();
    fixture.open().0.merge_emergency(time(9)).unwrap().unwrap();
    for cut in [MAGIC + 1, MAGIC + 3, start(1) - 2, start(1), start(2) + 5, start(3)] {
        let mut half = marked.clone();
        half[MAGIC + 1..cut].fill(0);
        fs::write(&fixture.place.emergency, &half).unwrap();
        assert!(fixture.verify().intact);
        let (log, recovery) = fixture.open();
        assert_eq!((recovery.emergency_waiting, recovery.emergency_torn), (0, None));
        drop(log);
        assert!(fs::read(&fixture.place.emergency).unwrap()[MAGIC..].iter().all(|byte| *byte == 0));
    }
}
