use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::hash::leaf_hash;

fn check(path: &str, kind: TileKind, index: u64, width: u16) {
    let tile = Tile { kind, index, width };
    assert_eq!(tile.to_string(), path);
    assert_eq!(path.parse(), Ok(tile));
}

#[test]
fn paths_as_in_the_specification() {
    check("tile/0/x001/x234/067", TileKind::Hashes { level: 0 }, 1_234_067, 256);
    check("tile/entries/000.p/1", TileKind::Entries, 0, 1);
    check("tile/7/999.p/255", TileKind::Hashes { level: 7 }, 999, 255);
    check("tile/entries/x001/000", TileKind::Entries, 1000, 256);
    check("tile/1/x018/x446/x744/x073/x709/x551/615", TileKind::Hashes { level: 1 }, u64::MAX, 256);
}

#[test]
fn only_canonical_paths_are_read() {
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/00/000",
        "tile/8/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/0/+01",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/1/",
        "/tile/0/000",
        "tile/0/000 ",
        "tile//000",
        "Tile/0/000",
        "tile/entries/x1/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/0x0",
    ] {
        assert!(path.parse::<Tile>().is_err(), "{path:?}");
    }
}

#[test]
fn the_example_of_the_specification() {
    // 70,000 leaves: 273 full level 0 tiles and one of 112; one full level 1 and one of 17; one level 2 of 1.
    let all: Vec<Tile> = tiles(70_000).collect();
    let of = |kind| all.iter().filter(move |tile| tile.kind == kind);
    for kind in [TileKind::Entries, TileKind::Hashes { level: 0 }] {
        assert_eq!(of(kind).filter(|tile| !tile.is_partial()).count(), 273);
        assert_eq!(of(kind).filter(|tile| tile.is_partial()).map(Tile::width).collect::<Vec<_>>(), [112]);
    }
    let names: Vec<String> =
        all.iter().filter(|tile| tile.kind > TileKind::Hashes { level: 0 }).map(Tile::to_string).collect();
    assert_eq!(names, ["tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]);
    assert_eq!(
        tiles(256).map(|tile| tile.to_string()).collect::<Vec<_>>(),
        ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    );
    assert_eq!(tiles(0).count(), 0);
}

#[test]
fn largest_tree_has_eight_levels() {
    let last = tiles_after(u64::MAX - 1, u64::MAX).last().map(|tile| tile.to_string());
    assert_eq!(last.as_deref(), Some("tile/0/x072/x057/x594/x037/x927/935.p/255"));
    assert_eq!(row_count(TileKind::Hashes { level: 7 }, u64::MAX), 255);
}

#[test]
fn tile_bytes_agree_with_the_oracle() {
    struct Reader(Vec<tlog_tiles::Hash>);
    impl tlog_tiles::HashReader for Reader {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
            Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
        }
    }
    let (mut tree, mut stored) = (Tree::new(), Reader(Vec::new()));
    for i in 0..600u64 {
        let entry = i.to_string();
        tree.push(leaf_hash(entry.as_bytes()));
        let hashes = tlog_tiles::stored_hashes(i, entry.as_bytes(), &stored).unwrap();
        stored.0.extend(hashes);
    }
    for tile in tiles(600) {
        if let TileKind::Hashes { level } = tile.kind() {
            let theirs = tlog_tiles::Tile::new(8, level, tile.index(), u32::from(tile.width()), false);
            assert_eq!(tile.hashes(&tree), Some(theirs.read_data(&stored).unwrap()), "{tile}");
        } else {
            assert_eq!(tile.hashes(&tree), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_an_append_writes_and_removes(old in 0u64..140_000, grown in 0u64..1_000) {
        let new = old + grown;
        let before: BTreeSet<Tile> = tiles(old).collect();
        let after: BTreeSet<Tile> = tiles(new).collect();
        let written: BTreeSet<Tile> = tiles_after(old, new).collect();
        let removed: BTreeSet<Tile> = superseded(old, new).collect();
        prop_assert_eq!(&written, &after.difference(&before).copied().collect());
        prop_assert_eq!(&removed, &before.difference(&after).copied().collect());
    }

    #[test]
    fn an_index_lies_in_one_tile(size in 1u64..140_000, index in 0u64..140_100) {
        for level in 0..3 {
            let kind = TileKind::Hashes { level };
            let holds = |tile: &Tile| {
                tile.kind() == kind && (tile.first()..tile.first() + u64::from(tile.width())).contains(&index)
            };
            let found: Vec<Tile> = tiles(size).filter(holds).collect();
            prop_assert_eq!(tile_of(kind, index, size).into_iter().collect::<Vec<_>>(), found);
        }
    }

    #[test]
    fn new_tiles_agree_with_the_oracle(old in 0u64..70_000, grown in 0u64..600) {
        let theirs: BTreeSet<(u8, u64, u32)> = tlog_tiles::Tile::new_tiles(8, old, old + grown)
            .into_iter().map(|tile| (tile.level(), tile.level_index(), tile.width())).collect();
        let ours: BTreeSet<(u8, u64, u32)> = tiles_after(old, old + grown)
            .filter_map(|tile| match tile.kind() {
                TileKind::Hashes { level } => Some((level, tile.index(), u32::from(tile.width()))),
                TileKind::Entries => None,
            }).collect();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn every_tile_path_reads_back(size in 1u64.., skip in 0usize..40) {
        for tile in tiles_after(size.saturating_sub(3000), size).skip(skip).step_by(7) {
            prop_assert_eq!(tile.to_string().parse::<Tile>(), Ok(tile));
        }
    }

    #[test]
    fn whatever_is_read_has_one_spelling(path in "(tile/)?(entries|[0-9x+]{1,2})/[x0-9/]{1,9}(\\.p/[0-9]{1,4})?") {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        }
    }
}
