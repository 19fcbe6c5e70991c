//! OTLP over gRPC: `TraceService/Export`, and a clear no to everything else.

use std::convert::Infallible;
use std::sync::Arc;

use crossfade_backends::otlp::Coding;
use crossfade_backends::otlp::framing::decode_timeout;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::body::{grpc_message, text};
use super::reply::{self, Reply};
use super::{admit, answer, metadata, overloaded};
use crate::answer::{Answer, Refusal};
use crate::budget::Budget;
use crate::worker::Worker;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const OTHER_SIGNALS: [&str; 3] = [
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/",
    "/opentelemetry.proto.collector.logs.v1.LogsService/",
    "/opentelemetry.proto.collector.profiles.",
];

/// Serves one call. `receiving`: of bodies that may be coming in on this connection.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    receiving: Arc<Budget>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    if !is_grpc(request.headers()) || request.method() != Method::POST {
        return Ok(not_grpc());
    }
    Ok(reply::grpc(match export(&worker, &receiving, request).await {
        Ok(answer) => answer,
        Err(refusal) => {
            worker.refused(&refusal);
            refusal.over_grpc()
        }
    }))
}

async fn export(
    worker: &Worker,
    receiving: &Arc<Budget>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    if head.uri.path() != EXPORT {
        return Err(unknown(head.uri.path()));
    }
    let coding = coding(&head.headers)?;
    let coming =
        receiving.share(1).map_err(|_| overloaded("too many unfinished requests of one connection"))?;
    let admitted = admit(worker)?;
    let (compressed, received) = grpc_message(body, &worker.bounds()).await?;
    drop((coming, admitted));
    let coding = match (compressed, coding) {
        (false, _) => Coding::Identity,
        (true, Some(coding)) => coding,
        (true, None) => {
            return Err(Refusal::BadFraming("a compressed message without a grpc-encoding".to_owned()));
        }
    };
    let patience = head.headers.get("grpc-timeout").and_then(decode_timeout);
    let metadata = metadata(worker, &head.headers);
    drop(head); // it holds what it was read into
    answer(worker, received, coding, metadata, patience).await
}

/// What a compressed message is compressed with. `None`: messages are not compressed.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Refusal> {
    match text(headers, "grpc-encoding") {
        None | Some("identity") => Ok(None),
        Some("gzip") => Ok(Some(Coding::Gzip)),
        Some(other) => Err(Refusal::UnsupportedCoding(format!(
            "grpc-encoding {other:?} is not supported: send gzip or identity"
        ))),
    }
}

fn unknown(path: &str) -> Refusal {
    let what = if OTHER_SIGNALS.iter().any(|service| path.starts_with(service)) {
        "this gateway takes traces only"
    } else {
        "unknown method"
    };
    Refusal::UnknownService(format!("{what}: {path}"))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let value = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    matches!(essence, "application/grpc" | "application/grpc+proto")
}

/// Whoever sent this does not speak gRPC, so the answer does not either.
fn not_grpc() -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}
