//! `crossfade init`: keys, tokens, the log and its first entry. Nothing that is there already is touched.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crossfade_rollout::observed::Urgency;
use crossfade_rollout::{Actor, Command, State, decide};
use crossfade_routing::{EnvironmentId, UnixNanos};

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
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
    }
    if let Some(folder) = site.log_dir.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|source| InitError::Make { path: folder.to_owned(), source })?;
    }
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
    let verifier = journal.verifier_key().to_string();
    let log_pub = site.log_pub();
    public_file(&log_pub, &verifier)?;
    Ok(Made { log_dir: site.log_dir.clone(), verifier, log_pub, secrets })
}

/// 32 random bytes in hexadecimal.
fn random_token() -> Result<String, InitError> {
    let bytes = crossfade_audit::keys::random().map_err(|error| InitError::Key(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn private_folder(path: &Path) -> Result<(), InitError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| InitError::Make { path: path.to_owned(), source })
}

fn private_file(path: &Path, text: &str) -> Result<(), InitError> {
    write_new(path, text, 0o600)
}

fn public_file(path: &Path, text: &str) -> Result<(), InitError> {
    write_new(path, text, 0o644)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), InitError> {
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    };
    write().map_err(|source| InitError::Make { path: path.to_owned(), source })
}
