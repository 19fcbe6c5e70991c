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
        let what = match layout::name_of(&one.relative) {
            _ if one.kind == Kind::Other => "neither a file nor a folder that a log can have",
            Name::Checkpoint | Name::Evidence(_) => continue,
            Name::Tile(tile) if tiles.contains(&tile) => {
                seen.insert(tile);
                continue;
            }
            Name::Tile(_) => {
                "stale: the checkpoint does not account for it (opening the log removes what an interrupted append left)"
            }
            Name::Temporary => "left by an interrupted append: opening the log removes it",
            Name::Unknown => "does not belong into a log",
        };
        findings.add(Finding::new(&one.relative, what));
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
            findings.add(Finding::new(&one.relative, "an empty folder does not belong into a log"));
        }
    }
}
