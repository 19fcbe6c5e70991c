//! Errors of reading a tree into a type.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::node::Mark;

/// A value that does not fit the type it is read into.
///
/// Displays as `file:line:column: path: what; remedy`. The text of strings is never repeated where it could be a
/// secret: only of names that were to be chosen from a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    mark: Option<Mark>,
    /// From the innermost outwards.
    path: Vec<Segment>,
    kind: TypedErrorKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypedErrorKind {
    /// A key that the type does not know.
    #[error("unknown key `{name}`; {}", choose(name, expected))]
    UnknownKey {
        /// The key.
        name: String,
        /// The keys known there.
        expected: Vec<String>,
    },
    /// A name that is not one of those to choose from.
    #[error("unknown value `{name}`; {}", choose(name, expected))]
    UnknownName {
        /// The name.
        name: String,
        /// The names known there.
        expected: Vec<String>,
    },
    /// A required key is absent.
    #[error("key `{0}` is missing; add it")]
    MissingKey(String),
    /// A value of another kind than wanted.
    #[error("found {found}, expected {expected}{}", remedy(found, expected))]
    WrongType {
        /// What stands there, in words.
        found: String,
        /// What should, in words.
        expected: String,
    },
    /// A map of one key was wanted, to name one of several choices.
    #[error("found {found}; write exactly one of {}", list(expected))]
    NotOneChoice {
        /// What stands there, in words.
        found: String,
        /// The choices.
        expected: Vec<String>,
    },
    /// Refused by the type itself, with its own words.
    #[error("{0}")]
    Other(String),
}

impl TypedError {
    pub(crate) fn new(kind: TypedErrorKind) -> Self {
        Self(Box::new(Inner { mark: None, path: Vec::new(), kind }))
    }

    /// A refusal by the caller's own rules (two listeners on one port, steps in a wrong order), in the same form.
    ///
    /// `path` is written as in errors from [`from_node`](crate::from_node): `steps[1].mirror`. `message` says what is
    /// wrong and, after a semicolon, what to do.
    pub fn refused(mark: &Mark, path: &str, message: impl Into<String>) -> Self {
        let path = if path.is_empty() { Vec::new() } else { vec![Segment::Key(path.to_owned())] };
        let kind = TypedErrorKind::Other(message.into());
        Self(Box::new(Inner { mark: Some(mark.clone()), path, kind }))
    }

    /// Sets the place, unless an inner value has set it.
    pub(crate) fn at(mut self, mark: &Mark) -> Self {
        self.0.mark.get_or_insert_with(|| mark.clone());
        self
    }

    pub(crate) fn below(mut self, segment: Segment) -> Self {
        self.0.path.push(segment);
        self
    }

    /// Where.
    pub fn mark(&self) -> Mark {
        self.0.mark.clone().unwrap_or_else(Mark::nowhere)
    }

    /// The field: `steps[1].mirror.duration`; empty for the whole document.
    pub fn path(&self) -> String {
        let mut out = String::new();
        for segment in self.0.path.iter().rev() {
            match segment {
                Segment::Index(i) => out.push_str(&format!("[{i}]")),
                Segment::Key(key) => {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(key);
                }
            }
        }
        out
    }

    /// What, and what to do next.
    pub fn kind(&self) -> &TypedErrorKind {
        &self.0.kind
    }
}

impl fmt::Display for TypedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        let colon = if path.is_empty() { "" } else { ": " };
        write!(f, "{}: {path}{colon}{}", self.mark(), self.0.kind)
    }
}

impl std::error::Error for TypedError {}

impl de::Error for TypedError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(TypedErrorKind::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(TypedErrorKind::WrongType { found: words(found), expected: wanted(&expected.to_string()) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(TypedErrorKind::UnknownKey { name: field.to_owned(), expected: owned(expected) })
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(TypedErrorKind::UnknownName { name: variant.to_owned(), expected: owned(expected) })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(TypedErrorKind::MissingKey(field.to_owned()))
    }
}

pub(crate) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// Numbers and truth values are told, strings are not: they may be secrets.
fn words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(b) => format!("`{b}`"),
        Unexpected::Unsigned(n) => format!("the number {n}"),
        Unexpected::Signed(n) => format!("the number {n}"),
        Unexpected::Float(x) => format!("the number {x}"),
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "a string".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map | Unexpected::StructVariant => "a map".to_owned(),
        other => other.to_string(),
    }
}

/// serde's words for what it wants, in the words of a YAML file.
fn wanted(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" | "u128" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        _ if expected.starts_with("struct ") => "a map".to_owned(),
        _ => expected.replace("sequence", "list"),
    }
}

fn remedy(found: &str, expected: &str) -> &'static str {
    let number = found.starts_with("the number") || found.starts_with('`');
    match expected {
        "a string" if number => "; put it in quotes",
        "a list" if found != "nothing" => "; put it in square brackets, or below with `- `",
        "true or false" if found == "a string" => "; write true or false, without quotes",
        _ if expected.contains("number") && found == "a string" => "; write the number alone, without quotes",
        _ => "",
    }
}

/// The remedy for a name that is not known: the nearest one, else all of them.
fn choose(name: &str, known: &[String]) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it, nothing is expected here".to_owned(),
        None => format!("known here: {}", list(known)),
    }
}

/// The known name within a third of the letters' distance, if there is one.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    // Long enough for any name that was meant; the distance costs the product of the lengths.
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|k| (strsim::osa_distance(&lower, &k.to_lowercase().replace('-', "_")), k))
        .filter(|(distance, k)| *distance <= k.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

fn list(names: &[String]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}
