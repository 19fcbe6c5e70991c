//! Names and places: what lies in a log's folder, and beside it.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

use crossfade_rollout::Digest;
use crossfade_tlog::tile::Tile;

use crate::storage::{Kind, Storage};

pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The one name under which files are written that get their true name by a rename.
pub(crate) const TEMPORARY: &str = "checkpoint.tmp";
/// Deeper than any file of a log lies.
const DEPTH_MAX: usize = 16;

/// Where a log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The log's folder: it holds `checkpoint`, `tile/`, `evidence/`, and nothing else.
    pub folder: PathBuf,
    /// The emergency file, on the same disk, outside of the folder.
    pub emergency: PathBuf,
    /// Its size in bytes, taken from the disk when the log is made; at most 16 MiB.
    pub emergency_size: u64,
}

impl Place {
    /// A log in `folder`, with an emergency file of 1 MiB called `emergency` beside it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let emergency = folder.with_file_name("emergency");
        Self { folder, emergency, emergency_size: 1 << 20 }
    }
}

/// What a name within the folder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Checkpoint,
    Temporary,
    Tile(Tile),
    Evidence(Digest),
    /// Nothing that this program would ever write.
    Unknown,
}

pub(crate) fn name_of(relative: &str) -> Name {
    match relative {
        CHECKPOINT => return Name::Checkpoint,
        TEMPORARY => return Name::Temporary,
        _ => {}
    }
    if let Ok(tile) = relative.parse() {
        return Name::Tile(tile);
    }
    let digest = relative.rsplit('/').next().and_then(|hex| format!("sha256:{hex}").parse().ok());
    match digest {
        Some(digest) if evidence_path(&digest) == relative => Name::Evidence(digest),
        _ => Name::Unknown,
    }
}

/// `evidence/<first two digits>/<64 digits>`.
pub(crate) fn evidence_path(digest: &Digest) -> String {
    let text = digest.to_string();
    let hex = text.trim_start_matches("sha256:");
    format!("evidence/{}/{hex}", &hex[..2])
}

/// One name below a folder, as a path relative to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Walked {
    /// With `/` between the parts; lossy where a name is not UTF-8, and then [`Kind::Other`].
    pub(crate) relative: String,
    pub(crate) kind: Kind,
}

/// Everything below `folder`, sorted. Folders that vanish while being walked are passed over: their
/// files were somebody else's to remove.
pub(crate) fn walk(storage: &dyn Storage, folder: &Path) -> io::Result<Vec<Walked>> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), 0)];
    while let Some((prefix, depth)) = open.pop() {
        let listed = match storage.list(&folder.join(&prefix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => continue,
            other => other?,
        };
        for entry in listed {
            let utf8 = entry.name.to_str().is_some();
            let name = entry.name.to_string_lossy();
            let relative = if prefix.is_empty() { name.into_owned() } else { format!("{prefix}/{name}") };
            let kind = if utf8 { entry.kind } else { Kind::Other };
            if kind == Kind::Folder && depth < DEPTH_MAX {
                open.push((relative.clone(), depth + 1));
            }
            found.push(Walked { relative, kind });
        }
    }
    found.sort();
    Ok(found)
}

/// The folders above a set of relative file paths.
pub(crate) fn folders_above<'a>(files: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for file in files {
        let mut path = file;
        while let Some((parent, _)) = path.rsplit_once('/') {
            if !folders.insert(parent.to_owned()) {
                break;
            }
            path = parent;
        }
    }
    folders
}

/// A name or a message for a person: what a terminal would obey, or take for a line of its own, is spelled out.
pub(crate) fn shown(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        text.chars().try_for_each(|one| match one {
            '"' | '\'' => f.write_char(one),
            _ => write!(f, "{}", one.escape_debug()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let digest = Digest::from_bytes([0xab; 32]);
        let evidence = evidence_path(&digest);
        assert_eq!(evidence, format!("evidence/ab/{}", "ab".repeat(32)));
        assert_eq!(name_of(&evidence), Name::Evidence(digest));
        assert_eq!(name_of("checkpoint"), Name::Checkpoint);
        assert_eq!(name_of("checkpoint.tmp"), Name::Temporary);
        assert!(matches!(name_of("tile/entries/000.p/3"), Name::Tile(_)));
        for other in [
            "",
            "Checkpoint",
            "checkpoint/",
            "tile/0/0",
            &evidence.to_uppercase(),
            &evidence.replace("/ab/", "/aa/"),
            &evidence[..70],
            &format!("{evidence}/x"),
            &format!("x/{evidence}"),
            &"ab".repeat(32),
        ] {
            assert_eq!(name_of(other), Name::Unknown, "{other}");
        }
    }

    #[test]
    fn folders() {
        let above = folders_above(["checkpoint", "tile/0/000.p/3", "tile/0/x001/000"]);
        let above: Vec<&str> = above.iter().map(String::as_str).collect();
        assert_eq!(above, ["tile", "tile/0", "tile/0/000.p", "tile/0/x001"]);
    }

    #[test]
    fn the_emergency_file_lies_beside_the_folder() {
        assert_eq!(Place::new("data/audit").emergency, Path::new("data/emergency"));
        assert_eq!(Place::new("audit").emergency, Path::new("emergency"));
    }
}
