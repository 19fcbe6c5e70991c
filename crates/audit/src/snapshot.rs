//! A consistent look at a log's folder, without its lock: for verifying, showing and exporting, also
//! while another process appends.
//!
//! What an append changes is the checkpoint, the partial tiles and the set of names; everything else
//! is written once. So those three are read together, again if the checkpoint has moved meanwhile,
//! and the rest at leisure.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossfade_tlog::Checkpoint;
use crossfade_tlog::note::Note;
use crossfade_tlog::tile;

use crate::layout::{self, CHECKPOINT, Walked};
use crate::storage::Storage;

/// How often the checkpoint may move while the folder is being read.
const MOVES_MAX: usize = 100;

/// See the module's text.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    /// The checkpoint's bytes, or why there are none.
    pub(crate) note: Result<Vec<u8>, String>,
    pub(crate) walked: Vec<Walked>,
    partial: BTreeMap<String, Vec<u8>>,
}

impl Snapshot {
    /// Reads the parts that change, until they belong together.
    pub(crate) fn take(storage: &Arc<dyn Storage>, folder: &Path) -> io::Result<Self> {
        let checkpoint = folder.join(CHECKPOINT);
        let read = || storage.read(&checkpoint).map_err(|error| error.to_string());
        for _ in 0..MOVES_MAX {
            let note = read();
            let walked = layout::walk(&**storage, folder)?;
            let claimed = note.as_deref().ok().and_then(claim).map_or(0, |claimed| claimed.size);
            let mut partial = BTreeMap::new();
            for tile in tile::superseded(claimed, 0) {
                // One that is gone was superseded: then the checkpoint has moved as well.
                let name = tile.to_string();
                if let Ok(bytes) = storage.read(&folder.join(&name)) {
                    partial.insert(name, bytes);
                }
            }
            if read() == note {
                let (storage, folder) = (Arc::clone(storage), folder.to_owned());
                return Ok(Self { storage, folder, note, walked, partial });
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the log grows faster than it can be read"))
    }

    /// The checkpoint's bytes; none if it cannot be read.
    pub(crate) fn note(&self) -> &[u8] {
        self.note.as_deref().unwrap_or_default()
    }

    /// True if the folder has not changed between the two looks.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.note == other.note && self.walked == other.walked
    }

    /// What the checkpoint claims, whoever signed it.
    pub(crate) fn claimed(&self) -> Option<Checkpoint> {
        claim(self.note())
    }

    /// A file's bytes: as they were, or, if they never change, as they are.
    pub(crate) fn read(&self, relative: &str) -> io::Result<Vec<u8>> {
        match self.partial.get(relative) {
            Some(bytes) => Ok(bytes.clone()),
            None if relative == CHECKPOINT => Ok(self.note().to_vec()),
            None => self.storage.read(&self.folder.join(relative)),
        }
    }
}

fn claim(note: &[u8]) -> Option<Checkpoint> {
    Checkpoint::parse(Note::parse(note).ok()?.text()).ok()
}
