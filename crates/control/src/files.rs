//! Files that people write, as trees: read, parsed, expanded.

use std::path::{Path, PathBuf};

use crossfade_yaml::{self as yaml, ExpandError, Mark, Node, Resolution, Resolve, Value};

use crate::site::{Problem, SiteError};
use crate::sources::{self, SourceError};

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Text to a tree with every `${…}` replaced; one that is not set is an error.
///
/// # Errors
/// Not YAML, or a reference that cannot be replaced.
pub fn expanded(text: &str, path: &Path, environment: Environment<'_>) -> Result<Node, SiteError> {
    let mut node = yaml::parse(text, &path.display().to_string())?;
    let expanded = yaml::expand(&mut node, &strict(path, environment));
    expanded.map_err(|error| SiteError::Problems(vec![not_expanded(&node, &error)]))?;
    Ok(node)
}

fn not_expanded(node: &Node, error: &ExpandError) -> Problem {
    let (ExpandError::Unset { mark, .. }
    | ExpandError::Failed { mark, .. }
    | ExpandError::Unclosed { mark }
    | ExpandError::TooMuch { mark }) = error;
    let text = error.to_string();
    let text = text.strip_prefix(&format!("{mark}: ")).unwrap_or(&text);
    let (what, remedy) =
        text.split_once("; ").unwrap_or((text, "check the name, and that this process may read it"));
    let field = field_at(node, mark).unwrap_or_else(|| "a value".to_owned());
    Problem { mark: mark.clone(), field, what: what.to_owned(), remedy: remedy.to_owned() }
}

/// The dotted path of the value that stands at a mark.
pub(crate) fn field_at(node: &Node, mark: &Mark) -> Option<String> {
    let joined = |part: String, below: String| match below.as_str() {
        "" => part,
        _ if below.starts_with('[') => part + &below,
        _ => format!("{part}.{below}"),
    };
    match &node.value {
        Value::Map(map) => {
            map.iter().find_map(|(key, value)| Some(joined(key.name.clone(), field_at(value, mark)?)))
        }
        Value::List(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| Some(joined(format!("[{index}]"), field_at(item, mark)?)))
        }
        _ => (node.mark == *mark).then(String::new),
    }
}

/// The text of a file that a person named; not of one that is far too long, or a pipe that nobody writes to.
///
/// # Errors
/// Names the file.
pub fn read(path: &Path) -> Result<String, SourceError> {
    sources::text(sources::bytes(path)?, &path.display().to_string())
}

/// Answers `${…}` in a file at `path`.
fn strict<'a>(path: &Path, environment: Environment<'a>) -> Lookup<'a> {
    Lookup { environment, base: path.parent().unwrap_or(Path::new("")).to_owned() }
}

/// What `${env:X}` and `${file:P}` stand for.
struct Lookup<'a> {
    environment: Environment<'a>,
    base: PathBuf,
}

impl Resolve for Lookup<'_> {
    fn resolve(&self, scheme: &str, name: &str) -> Resolution {
        match scheme {
            "env" => (self.environment)(name).map_or(Resolution::Unset, Resolution::Text),
            "file" => match read(&self.base.join(name)) {
                Ok(text) => Resolution::Text(text),
                Err(SourceError::Read { source, .. }) => Resolution::Failed(source.to_string()),
                Err(error) => Resolution::Failed(error.to_string()),
            },
            other => Resolution::Failed(format!("unknown scheme `{other}`: use env or file")),
        }
    }
}
