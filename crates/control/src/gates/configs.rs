//! The compared configurations, read with every file that they include.
//!
//! `${file:P}` is replaced, since what it names is part of the configuration; it is relative to the folder of the first file.
//! What is the site's own - keys, tokens, log - is none of a configuration's business, and stays as written: whoever may change
//! a configuration must not learn it from a report. What stays so is *unknown*, equal on both sides or not.
//! `${env:X}` is what the side's environment file says. Without one, and where it says nothing, it stays as it is written: the
//! environment of whoever reads here is not that of the Collector, and a verdict must not depend on it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crossfade_gates::drift::{self, LoadError, Loaded, load_each, names_secret};
use crossfade_rollout::Digest;
use crossfade_rollout::units::Snapshots;
use crossfade_yaml::{Mark, Resolution, Resolve};

use super::drift::{DriftError, keyed_digest};
use crate::sources::{self, Source};

/// One side's configuration, as it is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Merged from left to right; none if the side has no configuration of that name.
    pub sources: Vec<Source>,
    /// What `${env:X}` stands for.
    pub env_file: Option<PathBuf>,
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
    /// What cannot be read is absent, unless it is wanted.
    pub(super) fn check(wanted: Option<&Snapshots>, name: String, why: String) -> Result<(), Unread> {
        match wanted.is_some_and(|wanted| wanted.contains_key(&name)) {
            true => Err(Unread { name, why }),
            false => Ok(()),
        }
    }

    pub(super) fn broken(why: &str) -> Unread {
        Unread { name: "a configuration".to_owned(), why: why.to_owned() }
    }
}

/// The configurations that files make together: one, unless a single file holds several; none if there are no files.
/// Nothing below `private` is included.
pub(super) fn read(listed: &Listed, private: &[PathBuf]) -> Result<Vec<Loaded>, DriftError> {
    let Some(first) = listed.sources.first() else { return Ok(Vec::new()) };
    let mut texts = Vec::new();
    for source in &listed.sources {
        texts.push((source.to_string(), source.text()?));
    }
    let environment = listed.env_file.as_deref().map(|path| environment(path, private)).transpose()?;
    Ok(merged(&texts, &Inclusions::beside(first, environment, private))?)
}

fn environment(path: &Path, private: &[PathBuf]) -> Result<drift::Environment, DriftError> {
    if is_private(path, private) {
        return Err(DriftError::Private { path: path.to_owned() });
    }
    let name = path.display().to_string();
    Ok(drift::Environment::parse(&sources::text(sources::bytes(path)?, &name)?, &name)?)
}

fn merged(texts: &[(String, String)], inclusions: &Inclusions<'_>) -> Result<Vec<Loaded>, LoadError> {
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    load_each(&texts, inclusions)
}

/// Digests of all files, listed or included, as they are now, by the names of their configurations (`blue/collector`). One
/// that cannot be read is absent, unless it is among `wanted`: then nothing is known. A file may hold nothing but a password, or
/// nothing else that is not known: digests are keyed.
pub(super) fn digests(
    listed: &[(String, Listed)],
    wanted: Option<&Snapshots>,
    private: &[PathBuf],
    redact_key: &[u8],
) -> Result<Snapshots, Unread> {
    let mut digests = Snapshots::new();
    for (set, listed) in listed {
        let mut found = BTreeMap::new();
        let mut texts = Vec::new();
        for (index, source) in listed.sources.iter().enumerate() {
            let bytes = source.bytes();
            if let Ok(Ok(text)) = bytes.as_ref().map(|bytes| String::from_utf8(bytes.clone())) {
                texts.push((source.to_string(), text));
            }
            let bytes = bytes.map_err(|error| cause(&error));
            found.insert(format!("{set}[{index}] {}", source.short()), bytes);
        }
        if let Some(path) = &listed.env_file {
            let name = format!("{set} env {}", path.file_name().unwrap_or_default().to_string_lossy());
            found.insert(name, sources::bytes(path).map_err(|error| cause(&error)));
        }
        if let Some(first) = listed.sources.first() {
            let environment = listed.env_file.as_deref().and_then(|path| environment(path, private).ok());
            let inclusions = Inclusions::beside(first, environment, private);
            // What is no configuration is for the drift gate to say; its bytes are digested all the same.
            let _ = merged(&texts, &inclusions);
            let included = inclusions.read.into_inner().into_iter();
            found.extend(included.map(|(path, bytes)| (format!("{set} ${{file:{path}}}"), bytes)));
        }
        for (name, bytes) in found {
            match bytes {
                Ok(bytes) => {
                    // Plans of earlier versions say the digest of the bytes; what is in them already stays.
                    let bare = Digest::from_bytes(crossfade_tlog::sha256(&bytes));
                    let said = wanted.and_then(|wanted| wanted.get(&name)) == Some(&bare);
                    let keyed = || Digest::from_bytes(keyed_digest(redact_key, &bytes));
                    digests.insert(name, if said { bare } else { keyed() });
                }
                Err(why) => Unread::check(wanted, name, why)?,
            }
        }
    }
    Ok(digests)
}

type Read = Result<Vec<u8>, String>;

fn cause(error: &sources::SourceError) -> String {
    match error {
        sources::SourceError::Read { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// Answers `${file:P}` and `${env:X}`, and notes what was read.
struct Inclusions<'a> {
    base: PathBuf,
    environment: Option<drift::Environment>,
    private: &'a [PathBuf],
    read: RefCell<BTreeMap<String, Read>>,
}

impl Inclusions<'_> {
    fn beside<'a>(
        first: &Source,
        environment: Option<drift::Environment>,
        private: &'a [PathBuf],
    ) -> Inclusions<'a> {
        Inclusions { base: first.folder(), environment, private, read: RefCell::default() }
    }

    fn file(&self, name: &str) -> Resolution {
        let path = self.base.join(name);
        if is_private(&path, self.private) {
            return Resolution::Keep;
        }
        // Only files: what is a device or a pipe may never end, or change by being read.
        let bytes = match path.metadata() {
            Ok(about) if !about.is_file() => Err("this is no file".to_owned()),
            _ => sources::bytes(&path).map_err(|error| cause(&error)),
        };
        self.read.borrow_mut().insert(name.to_owned(), bytes.clone());
        let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let mark = Mark::new(path.display().to_string(), 1, 1);
        text.map_or(Resolution::Keep, |text| Resolution::Found { text, mark, whole: true })
    }
}

/// Whether a file is the site's own, by whatever name it goes.
fn is_private(path: &Path, private: &[PathBuf]) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    private.iter().filter_map(|own| own.canonicalize().ok()).any(|own| path.starts_with(own))
}

impl Resolve for Inclusions<'_> {
    fn resolve(&self, scheme: &str, name: &str) -> Resolution {
        match (scheme, &self.environment) {
            ("file", _) => self.file(name),
            ("env", Some(environment)) => match environment.get(name) {
                Some((text, mark)) => {
                    Resolution::Found { text: text.to_owned(), mark: mark.clone(), whole: false }
                }
                None => Resolution::Absent,
            },
            _ => Resolution::Keep,
        }
    }

    fn keeps(&self) -> bool {
        true
    }

    fn is_secret(&self, _scheme: &str, name: &str) -> bool {
        names_secret(name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crossfade_yaml::Node;

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

        fn listed(&self, names: &[&str]) -> Listed {
            let sources = names.iter().map(|name| Source::File(self.path(name))).collect();
            Listed { sources, env_file: None }
        }

        fn digests(&self, wanted: Option<&Snapshots>) -> Result<Snapshots, Unread> {
            let listed = ("blue/collector".to_owned(), self.listed(&["base.yaml", "over.yaml"]));
            digests(&[listed], wanted, &[], b"key")
        }

        fn read(&self, listed: &Listed, private: &[PathBuf]) -> Node {
            read(listed, private).unwrap().remove(0).node
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
        let node = folder.read(&folder.listed(&["base.yaml"]), &[]);
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
            let listed = folder.listed(&["base.yaml"]);
            let read = |private| folder.read(&listed, private);
            assert_eq!(read(&private).get("a").and_then(Node::as_str), Some(written.as_str()));
            assert_eq!(read(&[]).get("a").and_then(Node::as_str), Some("hunter2"));
            let listed = [("blue/collector".to_owned(), listed)];
            assert_eq!(digests(&listed, None, &private, b"key").unwrap().len(), 1);
        }
    }

    fn with_environment(text: &str) -> (Folder, Listed) {
        let folder = Folder::new(&[
            ("base.yaml", "a: ${env:HOST}:1\nb: ${env:PATH}\nc: ${env:PATH:-x}\nd: ${file:d}\n"),
            ("d", "token: ${env:TOKEN}\nurl: http://${TOKEN}@h\n"),
            ("blue.env", text),
        ]);
        let listed = Listed { env_file: Some(folder.path("blue.env")), ..folder.listed(&["base.yaml"]) };
        (folder, listed)
    }

    /// Scenario: an environment file is given. Guarantee: its values are put in place, those of secret names marked; what it
    /// does not name has its default or stays, whatever this process has of that name.
    #[test]
    fn variables_of_the_environment_file() {
        let (folder, listed) = with_environment("HOST=blue\nTOKEN=hunter2\n");
        let node = folder.read(&listed, &[]);
        let text = |path: &[&str]| node.at(path).and_then(Node::as_str).unwrap_or_default();
        assert_eq!(
            [text(&["a"]), text(&["b"]), text(&["c"]), text(&["d", "token"]), text(&["d", "url"])],
            ["blue:1", "${env:PATH}", "x", "hunter2", "http://hunter2@h"]
        );
        let secret = |path: &[&str]| node.at(path).unwrap().is_secret();
        assert!(secret(&["d", "token"]) && secret(&["d", "url"]) && !secret(&["a"]) && !secret(&["d"]));
        let place = node.at(&["d", "token"]).unwrap().mark.to_string();
        assert!(place.ends_with("blue.env:2:7"), "{place}");
    }

    /// Scenario: a file changes after the plan; all that is not known of it is one short password.
    /// Guarantee: its digest changes too, and is not that of its bytes, which could be guessed. What a plan says in the manner of
    /// earlier versions holds until the file changes.
    #[test]
    fn digests_are_keyed() {
        let (folder, listed) = with_environment("TOKEN=1234\n");
        let listed = [("blue/collector".to_owned(), listed)];
        let digests = |key: &[u8], wanted| digests(&listed, wanted, &[], key).unwrap();
        let planned = digests(b"key", None);
        let bare =
            |name: &str| Digest::from_bytes(crossfade_tlog::sha256(&fs::read(folder.path(name)).unwrap()));
        let files = [
            ("blue/collector env blue.env", "blue.env"),
            ("blue/collector[0] base.yaml", "base.yaml"),
            ("blue/collector ${file:d}", "d"),
        ];
        let (old, other) =
            (files.map(|(name, file)| (name.to_owned(), bare(file))).into(), digests(b"another", None));
        for (name, file) in files {
            assert_ne!(planned[name], bare(file), "{name}");
            assert_ne!(planned[name], other[name], "{name}");
        }
        assert_eq!(digests(b"key", Some(&old)), old);
        folder.write("blue.env", "TOKEN=1235\n");
        assert_ne!(planned[files[0].0], digests(b"key", None)[files[0].0]);
        assert_ne!(old[files[0].0], digests(b"key", Some(&old))[files[0].0]);
    }

    #[test]
    fn an_environment_file_of_the_sites_own_is_refused() {
        let (folder, listed) = with_environment("A=hunter2\n");
        let error = read(&listed, &[folder.path("blue.env")]).unwrap_err().to_string();
        assert!(error.contains("blue.env") && !error.contains("hunter2"), "{error}");
    }
}
