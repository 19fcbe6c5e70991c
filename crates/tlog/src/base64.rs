//! Standard base64 with padding, canonical form only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// None for anything but the one canonical spelling of some bytes.
///
/// The engine refuses missing padding and set trailing bits already; the comparison states the
/// promise without leaning on that.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok()?;
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        assert_eq!(decode("AA=="), Some(vec![0]));
        for other in ["AA", "AA=", "AB==", "AA==\n", " AA==", "A A=", "AA===", "_w==", "=", "AA==AA=="] {
            assert_eq!(decode(other), None, "{other:?}");
        }
        assert_eq!(decode(""), Some(vec![]));
    }
}
