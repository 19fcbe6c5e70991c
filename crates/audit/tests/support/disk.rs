//! A disk in memory that keeps apart what was written and what is durable, and that fails when told.
//!
//! It is harsher than real ones: content and names become durable only by their own syncs; what a
//! failed sync has not persisted is never persisted by a later one, although it can still be read
//! (as on Linux, where the pages of a failed write-back are marked clean); after a crash each name
//! is, independently, the durable or the last one, and content that was not synced is any mixture.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path};
use std::sync::Mutex;

use crossfade_audit::storage::{Kind, Listed, Lock, Storage};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What happens at the operation that a fault is set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not happen, or only in part, and says so.
    Fails(ErrorKind),
    /// It happens, durably, and says that it has not.
    FailsButPersists(ErrorKind),
    /// It happens or not, and the process never hears of it.
    Crash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder(usize),
}

#[derive(Debug, Clone, Default)]
struct File {
    written: Vec<u8>,
    durable: Vec<u8>,
    /// A sync of this content has failed: no later one brings it to the disk.
    lost: bool,
}

#[derive(Debug, Clone, Default)]
struct Folder {
    written: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    lost: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Inner {
    files: Vec<File>,
    folders: Vec<Folder>,
    operations: u64,
    /// By operation number, ascending.
    faults: Vec<(u64, Fault)>,
    crashed: bool,
    /// Set by `fill`: everything that needs room fails.
    full: bool,
    chance: ChaCha8Rng,
}

#[derive(Debug)]
pub(crate) struct MemoryDisk(Mutex<Inner>);

impl MemoryDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Inner {
            files: Vec::new(),
            folders: vec![Folder::default()],
            operations: 0,
            faults: Vec::new(),
            crashed: false,
            full: false,
            chance: ChaCha8Rng::seed_from_u64(seed),
        }))
    }

    /// A copy, with another seed, that fails at some of its operations, counted from now.
    pub(crate) fn with_faults(&self, seed: u64, faults: &[(u64, Fault)]) -> Self {
        let mut inner = self.0.lock().unwrap().clone();
        inner.faults = faults.iter().map(|(at, fault)| (inner.operations + at, *fault)).collect();
        inner.chance = ChaCha8Rng::seed_from_u64(seed);
        Self(Mutex::new(inner))
    }

    /// What a machine finds that comes up after the power has failed now.
    pub(crate) fn after_crash(&self) -> Self {
        let mut inner = self.0.lock().unwrap().clone();
        inner.crash();
        Self(Mutex::new(inner))
    }

    /// True once all faults have struck.
    pub(crate) fn struck(&self) -> bool {
        let inner = self.0.lock().unwrap();
        inner.faults.iter().all(|(at, _)| inner.operations > *at)
    }

    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// Takes all room, or gives it back.
    pub(crate) fn fill(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    /// Changes a file behind everybody's back, durably.
    pub(crate) fn tamper(&self, file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.0.lock().unwrap();
        let Some(Node::File(id)) = inner.node(file) else { panic!("no file {}", file.display()) };
        change(&mut inner.files[id].written);
        inner.files[id].durable = inner.files[id].written.clone();
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.0.lock().unwrap().node(path).is_some()
    }
}

fn parts(path: &Path) -> Vec<String> {
    let normal = path.components().filter(|part| matches!(part, Component::Normal(_)));
    normal.map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect()
}

fn put(names: &mut BTreeMap<String, Node>, name: String, node: Option<Node>) {
    match node {
        Some(node) => names.insert(name, node),
        None => names.remove(&name),
    };
}

impl Inner {
    fn node(&self, path: &Path) -> Option<Node> {
        parts(path).iter().try_fold(Node::Folder(0), |node, part| match node {
            Node::Folder(id) => self.folders[id].written.get(part).copied(),
            Node::File(_) => None,
        })
    }

    fn folder(&self, path: &Path) -> io::Result<usize> {
        match self.node(path) {
            Some(Node::Folder(id)) => Ok(id),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.node(path) {
            Some(Node::File(id)) => Ok(id),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn parent(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Ok((self.folder(path.parent().unwrap())?, name))
    }

    fn bind(&mut self, folder: usize, name: String, node: Option<Node>) {
        let folder = &mut self.folders[folder];
        folder.lost.remove(&name);
        put(&mut folder.written, name, node);
    }

    /// One operation: `whole` does it, `part` does what a failure may leave of it.
    fn operate(
        &mut self,
        whole: impl FnOnce(&mut Self),
        part: impl FnOnce(&mut Self),
        persist: impl FnOnce(&mut Self),
    ) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        match self.faults.iter().find(|(at, _)| *at == number) {
            Some((_, fault)) => match *fault {
                Fault::Fails(kind) => {
                    part(self);
                    Err(kind.into())
                }
                Fault::FailsButPersists(kind) => {
                    whole(self);
                    persist(self);
                    Err(kind.into())
                }
                Fault::Crash => {
                    if self.chance.random() {
                        whole(self)
                    } else {
                        part(self)
                    }
                    self.crashed = true;
                    Err(io::Error::other("crashed"))
                }
            },
            None => {
                whole(self);
                Ok(())
            }
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("crashed")) } else { Ok(()) }
    }

    fn room(&self) -> io::Result<()> {
        self.alive()?;
        if self.full { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync_file(&mut self, id: usize) -> io::Result<()> {
        let persist = move |inner: &mut Self| {
            let file = &mut inner.files[id];
            if !file.lost {
                file.durable = file.written.clone();
            }
        };
        self.operate(persist, move |inner| inner.files[id].lost = true, persist)
    }

    fn crash(&mut self) {
        self.crashed = false;
        self.faults.clear();
        for file in &mut self.files {
            if file.written != file.durable {
                file.durable = match self.chance.random_range(0..4) {
                    0 => std::mem::take(&mut file.durable),
                    1 => file.written[..self.chance.random_range(0..=file.written.len())].to_vec(),
                    2 => {
                        let mut torn = file.written.clone();
                        let at = self.chance.random_range(0..=torn.len());
                        torn[at..].fill(0);
                        torn
                    }
                    _ => file.written.clone(),
                };
            }
            file.written = file.durable.clone();
            file.lost = false;
        }
        for folder in &mut self.folders {
            let names: BTreeSet<String> =
                folder.written.keys().chain(folder.durable.keys()).cloned().collect();
            for name in names {
                let (durable, written) =
                    (folder.durable.get(&name).copied(), folder.written.get(&name).copied());
                let kept = if self.chance.random() { durable } else { written };
                put(&mut folder.durable, name, kept);
            }
            folder.written = folder.durable.clone();
            folder.lost.clear();
        }
    }
}

impl Storage for MemoryDisk {
    fn lock(&self, folder: &Path) -> io::Result<Lock> {
        let inner = self.0.lock().unwrap();
        inner.alive()?;
        inner.folder(folder)?;
        Ok(Lock::unshared())
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let inner = self.0.lock().unwrap();
        inner.alive()?;
        Ok(inner.files[inner.file(file)?].written.clone())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let inner = self.0.lock().unwrap();
        inner.alive()?;
        let listed = inner.folders[inner.folder(folder)?].written.iter().map(|(name, node)| {
            let kind = if matches!(node, Node::File(_)) { Kind::File } else { Kind::Folder };
            Listed { name: name.into(), kind }
        });
        Ok(listed.collect())
    }

    fn write_new(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.room()?;
        let (folder, name) = inner.parent(file)?;
        let id = inner.files.len();
        inner.files.push(File::default());
        let bind = |inner: &mut Inner| inner.bind(folder, name.clone(), Some(Node::File(id)));
        let name_durably = |inner: &mut Inner| {
            inner.folders[folder].durable.insert(name.clone(), Node::File(id));
        };
        inner.operate(bind, |_| {}, name_durably)?;
        let cut = inner.chance.random_range(0..=bytes.len());
        let write = |inner: &mut Inner| inner.files[id].written = bytes.to_vec();
        let write_part = |inner: &mut Inner| inner.files[id].written = bytes[..cut].to_vec();
        inner.operate(write, write_part, |inner| inner.files[id].durable = bytes.to_vec())?;
        inner.sync_file(id)
    }

    fn overwrite(&self, file: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.alive()?;
        let (id, start) = (inner.file(file)?, usize::try_from(offset).unwrap());
        assert!(start + bytes.len() <= inner.files[id].written.len(), "would need new room");
        let cut = inner.chance.random_range(0..=bytes.len());
        let put = move |inner: &mut Inner, part: &[u8]| {
            let file = &mut inner.files[id];
            file.written[start..start + part.len()].copy_from_slice(part);
            file.lost = false;
        };
        let persist = |inner: &mut Inner| inner.files[id].durable = inner.files[id].written.clone();
        inner.operate(|inner| put(inner, bytes), |inner| put(inner, &bytes[..cut]), persist)?;
        inner.sync_file(id)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.alive()?;
        let node = inner.node(from).ok_or(ErrorKind::NotFound)?;
        let ((from_folder, from_name), (to_folder, to_name)) = (inner.parent(from)?, inner.parent(to)?);
        let whole = |inner: &mut Inner| {
            inner.bind(from_folder, from_name.clone(), None);
            inner.bind(to_folder, to_name.clone(), Some(node));
        };
        let persist = |inner: &mut Inner| {
            inner.folders[from_folder].durable.remove(&from_name);
            inner.folders[to_folder].durable.insert(to_name.clone(), node);
        };
        inner.operate(whole, |_| {}, persist)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.alive()?;
        inner.file(file)?;
        let (folder, name) = inner.parent(file)?;
        let persist = |inner: &mut Inner| {
            inner.folders[folder].durable.remove(&name);
        };
        inner.operate(|inner| inner.bind(folder, name.clone(), None), |_| {}, persist)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.alive()?;
        if inner.node(path).is_some() {
            return Ok(());
        }
        inner.room()?;
        let (folder, name) = inner.parent(path)?;
        let id = inner.folders.len();
        inner.folders.push(Folder::default());
        let persist = |inner: &mut Inner| {
            inner.folders[folder].durable.insert(name.clone(), Node::Folder(id));
        };
        inner.operate(|inner| inner.bind(folder, name.clone(), Some(Node::Folder(id))), |_| {}, persist)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.alive()?;
        let id = inner.folder(path)?;
        if !inner.folders[id].written.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        let (folder, name) = inner.parent(path)?;
        let persist = |inner: &mut Inner| {
            inner.folders[folder].durable.remove(&name);
        };
        inner.operate(|inner| inner.bind(folder, name.clone(), None), |_| {}, persist)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.alive()?;
        let id = inner.folder(path)?;
        let persist = move |inner: &mut Inner| {
            let Folder { written, durable, lost } = &mut inner.folders[id];
            let names: BTreeSet<String> = written.keys().chain(durable.keys()).cloned().collect();
            for name in names.difference(lost) {
                put(durable, name.clone(), written.get(name).copied());
            }
        };
        let lose = move |inner: &mut Inner| {
            let Folder { written, durable, lost } = &mut inner.folders[id];
            let names: BTreeSet<String> = written.keys().chain(durable.keys()).cloned().collect();
            lost.extend(names.into_iter().filter(|name| written.get(name) != durable.get(name)));
        };
        inner.operate(persist, lose, persist)
    }
}
