//! Literals of OTTL statements: what is set on an attribute of a secret's name, or compared with it.
//! <https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/pkg/ottl>

use std::ops::Range;

use super::Ranges;
use crate::drift::secret::keys::is_secret_name;

/// Beginnings of functions whose other arguments are patterns and masks, or names.
const NOT_VALUES: [&str; 5] = ["replace_", "delete_", "keep_", "IsMatch", "limit"];

/// `set(attributes["password"], "abc")`, `attributes["password"] == "abc"`.
pub(super) fn literals(text: &str, all: &mut Ranges) {
    for (at, _) in text.match_indices('[') {
        let Some(name) = literal(text, at + 1).filter(|name| is_secret_name(&text[name.clone()])) else {
            continue;
        };
        let Some(rest) = text[name.end..].find(']').map(|end| name.end + end + 1) else { continue };
        let rest = after_indices(text, rest);
        let next = text[rest..].trim_start();
        let operator = ["==", "!=", "="].iter().find(|operator| next.starts_with(**operator));
        if let Some(operator) = operator {
            let value = text.len() - next.len() + operator.len();
            all.extend(literal(text, value + blanks(&text[value..])));
        } else if next.starts_with(',') && takes_values(&text[..at]) {
            arguments(text, text.len() - next.len() + 1, all);
        }
    }
}

/// The literal that begins here, without its quotes: `"a"`, and `\"a\"` within a quoted text.
fn literal(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    let slashes = rest.len() - rest.trim_start_matches('\\').len();
    let quote = rest[slashes..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let start = at + slashes + 1;
    let mut run = 0;
    for (i, c) in text[start..].char_indices() {
        match c {
            '\\' => run += 1,
            _ if c == quote && run == slashes => return Some(start..start + i - slashes),
            _ => run = 0,
        }
    }
    Some(start..text.len())
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Behind `["b"]["c"]`.
fn after_indices(text: &str, mut at: usize) -> usize {
    while text[at..].starts_with('[') {
        match text[at..].find(']') {
            Some(end) => at += end + 1,
            None => return text.len(),
        }
    }
    at
}

/// Whether the function that an argument stands in sets values.
fn takes_values(before: &str) -> bool {
    let Some(open) = before.rfind('(') else { return false };
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = before[..open].rfind(|c| !is_part(c)).map_or(0, |at| at + 1);
    let name = &before[start..open];
    !name.is_empty() && !NOT_VALUES.iter().any(|w| name.starts_with(w))
}

/// The literals up to the parenthesis that closes the call; what stands in `[…]` behind a name is a name.
fn arguments(text: &str, mut at: usize, all: &mut Ranges) {
    let mut depth = 1;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
        match literal(text, at) {
            Some(value) => {
                let before = &text[..at];
                let index = before.ends_with('[')
                    && before[..at - 1].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ']'));
                at = value.end;
                at += text[at..].find(['"', '\'']).map_or(text.len() - at, |quote| quote + 1);
                if !index {
                    all.push(value);
                }
            }
            None => at += c.len_utf8(),
        }
    }
}
