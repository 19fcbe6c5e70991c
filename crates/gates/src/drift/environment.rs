//! Environment files: what `${env:X}` stands for on one side.

use std::collections::BTreeMap;

use crossfade_yaml::Mark;

/// A line that is none of an environment file's. Lines hold secrets: no message quotes one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{mark}: {what}")]
pub struct EnvironmentError {
    /// Where.
    pub mark: Mark,
    /// What, and what to do next.
    pub what: &'static str,
}

/// The variables of one side, each with the place of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, (String, Mark)>,
}

impl Environment {
    /// Reads `NAME=value` lines as a shell or systemd does: `#` begins a comment, `export` may stand before a name, quotes are
    /// taken off (`\"`, `\\`, `\$` and `\n` mean something between double ones). Nothing is replaced within a value.
    ///
    /// # Errors
    /// A line of another form, or a name that stands twice; never with the line's text.
    pub fn parse(text: &str, source: &str) -> Result<Self, EnvironmentError> {
        let mut variables = BTreeMap::new();
        for (number, line) in (1u32..).zip(text.strip_prefix('\u{feff}').unwrap_or(text).lines()) {
            let refuse = |what| EnvironmentError { mark: Mark::new(source, number, 1), what };
            let line = line.trim_end_matches('\r');
            let body = line.trim_start();
            if body.is_empty() || body.starts_with('#') {
                continue;
            }
            let body = body.strip_prefix("export ").unwrap_or(body).trim_start();
            let (name, rest) = body.split_once('=').ok_or_else(|| refuse("expected NAME=value"))?;
            let name = name.trim_end();
            if !is_name(name) {
                return Err(refuse("a name has letters, digits and `_`, and begins with no digit"));
            }
            let value = value(rest.trim_start())
                .ok_or_else(|| refuse("a quote is not closed, or text follows it"))?;
            let column = line.chars().count() - rest.trim_start().chars().count() + 1;
            let mark = Mark::new(source, number, u32::try_from(column).unwrap_or(1));
            if variables.insert(name.to_owned(), (value, mark)).is_some() {
                return Err(refuse("this name stands twice; remove one of the lines"));
            }
        }
        Ok(Self { variables })
    }

    /// A variable's value, and where it stands.
    pub fn get(&self, name: &str) -> Option<(&str, &Mark)> {
        self.variables.get(name).map(|(value, mark)| (value.as_str(), mark))
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A value without its quotes and comment; `None` if a quote is not closed.
fn value(text: &str) -> Option<String> {
    if let Some(inside) = text.strip_prefix('\'') {
        let (value, after) = inside.split_once('\'')?;
        return is_end(after).then(|| value.to_owned());
    }
    if let Some(inside) = text.strip_prefix('"') {
        let mut out = String::new();
        let mut letters = inside.chars();
        loop {
            match letters.next()? {
                '"' => return is_end(letters.as_str()).then_some(out),
                '\\' => match letters.next()? {
                    'n' => out.push('\n'),
                    letter @ ('"' | '\\' | '$' | '`') => out.push(letter),
                    letter => out.extend(['\\', letter]),
                },
                letter => out.push(letter),
            }
        }
    }
    let end = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
    Some(text[..end].trim_end().to_owned())
}

/// Nothing, or a comment.
fn is_end(after: &str) -> bool {
    let after = after.trim();
    after.is_empty() || after.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_a_shell_reads_them() {
        let text = "# a comment\n\nHOST=blue\nexport PORT = 4317 # the port\nA=\"x # \\\"y\\\" \\$Z\\n\" # b\r\nB='$A \"'\nEMPTY=\nURL=http://h/#x\n  C=a b\n";
        let file = Environment::parse(text, "blue.env").expect("an environment file");
        let value = |name: &str| file.get(name).map(|(value, mark)| (value, mark.to_string()));
        for (name, expected, place) in [
            ("HOST", "blue", "blue.env:3:6"),
            ("PORT", "4317", "blue.env:4:15"),
            ("A", "x # \"y\" $Z\n", "blue.env:5:3"),
            ("B", "$A \"", "blue.env:6:3"),
            ("EMPTY", "", "blue.env:7:7"),
            ("URL", "http://h/#x", "blue.env:8:5"),
            ("C", "a b", "blue.env:9:5"),
        ] {
            assert_eq!(value(name), Some((expected, place.to_owned())), "{name}");
        }
        assert_eq!(value("Z"), None);
    }

    /// Scenario: a line with a secret in it is none. Guarantee: the message has its place and not its text.
    #[test]
    fn what_is_no_line_is_refused_without_its_text() {
        for text in [
            "hunter2",
            "hunter2 x=1",
            "1HUNTER=hunter2",
            "A=\"hunter2",
            "A='hunter2' b",
            "A=1\nA=hunter2",
            "=hunter2",
        ] {
            let error = Environment::parse(text, "e.env").expect_err(text).to_string();
            assert!(error.starts_with("e.env:") && !error.to_lowercase().contains("hunter"), "{error}");
        }
    }
}
