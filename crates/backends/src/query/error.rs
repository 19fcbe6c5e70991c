//! Why a question has no answer.

use std::time::Duration;

/// Why a question has no answer. The URL is without the question's parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No connection, or it broke.
    #[error("{url} cannot be reached: {detail}")]
    Unreachable {
        /// Whom.
        url: String,
        /// Why.
        detail: String,
    },
    /// The time is up.
    #[error("{url} has not answered within {after:?}")]
    TimedOut {
        /// Who.
        url: String,
        /// After how long.
        after: Duration,
    },
    /// An answer that says no.
    #[error("{url} refuses with status {status}: {message}")]
    Refused {
        /// Who.
        url: String,
        /// HTTP's status.
        status: u16,
        /// Its words, cut short.
        message: String,
    },
    /// An answer longer than allowed.
    #[error(
        "{url} answers with more than {limit} bytes, and no more is read; ask for less, or check the address"
    )]
    TooLarge {
        /// Who.
        url: String,
        /// How much is read.
        limit: usize,
    },
    /// An answer that is not what this kind of store says.
    #[error(
        "{url} answers with something that is not a {product} answer: {detail}; check kind, address and base path"
    )]
    Malformed {
        /// Who.
        url: String,
        /// What it should be.
        product: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// A part of the trace, and the store says so.
    #[error("{url} answers with a part of the trace only: {message}")]
    Partial {
        /// Who.
        url: String,
        /// Its words, cut short.
        message: String,
    },
}

impl QueryError {
    /// Whether somebody answered.
    pub fn answered(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }

    /// Whether nobody answers there, or not as they should: what is wrong is the way to the store, and not what it holds.
    pub fn is_out_of_reach(&self) -> bool {
        !matches!(self, Self::Partial { .. } | Self::TooLarge { .. })
    }

    /// Whether asking again may help.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Partial { .. } => true,
            Self::Refused { status, .. } => matches!(status, 429 | 500..=599),
            Self::TooLarge { .. } | Self::Malformed { .. } => false,
        }
    }
}
