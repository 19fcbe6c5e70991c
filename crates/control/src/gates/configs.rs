//! The compared configurations, read with every file that they include.
//!
//! `${file:P}` is replaced, since what it names is part of the configuration; it is relative to the folder of the first file.
//! What is the site's own - keys, tokens, log - is none of a configuration's business, and stays as written: whoever may change
//! a configuration must not learn it from a report.
//! `${env:X}` and all else stays as it is written: the environment of whoever reads here is not that of the Collector, and a
//! verdict must not depend on it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crossfade_gates::drift::{LoadError, load};
use crossfade_rollout::Digest;
use crossfade_rollout::units::Snapshots;
use crossfade_yaml::{Node, Resolution, Resolve};

use super::drift::DriftError;
use crate::files;

/// The files of one configuration of one environment.
pub(super) struct Listed {
    /// `blue/collector`.
    pub(super) name: String,
    pub(super) paths: Vec<PathBuf>,
}

/// A file that cannot be read now. That says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be read: {why}; make it readable again, as it was")]
pub(crate) struct Unread {
    /// As snapshots name it.
    name: String,
    why: String,
}

impl Unread {
    pub(super) fn broken(why: &str) -> Unread {
        Unread { name: "a configuration".to_owned(), why: why.to_owned() }
    }
}

/// The configuration that files make together; none if there are no files. Nothing below `private` is included.
pub(super) fn read(paths: &[PathBuf], private: &[PathBuf]) -> Result<Option<Node>, DriftError> {
    let Some(first) = paths.first() else { return Ok(None) };
    let mut texts = Vec::new();
    for path in paths {
        texts.push((path.display().to_string(), files::read(path)?));
    }
    Ok(Some(merged(&texts, &Inclusions::beside(first, private))?))
}

fn merged(texts: &[(String, String)], inclusions: &Inclusions<'_>) -> Result<Node, LoadError> {
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    load(&texts, inclusions)
}

/// Digests of all files, listed or included, as they are now. One that cannot be read is absent, unless it is among
/// `wanted`: then nothing is known.
pub(super) fn digests(
    listed: &[Listed],
    wanted: Option<&Snapshots>,
    private: &[PathBuf],
) -> Result<Snapshots, Unread> {
    let mut digests = Snapshots::new();
    for set in listed {
        let mut found = BTreeMap::new();
        let mut texts = Vec::new();
        for (index, path) in set.paths.iter().enumerate() {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let bytes = std::fs::read(path);
            if let Ok(Ok(text)) = bytes.as_ref().map(|bytes| String::from_utf8(bytes.clone())) {
                texts.push((path.display().to_string(), text));
            }
            found.insert(format!("{}[{index}] {file}", set.name), digest(&bytes));
        }
        if let Some(first) = set.paths.first() {
            let inclusions = Inclusions::beside(first, private);
            // What is no configuration is for the drift gate to say; its bytes are digested all the same.
            let _ = merged(&texts, &inclusions);
            let included = inclusions.read.into_inner().into_iter();
            found.extend(included.map(|(path, digest)| (format!("{} ${{file:{path}}}", set.name), digest)));
        }
        for (name, digest) in found {
            match digest {
                Ok(digest) => _ = digests.insert(name, digest),
                Err(why) if wanted.is_some_and(|wanted| wanted.contains_key(&name)) => {
                    return Err(Unread { name, why });
                }
                Err(_) => {}
            }
        }
    }
    Ok(digests)
}

type Read = Result<Digest, String>;

fn digest(bytes: &std::io::Result<Vec<u8>>) -> Read {
    let digest = |bytes: &Vec<u8>| Digest::from_bytes(crossfade_tlog::sha256(bytes));
    bytes.as_ref().map(digest).map_err(ToString::to_string)
}

/// Answers `${file:P}`, and notes what was read.
struct Inclusions<'a> {
    base: PathBuf,
    private: &'a [PathBuf],
    read: RefCell<BTreeMap<String, Read>>,
}

impl Inclusions<'_> {
    fn beside<'a>(first: &Path, private: &'a [PathBuf]) -> Inclusions<'a> {
        let base = first.parent().unwrap_or(Path::new("")).to_owned();
        Inclusions { base, private, read: RefCell::default() }
    }

    /// Whether a file is the site's own, by whatever name it goes.
    fn is_private(&self, path: &Path) -> bool {
        let Ok(path) = path.canonicalize() else { return false };
        self.private.iter().filter_map(|own| own.canonicalize().ok()).any(|own| path.starts_with(own))
    }
}

impl Resolve for Inclusions<'_> {
    fn resolve(&self, scheme: &str, name: &str) -> Resolution {
        if scheme != "file" {
            return Resolution::Keep;
        }
        let path = self.base.join(name);
        if self.is_private(&path) {
            return Resolution::Keep;
        }
        let bytes = std::fs::read(path);
        self.read.borrow_mut().insert(name.to_owned(), digest(&bytes));
        let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.map_or(Resolution::Keep, Resolution::Text)
    }

    fn keeps(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(files: &[(&str, &str)]) -> Folder {
            let folder = Folder(tempfile::tempdir().unwrap());
            files.iter().for_each(|(name, text)| folder.write(name, text));
            folder
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        /// In place of the file, something that is there and cannot be read.
        fn spoil(&self, name: &str) {
            fs::remove_file(self.path(name)).unwrap();
            fs::create_dir(self.path(name)).unwrap();
        }

        fn digests(&self, wanted: Option<&Snapshots>) -> Result<Snapshots, Unread> {
            let paths = vec![self.path("base.yaml"), self.path("over.yaml")];
            digests(&[Listed { name: "blue/collector".to_owned(), paths }], wanted, &[])
        }
    }

    fn folder() -> Folder {
        Folder::new(&[
            ("base.yaml", "exporters: ${file:exporters.yaml}\n"),
            ("over.yaml", "service: { telemetry: ${env:LEVEL} }\n"),
            ("exporters.yaml", "otlp: { headers: { a: \"${file:token}\" } }\n"),
            ("token", "one\n"),
        ])
    }

    /// Scenario: a file that a configuration includes, itself or through another, changes after the plan.
    /// Guarantee: its digest does too.
    #[test]
    fn what_is_included_is_digested() {
        let folder = folder();
        let planned = folder.digests(None).unwrap();
        let names: Vec<&str> = planned.keys().map(String::as_str).collect();
        let expected = [
            "blue/collector ${file:exporters.yaml}",
            "blue/collector ${file:token}",
            "blue/collector[0] base.yaml",
            "blue/collector[1] over.yaml",
        ];
        assert_eq!(names, expected);
        assert_eq!(folder.digests(Some(&planned)).unwrap(), planned);
        folder.write("token", "two\n");
        let now = folder.digests(Some(&planned)).unwrap();
        let changed: Vec<&str> =
            now.iter().filter(|(name, at)| planned[*name] != **at).map(|(name, _)| name.as_str()).collect();
        assert_eq!(changed, ["blue/collector ${file:token}"]);
    }

    /// Scenario: a file of the plan, listed or included, cannot be read. Guarantee: nothing is concluded from that.
    #[test]
    fn what_cannot_be_read_is_no_change() {
        for (name, said) in [
            ("over.yaml", "blue/collector[1] over.yaml cannot be read: "),
            ("token", "blue/collector ${file:token} cannot be read: "),
        ] {
            let folder = folder();
            let planned = folder.digests(None).unwrap();
            folder.spoil(name);
            let unread = folder.digests(Some(&planned)).unwrap_err().to_string();
            assert!(unread.starts_with(said), "{unread}");
            // It was not there when the plan was made: then it is not waited for.
            let without = folder.digests(None).unwrap();
            assert_eq!(folder.digests(Some(&without)).unwrap(), without);
            assert!(without.len() < planned.len());
        }
    }

    /// Scenario: the process that compares has variables of the names that configurations use, as any has PATH.
    /// Guarantee: no reference to a variable is replaced by them, and defaults are not taken for values.
    #[test]
    fn variables_stay_as_written() {
        let written = "\"${env:PATH} ${PATH} ${env:PATH:-x} $${PATH} ${file:missing}\"";
        let folder =
            Folder::new(&[("base.yaml", &format!("a: {written}\nb: ${{file:b}}\n")), ("b", "${PATH}")]);
        let node = read(&[folder.path("base.yaml")], &[]).unwrap().unwrap();
        assert_eq!(node.get("a").and_then(Node::as_str), Some(written.trim_matches('"')));
        assert_eq!(node.get("b").and_then(Node::as_str), Some("${PATH}"));
    }

    /// Scenario: whoever may change a configuration includes a key of the site, directly, around a corner, or by a link.
    /// Guarantee: it is not read, neither for the comparison nor for a digest.
    #[test]
    fn what_is_the_sites_own_is_not_included() {
        let folder = Folder::new(&[("over.yaml", "{}")]);
        fs::create_dir_all(folder.path("data/keys")).unwrap();
        folder.write("data/keys/log.key", "hunter2");
        std::os::unix::fs::symlink(folder.path("data/keys/log.key"), folder.path("link")).unwrap();
        let private = [folder.path("data")];
        for name in ["data/keys/log.key", "./data/../data/keys/log.key", "link"] {
            let written = format!("${{file:{name}}}");
            folder.write("base.yaml", &format!("a: \"{written}\"\n"));
            let paths = [folder.path("base.yaml")];
            let read = |private| read(&paths, private).unwrap().unwrap();
            assert_eq!(read(&private).get("a").and_then(Node::as_str), Some(written.as_str()));
            assert_eq!(read(&[]).get("a").and_then(Node::as_str), Some("hunter2"));
            let listed = [Listed { name: "blue/collector".to_owned(), paths: paths.to_vec() }];
            assert_eq!(digests(&listed, None, &private).unwrap().len(), 1);
        }
    }
}
