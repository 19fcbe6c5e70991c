//! References that stay as they are written: `${env:X}`, `${file:P}` of a file that is not at hand.

use std::collections::BTreeSet;

use crossfade_yaml::{Node, Value};

/// Where a reference's `${` stands. `$${` is none: it stands for the characters.
pub(crate) fn positions(text: &str) -> impl Iterator<Item = usize> {
    let dollars = |at: usize| text[..=at].bytes().rev().take_while(|byte| *byte == b'$').count();
    text.match_indices("${").map(|(at, _)| at).filter(move |at| dollars(*at) % 2 == 1)
}

/// The number of values below `node` that hold a reference.
pub(crate) fn count(node: &Node) -> usize {
    match &node.value {
        Value::String(text) => usize::from(positions(text).next().is_some()),
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(map) => map.iter().map(|(_, value)| count(value)).sum(),
        _ => 0,
    }
}

/// What stands behind a reference that was left as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind<'t> {
    /// A variable of the environment that the configuration runs with.
    Variable(&'t str),
    /// A file, an address: a part of the configuration.
    Content(&'t str),
}

/// The references in a text. `${yaml:…}` is what it says.
pub(crate) fn all(text: &str) -> impl Iterator<Item = Behind<'_>> {
    positions(text).filter_map(|at| {
        let inside = &text[at + 2..];
        let name = inside.split(['}', '$', '{']).next().unwrap_or_default();
        match name.split_once(':').filter(|(scheme, after)| is_scheme(scheme) && !after.starts_with('-')) {
            Some(("yaml", _)) => None,
            Some(("env", name)) => Some(Behind::Variable(name.split(":-").next().unwrap_or(name))),
            Some(_) => {
                let end = inside.find('}').map_or(text.len(), |end| at + 2 + end + 1);
                Some(Behind::Content(&text[at..end]))
            }
            None => Some(Behind::Variable(name.split(':').next().unwrap_or(name))),
        }
    })
}

/// Schemes are in small letters; what others call a variable seldom is.
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b))
}

/// Whether a value is, or holds, a reference to a part of the configuration that is not at hand.
pub(crate) fn lacks_content(node: &Node) -> bool {
    let text = node.as_str().unwrap_or_default();
    all(text).any(|behind| matches!(behind, Behind::Content(_)))
}

/// The names of all variables below `node`.
pub(crate) fn variables(node: &Node, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::String(text) => {
            let names = all(text).filter_map(|behind| match behind {
                Behind::Variable(name) if !name.is_empty() => Some(name.to_owned()),
                _ => None,
            });
            found.extend(names);
        }
        Value::List(items) => items.iter().for_each(|item| variables(item, found)),
        Value::Map(map) => map.iter().for_each(|(_, value)| variables(value, found)),
        _ => {}
    }
}

/// References alike in all spellings: `${X}` is `${env:X}`.
pub(crate) fn canonical(text: &str) -> String {
    let mut out = String::new();
    let mut done = 0;
    for at in positions(text) {
        let inside = at + 2;
        out.push_str(&text[done..inside]);
        done = inside;
        let name: &str = text[inside..].split(['}', '$', '{']).next().unwrap_or_default();
        let has_scheme = name.split_once(':').is_some_and(|(_, after)| !after.starts_with('-'));
        if !has_scheme {
            out.push_str("env:");
        }
    }
    out + &text[done..]
}

/// The text as a spec has to write it, where `$$` stands for `$` and nothing is replaced.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        out.push(letter);
        if letter == '$' && letters.peek().is_some_and(|next| matches!(next, '{' | '$')) {
            out.push('$');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_one_is_none() {
        for (text, expected) in [
            ("${A}", 1),
            ("$${A}", 0),
            ("$$${A}", 1),
            ("a ${A} $${B} ${env:C:-${D}}", 3),
            ("$", 0),
            ("5 $ {A}", 0),
        ] {
            assert_eq!(positions(text).count(), expected, "{text}");
        }
        assert_eq!(
            canonical("${A} $${A} ${env:B} ${C:-1} $$${D}"),
            "${env:A} $${A} ${env:B} ${env:C:-1} $$${env:D}"
        );
    }

    #[test]
    fn what_stands_behind_a_reference() {
        use super::Behind::{Content, Variable};
        for (text, expected) in [
            ("${A}:${env:B:-x}", vec![Variable("A"), Variable("B")]),
            ("x${file:/a b}y", vec![Content("${file:/a b}")]),
            ("${https://h/c.yaml}", vec![Content("${https://h/c.yaml}")]),
            ("${yaml:a: b} $${file:x}", vec![]),
            ("${NAME:default} ${file:x", vec![Variable("NAME"), Content("${file:x")]),
        ] {
            assert_eq!(all(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn only_what_would_be_read_otherwise_is_escaped() {
        for (text, expected) in
            [("${A}", "$${A}"), ("$${A}", "$$$${A}"), ("a$", "a$"), ("^a$|b$$", "^a$|b$$$"), ("5 $", "5 $")]
        {
            assert_eq!(escaped(text), expected);
        }
    }
}
