//! OTLP over HTTP: `POST /v1/traces` with a protobuf body, and a clear no to everything else.

use std::convert::Infallible;
use std::sync::Arc;

use crossfade_backends::otlp::Coding;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap};
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;

use super::body::{linger, text, whole};
use super::reply::{self, BodyType, Reply};
use super::{admit, answer, metadata};
use crate::answer::{Answer, Refusal};
use crate::worker::Worker;

const TRACES: &str = "/v1/traces";
const OTHER_SIGNALS: [&str; 3] = ["/v1/metrics", "/v1/logs", "/v1development/profiles"];

/// Serves one request.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let body_type = body_type(request.headers());
    let answer = match export(&worker, request).await {
        Ok(answer) => answer,
        Err(refusal) => {
            worker.refused(&refusal);
            refusal.over_http()
        }
    };
    Ok(reply::http(answer, body_type))
}

async fn export(worker: &Worker, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    let (coding, admitted) = match coding_of(&head).and_then(|coding| Ok((coding, admit(worker)?))) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            // A client that asks before it sends has sent nothing yet.
            if !head.headers.contains_key(EXPECT) {
                linger(body).await;
            }
            return Err(refusal);
        }
    };
    let received = whole(body, &worker.bounds()).await?;
    drop(admitted);
    let metadata = metadata(worker, &head.headers);
    drop(head); // it holds what it was read into
    answer(worker, received, coding, metadata, None).await
}

fn coding_of(head: &Parts) -> Result<Coding, Refusal> {
    let path = head.uri.path();
    if OTHER_SIGNALS.contains(&path) {
        return Err(Refusal::UnknownPath(format!("this gateway takes traces only: {path}")));
    }
    if path != TRACES {
        return Err(Refusal::UnknownPath(format!("{path} is not served here: POST {TRACES}")));
    }
    if head.method != Method::POST {
        return Err(Refusal::WrongMethod(format!("{} {TRACES}: only POST is served", head.method)));
    }
    if body_type(&head.headers) != BodyType::Protobuf {
        let given = text(&head.headers, CONTENT_TYPE.as_str()).unwrap_or("none");
        return Err(Refusal::UnsupportedType(format!(
            "content type {given:?} is not supported: send application/x-protobuf \
             (OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)"
        )));
    }
    // RFC 9110, section 8.4.1: names of codings know no case, and "x-gzip" is an old one for gzip.
    match text(&head.headers, CONTENT_ENCODING.as_str()) {
        None | Some("") => Ok(Coding::Identity),
        Some(name) if name.eq_ignore_ascii_case("identity") => Ok(Coding::Identity),
        Some(name) if ["gzip", "x-gzip"].iter().any(|gzip| name.eq_ignore_ascii_case(gzip)) => {
            Ok(Coding::Gzip)
        }
        Some(other) => Err(Refusal::UnsupportedCoding(format!(
            "content encoding {other:?} is not supported: send gzip or none"
        ))),
    }
}

fn body_type(headers: &HeaderMap) -> BodyType {
    let value = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-protobuf") { BodyType::Protobuf } else { BodyType::Json }
}
