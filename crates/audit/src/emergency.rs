//! The emergency file: room taken beforehand, for entries that must not wait for a full disk.
//!
//! ```text
//! file     "crossfade emergency 1\n", then records, then zeros up to the file's size
//! record   length of the entry (u32, big-endian, not 0) | chain (32 bytes) | the entry
//! chain    SHA-256(chain before || length || entry); before the first: SHA-256("crossfade emergency 1\n")
//! ```
//!
//! The file was written with zeros when the log was made, so that nothing in it needs a new block.
//! A record is durable when [`append`](Emergency::append) returns. A record torn by a crash does not
//! fit its chain; it and everything after it is no record. Records are entries that happened: they
//! go into the log, marked, as soon as it can be written. A record whose entry is in the log already
//! is merged, however the merge ended.
//!
//! On a file system that never overwrites in place (btrfs, ZFS) the room is only as good as the
//! reserve that such a file system keeps.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossfade_tlog::bundle::ENTRY_LEN_MAX;
use crossfade_tlog::hash::sha256_parts;
use crossfade_tlog::sha256;

use crate::layout::Place;
use crate::storage::{FILE_LEN_MAX, Storage, here};

const MAGIC: &[u8] = b"crossfade emergency 1\n";
/// Length and chain.
const HEAD: usize = 4 + 32;

/// Why an entry could not be kept in the emergency file.
#[derive(Debug, thiserror::Error)]
pub enum EmergencyError {
    /// The file is full.
    #[error("the emergency file {} is full: {left} bytes left", file.display())]
    Full {
        /// Which file.
        file: PathBuf,
        /// Bytes that an entry could still have.
        left: usize,
    },
    /// No emergency entry can be this long, or it is no entry at all.
    #[error(transparent)]
    Entry(#[from] crate::entry::EntryError),
    /// An emergency entry can only name evidence that is stored.
    #[error("an emergency entry names evidence {0} that is not stored")]
    Evidence(crossfade_rollout::Digest),
    /// The file could not be read or written.
    #[error("cannot use the emergency file {}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not an emergency file.
    #[error("{} is no emergency file", file.display())]
    Foreign {
        /// Which file.
        file: PathBuf,
    },
}

#[derive(Debug)]
pub(crate) struct Emergency {
    storage: Arc<dyn Storage>,
    file: PathBuf,
    size: usize,
    /// Where the next record goes.
    end: usize,
    chain: [u8; 32],
    /// Entries that are not known to be in the log.
    entries: Vec<Vec<u8>>,
    /// Emptying the file has failed, perhaps half-way: no record may stand behind the ones it holds.
    half_empty: bool,
}

/// Bytes after the last record that are neither zero nor a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TornRecord {
    pub(crate) offset: usize,
}

impl Emergency {
    /// Takes the room. An emergency file that is there already is kept.
    pub(crate) fn create(storage: &dyn Storage, file: &Path, size: u64) -> io::Result<()> {
        match storage.read(file) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let size = usize::try_from(size.min(FILE_LEN_MAX)).unwrap_or(0).max(MAGIC.len() + HEAD);
        let mut bytes = vec![0; size];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        storage.write_new(file, &bytes)?;
        storage.sync_folder(&here(file.parent().unwrap_or(Path::new(""))))
    }

    /// Reads the file; a torn record is reported, and wiped so that the next record can stand there.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        file: &Path,
    ) -> Result<(Self, Option<TornRecord>), EmergencyError> {
        let io = |source| EmergencyError::Io { file: file.to_owned(), source };
        let bytes = storage.read(file).map_err(io)?;
        let Some(Records { entries, chain, rest }) = Records::read(&bytes) else {
            return Err(EmergencyError::Foreign { file: file.to_owned() });
        };
        let end = bytes.len() - rest.len();
        let torn = rest.iter().any(|byte| *byte != 0).then_some(TornRecord { offset: end });
        if torn.is_some() {
            storage.overwrite(file, end as u64, &vec![0; rest.len()]).map_err(io)?;
        }
        let (file, size) = (file.to_owned(), bytes.len());
        Ok((Self { storage, file, size, end, chain, entries, half_empty: false }, torn))
    }

    /// Entries that are not known to be in the log, oldest first.
    pub(crate) fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// Forgets the entries that are in the log, which the caller knows.
    pub(crate) fn retain(&mut self, in_log: impl Fn(&[u8]) -> bool) {
        self.entries.retain(|entry| !in_log(entry));
    }

    /// Keeps an entry; durable afterwards. After an error the next record goes to the same place, so
    /// that what was perhaps written is written over; if there is none, it may be found at opening.
    pub(crate) fn append(&mut self, entry: Vec<u8>) -> Result<(), EmergencyError> {
        let file = self.file.clone();
        let io = |source| EmergencyError::Io { file: file.clone(), source };
        if self.half_empty {
            self.clear().map_err(io)?;
        }
        let free = self.size - self.end;
        if entry.len() + HEAD > free {
            let left = free.saturating_sub(HEAD).min(ENTRY_LEN_MAX);
            return Err(EmergencyError::Full { file, left });
        }
        let len = u32::try_from(entry.len()).expect("an entry is at most 65,535 bytes").to_be_bytes();
        let chain = sha256_parts(&[&self.chain, &len, &entry]);
        let bytes = [&len, &chain[..], &entry].concat();
        self.storage.overwrite(&self.file, self.end as u64, &bytes).map_err(io)?;
        self.end += bytes.len();
        self.chain = chain;
        self.entries.push(entry);
        Ok(())
    }

    /// Empties the file, once all its entries are in the log. An error costs only room: what is in
    /// the log is known to be there when the file is read again.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.entries.clear();
        if self.end > MAGIC.len() {
            self.half_empty = true;
            let zeros = vec![0; self.end - MAGIC.len()];
            self.storage.overwrite(&self.file, MAGIC.len() as u64, &zeros)?;
        }
        (self.end, self.chain, self.half_empty) = (MAGIC.len(), sha256(MAGIC), false);
        Ok(())
    }
}

/// The entries of the emergency file that lies beside a log's folder, as they stand there; none if there is no such file.
/// Nothing is changed.
pub(crate) fn beside(storage: &dyn Storage, folder: &Path) -> Vec<Vec<u8>> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let bytes = storage.read(&Place::new(folder).emergency).unwrap_or_default();
    Records::read(&bytes).map_or_else(Vec::new, |records| records.entries)
}

/// What a file holds.
struct Records<'a> {
    entries: Vec<Vec<u8>>,
    /// After the last of them.
    chain: [u8; 32],
    /// What follows the last record.
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// `None`: no emergency file.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut found = Self { entries: Vec::new(), chain: sha256(MAGIC), rest: bytes.strip_prefix(MAGIC)? };
        while let Some((entry, next, after)) = record(found.rest, &found.chain) {
            found.entries.push(entry.to_vec());
            (found.chain, found.rest) = (next, after);
        }
        Some(found)
    }
}

fn record<'a>(bytes: &'a [u8], chain: &[u8; 32]) -> Option<(&'a [u8], [u8; 32], &'a [u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (stored, rest) = rest.split_first_chunk::<32>()?;
    let length = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    if !(1..=ENTRY_LEN_MAX).contains(&length) {
        return None;
    }
    let (entry, rest) = rest.split_at_checked(length)?;
    let next = sha256_parts(&[chain, len, entry]);
    (next == *stored).then_some((entry, next, rest))
}
