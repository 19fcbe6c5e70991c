//! Foreign programs that the tests and benchmarks need, built from the language registries into a cache outside the
//! tree: `$CROSSFADE_CACHE`, or `~/.cache/crossfade-peers`. An entry is a folder `<name>-<version>-<digest>`, where the
//! digest covers the files of this tree that shape it, so a changed manifest makes another entry and leaves the old one.
//!
//! An entry is built in a folder of its own and renamed into place, so that one which exists is whole; a lock file for
//! each name lets a second caller wait for the first instead of building beside it.

mod recipes;

pub(crate) use recipes::{
    CARGO_FUZZ, COLLECTOR, ENVOY, JAEGER, NGINX, NODE, OTHERS, PYTHON, TELEMETRYGEN, TEMPO, TESTS,
};

use crate::shell;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these; without a name, all that the end-to-end tests need
    names: Vec<String>,
    /// Say what there is, for what, and where it is installed; build nothing
    #[arg(long)]
    list: bool,
}

/// One foreign program and how it is built.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// What it is for, in a few words.
    pub(crate) purpose: &'static str,
    /// Files of this tree, relative to its root, that shape the entry.
    files: &'static [&'static str],
    /// Builds everything into the given, empty folder.
    build: fn(&Path) -> Result<()>,
    /// The program that the entry is kept for, relative to its folder.
    program: &'static str,
}

impl Peer {
    /// Where the entry is, or will be.
    pub(crate) fn dir(&self) -> Result<PathBuf> {
        let mut bytes = Vec::new();
        for file in self.files {
            let path = shell::root().join(file);
            bytes.extend(fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        }
        let digest = xxh3_64(&bytes) as u32;
        Ok(cache()?.join(format!("{}-{}-{digest:08x}", self.name, self.version)))
    }

    /// The program itself.
    pub(crate) fn program(&self) -> Result<PathBuf> {
        Ok(self.dir()?.join(self.program))
    }

    /// Builds the entry unless it is there.
    pub(crate) fn ensure(&self) -> Result<()> {
        let dir = self.dir()?;
        if dir.exists() {
            return Ok(());
        }
        install(&dir, self.name, |into| {
            (self.build)(into)?;
            let program = into.join(self.program);
            if !program.exists() {
                bail!("{} was built, but there is no {}", self.name, program.display());
            }
            Ok(())
        })
        .with_context(|| format!("installing {} {}", self.name, self.version))
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.list {
        return list();
    }
    if args.names.is_empty() {
        return ensure(&TESTS);
    }
    let known: Vec<&Peer> = TESTS.iter().chain(&OTHERS).copied().collect();
    for name in &args.names {
        let Some(peer) = known.iter().find(|peer| peer.name == name) else {
            let names: Vec<_> = known.iter().map(|peer| peer.name).collect();
            bail!("no peer is called `{name}`; there are {}", names.join(", "));
        };
        ensure(&[peer])?;
    }
    Ok(())
}

/// Builds those of `peers` that are not there yet.
pub(crate) fn ensure(peers: &[&Peer]) -> Result<()> {
    for peer in peers {
        if !peer.dir()?.exists() {
            shell::stage(&format!("install {} {}", peer.name, peer.version), || peer.ensure())?;
        }
    }
    Ok(())
}

fn list() -> Result<()> {
    for peer in TESTS.iter().chain(&OTHERS) {
        let place =
            if peer.dir()?.exists() { peer.program()?.display().to_string() } else { "missing".to_owned() };
        println!("{:<14} {:<10} {}\n{:>25} {place}", peer.name, peer.version, peer.purpose, "");
    }
    Ok(())
}

fn cache() -> Result<PathBuf> {
    if let Some(cache) = shell::variable("CROSSFADE_CACHE") {
        return Ok(PathBuf::from(cache));
    }
    let home =
        shell::variable("HOME").context("neither CROSSFADE_CACHE nor HOME is set: nowhere to keep peers")?;
    Ok(Path::new(&home).join(".cache/crossfade-peers"))
}

/// Fills `dir` by `build`, all or nothing, once.
fn install(dir: &Path, name: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let cache = dir.parent().context("an entry lies in the cache")?;
    fs::create_dir_all(cache).with_context(|| format!("creating {}", cache.display()))?;
    let lock = File::create(cache.join(format!("{name}.lock"))).context("creating the lock file")?;
    // Held until the end of this function; the system lets go of it if the process dies.
    lock.lock().context("waiting for another build of the same peer")?;
    if dir.exists() {
        return Ok(());
    }
    let unfinished = cache.join(format!("{name}.unfinished"));
    remove(&unfinished)?;
    fs::create_dir_all(&unfinished).with_context(|| format!("creating {}", unfinished.display()))?;
    build(&unfinished)?;
    fs::rename(&unfinished, dir).with_context(|| format!("moving the finished entry to {}", dir.display()))
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_build_leaves_no_entry_and_the_next_one_starts_clean() {
        let cache = tempfile::tempdir().unwrap();
        let dir = cache.path().join("thing-1");
        let failed = install(&dir, "thing", |into| {
            fs::write(into.join("half"), "")?;
            bail!("the compiler went away")
        });
        assert!(failed.is_err() && !dir.exists());
        install(&dir, "thing", |into| {
            assert!(!into.join("half").exists(), "what a failed build left must not be built upon");
            Ok(fs::write(into.join("whole"), "")?)
        })
        .unwrap();
        assert!(dir.join("whole").exists());
    }

    #[test]
    fn an_entry_that_exists_is_not_built_again() {
        let cache = tempfile::tempdir().unwrap();
        let dir = cache.path().join("thing-1");
        install(&dir, "thing", |_| Ok(())).unwrap();
        install(&dir, "thing", |_| bail!("built twice")).unwrap();
    }

    #[test]
    fn a_second_caller_waits_and_finds_the_entry() {
        let cache = tempfile::tempdir().unwrap();
        let dir = cache.path().join("thing-1");
        let builds = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    install(&dir, "thing", |_| {
                        builds.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        Ok(())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(builds.into_inner(), 1);
    }

    #[test]
    fn every_peer_shapes_its_entry_by_files_that_exist() {
        for peer in TESTS.iter().chain(&OTHERS) {
            peer.dir().unwrap();
        }
    }
}
