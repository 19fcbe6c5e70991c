//! Verification against somebody who changes the folder, and against somebody who holds the key.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossfade_audit::Log;
use crossfade_audit::storage::{Disk, Storage};
use crossfade_audit::verify::{Outcome, Report, Settle, verify_with};
use crossfade_rollout::event::SeedSource;
use crossfade_rollout::state::STATE_VERSION;
use crossfade_rollout::{Actor, Digest, Entry, Event};
use crossfade_tlog::tile::{TileKind, tiles};
use crossfade_tlog::{Checkpoint, Hash, Tree, VerifierKey, bundle, leaf_hash};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use support::{ORIGIN, PLAN, bytes, entries, entry, gate_run, key, preflight, state_recorded, time};

/// A log folder to tamper with.
struct Fixture {
    above: TempDir,
    files: Vec<String>,
}

impl Fixture {
    /// A rollout's preflight with three gate runs, its state recorded, and refused calls up to `size` entries.
    fn new(size: u64) -> Self {
        let above = tempfile::tempdir().unwrap();
        let place = support::place(above.path());
        Log::create(&place, &key()).unwrap();
        let (mut log, _) = Log::open(&place, key()).unwrap();
        let mut all = vec![entry(0)];
        log.put_evidence(PLAN).unwrap();
        all.extend(preflight(1));
        for run in 1..4 {
            let digest = log.put_evidence(format!("report of run {run}").repeat(20).as_bytes()).unwrap();
            all.extend(gate_run(u64::from(run) + 1, run, digest));
        }
        all.push(state_recorded(&all));
        all.extend(entries(100..100 + size - all.len() as u64));
        log.append(&all).unwrap();
        drop(log);
        let mut fixture = Self { above, files: Vec::new() };
        fixture.files = fixture.walk(false);
        let report = fixture.verify();
        assert!(report.intact, "{report}");
        fixture
    }

    fn folder(&self) -> PathBuf {
        self.above.path().join("audit")
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder().join(relative)
    }

    fn verify(&self) -> Report {
        self.verify_by(key().verifier())
    }

    fn verify_by(&self, key: &VerifierKey) -> Report {
        let storage: Arc<dyn Storage> = Arc::new(Disk);
        verify_with(&storage, &self.folder(), key, Settle::STILL).unwrap()
    }

    fn walk(&self, folders: bool) -> Vec<String> {
        fn walk(root: &Path, folder: &Path, folders: bool, found: &mut Vec<String>) {
            for one in fs::read_dir(folder).unwrap() {
                let path = one.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    walk(root, &path, folders, found);
                }
                if path.is_dir() == folders {
                    found.push(name);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.folder(), &self.folder(), folders, &mut found);
        found.sort();
        found
    }

    fn size_of(&self, file: &str) -> usize {
        usize::try_from(fs::metadata(self.path(file)).unwrap().len()).unwrap()
    }

    /// Changes a file's content, verifies, and puts it back.
    fn with_content(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Report {
        let before = fs::read(self.path(file)).unwrap();
        let mut after = before.clone();
        change(&mut after);
        assert_ne!(before, after);
        fs::write(self.path(file), after).unwrap();
        let report = self.verify();
        fs::write(self.path(file), before).unwrap();
        report
    }

    fn flip(&self, file: &str, at: usize, bit: u8) -> Report {
        self.with_content(file, |bytes| bytes[at] ^= 1 << bit)
    }
}

/// The report fails, and says that it is about this file.
fn names(report: &Report, file: &str, what: &str) {
    assert!(!report.intact, "{what} of {file} went unseen");
    let named = report.checks.iter().flat_map(|check| &check.findings).any(|finding| finding.file == file);
    assert!(named, "{what}: no finding names {file}\n{report}");
    assert!(report.to_string().contains("NOT INTACT"), "{report}");
}

fn names_entry(report: &Report, file: &str, index: u64) {
    let (text, mut findings) = (index.to_string(), report.checks.iter().flat_map(|check| &check.findings));
    let named = findings.any(|finding| finding.file == file && finding.entry.as_ref() == Some(&text));
    assert!(named, "no finding names entry {index}\n{report}");
}

/// *Scenario.* Somebody flips a single bit somewhere below the folder: in the checkpoint, in a bundle,
/// in a tile of any level, in a blob. Every byte of the small files, and a seeded choice of the others.
///
/// *Guarantee.* The log does not verify, and a finding names the file, and the entry if it is one.
#[test]
fn any_flipped_bit_is_found_and_placed() {
    let mut chance = ChaCha8Rng::seed_from_u64(42);
    let small = Fixture::new(14);
    let mut flips = 0;
    for file in &small.files {
        let size = small.size_of(file);
        for at in 0..size.min(120) {
            let at = if size <= 120 { at } else { chance.random_range(0..size) };
            names(&small.flip(file, at, chance.random_range(0..8)), file, "a flipped bit");
            flips += 1;
        }
    }
    assert!(flips > 700, "{flips}");
    assert!(small.verify().intact, "put back");

    let large = Fixture::new(270);
    let kinds: BTreeSet<&str> =
        large.files.iter().map(|file| file.rsplit_once('/').map_or("", |(up, _)| up)).collect();
    assert!(kinds.is_superset(&["tile/entries", "tile/0", "tile/1/000.p", "tile/0/001.p"].into()));
    for file in large.files.iter().filter(|file| file.starts_with("tile/")) {
        for _ in 0..6 {
            let at = chance.random_range(0..large.size_of(file));
            names(&large.flip(file, at, chance.random_range(0..8)), file, "a flipped bit");
        }
    }
}

#[test]
fn a_changed_entry_is_named_with_its_number_and_offset() {
    let fixture = Fixture::new(14);
    let file = "tile/entries/000.p/14";
    let stored = fs::read(fixture.path(file)).unwrap();
    for (index, one) in (0..).zip(bundle::entries(&stored).map(Result::unwrap)) {
        // Its length, the first and the last byte of its text.
        for at in [one.offset, one.offset + 1, one.offset + 2, one.offset + 1 + one.bytes.len()] {
            names_entry(&fixture.flip(file, at, 0), file, index);
        }
        let report = fixture.flip(file, one.offset + 20, 1);
        let offset = one.offset.to_string();
        let placed = |check: &crossfade_audit::verify::Check| {
            check.name == "inclusion"
                && check.findings.iter().any(|finding| finding.offset.as_ref() == Some(&offset))
        };
        assert!(report.checks.iter().any(placed), "{report}");
    }
}

/// *Scenario.* A single bit of a file's or a folder's name is flipped.
#[test]
fn any_changed_name_is_found() {
    let fixture = Fixture::new(14);
    let mut chance = ChaCha8Rng::seed_from_u64(7);
    let (mut flips, mut all) = (0, fixture.files.clone());
    all.extend(fixture.walk(true));
    for name in &all {
        let start = name.rfind('/').map_or(0, |slash| slash + 1);
        for _ in 0..12 {
            let mut other = name.clone().into_bytes();
            other[chance.random_range(start..name.len())] ^= 1 << chance.random_range(0..7);
            let Ok(other) = String::from_utf8(other) else { continue };
            let last = &other[start..];
            if last.contains(['/', '\0']) || last == "." || last == ".." || fixture.path(&other).exists() {
                continue;
            }
            fs::rename(fixture.path(name), fixture.path(&other)).unwrap();
            let report = fixture.verify();
            fs::rename(fixture.path(&other), fixture.path(name)).unwrap();
            let findings: Vec<&str> = report
                .checks
                .iter()
                .flat_map(|check| &check.findings)
                .map(|finding| finding.file.as_str())
                .collect();
            let place = findings.iter().any(|file| file.starts_with(name) || file.starts_with(&other));
            assert!(!report.intact && place, "{name} as {other}\n{report}");
            flips += 1;
        }
    }
    assert!(flips > 150, "{flips}");
    assert!(fixture.verify().intact, "put back");
}

#[test]
fn any_removed_file_is_found() {
    for fixture in [Fixture::new(14), Fixture::new(270)] {
        for file in &fixture.files {
            let before = fs::read(fixture.path(file)).unwrap();
            fs::remove_file(fixture.path(file)).unwrap();
            names(&fixture.verify(), file, "the removal");
            fs::write(fixture.path(file), before).unwrap();
        }
        assert!(fixture.verify().intact, "put back");
    }
}

#[test]
fn any_added_file_is_found() {
    let fixture = Fixture::new(14);
    let blob = Digest::from_bytes(crossfade_tlog::sha256(b"x")).to_string().replace("sha256:", "");
    let mut added = vec![
        ".hidden".to_owned(),
        "checkpoint.tmp".into(),
        "checkpoint~".into(),
        "tile/entries/000".into(),
        "tile/entries/000.p/13".into(),
        "tile/entries/000.p/15".into(),
        "tile/entries/001.p/1".into(),
        "tile/0/000.p/014".into(),
        "tile/1/000.p/1".into(),
        "tile/7/000".into(),
        "tile/8/000".into(),
        "tile/0/x001/000".into(),
        format!("evidence/{}/{blob}", &blob[..2]),
        format!("evidence/{blob}"),
        "log.pub".into(),
    ];
    for folder in fixture.walk(true) {
        added.push(format!("{folder}/new"));
    }
    for file in added {
        let made: Vec<PathBuf> = fixture
            .path(&file)
            .ancestors()
            .skip(1)
            .take_while(|up| !up.exists())
            .map(Path::to_owned)
            .collect();
        fs::create_dir_all(fixture.path(&file).parent().unwrap()).unwrap();
        fs::write(fixture.path(&file), "x").unwrap();
        names(&fixture.verify(), &file, "the addition");
        fs::remove_file(fixture.path(&file)).unwrap();
        // The folders alone are found as well.
        if let Some(folder) = made.first() {
            let folder = folder.strip_prefix(fixture.folder()).unwrap().to_str().unwrap().to_owned();
            names(&fixture.verify(), &folder, "an empty folder");
        }
        made.iter().for_each(|folder| fs::remove_dir(folder).unwrap());
    }
    assert!(fixture.verify().intact, "put back");
}

#[test]
fn any_file_of_another_length_is_found() {
    let mut chance = ChaCha8Rng::seed_from_u64(9);
    for fixture in [Fixture::new(14), Fixture::new(270)] {
        for file in &fixture.files {
            let size = fixture.size_of(file);
            for cut in [0, size - 1, chance.random_range(0..size)] {
                names(&fixture.with_content(file, |bytes| bytes.truncate(cut)), file, "the truncation");
            }
            for _ in 0..if file == "checkpoint" { 120 } else { 8 } {
                let at = chance.random_range(0..size);
                let byte = b"\n\r\0 =A0"[chance.random_range(0..7)];
                names(&fixture.with_content(file, |bytes| bytes.insert(at, byte)), file, "the insertion");
                names(&fixture.with_content(file, |bytes| drop(bytes.drain(at..=at))), file, "the deletion");
            }
            for tail in [&b"\0"[..], b"\n", b"\0\0", b"\0\x02{}", &[0; 32]] {
                names(&fixture.with_content(file, |bytes| bytes.extend(tail)), file, "the extension");
            }
        }
    }
}

#[test]
fn links_and_other_strangers_are_found() {
    let fixture = Fixture::new(14);
    for file in &fixture.files {
        let aside = fixture.above.path().join("aside");
        fs::rename(fixture.path(file), &aside).unwrap();
        symlink(&aside, fixture.path(file)).unwrap();
        names(&fixture.verify(), file, "the link");
        fs::remove_file(fixture.path(file)).unwrap();
        fs::create_dir(fixture.path(file)).unwrap();
        names(&fixture.verify(), file, "the folder");
        fs::remove_dir(fixture.path(file)).unwrap();
        fs::rename(&aside, fixture.path(file)).unwrap();
    }
    let made = std::process::Command::new("mkfifo").arg(fixture.path("tile/0/000.p/13")).status().unwrap();
    assert!(made.success());
    names(&fixture.verify(), "tile/0/000.p/13", "the pipe");
    fs::remove_file(fixture.path("tile/0/000.p/13")).unwrap();

    let name = std::os::unix::ffi::OsStrExt::from_bytes(b"tile/\xff\xfe");
    fs::write(fixture.folder().join::<&std::ffi::OsStr>(name), "x").unwrap();
    assert!(!fixture.verify().intact, "a name that is not UTF-8");
}

/// *Scenario.* Files that would wait for ever, or fill the memory, in the place of the log's own.
#[test]
fn a_verifier_cannot_be_stalled() {
    let fixture = Fixture::new(14);
    for file in &fixture.files {
        let before = fs::read(fixture.path(file)).unwrap();
        fs::remove_file(fixture.path(file)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(fixture.path(file)).status().unwrap().success());
        names(&fixture.verify(), file, "the pipe");
        fs::remove_file(fixture.path(file)).unwrap();
        fs::File::create(fixture.path(file)).unwrap().set_len(1 << 40).unwrap();
        names(&fixture.verify(), file, "the endless file");
        fs::write(fixture.path(file), before).unwrap();
    }
    assert!(fixture.verify().intact, "put back");
}

#[test]
fn swapped_and_older_files_are_found() {
    let fixture = Fixture::new(14);
    let blobs: Vec<&String> = fixture.files.iter().filter(|file| file.starts_with("evidence/")).collect();
    assert_eq!(blobs.len(), 4);
    let (a, b) = (fs::read(fixture.path(blobs[0])).unwrap(), fs::read(fixture.path(blobs[1])).unwrap());
    fs::write(fixture.path(blobs[0]), &b).unwrap();
    fs::write(fixture.path(blobs[1]), &a).unwrap();
    let report = fixture.verify();
    names(&report, blobs[0], "the swap");
    names(&report, blobs[1], "the swap");
    fs::write(fixture.path(blobs[0]), &a).unwrap();
    fs::write(fixture.path(blobs[1]), &b).unwrap();

    // An older checkpoint of the same log, put back: the newer files give it away.
    let old = fs::read(fixture.path("checkpoint")).unwrap();
    let place = support::place(fixture.above.path());
    Log::open(&place, key()).unwrap().0.append(&[entry(500)]).unwrap();
    assert!(fixture.verify().intact);
    fs::write(fixture.path("checkpoint"), old).unwrap();
    names(&fixture.verify(), "tile/entries/000.p/15", "the older checkpoint");
}

#[test]
fn another_key_does_not_do() {
    let fixture = Fixture::new(14);
    let same_name = crossfade_tlog::SignerKey::from_seed(ORIGIN.parse().unwrap(), [8; 32]);
    let report = fixture.verify_by(same_name.verifier());
    names(&report, "checkpoint", "the signature");
    let outcomes: Vec<Outcome> = report.checks.iter().map(|check| check.outcome).collect();
    assert_eq!(outcomes[0], Outcome::Failed);
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Outcome::NotRun), "nothing else was believed");
}

// ---- somebody who holds the key

/// Writes a folder with these leaves, whatever they say, and signs it.
fn forge(leaves: &[Vec<u8>]) -> Fixture {
    let fixture = Fixture { above: tempfile::tempdir().unwrap(), files: Vec::new() };
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
    for tile in tiles(tree.size()) {
        let mut content = Vec::new();
        if tile.kind() == TileKind::Entries {
            leaves.iter().for_each(|leaf| bundle::push(&mut content, leaf).unwrap());
        } else {
            content = tile.hashes(&tree).unwrap();
        }
        fs::create_dir_all(fixture.path(&tile.to_string()).parent().unwrap()).unwrap();
        fs::write(fixture.path(&tile.to_string()), content).unwrap();
    }
    sign(&fixture, tree.size(), tree.root(), &[]);
    fixture
}

fn sign(fixture: &Fixture, size: u64, root: Hash, extensions: &[&str]) {
    let extensions = extensions.iter().map(|line| (*line).to_owned()).collect();
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size, root, extensions };
    fs::create_dir_all(fixture.folder()).unwrap();
    fs::write(fixture.path("checkpoint"), checkpoint.sign(&key()).unwrap()).unwrap();
}

fn outcome(report: &Report, name: &str) -> Outcome {
    report.checks.iter().find(|check| check.name == name).unwrap().outcome
}

#[test]
fn an_entry_in_another_spelling_is_found() {
    let canonical = bytes(&entry(1));
    let text = String::from_utf8(canonical.clone()).unwrap();
    let spellings = [
        text.replace(":{", ": {"),
        text.replacen("control", "\\u0063ontrol", 1),
        text.replace("\"v\":1", "\"v\":1.0"),
        text.replace("\"v\":1", "\"v\":2"),
        text.replace("\"v\":1", "\"more\":1,\"v\":1"),
        text.replace("\"type\":\"AccessDenied\"", "\"type\":\"Other\""),
        text.replace("000Z", "000z"),
        format!("{text}\n"),
        String::new(),
        "null".into(),
    ];
    for spelling in spellings {
        assert_ne!(spelling, text);
        let report = forge(&[bytes(&entry(0)), spelling.clone().into_bytes(), bytes(&entry(2))]).verify();
        names_entry(&report, "tile/entries/000.p/3", 1);
        assert_eq!(outcome(&report, "inclusion"), Outcome::Passed, "{spelling}");
        assert_eq!(outcome(&report, "entries"), Outcome::Failed, "{spelling}");
        assert_eq!(outcome(&report, "rules"), Outcome::NotRun, "what cannot be read cannot be replayed");
    }
    assert!(forge(&[bytes(&entry(0)), canonical]).verify().intact);
}

#[test]
fn a_broken_rule_is_found_and_placed() {
    let report = forge(&[bytes(&entry(1)), bytes(&entry(0))]).verify();
    assert_eq!(outcome(&report, "rules"), Outcome::Failed);
    names_entry(&report, "tile/entries/000.p/2", 0);
}

/// Scenario: a gate drew its sample by a checkpoint from after its start; by one from before, by one that never was, by one to come.
/// Guarantee: only the first is in order, and the others are named: whoever knows the seed beforehand can choose what is looked at.
#[test]
fn a_sample_that_somebody_could_choose_is_found() {
    let [started, finished] = gate_run(2, 1, Digest::from_bytes([4; 32])).try_into().unwrap();
    let before = [&[entry(0)][..], &preflight(1), &[started]].concat();
    let mut tree = Tree::new();
    before.iter().for_each(|entry| tree.push(leaf_hash(&bytes(entry))));
    let root = |size| tree.root_at(size).unwrap().to_string();
    for (size, root, says) in [
        (4, root(4), None),
        (3, root(3), Some("which was known before it began, at entry 3")),
        (4, root(3), Some("which this log never had")),
        (6, root(4), Some("which this log did not have yet")),
    ] {
        let mut finished = finished.clone();
        if let Event::GateFinished { seed, .. } = &mut finished.event {
            *seed = Some(SeedSource { size, root });
        }
        let report = forge(&before.iter().chain([&finished]).map(bytes).collect::<Vec<_>>()).verify();
        let said = report.to_string();
        assert_eq!(outcome(&report, "rules") == Outcome::Passed, says.is_none(), "{said}");
        assert!(says.is_none_or(|says| said.contains("gate_seed") && said.contains(says)), "{said}");
    }
}

#[test]
fn a_state_that_the_entries_do_not_make_is_found() {
    let honest = [entry(0), entry(1), state_recorded(&[entry(0), entry(1)]), entry(3)];
    let report = forge(&honest.each_ref().map(bytes)).verify();
    assert!(report.intact, "{report}");
    assert_eq!(outcome(&report, "replay"), Outcome::Passed);

    // Another active environment than the one that the control plane went on with.
    let other = |version| Event::StateRecorded { state: Digest::from_bytes([1; 32]), version, at: time(50) };
    let said = |version| bytes(&Entry::new(Actor::control(), time(50), other(version)));
    let report = forge(&[bytes(&entry(0)), said(STATE_VERSION)]).verify();
    assert_eq!(outcome(&report, "replay"), Outcome::Failed);
    names_entry(&report, "tile/entries/000.p/2", 1);

    // A digest of a state in the format of another version says nothing to this one: noted, and not called wrong.
    let report = forge(&[bytes(&entry(0)), said(1)]).verify();
    assert!(report.intact, "{report}");
    assert_eq!(outcome(&report, "replay"), Outcome::Noted);
    let what = format!(
        "recomputed; 1 recorded state of format 1 not compared: this version folds to format {STATE_VERSION}"
    );
    assert!(report.to_string().contains(&what), "{report}");
    let report = forge(&[bytes(&entry(0)), said(1), said(STATE_VERSION)]).verify();
    assert_eq!(outcome(&report, "replay"), Outcome::Failed, "it excuses no other");
}

#[test]
fn a_clock_that_goes_back_is_noted() {
    let report = forge(&[entry(0), entry(5), entry(3), entry(4), entry(2)].map(|one| bytes(&one))).verify();
    assert!(report.intact, "{report}");
    assert!(report.to_string().contains("! clock        goes back 2 times, first at entry 2"), "{report}");
}

#[test]
fn emergency_entries_may_be_older_than_their_mark() {
    let mark = |entries| {
        let event = Event::EmergencyMerged { entries, since: time(3), at: time(8) };
        bytes(&Entry::new(Actor::control(), time(8), event))
    };
    let leaves =
        |marked| [bytes(&entry(0)), mark(marked), bytes(&entry(3)), bytes(&entry(4)), bytes(&entry(9))];
    assert!(!forge(&leaves(2)).verify().to_string().contains("clock"));
    assert!(
        forge(&leaves(1)).verify().to_string().contains("! clock        goes back 1 time, first at entry 3")
    );
}

#[test]
fn a_root_of_other_entries_is_found() {
    let fixture = forge(&[bytes(&entry(0)), bytes(&entry(1))]);
    sign(&fixture, 2, leaf_hash(b"another tree"), &[]);
    let report = fixture.verify();
    assert_eq!(outcome(&report, "inclusion"), Outcome::Failed);
    names(&report, "checkpoint", "the root");
}

#[test]
fn extension_lines_and_further_signatures_are_found() {
    let fixture = forge(&[bytes(&entry(0))]);
    sign(&fixture, 1, leaf_hash(&bytes(&entry(0))), &["hidden"]);
    names(&fixture.verify(), "checkpoint", "the extension");

    let fixture = forge(&[bytes(&entry(0))]);
    let note = fs::read_to_string(fixture.path("checkpoint")).unwrap();
    let last = note.lines().last().unwrap();
    fs::write(fixture.path("checkpoint"), format!("{note}{last}\n")).unwrap();
    names(&fixture.verify(), "checkpoint", "the second signature");
}

#[test]
fn an_empty_log_verifies_and_an_empty_folder_does_not() {
    let report = forge(&[]).verify();
    assert!(report.intact, "{report}");
    let fixture = Fixture { above: tempfile::tempdir().unwrap(), files: Vec::new() };
    fs::create_dir(fixture.folder()).unwrap();
    names(&fixture.verify(), "checkpoint", "an empty folder");
    let storage: Arc<dyn Storage> = Arc::new(Disk);
    assert!(verify_with(&storage, &fixture.path("none"), key().verifier(), Settle::STILL).is_err());
}

// ---- the report

#[test]
fn the_report_as_text() {
    let fixture = Fixture::new(14);
    insta::assert_snapshot!(fixture.verify(), @r"
    ✔ checkpoint   crossfade.example/test, size 14, Ed25519
    ! witnesses    none: a cut tail would not be seen
    ✔ files        2 tiles and bundles, and nothing else
    ✔ inclusion    14 entries hash to the root
    ✔ entries      14 entries in canonical form
    ✔ evidence     4 blobs match
    ✔ replay       recomputed state = recorded state, 1 time
    ✔ rules        every shift: gates passed, entry before effect
    INTACT. Not shown: that evidence was true when collected.
    ");

    let fixture = forge(&[bytes(&entry(0)), bytes(&entry(1))]);
    fs::write(fixture.path("notes.txt"), "mine").unwrap();
    let at = fixture.size_of("tile/entries/000.p/2") - 1;
    insta::assert_snapshot!(fixture.flip("tile/entries/000.p/2", at, 0), @r"
    ✔ checkpoint   crossfade.example/test, size 2, Ed25519
    ! witnesses    none: a cut tail would not be seen
    ✘ files        1 finding
        notes.txt: does not belong into a log
    ✘ inclusion    1 finding
        tile/entries/000.p/2 entry 1 byte 252: the entry is not the one whose hash stands in tile/0/000.p/2 at byte 32
    ✘ entries      1 finding
        tile/entries/000.p/2 entry 1 byte 252: not JSON: expected `,` or `}` at line 1 column 164
    ✔ evidence     0 blobs match
    · replay       entry 1 cannot be read
    · rules        entry 1 cannot be read
    NOT INTACT: files, inclusion, entries failed; not checked: replay, rules.
    ");
}

#[test]
fn the_report_as_json() {
    let fixture = forge(&[bytes(&entry(0))]);
    fs::write(fixture.path("notes.txt"), "mine").unwrap();
    let json = serde_json::to_value(fixture.verify()).unwrap();
    assert_eq!((&json["schema_version"], &json["intact"]), (&1.into(), &false.into()));
    assert_eq!((&json["checkpoint"]["origin"], &json["checkpoint"]["size"]), (&ORIGIN.into(), &"1".into()));
    let expected = serde_json::json!({
        "name": "files",
        "outcome": "failed",
        "summary": "1 finding",
        "findings": [{ "file": "notes.txt", "what": "does not belong into a log" }],
        "findings_left_out": 0,
    });
    assert_eq!(json["checks"][2], expected);
    let text = json.to_string();
    let known = |outcome: &str| ["passed", "noted", "failed", "not_run"].contains(&outcome);
    assert!(
        json["checks"].as_array().unwrap().iter().all(|check| known(check["outcome"].as_str().unwrap())),
        "{text}"
    );
}
