//! Tiles: which ones a tree of some size has, and their paths (C2SP tlog-tiles).

use std::fmt;
use std::str::FromStr;

use crate::hash::Hash;
use crate::tree::Tree;

/// Hashes, or entries, in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// A bundle of entries.
    Entries,
    /// Hashes of complete subtrees of `256^level` leaves.
    Hashes {
        /// 0 holds the leaf hashes; a tree of `u64` size has levels 0 to 7.
        level: u8,
    },
}

/// One tile of a tree. `Display` and `FromStr` are its path below the log's folder, such as
/// `tile/0/x001/x234/067.p/12`.
///
/// Only tiles that some tree can have exist as values: the width is 1 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// What is not the canonical path of a tile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile: {0:?}")]
pub struct TilePathError(String);

impl Tile {
    /// What the tile holds.
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// The tile's number within its level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Hashes or entries in it: 256, or fewer in a partial tile.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// True if it holds fewer than 256.
    pub fn is_partial(&self) -> bool {
        u64::from(self.width) < TILE_WIDTH
    }

    /// The number, within its level, of the first hash or entry in it.
    pub fn first(&self) -> u64 {
        self.index * TILE_WIDTH
    }

    /// The tile's bytes, read off a tree; None for a bundle, or if the tree is too small.
    pub fn hashes(&self, tree: &Tree) -> Option<Vec<u8>> {
        let TileKind::Hashes { level } = self.kind else { return None };
        let mut bytes = Vec::with_capacity(usize::from(self.width) * size_of::<Hash>());
        for index in self.first()..self.first() + u64::from(self.width) {
            bytes.extend_from_slice(&tree.node(level * 8, index)?.0);
        }
        Some(bytes)
    }

    /// The number of the row's last tile and its width, for a row of `count` hashes or entries.
    fn last_of(kind: TileKind, count: u64) -> Option<Self> {
        let last = count.checked_sub(1)?;
        let width = u16::try_from(last % TILE_WIDTH + 1).ok()?;
        Some(Self { kind, index: last / TILE_WIDTH, width })
    }
}

/// Every tile of a tree of `size` leaves, and no other: bundles first, then level by level.
pub fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    tiles_after(0, size)
}

/// The tiles that a tree of size `new` has and a tree of size `old` had not: what an append writes.
pub fn tiles_after(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    rows(new).flat_map(move |(kind, count)| {
        let full_before = row_count(kind, old) / TILE_WIDTH;
        let last = Tile::last_of(kind, count);
        let full = move |index| Tile { kind, index, width: 256 };
        let unchanged = last.is_some() && last == Tile::last_of(kind, row_count(kind, old));
        let end = last.map_or(0, |tile| tile.index);
        (full_before..end).map(full).chain(last.filter(|_| !unchanged))
    })
}

/// The partial tiles of a tree of size `old` that a tree of size `new` no longer has.
pub fn superseded(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    rows(old).filter_map(move |(kind, count)| {
        let last = Tile::last_of(kind, count).filter(Tile::is_partial)?;
        (Some(last) != Tile::last_of(kind, row_count(kind, new))).then_some(last)
    })
}

/// The tile that holds hash or entry number `index` of its row in a tree of `size` leaves.
pub fn tile_of(kind: TileKind, index: u64, size: u64) -> Option<Tile> {
    let last = Tile::last_of(kind, row_count(kind, size))?;
    let number = index / TILE_WIDTH;
    let tile = if number < last.index { Tile { kind, index: number, width: 256 } } else { last };
    (tile.first()..tile.first() + u64::from(tile.width)).contains(&index).then_some(tile)
}

/// The rows of a tree: bundles, then hash levels, with the number of entries or hashes in each.
fn rows(size: u64) -> impl Iterator<Item = (TileKind, u64)> {
    let levels = (0..8).map(|level| TileKind::Hashes { level });
    std::iter::once(TileKind::Entries)
        .chain(levels)
        .map(move |kind| (kind, row_count(kind, size)))
        .filter(|(_, count)| *count > 0)
}

fn row_count(kind: TileKind, size: u64) -> u64 {
    match kind {
        TileKind::Entries => size,
        TileKind::Hashes { level } => size.checked_shr(u32::from(level) * 8).unwrap_or(0),
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
        }
        let digits = self.index.to_string();
        let padded = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        for (position, digit) in padded.chars().enumerate() {
            if position % 3 == 0 {
                if position > 0 {
                    f.write_str("/")?;
                }
                if position + 3 < padded.len() {
                    f.write_str("x")?;
                }
            }
            write!(f, "{digit}")?;
        }
        if self.is_partial() { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        // The leading zeros, signs and odd groups that parsing would let pass do not survive the
        // comparison with the canonical path.
        parse(path)
            .filter(|tile| tile.to_string() == path)
            .ok_or_else(|| TilePathError(path.chars().take(200).collect()))
    }
}

fn parse(path: &str) -> Option<Tile> {
    let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes { level: level.parse().ok().filter(|level| *level < 8)? },
    };
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (number, width.parse().ok().filter(|width| (1..256).contains(width))?),
        None => (rest, 256),
    };
    let digits: String = number.split('/').map(|group| group.strip_prefix('x').unwrap_or(group)).collect();
    Some(Tile { kind, index: digits.parse().ok()?, width })
}

#[cfg(test)]
mod tests;
