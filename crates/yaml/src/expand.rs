//! Expansion of `${env:X}` and its kin, as the Collector does it (confmap, "expand value").

use std::sync::Arc;

use crate::node::{Mark, Node, Value};
use crate::parse::{Limits, parse_with};

/// Looks up what a reference stands for. The caller decides what may be read.
pub trait Resolve {
    /// What `${scheme:name}` stands for; `${X}` asks for scheme `env`.
    fn resolve(&self, scheme: &str, name: &str) -> Resolution;

    /// Whether it leaves references as they stand ([`Resolution::Keep`]). `$${` and `$$$` then stay as well, or the text
    /// `${X}` could not be told from a reference.
    fn keeps(&self) -> bool {
        false
    }

    /// Whether what stands under that name is a secret: a value that it becomes part of [`is_secret`](Node::is_secret).
    fn is_secret(&self, _scheme: &str, _name: &str) -> bool {
        false
    }
}

/// The answer to one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This text, to be read as YAML.
    Text(String),
    /// The same, from a place of its own: what is read from it stands there.
    Found {
        /// The text.
        text: String,
        /// Where it begins.
        mark: Mark,
        /// The text is all of a file: each value in it has its own line. Otherwise all of them stand at `mark`.
        whole: bool,
    },
    /// Nothing is set under that name: the reference's default holds, or it stays as it stands.
    Absent,
    /// Nothing is set under that name: the reference's default holds, or it is an error.
    Unset,
    /// Leave the reference as it stands (for a comparison of files whose environment is not at hand).
    Keep,
    /// It cannot be had, and why: an unknown scheme, a file that cannot be read.
    Failed(String),
}

/// A reference that cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// Not set, and no default given.
    #[error("{mark}: `{reference}` is not set; set it, or give a default as in `${{{reference}:-value}}`")]
    Unset {
        /// Where.
        mark: Mark,
        /// Scheme and name.
        reference: String,
    },
    /// It cannot be had.
    #[error("{mark}: `{reference}` cannot be read: {reason}")]
    Failed {
        /// Where.
        mark: Mark,
        /// Scheme and name.
        reference: String,
        /// Why not.
        reason: String,
    },
    /// `${` without `}`.
    #[error(
        "{mark}: `${{` is not closed; write `}}` behind the name, or `$${{` for the characters themselves"
    )]
    Unclosed {
        /// Where.
        mark: Mark,
    },
    /// References that lead to references without end, or to too much text.
    #[error("{mark}: expands too far; check for a variable that refers to itself")]
    TooMuch {
        /// Where.
        mark: Mark,
    },
}

/// References within one document, and levels of references in what references stand for.
const REFERENCES_MAX: usize = 10_000;
const LEVELS_MAX: usize = 8;
/// Bytes that one scalar may grow to, and of all that is put in place of references.
const SCALAR_BYTES_MAX: usize = 1 << 20;
const BYTES_MAX: usize = 16 << 20;

/// Replaces every reference in the values (not the keys) of `node`.
///
/// `${env:X}`, `${X}`, `${env:X:-default}`, `${file:P}` or any scheme that `resolver` knows; `$$` stands for `$` (but see
/// [`Resolve::keeps`]); a lone `$` stays. A value that is one reference takes the type that YAML gives the replacement (a number, even a map),
/// and keeps the text, so that a field that wants a string gets `0123` as `0123`. A reference within a longer text is
/// replaced as text. Replacements keep the mark of the place they stand in, unless they have one of their own
/// ([`Resolution::Found`]).
pub fn expand(node: &mut Node, resolver: &dyn Resolve) -> Result<(), ExpandError> {
    let mut expander = Expander { resolver, references: 0, bytes: 0, secret: false };
    expander.node(node, Limits::default().depth, 0)
}

struct Expander<'a> {
    resolver: &'a dyn Resolve,
    references: usize,
    bytes: usize,
    /// The value at hand holds a secret.
    secret: bool,
}

/// What a text expands to.
enum Expansion {
    /// It has no reference and no `$$`.
    Same,
    /// Text was put together.
    Text(String),
    /// The whole was one reference.
    Whole(Replacement),
}

/// What one reference stands for.
struct Replacement {
    text: String,
    /// Where it stands, and whether that is a file of its own; `None`: where the reference stands.
    place: Option<(Mark, bool)>,
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node, depth: usize, level: usize) -> Result<(), ExpandError> {
        let below = depth.checked_sub(1);
        match (&mut node.value, below) {
            (Value::List(items), Some(below)) => {
                items.iter_mut().try_for_each(|item| self.node(item, below, level))
            }
            (Value::Map(map), Some(below)) => {
                map.iter_mut().try_for_each(|(_, value)| self.node(value, below, level))
            }
            (Value::List(_) | Value::Map(_), None) => Err(ExpandError::TooMuch { mark: node.mark.clone() }),
            (Value::String(text), _) => {
                let text = std::mem::take(text);
                self.scalar(node, text, depth, level)
            }
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        node: &mut Node,
        text: String,
        depth: usize,
        level: usize,
    ) -> Result<(), ExpandError> {
        let above = std::mem::take(&mut self.secret);
        match self.text(&text, &node.mark, level)? {
            Expansion::Same => node.value = Value::String(text),
            Expansion::Text(out) => node.value = Value::String(out),
            Expansion::Whole(out) => *node = self.whole(out, &node.mark, depth, level)?,
        }
        if self.secret {
            node.keep_secret();
        }
        self.secret = above;
        Ok(())
    }

    /// A replacement, read as YAML.
    fn whole(
        &mut self,
        Replacement { text, place }: Replacement,
        mark: &Mark,
        depth: usize,
        level: usize,
    ) -> Result<Node, ExpandError> {
        let limits = Limits { depth, ..Limits::default() };
        // What is not YAML is a string, as in the Collector. The text may be a secret: no error tells it.
        let parsed = parse_with(&text, "", limits);
        let mut new = parsed.unwrap_or_else(|_| Node::new(Value::String(text.clone()), Mark::new("", 1, 1)));
        match &place {
            Some((file, true)) => new.move_marks(&|at| Mark { source: file.source.clone(), ..at.clone() }),
            Some((line, false)) => new.stand_at(line),
            None => new.stand_at(mark),
        }
        if !matches!(&new.value, Value::String(s) if *s == text) {
            new.raw = Some(Arc::from(text.trim_end_matches(['\n', '\r'])));
        }
        // A file's references are replaced where they stand in it.
        if matches!(place, Some((_, true))) {
            if level > LEVELS_MAX {
                return Err(ExpandError::TooMuch { mark: mark.clone() });
            }
            self.node(&mut new, depth, level + 1)?;
        }
        new.expanded = true;
        Ok(new)
    }

    fn text(&mut self, text: &str, mark: &Mark, level: usize) -> Result<Expansion, ExpandError> {
        if !text.contains('$') {
            return Ok(Expansion::Same);
        }
        if level > LEVELS_MAX {
            return Err(ExpandError::TooMuch { mark: mark.clone() });
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, tail) = rest.split_at(at);
            out.push_str(before);
            if let Some(after) = tail.strip_prefix("$$") {
                let kept = self.resolver.keeps() && after.starts_with(['{', '$']);
                out.push_str(if kept { "$$" } else { "$" });
                rest = after;
            } else if let Some(after) = tail.strip_prefix("${") {
                let end = closing(after).ok_or_else(|| ExpandError::Unclosed { mark: mark.clone() })?;
                let (inside, after) = (&after[..end], &after[end + 1..]);
                let whole = out.is_empty() && after.is_empty() && before.len() + end + 3 == text.len();
                match self.reference(inside, mark, level, whole)? {
                    Some(value) if whole => return Ok(Expansion::Whole(value)),
                    Some(value) => out.push_str(value.text.trim_end_matches(['\n', '\r'])),
                    None => out.push_str(&format!("${{{inside}}}")),
                }
                rest = after;
            } else {
                out.push('$');
                rest = &tail[1..];
            }
            if out.len() > SCALAR_BYTES_MAX {
                return Err(ExpandError::TooMuch { mark: mark.clone() });
            }
        }
        out.push_str(rest);
        Ok(Expansion::Text(out))
    }

    /// What stands for the text between `${` and `}`; `None` to leave it. `whole`: a file is read as YAML of its own.
    fn reference(
        &mut self,
        inside: &str,
        mark: &Mark,
        level: usize,
        whole: bool,
    ) -> Result<Option<Replacement>, ExpandError> {
        self.references += 1;
        if self.references > REFERENCES_MAX {
            return Err(ExpandError::TooMuch { mark: mark.clone() });
        }
        let above = std::mem::take(&mut self.secret);
        let inside = self.plain(inside, mark, level)?;
        let named_by_secret = std::mem::replace(&mut self.secret, above);
        let (scheme, rest) = match inside.split_once(':') {
            Some((scheme, rest)) if !rest.starts_with('-') && is_scheme(scheme) => (scheme, rest),
            _ => ("env", inside.as_str()),
        };
        let (name, default) = match rest.split_once(":-") {
            Some((name, default)) if scheme == "env" => (name, Some(default)),
            _ => (rest, None),
        };
        // Names are told in messages, secrets are not.
        if named_by_secret && default.is_none() {
            return Ok(None);
        }
        let reference = || format!("{scheme}:{name}");
        let found = match (self.resolver.resolve(scheme, name), default) {
            (Resolution::Text(text), _) => Replacement { text: self.plain(&text, mark, level)?, place: None },
            (Resolution::Found { text, mark, whole: true }, _) if whole => {
                Replacement { text, place: Some((mark, true)) }
            }
            (Resolution::Found { text, mark: at, .. }, _) => {
                Replacement { text: self.plain(&text, mark, level)?, place: Some((at, false)) }
            }
            (Resolution::Unset | Resolution::Absent, Some(default)) => {
                Replacement { text: default.to_owned(), place: None }
            }
            (Resolution::Unset, None) => {
                return Err(ExpandError::Unset { mark: mark.clone(), reference: reference() });
            }
            (Resolution::Keep, _) | (Resolution::Absent, None) => return Ok(None),
            (Resolution::Failed(reason), _) => {
                return Err(ExpandError::Failed { mark: mark.clone(), reference: reference(), reason });
            }
        };
        self.bytes += found.text.len();
        if found.text.len() > SCALAR_BYTES_MAX || self.bytes > BYTES_MAX {
            return Err(ExpandError::TooMuch { mark: mark.clone() });
        }
        self.secret |= named_by_secret || self.resolver.is_secret(scheme, name);
        Ok(Some(found))
    }

    /// A text with its own references replaced.
    fn plain(&mut self, text: &str, mark: &Mark, level: usize) -> Result<String, ExpandError> {
        if !text.contains("${") {
            return Ok(text.to_owned());
        }
        Ok(match self.text(text, mark, level + 1)? {
            Expansion::Same => text.to_owned(),
            Expansion::Text(out) => out,
            Expansion::Whole(out) => out.text,
        })
    }
}

/// Where the `}` stands that closes an opened `${`, others within it passed over.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

/// A letter, then letters, digits, `+`, `.`, `-` (confmap's rule: at least two characters).
fn is_scheme(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-'))
}

#[cfg(test)]
mod tests;
