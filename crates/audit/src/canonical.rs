//! Canonical JSON (RFC 8785), for the JSON that the log holds: one value, one spelling.
//!
//! Numbers are integers from -(2^53 - 1) to 2^53 - 1. That leaves out the hard part of the RFC, the
//! shortest spelling of a double, and with it everything that two implementations could spell
//! differently. Larger integers are strings in the log, and fractions are scaled integers.

use crossfade_rollout::Digest;
use serde::Serialize;
use serde_json::Value;

/// The largest integer that every JSON reader keeps, 2^53 - 1.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// What has no canonical form here.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// A fraction, or an integer beyond 2^53 - 1. Write it as a string or a scaled integer.
    #[error("{at}: the number {number} is not an integer within 2^53 - 1")]
    Number {
        /// Where, as a JSON pointer; empty for the whole document.
        at: String,
        /// Its text.
        number: String,
    },
    /// The value could not be turned into JSON at all.
    #[error("not representable as JSON")]
    Serialize(#[source] serde_json::Error),
    /// The bytes are no JSON.
    #[error("not JSON")]
    Parse(#[source] serde_json::Error),
    /// The bytes are JSON, but not as this module would write it.
    #[error("not canonical from byte {offset} on")]
    NotCanonical {
        /// The first byte that should be another.
        offset: usize,
    },
}

/// The canonical bytes of a value.
pub fn encode(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(256);
    write(value, &mut out).map_err(|(path, number)| CanonicalError::Number { at: pointer(path), number })?;
    Ok(out)
}

/// The canonical bytes of anything that serialises.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    encode(&serde_json::to_value(value).map_err(CanonicalError::Serialize)?)
}

/// SHA-256 of the canonical bytes.
pub fn digest<T: Serialize + ?Sized>(value: &T) -> Result<Digest, CanonicalError> {
    Ok(Digest::from_bytes(crossfade_tlog::sha256(&to_vec(value)?)))
}

/// Reads canonical bytes, and refuses any other spelling of the same value.
pub fn decode(bytes: &[u8]) -> Result<Value, CanonicalError> {
    let value: Value = serde_json::from_slice(bytes).map_err(CanonicalError::Parse)?;
    match difference(&encode(&value)?, bytes) {
        None => Ok(value),
        Some(offset) => Err(CanonicalError::NotCanonical { offset }),
    }
}

/// The offset of the first byte in which the two differ.
pub(crate) fn difference(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b {
        return None;
    }
    Some(a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len())))
}

/// Where a refused number is, innermost step first, and its text.
type Refused = (Vec<String>, String);

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), Refused> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if integer.unsigned_abs() <= INTEGER_MAX.unsigned_abs() => {
                out.extend_from_slice(integer.to_string().as_bytes());
            }
            _ => return Err((Vec::new(), number.to_string())),
        },
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out).map_err(|refused| below(refused, index.to_string()))?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write(member, out).map_err(|refused| below(refused, name.clone()))?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// RFC 8785, section 3.2.2.2: the short escapes where there are any, `\u00xx` for the other control
/// characters, everything else as it is.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            0x00..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn below((mut path, number): Refused, step: String) -> Refused {
    path.push(step);
    (path, number)
}

fn pointer(path: Vec<String>) -> String {
    path.iter().rev().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(value: &Value, expected: &str) {
        assert_eq!(String::from_utf8(encode(value).unwrap()).unwrap(), expected);
        assert_eq!(decode(expected.as_bytes()).unwrap(), *value);
    }

    #[test]
    fn examples_of_the_rfc() {
        // Section 3.2.3: sorted by UTF-16 units, so the emoji (D83D) comes before U+FB33.
        check(
            &json!({
                "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
                "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control",
                "\u{f6}": "Latin Small Letter O With Diaeresis",
            }),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
             \"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\"\u{20ac}\":\"Euro Sign\",\
             \"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}",
        );
        // Section 3.2.2: the string and the literals of the example.
        check(
            &json!({"string": "\u{20ac}$\u{f}\nA'B\"\\\\\"/", "literals": [null, true, false]}),
            "{\"literals\":[null,true,false],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}",
        );
        check(&json!("\u{8}\u{c}\u{7f}\u{2028}"), "\"\\b\\f\u{7f}\u{2028}\"");
    }

    #[test]
    fn numbers() {
        check(
            &json!([0, -1, 9_007_199_254_740_991i64, -9_007_199_254_740_991i64]),
            "[0,-1,9007199254740991,-9007199254740991]",
        );
        for (text, at) in [
            ("0.5", ""),
            ("[1,1.0]", "/1"),
            (r#"{"a":{"b/c~":[1e2]}}"#, "/a/b~1c~0/0"),
            ("9007199254740992", ""),
            ("-9007199254740992", ""),
            ("18446744073709551615", ""),
            ("1e400", ""),
        ] {
            match serde_json::from_str(text).map(|value| encode(&value)) {
                Ok(Err(CanonicalError::Number { at: place, .. })) => assert_eq!(place, at, "{text}"),
                Err(_) => assert_eq!(text, "1e400"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn other_spellings_are_refused_with_their_place() {
        for (text, place) in [
            (r#"{"b":1,"a":2}"#, 2),
            (r#"{"a":1, "b":2}"#, 7),
            (r#" {}"#, 0),
            (r#"{}  "#, 2),
            (r#""\u0041""#, 1),
            (r#""\/""#, 1),
            (r#""\u000F""#, 6),
            (r#""\u000a""#, 2),
            (r#"{"a":1,"a":1}"#, 6),
            ("[1,\n2]", 3),
        ] {
            match decode(text.as_bytes()) {
                Err(CanonicalError::NotCanonical { offset }) => assert_eq!(offset, place, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["-0", "1.0", "1e1"] {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
        }
        for text in ["", "{", "nul", "[1,]", "\"\u{1}\"", "01", "{\"a\":1}{", "\u{feff}{}"] {
            assert!(matches!(decode(text.as_bytes()), Err(CanonicalError::Parse(_))), "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-INTEGER_MAX..=INTEGER_MAX).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_written_reads_back(value in any_json()) {
            prop_assert_eq!(decode(&encode(&value).unwrap()).unwrap(), value);
        }

        #[test]
        fn one_value_has_one_spelling(value in any_json(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let bytes = encode(&value).unwrap();
            let mut other = bytes.clone();
            other[at.index(bytes.len())] ^= 1 << bit;
            if let Ok(read) = decode(&other) {
                prop_assert_ne!(read, value);
            }
        }
    }
}
