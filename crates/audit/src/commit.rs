//! The commit protocol: the order in which files become durable.
//!
//! 1. blobs, bundles, tiles, and the new checkpoint as `checkpoint.tmp`: new files with durable
//!    content, in any order;
//! 2. the folders that got new names, from the bottom up;
//! 3. the rename of `checkpoint.tmp` to `checkpoint`, and the folder synced: **the commit point**;
//! 4. partial tiles that are superseded are removed; nothing depends on it.
//!
//! Until 3 nothing that the old checkpoint covers has been touched, so that an error or a crash
//! leaves the old log and some files that no checkpoint accounts for.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::layout::{CHECKPOINT, TEMPORARY};
use crate::storage::{Storage, here};

/// A failure of one step, and the file or folder that it was about.
#[derive(Debug)]
pub(crate) struct StepError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

fn step<T>(path: &Path, result: io::Result<T>) -> Result<T, StepError> {
    result.map_err(|source| StepError { path: path.to_owned(), source })
}

/// Writes files into the log's folder and remembers what is to be synced, or undone.
#[derive(Debug)]
pub(crate) struct Writer {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    /// Folders, relative, whose names are known to be durable.
    durable: BTreeSet<String>,
    /// Files to be written in step 1.
    staged: Vec<(PathBuf, Vec<u8>)>,
    /// What this transaction makes, and the folders it must sync.
    files: Vec<String>,
    folders: Vec<String>,
    dirty: BTreeSet<String>,
    /// Files to be gone that could not be removed so far.
    leftovers: BTreeSet<String>,
}

impl Writer {
    /// `durable`: folders that are known to be there, relative to `folder`.
    pub(crate) fn new(storage: Arc<dyn Storage>, folder: PathBuf, durable: BTreeSet<String>) -> Self {
        Self {
            storage,
            folder,
            durable,
            staged: Vec::new(),
            files: Vec::new(),
            folders: Vec::new(),
            dirty: BTreeSet::new(),
            leftovers: BTreeSet::new(),
        }
    }

    /// Adds a file to step 1, and makes its folder.
    pub(crate) fn stage(&mut self, relative: &str, bytes: Vec<u8>) -> Result<(), StepError> {
        let parent = parent(relative);
        self.make_folder(parent)?;
        self.staged.push((self.folder.join(relative), bytes));
        self.files.push(relative.to_owned());
        self.leftovers.remove(relative);
        if relative != TEMPORARY {
            // That name need not last: its rename is synced.
            self.dirty.insert(parent.to_owned());
        }
        Ok(())
    }

    /// Step 1.
    pub(crate) fn write_staged(&mut self) -> Result<(), StepError> {
        let staged = std::mem::take(&mut self.staged);
        self.storage.write_all_new(&staged).map_err(|(path, source)| StepError { path, source })
    }

    fn make_folder(&mut self, relative: &str) -> Result<(), StepError> {
        if relative.is_empty()
            || self.durable.contains(relative)
            || self.folders.iter().any(|one| one == relative)
        {
            return Ok(());
        }
        self.make_folder(parent(relative))?;
        let path = self.folder.join(relative);
        self.folders.push(relative.to_owned());
        self.dirty.insert(parent(relative).to_owned());
        step(&path, self.storage.create_folder(&path))
    }

    /// Step 2.
    pub(crate) fn sync_names(&mut self) -> Result<(), StepError> {
        // A path sorts behind the paths above it, so that the reverse order goes from the bottom up.
        for relative in self.dirty.iter().rev() {
            let path = here(&self.folder.join(relative));
            step(&path, self.storage.sync_folder(&path))?;
        }
        Ok(())
    }

    /// Step 3. After an error nobody knows whether it has happened.
    pub(crate) fn publish(&mut self) -> Result<(), StepError> {
        let (from, to) = (self.folder.join(TEMPORARY), self.folder.join(CHECKPOINT));
        step(&to, self.storage.rename(&from, &to))?;
        let folder = here(&self.folder);
        step(&folder, self.storage.sync_folder(&folder))?;
        self.files.clear();
        self.dirty.clear();
        self.durable.extend(self.folders.drain(..));
        Ok(())
    }

    /// Before step 3: takes back what was made. What cannot be removed is tried again later.
    pub(crate) fn undo(&mut self) {
        self.staged.clear();
        self.leftovers.extend(self.files.drain(..));
        self.dirty.clear();
        self.remove_leftovers();
        for relative in std::mem::take(&mut self.folders).iter().rev() {
            // A folder that stays is made durable, or removed, by whoever needs it next.
            let _ = self.storage.remove_folder(&self.folder.join(relative));
        }
    }

    /// Step 4. What cannot be removed is tried again later.
    pub(crate) fn discard(&mut self, superseded: impl IntoIterator<Item = String>) {
        self.leftovers.extend(superseded);
        self.remove_leftovers();
    }

    /// Files that should be gone and are not.
    pub(crate) fn leftovers(&self) -> impl Iterator<Item = &str> {
        self.leftovers.iter().map(String::as_str)
    }

    pub(crate) fn remove_leftovers(&mut self) {
        for relative in std::mem::take(&mut self.leftovers) {
            match self.storage.remove(&self.folder.join(&relative)) {
                Ok(()) => self.remove_empty(parent(&relative)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => drop(self.leftovers.insert(relative)),
            }
        }
    }

    /// The folder of partial tiles goes with its last tile.
    fn remove_empty(&mut self, relative: &str) {
        if relative.ends_with(".p") && self.storage.remove_folder(&self.folder.join(relative)).is_ok() {
            self.durable.remove(relative);
        }
    }
}

fn parent(relative: &str) -> &str {
    relative.rsplit_once('/').map_or("", |(parent, _)| parent)
}
