//! The part of Jaeger's HTTP query API, version 3, that reads traces back.
//!
//! `GET /api/v3/traces/{id}`, `/api/v3/traces?query.…`, `/api/v3/services`, `/api/v3/operations?service=…`, `/healthz`; and
//! the older `/api/traces?service=…&tags=…`, for version 3 cannot be asked for attributes: of its answer, only ids.
//! Spans are never adjusted, so `rawTraces` is accepted and changes nothing.

use super::store::{Search, Store};
use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use crossfade_routing::TraceId;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, TracesData};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const TRACES_IF_NOT_SAID: usize = 100;

/// The routes over one store; all but `/healthz` need the token, if there is one.
pub(crate) fn router(store: Arc<Store>, token: Option<String>) -> Router {
    let wanted = token.map(|token| Arc::from(format!("Bearer {token}")));
    Router::new()
        .route("/api/v3/services", get(services))
        .route("/api/v3/operations", get(operations))
        .route("/api/v3/traces", get(find))
        .route("/api/traces", get(find_ids))
        .route("/api/v3/traces/{id}", get(trace))
        .layer(middleware::from_fn_with_state(wanted, guard))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(store)
}

/// Turns away who does not bring the token.
async fn guard(State(wanted): State<Option<Arc<str>>>, request: Request, next: Next) -> Response {
    let brought = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if wanted.is_some_and(|wanted| brought != Some(&*wanted)) {
        return error(StatusCode::UNAUTHORIZED, "a bearer token is required");
    }
    next.run(request).await
}

#[derive(Deserialize)]
struct OperationsQuery {
    service: Option<String>,
    span_kind: Option<String>,
}

/// Jaeger's names; `num_traces` was renamed to `search_depth`.
#[derive(Deserialize)]
struct FindQuery {
    #[serde(rename = "query.service_name")]
    service: Option<String>,
    #[serde(rename = "query.operation_name")]
    operation: Option<String>,
    #[serde(rename = "query.start_time_min")]
    start_min: Option<String>,
    #[serde(rename = "query.start_time_max")]
    start_max: Option<String>,
    #[serde(rename = "query.num_traces", alias = "query.search_depth")]
    limit: Option<usize>,
}

/// Of the older search: times in microseconds, attributes as a JSON object of texts.
#[derive(Deserialize)]
struct OldFindQuery {
    service: Option<String>,
    operation: Option<String>,
    tags: Option<String>,
    start: u64,
    end: u64,
    limit: Option<usize>,
}

async fn services(State(store): State<Arc<Store>>) -> Response {
    Json(json!({ "services": store.services() })).into_response()
}

async fn operations(State(store): State<Arc<Store>>, Query(query): Query<OperationsQuery>) -> Response {
    let Some(service) = query.service else { return error(StatusCode::BAD_REQUEST, "service is required") };
    let operations = store.operations(&service).into_iter().map(|(name, kind)| (name, kind_word(kind)));
    let wanted =
        operations.filter(|(_, kind)| query.span_kind.as_deref().is_none_or(|wanted| wanted == *kind));
    let operations: Vec<_> = wanted.map(|(name, kind)| json!({ "name": name, "spanKind": kind })).collect();
    Json(json!({ "operations": operations })).into_response()
}

async fn trace(State(store): State<Arc<Store>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<TraceId>() else { return error(StatusCode::BAD_REQUEST, "not a trace id") };
    match store.trace(&id) {
        Some(trace) => result(trace),
        None => error(StatusCode::NOT_FOUND, "trace not found"),
    }
}

async fn find(State(store): State<Arc<Store>>, Query(query): Query<FindQuery>) -> Response {
    let (Some(start_min), Some(start_max)) = (nanos(&query.start_min), nanos(&query.start_max)) else {
        let need = "query.start_time_min and query.start_time_max are required, in RFC 3339";
        return error(StatusCode::BAD_REQUEST, need);
    };
    let found = store.find(&Search {
        service: query.service,
        operation: query.operation,
        attributes: BTreeMap::new(),
        started: start_min..start_max.saturating_add(1),
        limit: query.limit.unwrap_or(TRACES_IF_NOT_SAID),
    });
    if found.is_empty() {
        return error(StatusCode::NOT_FOUND, "no traces found");
    }
    result(found.into_iter().flatten().collect())
}

async fn find_ids(State(store): State<Arc<Store>>, Query(query): Query<OldFindQuery>) -> Response {
    let Ok(attributes) = serde_json::from_str(query.tags.as_deref().unwrap_or("{}")) else {
        return error(StatusCode::BAD_REQUEST, "tags: not an object of texts");
    };
    let found = store.find_ids(&Search {
        service: query.service,
        operation: query.operation,
        attributes,
        started: query.start.saturating_mul(1000)..query.end.saturating_mul(1000).saturating_add(1),
        limit: query.limit.unwrap_or(TRACES_IF_NOT_SAID),
    });
    let data: Vec<_> = found.iter().map(|id| json!({ "traceID": id.to_string() })).collect();
    Json(json!({ "data": data, "errors": null })).into_response()
}

fn nanos(time: &Option<String>) -> Option<u64> {
    let time: jiff::Timestamp = time.as_deref()?.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

/// Written out as it is: a tree of values first would be twice the work.
#[derive(Serialize)]
struct Answer {
    result: TracesData,
}

fn result(resource_spans: Vec<ResourceSpans>) -> Response {
    Json(Answer { result: TracesData { resource_spans } }).into_response()
}

fn error(status: StatusCode, message: &str) -> Response {
    let body = json!({ "error": { "httpCode": status.as_u16(), "message": message } });
    (status, Json(body)).into_response()
}

fn kind_word(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}
