//! The transparency log: Merkle tree, tiles, signed notes, checkpoints, proofs.
//!
//! This crate is the mathematics and the formats of an append-only log that anyone can check: the
//! Merkle tree of RFC 6962 and RFC 9162, laid out and signed as the C2SP specifications
//! [tlog-tiles], [signed-note] and [tlog-checkpoint] say. Bytes go in, bytes and verdicts come out.
//!
//! It is *not* a log: it holds no file and reads no clock, it draws no keys, and what an entry says
//! is none of its business. `crossfade-audit` keeps a log on disk with it, and the gateway checks
//! proofs with it. Subtree proofs, pruning and cosignatures of witnesses are not here.
//!
//! # Layout
//!
//! ```text
//! leaf   SHA-256(00 || entry)              node  SHA-256(01 || left || right)      empty tree  SHA-256("")
//! tile   tile/<L>/<N>[.p/<W>]              256 hashes of level 8 L, or 1..=255 (a partial tile, width W)
//! bundle tile/entries/<N>[.p/<W>]          256 entries, each: u16 length (big-endian), then its bytes
//! note   text ending in a newline, a blank line, then lines "— <name> base64(key id || signature)"
//! text   of a checkpoint: origin, size, base64 of the root, each on a line
//! vkey   <name>+<8 hex digits of the key id>+base64(01 || Ed25519 public key)
//! ```
//!
//! `<N>` is written in groups of three digits, all but the last with an `x`: 1234067 is
//! `x001/x234/067`. Base64 is the standard alphabet, padded, and only its canonical form is read:
//! one value has one spelling, so that no bit of a stored log can change unseen.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | [`hash`] | SHA-256, leaf and node hashes |
//! | [`tree`] | all complete subtrees of a growing tree; roots at any size |
//! | [`proof`] | inclusion and consistency proofs, made and verified |
//! | [`tile`] | which tiles a tree of some size has, and their paths |
//! | [`bundle`] | entry bundles |
//! | [`key`] | Ed25519 keys and their text forms |
//! | [`note`] | signed notes |
//! | [`checkpoint`] | checkpoints; [`checkpoint::verify_entry`] checks one entry from end to end |
//!
//! [tlog-tiles]: https://c2sp.org/tlog-tiles
//! [signed-note]: https://c2sp.org/signed-note
//! [tlog-checkpoint]: https://c2sp.org/tlog-checkpoint
#![warn(clippy::indexing_slicing)]
#![cfg_attr(not(test), warn(clippy::cast_possible_truncation))]

mod base64;
pub mod bundle;
pub mod checkpoint;
pub mod hash;
pub mod key;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tree;

pub use checkpoint::{Checkpoint, verify_entry};
pub use hash::{Hash, fingerprint, leaf_hash, sha256};
pub use key::{SignerKey, VerifierKey};
pub use tree::Tree;
