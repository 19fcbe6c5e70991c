//! Writing an answer down, for either transport.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use crossfade_backends::otlp::framing::{PREFIX_BYTES, encode_grpc_message, encode_status_details};
use crossfade_backends::otlp::{Code, GrpcCode};
use crossfade_otlp::{ExportTraceServiceResponse, PartialSuccess, RpcStatus};
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::answer::Answer;

/// A body of at most one piece, and trailers.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// An empty response message: most answers are this one.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; PREFIX_BYTES]);

/// Over gRPC. An error is "trailers only".
pub(super) fn grpc(answer: Answer) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    match answer {
        Answer::Accepted { rejected_spans, message } => {
            let mut trailers = HeaderMap::with_capacity(1);
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let data = framed(&export_response(rejected_spans, message));
            *response.body_mut() = Reply { data: Some(data), trailers: Some(trailers) };
        }
        Answer::Failed { code, retry_after, message } => {
            put_grpc_status(response.headers_mut(), code.as_grpc(), retry_after, message);
        }
    }
    response
}

fn put_grpc_status(headers: &mut HeaderMap, code: GrpcCode, retry_after: Option<Duration>, message: String) {
    headers.insert("grpc-status", HeaderValue::from(u16::from(code.number())));
    headers.insert("grpc-message", encode_grpc_message(&message));
    if retry_after.is_some() {
        let status = RpcStatus { code: i32::from(code.number()), message, retry_delay: retry_after };
        headers.insert("grpc-status-details-bin", encode_status_details(&status));
    }
}

/// The type of an HTTP request's body, as far as it matters for the answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyType {
    Protobuf,
    /// JSON, or something that we do not know: JSON can at least be read by a person.
    Json,
}

/// Over HTTP: an `ExportTraceServiceResponse`, or a `google.rpc.Status`.
pub(super) fn http(answer: Answer, body_type: BodyType) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    let bytes = match answer {
        Answer::Accepted { rejected_spans, message } => export_response(rejected_spans, message),
        Answer::Failed { code, retry_after, message } => {
            let status = code.as_http(retry_after.is_some());
            *response.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            put_http_hints(response.headers_mut(), status, retry_after);
            rpc_status(code, retry_after, message, body_type)
        }
    };
    let content_type = match body_type {
        BodyType::Protobuf => "application/x-protobuf",
        BodyType::Json => "application/json",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    *response.body_mut() = Reply { data: (!bytes.is_empty()).then(|| bytes.into()), trailers: None };
    response
}

fn put_http_hints(headers: &mut HeaderMap, status: u16, retry_after: Option<Duration>) {
    if let Some(delay) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
    }
    match status {
        405 => headers.insert(ALLOW, HeaderValue::from_static("POST")),
        415 => headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity")),
        _ => None,
    };
}

fn rpc_status(code: Code, retry_delay: Option<Duration>, message: String, body_type: BodyType) -> Vec<u8> {
    let number = code.as_grpc().number();
    match body_type {
        BodyType::Protobuf => {
            let mut bytes = Vec::new();
            RpcStatus { code: i32::from(number), message, retry_delay }.encode(&mut bytes);
            bytes
        }
        BodyType::Json => serde_json::json!({ "code": number, "message": message }).to_string().into_bytes(),
    }
}

fn export_response(rejected_spans: u64, message: String) -> Vec<u8> {
    let mut bytes = Vec::new();
    if rejected_spans > 0 || !message.is_empty() {
        let rejected_spans = i64::try_from(rejected_spans).unwrap_or(i64::MAX);
        let partial_success = Some(PartialSuccess { rejected_spans, error_message: message });
        ExportTraceServiceResponse { partial_success }.encode(&mut bytes);
    }
    bytes
}

fn framed(message: &[u8]) -> Bytes {
    if message.is_empty() {
        return EMPTY_MESSAGE;
    }
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a message that we wrote is short"));
    framed.extend_from_slice(message);
    framed.into()
}

/// Rounded up: to come back too early is what the server asked not to be done.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}
