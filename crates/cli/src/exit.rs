//! Exit codes, and errors that know theirs.

use std::process::ExitCode;

use crossfade_control::api::{ApiError, ErrorCode};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Passed, promoted, intact.
    Passed = 0,
    /// A gate, a policy or a verification refused.
    Refused = 1,
    /// Usage or configuration; nothing was done.
    Usage = 2,
    /// Data is missing.
    NoVerdict = 3,
    /// Rolled back or aborted.
    RolledBack = 4,
    /// Something could not be reached.
    Unreachable = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error with the exit code that it leads to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    /// Usage or configuration.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Failure {
        Failure { exit: Exit::Usage, error: error.into() }
    }

    /// Refused.
    pub(crate) fn refused(error: impl Into<anyhow::Error>) -> Failure {
        Failure { exit: Exit::Refused, error: error.into() }
    }

    /// Data is missing.
    pub(crate) fn no_verdict(error: impl Into<anyhow::Error>) -> Failure {
        Failure { exit: Exit::NoVerdict, error: error.into() }
    }

    /// Out of reach.
    pub(crate) fn unreachable(error: impl Into<anyhow::Error>) -> Failure {
        Failure { exit: Exit::Unreachable, error: error.into() }
    }

    /// The same, where something weighs more than it.
    pub(crate) fn ending(self, exit: Exit) -> Failure {
        Failure { exit, ..self }
    }

    /// Message and causes; a cause that the message repeats is left out.
    pub(crate) fn text(&self) -> String {
        let mut text = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        text
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        let exit = match error.0.code {
            ErrorCode::Invalid | ErrorCode::Unknown => Exit::Usage,
            ErrorCode::Denied | ErrorCode::Refused => Exit::Refused,
            ErrorCode::Unreachable | ErrorCode::Unavailable => Exit::Unreachable,
        };
        Failure { exit, error: error.into() }
    }
}

/// What a command returns.
pub(crate) type Outcome = Result<Exit, Failure>;

/// Gives an error its exit code on the way up.
pub(crate) trait OrExit<T> {
    /// A failure of usage or configuration.
    fn or_usage(self) -> Result<T, Failure>;
    /// Something refused.
    fn or_refused(self) -> Result<T, Failure>;
    /// Something out of reach.
    fn or_unreachable(self) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_usage(self) -> Result<T, Failure> {
        self.map_err(Failure::usage)
    }

    fn or_refused(self) -> Result<T, Failure> {
        self.map_err(Failure::refused)
    }

    fn or_unreachable(self) -> Result<T, Failure> {
        self.map_err(Failure::unreachable)
    }
}
