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

/// The entry without the evidence that it names: what a way back is recorded as, where its evidence cannot be stored.
#[must_use]
pub fn without_evidence(mut entry: Entry) -> Entry {
    if let Event::GateFinished { evidence, .. } | Event::ProbeRecorded { evidence, .. } = &mut entry.event {
        *evidence = None;
    }
    entry
}

#[cfg(test)]
mod tests {
    use crossfade_rollout::Actor;
    use crossfade_routing::UnixNanos;

    use super::*;

    const TEXT: &str = concat!(
        r#"{"actor":"control","event":{"at":"1795259280000000001","call":"POST /v1","type":"AccessDenied","why":"é"},"#,
        r#""time":"2026-11-21T11:08:00.000000001Z","v":1}"#
    );

    fn example() -> Entry {
        let at = UnixNanos(1_795_259_280_000_000_001);
        Entry::new(Actor::control(), at, Event::AccessDenied { call: "POST /v1".into(), why: "é".into(), at })
    }

    fn refused(text: &str) -> EntryError {
        decode(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn one_entry_has_one_spelling() {
        assert_eq!(String::from_utf8(encode(&example()).unwrap()).unwrap(), TEXT);
        assert_eq!(decode(TEXT.as_bytes()).unwrap(), example());
        assert!(matches!(refused(&TEXT.replace("\"v\":1", "\"v\":2")), EntryError::Version(2)));
        assert!(matches!(refused(&TEXT.replace("\"v\":1", "\"v\":\"1\"")), EntryError::Shape(_)));
        assert!(matches!(refused(&TEXT.replace("AccessDenied", "Unheard")), EntryError::Shape(_)));
        assert!(matches!(refused(&TEXT.replace("\"call\"", "\"call \"")), EntryError::Shape(_)));
        assert!(matches!(refused(&format!("{TEXT} ")), EntryError::Canonical(_)));
        assert!(matches!(refused(&TEXT.replace('é', "\\u00e9")), EntryError::Canonical(_)));
        assert!(matches!(refused(""), EntryError::Canonical(_)));
    }

    #[test]
    fn any_changed_bit_is_another_entry_or_none() {
        for at in 0..TEXT.len() {
            for bit in 0..8 {
                let mut other = TEXT.as_bytes().to_vec();
                other[at] ^= 1 << bit;
                if let Ok(entry) = decode(&other) {
                    assert_ne!(entry, example(), "byte {at} bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_long_entry_is_refused() {
        let mut long = example();
        if let Event::AccessDenied { why, .. } = &mut long.event {
            *why = "x".repeat(ENTRY_LEN_MAX - TEXT.len() + "é".len());
        }
        assert_eq!(encode(&long).unwrap().len(), ENTRY_LEN_MAX);
        if let Event::AccessDenied { why, .. } = &mut long.event {
            why.push('x');
        }
        assert!(matches!(encode(&long), Err(EntryError::TooLong { len }) if len == ENTRY_LEN_MAX + 1));
    }
}
