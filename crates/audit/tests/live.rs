//! Verification beside somebody who writes, and reports that a name cannot forge.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossfade_audit::storage::{Disk, Listed, Lock, Storage};
use crossfade_audit::verify::{Report, Settle, verify_with};
use crossfade_audit::{Log, Place};
use tempfile::TempDir;

use support::{entries, key};

/// A log of three entries.
fn fixture() -> (TempDir, Place) {
    let above = tempfile::tempdir().unwrap();
    let place = support::place(above.path());
    Log::create(&place, &key()).unwrap();
    Log::open(&place, key()).unwrap().0.append(&entries(0..3)).unwrap();
    (above, place)
}

fn verify(storage: impl Storage + 'static, place: &Place, settle: Settle) -> Report {
    let storage: Arc<dyn Storage> = Arc::new(storage);
    verify_with(&storage, &place.folder, key().verifier(), settle).unwrap()
}

/// A disk on which what an append has left is gone at some look at the folder.
#[derive(Debug)]
struct Ending {
    stray: PathBuf,
    at_look: u32,
    looks: Arc<AtomicU32>,
}

impl Storage for Ending {
    fn lock(&self, folder: &Path) -> io::Result<Lock> {
        Disk.lock(folder)
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        Disk.read(file)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        if folder.ends_with("audit/") && self.looks.fetch_add(1, Ordering::Relaxed) + 1 == self.at_look {
            fs::remove_file(&self.stray)?;
        }
        Disk.list(folder)
    }

    fn write_new(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        Disk.write_new(file, bytes)
    }

    fn overwrite(&self, file: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        Disk.overwrite(file, offset, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        Disk.remove(file)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.create_folder(folder)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.remove_folder(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.sync_folder(folder)
    }
}

const SETTLE: Settle = Settle { looks: 4, looks_at_append: 40, pause: Duration::from_millis(1) };

/// *Scenario.* A slow disk: what an append makes before its commit point is there for many looks. The log is held by whoever
/// appends; or by nobody; or it is held, and something else is wrong with it.
///
/// *Guarantee.* An append is waited for, though not for ever. Nothing else is.
#[test]
fn an_append_under_way_is_waited_for() {
    let (_above, place) = fixture();
    let verified = |name: &str, at_look: u32| {
        let (stray, looks) = (place.folder.join(name), Arc::new(AtomicU32::new(0)));
        fs::write(&stray, "half").unwrap();
        let report =
            verify(Ending { stray: stray.clone(), at_look, looks: Arc::clone(&looks) }, &place, SETTLE);
        let _ = fs::remove_file(stray);
        (report.intact, looks.load(Ordering::Relaxed))
    };
    let (log, _) = Log::open(&place, key()).unwrap();
    assert_eq!(verified("checkpoint.tmp", 30), (true, 30));
    assert_eq!(verified("tile/0/000.p/4", 30), (true, 30));
    assert_eq!(verified("checkpoint.tmp", 100), (false, 41), "bounded");
    assert_eq!(verified("notes", 30), (false, 5), "no append makes that");
    drop(log);
    assert_eq!(verified("checkpoint.tmp", 30), (false, 5), "nobody appends");
}

/// *Scenario.* Files whose names hold a line of a report of their own, and what a terminal obeys.
///
/// *Guarantee.* Neither what a verification says nor what opening the log says has a line that is not its own.
#[test]
fn no_name_forges_a_report() {
    let (_above, place) = fixture();
    for name in ["a\nINTACT. ok", "\x1b[2J", "a\rb", "\u{202e}txt", "\u{9b}2J", "\u{2028}INTACT"] {
        fs::write(place.folder.join(name), "x").unwrap();
    }
    fs::write(place.folder.join("quote \"d\" and 'd' ü"), "x").unwrap();
    let report = verify(Disk, &place, Settle::STILL);
    assert!(report.checks.iter().any(|check| check.findings.iter().any(|one| one.file == "a\nINTACT. ok")));
    let (text, told) = (report.to_string(), Log::open(&place, key()).unwrap().1.to_string());
    for text in [text, told] {
        let strange = |one: char| one != '\n' && (one.is_control() || "\u{202e}\u{2028}".contains(one));
        assert!(!text.contains(strange), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("INTACT")), "{text}");
        for shown in [r"a\nINTACT. ok", r"\u{1b}[2J", r"a\rb", r"\u{202e}txt", "quote \"d\" and 'd' ü"] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
    }
}
