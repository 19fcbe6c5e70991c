//! Key files: the signer's secret, readable by its owner alone, and the verifier key for everybody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use crossfade_tlog::key::{KeyError, KeyName};
use crossfade_tlog::{SignerKey, VerifierKey};

use crate::storage::here;

/// Why a key file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The origin cannot be the name of a key.
    #[error("{origin:?} cannot be the origin of a log")]
    Origin {
        /// What was given.
        origin: String,
        /// Why not.
        #[source]
        source: KeyError,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The file is there: a key is never overwritten.
    #[error("{} exists, and a key is never overwritten", file.display())]
    Exists {
        /// Which file.
        file: PathBuf,
    },
    /// Others than its owner may use the secret.
    #[error("{} may be used by others than its owner (mode {mode:04o}); run: chmod 600 {}", file.display(), file.display())]
    Open {
        /// Which file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no key.
    #[error("{} holds no key", file.display())]
    Key {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// The file could not be read or written.
    #[error("cannot use the key file {}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A new key for the log called `origin`, from the system's random bytes.
pub fn generate(origin: &str) -> Result<SignerKey, KeyFileError> {
    let name: KeyName =
        origin.parse().map_err(|source| KeyFileError::Origin { origin: origin.to_owned(), source })?;
    let mut seed = [0; 32];
    rand::fill(&mut seed).map_err(|_| KeyFileError::Random)?;
    Ok(SignerKey::from_seed(name, seed))
}

/// 32 bytes that nobody can guess, for a token.
pub fn random() -> Result<[u8; 32], KeyFileError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| KeyFileError::Random)?;
    Ok(bytes)
}

/// A number that nobody can guess, for a seed.
pub fn random_u64() -> Result<u64, KeyFileError> {
    let bytes = random()?;
    Ok(bytes.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// Writes the secret into a new file with mode 0600; durable afterwards.
pub fn save(file: &Path, key: &SignerKey) -> Result<(), KeyFileError> {
    write_new(file, &key.to_secret_text(), 0o600)
}

/// Reads a secret. A file that others may use is refused.
pub fn load(file: &Path) -> Result<SignerKey, KeyFileError> {
    let io = |source| KeyFileError::Io { file: file.to_owned(), source };
    let mode = fs::metadata(file).map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open { file: file.to_owned(), mode });
    }
    let text = fs::read_to_string(file).map_err(io)?;
    SignerKey::from_secret_text(text.strip_suffix('\n').unwrap_or(&text))
        .map_err(|source| KeyFileError::Key { file: file.to_owned(), source })
}

/// Writes the verifier key into a new file that everybody may read; durable afterwards.
pub fn save_verifier(file: &Path, key: &VerifierKey) -> Result<(), KeyFileError> {
    write_new(file, &key.to_string(), 0o644)
}

/// Reads a verifier key.
pub fn load_verifier(file: &Path) -> Result<VerifierKey, KeyFileError> {
    let text =
        fs::read_to_string(file).map_err(|source| KeyFileError::Io { file: file.to_owned(), source })?;
    text.strip_suffix('\n')
        .unwrap_or(&text)
        .parse()
        .map_err(|source| KeyFileError::Key { file: file.to_owned(), source })
}

fn write_new(file: &Path, line: &str, mode: u32) -> Result<(), KeyFileError> {
    let write = || {
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
        opened.write_all(format!("{line}\n").as_bytes())?;
        opened.sync_all()?;
        File::open(here(file.parent().unwrap_or(Path::new(""))))?.sync_all()
    };
    write().map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { file: file.to_owned() },
        _ => KeyFileError::Io { file: file.to_owned(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_keys_read_back_and_are_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, public) = (folder.path().join("log.key"), folder.path().join("log.pub"));
        let key = generate("crossfade.example/log").unwrap();
        save(&secret, &key).unwrap();
        save_verifier(&public, key.verifier()).unwrap();
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(&secret).unwrap().to_secret_text(), key.to_secret_text());
        assert_eq!(load_verifier(&public).unwrap(), *key.verifier());
        assert!(matches!(save(&secret, &key), Err(KeyFileError::Exists { .. })));
        assert!(matches!(save_verifier(&public, key.verifier()), Err(KeyFileError::Exists { .. })));
    }

    #[test]
    fn two_keys_differ() {
        let secret = || generate("a").unwrap().to_secret_text();
        assert_ne!(secret(), secret());
        assert_ne!(random().unwrap(), random().unwrap());
        assert_ne!(random_u64().unwrap(), random_u64().unwrap());
    }

    #[test]
    fn a_secret_that_others_may_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.key");
        save(&file, &generate("a").unwrap()).unwrap();
        for mode in [0o640, 0o604, 0o610, 0o777] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(load(&file), Err(KeyFileError::Open { .. })), "{mode:o}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(load(&file).is_ok());
    }

    #[test]
    fn what_holds_no_key_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.pub");
        assert!(matches!(load_verifier(&file), Err(KeyFileError::Io { .. })));
        fs::write(&file, "nonsense\n").unwrap();
        assert!(matches!(load_verifier(&file), Err(KeyFileError::Key { .. })));
        assert!(matches!(generate("two words"), Err(KeyFileError::Origin { .. })));
    }
}
