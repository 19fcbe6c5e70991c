//! Signed notes (C2SP signed-note): text and the signatures of its signers.

use crate::base64;
use crate::key::{KeyError, KeyId, KeyName, SignerKey, VerifierKey};

/// A longer note is refused before it is read, in bytes.
pub const NOTE_LEN_MAX: usize = 64 * 1024;
/// More signatures than this are refused; the specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 64;

/// Why a note was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not text, too long, or not shaped like a note.
    #[error("malformed note: {0}")]
    Malformed(&'static str),
    /// Line `line` (from 1) is not a signature.
    #[error("line {line} is not a signature: {what}")]
    Signature {
        /// Which line of the note.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// No signature names the key.
    #[error("not signed by {key}")]
    Unsigned {
        /// The name of the key that was looked for, and its id.
        key: String,
    },
    /// A signature names the key, but is not the key's.
    #[error("the signature of {key} does not verify")]
    Forged {
        /// The key's name and id.
        key: String,
    },
}

/// One signature line: who says to have signed, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The signer's name.
    pub name: KeyName,
    /// Which key of that name.
    pub id: KeyId,
    /// The signature itself, in the form that the key's type defines.
    pub bytes: Vec<u8>,
}

/// A parsed note. Nothing in it is to be believed before [`verify`](Note::verify).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
    signatures: Vec<Signature>,
}

/// Signs `text`, which must end in a newline, with one key.
pub fn sign(text: &str, key: &SignerKey) -> Result<String, NoteError> {
    check_text(text)?;
    let verifier = key.verifier();
    let mut bytes = verifier.id().0.to_vec();
    bytes.extend_from_slice(&key.sign(text.as_bytes()));
    Ok(format!("{text}\n\u{2014} {} {}\n", verifier.name(), base64::encode(&bytes)))
}

impl<'a> Note<'a> {
    /// Takes a note apart; strict: one note has one spelling, but for the order of signatures.
    pub fn parse(note: &'a [u8]) -> Result<Self, NoteError> {
        if note.len() > NOTE_LEN_MAX {
            return Err(NoteError::Malformed("longer than 64 KiB"));
        }
        let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed("not UTF-8"))?;
        if note.bytes().any(is_control) {
            return Err(NoteError::Malformed("control character"));
        }
        if !note.ends_with('\n') {
            return Err(NoteError::Malformed("does not end in a newline"));
        }
        let split = note.rfind("\n\n").ok_or(NoteError::Malformed("no blank line before signatures"))?;
        let (text, signatures) = note.split_at(split + 1);
        check_text(text)?;
        let first = text.lines().count() + 2;
        let signatures = signatures
            .strip_prefix('\n')
            .unwrap_or_default()
            .lines()
            .zip(first..)
            .map(|(line, number)| signature(line).map_err(|what| NoteError::Signature { line: number, what }))
            .collect::<Result<Vec<_>, _>>()?;
        match signatures.len() {
            0 => Err(NoteError::Malformed("no signatures")),
            1..=SIGNATURES_MAX => Ok(Self { text, signatures }),
            _ => Err(NoteError::Malformed("more than 64 signatures")),
        }
    }

    /// The text, unverified.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// All signatures, unverified.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The text, once `key` is found to have signed it. Every signature that names the key must be
    /// the key's; those that name other keys are ignored, as the specification demands.
    pub fn verify(&self, key: &VerifierKey) -> Result<&'a str, NoteError> {
        let shown = || format!("{} ({})", key.name(), key.id());
        let mut own =
            self.signatures.iter().filter(|one| one.name == *key.name() && one.id == key.id()).peekable();
        if own.peek().is_none() {
            return Err(NoteError::Unsigned { key: shown() });
        }
        if own.all(|one| key.verifies(self.text.as_bytes(), &one.bytes)) {
            Ok(self.text)
        } else {
            Err(NoteError::Forged { key: shown() })
        }
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed("text does not end in a newline"));
    }
    if text.bytes().any(is_control) { Err(NoteError::Malformed("control character")) } else { Ok(()) }
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 && byte != b'\n'
}

fn signature(line: &str) -> Result<Signature, &'static str> {
    let rest = line.strip_prefix("\u{2014} ").ok_or("it does not begin with an em dash and a space")?;
    let (name, data) = rest.split_once(' ').ok_or("it has no space after the name")?;
    let name = name.parse().map_err(|_: KeyError| "the name of the key is not allowed")?;
    let data = base64::decode(data).ok_or("not canonical base64")?;
    match data.split_first_chunk::<4>() {
        Some((id, bytes)) if !bytes.is_empty() => {
            Ok(Signature { name, id: KeyId(*id), bytes: bytes.to_vec() })
        }
        _ => Err("it is too short"),
    }
}

#[cfg(test)]
mod tests;
