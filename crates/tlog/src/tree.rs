//! A Merkle tree that grows: every complete subtree's hash, kept level by level.

use crate::hash::{Hash, node_hash};

/// The hashes of complete subtrees, by level: `levels[l][i]` covers the leaves `i << l ..
/// (i + 1) << l`. About two hashes (64 bytes) of memory for each leaf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Appends one leaf, given its [`leaf_hash`](crate::leaf_hash).
    pub fn push(&mut self, leaf: Hash) {
        let mut carry = leaf;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else { return };
            row.push(carry);
            match row.as_chunks::<2>() {
                (pairs, []) => {
                    let Some([left, right]) = pairs.last() else { return };
                    carry = node_hash(left, right);
                }
                _ => return,
            }
        }
    }

    /// Drops all leaves from number `size` on, as if they had never been appended.
    pub fn truncate(&mut self, size: u64) {
        for (level, row) in (0..64u32).zip(&mut self.levels) {
            row.truncate(usize::try_from(size >> level).unwrap_or(usize::MAX));
        }
        self.levels.retain(|row| !row.is_empty());
    }

    /// The hash of the complete subtree over the leaves `index << level .. (index + 1) << level`;
    /// None if the tree does not hold all of them.
    pub fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.levels.get(usize::from(level))?.get(usize::try_from(index).ok()?).copied()
    }

    /// The hash of the leaf `index`.
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        self.node(0, index)
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        self.root_at(self.size()).expect("a tree holds its own leaves")
    }

    /// The root over the first `size` leaves; None if there are fewer.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        if size == 0 { Some(Hash::empty_root()) } else { self.range(0, size) }
    }

    /// MTH(D[start : start + len]) of RFC 6962, where `start` is a multiple of the smallest power
    /// of two that is not below `len`: the shape that all ranges in proofs have.
    pub(crate) fn range(&self, start: u64, len: u64) -> Option<Hash> {
        if len.is_power_of_two() {
            let level = len.trailing_zeros();
            return self.node(u8::try_from(level).ok()?, start >> level);
        }
        let left = split_point(len)?;
        Some(node_hash(&self.range(start, left)?, &self.range(start + left, len - left)?))
    }
}

/// The largest power of two below `len`; None for `len` under 2.
pub(crate) fn split_point(len: u64) -> Option<u64> {
    Some(1 << len.checked_sub(1)?.checked_ilog2()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    /// RFC 6962, section 2.1, word for word.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::empty_root(),
            [one] => *one,
            _ => {
                let (left, right) = leaves.split_at(split_point(leaves.len() as u64).unwrap() as usize);
                node_hash(&mth(left), &mth(right))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        let leaves: Vec<Hash> = (0..300u32).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        let mut tree = Tree::new();
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), mth(&leaves[..size]), "size {size}");
            tree.push(*leaf);
        }
        for size in 0..=leaves.len() {
            assert_eq!(tree.root_at(size as u64), Some(mth(&leaves[..size])), "size {size}");
        }
        assert_eq!(tree.root_at(301), None);
    }

    #[test]
    fn a_truncated_tree_is_the_one_that_never_grew() {
        let leaf = |i: u32| leaf_hash(&i.to_be_bytes());
        for size in 0..40 {
            let (mut short, mut cut) = (Tree::new(), Tree::new());
            (0..size).for_each(|i| short.push(leaf(i)));
            (0..40).for_each(|i| cut.push(leaf(i)));
            cut.truncate(u64::from(size));
            assert_eq!(cut, short, "{size}");
        }
    }

    #[test]
    fn split_points() {
        for (len, expected) in [(0, None), (1, None), (2, Some(1)), (3, Some(2)), (4, Some(2)), (5, Some(4))]
        {
            assert_eq!(split_point(len), expected, "{len}");
        }
        assert_eq!(split_point(u64::MAX), Some(1 << 63));
    }
}
