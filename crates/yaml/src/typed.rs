//! Trees to types, with errors that a person can act on.

mod de;
mod error;
#[cfg(test)]
mod tests;
mod values;

use serde::de::DeserializeOwned;

pub use self::error::{TypedError, TypedErrorKind};
pub use self::values::{Raw, Spanned};
use crate::node::Node;

/// Reads `node` into a type.
///
/// Works with `#[derive(Deserialize)]`: structs (use `deny_unknown_fields`, or unknown keys pass unseen), `Option`,
/// lists, maps with string keys, externally tagged enums as a map of one key (`- mirror: {percent: 5}`; a variant
/// without content may also stand alone, `- finalize`). A key with nothing behind it reads as an empty map where a
/// struct is wanted, and as `None` for an `Option`.
///
/// `flatten`, `untagged` and internally tagged types work too, but serde buffers them, and their errors then point
/// at the whole value.
pub fn from_node<T: DeserializeOwned>(node: &Node) -> Result<T, TypedError> {
    T::deserialize(de::NodeDeserializer::new(node)).map_err(|e| e.at(&node.mark))
}
