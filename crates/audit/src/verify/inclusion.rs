//! The entries hash to the root, and every tile is what they hash to.

use std::io::ErrorKind;

use crossfade_tlog::tile::{self, Tile, TileKind};
use crossfade_tlog::{Checkpoint, Tree, bundle};

use crate::layout::CHECKPOINT;
use crate::snapshot::Snapshot;
use crate::verify::report::{Check, Finding, Findings, counted};

/// `tree` is made of the entries as they are stored; `findings` are those of reading the bundles.
pub(crate) fn check(
    snapshot: &Snapshot,
    checkpoint: &Checkpoint,
    tree: &Tree,
    mut findings: Findings,
) -> Check {
    let entries_hold = tree.root() == checkpoint.root;
    for tile in tile::tiles(checkpoint.size) {
        let Some(expected) = tile.hashes(tree) else { continue };
        compare(snapshot, &tile, &expected, entries_hold, &mut findings);
    }
    if !entries_hold && findings.is_empty() {
        let what =
            format!("its root is {}, the entries and the tiles hash to {}", checkpoint.root, tree.root());
        findings.add(Finding::new(CHECKPOINT, what));
    }
    findings
        .check("inclusion", || format!("{} hash to the root", counted(checkpoint.size, "entry", "entries")))
}

fn compare(snapshot: &Snapshot, tile: &Tile, expected: &[u8], entries_hold: bool, findings: &mut Findings) {
    let file = tile.to_string();
    let bytes = match snapshot.read(&file) {
        Ok(bytes) => bytes,
        // A finding of the names.
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => return findings.add(Finding::new(&file, format!("cannot be read: {error}"))),
    };
    if bytes.len() != expected.len() {
        let what = format!("{} bytes long, should be {}", bytes.len(), expected.len());
        findings.add(Finding::new(&file, what).offset(bytes.len().min(expected.len())));
    }
    let pairs = bytes.as_chunks::<32>().0.iter().zip(expected.as_chunks::<32>().0);
    for ((offset, index), (stored, computed)) in (0..).step_by(32).zip(tile.first()..).zip(pairs) {
        if stored == computed {
            continue;
        }
        let finding = match tile.kind() {
            // The entries hash to the root, so the tile is what was changed.
            _ if entries_hold => Finding::new(&file, "not the hash of what lies below it").offset(offset),
            TileKind::Hashes { level: 0 } => suspect(snapshot, index, &file, offset),
            _ => Finding::new(&file, "not the hash of the entries below it").offset(offset),
        };
        findings.add(finding);
    }
}

/// The entry under a leaf hash that differs.
fn suspect(snapshot: &Snapshot, index: u64, tile: &str, tile_offset: usize) -> Finding {
    let Some(bundle) = tile::tile_of(TileKind::Entries, index, snapshot.claimed().map_or(0, |one| one.size))
    else {
        return Finding::new(tile, "the hash of no entry").offset(tile_offset);
    };
    let file = bundle.to_string();
    let bytes = snapshot.read(&file).unwrap_or_default();
    let position = usize::try_from(index - bundle.first()).expect("under 256");
    let what = format!("the entry is not the one whose hash stands in {tile} at byte {tile_offset}");
    match bundle::entries(&bytes).nth(position) {
        Some(Ok(entry)) => Finding::new(file, what).entry(index).offset(entry.offset),
        _ => Finding::new(file, what).entry(index),
    }
}
