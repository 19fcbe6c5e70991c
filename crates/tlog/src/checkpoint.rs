//! Checkpoints (C2SP tlog-checkpoint): a log's origin, size and root, signed.

use crate::base64;
use crate::hash::{Hash, leaf_hash};
use crate::key::{SignerKey, VerifierKey};
use crate::note::{self, Note, NoteError};
use crate::proof::{ProofError, verify_inclusion};

/// Why a checkpoint was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note is malformed, or not signed by the key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of the text is not what it should be.
    #[error("line {line} of the checkpoint: {what}")]
    Text {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A good signature under another log's name.
    #[error("the checkpoint is of {origin:?}, the key of {key:?}")]
    Origin {
        /// What the checkpoint says.
        origin: String,
        /// The key's name.
        key: String,
    },
}

/// Why an entry was not found to be in a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The proof does not.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// The state of a log at one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's identity. Its key carries the same name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Further lines, signed but without meaning here. They are read, since the specification
    /// allows them, and shown, so that a caller who expects none can refuse them; Crossfade's own
    /// logs have none.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The signed note. Fails if the origin or an extension is not a non-empty line of text.
    pub fn sign(&self, key: &SignerKey) -> Result<String, CheckpointError> {
        let text = self.to_text();
        if Self::parse(&text)? != *self {
            return Err(CheckpointError::Text { line: 1, what: "a line break within a line" });
        }
        Ok(note::sign(&text, key)?)
    }

    /// Opens a signed note: the signature is `key`'s, and so is the origin. Signatures of others are ignored.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(Note::parse(note)?.verify(key)?)?;
        if checkpoint.origin == key.name().as_str() {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::Origin { origin: checkpoint.origin, key: key.name().to_string() })
        }
    }

    /// The text that is signed.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, self.root);
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Reads the text of a checkpoint, whoever signed it. Strict: one checkpoint, one text.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let wrong = |line, what| CheckpointError::Text { line, what };
        let body = text.strip_suffix('\n').ok_or(wrong(1, "does not end in a newline"))?;
        if let Some(at) = body.split('\n').position(str::is_empty) {
            return Err(wrong(at + 1, "empty"));
        }
        let mut lines = body.split('\n');
        let origin = lines.next().ok_or(wrong(1, "no origin"))?.to_owned();
        let size = lines.next().ok_or(wrong(2, "no size"))?;
        let root = lines.next().ok_or(wrong(3, "no root"))?;
        let size = size
            .parse()
            .ok()
            .filter(|number: &u64| number.to_string() == size)
            .ok_or(wrong(2, "the size is not a decimal number without leading zeros"))?;
        let root = base64::decode(root)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Hash)
            .ok_or(wrong(3, "the root is not the canonical base64 of 32 bytes"))?;
        Ok(Self { origin, size, root, extensions: lines.map(str::to_owned).collect() })
    }
}

/// Checks from end to end that `entry` is entry `index` of the log whose key is `key`: the
/// checkpoint is the log's, and the proof leads from the entry to its root.
pub fn verify_entry(
    key: &VerifierKey,
    checkpoint: &[u8],
    index: u64,
    entry: &[u8],
    proof: &[Hash],
) -> Result<Checkpoint, EntryError> {
    let checkpoint = Checkpoint::open(checkpoint, key)?;
    verify_inclusion(&leaf_hash(entry), index, checkpoint.size, &checkpoint.root, proof)?;
    Ok(checkpoint)
}

#[cfg(test)]
mod tests;
