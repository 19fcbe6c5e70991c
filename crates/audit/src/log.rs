//! The sequencer: the one writer of a log.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crossfade_rollout::{Actor, Digest, Entry, Event};
use crossfade_routing::UnixNanos;
use crossfade_tlog::checkpoint::CheckpointError;
use crossfade_tlog::tile::{self, TILE_WIDTH, TileKind};
use crossfade_tlog::{Checkpoint, SignerKey, Tree, bundle, leaf_hash};

use crate::commit::{StepError, Writer};
use crate::emergency::{Emergency, EmergencyError};
use crate::entry::{self, EntryError};
use crate::evidence::{Evidence, EvidenceError};
use crate::layout::{Place, TEMPORARY, evidence_path};
use crate::reader::{Inclusion, Leaf, ReadError, Reader};
use crate::recovery::{self, OpenError, Opened, Recovery};
use crate::storage::{Disk, Lock, Storage, is_no_space};

/// Why entries were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk is full. Nothing was appended; try again when there is room.
    #[error("no space for the log (writing {})", path.display())]
    NoSpace {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A step failed before the commit point. Nothing was appended. What the disk holds is not to be
    /// trusted any more, so the log takes nothing until it is opened again.
    #[error("the log could not be written ({}); nothing was appended, open it again", path.display())]
    Failed {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The commit point itself failed: whether the entries were appended is known when the log has
    /// been opened again, and not before.
    #[error("the checkpoint could not be made durable ({}); open the log again to learn whether the entries are in it", path.display())]
    Indeterminate {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An earlier append failed.
    #[error("the log takes nothing until it is opened again: {0}")]
    Poisoned(String),
    /// Entries wait in the emergency file; they happened before. Call [`Log::merge_emergency`] first.
    #[error("{waiting} emergency entries are to be merged first")]
    EmergencyWaiting {
        /// How many.
        waiting: usize,
    },
    /// An entry cannot be written.
    #[error("entry {position} of {of} cannot be written")]
    Entry {
        /// Which of the entries given, from 1.
        position: usize,
        /// How many were given.
        of: usize,
        /// Why not.
        #[source]
        source: EntryError,
    },
    /// An entry names evidence that nobody has put.
    #[error("no evidence {0}: put it before the entry that names it")]
    NoEvidence(Digest),
    /// The checkpoint could not be signed.
    #[error("the checkpoint cannot be signed")]
    Sign(#[from] CheckpointError),
}

impl AppendError {
    /// True if the same append can succeed later, without opening the log again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NoSpace { .. } | Self::EmergencyWaiting { .. })
    }

    /// True if the log must be opened again before it takes anything.
    pub fn needs_reopening(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Indeterminate { .. } | Self::Poisoned(_))
    }
}

/// What an append came to: the entries are durable under this checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The numbers of the entries.
    pub entries: Range<u64>,
    /// The signed checkpoint that covers them.
    pub checkpoint: String,
}

/// The one writer of a log: it holds the folder's lock, the key, and the tree.
///
/// All calls that write block until the disk has answered. Readers ([`reader`](Self::reader)) do not
/// wait for them.
#[derive(Debug)]
pub struct Log {
    pub(crate) key: SignerKey,
    pub(crate) writer: Writer,
    pub(crate) tree: Tree,
    pub(crate) reader: Reader,
    pub(crate) evidence: Evidence,
    pub(crate) emergency: Emergency,
    pub(crate) poisoned: Option<String>,
    pub(crate) place: Place,
    pub(crate) storage: Arc<dyn Storage>,
    /// Dropped last.
    pub(crate) _lock: Lock,
}

impl Log {
    /// Makes an empty log of the key's name on the local disk: its folder, its first checkpoint, its
    /// emergency file. The folder may exist if it is empty.
    pub fn create(place: &Place, key: &SignerKey) -> Result<(), OpenError> {
        recovery::create(&Disk, place, key)
    }

    /// [`create`](Self::create), on other storage.
    pub fn create_with(storage: &dyn Storage, place: &Place, key: &SignerKey) -> Result<(), OpenError> {
        recovery::create(storage, place, key)
    }

    /// Opens a log on the local disk, and puts it in order: see [`Recovery`].
    pub fn open(place: &Place, key: SignerKey) -> Result<(Self, Recovery), OpenError> {
        Self::open_with(Arc::new(Disk), place, key)
    }

    /// [`open`](Self::open), on other storage.
    pub fn open_with(
        storage: Arc<dyn Storage>,
        place: &Place,
        key: SignerKey,
    ) -> Result<(Self, Recovery), OpenError> {
        recovery::open(storage, place, key)
    }

    /// Opens the log again where it stands, without letting the lock go: after an append has failed.
    /// Readers stay valid, and evidence that waits goes on waiting. After an error the log is as it
    /// was before, poisoned, and its emergency file can still be used.
    pub fn reopen(&mut self) -> Result<Recovery, OpenError> {
        let (opened, recovery) = recovery::put_in_order(&self.storage, &self.place, &self.key)?;
        let Opened { writer, committed, stored, emergency } = opened;
        self.tree = committed.tree.clone();
        self.reader.update(|current| *current = committed);
        self.evidence.reopened(stored);
        (self.writer, self.emergency, self.poisoned) = (writer, emergency, None);
        Ok(recovery)
    }

    /// Appends entries, all or none. Durable on return: covered by a checkpoint that is.
    pub fn append(&mut self, entries: &[Entry]) -> Result<Receipt, AppendError> {
        match self.emergency.entries().len() {
            0 => self.append_now(entries),
            waiting => Err(AppendError::EmergencyWaiting { waiting }),
        }
    }

    fn append_now(&mut self, entries: &[Entry]) -> Result<Receipt, AppendError> {
        let encoded = entries
            .iter()
            .zip(1..)
            .map(|(one, position)| {
                entry::encode(one).map_err(|source| AppendError::Entry {
                    position,
                    of: entries.len(),
                    source,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let named: BTreeSet<Digest> = entries.iter().filter_map(|one| entry::evidence(&one.event)).collect();
        self.commit(encoded, &named)
    }

    fn commit(&mut self, encoded: Vec<Vec<u8>>, named: &BTreeSet<Digest>) -> Result<Receipt, AppendError> {
        if let Some(why) = &self.poisoned {
            return Err(AppendError::Poisoned(why.clone()));
        }
        let old = self.tree.size();
        if encoded.is_empty() {
            return Ok(Receipt { entries: old..old, checkpoint: self.reader.checkpoint() });
        }
        self.writer.remove_leftovers();
        let signed = match self.prepare(old, &encoded, named) {
            Ok(signed) => signed,
            Err(error) => {
                self.tree.truncate(old);
                self.writer.undo();
                if error.needs_reopening() {
                    self.poisoned = Some(error.to_string());
                }
                return Err(error);
            }
        };
        if let Err(StepError { path, source }) = self.writer.publish() {
            let error = AppendError::Indeterminate { path, source };
            self.poisoned = Some(error.to_string());
            return Err(error);
        }
        // The commit point has passed: the entries are in the log.
        self.reader.update(|committed| {
            for entry in &encoded {
                committed.tree.push(leaf_hash(entry));
            }
            committed.checkpoint.clone_from(&signed);
            committed.tail.extend(encoded);
            let full =
                committed.tail.len() - usize::try_from(self.tree.size() % TILE_WIDTH).expect("under 256");
            committed.tail.drain(..full);
        });
        self.evidence.committed(named.iter().copied());
        let superseded = tile::superseded(old, self.tree.size()).map(|tile| tile.to_string());
        self.writer.discard(superseded);
        Ok(Receipt { entries: old..self.tree.size(), checkpoint: signed })
    }

    /// Everything before the commit point; the signed checkpoint.
    fn prepare(
        &mut self,
        old: u64,
        encoded: &[Vec<u8>],
        named: &BTreeSet<Digest>,
    ) -> Result<String, AppendError> {
        for digest in named.iter().filter(|digest| !self.evidence.stored.contains(digest)) {
            let blob = self.evidence.waiting(digest).ok_or(AppendError::NoEvidence(*digest))?.to_vec();
            self.writer.stage(&evidence_path(digest), blob).map_err(before_commit)?;
        }
        encoded.iter().for_each(|entry| self.tree.push(leaf_hash(entry)));
        let size = self.tree.size();
        for tile in tile::tiles_after(old, size) {
            let bytes = match tile.kind() {
                TileKind::Entries => {
                    self.bundle(tile.first()..tile.first() + u64::from(tile.width()), old, encoded)
                }
                TileKind::Hashes { .. } => tile.hashes(&self.tree).expect("the tree has grown to this size"),
            };
            self.writer.stage(&tile.to_string(), bytes).map_err(before_commit)?;
        }
        let origin = self.key.verifier().name().to_string();
        let checkpoint = Checkpoint { origin, size, root: self.tree.root(), extensions: Vec::new() };
        let signed = checkpoint.sign(&self.key)?;
        self.writer.stage(TEMPORARY, signed.clone().into_bytes()).map_err(before_commit)?;
        self.writer.write_staged().map_err(before_commit)?;
        self.writer.sync_names().map_err(before_commit)?;
        Ok(signed)
    }

    /// The bytes of a bundle that begins before `old` and goes on with new entries, or lies among them.
    fn bundle(&self, range: Range<u64>, old: u64, encoded: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut push =
            |entry: &[u8]| bundle::push(&mut bytes, entry).expect("entries are measured when encoded");
        if range.start < old {
            self.reader.tail(|tail| tail.iter().for_each(|entry| push(entry)));
        }
        for (index, entry) in (old..).zip(encoded) {
            if range.contains(&index) {
                push(entry);
            }
        }
        bytes
    }

    /// Takes a blob as evidence. It becomes durable with the first entry that names it, before that
    /// entry does; until then it waits in memory.
    pub fn put_evidence(&mut self, blob: &[u8]) -> Result<Digest, EvidenceError> {
        self.evidence.put(blob)
    }

    /// A blob, stored or waiting.
    pub fn evidence(&self, digest: &Digest) -> Result<Vec<u8>, ReadError> {
        match self.evidence.waiting(digest) {
            Some(blob) => Ok(blob.to_vec()),
            None => self.reader.evidence(digest),
        }
    }

    /// Whether a blob is stored: then an entry may name it although the log takes nothing.
    pub fn stores(&self, digest: &Digest) -> bool {
        self.evidence.stored.contains(digest)
    }

    /// Keeps an entry that must not wait for the log (a rollback, a fence) in the emergency file.
    /// Durable on return. Works when the disk is full and when the log is poisoned; until
    /// [`merge_emergency`](Self::merge_emergency) has succeeded, the log takes no other entries. After
    /// an error the entry may still be found when the log is opened again.
    pub fn append_emergency(&mut self, entry: &Entry) -> Result<(), EmergencyError> {
        if let Some(digest) = entry::evidence(&entry.event).filter(|one| !self.stores(one)) {
            return Err(EmergencyError::Evidence(digest));
        }
        self.emergency.append(entry::encode(entry)?)
    }

    /// Entries in the emergency file that are not in the log, oldest first, as bytes.
    pub fn emergency_entries(&self) -> &[Vec<u8>] {
        self.emergency.entries()
    }

    /// Moves the emergency entries into the log, behind an `EmergencyMerged` that says how many
    /// follow. None if there are none.
    pub fn merge_emergency(&mut self, now: UnixNanos) -> Result<Option<Receipt>, AppendError> {
        let waiting = self.emergency.entries();
        if waiting.is_empty() {
            return Ok(None);
        }
        let of = waiting.len() + 1;
        let mut entries = waiting
            .iter()
            .zip(2..)
            .map(|(bytes, position)| {
                entry::decode(bytes).map_err(|source| AppendError::Entry { position, of, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let since = entries.first().map_or(now, |entry| entry.time);
        let entry_count =
            u32::try_from(entries.len()).expect("the emergency file holds less than 2^32 bytes");
        let merged = Event::EmergencyMerged { entries: entry_count, since, at: now };
        entries.insert(0, Entry::new(Actor::control(), now, merged));
        let receipt = self.append_now(&entries)?;
        // They are in the log. If the file cannot be emptied now, opening it finds that out by itself.
        let _ = self.emergency.clear();
        Ok(Some(receipt))
    }

    /// A handle for reading that does not wait for appends.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.reader.size()
    }

    /// The signed checkpoint.
    pub fn checkpoint(&self) -> String {
        self.reader.checkpoint()
    }

    /// One entry.
    pub fn entry(&self, index: u64) -> Result<Leaf, ReadError> {
        self.reader.entry(index)
    }

    /// Entries in order.
    pub fn entries(&self, range: Range<u64>) -> Result<Vec<Leaf>, ReadError> {
        self.reader.entries(range)
    }

    /// The proof that an entry is in the log, at the current checkpoint.
    pub fn inclusion(&self, index: u64) -> Result<Inclusion, ReadError> {
        self.reader.inclusion(index)
    }

    /// Why the log takes no more entries, if an append has failed.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Files, relative to the folder, that should be gone and could not be removed so far. They are
    /// tried again at each append; until then a strict verification names them.
    pub fn leftovers(&self) -> Vec<String> {
        self.writer.leftovers().map(str::to_owned).collect()
    }
}

/// What an error before the commit point means: a full disk undoes cleanly, since nothing that was
/// written is used again; after anything else the disk is not to be trusted.
fn before_commit(StepError { path, source }: StepError) -> AppendError {
    if is_no_space(&source) {
        AppendError::NoSpace { path, source }
    } else {
        AppendError::Failed { path, source }
    }
}
