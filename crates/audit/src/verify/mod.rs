//! Verifying a log offline: strict, and without trust in whoever wrote it.
//!
//! | check | holds if |
//! |---|---|
//! | `checkpoint` | the note is canonical, signed by the key and nobody else, and of the key's origin |
//! | `witnesses` | (noted) nobody else has signed: a log cut back to an earlier state would not be seen |
//! | `files` | every name is one that the checkpoint accounts for, and every one of those is there |
//! | `inclusion` | the entries hash to the root, and every tile at every level is what they hash to |
//! | `entries` | every entry is canonical, and known to this version |
//! | `evidence` | every blob is what its name says and is named by an entry, and no named one is missing |
//! | `emergency` | (noted, if so) entries wait in the emergency file beside the folder, and are not in the log yet; a file there that is damaged fails |
//! | `clock` | (noted, if so) entries are not in the order of their times |
//! | `replay` | the state folded from the events has the digests that the log recorded on the way |
//! | `rules` | the events are in an order that the rules allow |
//!
//! A log that grows meanwhile is looked at again, and one that somebody holds is given time to end its append.

mod evidence;
mod files;
mod inclusion;
mod pass;
mod report;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossfade_tlog::hash::leaf_hash;
use crossfade_tlog::note::Note;
use crossfade_tlog::{Checkpoint, VerifierKey};

pub use report::{Check, Finding, Head, Outcome, Report};

use crate::emergency::{self, Beside};
use crate::layout::CHECKPOINT;
use crate::snapshot::Snapshot;
use crate::storage::{Disk, Storage};
use report::{Findings, counted, grouped};

/// How often a log that has changed is verified anew.
const AGAIN_MAX: u32 = 50;

/// How long a folder with findings must stay as it is before they are believed: an append that is
/// under way looks like strays, for about 2 ms on a local disk, and for seconds on one that is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    /// How often to look again.
    pub looks: u32,
    /// How often to look again in all, while another process holds the folder's lock, and nothing is found but what an append
    /// leaves on its way.
    pub looks_at_append: u32,
    /// How long to wait before each look.
    pub pause: Duration,
}

impl Settle {
    /// Four looks in 200 ms; 200 in 10 s while an append may be under way.
    pub const LIVE: Self = Self { looks: 4, looks_at_append: 200, pause: Duration::from_millis(50) };
    /// For a folder that nobody writes to.
    pub const STILL: Self = Self { looks: 0, looks_at_append: 0, pause: Duration::ZERO };
}

/// Verifies the log in `folder` against its verifier key. An error only if the folder cannot be
/// read at all; everything else is in the report.
pub fn verify(folder: &Path, key: &VerifierKey) -> io::Result<Report> {
    verify_with(&(Arc::new(Disk) as Arc<dyn Storage>), folder, key, Settle::LIVE)
}

/// [`verify`], on other storage, or with other patience.
pub fn verify_with(
    storage: &Arc<dyn Storage>,
    folder: &Path,
    key: &VerifierKey,
    settle: Settle,
) -> io::Result<Report> {
    let take =
        || Ok::<_, io::Error>((Snapshot::take(storage, folder)?, emergency::beside(&**storage, folder)));
    let report = |seen: &(Snapshot, _)| report(&seen.0, folder, key, &seen.1);
    let mut seen = take()?;
    let mut found = report(&seen);
    let (mut unchanged, mut again, mut looked) = (0, 0, 0);
    let held = || storage.lock(folder).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    while !found.intact
        && again < AGAIN_MAX
        && (unchanged < settle.looks
            || (looked < settle.looks_at_append && found.may_be_an_append() && held()))
    {
        pause(settle.pause);
        looked += 1;
        let next = take()?;
        if next.0.same_as(&seen.0) && next.1 == seen.1 {
            unchanged += 1;
        } else {
            (unchanged, again) = (0, again + 1);
            seen = next;
            found = report(&seen);
        }
    }
    Ok(found)
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process's append is waited for: nothing could wake us"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn report(
    snapshot: &Snapshot,
    folder: &Path,
    key: &VerifierKey,
    emergency: &Result<Option<Vec<u8>>, String>,
) -> Report {
    let mut checks = Vec::new();
    let checkpoint = checkpoint(snapshot, key, &mut checks);
    let Some(checkpoint) = checkpoint else {
        let why = "no checkpoint to check it against";
        let names = ["files", "inclusion", "entries", "evidence", "replay", "rules"];
        checks.extend(names.map(|name| Check::not_run(name, why)));
        return Report::new(folder.display().to_string(), None, checks);
    };
    checks.push(Check::noted("witnesses", "none: a cut tail would not be seen"));
    checks.push(files::check(snapshot, checkpoint.size));
    let mut pass = pass::Pass::over(snapshot, checkpoint.size);
    let bundles = std::mem::take(&mut pass.bundles);
    checks.push(inclusion::check(snapshot, &checkpoint, &pass.tree, bundles));
    // Hardly ever is there an entry to look for, and then few.
    let is_logged = |entry: &[u8]| {
        let wanted = leaf_hash(entry);
        (0..checkpoint.size).any(|index| pass.tree.leaf(index) == Some(wanted))
    };
    let beside = Beside::of(emergency, is_logged);
    checks.extend(pass.checks(snapshot));
    checks.extend(emergency_check(&beside));
    let size = checkpoint.size.to_string();
    let head = Head { origin: checkpoint.origin, size, root: checkpoint.root.to_string() };
    Report::new(folder.display().to_string(), Some(head), checks)
}

/// Entries that wait are no fault of the log, but who reads it should know. What cannot be believed may have held some.
fn emergency_check(beside: &Beside) -> Option<Check> {
    match beside {
        Beside::None | Beside::Waiting(0) => None,
        Beside::Waiting(waiting) => {
            let entries = counted(*waiting as u64, "entry waits", "entries wait");
            let what =
                format!("{entries} in the file beside the folder, and in the log when its disk takes it");
            Some(Check::noted("emergency", what))
        }
        Beside::Damaged { offset, what } => {
            let mut findings = Findings::default();
            findings.add(Finding::new("../emergency", what).offset(*offset));
            Some(findings.check("emergency", String::new))
        }
    }
}

/// The checkpoint, if it is the key's. Stricter than the specification, which has unknown
/// signatures ignored: a log without witnesses carries exactly one.
fn checkpoint(snapshot: &Snapshot, key: &VerifierKey, checks: &mut Vec<Check>) -> Option<Checkpoint> {
    let mut findings = Findings::default();
    let finding = |what: String| Finding::new(CHECKPOINT, what);
    let opened = match &snapshot.note {
        Ok(note) => Checkpoint::open(note, key).map_err(|error| error.to_string()),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    let opened = opened.map_err(|what| findings.add(finding(what))).ok();
    if let Some(checkpoint) = &opened {
        let signatures = Note::parse(snapshot.note()).map_or(0, |note| note.signatures().len());
        if signatures != 1 {
            findings.add(finding(format!("{} signatures by others than the log", signatures - 1)));
        }
        if !checkpoint.extensions.is_empty() {
            findings.add(finding("extension lines, which no crossfade log has".to_owned()));
        }
    }
    checks.push(findings.check("checkpoint", || {
        let (origin, size) = opened.as_ref().map_or((String::new(), 0), |one| (one.origin.clone(), one.size));
        format!("{origin}, size {}, Ed25519", grouped(size))
    }));
    opened
}
