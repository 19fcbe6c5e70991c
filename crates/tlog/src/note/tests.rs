use proptest::prelude::*;

use super::*;

/// The example of the signed-note specification, with the key that Go's `note` package documents.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str, seed: u8) -> SignerKey {
    SignerKey::from_seed(name.parse().unwrap(), [seed; 32])
}

#[test]
fn a_note_that_go_signed() {
    let key: VerifierKey = GO_KEY.parse().unwrap();
    let note = Note::parse(GO_NOTE.as_bytes()).unwrap();
    assert_eq!(note.verify(&key).unwrap().lines().count(), 2);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let key: VerifierKey = GO_KEY.parse().unwrap();
    for at in 0..GO_NOTE.len() {
        for bit in 0..8 {
            let mut bytes = GO_NOTE.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let verified = Note::parse(&bytes).is_ok_and(|note| note.verify(&key).is_ok());
            assert!(!verified, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn every_added_or_missing_byte_is_noticed() {
    let key: VerifierKey = GO_KEY.parse().unwrap();
    let verified = |bytes: &[u8]| Note::parse(bytes).is_ok_and(|note| note.verify(&key).is_ok());
    for at in 0..=GO_NOTE.len() {
        for byte in *b"\n\r\t \0A=+/" {
            let mut bytes = GO_NOTE.as_bytes().to_vec();
            bytes.insert(at, byte);
            assert!(!verified(&bytes), "{byte} at {at}");
        }
        let mut bytes = GO_NOTE.as_bytes().to_vec();
        if at < bytes.len() {
            bytes.remove(at);
            assert!(!verified(&bytes), "without byte {at}");
        }
    }
}

#[test]
fn what_we_sign_the_oracle_opens_and_the_other_way_round() {
    let ours = signer("crossfade.example/log", 3);
    let text = "one\n\ntwo\n";
    let note = sign(text, &ours).unwrap();
    let theirs = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let verifier = signed_note::StandardVerifier::new(&ours.verifier().to_string()).unwrap();
    let (verified, _) = theirs.verify(&signed_note::VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!(verified.len(), 1);

    let their_signer = signed_note::StandardSigner::new(&ours.to_secret_text()).unwrap();
    let mut theirs = signed_note::Note::new(text.as_bytes(), &[]).unwrap();
    theirs.add_sigs(&[&their_signer]).unwrap();
    assert_eq!(theirs.to_bytes(), note.as_bytes());
    assert_eq!(Note::parse(&theirs.to_bytes()).unwrap().verify(ours.verifier()), Ok(text));
}

#[test]
fn unknown_signatures_are_ignored_and_forged_ones_are_not() {
    let (ours, other) = (signer("a", 1), signer("a", 2));
    let mine = sign("text\n", &ours).unwrap();
    let line = |note: &str| note.lines().last().unwrap().to_owned() + "\n";
    let both = mine.clone() + &line(&sign("text\n", &other).unwrap());
    let note = Note::parse(both.as_bytes()).unwrap();
    assert_eq!((note.verify(ours.verifier()), note.verify(other.verifier())), (Ok("text\n"), Ok("text\n")));
    let third = signer("b", 1);
    assert!(matches!(note.verify(third.verifier()), Err(NoteError::Unsigned { .. })));

    // A good and a bad signature of one key: somebody tried something.
    let mixed = mine + &line(&sign("other text\n", &ours).unwrap());
    let note = Note::parse(mixed.as_bytes()).unwrap();
    assert!(matches!(note.verify(ours.verifier()), Err(NoteError::Forged { .. })));
}

fn refused(note: &[u8], part: &str) {
    let error = Note::parse(note).unwrap_err().to_string();
    assert!(error.contains(part), "{error:?} should say {part:?}");
}

#[test]
fn malformed_notes() {
    let good = sign("text\n", &signer("a", 1)).unwrap();
    refused(b"", "newline");
    refused(good.trim_end().as_bytes(), "newline");
    refused(b"text\n", "blank line");
    refused(b"text\n\n", "no signatures");
    refused(b"\n\n\n", "no signatures");
    refused(good.replace("text", "te\txt").as_bytes(), "control");
    refused(good.replace('\n', "\r\n").as_bytes(), "control");
    refused(good.replace("=\n", "=\r\n").as_bytes(), "control");
    refused(&[b"te\xffxt".as_slice(), &good.as_bytes()[4..]].concat(), "UTF-8");
    refused(good.replace('\u{2014}', "-").as_bytes(), "line 3");
    refused(good.replace("\u{2014} a ", "\u{2014} a+ ").as_bytes(), "name");
    refused(good.replace("=\n", "\n").as_bytes(), "base64");
    refused("text\n\n\u{2014} a AAAAAA==\n".as_bytes(), "short");
    refused(&vec![b'\n'; NOTE_LEN_MAX + 1], "64 KiB");
    refused(
        (good.clone() + &good.lines().last().map(|line| format!("{line}\n")).unwrap().repeat(64)).as_bytes(),
        "64 sig",
    );
    assert_eq!(
        sign("no newline", &signer("a", 1)),
        Err(NoteError::Malformed("text does not end in a newline"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_never_panic_and_what_we_read_the_oracle_reads(
        head in "[a-z\n]{0,20}", tail in "(\u{2014} [a-z+ ]{0,4} [A-Za-z0-9+/=]{0,12}\n|\n){0,4}",
    ) {
        let note = head + &tail;
        if Note::parse(note.as_bytes()).is_ok() {
            prop_assert!(signed_note::Note::from_bytes(note.as_bytes()).is_ok(), "{:?}", note);
        }
    }
}
