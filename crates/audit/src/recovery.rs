//! Making and opening a log: whatever a crash has left, only what the checkpoint covers is kept.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossfade_rollout::Digest;
use crossfade_tlog::bundle::{self, Torn};
use crossfade_tlog::checkpoint::CheckpointError;
use crossfade_tlog::tile::{self, TILE_WIDTH, Tile, TileKind};
use crossfade_tlog::{Checkpoint, SignerKey, Tree, leaf_hash};

use crate::commit::Writer;
use crate::emergency::{Emergency, EmergencyError};
use crate::entry::{self, EntryError};
use crate::evidence::Evidence;
use crate::layout::{self, CHECKPOINT, Name, Place, TEMPORARY, evidence_path, folders_above, shown};
use crate::log::Log;
use crate::reader::{Committed, Reader};
use crate::storage::{Kind, Storage, here, is_no_space, optional};

/// Why a log was not made or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is a log already.
    #[error("{} holds a log already", folder.display())]
    Exists {
        /// Which folder.
        folder: PathBuf,
    },
    /// The folder holds something else.
    #[error("{} is not empty: it holds {what}", folder.display())]
    NotEmpty {
        /// Which folder.
        folder: PathBuf,
        /// One of the names in it.
        what: String,
    },
    /// There is no log.
    #[error("{} holds no log: no checkpoint", folder.display())]
    NoLog {
        /// Which folder.
        folder: PathBuf,
    },
    /// Another process writes to it.
    #[error("{} is in use by another process", folder.display())]
    Locked {
        /// Which folder.
        folder: PathBuf,
    },
    /// The checkpoint is not this key's.
    #[error("the checkpoint of {} does not hold", folder.display())]
    Checkpoint {
        /// Which folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: CheckpointError,
    },
    /// What the checkpoint covers is not what is stored. No crash does that: the log is not touched.
    #[error("{} is damaged: {what}. No crash leaves this behind; run `crossfade audit verify`, restore a copy", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it, and where.
        what: String,
    },
    /// An entry is not one that this version reads.
    #[error("entry {index} cannot be read")]
    Entry {
        /// Which entry.
        index: u64,
        /// Why not.
        #[source]
        source: EntryError,
    },
    /// The emergency file cannot be used.
    #[error(transparent)]
    Emergency(#[from] EmergencyError),
    /// A file or folder could not be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What opening a log found, and what it did about it. `Display` says it in lines, none if there
/// was nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Entries in the log.
    pub size: u64,
    /// Entries that no checkpoint covers: they were never acknowledged, and are cut off.
    pub cut: Vec<Cut>,
    /// Files and folders of the log's kind that the checkpoint does not account for, relative to the log's folder: removed.
    pub removed: Vec<String>,
    /// Names that this program never writes: left alone, and a finding of `audit verify`.
    pub foreign: Vec<String>,
    /// Evidence that entries name and that is not there: a finding of `audit verify`.
    pub missing_evidence: Vec<Digest>,
    /// Entries in the emergency file that are to be merged.
    pub emergency_waiting: usize,
    /// Entries in the emergency file that turned out to be in the log.
    pub emergency_merged: usize,
    /// Where the emergency file held a torn record: wiped.
    pub emergency_torn: Option<usize>,
}

/// One bundle's part that no checkpoint covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The bundle, relative to the log's folder.
    pub file: String,
    /// Whole entries beyond the checkpoint.
    pub entries: u64,
    /// The entry after them, if the bundle ends within one.
    pub torn: Option<Torn>,
}

impl Recovery {
    /// True if the log was left in order, with nothing waiting.
    pub fn is_clean(&self) -> bool {
        *self == Self { size: self.size, ..Self::default() }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for cut in &self.cut {
            write!(f, "cut {} unacknowledged entries off {}", cut.entries, cut.file)?;
            match cut.torn {
                Some(torn) => writeln!(f, ", and a torn one: {torn}")?,
                None => writeln!(f)?,
            }
        }
        for name in &self.removed {
            let name = shown(name);
            writeln!(
                f,
                "removed {name}: the checkpoint does not account for it, as for what an interrupted append leaves"
            )?;
        }
        for name in &self.foreign {
            writeln!(f, "{} does not belong into a log; it was left alone", shown(name))?;
        }
        for digest in &self.missing_evidence {
            writeln!(f, "evidence {digest} is missing")?;
        }
        if let Some(offset) = self.emergency_torn {
            writeln!(f, "wiped a torn record at byte {offset} of the emergency file")?;
        }
        if self.emergency_merged > 0 {
            writeln!(f, "{} emergency entries are in the log already", self.emergency_merged)?;
        }
        if self.emergency_waiting > 0 {
            writeln!(f, "{} emergency entries wait to be merged", self.emergency_waiting)?;
        }
        Ok(())
    }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path, source }
}

/// Makes an empty log. Interrupted, it can be called again.
pub(crate) fn create(storage: &dyn Storage, place: &Place, key: &SignerKey) -> Result<(), OpenError> {
    let folder = &place.folder;
    storage.create_folder(folder).map_err(io_at(folder))?;
    let _lock = lock(storage, folder)?;
    for listed in storage.list(folder).map_err(io_at(folder))? {
        match listed.name.to_str() {
            Some(CHECKPOINT) => return Err(OpenError::Exists { folder: folder.clone() }),
            Some(TEMPORARY) => {}
            _ => {
                let what = listed.name.to_string_lossy().into_owned();
                return Err(OpenError::NotEmpty { folder: folder.clone(), what });
            }
        }
    }
    Emergency::create(storage, &place.emergency, place.emergency_size).map_err(io_at(&place.emergency))?;
    let origin = key.verifier().name().to_string();
    let empty = Checkpoint { origin, size: 0, root: Tree::new().root(), extensions: Vec::new() };
    let signed =
        empty.sign(key).map_err(|source| OpenError::Checkpoint { folder: folder.clone(), source })?;
    replace(storage, folder, CHECKPOINT, signed.as_bytes()).map_err(io_at(folder))?;
    let above = here(folder.parent().unwrap_or(Path::new("")));
    storage.sync_folder(&above).map_err(io_at(&above))
}

fn lock(storage: &dyn Storage, folder: &Path) -> Result<crate::storage::Lock, OpenError> {
    storage.lock(folder).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { folder: folder.to_owned() },
        io::ErrorKind::NotFound => OpenError::NoLog { folder: folder.to_owned() },
        _ => OpenError::Io { path: folder.to_owned(), source },
    })
}

/// Puts new content under a name in one step, durably.
fn replace(storage: &dyn Storage, folder: &Path, relative: &str, bytes: &[u8]) -> io::Result<()> {
    let (temporary, file) = (folder.join(TEMPORARY), folder.join(relative));
    storage.write_new(&temporary, bytes)?;
    storage.rename(&temporary, &file)?;
    storage.sync_folder(&here(file.parent().unwrap_or(folder)))
}

/// Opens a log and puts it in order.
pub(crate) fn open(
    storage: Arc<dyn Storage>,
    place: &Place,
    key: SignerKey,
) -> Result<(Log, Recovery), OpenError> {
    let lock = lock(&*storage, &place.folder)?;
    let (opened, recovery) = put_in_order(&storage, place, &key)?;
    let Opened { writer, committed, stored, emergency } = opened;
    let log = Log {
        tree: committed.tree.clone(),
        reader: Reader::new(Arc::clone(&storage), place.folder.clone(), committed),
        writer,
        evidence: Evidence::new(stored),
        emergency,
        poisoned: None,
        key,
        place: place.clone(),
        storage,
        _lock: lock,
    };
    Ok((log, recovery))
}

/// What a log is made of when it is in order.
pub(crate) struct Opened {
    pub(crate) writer: Writer,
    pub(crate) committed: Committed,
    /// Blobs that entries name.
    pub(crate) stored: BTreeSet<Digest>,
    pub(crate) emergency: Emergency,
}

/// The caller holds the folder's lock.
pub(crate) fn put_in_order(
    storage: &Arc<dyn Storage>,
    place: &Place,
    key: &SignerKey,
) -> Result<(Opened, Recovery), OpenError> {
    let folder = &place.folder;
    let note = read_checkpoint(&**storage, folder)?;
    let checkpoint = Checkpoint::open(note.as_bytes(), key.verifier())
        .map_err(|source| OpenError::Checkpoint { folder: folder.clone(), source })?;
    let mut found = Found::default();
    read_entries(&**storage, folder, &checkpoint, &mut found)?;
    check_tiles(&**storage, folder, &found.tree)?;

    let temporary = folder.join(TEMPORARY);
    let interrupted = optional(storage.read(&temporary)).map_err(io_at(&temporary))?.is_some();
    // What was read may stand in the page cache only, if whoever wrote it failed while making it
    // durable. Nothing is built on it, and nothing older removed, before it is.
    confirm(&**storage, folder, &note)?;
    if let Some((file, bytes)) = &found.surplus {
        replace(&**storage, folder, file, bytes).map_err(io_at(folder))?;
    }

    let mut recovery = Recovery { size: checkpoint.size, cut: found.cut, ..Recovery::default() };
    recovery.removed.extend(interrupted.then(|| TEMPORARY.to_owned()));
    let (durable, stored) = tidy(&**storage, folder, checkpoint.size, &found.named, &mut recovery)?;
    let emergency = emergency(storage, place, &found.tree, &mut recovery)?;
    let opened = Opened {
        writer: Writer::new(Arc::clone(storage), folder.clone(), durable),
        committed: Committed { tree: found.tree, checkpoint: note, tail: found.tail },
        stored,
        emergency,
    };
    Ok((opened, recovery))
}

fn emergency(
    storage: &Arc<dyn Storage>,
    place: &Place,
    tree: &Tree,
    recovery: &mut Recovery,
) -> Result<Emergency, OpenError> {
    let file = &place.emergency;
    Emergency::create(&**storage, file, place.emergency_size).map_err(io_at(file))?;
    // Hardly ever is there an entry to look for.
    let leaves =
        LazyCell::new(|| -> BTreeSet<_> { (0..tree.size()).filter_map(|index| tree.leaf(index)).collect() });
    let (emergency, found) =
        Emergency::open(Arc::clone(storage), file, |entry| leaves.contains(&leaf_hash(entry)))?;
    recovery.emergency_waiting = emergency.entries().len();
    recovery.emergency_merged = found.merged;
    recovery.emergency_torn = found.torn;
    Ok(emergency)
}

fn read_checkpoint(storage: &dyn Storage, folder: &Path) -> Result<String, OpenError> {
    let file = folder.join(CHECKPOINT);
    let bytes = optional(storage.read(&file)).map_err(io_at(&file))?;
    let bytes = bytes.ok_or_else(|| OpenError::NoLog { folder: folder.to_owned() })?;
    String::from_utf8(bytes).map_err(|_| OpenError::Damaged { file, what: "it is not UTF-8".into() })
}

#[derive(Default)]
struct Found {
    tree: Tree,
    /// Entries of the partial bundle.
    tail: Vec<Vec<u8>>,
    named: BTreeSet<Digest>,
    cut: Vec<Cut>,
    /// The last bundle without what followed its last covered entry.
    surplus: Option<(String, Vec<u8>)>,
}

fn read_entries(
    storage: &dyn Storage,
    folder: &Path,
    checkpoint: &Checkpoint,
    found: &mut Found,
) -> Result<(), OpenError> {
    let mut last = folder.join(CHECKPOINT);
    for tile in tile::tiles(checkpoint.size).filter(|tile| tile.kind() == TileKind::Entries) {
        last = folder.join(tile.to_string());
        let damaged = |what: String| OpenError::Damaged { file: last.clone(), what };
        let bytes = optional(storage.read(&last)).map_err(io_at(&last))?;
        let bytes = bytes.ok_or_else(|| damaged("it is missing".into()))?;
        let (mut entries, mut end) = (bundle::entries(&bytes), 0);
        for index in tile.first()..tile.first() + u64::from(tile.width()) {
            let entry = match entries.next() {
                Some(Ok(entry)) => entry,
                Some(Err(torn)) => return Err(damaged(format!("entry {index} is {torn}"))),
                None => return Err(damaged(format!("it ends before entry {index}"))),
            };
            end = entry.offset + 2 + entry.bytes.len();
            found.tree.push(leaf_hash(entry.bytes));
            let decoded =
                entry::read_trusted(entry.bytes).map_err(|source| OpenError::Entry { index, source })?;
            found.named.extend(entry::evidence(&decoded.event));
            if tile.is_partial() {
                found.tail.push(entry.bytes.to_vec());
            }
        }
        if end < bytes.len() {
            found.cut.push(beyond(&tile, &bytes, tile.first() + u64::from(tile.width())));
            found.surplus = Some((tile.to_string(), bytes[..end].to_vec()));
        }
    }
    if found.tree.root() == checkpoint.root {
        Ok(())
    } else {
        let what = format!("the entries do not hash to the checkpoint's root at size {}", checkpoint.size);
        Err(OpenError::Damaged { file: last, what })
    }
}

fn check_tiles(storage: &dyn Storage, folder: &Path, tree: &Tree) -> Result<(), OpenError> {
    for tile in tile::tiles(tree.size()) {
        let Some(expected) = tile.hashes(tree) else { continue };
        let file = folder.join(tile.to_string());
        let bytes = optional(storage.read(&file)).map_err(io_at(&file))?;
        if bytes.as_ref() != Some(&expected) {
            let what = if bytes.is_none() { "it is missing" } else { "it is not what the entries hash to" };
            return Err(OpenError::Damaged { file, what: what.into() });
        }
    }
    Ok(())
}

/// Makes the checkpoint that was read durable, by writing it anew: an fsync of what is there could
/// pass over pages that an earlier, failed fsync has given up. With no room for that, syncing what
/// is there is the best that can be had, and better than not starting.
fn confirm(storage: &dyn Storage, folder: &Path, note: &str) -> Result<(), OpenError> {
    match replace(storage, folder, CHECKPOINT, note.as_bytes()) {
        Err(error) if is_no_space(&error) => {
            let _ = storage.remove(&folder.join(TEMPORARY));
            storage.sync_folder(&here(folder)).map_err(io_at(folder))
        }
        other => other.map_err(io_at(folder)),
    }
}

/// Removes what interrupted appends have left. Gives the folders and the blobs that remain.
fn tidy(
    storage: &dyn Storage,
    folder: &Path,
    size: u64,
    named: &BTreeSet<Digest>,
    recovery: &mut Recovery,
) -> Result<(BTreeSet<String>, BTreeSet<Digest>), OpenError> {
    let tiles: BTreeSet<Tile> = tile::tiles(size).collect();
    let (mut kept, mut stored) = (Vec::new(), BTreeSet::new());
    let walked = layout::walk(storage, folder).map_err(io_at(folder))?;
    for one in walked.iter().filter(|one| one.kind != Kind::Folder) {
        let path = folder.join(&one.relative);
        let stale = match layout::name_of(&one.relative) {
            _ if one.kind == Kind::Other => None,
            Name::Checkpoint => Some(false),
            Name::Temporary => Some(true),
            Name::Tile(tile) => {
                let stale = !tiles.contains(&tile);
                if stale && tile.kind() == TileKind::Entries {
                    let bytes = storage.read(&path).map_err(io_at(&path))?;
                    let cut = beyond(&tile, &bytes, size);
                    recovery.cut.extend((cut.entries > 0 || cut.torn.is_some()).then_some(cut));
                }
                Some(stale)
            }
            Name::Evidence(digest) => {
                let is_named = named.contains(&digest);
                stored.extend(is_named.then_some(digest));
                Some(!is_named)
            }
            Name::Unknown => None,
        };
        match stale {
            Some(true) => {
                storage.remove(&path).map_err(io_at(&path))?;
                recovery.removed.push(one.relative.clone());
            }
            Some(false) => kept.push(one.relative.as_str()),
            None => {
                recovery.foreign.push(one.relative.clone());
                kept.push(one.relative.as_str());
            }
        }
    }
    recovery.missing_evidence = named.difference(&stored).copied().collect();
    let folders = folders_above(kept.iter().copied());
    for one in walked.iter().rev().filter(|one| one.kind == Kind::Folder && !folders.contains(&one.relative))
    {
        let path = folder.join(&one.relative);
        match optional(storage.remove_folder(&path)) {
            Ok(_) => recovery.removed.push(one.relative.clone()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(source) => return Err(OpenError::Io { path, source }),
        }
    }
    // Folders whose names a crash could still take away are synced again with the first file below.
    let covered: Vec<String> =
        tiles.iter().map(Tile::to_string).chain(stored.iter().map(evidence_path)).collect();
    Ok((folders_above(covered.iter().map(String::as_str)), stored))
}

/// What of a bundle lies beyond entry number `size`.
fn beyond(tile: &Tile, bytes: &[u8], size: u64) -> Cut {
    let (mut index, mut torn, mut walked) = (tile.first(), None, 0);
    for entry in bundle::entries(bytes) {
        match entry {
            Ok(entry) => {
                index += 1;
                walked = entry.offset + 2 + entry.bytes.len();
            }
            Err(error) => torn = Some(error),
        }
    }
    let declared = tile.first() + u64::from(tile.width()).min(TILE_WIDTH);
    if torn.is_none() && index < declared && declared > size {
        // Cut exactly between two entries, or before the first.
        torn = Some(Torn { offset: walked, left: 0, needed: 2 });
    }
    Cut { file: tile.to_string(), entries: index.saturating_sub(size), torn }
}
