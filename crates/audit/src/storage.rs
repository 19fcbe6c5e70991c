//! The few things that the log asks of a disk, as a seam: tests inject faults here.
//!
//! The operations are chosen so that each is one step of the commit protocol, and each says what is
//! durable once it has returned.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use crossfade_tlog::bundle::ENTRY_LEN_MAX;
use crossfade_tlog::tile::TILE_WIDTH;

/// The longest file that a log can have, a full bundle of the longest entries, in bytes. A longer one
/// is not read: folders are verified that somebody else has written.
pub const FILE_LEN_MAX: u64 = TILE_WIDTH * (2 + ENTRY_LEN_MAX as u64);

/// What a folder holds under one name. Symbolic links are not followed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The name within its folder.
    pub name: OsString,
    /// What is there.
    pub kind: Kind,
}

/// See [`Listed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, a socket, a device: nothing that belongs into a log.
    Other,
}

/// Held for as long as a folder is to be written by nobody else.
#[derive(Debug)]
pub struct Lock {
    /// Closing it lets the lock go.
    _file: Option<File>,
}

impl Lock {
    /// A lock for storage that no other process can see.
    pub fn unshared() -> Self {
        Self { _file: None }
    }
}

/// Files as the log uses them. Paths are complete. An operation that returns an error may have
/// happened, wholly or in part.
pub trait Storage: fmt::Debug + Send + Sync {
    /// Takes the folder for this process alone; `WouldBlock` if another process holds it.
    fn lock(&self, folder: &Path) -> io::Result<Lock>;

    /// The bytes of a regular file of at most [`FILE_LEN_MAX`].
    fn read(&self, file: &Path) -> io::Result<Vec<u8>>;

    /// What a folder holds, sorted by name.
    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>>;

    /// Makes a file with this content, in place of any other of this name. Its *content* is durable
    /// afterwards; its name is once [`sync_folder`](Self::sync_folder) has returned.
    fn write_new(&self, file: &Path, bytes: &[u8]) -> io::Result<()>;

    /// [`write_new`](Self::write_new) for several files, in any order; the error is of one of them.
    fn write_all_new(&self, files: &[(PathBuf, Vec<u8>)]) -> Result<(), (PathBuf, io::Error)> {
        files
            .iter()
            .try_for_each(|(file, bytes)| self.write_new(file, bytes).map_err(|error| (file.clone(), error)))
    }

    /// Overwrites bytes within a file that is long enough. Durable afterwards.
    fn overwrite(&self, file: &Path, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file another name in one step, in place of any other of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file away.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// Makes a folder, unless it is there.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Takes an empty folder away.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable as they are now.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A local disk. Not for network file systems: their locks and renames promise less.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Storage for Disk {
    fn lock(&self, folder: &Path) -> io::Result<Lock> {
        // The lock is on the folder itself: no lock file that could be removed, or that a strict
        // verification would have to explain.
        let file = File::open(here(folder))?;
        file.try_lock().map_err(io::Error::from)?;
        Ok(Lock { _file: Some(file) })
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        // Asked before opening: opening a pipe would wait for somebody to write to it.
        let found = fs::symlink_metadata(file)?;
        if !found.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(found.len().min(FILE_LEN_MAX)).unwrap_or(0));
        File::open(file)?.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_LEN_MAX {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "longer than any file of a log"));
        }
        Ok(bytes)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let listed = fs::read_dir(here(folder))?.map(|entry| {
            let entry = entry?;
            let kind = entry.file_type()?;
            let kind = match (kind.is_file(), kind.is_dir()) {
                (true, _) => Kind::File,
                (_, true) => Kind::Folder,
                _ => Kind::Other,
            };
            Ok(Listed { name: entry.file_name(), kind })
        });
        let mut listed = listed.collect::<io::Result<Vec<_>>>()?;
        listed.sort();
        Ok(listed)
    }

    fn write_new(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        write(file, bytes)?.sync_all()
    }

    fn write_all_new(&self, files: &[(PathBuf, Vec<u8>)]) -> Result<(), (PathBuf, io::Error)> {
        let mut written = Vec::with_capacity(files.len());
        for (path, bytes) in files {
            let file = write(path, bytes).map_err(|error| (path.clone(), error))?;
            written.push((path.as_path(), file));
        }
        sync_together(&written)
    }

    fn overwrite(&self, file: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(file)?;
        file.write_all_at(bytes, offset)?;
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(here(folder))?.sync_all()
    }
}

/// A fresh file, never an old one written over: pages that a failed fsync has marked clean would
/// otherwise pass for durable.
fn write(path: &Path, bytes: &[u8]) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Syncs files at the same time: a journaling file system commits once for all of them, where one
/// after the other each waits for a commit of its own.
fn sync_together(files: &[(&Path, File)]) -> Result<(), (PathBuf, io::Error)> {
    let sync = |(path, file): &(&Path, File)| file.sync_all().map_err(|error| (path.to_path_buf(), error));
    let Some((first, others)) = files.split_first() else { return Ok(()) };
    thread::scope(|scope| {
        let spawn = |file| thread::Builder::new().spawn_scoped(scope, move || sync(file)).map_err(|_| file);
        let running: Vec<_> = others.iter().map(spawn).collect();
        let mut result = sync(first);
        for one in running {
            // Without another thread to be had, it is done here.
            let synced = one.map_or_else(sync, |handle| handle.join().expect("syncing does not panic"));
            result = result.and(synced);
        }
        result
    })
}

/// True if the error says that there is no room: retryable, once somebody has made some.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Takes "it is not there" for a value.
pub(crate) fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// The parent of a relative path of one part is the empty path, which no system call takes.
pub(crate) fn here(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
}
