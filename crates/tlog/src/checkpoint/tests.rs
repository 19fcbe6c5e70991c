use super::*;
use crate::proof::prove_inclusion;
use crate::tree::Tree;

fn signer(name: &str, seed: u8) -> SignerKey {
    SignerKey::from_seed(name.parse().unwrap(), [seed; 32])
}

fn example() -> Checkpoint {
    Checkpoint { origin: "example.com/log".into(), size: 42, root: leaf_hash(b"root"), extensions: vec![] }
}

#[test]
fn signed_and_opened() {
    let key = signer("example.com/log", 1);
    let note = example().sign(&key).unwrap();
    assert_eq!(Checkpoint::open(note.as_bytes(), key.verifier()), Ok(example()));
    assert_eq!(note.lines().nth(1), Some("42"));
    let theirs = tlog_tiles::Checkpoint::from_bytes(example().to_text().as_bytes()).unwrap();
    assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), ("example.com/log", 42, example().root.0));
}

#[test]
fn extension_lines_are_read_and_shown() {
    let key = signer("example.com/log", 1);
    let with = Checkpoint { extensions: vec!["one".into(), "two 2".into()], ..example() };
    let note = with.sign(&key).unwrap();
    assert_eq!(Checkpoint::open(note.as_bytes(), key.verifier()), Ok(with));
}

#[test]
fn nothing_unreadable_is_signed() {
    let key = signer("example.com/log", 1);
    for broken in [
        Checkpoint { origin: String::new(), ..example() },
        Checkpoint { origin: "a\nb".into(), ..example() },
        Checkpoint { extensions: vec![String::new()], ..example() },
        Checkpoint { extensions: vec!["a\n".into()], ..example() },
        Checkpoint { origin: "a\tb".into(), ..example() },
    ] {
        assert!(broken.sign(&key).is_err(), "{broken:?}");
    }
}

#[test]
fn another_key_and_another_origin_are_refused() {
    let key = signer("example.com/log", 1);
    let note = example().sign(&key).unwrap();
    let other = signer("example.com/log", 2);
    assert!(matches!(Checkpoint::open(note.as_bytes(), other.verifier()), Err(CheckpointError::Note(_))));
    let elsewhere = Checkpoint { origin: "example.com/other".into(), ..example() }.sign(&key).unwrap();
    assert!(matches!(
        Checkpoint::open(elsewhere.as_bytes(), key.verifier()),
        Err(CheckpointError::Origin { .. })
    ));
}

fn refused(text: &str, line: usize) {
    match Checkpoint::parse(text) {
        Err(CheckpointError::Text { line: at, .. }) => assert_eq!(at, line, "{text:?}"),
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn only_the_canonical_text_is_read() {
    let root = example().root.to_string();
    refused("", 1);
    refused("\n", 1);
    refused("a\n", 2);
    refused("a\n1\n", 3);
    refused(&format!("\n1\n{root}\n"), 1);
    refused(&format!("a\n1\n{root}"), 1);
    for size in ["01", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616", "1.0", "\u{661}"] {
        refused(&format!("a\n{size}\n{root}\n"), 2);
    }
    refused(&format!("a\n1\n{}\n", &root[..43]), 3);
    refused(&format!("a\n1\n{root}=\n"), 3);
    refused(&format!("a\n1\n{root}AAAA\n"), 3);
    refused(&format!("a\n1\n{root} \n"), 3);
    refused(&format!("a\n1\n{root}\n\n"), 4);
    assert!(Checkpoint::parse(&format!("a\n0\n{root}\n")).is_ok());
    assert!(Checkpoint::parse(&format!("a\n18446744073709551615\n{root}\n")).is_ok());
}

#[test]
fn an_entry_is_verified_from_end_to_end() {
    let key = signer("example.com/log", 1);
    let entries: Vec<String> = (0..13).map(|i| format!("entry {i}")).collect();
    let mut tree = Tree::new();
    entries.iter().for_each(|entry| tree.push(leaf_hash(entry.as_bytes())));
    let note = Checkpoint { size: 13, root: tree.root(), ..example() }.sign(&key).unwrap();
    for (index, entry) in (0..).zip(&entries) {
        let proof = prove_inclusion(&tree, index, 13).unwrap();
        let opened = verify_entry(key.verifier(), note.as_bytes(), index, entry.as_bytes(), &proof).unwrap();
        assert_eq!(opened.size, 13);
        let other = verify_entry(key.verifier(), note.as_bytes(), index, b"another", &proof);
        assert_eq!(other, Err(EntryError::Proof(ProofError::Root)));
        let moved = verify_entry(key.verifier(), note.as_bytes(), index ^ 1, entry.as_bytes(), &proof);
        assert!(moved.is_err());
        let forged = note.replace("\n13\n", "\n14\n");
        let forged = verify_entry(key.verifier(), forged.as_bytes(), index, entry.as_bytes(), &proof);
        assert!(matches!(forged, Err(EntryError::Checkpoint(_))));
    }
}
