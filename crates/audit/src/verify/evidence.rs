//! Every blob is what its name says, is named by an entry, and no named one is missing.

use std::collections::BTreeMap;

use crossfade_rollout::Digest;

use crate::layout::{self, Name, evidence_path};
use crate::snapshot::Snapshot;
use crate::storage::Kind;
use crate::verify::report::{Check, Finding, Findings, counted};

/// `named`: each digest with the first entry that names it. `complete`: false if some entry could
/// not be read, so that a blob may have lost its entry.
pub(crate) fn check(snapshot: &Snapshot, mut named: BTreeMap<Digest, u64>, complete: bool) -> Check {
    let mut findings = Findings::default();
    let count = named.len() as u64;
    for one in snapshot.walked.iter().filter(|one| one.kind == Kind::File) {
        let Name::Evidence(digest) = layout::name_of(&one.relative) else { continue };
        let entry = named.remove(&digest);
        let place = |what: String| match entry {
            Some(index) => Finding::new(&one.relative, what).entry(index),
            None => Finding::unaccounted(&one.relative, what),
        };
        match snapshot.read(&one.relative).map(|blob| Digest::from_bytes(crossfade_tlog::sha256(&blob))) {
            Ok(actual) if actual == digest => {}
            Ok(actual) => findings.add(place(format!("its content has the digest {actual}"))),
            Err(error) => findings.add(place(format!("cannot be read: {error}"))),
        }
        if entry.is_none() && complete {
            findings.add(place("no entry names it".to_owned()));
        }
    }
    for (digest, index) in named {
        findings.add(Finding::new(evidence_path(&digest), "missing, and this entry names it").entry(index));
    }
    findings.check("evidence", || format!("{} match", counted(count, "blob", "blobs")))
}
