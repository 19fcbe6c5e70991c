//! `crossfade init`: keys, tokens, the log and its first entry. Nothing that is there already is touched.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crossfade_audit::keys::{self, KeyFileError};
use crossfade_audit::storage::{Disk, Storage as _};
use crossfade_rollout::observed::Urgency;
use crossfade_rollout::{Actor, Command, State, decide};
use crossfade_routing::{EnvironmentId, UnixNanos};
use crossfade_tlog::VerifierKey;

use crate::journal::{Journal, JournalError};
use crate::site::Site;

/// What was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The log folder.
    pub log_dir: PathBuf,
    /// The log's verifier key, as text.
    pub verifier: String,
    /// Where the verifier key is.
    pub log_pub: PathBuf,
    /// Where the private keys and tokens are.
    pub secrets: Vec<PathBuf>,
}

/// Why a site could not be initialised.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The environment is not in the site.
    #[error("{path}: `{active}` is not one of its environments ({known}); name one of them with --active")]
    UnknownEnvironment {
        /// The configuration.
        path: PathBuf,
        /// What was asked for.
        active: String,
        /// What there is.
        known: String,
    },
    /// There is something already.
    #[error(
        "{path} exists already: this site is initialised; remove the data directory to begin anew, and with it the record"
    )]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// A file or folder cannot be made.
    #[error("cannot make {path}")]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No random bytes, or no key from them.
    #[error("cannot make a key: {0}")]
    Key(String),
    /// The log.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Makes keys, tokens and the log of a site, with `active` on record as the environment that serves.
///
/// # Errors
/// See [`InitError`].
pub fn init(site: &Site, active: &EnvironmentId, now: UnixNanos) -> Result<Made, InitError> {
    if !site.environments.contains_key(active) {
        let known: Vec<&str> = site.environments.keys().map(EnvironmentId::as_str).collect();
        return Err(InitError::UnknownEnvironment {
            path: site.path.clone(),
            active: active.to_string(),
            known: known.join(", "),
        });
    }
    let secrets = vec![
        site.key_file.clone(),
        site.redact_key_file(),
        site.token_file.clone(),
        site.gateway.token_file.clone(),
    ];
    let others = [site.log_dir.clone(), site.log_pub(), site.emergency_file()];
    let untouched = secrets.iter().chain(&others).find(|path| path.exists()).cloned();
    if let Some(path) = untouched {
        return Err(InitError::Exists { path });
    }
    for path in &secrets {
        make_folder(path.parent(), 0o700)?;
    }
    make_folder(site.log_dir.parent(), 0o777)?;
    for path in &secrets[1..] {
        private_file(path, &random_token()?)?;
    }
    let text =
        std::fs::read(&site.path).map_err(|source| InitError::Make { path: site.path.clone(), source })?;
    let digest = crossfade_rollout::Digest::from_bytes(crossfade_tlog::sha256(&text));
    let mut journal = Journal::create(site, now)?;
    let genesis = Command::Initialise { origin: site.origin.clone(), active: active.clone(), site: digest };
    let events =
        decide(&State::default(), genesis, now).map_err(|error| InitError::Key(error.to_string()))?;
    journal.append(&Actor::control(), &events, Urgency::Ordinary, now)?;
    let (key, log_pub) = (journal.verifier_key(), site.log_pub());
    keys::save_verifier(&log_pub, key).map_err(JournalError::from)?;
    Ok(Made { log_dir: site.log_dir.clone(), verifier: key.to_string(), log_pub, secrets })
}

/// Makes sure that the log's verifier key lies beside the log, as `init` left it; true if it was not there.
///
/// # Errors
/// There is another key, or none that can be read or written.
pub(crate) fn restore_verifier(site: &Site, key: &VerifierKey) -> Result<bool, RestoreError> {
    let file = site.log_pub();
    match keys::load_verifier(&file) {
        Ok(found) if found == *key => Ok(false),
        Ok(_) => Err(RestoreError::Another { file, key_file: site.key_file.clone() }),
        Err(KeyFileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            keys::save_verifier(&file, key)?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Why the verifier key beside the log is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is of another log.
    #[error(
        "{file} is not the verifier key of {key_file}: every verification with it would fail; remove it, and it is written anew from the signing key"
    )]
    Another {
        /// The verifier key.
        file: PathBuf,
        /// The signing key.
        key_file: PathBuf,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Key(#[from] KeyFileError),
}

/// 32 random bytes in hexadecimal.
fn random_token() -> Result<String, InitError> {
    let bytes = keys::random().map_err(|error| InitError::Key(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Makes a folder, and those above it that are missing; their names are durable afterwards.
fn make_folder(path: Option<&Path>, mode: u32) -> Result<(), InitError> {
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty() && !path.is_dir()) else {
        return Ok(());
    };
    make_folder(path.parent(), mode)?;
    let made = std::fs::DirBuilder::new().mode(mode).create(path).and_then(|()| sync_above(path));
    made.map_err(|source| InitError::Make { path: path.to_owned(), source })
}

/// Makes a file that only its owner may read; durable afterwards, as is its name.
fn private_file(path: &Path, text: &str) -> Result<(), InitError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        sync_above(path)
    };
    write().map_err(|source| InitError::Make { path: path.to_owned(), source })
}

fn sync_above(path: &Path) -> io::Result<()> {
    Disk.sync_folder(path.parent().unwrap_or(Path::new("")))
}
