//! Ed25519 keys of signed notes, and their text forms.
//!
//! ```text
//! verifier key   <name>+<key id, 8 hex digits>+base64(01 || public key)
//! signer key     PRIVATE+KEY+<name>+<key id, 8 hex digits>+base64(01 || seed)
//! key id         the first 4 bytes of SHA-256(name || 0A || 01 || public key)
//! ```

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::base64;
use crate::hash::sha256_parts;

/// Signature type "Ed25519" of the signed-note specification.
const ED25519_TYPE: u8 = 0x01;
/// Length of an Ed25519 signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;
const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";

/// Why a key, or a name of one, was refused. No message holds any part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty, or with spaces, control characters or a plus sign.
    #[error("a key name must not be empty or hold spaces, control characters or '+'")]
    Name,
    /// Not of the form `<name>+<8 hex digits>+<base64>`.
    #[error("not a key: expected {0}")]
    Form(&'static str),
    /// Another kind of key than Ed25519.
    #[error("not an Ed25519 key of 32 bytes")]
    Kind,
    /// The key id is not that of the name and the key.
    #[error("the key id does not belong to this name and key: it was changed or mistyped")]
    Id,
}

/// The name of a key: not empty, no spaces, control characters or plus sign. A log's key carries
/// the log's origin as its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        let allowed = |c: char| !(c.is_whitespace() || c.is_control() || c == '+');
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(KeyError::Name);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The short identifier of a key. Two keys may share one by an attacker's effort: it only says
/// which key to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What checks signatures. `Display` and `FromStr` are the text form of a verifier key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    public: [u8; 32],
}

impl VerifierKey {
    /// The verifier key of an Ed25519 public key.
    pub fn new(name: KeyName, public: [u8; 32]) -> Self {
        let [a, b, c, d, ..] = sha256_parts(&[name.0.as_bytes(), b"\n", &[ED25519_TYPE], &public]);
        Self { name, id: KeyId([a, b, c, d]), public }
    }

    /// The key's name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's short identifier.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// True if `signature` is this key's over `text`.
    pub fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(text, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, self.id, key_data(&self.public))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        const FORM: KeyError = KeyError::Form("<name>+<8 hex digits>+<base64>");
        let (name, id, public) = split(text, FORM)?;
        let key = Self::new(name, public);
        if key.id.to_string() == id { Ok(key) } else { Err(KeyError::Id) }
    }
}

/// What signs. It shows no secret in `Debug`; [`to_secret_text`](Self::to_secret_text) does.
pub struct SignerKey {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
    seed: [u8; 32],
}

impl SignerKey {
    /// The key that belongs to a seed of 32 random bytes.
    pub fn from_seed(name: KeyName, seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("every 32 bytes are an Ed25519 seed");
        let public = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        Self { verifier: VerifierKey::new(name, public), pair, seed }
    }

    /// Reads the text form of a signer key.
    pub fn from_secret_text(text: &str) -> Result<Self, KeyError> {
        const FORM: KeyError = KeyError::Form("PRIVATE+KEY+<name>+<8 hex digits>+<base64>");
        let (name, id, seed) = split(text.strip_prefix(PRIVATE_PREFIX).ok_or(FORM)?, FORM)?;
        let key = Self::from_seed(name, seed);
        if key.verifier.id.to_string() == id { Ok(key) } else { Err(KeyError::Id) }
    }

    /// The text form, secret included: for a file that only its owner can read.
    pub fn to_secret_text(&self) -> String {
        format!("{PRIVATE_PREFIX}{}+{}+{}", self.verifier.name, self.verifier.id, key_data(&self.seed))
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signature over `text`.
    pub fn sign(&self, text: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.pair.sign(text).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

fn key_data(key: &[u8; 32]) -> String {
    let mut data = vec![ED25519_TYPE];
    data.extend_from_slice(key);
    base64::encode(&data)
}

fn split(text: &str, form: KeyError) -> Result<(KeyName, &str, [u8; 32]), KeyError> {
    // Base64 may hold plus signs, names and ids may not.
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(form);
    };
    let data = base64::decode(data).ok_or(form)?;
    match data.split_first() {
        Some((&ED25519_TYPE, key)) => Ok((name.parse()?, id, key.try_into().map_err(|_| KeyError::Kind)?)),
        _ => Err(KeyError::Kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(seed: u8) -> SignerKey {
        SignerKey::from_seed("crossfade.example/log".parse().unwrap(), [seed; 32])
    }

    #[test]
    fn rfc_8032_test_1() {
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let key = SignerKey::from_seed("x".parse().unwrap(), seed);
        assert_eq!(key.verifier().public[..4], [0xd7, 0x5a, 0x98, 0x01]);
        assert_eq!(key.sign(b"")[..4], [0xe5, 0x56, 0x43, 0x00]);
    }

    #[test]
    fn text_forms_read_back_and_agree_with_the_oracle() {
        for seed in 0..40 {
            let ours = signer(seed);
            let vkey = ours.verifier().to_string();
            assert_eq!(vkey.parse().as_ref(), Ok(ours.verifier()));
            let secret = ours.to_secret_text();
            assert_eq!(SignerKey::from_secret_text(&secret).unwrap().to_secret_text(), secret);

            let theirs = signed_note::StandardVerifier::new(&vkey).unwrap();
            let their_signer = signed_note::StandardSigner::new(&secret).unwrap();
            let signature = signed_note::Signer::sign(&their_signer, b"text").unwrap();
            assert!(ours.verifier().verifies(b"text", &signature));
            assert!(signed_note::Verifier::verify(&theirs, b"text", &ours.sign(b"text")));
        }
    }

    #[test]
    fn any_changed_character_of_a_verifier_key_is_refused() {
        let vkey = signer(1).verifier().to_string();
        for at in 0..vkey.len() {
            for bit in 0..7 {
                let mut bytes = vkey.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let text = String::from_utf8(bytes).unwrap();
                assert!(text.parse::<VerifierKey>().is_err(), "{text}");
            }
        }
        for text in ["", "a", "a+b", "a+b+", &format!("{vkey} "), &format!("{vkey}\n"), &vkey.to_uppercase()]
        {
            assert!(text.parse::<VerifierKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names() {
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb", "a\u{7f}", "\u{3000}"] {
            assert_eq!(name.parse::<KeyName>(), Err(KeyError::Name), "{name:?}");
        }
        assert!("crossfade.bank.example/prod-é".parse::<KeyName>().is_ok());
    }

    #[test]
    fn secrets_do_not_show() {
        let key = signer(7);
        let shown = format!("{key:?}");
        assert!(!shown.contains("BwcHBw") && !shown.contains("7, 7, 7"), "{shown}");
        let broken = key.to_secret_text().replace('B', "C");
        let shown = format!("{:?}", SignerKey::from_secret_text(&broken).unwrap_err());
        assert!(!shown.contains("wcHB"), "{shown}");
    }
}
