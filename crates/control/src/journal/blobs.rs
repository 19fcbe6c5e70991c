//! Evidence that no entry names yet.
//!
//! A blob whose entry never comes (a start that is refused, a gate whose rollout has ended meanwhile) must not be kept for
//! ever: when there are too many, the oldest go. The log itself is handed a blob only together with its entry.

use crossfade_audit::{EvidenceError, Log};
use crossfade_rollout::{Digest, Entry};

/// How much may wait, in bytes. Each blob that the log takes has room for itself and three others.
const WAITING_MAX: usize = 64 << 20;
/// The largest blob that the log takes.
pub(super) const BLOB_LEN_MAX: usize = 16 << 20;

/// Blobs in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Blobs(Vec<(Digest, Vec<u8>)>);

impl Blobs {
    /// Takes a blob; one that waits already waits anew.
    pub(super) fn put(&mut self, bytes: Vec<u8>) -> Result<Digest, EvidenceError> {
        if bytes.len() > BLOB_LEN_MAX {
            return Err(EvidenceError::TooLarge { len: bytes.len() });
        }
        let digest = Digest::from_bytes(crossfade_tlog::sha256(&bytes));
        self.withdraw(&digest);
        self.0.push((digest, bytes));
        let mut waiting: usize = self.0.iter().map(|(_, blob)| blob.len()).sum();
        while waiting > WAITING_MAX {
            waiting -= self.0.remove(0).1.len();
        }
        Ok(digest)
    }

    pub(super) fn withdraw(&mut self, digest: &Digest) {
        self.0.retain(|(known, _)| known != digest);
    }

    /// Gives the log the blobs that these entries name.
    pub(super) fn hand_over(&self, entries: &[Entry], log: &mut Log) -> Result<(), EvidenceError> {
        for digest in digests(entries) {
            if let Some((_, blob)) = self.0.iter().find(|(known, _)| *known == digest) {
                log.put_evidence(blob)?;
            }
        }
        Ok(())
    }

    /// The entries are in the log, and with them what they name.
    pub(super) fn named(&mut self, entries: &[Entry]) {
        digests(entries).for_each(|digest| self.withdraw(&digest));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn digests(entries: &[Entry]) -> impl Iterator<Item = Digest> {
    entries.iter().filter_map(|entry| crossfade_audit::entry::evidence(&entry.event))
}
