//! Where a configuration is read from: a file, or the URL of an effective one. Bounded in size and time.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossfade_backends::document::{self, DocumentError};

/// What is read of one source at most; what YAML takes, and a byte more would be refused there.
const BYTES_MAX: usize = 4 << 20;
/// From the connection to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One part of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// An effective configuration, as `http://` or `https://` answers with it.
    Url(String),
}

/// A source that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read {path}: check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The content is no text of a configuration.
    #[error("{source_name}:1:1: {what}")]
    Unusable {
        /// The file or URL.
        source_name: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The URL, which the error names.
    #[error(transparent)]
    Fetch(#[from] DocumentError),
}

impl SourceError {
    /// Whether nobody was there, which says nothing of the configuration.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Fetch(DocumentError::Query(error)) if error.is_out_of_reach())
    }
}

impl Source {
    /// A URL if it begins as one; else a path.
    pub fn read_name(text: &str, base: impl FnOnce(&str) -> PathBuf) -> Source {
        let lower = text.to_ascii_lowercase();
        match lower.starts_with("http://") || lower.starts_with("https://") {
            true => Source::Url(text.to_owned()),
            false => Source::File(base(text)),
        }
    }

    /// The folder that `${file:}` is relative to.
    pub(super) fn folder(&self) -> PathBuf {
        match self {
            Source::File(path) => path.parent().unwrap_or(Path::new("")).to_owned(),
            Source::Url(_) => PathBuf::new(),
        }
    }

    /// What names it in a snapshot.
    pub(super) fn short(&self) -> String {
        match self {
            Source::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Source::Url(url) => url.clone(),
        }
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, SourceError> {
        match self {
            Source::File(path) => bytes(path),
            Source::Url(url) => Ok(fetch(url)?),
        }
    }

    /// All of it, if it is text.
    pub(crate) fn text(&self) -> Result<String, SourceError> {
        text(self.bytes()?, &self.to_string())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Url(url) => f.write_str(url),
        }
    }
}

/// A file's bytes; one that is too long is not read whole, and a pipe that nobody writes to not waited for.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let unusable = |what: String| SourceError::Unusable { source_name: path.display().to_string(), what };
    let about = path.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(unusable("this is a folder; name the files in it".to_owned()));
    }
    // What a shell puts in place of `<(command)` has a writer.
    if about.file_type().is_fifo() && !path.starts_with("/dev") && !path.starts_with("/proc") {
        return Err(unusable("this is a pipe; name a file".to_owned()));
    }
    let too_long =
        |size: String| unusable(format!("the file has {size} bytes; at most {BYTES_MAX} are read"));
    if about.len() > BYTES_MAX as u64 {
        return Err(too_long(about.len().to_string()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > BYTES_MAX { Err(too_long(format!("more than {BYTES_MAX}"))) } else { Ok(bytes) }
}

/// Bytes as text; what is binary is said to be, with its place.
pub(crate) fn text(bytes: Vec<u8>, source_name: &str) -> Result<String, SourceError> {
    let text = String::from_utf8(bytes).map_err(|error| error.utf8_error().valid_up_to());
    let start = text.as_ref().map(|text| text.trim_start()).unwrap_or_default();
    let page = start.starts_with('<') && !start.starts_with("<<");
    let what = match text {
        // YAML would take it for a map of odd keys.
        Ok(_) if page => "this is a page or XML, no configuration; check the address".to_owned(),
        Ok(text) => match text.find('\0') {
            None => return Ok(text),
            Some(at) => format!("this is no text: byte {} is zero; name a YAML or JSON file", at + 1),
        },
        Err(at) => format!("this is no text: byte {} is none of UTF-8; name a YAML or JSON file", at + 1),
    };
    Err(SourceError::Unusable { source_name: source_name.to_owned(), what })
}

/// From wherever this is called, in a runtime or not: the answer is waited for on a thread of its own.
fn fetch(url: &str) -> Result<Vec<u8>, DocumentError> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime
            .expect("a runtime needs no more than this thread")
            .block_on(document::fetch(url, BYTES_MAX, TIMEOUT))
    };
    std::thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a file is far too long, endless, a folder, missing, or no text. Guarantee: an error that names it; it is not
    /// read whole.
    #[test]
    fn what_is_no_configuration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::File::create(path("long")).unwrap().set_len(100 << 20).unwrap();
        std::fs::write(path("binary"), b"a: 1\nb: \0\x01").unwrap();
        std::fs::write(path("latin"), b"a: \xe9").unwrap();
        let refused = |path: PathBuf| Source::File(path).text().unwrap_err().to_string();
        assert!(
            refused(path("long"))
                .ends_with("long:1:1: the file has 104857600 bytes; at most 4194304 are read")
        );
        assert!(refused(PathBuf::from("/dev/zero")).contains("at most 4194304 are read"));
        assert!(refused(path("")).contains("this is a folder"));
        assert!(refused(path("none")).starts_with("cannot read "));
        assert!(refused(path("binary")).contains("byte 9 is zero"));
        assert!(refused(path("latin")).contains("byte 4 is none of UTF-8"));
    }
}
