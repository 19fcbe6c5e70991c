//! OTLP senders: one connection each, over gRPC or HTTP, and what their answers mean to an SDK.

use super::fleet::Protocol;
use crate::wire::{self, GRPC_PATH, HTTP_PATH, Status};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// What came of one attempt to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Taken, but for so many spans.
    Accepted {
        /// `rejected_spans` of `partial_success`.
        rejected_spans: u64,
    },
    /// Refused for good.
    Rejected {
        /// The gRPC code or the HTTP status.
        status: u32,
    },
    /// Refused for now.
    Retryable {
        /// The gRPC code or the HTTP status.
        status: u32,
        /// From RetryInfo or Retry-After.
        retry_after: Option<Duration>,
    },
    /// No connection, or no answer on it in time.
    Unanswered,
}

/// As SDKs do.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Either padding: gRPC says to accept both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug)]
pub(crate) struct Exporter {
    protocol: Protocol,
    target: SocketAddr,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: Sender,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Exporter {
    pub(crate) fn new(protocol: Protocol, target: SocketAddr) -> Exporter {
        Exporter { protocol, target, connection: None }
    }

    /// The body of an encoded `ExportTraceServiceRequest`, as [`Exporter::export`] sends it.
    pub(crate) fn pack(&self, request: &[u8]) -> Bytes {
        match self.protocol {
            Protocol::Grpc => wire::frame(request),
            Protocol::HttpProtobufGzip => wire::gzip(request),
        }
    }

    /// One attempt, over the connection of the one before if that is still good.
    pub(crate) async fn export(&mut self, body: Bytes) -> Answer {
        let attempt = tokio::time::timeout(ATTEMPT_TIMEOUT, self.attempt(body)).await;
        match attempt.ok().flatten() {
            Some(answer) => answer,
            None => {
                self.connection = None;
                Answer::Unanswered
            }
        }
    }

    async fn attempt(&mut self, body: Bytes) -> Option<Answer> {
        let request = self.request(body);
        let connection = match self.connection.take() {
            Some(connection) if connection.is_open() => connection,
            _ => connect(self.protocol, self.target).await?,
        };
        let answer = match &mut self.connection.insert(connection).sender {
            Sender::Http1(sender) => {
                sender.ready().await.ok()?;
                of_http(sender.send_request(request).await.ok()?).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await.ok()?;
                of_grpc(sender.send_request(request).await.ok()?).await?
            }
        };
        Some(answer)
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let request = match self.protocol {
            Protocol::Grpc => Request::post(format!("http://{}{GRPC_PATH}", self.target))
                .version(Version::HTTP_2)
                .header(header::CONTENT_TYPE, "application/grpc")
                .header(header::TE, "trailers"),
            Protocol::HttpProtobufGzip => Request::post(HTTP_PATH)
                .header(header::HOST, self.target.to_string())
                .header(header::CONTENT_TYPE, "application/x-protobuf")
                .header(header::CONTENT_ENCODING, "gzip"),
        };
        let request = request.header(header::USER_AGENT, "crossfade-lab").body(Full::new(body));
        request.expect("its parts are constants and a socket address")
    }
}

impl Connection {
    fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }
}

async fn connect(protocol: Protocol, target: SocketAddr) -> Option<Connection> {
    let stream = TcpStream::connect(target).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let io = TokioIo::new(stream);
    let connection = match protocol {
        Protocol::Grpc => {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.ok()?;
            let task = tokio::spawn(async move { drop(connection.await) });
            Connection { sender: Sender::Http2(sender), task }
        }
        Protocol::HttpProtobufGzip => {
            let (sender, connection) = http1::handshake(io).await.ok()?;
            let task = tokio::spawn(async move { drop(connection.await) });
            Connection { sender: Sender::Http1(sender), task }
        }
    };
    Some(connection)
}

async fn of_http(response: Response<Incoming>) -> Option<Answer> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let status = u32::from(parts.status.as_u16());
    Some(match parts.status {
        StatusCode::OK => accepted(&body),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let seconds =
                text(&parts.headers, header::RETRY_AFTER.as_str()).and_then(|text| text.parse().ok());
            Answer::Retryable { status, retry_after: seconds.map(Duration::from_secs) }
        }
        _ => Answer::Rejected { status },
    })
}

async fn of_grpc(response: Response<Incoming>) -> Option<Answer> {
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.ok()?;
    // A failure before any message comes without trailers, in the headers alone.
    let trailers = collected.trailers().unwrap_or(&parts.headers).clone();
    let body = collected.to_bytes();
    let code: u32 = text(&trailers, "grpc-status").and_then(|code| code.parse().ok())?;
    let retry_after = text(&trailers, "grpc-status-details-bin")
        .and_then(|details| BASE64.decode(details).ok())
        .and_then(|details| Status::decode(details.as_slice()).ok())
        .and_then(|status| status.retry_after());
    Some(match code {
        0 => wire::unframe(&body, None).map(|message| accepted(&message)).unwrap_or(Answer::Unanswered),
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
        1 | 4 | 10 | 11 | 14 | 15 => Answer::Retryable { status: code, retry_after },
        // RESOURCE_EXHAUSTED, only if the server says when
        8 if retry_after.is_some() => Answer::Retryable { status: code, retry_after },
        _ => Answer::Rejected { status: code },
    })
}

fn accepted(body: &[u8]) -> Answer {
    let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|response| response.partial_success);
    let rejected = partial.map_or(0, |partial| partial.rejected_spans);
    Answer::Accepted { rejected_spans: u64::try_from(rejected).unwrap_or(0) }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
