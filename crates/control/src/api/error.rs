//! Errors as the API says them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crossfade_rollout::Rejection;
use serde::{Deserialize, Serialize};

/// What kind of error it is; callers choose their exit code by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The token is missing or wrong.
    Denied,
    /// The request makes no sense.
    Invalid,
    /// There is no such thing.
    Unknown,
    /// The rules refuse it; nothing was done.
    Refused,
    /// Something that is needed cannot be reached.
    Unreachable,
    /// The log does not take entries, or the control plane is ending.
    Unavailable,
}

/// The body of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The kind.
    pub code: ErrorCode,
    /// What happened, and what to do.
    pub message: String,
}

/// An error of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct ApiError(pub ErrorBody);

impl ApiError {
    /// With code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError(ErrorBody { code, message: message.into() })
    }

    pub(crate) fn denied(message: &str) -> ApiError {
        ApiError::new(ErrorCode::Denied, message)
    }

    pub(crate) fn invalid(message: &str) -> ApiError {
        ApiError::new(ErrorCode::Invalid, message)
    }

    pub(crate) fn unknown(message: &str) -> ApiError {
        ApiError::new(ErrorCode::Unknown, message)
    }

    pub(crate) fn unavailable(message: &str) -> ApiError {
        ApiError::new(ErrorCode::Unavailable, message)
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> ApiError {
        ApiError::new(ErrorCode::Refused, rejection.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            ErrorCode::Denied => StatusCode::UNAUTHORIZED,
            ErrorCode::Invalid => StatusCode::BAD_REQUEST,
            ErrorCode::Unknown => StatusCode::NOT_FOUND,
            ErrorCode::Refused => StatusCode::CONFLICT,
            ErrorCode::Unreachable => StatusCode::BAD_GATEWAY,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(self.0)).into_response()
    }
}
