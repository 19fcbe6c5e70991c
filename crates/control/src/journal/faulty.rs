//! A local disk that fails when told.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crossfade_audit::storage::{Disk, Listed, Lock, Storage};

/// What is wrong with the disk; by default nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// No room: nothing new can be made. Files that are there can be written over.
    pub(crate) full: bool,
    /// Nothing new can be made, for no reason that the log could get over by itself.
    pub(crate) broken: bool,
    /// The emergency file cannot be written.
    pub(crate) no_emergency: bool,
    /// Nothing can be read.
    pub(crate) unreadable: bool,
    /// The next commit point fails, once; with `true` it has happened all the same.
    pub(crate) commit: Option<bool>,
    /// Nothing that makes a file returns.
    pub(crate) hangs: bool,
    /// The disk is full once an entry with these words is in the log.
    pub(crate) full_after: Option<&'static str>,
    /// Set by `full_after`: the disk is full with the next commit.
    pub(crate) full_next: bool,
}

impl Faults {
    pub(crate) const NONE: Faults = Faults {
        full: false,
        broken: false,
        no_emergency: false,
        unreadable: false,
        commit: None,
        hangs: false,
        full_after: None,
        full_next: false,
    };
}

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultyDisk(Arc<(Mutex<Faults>, Condvar)>, Arc<AtomicU64>);

impl FaultyDisk {
    pub(crate) fn set(&self, faults: Faults) {
        *self.0.0.lock().unwrap() = faults;
        self.0.1.notify_all();
    }

    /// How often it had no room.
    pub(crate) fn refused(&self) -> u64 {
        self.1.load(Ordering::SeqCst)
    }

    fn now(&self) -> Faults {
        *self.0.0.lock().unwrap()
    }

    fn room(&self) -> io::Result<()> {
        let faults = self.0.1.wait_while(self.0.0.lock().unwrap(), |faults| faults.hangs).unwrap();
        match *faults {
            Faults { full: true, .. } => {
                self.1.fetch_add(1, Ordering::SeqCst);
                Err(ErrorKind::StorageFull.into())
            }
            Faults { broken: true, .. } => Err(io::Error::other("broken")),
            _ => Ok(()),
        }
    }

    fn readable(&self) -> io::Result<()> {
        if self.now().unreadable { Err(io::Error::other("unreadable")) } else { Ok(()) }
    }
}

impl Storage for FaultyDisk {
    fn lock(&self, folder: &Path) -> io::Result<Lock> {
        Disk.lock(folder)
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        self.readable()?;
        Disk.read(file)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        self.readable()?;
        Disk.list(folder)
    }

    fn write_new(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        self.room()?;
        let mut faults = self.0.0.lock().unwrap();
        if faults.full_after.is_some_and(|words| String::from_utf8_lossy(bytes).contains(words)) {
            (faults.full_after, faults.full_next) = (None, true);
        }
        drop(faults);
        Disk.write_new(file, bytes)
    }

    fn overwrite(&self, file: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.now().no_emergency {
            return Err(io::Error::other("no emergency file"));
        }
        Disk.overwrite(file, offset, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut faults = self.0.0.lock().unwrap();
        faults.full |= std::mem::take(&mut faults.full_next);
        let commit = faults.commit.take();
        drop(faults);
        match commit {
            None => Disk.rename(from, to),
            Some(happens) => {
                if happens {
                    Disk.rename(from, to)?;
                }
                Err(io::Error::other("the rename failed"))
            }
        }
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        Disk.remove(file)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if !folder.exists() {
            self.room()?;
        }
        Disk.create_folder(folder)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.remove_folder(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.sync_folder(folder)
    }
}
