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
}
