//! The transparency log: Merkle tree, tiles, notes, checkpoints, proofs.
