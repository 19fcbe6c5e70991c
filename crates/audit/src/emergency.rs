//! The emergency file: room taken beforehand, for entries that must not wait for a full disk.
//!
//! ```text
//! file     "crossfade emergency 1\n", then records, then zeros up to the file's size
//! record   length of the entry (u32, big-endian, not 0) | chain (32 bytes) | the entry
//! chain    SHA-256(chain before || length || entry); before the first: SHA-256("crossfade emergency 1\n")
//! ```
//!
//! The file was written with zeros when the log was made, so that nothing in it needs a new block.
//! A record is durable when [`append`](Emergency::append) returns. Records are entries that happened: they
//! go into the log, marked, as soon as it can be written. A record whose entry is in the log already
//! is merged, however the merge ended.
//!
//! Each record is durable before the next one is begun, and what a failed write has left is zeroed before
//! anything is written over it. So a crash can tear the last record only, and of a torn record something is
//! missing: there are zeros where it has none, since no entry holds one. Such a record was never
//! acknowledged: it is wiped. Anything else that does not fit its chain is damage to what was acknowledged,
//! and the file is left as it is. Emptying the file begins with a mark, [`EMPTYING`] in place of the first
//! byte, and ends with it, so that a file that is half empty is known by it, and by its records being in the log.
//!
//! On a file system that never overwrites in place (btrfs, ZFS) the room is only as good as the
//! reserve that such a file system keeps.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossfade_tlog::bundle::ENTRY_LEN_MAX;
use crossfade_tlog::hash::sha256_parts;
use crossfade_tlog::sha256;

use crate::entry;
use crate::layout::Place;
use crate::storage::{FILE_LEN_MAX, Storage, here, optional};

const MAGIC: &[u8] = b"crossfade emergency 1\n";
/// Length and chain.
const HEAD: usize = 4 + 32;
/// In place of the first record's first byte, which is otherwise 0, while the file is being emptied.
const EMPTYING: u8 = 0xff;

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
    #[error("{} is no emergency file: {REMEDY}", file.display())]
    Foreign {
        /// Which file.
        file: PathBuf,
    },
    /// What stands in the file is not what was kept in it. No crash does that: the file is not touched.
    #[error("{} is damaged at byte {offset}, behind {whole} whole entries: {what}. {REMEDY}", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where the first record that does not hold begins.
        offset: usize,
        /// Whole records before it.
        whole: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

const REMEDY: &str = "It keeps rollbacks and fences that are not in the log yet, so nothing in it was changed: restore a copy of it, or move it aside and keep it; the log then goes on without what it holds";

#[derive(Debug)]
pub(crate) struct Emergency {
    storage: Arc<dyn Storage>,
    file: PathBuf,
    size: usize,
    /// Where the next record goes.
    end: usize,
    /// Up to here there may be something that was never acknowledged: to be zeroed before the next record.
    dirty: usize,
    chain: [u8; 32],
    /// Entries that are not known to be in the log.
    entries: Vec<Vec<u8>>,
    /// Emptying the file has failed, perhaps half-way: no record may stand behind the ones it holds.
    half_empty: bool,
}

/// What opening the file found, beside the entries that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// Records whose entries are in the log.
    pub(crate) merged: usize,
    /// Where a torn record stood.
    pub(crate) torn: Option<usize>,
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
        // Under its own name there is never half a file.
        let temporary = file.with_extension("tmp");
        storage.write_new(&temporary, &bytes)?;
        storage.rename(&temporary, file)?;
        storage.sync_folder(&here(file.parent().unwrap_or(Path::new(""))))
    }

    /// Reads the file. A torn record is reported, and wiped so that the next record can stand there; nothing is changed in a
    /// file that is damaged.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        file: &Path,
        is_logged: impl Fn(&[u8]) -> bool,
    ) -> Result<(Self, Found), EmergencyError> {
        let io = |source| EmergencyError::Io { file: file.to_owned(), source };
        let bytes = storage.read(file).map_err(io)?;
        let Some(Records { mut entries, chain, end, used, rest }) = Records::read(&bytes, &is_logged) else {
            return Err(EmergencyError::Foreign { file: file.to_owned() });
        };
        let whole = entries.len();
        if let Rest::Damaged(what) = rest {
            return Err(EmergencyError::Damaged { file: file.to_owned(), offset: end, whole, what });
        }
        entries.retain(|entry| !is_logged(entry));
        let found = Found { merged: whole - entries.len(), torn: (rest == Rest::Torn).then_some(end) };
        let half_empty = rest == Rest::HalfEmpty;
        let (file, size) = (file.to_owned(), bytes.len());
        let mut opened = Self { storage, file, size, end, dirty: used, chain, entries, half_empty };
        if opened.entries.is_empty() {
            // Costs only room if it fails.
            let _ = opened.clear();
        } else {
            opened.wipe().map_err(io_at(&opened.file))?;
        }
        Ok((opened, found))
    }

    /// Entries that are not known to be in the log, oldest first.
    pub(crate) fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// Keeps an entry; durable afterwards. After an error the next record goes to the same place, once
    /// what was perhaps written is gone; if there is none, it may be found at opening.
    pub(crate) fn append(&mut self, entry: Vec<u8>) -> Result<(), EmergencyError> {
        if self.half_empty {
            self.clear().map_err(io_at(&self.file))?;
        }
        let free = self.size - self.end;
        if entry.len() + HEAD > free {
            let left = free.saturating_sub(HEAD).min(ENTRY_LEN_MAX);
            return Err(EmergencyError::Full { file: self.file.clone(), left });
        }
        self.wipe().map_err(io_at(&self.file))?;
        let len = u32::try_from(entry.len()).expect("an entry is at most 65,535 bytes").to_be_bytes();
        let chain = sha256_parts(&[&self.chain, &len, &entry]);
        let bytes = [&len, &chain[..], &entry].concat();
        self.dirty = self.end + bytes.len();
        self.storage.overwrite(&self.file, self.end as u64, &bytes).map_err(io_at(&self.file))?;
        self.end = self.dirty;
        self.chain = chain;
        self.entries.push(entry);
        Ok(())
    }

    /// Zeroes what was never acknowledged.
    fn wipe(&mut self) -> io::Result<()> {
        if self.dirty > self.end {
            self.storage.overwrite(&self.file, self.end as u64, &vec![0; self.dirty - self.end])?;
        }
        self.dirty = self.end;
        Ok(())
    }

    /// Empties the file, once all its entries are in the log. An error costs only room: what is in
    /// the log is known to be there when the file is read again.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.entries.clear();
        let (first, used) = (MAGIC.len(), self.end.max(self.dirty));
        if used > first {
            self.half_empty = true;
            let zeros = vec![0; used - first - 1];
            self.storage.overwrite(&self.file, first as u64, &[EMPTYING])?;
            self.storage.overwrite(&self.file, first as u64 + 1, &zeros)?;
            self.storage.overwrite(&self.file, first as u64, &[0])?;
        }
        (self.end, self.dirty, self.chain, self.half_empty) = (first, first, sha256(MAGIC), false);
        Ok(())
    }
}

fn io_at(file: &Path) -> impl FnOnce(io::Error) -> EmergencyError {
    let file = file.to_owned();
    move |source| EmergencyError::Io { file, source }
}

/// What the emergency file beside a log's folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beside {
    /// There is none: a copy that was given away has none either.
    None,
    /// Its entries that are not in the log.
    Waiting(usize),
    /// From this byte on it cannot be believed.
    Damaged { offset: usize, what: String },
}

/// The bytes of the emergency file that lies beside a log's folder. Nothing is changed.
pub(crate) fn beside(storage: &dyn Storage, folder: &Path) -> Result<Option<Vec<u8>>, String> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    optional(storage.read(&Place::new(folder).emergency)).map_err(|error| error.to_string())
}

impl Beside {
    pub(crate) fn of(bytes: &Result<Option<Vec<u8>>, String>, is_logged: impl Fn(&[u8]) -> bool) -> Self {
        let bytes = match bytes {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Self::None,
            Err(error) => return Self::Damaged { offset: 0, what: format!("cannot be read: {error}") },
        };
        match Records::read(bytes, &is_logged) {
            None => Self::Damaged { offset: 0, what: "it is no emergency file".to_owned() },
            Some(Records { end, rest: Rest::Damaged(what), .. }) => {
                Self::Damaged { offset: end, what: what.to_owned() }
            }
            Some(Records { entries, .. }) => {
                Self::Waiting(entries.iter().filter(|entry| !is_logged(entry)).count())
            }
        }
    }
}

/// What a file holds.
struct Records {
    entries: Vec<Vec<u8>>,
    /// After the last of them.
    chain: [u8; 32],
    /// Where the last of them ends.
    end: usize,
    /// From here on there are only zeros.
    used: usize,
    rest: Rest,
}

/// What follows the last whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// A record of which a part was never written.
    Torn,
    /// Whatever is left of records that are in the log.
    HalfEmpty,
    Damaged(&'static str),
}

impl Records {
    /// `None`: no emergency file.
    fn read(bytes: &[u8], is_logged: impl Fn(&[u8]) -> bool) -> Option<Self> {
        let mut bytes = bytes.to_vec();
        let first = MAGIC.len();
        bytes.strip_prefix(MAGIC)?;
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let emptying = bytes.get(first) == Some(&EMPTYING);
        if emptying {
            bytes[first] = 0;
        }
        let mut found =
            Self { entries: Vec::new(), chain: sha256(MAGIC), end: first, used, rest: Rest::Nothing };
        while let Some((entry, next)) = record(&bytes[found.end..], &found.chain) {
            found.end += HEAD + entry.len();
            found.chain = next;
            found.entries.push(entry.to_vec());
        }
        found.rest = match () {
            () if !emptying => judged(&bytes[found.end..]),
            () if found.entries.iter().all(|entry| is_logged(entry)) => Rest::HalfEmpty,
            () => {
                (found.end, found.entries) = (first, Vec::new());
                Rest::Damaged("it is marked as being emptied, and holds what is not in the log")
            }
        };
        Some(found)
    }
}

fn record<'a>(bytes: &'a [u8], chain: &[u8; 32]) -> Option<(&'a [u8], [u8; 32])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (stored, rest) = rest.split_first_chunk::<32>()?;
    let entry = rest.get(..length(len)?)?;
    let next = sha256_parts(&[chain, len, entry]);
    (next == *stored).then_some((entry, next))
}

/// A length that a record can have.
fn length(len: &[u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(*len)).ok().filter(|length| (1..=ENTRY_LEN_MAX).contains(length))
}

/// What stands where no record holds: see the module's text.
fn judged(rest: &[u8]) -> Rest {
    let Some(last) = rest.iter().rposition(|byte| *byte != 0) else { return Rest::Nothing };
    let Some((len, behind)) = rest.split_first_chunk::<4>().filter(|_| rest.len() > HEAD) else {
        return Rest::Damaged("there is no room for the record that begins there");
    };
    let begun = *len != [0; 4];
    let extent = match length(len) {
        Some(length) => HEAD + length,
        None if begun => return Rest::Damaged("no record has the length that stands there"),
        None => HEAD + ENTRY_LEN_MAX,
    };
    if extent > rest.len() && begun {
        return Rest::Damaged("the record that begins there would be longer than the file");
    }
    let written = &rest[..=last];
    if last >= extent || (1..last).any(|at| stands_at(&written[at..])) {
        return Rest::Damaged("a record does not hold, and another one stands behind it");
    }
    let entry = written.get(HEAD..).unwrap_or_default();
    let is_whole = is_entry(entry) && (begun || behind[0] != 0);
    if is_whole || (begun && last + 1 == extent && !entry.contains(&0)) {
        return Rest::Damaged("nothing is missing of the last record, and it does not hold");
    }
    Rest::Torn
}

/// Whether a whole record stands there, whatever its chain; or whatever its length, if it is the last one.
fn stands_at(bytes: &[u8]) -> bool {
    let entry = bytes.first_chunk::<4>().and_then(length).and_then(|length| bytes.get(HEAD..HEAD + length));
    entry.is_some_and(is_entry) || bytes.get(HEAD..).is_some_and(is_entry)
}

fn is_entry(bytes: &[u8]) -> bool {
    bytes.len() <= ENTRY_LEN_MAX
        && bytes.starts_with(b"{")
        && bytes.ends_with(b"}")
        && entry::decode(bytes).is_ok()
}
