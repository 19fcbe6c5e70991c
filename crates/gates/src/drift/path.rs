//! Where a value stands in a configuration.

use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// A key of a map.
    Key(String),
    /// An item of a list, known by its name.
    Item(String),
    /// An item of a list, counted from 0.
    Index(usize),
}

/// A path from the top of a section or component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Segment>);

impl Path {
    pub(crate) fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|k| Segment::Key((*k).to_owned())).collect())
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    pub(crate) fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// Reads what [`fmt::Display`] writes. What it never writes reads as keys.
    pub(crate) fn read(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix("[\"") {
                // A quoted name is a key's, or an item's of unusual letters; a key tells more.
                let end = closing_quote(inside);
                let name = inside.get(..end).unwrap_or(inside);
                let json = serde_json::from_str(&format!("\"{name}\""));
                segments.push(Segment::Key(json.unwrap_or_else(|_| name.to_owned())));
                rest = inside.get(end + 1..).unwrap_or_default();
                rest = rest.strip_prefix(']').unwrap_or(rest);
            } else if let Some(inside) = rest.strip_prefix('[') {
                let (name, after) = inside.split_once(']').unwrap_or((inside, ""));
                let index = name.parse().map(Segment::Index);
                segments.push(index.unwrap_or_else(|_| Segment::Item(name.to_owned())));
                rest = after;
            } else {
                let rest_of_it = rest.strip_prefix('.').unwrap_or(rest);
                let end = rest_of_it.find(['.', '[']).unwrap_or(rest_of_it.len());
                segments.push(Segment::Key(rest_of_it[..end].to_owned()));
                rest = &rest_of_it[end..];
            }
        }
        Self(segments)
    }

    /// With its keys as they are shown.
    pub(crate) fn keys_as(&self, show: impl Fn(&str) -> String) -> Self {
        let shown = |segment: &Segment| match segment {
            Segment::Key(key) => Segment::Key(show(key)),
            other => other.clone(),
        };
        Self(self.0.iter().map(shown).collect())
    }

    /// Without its first `count` segments.
    pub(crate) fn below(&self, count: usize) -> Self {
        Self(self.0.iter().skip(count).cloned().collect())
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The names of the keys, items left out: what defaults and rules go by.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.0
            .iter()
            .filter_map(|s| match s {
                Segment::Key(k) => Some(k.as_str()),
                Segment::Item(_) | Segment::Index(_) => None,
            })
            .collect()
    }

    /// The innermost key.
    pub(crate) fn last_key(&self) -> &str {
        self.keys().last().copied().unwrap_or_default()
    }
}

/// `a.b[0].c["with.dot"]`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if is_plain(key) => {
                    let dot = if i == 0 { "" } else { "." };
                    write!(f, "{dot}{key}")?;
                }
                Segment::Key(key) => write!(f, "[{}]", quoted(key))?,
                Segment::Item(name) if is_plain(&name.replace('.', "")) => write!(f, "[{name}]")?,
                Segment::Item(name) => write!(f, "[{}]", quoted(name))?,
                Segment::Index(i) => write!(f, "[{i}]")?,
            }
        }
        Ok(())
    }
}

/// Where the quote stands that closes a text; the text's length if none does.
fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/'))
        && !name.bytes().all(|b| b.is_ascii_digit())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Path, Segment};

    #[test]
    fn paths_read_as_people_write_them() {
        let path =
            Path::of(&["policies"]).with(Segment::Item("errors".into())).key("latency").key("service.name");
        assert_eq!(path.to_string(), "policies[errors].latency[\"service.name\"]");
        assert_eq!(Path::of(&["a"]).with(Segment::Index(2)).to_string(), "a[2]");
        assert_eq!(path.keys(), ["policies", "latency", "service.name"]);
    }

    #[test]
    fn what_is_written_reads_back() {
        for path in [
            Path::of(&["headers", "x.team", "a\"b]\\"]),
            Path::of(&["actions"]).with(Segment::Item("api.token".into())).key("value"),
            Path::of(&["0"]).with(Segment::Index(3)).key("a b"),
            Path::default(),
        ] {
            assert_eq!(Path::read(&path.to_string()), path, "{path}");
        }
        for odd in ["[", "[\"", "a..b", "[\"a", "a]b", "[a", ".", "[\"\\"] {
            Path::read(odd);
        }
    }
}
