//! What a gateway remembers across restarts: its directive, its fence, and how long the log was.
//!
//! ```text
//! state_dir/lock            held while the gateway runs: two on one folder would overwrite each other's fences
//! state_dir/state.json      {"v":1,"saved":{directive,fence},"checkpoint":{size,root}}
//! state_dir/fence.reserve   4 KiB, allocated at the start: a fence goes here when the disk is full
//! ```
//!
//! `state.json` is replaced as a whole: written beside, synced, renamed, and the folder synced. When [`Keep::save`]
//! returns, it is durable; when it fails, the old state is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crossfade_routing::Saved;
use crossfade_routing::sync::{Fence, FenceCause};
use serde::{Deserialize, Serialize};

/// The folder, locked.
#[derive(Debug)]
pub(crate) struct Keep {
    dir: PathBuf,
    reserve: File,
    _lock: File,
}

/// Everything that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    v: u32,
    pub(crate) saved: Saved,
    pub(crate) checkpoint: Option<SeenCheckpoint>,
}

/// The newest checkpoint of the log that was verified. Its size never goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenCheckpoint {
    pub(crate) size: u64,
    /// Base64.
    pub(crate) root: String,
}

/// Why the folder cannot be used. A gateway that has forgotten a fence must not route, so it does not start.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("cannot create or open {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is in use: another gateway runs on this state folder")]
    InUse { path: PathBuf },
    #[error("cannot read {path}: restore it, or remove it if the gateway may forget its schedule and fence")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

const VERSION: u32 = 1;
const STATE: &str = "state.json";
const STATE_NEW: &str = "state.json.new";
const RESERVE: &str = "fence.reserve";
const RESERVE_BYTES: usize = 4096;
/// Characters of a cause; in JSON each takes up to six bytes.
const WORDS_MAX: usize = 256;

impl Kept {
    pub(crate) fn new(saved: Saved, checkpoint: Option<SeenCheckpoint>) -> Kept {
        Kept { v: VERSION, saved, checkpoint }
    }
}

impl Keep {
    /// Opens or creates the folder and reads what is there.
    pub(crate) fn open(dir: &Path) -> Result<(Keep, Kept), KeepError> {
        let open = |path: PathBuf| {
            let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            opened.map_err(|source| KeepError::Open { path, source })
        };
        fs::create_dir_all(dir).map_err(|source| KeepError::Open { path: dir.to_owned(), source })?;
        let lock = open(dir.join("lock"))?;
        if lock.try_lock().is_err() {
            return Err(KeepError::InUse { path: dir.to_owned() });
        }
        let mut kept = read_state(&dir.join(STATE))?;
        let reserve = open(dir.join(RESERVE))?;
        let mut keep = Keep { dir: dir.to_owned(), reserve, _lock: lock };
        let reserved =
            keep.read_reserve().map_err(|source| KeepError::Read { path: dir.join(RESERVE), source })?;
        if let Some(fence) = reserved {
            let known = kept.saved.fence.as_ref().map(|known| known.generation);
            if known < Some(fence.generation) {
                kept.saved.fence = Some(fence);
            }
        }
        Ok((keep, kept))
    }

    /// Makes `kept` durable. The commit point is the rename.
    pub(crate) fn save(&self, kept: &Kept) -> io::Result<()> {
        let new = self.dir.join(STATE_NEW);
        let mut file = File::create(&new)?;
        serde_json::to_writer(&mut file, kept)?;
        file.sync_all()?;
        fs::rename(&new, self.dir.join(STATE))?;
        File::open(&self.dir)?.sync_all()
    }

    /// Makes a fence durable; if there is no room for a new file, in the one that was set aside for this.
    pub(crate) fn save_fence(&mut self, kept: &Kept) -> io::Result<()> {
        let Err(error) = self.save(kept) else { return Ok(()) };
        let Some(fence) = &kept.saved.fence else { return Err(error) };
        tracing::warn!(%error, "cannot write the state folder; the fence goes to its reserve");
        let mut text = serde_json::to_vec(&short(fence))?;
        if text.len() > RESERVE_BYTES {
            return Err(error);
        }
        text.resize(RESERVE_BYTES, b' ');
        self.write_reserve(&text)
    }

    fn read_reserve(&mut self) -> io::Result<Option<Fence>> {
        let mut text = Vec::new();
        self.reserve.seek(SeekFrom::Start(0))?;
        Read::by_ref(&mut self.reserve).take(RESERVE_BYTES as u64).read_to_end(&mut text)?;
        if text.len() != RESERVE_BYTES {
            self.write_reserve(&[b' '; RESERVE_BYTES])?;
        }
        // A fence that was cut short had not taken effect yet.
        Ok(serde_json::from_slice(&text).ok())
    }

    fn write_reserve(&mut self, text: &[u8]) -> io::Result<()> {
        self.reserve.seek(SeekFrom::Start(0))?;
        self.reserve.write_all(text)?;
        self.reserve.sync_all()
    }
}

/// A fence whose words fit into the reserve: it counts that it fell, and for whom.
fn short(fence: &Fence) -> Fence {
    let mut fence = fence.clone();
    if let FenceCause::Command { actor: words } | FenceCause::Breaker { detail: words } = &mut fence.cause {
        *words = words.chars().take(WORDS_MAX).collect();
    }
    fence
}

fn read_state(path: &Path) -> Result<Kept, KeepError> {
    let read = |source| KeepError::Read { path: path.to_owned(), source };
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(read(error)),
    };
    let kept: Kept = serde_json::from_slice(&text).map_err(|error| read(error.into()))?;
    if kept.v != VERSION {
        return Err(read(io::Error::other(format!("version {} is not known here", kept.v))));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use crossfade_routing::{Directive, EnvironmentId, Generation, Schedule, UnixNanos};

    use super::*;

    fn fence(generation: u64) -> Fence {
        let cause = FenceCause::Breaker { detail: "dead".to_owned() };
        Fence { rollout: "r".to_owned(), generation: Generation(generation), at: UnixNanos(7), cause }
    }

    fn kept(fence: Option<Fence>) -> Kept {
        let schedule = Schedule::genesis(EnvironmentId::new("blue").unwrap());
        let directive = Directive { schedule, announced: None, horizon: UnixNanos(5) };
        let checkpoint = Some(SeenCheckpoint { size: 3, root: "r".to_owned() });
        Kept::new(Saved { directive: Some(directive), fence }, checkpoint)
    }

    #[test]
    fn what_was_saved_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let (keep, found) = Keep::open(dir.path()).unwrap();
        assert_eq!(found, Kept::default());
        keep.save(&kept(Some(fence(3)))).unwrap();
        drop(keep);
        assert_eq!(Keep::open(dir.path()).unwrap().1, kept(Some(fence(3))));
    }

    #[test]
    fn two_gateways_cannot_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Keep::open(dir.path()).unwrap();
        assert!(matches!(Keep::open(dir.path()), Err(KeepError::InUse { .. })));
    }

    #[test]
    fn a_state_that_cannot_be_read_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{", "{\"v\":2,\"saved\":{\"directive\":null,\"fence\":null},\"checkpoint\":null}"] {
            fs::write(dir.path().join(STATE), text).unwrap();
            assert!(matches!(Keep::open(dir.path()), Err(KeepError::Read { .. })), "{text:?}");
        }
    }

    // Scenario: the disk is full, so that no file can be created, and a fence falls.
    // Guarantee: the fence is durable all the same, and is found after a restart.
    #[test]
    fn a_fence_finds_room_on_a_full_disk() {
        let dir = tempfile::tempdir().unwrap();
        let (mut keep, _) = Keep::open(dir.path()).unwrap();
        keep.save(&kept(None)).unwrap();
        fs::create_dir(dir.path().join(STATE_NEW)).unwrap(); // so that creating the file fails
        assert!(keep.save(&kept(Some(fence(9)))).is_err());
        keep.save_fence(&kept(Some(fence(9)))).unwrap();
        drop(keep);
        assert_eq!(Keep::open(dir.path()).unwrap().1, kept(Some(fence(9))));
    }

    #[test]
    fn a_fence_of_many_words_finds_room_too() {
        let dir = tempfile::tempdir().unwrap();
        let (mut keep, _) = Keep::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join(STATE_NEW)).unwrap();
        for word in ["x", "\0", "\u{1f6a7}"] {
            let cause = FenceCause::Command { actor: word.repeat(5_000) };
            keep.save_fence(&kept(Some(Fence { cause, ..fence(9) }))).unwrap();
            let reserved = keep.read_reserve().unwrap().unwrap();
            let cause = FenceCause::Command { actor: word.repeat(WORDS_MAX) };
            assert_eq!(reserved, Fence { cause, ..fence(9) });
        }
    }

    #[test]
    fn an_older_fence_in_the_reserve_does_not_replace_a_newer_one() {
        let dir = tempfile::tempdir().unwrap();
        let (mut keep, _) = Keep::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join(STATE_NEW)).unwrap();
        keep.save_fence(&kept(Some(fence(4)))).unwrap();
        fs::remove_dir(dir.path().join(STATE_NEW)).unwrap();
        keep.save_fence(&kept(Some(fence(8)))).unwrap();
        drop(keep);
        assert_eq!(Keep::open(dir.path()).unwrap().1.saved.fence, Some(fence(8)));
    }
}
