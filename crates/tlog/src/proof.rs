//! Inclusion and consistency proofs: made as in RFC 6962, sections 2.1.1 and 2.1.2, verified with
//! the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
//!
//! A proof says nothing about sizes by itself: the size must come from a verified checkpoint.

use crate::hash::{Hash, node_hash};
use crate::tree::{Tree, split_point};

/// Why a proof was refused, or cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is no such leaf.
    #[error("leaf {index} is not in a tree of size {size}")]
    OutOfRange {
        /// The leaf asked for.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// An older size above the newer one, or a size that the tree at hand has not reached.
    #[error("a tree of size {old} is no earlier state of a tree of size {new}")]
    Sizes {
        /// The older size.
        old: u64,
        /// The newer size.
        new: u64,
    },
    /// Nothing can be proved from an empty tree: every tree is consistent with it.
    #[error("an empty tree is consistent with every tree and proves nothing")]
    EmptyTree,
    /// The number of hashes does not fit the sizes.
    #[error("a proof of {got} hashes does not fit these sizes")]
    Length {
        /// Hashes in the proof.
        got: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The path from leaf `index` to the root at `size`, lowest sibling first.
pub fn prove_inclusion(tree: &Tree, index: u64, size: u64) -> Result<Vec<Hash>, ProofError> {
    let out_of_range = ProofError::OutOfRange { index, size };
    if index >= size || size > tree.size() {
        return Err(out_of_range);
    }
    let (mut start, mut len, mut path) = (0, size, Vec::new());
    while let Some(left) = split_point(len) {
        let sibling = if index < start + left {
            let sibling = tree.range(start + left, len - left);
            len = left;
            sibling
        } else {
            let sibling = tree.range(start, left);
            (start, len) = (start + left, len - left);
            sibling
        };
        path.push(sibling.ok_or(out_of_range)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that `leaf` is leaf number `index` of the tree of `size` leaves with this `root`.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let length = ProofError::Length { got: proof.len() };
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A node without a right sibling is its own parent: climb to where it has a left one.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// The proof that the tree at size `old` is a prefix of the tree at size `new`.
pub fn prove_consistency(tree: &Tree, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
    let sizes = ProofError::Sizes { old, new };
    if old > new || new > tree.size() {
        return Err(sizes);
    }
    if old == 0 {
        return Err(ProofError::EmptyTree);
    }
    // SUBPROOF(m, D[n], b), unrolled: `start..start + len` is the subtree still to be proved.
    let (mut start, mut len, mut path) = (0, new, Vec::new());
    while start + len != old {
        let left = split_point(len).ok_or(sizes)?;
        if old <= start + left {
            path.push(tree.range(start + left, len - left).ok_or(sizes)?);
            len = left;
        } else {
            path.push(tree.range(start, left).ok_or(sizes)?);
            (start, len) = (start + left, len - left);
        }
    }
    // The verifier knows the whole old tree's hash, so only a part of it need be given.
    if start != 0 {
        path.push(tree.range(start, len).ok_or(sizes)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that the tree with `old_root` at size `old` is a prefix of the one with `new_root` at size `new`.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Sizes { old, new });
    }
    if old == 0 {
        return Err(ProofError::EmptyTree);
    }
    let length = ProofError::Length { got: proof.len() };
    if old == new {
        return match proof {
            [] if old_root == new_root => Ok(()),
            [] => Err(ProofError::Root),
            _ => Err(length),
        };
    }
    let (seed, rest) =
        if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(length)? };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut old_hash, mut new_hash) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(length);
    }
    if old_hash == *old_root && new_hash == *new_root { Ok(()) } else { Err(ProofError::Root) }
}

#[cfg(test)]
mod tests;
