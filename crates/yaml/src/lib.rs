//! YAML trees that know where each value stands.
//!
//! Text becomes a tree of [`Node`]s, each with its [`Mark`] (source, line, column). The tree can be expanded
//! (`${env:X}`), merged as the OpenTelemetry Collector merges its files, walked by hand (drift does so), or read
//! into types with serde ([`from_node`]); every error says where, what, and what to do next:
//!
//! ```text
//! rollout.yaml:7:15: steps[0].mirror.duratoin: unknown key `duratoin`; did you mean `duration`?
//! ```
//!
//! It is *not* a YAML emitter, and it does not know what any key means. It reads no file and no environment: the
//! caller hands in text, and a [`Resolve`] for expansion.
//!
//! Foreign text is bounded in bytes, depth and nodes (aliases count as often as they are used), so a small file
//! cannot cost much; a duplicate key is an error, because two readers of one file must not see two things.
//!
//! | module | holds |
//! |---|---|
//! | [`node`] | [`Node`], [`Value`], [`Map`], [`Mark`] |
//! | [`parse`](mod@parse) | text to trees, within [`Limits`] |
//! | [`expand`](mod@expand) | `${env:X}`, `${X}`, `${env:X:-default}`, `${file:P}`, `$$` |
//! | [`merge`](mod@merge) | the Collector's merge of several files |
//! | [`typed`] | trees to types: [`from_node`], [`TypedError`], [`Spanned`], [`Raw`] |
//! | [`units`] | [`Duration`] (`30m`) and [`Size`] (`8GiB`) |

pub mod expand;
pub mod merge;
pub mod node;
pub mod parse;
mod scalar;
pub mod typed;
pub mod units;

pub use expand::{ExpandError, Resolution, Resolve, expand};
pub use merge::merge;
pub use node::{Key, Map, Mark, Node, Value};
pub use parse::{Limits, YamlError, YamlErrorKind, parse, parse_all, parse_embedded, parse_with};
pub use typed::{Raw, Spanned, TypedError, TypedErrorKind, from_node};
pub use units::{Duration, Size, UnitError};
