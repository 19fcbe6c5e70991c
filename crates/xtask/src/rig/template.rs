//! Configurations with words in double braces, kept below `tests/` as the programs would read them.

use crate::shell::root;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Fills in `template`, a path from the root, and writes it to `path`. A word that stays unfilled is an error.
pub(crate) fn write(template: &str, words: &[(&str, &str)], path: &Path) -> Result<()> {
    let text = fs::read_to_string(root().join(template)).with_context(|| format!("reading {template}"))?;
    let filled = fill(&text, words).with_context(|| format!("filling in {template}"))?;
    fs::write(path, filled).with_context(|| format!("writing {}", path.display()))
}

fn fill(text: &str, words: &[(&str, &str)]) -> Result<String> {
    let put = |text: String, (word, value): &(&str, &str)| text.replace(&format!("{{{{{word}}}}}"), value);
    let filled = words.iter().fold(text.to_owned(), put);
    match filled.split_once("{{") {
        Some((before, after)) => {
            let word = after.split("}}").next().unwrap_or_default();
            bail!("line {}: nothing is given for `{word}`", before.lines().count());
        }
        None => Ok(filled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_in_and_a_forgotten_one_is_told() {
        assert_eq!(fill("a {{x}} b {{x}}", &[("x", "1")]).unwrap(), "a 1 b 1");
        let error = fill("one\ntwo {{y}}", &[("x", "1")]).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("`y`"), "{error}");
    }
}
