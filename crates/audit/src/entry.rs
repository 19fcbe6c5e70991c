//! Entries as bytes: canonical JSON of [`Entry`], and nothing else.

use crossfade_rollout::event::ENTRY_VERSION;
use crossfade_rollout::{Digest, Entry, Event};
use crossfade_tlog::bundle::ENTRY_LEN_MAX;

use crate::canonical::{self, CanonicalError};

/// Why an entry was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Not canonical JSON, or an event that has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// Canonical JSON, but not an entry that this version knows.
    #[error("not an entry of version 1")]
    Shape(#[source] serde_json::Error),
    /// A version that this program does not know.
    #[error("an entry of version {0}: written by a newer crossfade")]
    Version(u64),
    /// Reading and writing it again does not give the same bytes.
    #[error("says more, or otherwise, than this version understands (from byte {offset} on)")]
    Remainder {
        /// The first byte that would be another.
        offset: usize,
    },
    /// No bundle can hold it.
    #[error("an entry of {len} bytes is too long: at most {ENTRY_LEN_MAX}; put the bulk into evidence")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

/// The bytes of an entry.
pub fn encode(entry: &Entry) -> Result<Vec<u8>, EntryError> {
    let bytes = canonical::to_vec(entry)?;
    if bytes.len() > ENTRY_LEN_MAX { Err(EntryError::TooLong { len: bytes.len() }) } else { Ok(bytes) }
}

/// Reads an entry; refuses every spelling but the one that [`encode`] gives.
pub fn decode(bytes: &[u8]) -> Result<Entry, EntryError> {
    let value = canonical::decode(bytes)?;
    let version = value.get("v").and_then(serde_json::Value::as_u64);
    if let Some(version) = version.filter(|version| *version != u64::from(ENTRY_VERSION)) {
        return Err(EntryError::Version(version));
    }
    let entry: Entry = serde_json::from_value(value).map_err(EntryError::Shape)?;
    match canonical::difference(&encode(&entry)?, bytes) {
        None => Ok(entry),
        Some(offset) => Err(EntryError::Remainder { offset }),
    }
}

/// Reads an entry whose bytes are known to be those that were appended, whatever their spelling.
pub(crate) fn read_trusted(bytes: &[u8]) -> Result<Entry, EntryError> {
    serde_json::from_slice(bytes).map_err(EntryError::Shape)
}

/// The evidence that an event names: blobs that must be durable before its entry is.
pub fn evidence(event: &Event) -> Option<Digest> {
    match event {
        Event::RolloutDrafted { plan, .. } => Some(*plan),
        Event::GateFinished { evidence, .. } | Event::ProbeRecorded { evidence, .. } => *evidence,
        _ => None,
    }
}
