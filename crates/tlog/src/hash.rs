//! SHA-256, and the leaf and node hashes of RFC 6962, section 2.1.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

use crate::base64;

/// Length of every hash in the tree, in bytes.
pub const HASH_LEN: usize = 32;

/// A node of the Merkle tree. `Display` and `FromStr` are canonical base64, as in a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; HASH_LEN]);

/// What does not read as a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a hash: expected the canonical base64 of {HASH_LEN} bytes, got {0:?}")]
pub struct HashError(String);

impl Hash {
    /// The root of the tree without leaves: SHA-256 of nothing.
    pub fn empty_root() -> Self {
        Self(sha256(b""))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        base64::decode(text)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| HashError(text.chars().take(64).collect()))
    }
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; HASH_LEN] {
    sha256_parts(&[bytes])
}

/// A short name for a digest: its first eight hexadecimal digits.
pub fn fingerprint(digest: &[u8; HASH_LEN]) -> String {
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of an entry as a leaf: SHA-256(00 || entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(sha256_parts(&[&[0], entry]))
}

/// The hash of two nodes: SHA-256(01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(sha256_parts(&[&[1], &left.0, &right.0]))
}

/// SHA-256 of the parts, one after the other.
pub fn sha256_parts(parts: &[&[u8]]) -> [u8; HASH_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        // FIPS 180-4's empty message, and the first leaf and root of the RFC 6962 test tree.
        assert_eq!(Hash::empty_root().to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(leaf_hash(b"").to_string(), "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=");
        let two = node_hash(&leaf_hash(b""), &leaf_hash(&[0]));
        assert_eq!(two.to_string(), "+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU=");
    }

    #[test]
    fn text_form_is_strict() {
        let hash = leaf_hash(b"a");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("".parse::<Hash>().is_err());
        assert!("AAAA".parse::<Hash>().is_err());
        assert!(format!("{hash} ").parse::<Hash>().is_err());
    }
}
