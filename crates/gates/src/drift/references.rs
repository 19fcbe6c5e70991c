//! References that stay as they are written: `${env:X}`, `${file:P}` of a file that is not at hand.

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
    fn only_what_would_be_read_otherwise_is_escaped() {
        for (text, expected) in
            [("${A}", "$${A}"), ("$${A}", "$$$${A}"), ("a$", "a$"), ("^a$|b$$", "^a$|b$$$"), ("5 $", "5 $")]
        {
            assert_eq!(escaped(text), expected);
        }
    }
}
