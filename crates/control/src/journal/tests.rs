//! The state is the fold of what is durable, whatever the disk does.

use std::fs;

use crossfade_audit::show::{self, Filter};
use crossfade_audit::verify::{self, Settle};
use crossfade_rollout::event::{Alert, GenerationCause};
use crossfade_rollout::replay;
use crossfade_routing::EnvironmentId;

use super::faulty::{Faults, FaultyDisk};
use super::*;

const WELL: Faults = Faults::NONE;
const FULL: Faults = Faults { full: true, ..WELL };

/// A log on a disk that fails when told.
struct Bench {
    folder: tempfile::TempDir,
    disk: FaultyDisk,
    key: SignerKey,
    now: u64,
}

fn signer() -> SignerKey {
    SignerKey::from_seed("crossfade.test/log".parse().unwrap(), [7; 32])
}

impl Bench {
    fn new() -> (Bench, Journal) {
        let bench = Bench {
            folder: tempfile::tempdir().unwrap(),
            disk: FaultyDisk::default(),
            key: signer(),
            now: 1_000,
        };
        Log::create(&bench.place(), &bench.key).unwrap();
        let mut journal = bench.open();
        let active: EnvironmentId = "blue".parse().unwrap();
        let genesis = Event::Genesis {
            origin: "crossfade.test/log".to_owned(),
            active: active.clone(),
            site: Digest::from_bytes([1; 32]),
            at: UnixNanos(1),
        };
        let issued = Event::GenerationIssued {
            schedule: Box::new(Schedule::genesis(active)),
            why: GenerationCause::Genesis,
            at: UnixNanos(1),
        };
        journal.append(&Actor::control(), &[genesis, issued], Urgency::Ordinary, UnixNanos(1)).unwrap();
        (bench, journal)
    }

    fn place(&self) -> Place {
        Place::new(self.folder.path().join("audit"))
    }

    fn open(&self) -> Journal {
        let disk = Arc::new(self.disk.clone());
        Journal::open_on(disk, &self.place(), signer(), UnixNanos(2)).unwrap().journal
    }

    fn append(
        &mut self,
        journal: &mut Journal,
        events: &[Event],
        urgency: Urgency,
    ) -> Result<(), JournalError> {
        self.now += 1;
        journal.append(&Actor::control(), events, urgency, UnixNanos(self.now))
    }

    /// What the log says, in short.
    fn told(&self) -> Vec<String> {
        let leaves = show::entries(&self.place().folder, Filter::default()).unwrap();
        leaves.map(|leaf| short(&leaf.unwrap().entry().unwrap().event)).collect()
    }

    /// The log is in order, and folds to the state that the journal has.
    fn check(&self, journal: &Journal) {
        assert!(journal.is_clean());
        let storage: Arc<dyn Storage> = Arc::new(Disk);
        let report =
            verify::verify_with(&storage, &self.place().folder, self.key.verifier(), Settle::STILL).unwrap();
        assert!(report.intact, "{report}");
        let leaves = show::entries(&self.place().folder, Filter::default()).unwrap();
        let events: Vec<Event> = leaves.map(|leaf| leaf.unwrap().entry().unwrap().event).collect();
        assert_eq!(*journal.state(), replay(&events));
        assert_eq!(journal.size(), events.len() as u64);
    }
}

fn short(event: &Event) -> String {
    match event {
        Event::AlertRaised { alert, .. } => format!("+{alert:?}"),
        Event::AlertCleared { alert, .. } => format!("-{alert:?}"),
        Event::EmergencyMerged { entries, .. } => format!("merged {entries}"),
        Event::Genesis { .. } => "genesis".to_owned(),
        Event::GenerationIssued { .. } => "issued".to_owned(),
        Event::AccessDenied { .. } => "denied".to_owned(),
        other => format!("{other:?}"),
    }
}

fn raised(alert: Alert) -> Event {
    Event::AlertRaised { alert, detail: "a test".to_owned(), at: UnixNanos(5) }
}

fn alerts(journal: &Journal) -> Vec<Alert> {
    journal.state().alerts.keys().copied().collect()
}

use Alert::{BothFailing, LedgerUnbalanced, LogUnwritable};
use Urgency::{Emergency, Ordinary};

/// Scenario: the disk is full.
/// Guarantee: what the log does not take is not folded; as soon as there is room, it takes entries again.
#[test]
fn nothing_is_folded_that_is_not_durable() {
    let (mut bench, mut journal) = Bench::new();
    bench.disk.set(FULL);
    let refused = bench.append(&mut journal, &[raised(BothFailing)], Ordinary).unwrap_err();
    assert!(refused.is_of_storage(), "{refused}");
    assert_eq!((alerts(&journal), journal.size()), (vec![], 2));
    bench.disk.set(WELL);
    bench.append(&mut journal, &[raised(BothFailing)], Ordinary).unwrap();
    assert_eq!(alerts(&journal), [BothFailing]);
    bench.check(&journal);
}

/// Scenario: the disk is full, a way back happens, the process is killed, and the disk is still full when it is back.
/// Guarantee: the way back is known all the same, and goes into the log, marked, before anything else does.
#[test]
fn a_way_back_happens_ahead_of_the_log_and_is_merged_into_it() {
    let (mut bench, mut journal) = Bench::new();
    bench.disk.set(FULL);
    bench.append(&mut journal, &[raised(LogUnwritable), raised(BothFailing)], Emergency).unwrap();
    assert_eq!(alerts(&journal), [LogUnwritable, BothFailing]);
    assert_eq!((journal.size(), journal.is_clean()), (2, false));
    assert_eq!(journal.state_digest().unwrap(), None, "nothing to compare a replay of the log with");
    drop(journal);

    let mut journal = bench.open();
    assert_eq!(alerts(&journal), [LogUnwritable, BothFailing], "it is not forgotten");
    assert!(bench.append(&mut journal, &[raised(LedgerUnbalanced)], Ordinary).is_err());
    bench.disk.set(WELL);
    bench.append(&mut journal, &[raised(LedgerUnbalanced)], Ordinary).unwrap();
    assert_eq!(
        bench.told(),
        ["genesis", "issued", "merged 2", "+LogUnwritable", "+BothFailing", "+LedgerUnbalanced"]
    );
    bench.check(&journal);
}

#[test]
fn what_waits_is_merged_without_another_entry() {
    let (mut bench, mut journal) = Bench::new();
    bench.disk.set(FULL);
    bench.append(&mut journal, &[raised(LogUnwritable)], Emergency).unwrap();
    assert!(journal.recover(UnixNanos(9)).is_err());
    bench.disk.set(WELL);
    journal.recover(UnixNanos(9)).unwrap();
    assert_eq!(bench.told(), ["genesis", "issued", "merged 1", "+LogUnwritable"]);
    bench.check(&journal);
}

/// Scenario: the commit point fails, and the log can be opened again at once.
/// Guarantee: the caller is told what became of its entries, and they are folded once if they are in it.
#[test]
fn a_doubtful_append_is_cleared_up() {
    for happened in [true, false] {
        let (mut bench, mut journal) = Bench::new();
        bench.disk.set(Faults { commit: Some(happened), ..WELL });
        let done = bench.append(&mut journal, &[raised(BothFailing)], Ordinary);
        assert_eq!(done.is_ok(), happened);
        assert_eq!(alerts(&journal), if happened { vec![BothFailing] } else { vec![] });
        bench.append(&mut journal, &[raised(LedgerUnbalanced)], Ordinary).unwrap();
        bench.check(&journal);
    }
}

/// Scenario: the commit point fails although the entry is in the log, which cannot be opened again for now; then a way
/// back happens.
/// Guarantee: once the log is back, the state has both, each once, in the log's order.
#[test]
fn an_entry_that_turns_up_is_folded_before_what_went_ahead() {
    let (mut bench, mut journal) = Bench::new();
    bench.disk.set(Faults { commit: Some(true), unreadable: true, ..WELL });
    assert!(bench.append(&mut journal, &[raised(BothFailing)], Ordinary).is_err());
    bench.append(&mut journal, &[raised(LogUnwritable)], Emergency).unwrap();
    assert_eq!(alerts(&journal), [LogUnwritable], "the other one is not known to have happened");
    assert!(journal.recover(UnixNanos(9)).is_err());
    bench.disk.set(FULL);
    assert!(journal.recover(UnixNanos(9)).is_err(), "it can be read again, and not written");
    assert_eq!(alerts(&journal), [LogUnwritable, BothFailing]);
    bench.disk.set(WELL);
    journal.recover(UnixNanos(9)).unwrap();
    assert_eq!(bench.told(), ["genesis", "issued", "+BothFailing", "merged 1", "+LogUnwritable"]);
    bench.check(&journal);
}

/// Scenario: the commit point fails for a way back, although the entry is in the log; it goes to the emergency file, too.
/// Guarantee: it happened once.
#[test]
fn a_way_back_that_is_in_both_places_happened_once() {
    let (mut bench, mut journal) = Bench::new();
    bench.disk.set(Faults { commit: Some(true), unreadable: true, ..WELL });
    bench.append(&mut journal, &[raised(LogUnwritable)], Emergency).unwrap();
    assert_eq!(alerts(&journal), [LogUnwritable]);
    bench.disk.set(WELL);
    journal.recover(UnixNanos(9)).unwrap();
    assert_eq!(bench.told(), ["genesis", "issued", "+LogUnwritable"]);
    bench.check(&journal);
}

/// Scenario: neither the log nor the emergency file takes anything.
/// Guarantee: a way back happens all the same, in order, and is on record as soon as the log is back.
#[test]
fn a_way_back_needs_no_disk_at_all() {
    let (mut bench, mut journal) = Bench::new();
    bench.disk.set(FULL);
    bench.append(&mut journal, &[raised(LogUnwritable)], Emergency).unwrap();
    bench.disk.set(Faults { no_emergency: true, ..FULL });
    bench.append(&mut journal, &[raised(BothFailing)], Emergency).unwrap();
    bench.disk.set(FULL);
    bench.append(&mut journal, &[raised(LedgerUnbalanced)], Emergency).unwrap();
    assert_eq!(alerts(&journal).len(), 3);
    bench.disk.set(WELL);
    journal.recover(UnixNanos(9)).unwrap();
    assert_eq!(
        bench.told(),
        ["genesis", "issued", "merged 1", "+LogUnwritable", "merged 2", "+BothFailing", "+LedgerUnbalanced"]
    );
    bench.check(&journal);
}

/// Scenario: as before, and the append that was to bring the entries from memory cannot say whether it did.
/// Guarantee: they are in the log once.
#[test]
fn what_was_kept_in_memory_is_not_appended_twice() {
    let (mut bench, mut journal) = Bench::new();
    bench.disk.set(Faults { no_emergency: true, ..FULL });
    bench.append(&mut journal, &[raised(LogUnwritable)], Emergency).unwrap();
    bench.disk.set(Faults { commit: Some(true), ..WELL });
    assert!(journal.recover(UnixNanos(9)).is_err());
    assert_eq!(alerts(&journal), [LogUnwritable]);
    journal.recover(UnixNanos(10)).unwrap();
    assert_eq!(bench.told(), ["genesis", "issued", "merged 1", "+LogUnwritable"]);
    bench.check(&journal);
}

/// An entry that nothing can ever take is no reason to take the log for unwritable, nor to go ahead of it.
#[test]
fn an_entry_that_is_too_long_is_to_blame_itself() {
    let (mut bench, mut journal) = Bench::new();
    let long = Event::AccessDenied { call: "x".repeat(70_000), why: String::new(), at: UnixNanos(1) };
    for urgency in [Ordinary, Emergency] {
        let refused = bench.append(&mut journal, std::slice::from_ref(&long), urgency).unwrap_err();
        assert!(!refused.is_of_storage(), "{refused}");
        assert_eq!(ApiError::from(refused).0.code, ErrorCode::Refused);
    }
    bench.disk.set(FULL);
    let refused = bench.append(&mut journal, &[long], Emergency).unwrap_err();
    assert!(!refused.is_of_storage(), "{refused}");
    bench.disk.set(WELL);
    bench.append(&mut journal, &[raised(BothFailing)], Ordinary).unwrap();
    bench.check(&journal);
}

/// Scenario: a gate's report calls for a way back; the log takes nothing, and has not for a while; the process dies.
/// Guarantee: the way back, and what the gate says, are in the emergency file; only the report is lost.
#[test]
fn a_way_back_goes_ahead_without_its_evidence() {
    for waits_before in [false, true] {
        let (mut bench, mut journal) = Bench::new();
        bench.disk.set(FULL);
        if waits_before {
            bench.append(&mut journal, &[raised(LogUnwritable)], Emergency).unwrap();
        }
        let report = journal.evidence(b"a report".to_vec()).unwrap();
        bench.append(&mut journal, &[naming(report), raised(BothFailing)], Emergency).unwrap();
        assert_eq!(journal.blobs.len(), 0, "nothing will name it");
        drop(journal);
        let mut journal = bench.open();
        assert!(alerts(&journal).contains(&BothFailing), "{:?}", alerts(&journal));
        bench.disk.set(WELL);
        journal.recover(UnixNanos(9)).unwrap();
        let told = bench.told();
        let said = told.iter().find(|line| line.starts_with("GateFinished")).unwrap();
        assert!(said.contains("evidence: None"), "{said}");
        assert!(!bench.place().folder.join("evidence").exists());
        assert!(journal.is_clean());
    }
}

/// Scenario: neither log nor emergency file take a way back with evidence, and it waits in memory.
/// Guarantee: the log takes it when it is back.
#[test]
fn a_way_back_in_memory_is_taken_without_its_evidence() {
    let (mut bench, mut journal) = Bench::new();
    bench.disk.set(FULL);
    bench.append(&mut journal, &[raised(LogUnwritable)], Emergency).unwrap();
    bench.disk.set(Faults { no_emergency: true, ..FULL });
    let report = journal.evidence(b"a report".to_vec()).unwrap();
    bench.append(&mut journal, &[naming(report), raised(BothFailing)], Emergency).unwrap();
    bench.disk.set(WELL);
    journal.recover(UnixNanos(9)).unwrap();
    assert_eq!(bench.told().len(), 7, "{:?}", bench.told());
    assert!(journal.is_clean());
}

/// Scenario: a way back names a report that has been forgotten meanwhile.
/// Guarantee: it is on record all the same.
#[test]
fn a_way_back_does_not_wait_for_a_report_that_is_gone() {
    let (mut bench, mut journal) = Bench::new();
    let gone = naming(Digest::from_bytes([9; 32]));
    assert!(bench.append(&mut journal, std::slice::from_ref(&gone), Ordinary).is_err());
    bench.append(&mut journal, &[gone, raised(BothFailing)], Emergency).unwrap();
    assert_eq!(alerts(&journal), [BothFailing]);
    assert!(journal.is_clean());
}

fn naming(report: Digest) -> Event {
    // Any event that names evidence will do.
    Event::GateFinished {
        rollout: "move".parse().unwrap(),
        gate: crossfade_rollout::event::Gate::Drift,
        run: 1,
        step: None,
        outcome: crossfade_rollout::event::Outcome::Pass,
        summary: String::new(),
        evidence: Some(report),
        seed: None,
        at: UnixNanos(1),
    }
}

/// Scenario: a gate's report waits for its entry when the log breaks, and is opened again.
/// Guarantee: the report is still there for the entry that names it.
#[test]
fn evidence_outlives_a_log_that_is_opened_again() {
    let (mut bench, mut journal) = Bench::new();
    let digest = journal.evidence(b"a report".to_vec()).unwrap();
    bench.disk.set(Faults { broken: true, ..WELL });
    assert!(bench.append(&mut journal, &[naming(digest)], Ordinary).is_err());
    assert!(bench.append(&mut journal, &[naming(digest)], Ordinary).is_err(), "poisoned by now");
    bench.disk.set(WELL);
    journal.recover(UnixNanos(9)).unwrap();
    bench.append(&mut journal, &[naming(digest)], Ordinary).unwrap();
    assert_eq!(journal.log.evidence(&digest).unwrap(), b"a report");
    assert_eq!(journal.blobs.len(), 0, "it waits no longer");
}

/// What cannot be read is not left out: nobody knows what the gate has found.
#[test]
fn a_report_that_cannot_be_read_is_no_verdict() {
    let (mut bench, mut journal) = Bench::new();
    let good = journal.evidence(br#"{"gate":"drift","verdict":"pass"}"#.to_vec()).unwrap();
    let bad = journal.evidence(b"pass".to_vec()).unwrap();
    bench.append(&mut journal, &[naming(good), naming(bad)], Ordinary).unwrap();
    let verdict = |journal: &Journal, digest| {
        let report = journal.report(crossfade_rollout::event::Gate::Drift, digest);
        (report["gate"].as_str().unwrap().to_owned(), report["verdict"].as_str().unwrap().to_owned())
    };
    let says = |verdict: &str| ("drift".to_owned(), verdict.to_owned());
    assert_eq!(verdict(&journal, good), says("pass"));
    assert_eq!(verdict(&journal, bad), says("no_verdict"));
    assert_eq!(verdict(&journal, Digest::from_bytes([9; 32])), says("no_verdict"));
    bench.disk.set(Faults { unreadable: true, ..WELL });
    assert_eq!(verdict(&journal, good), says("no_verdict"));
}

/// Scenario: posture passes, passes again with a regression that was waived, and fails; the process is started again; then another
/// rollout begins. Likewise history: it passes, fails, and has no time to look.
/// Guarantee: posture is held against the first look, before and after the restart, and against none in the next rollout; history against the
/// newest that says what there was.
#[test]
fn earlier_looks_are_remembered_by_the_log() {
    let (mut bench, mut journal) = Bench::new();
    let report = |facts: &str, rule: &str| {
        format!(r#"{{"gate":"posture","findings":[{{"rule":"{rule}"}}],"facts":"{facts}"}}"#).into_bytes()
    };
    let finished = |gate, outcome, digest: Digest| {
        let Event::GateFinished { rollout, run, step, summary, seed, at, .. } = naming(digest) else {
            unreachable!()
        };
        let evidence = Some(digest);
        Event::GateFinished { rollout, gate, run, step, outcome, summary, evidence, seed, at }
    };
    let text = "{ name: x, from: blue, to: green, steps: [{ weight: { percent: 100, duration: 1m } }, promote, finalize] }";
    let spec = crate::spec::read(text, "rollout.yaml").unwrap();
    let plan = journal.evidence(b"a plan".to_vec()).unwrap();
    let drafted = |name: &str| {
        let outline = spec.clone().outline(name.parse().unwrap(), crossfade_routing::Seed(1)).unwrap();
        Event::RolloutDrafted {
            rollout: name.parse().unwrap(),
            plan,
            outline: Box::new(outline),
            at: UnixNanos(1),
        }
    };
    use crossfade_rollout::event::Gate::{History, Posture};
    use crossfade_rollout::event::Outcome::{Fail, NoVerdict, Pass};
    let looks = [("first", "note", Pass), ("waived", "regressed", Pass), ("weak", "plain", Fail)];
    let mut events = vec![drafted("move")];
    for (facts, rule, outcome) in looks {
        events.push(finished(Posture, outcome, journal.evidence(report(facts, rule)).unwrap()));
    }
    for (found, outcome) in [(Some(7), Pass), (Some(5), Fail), (None, NoVerdict)] {
        let found = found.map(|traces| serde_json::json!({ "secs": 3_600, "found": { "7200": traces } }));
        let report = serde_json::json!({ "gate": "history", "facts": { "parts": found } });
        events.push(finished(History, outcome, journal.evidence(report.to_string().into_bytes()).unwrap()));
    }
    bench.append(&mut journal, &events, Ordinary).unwrap();
    let measure = |journal: &Journal| Some(journal.posture()?["facts"].as_str().unwrap().to_owned());
    let history =
        |journal: &Journal| Some(journal.history()?["facts"]["parts"]["found"]["7200"].as_u64().unwrap());
    assert_eq!((measure(&journal).as_deref(), history(&journal)), (Some("first"), Some(5)));
    drop(journal);
    let mut journal = bench.open();
    assert_eq!((measure(&journal).as_deref(), history(&journal)), (Some("first"), Some(5)));
    bench.append(&mut journal, &[drafted("move-2")], Ordinary).unwrap();
    assert_eq!((measure(&journal), history(&journal)), (None, None));
}

#[test]
fn evidence_that_nobody_names_is_dropped_in_the_end() {
    let (mut bench, mut journal) = Bench::new();
    let withdrawn = journal.evidence(b"of a start that was refused".to_vec()).unwrap();
    journal.withdraw(&withdrawn);
    assert_eq!(journal.blobs.len(), 0);
    let largest = |fill: u8| vec![fill; super::blobs::BLOB_LEN_MAX];
    let digests: Vec<Digest> = (0..5).map(|fill| journal.evidence(largest(fill)).unwrap()).collect();
    assert_eq!(journal.blobs.len(), 4, "the oldest went");
    let forgotten = bench.append(&mut journal, &[naming(digests[0])], Ordinary).unwrap_err();
    assert!(!forgotten.is_of_storage(), "{forgotten}");
    bench.append(&mut journal, &[naming(digests[4])], Ordinary).unwrap();
    assert!(journal.evidence(vec![0; super::blobs::BLOB_LEN_MAX + 1]).is_err());
    let files = fs::read_dir(bench.place().folder.join("evidence")).unwrap().count();
    assert_eq!(files, 1);
}

/// Scenario: the disk can no longer be read, and a gateway asks for its directions.
/// Guarantee: it gets the proof that it got before: the fence that comes with it does not wait for a disk.
#[test]
fn a_proof_that_was_made_serves_while_the_disk_cannot_be_read() {
    let (mut bench, mut journal) = Bench::new();
    let denied = Event::AccessDenied { call: String::new(), why: String::new(), at: UnixNanos(1) };
    bench.append(&mut journal, &vec![denied; 300], Ordinary).unwrap();
    bench.disk.set(Faults { unreadable: true, ..WELL });
    assert!(journal.signed_generation(Generation(1)).is_err(), "no proof yet");
    bench.disk.set(WELL);
    let signed = journal.signed_generation(Generation(1)).unwrap();
    bench.disk.set(Faults { unreadable: true, ..WELL });
    assert_eq!(journal.signed_generation(Generation(1)).unwrap(), signed);
    assert!(journal.signed_generation(Generation(2)).is_err(), "never issued");
}

#[test]
fn the_newest_time_counts_what_is_ahead() {
    let (mut bench, mut journal) = Bench::new();
    assert_eq!(journal.newest(), UnixNanos(1));
    bench.disk.set(FULL);
    bench.append(&mut journal, &[raised(LogUnwritable)], Emergency).unwrap();
    assert_eq!(journal.newest(), UnixNanos(1_001));
    drop(journal);
    assert_eq!(bench.open().newest(), UnixNanos(1_001));
}
