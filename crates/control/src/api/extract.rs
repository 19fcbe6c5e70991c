//! Bodies and queries, whose refusals look like every other error of the API.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::{ErrorBody, ErrorCode};

/// A body of JSON.
pub(super) struct Json<T>(pub(super) T);

/// A query string.
pub(super) struct Asked<T>(pub(super) T);

/// Why it was not understood.
pub(super) struct NotUnderstood {
    status: StatusCode,
    message: String,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = NotUnderstood;

    async fn from_request(request: Request, state: &S) -> Result<Self, NotUnderstood> {
        let axum::Json(body) = axum::Json::from_request(request, state).await?;
        Ok(Json(body))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = NotUnderstood;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, NotUnderstood> {
        let Query(query) = Query::from_request_parts(parts, state).await?;
        Ok(Asked(query))
    }
}

impl From<JsonRejection> for NotUnderstood {
    fn from(rejection: JsonRejection) -> NotUnderstood {
        NotUnderstood { status: rejection.status(), message: rejection.body_text() }
    }
}

impl From<QueryRejection> for NotUnderstood {
    fn from(rejection: QueryRejection) -> NotUnderstood {
        NotUnderstood { status: rejection.status(), message: rejection.body_text() }
    }
}

impl IntoResponse for NotUnderstood {
    fn into_response(self) -> Response {
        let body = ErrorBody { code: ErrorCode::Invalid, message: self.message };
        (self.status, axum::Json(body)).into_response()
    }
}
