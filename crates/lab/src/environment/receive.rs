//! The OTLP receivers: gRPC with its own small framing over HTTP/2, and HTTP/1.1 with protobuf or JSON bodies.

use super::ingest::{Answer, Ingest, Unread};
use super::listener::{Body, Hangup};
use crate::wire::{self, GRPC_PATH, HTTP_PATH, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::convert::Infallible;
use std::sync::Arc;

const GRPC_CONTENT: &str = "application/grpc";
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const INVALID_ARGUMENT: u32 = 3;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const CANCELLED: u32 = 1;

/// Answers one gRPC call.
pub(crate) async fn grpc(ingest: Arc<Ingest>, request: Request<Incoming>, hangup: Hangup) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST || parts.uri.path() != GRPC_PATH {
        return grpc_error(&Status::new(UNIMPLEMENTED, "only the trace service is here", None));
    }
    let message = match ingest.read(body).await {
        Ok(body) => wire::unframe(&body, text(&parts.headers, "grpc-encoding")),
        Err(Unread::TooLarge) => Err(wire::Unreadable::TooLarge),
        Err(Unread::Broken) => return grpc_error(&Status::new(CANCELLED, "the body broke off", None)),
    };
    match ingest.answer(message, &hangup).await {
        Answer::Accepted(response) => grpc_ok(wire::frame(&response.encode_to_vec())),
        Answer::Refused(refusal) => {
            grpc_error(&Status::new(refusal.grpc_code, &refusal.message, refusal.retry_after))
        }
        Answer::Malformed { too_large, message } => {
            let code = if too_large { RESOURCE_EXHAUSTED } else { INVALID_ARGUMENT };
            grpc_error(&Status::new(code, &message, None))
        }
    }
}

/// Answers one request of the OTLP/HTTP port.
pub(crate) async fn http(ingest: Arc<Ingest>, request: Request<Incoming>, hangup: Hangup) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/healthz") => return plain(StatusCode::OK, "ok\n"),
        (&Method::POST, HTTP_PATH) => {}
        (_, HTTP_PATH) => return plain(StatusCode::METHOD_NOT_ALLOWED, "POST only\n"),
        _ => return plain(StatusCode::NOT_FOUND, "POST /v1/traces or GET /healthz\n"),
    }
    let is_json = match text(&parts.headers, header::CONTENT_TYPE.as_str()) {
        Some(PROTOBUF) => false,
        Some(JSON) => true,
        _ => {
            let only = "application/x-protobuf or application/json only\n";
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, only);
        }
    };
    let message = match ingest.read(body).await {
        Ok(body) => wire::decompress(body, text(&parts.headers, header::CONTENT_ENCODING.as_str())),
        Err(Unread::TooLarge) => Err(wire::Unreadable::TooLarge),
        Err(Unread::Broken) => return plain(StatusCode::BAD_REQUEST, "the body broke off\n"),
    };
    let message = match message {
        Ok(body) if is_json => match serde_json::from_slice::<ExportTraceServiceRequest>(&body) {
            Ok(request) => Ok(request.encode_to_vec().into()),
            Err(_) => return plain(StatusCode::BAD_REQUEST, "not an ExportTraceServiceRequest in JSON\n"),
        },
        message => message,
    };
    match ingest.answer(message, &hangup).await {
        Answer::Accepted(response) if is_json => {
            let body = serde_json::to_vec(&response).expect("a response holds only texts and numbers");
            let mut response = Response::new(whole(body.into()));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
            response
        }
        Answer::Accepted(response) => protobuf(StatusCode::OK, &response),
        Answer::Refused(refusal) => {
            let status =
                StatusCode::from_u16(refusal.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = protobuf(status, &Status::new(refusal.grpc_code, &refusal.message, None));
            if let Some(delay) = refusal.retry_after {
                let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Answer::Malformed { too_large: true, message } => {
            protobuf(StatusCode::PAYLOAD_TOO_LARGE, &Status::new(RESOURCE_EXHAUSTED, &message, None))
        }
        Answer::Malformed { too_large: false, message } => {
            protobuf(StatusCode::BAD_REQUEST, &Status::new(INVALID_ARGUMENT, &message, None))
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn grpc_ok(framed: Bytes) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(framed).with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(GRPC_CONTENT));
    response
}

/// A response of trailers only: gRPC's way to fail before any message.
fn grpc_error(status: &Status) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(GRPC_CONTENT));
    headers.insert("grpc-status", HeaderValue::from(status.code));
    if let Ok(message) = HeaderValue::from_str(&status.message) {
        headers.insert("grpc-message", message);
    }
    if status.retry_after().is_some() {
        let details = STANDARD_NO_PAD.encode(status.encode_to_vec());
        let details = HeaderValue::from_str(&details).expect("base64 is visible ASCII");
        headers.insert(HeaderName::from_static("grpc-status-details-bin"), details);
    }
    response
}

fn protobuf(status: StatusCode, message: &impl Message) -> Response<Body> {
    let mut response = Response::new(whole(message.encode_to_vec().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    response
}

fn plain(status: StatusCode, message: &'static str) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::from_static(message.as_bytes())));
    *response.status_mut() = status;
    response
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
