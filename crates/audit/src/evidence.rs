//! Evidence: blobs that entries name by their SHA-256.
//!
//! A blob waits in memory until an entry that names it is appended; the append makes it durable
//! before the entry. So the folder never holds a blob that no entry names.

use std::collections::{BTreeMap, BTreeSet};

use crossfade_rollout::Digest;

/// The largest blob, in bytes.
pub(crate) const BLOB_LEN_MAX: usize = 16 << 20;
/// How much may wait for entries, in bytes.
pub(crate) const WAITING_MAX: usize = 64 << 20;

/// Why a blob was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Too large.
    #[error("evidence of {len} bytes is too large: at most {BLOB_LEN_MAX}")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
    },
    /// Too many blobs wait for entries that name them.
    #[error("{waiting} bytes of evidence wait for entries that name them: at most {WAITING_MAX}")]
    TooMany {
        /// Bytes waiting, this blob included.
        waiting: usize,
    },
}

#[derive(Debug)]
pub(crate) struct Evidence {
    /// Durable, and named by an entry.
    pub(crate) stored: BTreeSet<Digest>,
    waiting: BTreeMap<Digest, Vec<u8>>,
}

impl Evidence {
    pub(crate) fn new(stored: BTreeSet<Digest>) -> Self {
        Self { stored, waiting: BTreeMap::new() }
    }

    pub(crate) fn put(&mut self, blob: &[u8]) -> Result<Digest, EvidenceError> {
        if blob.len() > BLOB_LEN_MAX {
            return Err(EvidenceError::TooLarge { len: blob.len() });
        }
        let digest = Digest::from_bytes(crossfade_tlog::sha256(blob));
        if self.stored.contains(&digest) || self.waiting.contains_key(&digest) {
            return Ok(digest);
        }
        let waiting = self.waiting.values().map(Vec::len).sum::<usize>() + blob.len();
        if waiting > WAITING_MAX {
            return Err(EvidenceError::TooMany { waiting });
        }
        self.waiting.insert(digest, blob.to_vec());
        Ok(digest)
    }

    pub(crate) fn waiting(&self, digest: &Digest) -> Option<&[u8]> {
        self.waiting.get(digest).map(Vec::as_slice)
    }

    /// What is stored, as it was found; what waits goes on waiting.
    pub(crate) fn reopened(&mut self, stored: BTreeSet<Digest>) {
        self.waiting.retain(|digest, _| !stored.contains(digest));
        self.stored = stored;
    }

    pub(crate) fn committed(&mut self, digests: impl IntoIterator<Item = Digest>) {
        for digest in digests {
            self.waiting.remove(&digest);
            self.stored.insert(digest);
        }
    }
}
