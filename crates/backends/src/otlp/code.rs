//! Status codes of the two transports, and which of them a client may retry.
//!
//! Source: OTLP 1.11, "Failures" (gRPC) and "Failures" (HTTP); the mapping between HTTP and gRPC where no
//! `grpc-status` was sent is gRPC's "HTTP to gRPC Status Code Mapping".

use std::fmt;

/// A gRPC status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum GrpcCode {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl GrpcCode {
    /// Every code, in numerical order.
    pub const ALL: [GrpcCode; 17] = [
        GrpcCode::Ok,
        GrpcCode::Cancelled,
        GrpcCode::Unknown,
        GrpcCode::InvalidArgument,
        GrpcCode::DeadlineExceeded,
        GrpcCode::NotFound,
        GrpcCode::AlreadyExists,
        GrpcCode::PermissionDenied,
        GrpcCode::ResourceExhausted,
        GrpcCode::FailedPrecondition,
        GrpcCode::Aborted,
        GrpcCode::OutOfRange,
        GrpcCode::Unimplemented,
        GrpcCode::Internal,
        GrpcCode::Unavailable,
        GrpcCode::DataLoss,
        GrpcCode::Unauthenticated,
    ];

    /// The code with this number; an unknown number is `Unknown`, as gRPC demands.
    pub fn from_number(number: i64) -> GrpcCode {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n)).copied().unwrap_or(GrpcCode::Unknown)
    }

    /// The number on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Whether OTLP lets a client retry: RESOURCE_EXHAUSTED only where the server said when.
    pub fn is_retryable(self, has_retry_info: bool) -> bool {
        match self {
            GrpcCode::Cancelled
            | GrpcCode::DeadlineExceeded
            | GrpcCode::Aborted
            | GrpcCode::OutOfRange
            | GrpcCode::Unavailable
            | GrpcCode::DataLoss => true,
            GrpcCode::ResourceExhausted => has_retry_info,
            _ => false,
        }
    }

    /// What an HTTP status without a `grpc-status` means to a gRPC client.
    pub fn from_http_of_grpc(status: u16) -> GrpcCode {
        match status {
            400 => GrpcCode::Internal,
            401 => GrpcCode::Unauthenticated,
            403 => GrpcCode::PermissionDenied,
            404 => GrpcCode::Unimplemented,
            429 | 502 | 503 | 504 => GrpcCode::Unavailable,
            _ => GrpcCode::Unknown,
        }
    }

    /// The name, as gRPC writes it.
    pub fn name(self) -> &'static str {
        match self {
            GrpcCode::Ok => "OK",
            GrpcCode::Cancelled => "CANCELLED",
            GrpcCode::Unknown => "UNKNOWN",
            GrpcCode::InvalidArgument => "INVALID_ARGUMENT",
            GrpcCode::DeadlineExceeded => "DEADLINE_EXCEEDED",
            GrpcCode::NotFound => "NOT_FOUND",
            GrpcCode::AlreadyExists => "ALREADY_EXISTS",
            GrpcCode::PermissionDenied => "PERMISSION_DENIED",
            GrpcCode::ResourceExhausted => "RESOURCE_EXHAUSTED",
            GrpcCode::FailedPrecondition => "FAILED_PRECONDITION",
            GrpcCode::Aborted => "ABORTED",
            GrpcCode::OutOfRange => "OUT_OF_RANGE",
            GrpcCode::Unimplemented => "UNIMPLEMENTED",
            GrpcCode::Internal => "INTERNAL",
            GrpcCode::Unavailable => "UNAVAILABLE",
            GrpcCode::DataLoss => "DATA_LOSS",
            GrpcCode::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// Whether OTLP over HTTP lets a client retry after this status: 429, 502, 503 and 504 only.
pub fn http_is_retryable(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

/// A status as the other side sent it, on the transport it sent it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Grpc(GrpcCode),
    Http(u16),
}

impl Code {
    /// The gRPC code that tells a gRPC client the same.
    ///
    /// A retryable HTTP status becomes UNAVAILABLE, because that is retryable with and without a RetryInfo; a
    /// permanent one becomes the nearest code that OTLP counts as permanent.
    pub fn as_grpc(self) -> GrpcCode {
        match self {
            Code::Grpc(code) => code,
            Code::Http(429 | 502 | 503 | 504) => GrpcCode::Unavailable,
            Code::Http(401) => GrpcCode::Unauthenticated,
            Code::Http(403) => GrpcCode::PermissionDenied,
            Code::Http(404 | 405 | 501) => GrpcCode::Unimplemented,
            Code::Http(409) => GrpcCode::AlreadyExists,
            Code::Http(412) => GrpcCode::FailedPrecondition,
            Code::Http(413) => GrpcCode::ResourceExhausted,
            Code::Http(status) if (400..500).contains(&status) => GrpcCode::InvalidArgument,
            Code::Http(status) if (500..600).contains(&status) => GrpcCode::Internal,
            Code::Http(_) => GrpcCode::Unknown,
        }
    }

    /// The HTTP status that tells an HTTP client the same. `has_retry_info`: a RESOURCE_EXHAUSTED with it is
    /// "too many requests", without it "too large".
    pub fn as_http(self, has_retry_info: bool) -> u16 {
        let code = match self {
            Code::Http(status) if status >= 400 => return status,
            Code::Http(_) => GrpcCode::Unknown, // a redirect or an informational status: not an answer to pass on
            Code::Grpc(code) => code,
        };
        match code {
            GrpcCode::Ok => 200,
            GrpcCode::ResourceExhausted if has_retry_info => 429,
            GrpcCode::DeadlineExceeded => 504,
            retryable if retryable.is_retryable(has_retry_info) => 503,
            GrpcCode::ResourceExhausted => 413,
            GrpcCode::InvalidArgument | GrpcCode::FailedPrecondition => 400,
            GrpcCode::Unauthenticated => 401,
            GrpcCode::PermissionDenied => 403,
            GrpcCode::NotFound => 404,
            GrpcCode::AlreadyExists => 409,
            GrpcCode::Unimplemented => 501,
            _ => 500,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::Grpc(code) => f.write_str(code.name()),
            Code::Http(status) => write!(f, "HTTP {status}"),
        }
    }
}
