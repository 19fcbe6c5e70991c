//! Every name is one that the checkpoint accounts for, and every one of those is there.

use std::collections::BTreeSet;

use crossfade_tlog::tile::{self, Tile};

use crate::layout::{self, Name, folders_above};
use crate::snapshot::Snapshot;
use crate::storage::Kind;
use crate::verify::report::{Check, Finding, Findings, counted};

/// Which blobs belong is the evidence check's to say.
pub(crate) fn check(snapshot: &Snapshot, size: u64) -> Check {
    let mut findings = Findings::default();
    let tiles: BTreeSet<Tile> = tile::tiles(size).collect();
    let mut seen = BTreeSet::new();
    for one in snapshot.walked.iter().filter(|one| one.kind != Kind::Folder) {
        let (found, what): (fn(_, _) -> _, _) = match layout::name_of(&one.relative) {
            _ if one.kind == Kind::Other => (Finding::new, "neither a file nor a folder that a log can have"),
            Name::Checkpoint | Name::Evidence(_) => continue,
            Name::Tile(tile) if tiles.contains(&tile) => {
                seen.insert(tile);
                continue;
            }
            Name::Tile(_) => (
                Finding::unaccounted,
                "stale: the checkpoint does not account for it; opening the log removes it, as what an interrupted append has left",
            ),
            Name::Temporary => (
                Finding::unaccounted,
                "the checkpoint of an append that was interrupted: opening the log removes it",
            ),
            Name::Unknown => (Finding::new, "does not belong into a log"),
        };
        findings.add(found(&one.relative, what));
    }
    for tile in tiles.difference(&seen) {
        findings.add(Finding::new(tile.to_string(), "missing"));
    }
    folders(snapshot, &tiles, &mut findings);
    findings.check("files", || {
        format!("{}, and nothing else", counted(tiles.len() as u64, "tile or bundle", "tiles and bundles"))
    })
}

/// A folder is there for a file in it that belongs, or for one that has a finding already.
fn folders(snapshot: &Snapshot, tiles: &BTreeSet<Tile>, findings: &mut Findings) {
    let names: Vec<String> = tiles.iter().map(Tile::to_string).collect();
    let present =
        snapshot.walked.iter().filter(|one| one.kind != Kind::Folder).map(|one| one.relative.as_str());
    let accounted = folders_above(present.chain(names.iter().map(String::as_str)));
    for one in snapshot.walked.iter().filter(|one| one.kind == Kind::Folder) {
        if !accounted.contains(&one.relative) {
            findings.add(Finding::unaccounted(&one.relative, "an empty folder does not belong into a log"));
        }
    }
}
