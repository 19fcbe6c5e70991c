//! Reading the log while it grows: what is committed, and nothing else.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crossfade_rollout::{Digest, Entry};
use crossfade_tlog::proof::{self, ProofError};
use crossfade_tlog::tile::{self, TILE_WIDTH, Tile, TileKind};
use crossfade_tlog::{Hash, Tree, bundle, leaf_hash};

use crate::entry::{self, EntryError};
use crate::layout::evidence_path;
use crate::storage::Storage;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log has no such entry.
    #[error("the log has {size} entries, number {index} is not among them")]
    OutOfRange {
        /// The entry asked for.
        index: u64,
        /// The size of the log.
        size: u64,
    },
    /// A file could not be read.
    #[error("cannot read {}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is no checkpoint, or none that can be read.
    #[error("{} holds no readable checkpoint", folder.display())]
    NoCheckpoint {
        /// Which folder.
        folder: PathBuf,
    },
    /// What is stored is not what was committed.
    #[error("{} is damaged at entry {index}: run `crossfade audit verify`", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// The entry whose bytes are not those that were committed.
        index: u64,
    },
    /// The entry is not one that this version reads.
    #[error("entry {index} cannot be read")]
    Entry {
        /// Which entry.
        index: u64,
        /// Why not.
        #[source]
        source: EntryError,
    },
    /// A blob's bytes are not those of its digest.
    #[error("evidence {0} is damaged")]
    Evidence(Digest),
    /// No such proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// One entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its number in the log, from 0.
    pub index: u64,
    /// Its bytes: canonical JSON.
    pub bytes: Vec<u8>,
}

impl Leaf {
    /// The entry that the bytes spell.
    pub fn entry(&self) -> Result<Entry, ReadError> {
        entry::decode(&self.bytes).map_err(|source| ReadError::Entry { index: self.index, source })
    }
}

/// What someone else needs to see for themselves that an entry is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The entry.
    pub leaf: Leaf,
    /// The path from the entry to the checkpoint's root, lowest sibling first.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

/// The committed state, replaced as a whole at each commit point.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) tree: Tree,
    /// The signed checkpoint over `tree`.
    pub(crate) checkpoint: String,
    /// The entries of the partial bundle: its file is replaced at the next commit.
    pub(crate) tail: Vec<Vec<u8>>,
}

/// Reads a log that another thread appends to. Cheap to clone; never waits for an append.
#[derive(Debug, Clone)]
pub struct Reader {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    committed: Arc<RwLock<Committed>>,
}

impl Reader {
    pub(crate) fn new(storage: Arc<dyn Storage>, folder: PathBuf, committed: Committed) -> Self {
        Self { storage, folder, committed: Arc::new(RwLock::new(committed)) }
    }

    /// Number of committed entries.
    pub fn size(&self) -> u64 {
        self.with(|committed| committed.tree.size())
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        self.with(|committed| committed.tree.root())
    }

    /// The signed checkpoint over them.
    pub fn checkpoint(&self) -> String {
        self.with(|committed| committed.checkpoint.clone())
    }

    /// One entry.
    pub fn entry(&self, index: u64) -> Result<Leaf, ReadError> {
        let end = index.checked_add(1).ok_or(ReadError::OutOfRange { index, size: self.size() })?;
        let mut leaves = self.entries(index..end)?;
        leaves.pop().ok_or(ReadError::OutOfRange { index, size: self.size() })
    }

    /// Entries in order, checked against the tree. Reads the bundles that hold them into memory.
    pub fn entries(&self, range: Range<u64>) -> Result<Vec<Leaf>, ReadError> {
        let (size, tail_start, tail) = self.with(|committed| {
            let size = committed.tree.size();
            let start = size - committed.tail.len() as u64;
            let tail = if range.end > start { committed.tail.clone() } else { Vec::new() };
            (size, start, tail)
        });
        if range.end > size {
            return Err(ReadError::OutOfRange { index: range.end - 1, size });
        }
        let mut leaves = Vec::new();
        // Full bundles never change, so no lock is held while they are read.
        let full = tile::tiles(tail_start).filter(|tile| tile.kind() == TileKind::Entries);
        for tile in full.filter(|tile| tile.first() < range.end && tile.first() + TILE_WIDTH > range.start) {
            self.bundle(&tile, &mut leaves)?;
        }
        leaves.extend((tail_start..).zip(tail).map(|(index, bytes)| Leaf { index, bytes }));
        leaves.retain(|leaf| range.contains(&leaf.index));
        Ok(leaves)
    }

    fn bundle(&self, tile: &Tile, leaves: &mut Vec<Leaf>) -> Result<(), ReadError> {
        let file = self.folder.join(tile.to_string());
        let bytes =
            self.storage.read(&file).map_err(|source| ReadError::Io { file: file.clone(), source })?;
        let mut entries = bundle::entries(&bytes);
        for index in tile.first()..tile.first() + u64::from(tile.width()) {
            let expected = self.with(|committed| committed.tree.leaf(index));
            match entries.next() {
                Some(Ok(entry)) if Some(leaf_hash(entry.bytes)) == expected => {
                    leaves.push(Leaf { index, bytes: entry.bytes.to_vec() });
                }
                _ => return Err(ReadError::Damaged { file, index }),
            }
        }
        Ok(())
    }

    /// The proof that entry `index` is in the log, at the current checkpoint.
    pub fn inclusion(&self, index: u64) -> Result<Inclusion, ReadError> {
        let leaf = self.entry(index)?;
        self.with(|committed| {
            let proof = proof::prove_inclusion(&committed.tree, index, committed.tree.size())?;
            Ok(Inclusion { leaf, proof, checkpoint: committed.checkpoint.clone() })
        })
    }

    /// The proof that the log at size `old` is a prefix of the log at the current checkpoint, and
    /// that checkpoint.
    pub fn consistency(&self, old: u64) -> Result<(Vec<Hash>, String), ReadError> {
        self.with(|committed| {
            let proof = proof::prove_consistency(&committed.tree, old, committed.tree.size())?;
            Ok((proof, committed.checkpoint.clone()))
        })
    }

    /// A stored blob, checked against its digest.
    pub fn evidence(&self, digest: &Digest) -> Result<Vec<u8>, ReadError> {
        evidence(&*self.storage, &self.folder, digest)
    }

    fn with<T>(&self, read: impl FnOnce(&Committed) -> T) -> T {
        read(&self.committed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the entries of the partial bundle.
    pub(crate) fn tail(&self, look: impl FnOnce(&[Vec<u8>])) {
        self.with(|committed| look(&committed.tail));
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Committed)) {
        change(&mut self.committed.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A stored blob of the log in `folder`, checked against its digest.
pub(crate) fn evidence(storage: &dyn Storage, folder: &Path, digest: &Digest) -> Result<Vec<u8>, ReadError> {
    let file = folder.join(evidence_path(digest));
    let bytes = storage.read(&file).map_err(|source| ReadError::Io { file, source })?;
    if crossfade_tlog::sha256(&bytes) == *digest.as_bytes() {
        Ok(bytes)
    } else {
        Err(ReadError::Evidence(*digest))
    }
}
