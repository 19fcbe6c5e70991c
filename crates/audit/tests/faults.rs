//! Every durable write of the log, at which the disk fails, fails but persists, or the power goes.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crossfade_audit::storage::Storage;
use crossfade_audit::verify::{Report, Settle, verify_with};
use crossfade_audit::{AppendError, Log, Place};
use crossfade_rollout::Entry;
use crossfade_tlog::{Checkpoint, Hash};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use support::disk::{Fault, MemoryDisk};
use support::{PLAN, bytes, entries, entry, gate_run, key, preflight, time};

/// In one run.
const FAULTS_MAX: usize = 4;

const FAULTS: [Fault; 5] = [
    Fault::Fails(ErrorKind::Other),
    Fault::Fails(ErrorKind::StorageFull),
    Fault::FailsButPersists(ErrorKind::Other),
    Fault::FailsButPersists(ErrorKind::StorageFull),
    Fault::Crash,
];

fn place() -> Place {
    support::place(Path::new("data"))
}

/// What the world has been told, and must find again.
#[derive(Default)]
struct Promises {
    /// In this order, from entry 0.
    acknowledged: Vec<Vec<u8>>,
    /// All of these or none may follow.
    unknown: Vec<Vec<u8>>,
    /// Acknowledged as emergency entries: in the log or in the emergency file, once.
    emergency: Vec<Vec<u8>>,
    /// One more, perhaps.
    emergency_unknown: Option<Vec<u8>>,
    /// Roots that the log has signed and shown, by size.
    roots: BTreeMap<u64, Hash>,
}

impl Promises {
    fn show(&mut self, note: &str) {
        let checkpoint = Checkpoint::open(note.as_bytes(), key().verifier()).unwrap();
        let root = *self.roots.entry(checkpoint.size).or_insert(checkpoint.root);
        assert_eq!(root, checkpoint.root, "two roots at size {}", checkpoint.size);
    }

    /// Takes what a log holds after being opened as the truth, if it is one that was promised.
    fn settle(&mut self, log: &Log) {
        let held: Vec<Vec<u8>> =
            log.entries(0..log.size()).unwrap().into_iter().map(|leaf| leaf.bytes).collect();
        self.show(&log.checkpoint());
        let unknown = std::mem::take(&mut self.unknown);
        if held.len() != self.acknowledged.len() {
            self.acknowledged.extend(unknown);
        }
        assert_eq!(held.len(), self.acknowledged.len(), "entries lost, or cut in the middle of an append");
        assert_eq!(held, self.acknowledged);

        let waiting = log.emergency_entries();
        let all: Vec<&Vec<u8>> = held.iter().chain(waiting).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "an entry twice");
        if let Some(perhaps) = self.emergency_unknown.take().filter(|perhaps| all.contains(&perhaps)) {
            self.emergency.push(perhaps);
        }
        for one in &self.emergency {
            assert!(all.contains(&one), "an emergency entry is lost");
        }
    }

    /// After an error of `append`: what may be in the log now.
    fn failed(&mut self, error: &AppendError, sent: &[Entry]) {
        if let AppendError::Indeterminate { .. } = error {
            self.unknown = sent.iter().map(bytes).collect();
        }
    }
}

/// One process after another uses the log until the script is done or the power goes.
struct Run {
    disk: Arc<MemoryDisk>,
    log: Option<Log>,
    /// Opens a poisoned log in place; else drops it, as a new process would find it.
    in_place: bool,
    promises: Promises,
}

impl Run {
    fn open(&mut self) {
        self.log = None;
        // If a fault strikes while opening, the next process opens.
        for _ in 0..=FAULTS_MAX {
            let storage: Arc<dyn Storage> = Arc::clone(&self.disk) as _;
            if let Ok((log, _)) = Log::open_with(storage, &place(), key()) {
                self.promises.settle(&log);
                self.log = Some(log);
                return;
            }
        }
    }

    fn reopen(&mut self) {
        match self.log.as_mut().filter(|_| self.in_place).map(Log::reopen) {
            Some(Ok(_)) => self.promises.settle(self.log.as_ref().expect("opened")),
            _ => self.open(),
        }
    }

    fn append(&mut self, sent: &[Entry], blobs: &[&[u8]]) {
        for attempt in 0.. {
            let Some(log) = &mut self.log else { return };
            for blob in blobs {
                log.put_evidence(blob).unwrap();
            }
            match log.append(sent) {
                Ok(receipt) => {
                    self.promises.acknowledged.extend(sent.iter().map(bytes));
                    assert_eq!(receipt.entries.end, self.promises.acknowledged.len() as u64);
                    self.promises.show(&receipt.checkpoint);
                    return;
                }
                Err(AppendError::EmergencyWaiting { .. }) => self.merge(),
                Err(error) => {
                    assert!(attempt <= FAULTS_MAX, "still failing: {error}");
                    self.promises.failed(&error, sent);
                    if matches!(error, AppendError::NoSpace { .. }) {
                        continue;
                    }
                    assert!(error.needs_reopening(), "{error}");
                    assert!(
                        matches!(log.append(sent), Err(AppendError::Poisoned(_))),
                        "poisoned until reopened"
                    );
                    self.open();
                    if self.promises.acknowledged.ends_with(&sent.iter().map(bytes).collect::<Vec<_>>()) {
                        return;
                    }
                }
            }
        }
    }

    fn append_emergency(&mut self, one: &Entry) {
        let Some(log) = &mut self.log else { return };
        self.promises.emergency_unknown = Some(bytes(one));
        if log.append_emergency(one).is_ok() || log.append_emergency(one).is_ok() {
            self.promises.emergency_unknown = None;
            self.promises.emergency.push(bytes(one));
        }
    }

    fn merge(&mut self) {
        for _ in 0..=FAULTS_MAX {
            let Some(log) = &mut self.log else { return };
            let waiting = log.emergency_entries().to_vec();
            match log.merge_emergency(time(9000)) {
                Ok(None) => return,
                Ok(Some(receipt)) => {
                    let merged = log.entries(receipt.entries).unwrap();
                    assert_eq!(merged.len(), waiting.len() + 1);
                    assert_eq!(
                        merged[1..].iter().map(|leaf| leaf.bytes.clone()).collect::<Vec<_>>(),
                        waiting
                    );
                    self.promises.acknowledged.extend(merged.into_iter().map(|leaf| leaf.bytes));
                    self.promises.show(&receipt.checkpoint);
                    return;
                }
                Err(error) => {
                    let mut sent = vec![merged_marker(waiting.len(), &waiting)];
                    sent.extend(waiting.iter().map(|one| crossfade_audit::entry::decode(one).unwrap()));
                    self.promises.failed(&error, &sent);
                    if error.needs_reopening() {
                        self.reopen();
                    }
                }
            }
        }
    }
}

fn merged_marker(count: usize, waiting: &[Vec<u8>]) -> Entry {
    let since = crossfade_audit::entry::decode(&waiting[0]).unwrap().time;
    let event = crossfade_rollout::Event::EmergencyMerged {
        entries: u32::try_from(count).unwrap(),
        since,
        at: time(9000),
    };
    Entry::new(crossfade_rollout::Actor::control(), time(9000), event)
}

fn script(run: &mut Run) {
    run.open();
    let blob = b"a gate's report".as_slice();
    let digest = crossfade_rollout::Digest::from_bytes(crossfade_tlog::sha256(blob));
    run.append(&[entry(1000)], &[]);
    run.append(&[preflight(1001), gate_run(1001, 1, digest)].concat(), &[PLAN, blob]);
    run.append_emergency(&entry(1004));
    run.append_emergency(&entry(1005));
    run.append(&gate_run(1006, 2, digest), &[blob]);
    run.append_emergency(&entry(1007));
    run.append(&[entry(1008)], &[]);
    run.append_emergency(&entry(1009));
    run.open();
    run.append(&[entry(1010)], &[]);
    run.append_emergency(&entry(1011));
}

fn base(entries_before: u64) -> MemoryDisk {
    let disk = Arc::new(MemoryDisk::new(1));
    let storage: Arc<dyn Storage> = Arc::clone(&disk) as _;
    storage.create_folder(Path::new("data")).unwrap();
    storage.sync_folder(Path::new("")).unwrap();
    crossfade_audit::Log::create_with(&*storage, &place(), &key()).unwrap();
    let (mut log, recovery) = Log::open_with(storage, &place(), key()).unwrap();
    assert!(recovery.is_clean(), "{recovery}");
    log.append(&entries(0..entries_before)).unwrap();
    drop(log);
    Arc::try_unwrap(disk).unwrap()
}

fn verified(disk: &Arc<MemoryDisk>) -> Report {
    let storage: Arc<dyn Storage> = Arc::clone(disk) as _;
    verify_with(&storage, &place().folder, key().verifier(), Settle::STILL).unwrap()
}

fn start(disk: MemoryDisk, acknowledged: u64) -> Run {
    let promises = Promises {
        acknowledged: entries(0..acknowledged).iter().map(bytes).collect(),
        ..Promises::default()
    };
    Run { disk: Arc::new(disk), log: None, in_place: false, promises }
}

/// *Scenario.* At each disk operation of a script in turn, each kind of fault. The process goes on as
/// its errors tell it to (try again, open again). In the end the power fails, and the log is opened.
///
/// *Guarantee.* What was acknowledged is there, in order, whole; what was refused is not there; what
/// was said to be unknown is there entirely or not at all; emergency entries are in the log or in
/// their file, once; no two checkpoints of one size differ; and the log verifies, without a single
/// stray file.
fn every_operation_fails(entries_before: u64, faults: &[Fault]) {
    let base = base(entries_before);
    for fault in faults {
        for at in 0.. {
            let mut run = start(base.with_faults(at, &[(at, *fault)]), entries_before);
            script(&mut run);
            let struck = run.disk.struck();
            if *fault != Fault::Crash {
                let log = run.log.as_ref().expect("a single failure does not lock the log");
                assert_eq!(log.emergency_entries(), [bytes(&entry(1011))]);
            }
            after_a_crash(run, &format!("{fault:?} at operation {at}"));
            if !struck {
                assert!(at > 90, "the script has only {at} operations");
                break;
            }
        }
    }
}

fn after_a_crash(mut run: Run, what: &str) {
    run.log = None;
    run.disk = Arc::new(run.disk.after_crash());
    run.open();
    let log = run.log.as_ref().unwrap_or_else(|| panic!("not opened: {what}"));
    assert_eq!(log.leftovers(), Vec::<String>::new(), "{what}");
    let report = verified(&run.disk);
    assert!(report.intact, "{what}:\n{report}");
}

/// The same with several faults in one run, often one soon after the other: the errors of a disk come
/// in bursts, and power fails while the damage of an earlier failure is being put in order.
#[test]
fn several_operations_fail() {
    let base = base(3);
    for seed in 0..400 {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let mut at = 0;
        let faults: Vec<(u64, Fault)> = (0..chance.random_range(2..=FAULTS_MAX))
            .map(|number| {
                at += chance.random_range(1..if number == 0 { 90 } else { 12 });
                (at, FAULTS[chance.random_range(0..FAULTS.len())])
            })
            .collect();
        let mut run = start(base.with_faults(seed, &faults), 3);
        run.in_place = seed % 2 == 0;
        script(&mut run);
        after_a_crash(run, &format!("seed {seed}, {faults:?}"));
    }
}

#[test]
fn every_operation_fails_in_every_way() {
    every_operation_fails(3, &FAULTS);
}

/// With 254 entries before, the appends turn partial tiles into full ones and begin new ones.
#[test]
fn every_operation_fails_where_tiles_become_full() {
    every_operation_fails(254, &[Fault::Crash]);
}

/// *Scenario.* The disk is full for a while.
///
/// *Guarantee.* Appends say so and are not in the log; emergency entries are kept; once there is
/// room, the same log goes on, merges them under their mark, and verifies.
#[test]
fn a_full_disk_is_waited_for() {
    let disk = Arc::new(base(10));
    let storage: Arc<dyn Storage> = Arc::clone(&disk) as _;
    let (mut log, _) = Log::open_with(Arc::clone(&storage), &place(), key()).unwrap();
    disk.fill(true);
    for _ in 0..3 {
        let error = log.append(&[entry(10)]).unwrap_err();
        assert!(matches!(error, AppendError::NoSpace { .. }), "{error}");
        assert!(error.is_retryable() && !error.needs_reopening());
    }
    log.append_emergency(&entry(11)).unwrap();
    log.append_emergency(&entry(12)).unwrap();
    assert_eq!((log.size(), log.emergency_entries().len()), (10, 2));
    assert!(verified(&disk).intact, "the log is as it was");
    assert!(matches!(log.merge_emergency(time(20)), Err(AppendError::NoSpace { .. })));

    // Restarted while full: it opens, and nothing is lost.
    drop(log);
    let (mut log, recovery) = Log::open_with(storage, &place(), key()).unwrap();
    assert_eq!((log.size(), recovery.emergency_waiting, recovery.removed.len()), (10, 2, 0));
    assert!(matches!(log.append(&[entry(13)]), Err(AppendError::EmergencyWaiting { waiting: 2 })));

    disk.fill(false);
    let receipt = log.merge_emergency(time(20)).unwrap().unwrap();
    assert_eq!(receipt.entries, 10..13);
    let merged: Vec<Entry> = log.entries(10..13).unwrap().iter().map(|leaf| leaf.entry().unwrap()).collect();
    assert_eq!(merged[1..], [entry(11), entry(12)]);
    assert_eq!(merged[0].event, merged_event(2, 11, 20));
    log.append(&[entry(13)]).unwrap();
    assert_eq!(log.emergency_entries().len(), 0);
    assert!(verified(&disk).intact);
}

fn merged_event(entries: u32, since: u64, at: u64) -> crossfade_rollout::Event {
    crossfade_rollout::Event::EmergencyMerged { entries, since: time(since), at: time(at) }
}

/// *Scenario.* The disk fills up at each operation of an append in turn.
///
/// *Guarantee.* Unless the commit point was reached, the append says that there is no space, and the
/// same log takes it as soon as there is.
#[test]
fn no_space_at_any_step_before_the_commit_point_is_retryable() {
    let base = base(255);
    let mut refused = 0;
    for at in 0.. {
        let disk = Arc::new(base.with_faults(at, &[]));
        let (mut log, _) = Log::open_with(Arc::clone(&disk) as _, &place(), key()).unwrap();
        let opened = disk.operations();
        drop(log);
        let disk = Arc::new(
            base.with_faults(at, &[(opened - base.operations() + at, Fault::Fails(ErrorKind::StorageFull))]),
        );
        log = Log::open_with(Arc::clone(&disk) as _, &place(), key()).unwrap().0;
        match log.append(&entries(255..258)) {
            Err(AppendError::NoSpace { .. }) => {
                refused += 1;
                assert_eq!(log.size(), 255);
                assert!(verified(&disk).intact, "at {at}:\n{}", verified(&disk));
                log.append(&entries(255..258)).unwrap();
            }
            Err(AppendError::Indeterminate { .. }) => continue,
            Err(error) => panic!("at {at}: {error}"),
            Ok(_) => {}
        }
        assert_eq!(log.size(), 258);
        drop(log);
        let (log, _) = Log::open_with(Arc::clone(&disk) as _, &place(), key()).unwrap();
        assert_eq!(log.size(), 258);
        if !disk.struck() {
            break;
        }
    }
    assert!(refused > 20, "{refused}");
}
