//! The inclusion and consistency vectors of transparency-dev/merkle, good and bad ones.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use crossfade_tlog::hash::{Hash, sha256};
use crossfade_tlog::proof::{verify_consistency, verify_inclusion};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    #[serde(rename = "desc")]
    _desc: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    #[serde(rename = "desc")]
    _desc: String,
    want_err: bool,
}

/// Some vectors hold "hashes" of other lengths, which no value of our type can be: they are refused
/// where they are parsed.
fn hashes(proof: Option<Vec<String>>) -> Option<Vec<Hash>> {
    proof.unwrap_or_default().iter().map(|text| text.parse().ok()).collect()
}

/// One consistency vector is to be accepted although its two equal roots are no hashes (size 1 and
/// size 1). Only the comparison matters there, so such texts are mapped to hashes, equal ones to
/// equal ones.
fn any_root(text: &str) -> Hash {
    text.parse().unwrap_or_else(|_| Hash(sha256(text.as_bytes())))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn run<T: for<'a> Deserialize<'a>>(kind: &str, check: impl Fn(T) -> (bool, bool)) -> (usize, usize) {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/merkle").join(kind), &mut found);
    let (mut good, mut bad) = (0, 0);
    for path in found {
        let vector = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (accepted, want_err) = check(vector);
        assert_eq!(accepted, !want_err, "{}", path.display());
        if want_err { bad += 1 } else { good += 1 }
    }
    (good, bad)
}

#[test]
fn inclusion() {
    let counts = run("inclusion", |v: Inclusion| {
        let verified = (|| {
            let (leaf, root, proof) = (v.leaf_hash.parse().ok()?, v.root.parse().ok()?, hashes(v.proof)?);
            verify_inclusion(&leaf, v.leaf_idx, v.tree_size, &root, &proof).ok()
        })();
        (verified.is_some(), v.want_err)
    });
    assert_eq!(counts, (6, 92));
}

#[test]
fn consistency() {
    let counts = run("consistency", |v: Consistency| {
        let (old_root, new_root) = (any_root(&v.root1), any_root(&v.root2));
        let verified =
            hashes(v.proof).map(|proof| verify_consistency(v.size1, v.size2, &old_root, &new_root, &proof));
        (verified.is_some_and(|result| result.is_ok()), v.want_err)
    });
    assert_eq!(counts, (6, 92));
}
