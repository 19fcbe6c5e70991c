//! Reading a log's folder without its lock or key: entries in order, filtered.
//!
//! Nothing is verified here; that is [`verify`](crate::verify)'s.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossfade_rollout::{Actor, Digest, RolloutId};
use crossfade_routing::UnixNanos;
use crossfade_tlog::Checkpoint;
use crossfade_tlog::bundle;
use crossfade_tlog::tile::{self, Tile, TileKind};
use serde_json::Value;

use crate::layout::evidence_path;
use crate::reader::{self, Leaf, ReadError};
use crate::snapshot::Snapshot;
use crate::storage::{Disk, Storage};

/// Which entries to show. The default shows all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Numbers of entries.
    pub entries: Range<u64>,
    /// Only events of this rollout.
    pub rollout: Option<RolloutId>,
    /// Only by this actor.
    pub actor: Option<Actor>,
    /// Only events of these types (`CutCommitted`); empty for all.
    pub types: BTreeSet<String>,
    /// Not before.
    pub since: Option<UnixNanos>,
    /// Only before.
    pub until: Option<UnixNanos>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            entries: 0..u64::MAX,
            rollout: None,
            actor: None,
            types: BTreeSet::new(),
            since: None,
            until: None,
        }
    }
}

impl Filter {
    /// True if the leaf is to be shown. A leaf that is no entry is shown unless something in it is
    /// asked for.
    pub fn matches(&self, leaf: &Leaf) -> bool {
        if !self.entries.contains(&leaf.index) {
            return false;
        }
        if *self == (Self { entries: self.entries.clone(), ..Self::default() }) {
            return true;
        }
        let Ok(entry) = leaf.entry() else { return false };
        // By the JSON: every event has a type, and those of a rollout name it in the same place.
        let Ok(event) = serde_json::to_value(&entry.event) else { return false };
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        self.actor.as_ref().is_none_or(|actor| *actor == entry.actor)
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time < until)
            && self.rollout.as_ref().is_none_or(|rollout| text("rollout") == Some(rollout.as_str()))
            && (self.types.is_empty() || text("type").is_some_and(|kind| self.types.contains(kind)))
    }
}

/// Reads the entries in `folder` that `filter` lets pass, in order, up to what the checkpoint
/// claims. Bundles are read as the iterator comes to them.
pub fn entries(folder: &Path, filter: Filter) -> Result<Entries, ReadError> {
    let storage: Arc<dyn Storage> = Arc::new(Disk);
    let io = |source| ReadError::Io { file: folder.to_owned(), source };
    of_snapshot(Snapshot::take(&storage, folder).map_err(io)?, folder, filter)
}

/// The file of a blob that an entry names, whether or not it is there.
pub fn evidence_file(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(evidence_path(digest))
}

/// A blob that an entry names, checked against its digest.
///
/// # Errors
/// It cannot be read, or is not what the digest says.
pub fn evidence(folder: &Path, digest: &Digest) -> Result<Vec<u8>, ReadError> {
    reader::evidence(&Disk, folder, digest)
}

pub(crate) fn of_snapshot(snapshot: Snapshot, folder: &Path, filter: Filter) -> Result<Entries, ReadError> {
    let checkpoint =
        snapshot.claimed().ok_or_else(|| ReadError::NoCheckpoint { folder: folder.to_owned() })?;
    Ok(Entries {
        snapshot,
        folder: folder.to_owned(),
        checkpoint,
        filter,
        next: 0,
        open: None,
        failed: false,
    })
}

/// See [`entries`]. Ends after the first error.
#[derive(Debug)]
pub struct Entries {
    snapshot: Snapshot,
    folder: PathBuf,
    checkpoint: Checkpoint,
    filter: Filter,
    next: u64,
    /// The bundle at hand, and the offset of the entry `next` in it.
    open: Option<(Tile, Vec<u8>, usize)>,
    failed: bool,
}

impl Entries {
    /// What the checkpoint claims, unverified.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    fn leaf(&mut self) -> Result<Leaf, ReadError> {
        let index = self.next;
        let tile = tile::tile_of(TileKind::Entries, index, self.checkpoint.size)
            .ok_or(ReadError::OutOfRange { index, size: self.checkpoint.size })?;
        let file = self.folder.join(tile.to_string());
        if self.open.as_ref().is_none_or(|(open, ..)| *open != tile) {
            let bytes = self
                .snapshot
                .read(&tile.to_string())
                .map_err(|source| ReadError::Io { file: file.clone(), source })?;
            let skipped = usize::try_from(index - tile.first()).expect("under 256");
            let offset = bundle::entries(&bytes).take(skipped).flatten().map(|one| 2 + one.bytes.len()).sum();
            self.open = Some((tile, bytes, offset));
        }
        let (_, bytes, offset) = self.open.as_mut().expect("opened above");
        match bytes.get(*offset..).and_then(|rest| bundle::entries(rest).next()) {
            Some(Ok(entry)) => {
                *offset += 2 + entry.bytes.len();
                self.next += 1;
                Ok(Leaf { index, bytes: entry.bytes.to_vec() })
            }
            _ => Err(ReadError::Damaged { file, index }),
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Leaf, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next = self.next.max(self.filter.entries.start);
        while !self.failed && self.next < self.checkpoint.size.min(self.filter.entries.end) {
            match self.leaf() {
                Ok(leaf) if self.filter.matches(&leaf) => return Some(Ok(leaf)),
                Ok(_) => {}
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
