//! The published vectors are in `tests/vectors.rs`.

use proptest::prelude::*;
use tlog_tiles::tlog as oracle;

use super::*;
use crate::hash::leaf_hash;

fn tree(size: u64) -> Tree {
    let mut tree = Tree::new();
    (0..size).for_each(|i| tree.push(leaf_hash(&i.to_be_bytes())));
    tree
}

fn theirs(hashes: &[Hash]) -> Vec<oracle::Hash> {
    hashes.iter().map(|hash| oracle::Hash(hash.0)).collect()
}

#[test]
fn every_proof_of_small_trees_verifies_and_the_oracle_agrees() {
    let tree = tree(40);
    for size in 1..=40 {
        let root = tree.root_at(size).unwrap();
        for index in 0..size {
            let (leaf, proof) = (tree.leaf(index).unwrap(), prove_inclusion(&tree, index, size).unwrap());
            assert_eq!(verify_inclusion(&leaf, index, size, &root, &proof), Ok(()), "{index} of {size}");
            oracle::check_record(&theirs(&proof), size, oracle::Hash(root.0), index, oracle::Hash(leaf.0))
                .unwrap();
        }
        for old in 1..=size {
            let (old_root, proof) =
                (tree.root_at(old).unwrap(), prove_consistency(&tree, old, size).unwrap());
            assert_eq!(verify_consistency(old, size, &old_root, &root, &proof), Ok(()), "{old} to {size}");
            oracle::check_tree(&theirs(&proof), size, oracle::Hash(root.0), old, oracle::Hash(old_root.0))
                .unwrap();
        }
    }
}

#[test]
fn what_cannot_be_proved() {
    let tree = tree(5);
    assert_eq!(prove_inclusion(&tree, 5, 5), Err(ProofError::OutOfRange { index: 5, size: 5 }));
    assert_eq!(prove_inclusion(&tree, 0, 6), Err(ProofError::OutOfRange { index: 0, size: 6 }));
    assert_eq!(prove_inclusion(&tree, 0, 0), Err(ProofError::OutOfRange { index: 0, size: 0 }));
    assert_eq!(prove_consistency(&tree, 4, 3), Err(ProofError::Sizes { old: 4, new: 3 }));
    assert_eq!(prove_consistency(&tree, 4, 6), Err(ProofError::Sizes { old: 4, new: 6 }));
    assert_eq!(prove_consistency(&tree, 0, 5), Err(ProofError::EmptyTree));
    assert_eq!(prove_consistency(&tree, 5, 5), Ok(vec![]));
}

#[test]
fn a_list_of_leaves_is_no_proof() {
    // Scenario: a prover hands over something linear - all leaves, or all siblings of all levels - in place of a path.
    // Guarantee: only a path of the right length and order is accepted.
    let tree = tree(8);
    let all: Vec<Hash> = (0..8).map(|i| tree.leaf(i).unwrap()).collect();
    let refused = verify_inclusion(&all[3], 3, 8, &tree.root(), &all);
    assert_eq!(refused, Err(ProofError::Length { got: 8 }));
}

#[test]
fn huge_sizes_end() {
    let hash = leaf_hash(b"");
    assert!(verify_inclusion(&hash, u64::MAX - 1, u64::MAX, &hash, &[hash; 64]).is_err());
    assert!(verify_inclusion(&hash, 1 << 63, u64::MAX, &hash, &[hash; 200]).is_err());
    assert!(verify_consistency(1 << 63, u64::MAX, &hash, &hash, &[hash; 64]).is_err());
    assert!(verify_consistency(u64::MAX - 1, u64::MAX, &hash, &hash, &[]).is_err());
}

/// One way to spoil a list of hashes; false if it would change nothing.
fn mutate(proof: &mut Vec<Hash>, how: u8, at: prop::sample::Index, bit: u16) -> bool {
    let position = at.index(proof.len() + 1);
    match how {
        0 => proof.insert(position, Hash([bit as u8; 32])),
        1 => proof.push(leaf_hash(&bit.to_be_bytes())),
        _ if proof.is_empty() => return false,
        2 => drop(proof.remove(at.index(proof.len()))),
        3 => {
            let position = at.index(proof.len());
            let hash = proof[position];
            proof.insert(position, hash);
        }
        4 => {
            let (position, other) = (at.index(proof.len()), usize::from(bit) % proof.len());
            proof.swap(position, other);
            return proof[position] != proof[other];
        }
        _ => {
            let position = at.index(proof.len());
            proof[position].0[usize::from(bit) % 256 / 8] ^= 1 << (bit % 8);
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_mutated_inclusion_proof_never_verifies(
        (size, index) in (1u64..300).prop_flat_map(|size| (Just(size), 0..size)),
        how in 0u8..6, at in any::<prop::sample::Index>(), bit in any::<u16>(), other in 0u64..300,
    ) {
        let tree = tree(size);
        let (root, leaf) = (tree.root(), tree.leaf(index).unwrap());
        let proof = prove_inclusion(&tree, index, size).unwrap();
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &root, &proof), Ok(()));

        let mut mutated = proof.clone();
        if mutate(&mut mutated, how, at, bit) {
            prop_assert!(verify_inclusion(&leaf, index, size, &root, &mutated).is_err());
        }
        let mut flipped = [leaf, root];
        flipped[usize::from(bit & 1)].0[usize::from(bit / 2 % 32)] ^= 1 << (bit % 8);
        prop_assert!(verify_inclusion(&flipped[0], index, size, &flipped[1], &proof).is_err());
        if other != index {
            prop_assert!(verify_inclusion(&leaf, other, size, &root, &proof).is_err());
        }
    }

    #[test]
    fn a_mutated_consistency_proof_never_verifies(
        (new, old) in (1u64..300).prop_flat_map(|new| (Just(new), 1..=new)),
        how in 0u8..6, at in any::<prop::sample::Index>(), bit in any::<u16>(), other in 1u64..300,
    ) {
        let tree = tree(300);
        let (old_root, new_root) = (tree.root_at(old).unwrap(), tree.root_at(new).unwrap());
        let proof = prove_consistency(&tree, old, new).unwrap();
        prop_assert_eq!(verify_consistency(old, new, &old_root, &new_root, &proof), Ok(()));

        let mut mutated = proof.clone();
        if mutate(&mut mutated, how, at, bit) {
            prop_assert!(verify_consistency(old, new, &old_root, &new_root, &mutated).is_err());
        }
        let mut flipped = [old_root, new_root];
        flipped[usize::from(bit & 1)].0[usize::from(bit / 2 % 32)] ^= 1 << (bit % 8);
        prop_assert!(verify_consistency(old, new, &flipped[0], &flipped[1], &proof).is_err());
        if other != old {
            let root = tree.root_at(other).unwrap();
            prop_assert!(verify_consistency(old, new, &root, &new_root, &proof).is_err());
        }
    }
}
