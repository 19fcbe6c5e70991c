//! Whether a directive's schedule is on the record.
//!
//! A gateway takes a generation only if the log says so: the reply carries the log entry that issued the schedule, a
//! proof that it is in the log, and a checkpoint signed with the log's key. The checkpoint's size never goes back, so
//! that nobody can show a gateway a shorter log than it has seen.

use crossfade_routing::Schedule;
use crossfade_routing::sync::SignedEntry;
use crossfade_tlog::checkpoint::EntryError;
use crossfade_tlog::{Hash, VerifierKey, verify_entry};
use serde::Deserialize;

use super::keep::SeenCheckpoint;

/// Why a reply was not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    #[error("the inclusion proof holds {0:?}, which is no hash")]
    NotAHash(String),
    #[error("the log does not hold the entry")]
    NotIncluded(#[source] EntryError),
    #[error("the log has shrunk: it had {seen} entries, this checkpoint has {offered}")]
    Shrunk { seen: u64, offered: u64 },
    #[error("the log has two histories: another root at size {size}")]
    Forked { size: u64 },
    #[error("the entry is no record of a schedule")]
    NotASchedule(#[source] serde_json::Error),
    #[error("the entry is a {kind} (v{version}), which issues no schedule")]
    OtherEvent { kind: String, version: u32 },
    #[error("the entry issued another schedule than the one offered")]
    OtherSchedule,
}

#[derive(Deserialize)]
struct Leaf {
    v: u32,
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    schedule: Schedule,
}

/// The events that issue a schedule.
const ISSUING: [&str; 2] = ["GenerationIssued", "CutCommitted"];

/// Checks that the log issued exactly this schedule. Returns the checkpoint that shows it.
pub(crate) fn check(
    key: &VerifierKey,
    entry: &SignedEntry,
    schedule: &Schedule,
    seen: Option<&SeenCheckpoint>,
) -> Result<SeenCheckpoint, ProofError> {
    let hash = |text: &String| text.parse::<Hash>().map_err(|_| ProofError::NotAHash(text.clone()));
    let proof = entry.proof.iter().map(hash).collect::<Result<Vec<_>, _>>()?;
    let checkpoint =
        verify_entry(key, entry.checkpoint.as_bytes(), entry.index, entry.entry.as_bytes(), &proof)
            .map_err(ProofError::NotIncluded)?;
    let offered = SeenCheckpoint { size: checkpoint.size, root: checkpoint.root.to_string() };
    match seen {
        Some(seen) if offered.size < seen.size => {
            return Err(ProofError::Shrunk { seen: seen.size, offered: offered.size });
        }
        Some(seen) if offered.size == seen.size && offered.root != seen.root => {
            return Err(ProofError::Forked { size: seen.size });
        }
        _ => {}
    }
    let leaf: Leaf = serde_json::from_str(&entry.entry).map_err(ProofError::NotASchedule)?;
    if leaf.v != 1 || !ISSUING.contains(&leaf.event.kind.as_str()) {
        return Err(ProofError::OtherEvent { kind: leaf.event.kind, version: leaf.v });
    }
    if leaf.event.schedule != *schedule {
        return Err(ProofError::OtherSchedule);
    }
    Ok(offered)
}
