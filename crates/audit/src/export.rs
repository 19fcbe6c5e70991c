//! Exporting: a copy that can be given away, and verifies by itself.
//!
//! ```text
//! <out>/log.pub     the verifier key
//! <out>/audit/      the log: checkpoint, tiles, bundles, evidence
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossfade_tlog::checkpoint::CheckpointError;
use crossfade_tlog::tile;
use crossfade_tlog::{Checkpoint, VerifierKey};

use crate::entry;
use crate::keys::{self, KeyFileError};
use crate::layout::{CHECKPOINT, evidence_path, folders_above};
use crate::reader::ReadError;
use crate::show::{self, Filter};
use crate::snapshot::Snapshot;
use crate::storage::{Disk, Storage};
use crate::verify::{Report, Settle, verify_with};

/// Why a log was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The target exists.
    #[error("{} exists: export into a new folder", out.display())]
    Exists {
        /// Which folder.
        out: PathBuf,
    },
    /// There is no checkpoint of this key: nothing says what belongs to the log.
    #[error("the log has no checkpoint of this key")]
    Checkpoint(#[from] CheckpointError),
    /// The log could not be read.
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    /// The verifier key could not be written.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A file could not be copied.
    #[error("cannot copy {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Copies the log in `folder` to `out/audit`, its key to `out/log.pub`, and verifies the copy, which
/// is kept whatever the report says. Works on a log that grows: the copy is of one checkpoint.
pub fn export(folder: &Path, key: &VerifierKey, out: &Path) -> Result<Report, ExportError> {
    let storage: Arc<dyn Storage> = Arc::new(Disk);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| ExportError::Io { path, source }
    };
    if out.exists() {
        return Err(ExportError::Exists { out: out.to_owned() });
    }
    let snapshot = Snapshot::take(&storage, folder).map_err(at(folder))?;
    let checkpoint = Checkpoint::open(snapshot.note(), key)?;
    let mut names = vec![CHECKPOINT.to_owned()];
    names.extend(tile::tiles(checkpoint.size).map(|tile| tile.to_string()));
    for leaf in show::of_snapshot(snapshot.clone(), folder, Filter::default())? {
        if let Some(digest) = leaf?.entry().ok().and_then(|entry| entry::evidence(&entry.event)) {
            names.push(evidence_path(&digest));
        }
    }
    names.sort();
    names.dedup();

    let target = out.join("audit");
    std::fs::create_dir_all(&target).map_err(at(&target))?;
    for relative in folders_above(names.iter().map(String::as_str)) {
        let path = target.join(relative);
        storage.create_folder(&path).map_err(at(&path))?;
    }
    for relative in &names {
        let path = folder.join(relative);
        match snapshot.read(relative) {
            Ok(bytes) => {
                storage.write_new(&target.join(relative), &bytes).map_err(at(&target.join(relative)))?
            }
            // What the log lacks the copy lacks: its report will say so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ExportError::Io { path, source }),
        }
    }
    keys::save_verifier(&out.join("log.pub"), key)?;
    verify_with(&storage, &target, key, Settle::STILL).map_err(at(&target))
}
