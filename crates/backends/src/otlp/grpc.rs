//! OTLP over gRPC: one HTTP/2 connection, shared by every export in flight.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Buf;
use crossfade_otlp::{ExportTraceServiceResponse, RpcStatus};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http::{Method, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use super::code::{Code, GrpcCode};
use super::cork::Cork;
use super::dial::{DialError, Dialer, Lease};
use super::framing::{
    Framed, PREFIX_BYTES, decode_grpc_message, decode_status_details, encode_timeout, frame,
};
use super::message::{Coding, Message};
use super::outcome::{Outcome, Silence};
use super::retry_after::{believed, retry_after};
use super::{Call, MESSAGE_BYTES_MAX, RESPONSE_BYTES_MAX, clip, unreachable};
use crate::tls;

type Body = Full<Framed>;

/// The largest frame that we take, and the windows that we open: measured, fewer and larger reads are what counts.
const FRAME_BYTES: u32 = 1 << 20;
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// How many connections may close before they take a request, until the server counts as unreachable.
pub(super) const UNSENT_ROUNDS_MAX: u32 = 4;

/// The connection in use, if there is one.
#[derive(Debug)]
pub(crate) struct GrpcPool {
    dialer: Arc<Dialer>,
    live: Mutex<Option<Live>>,
    /// Held while dialling, so that a burst of exports opens one connection; holds the number of dials that ended
    /// and the last one's failure, so that those who waited share it instead of dialling one after the other.
    dialling: tokio::sync::Mutex<Dials>,
    dials: std::sync::atomic::AtomicU64,
}

#[derive(Debug, Default)]
struct Dials {
    last_failure: Option<DialError>,
}

#[derive(Clone, Debug)]
struct Live {
    id: u64,
    sender: SendRequest<Body>,
}

impl GrpcPool {
    pub(crate) fn new(dialer: Arc<Dialer>) -> GrpcPool {
        GrpcPool {
            dialer,
            live: Mutex::default(),
            dialling: tokio::sync::Mutex::default(),
            dials: std::sync::atomic::AtomicU64::new(0),
        }
    }

    pub(crate) fn forget_all(&self) {
        *self.lock() = None;
    }

    /// A connection on which nothing came back since `since` is not used again: it may be half open.
    pub(crate) fn distrust(&self, since: Instant) {
        if self.dialer.meter().last_received().is_none_or(|last| last < since) {
            self.forget_all();
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.current().is_some()
    }

    pub(crate) async fn exchange(&self, call: Call<'_>, message: Message) -> Outcome {
        let coding = message.coding;
        let Some(framed) = frame(message) else {
            return too_long();
        };
        let mut request = request(&call, coding, framed);
        let mut unsent_rounds = 0;
        loop {
            let live = match self.connection(call.lease).await {
                Ok(live) => live,
                Err(error) => return unreachable(error),
            };
            // Between this check and the next line nothing waits: what is sent, is sent under a lease that holds.
            if let Err(error) = self.dialer.honour(call.lease) {
                return unreachable(error);
            }
            call.progress.store(true, Ordering::Relaxed);
            match live.sender.clone().try_send_request(request).await {
                Ok(response) => return read(response).await,
                Err(mut error) => match error.take_message() {
                    // The connection closed before the request was taken from our hands: not a byte was sent.
                    Some(unsent) => {
                        call.progress.store(false, Ordering::Relaxed);
                        self.forget(live.id);
                        request = unsent;
                        unsent_rounds += 1;
                        if unsent_rounds == UNSENT_ROUNDS_MAX {
                            return unreachable(hung_up(error.error()));
                        }
                    }
                    None => return broken(error.error()),
                },
            }
        }
    }

    async fn connection(&self, lease: Lease) -> Result<Live, DialError> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let before = self.dials.load(Ordering::SeqCst);
        let mut dials = self.dialling.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if self.dials.load(Ordering::SeqCst) != before
            && let Some(failure) = &dials.last_failure
        {
            return Err(failure.clone());
        }
        let dialled = self.dial(lease).await;
        self.dials.fetch_add(1, Ordering::SeqCst);
        dials.last_failure = dialled.as_ref().err().cloned();
        dialled
    }

    async fn dial(&self, lease: Lease) -> Result<Live, DialError> {
        let (line, ticket) = self.dialer.dial(lease).await?;
        let id = ticket.id;
        let handshake = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_frame_size(FRAME_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(64 << 10)
            .handshake::<_, Body>(TokioIo::new(Cork::new(line)));
        let (sender, connection) =
            handshake.await.map_err(|e| DialError::Failed(format!("HTTP/2 handshake: {}", chain(&e))))?;
        tokio::spawn(async move {
            let _ticket = ticket;
            // Its error is told to every request that was on it.
            let _ = connection.await;
        });
        let live = Live { id, sender };
        *self.lock() = Some(live.clone());
        Ok(live)
    }

    fn current(&self) -> Option<Live> {
        self.lock().as_ref().filter(|live| !live.sender.is_closed()).cloned()
    }

    fn forget(&self, id: u64) {
        let mut live = self.lock();
        if live.as_ref().is_some_and(|live| live.id == id) {
            *live = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Live>> {
        self.live.lock().expect("nothing panics while it holds this lock")
    }
}

fn request(call: &Call<'_>, coding: Coding, framed: Framed) -> Request<Body> {
    let mut request = Request::new(Full::new(framed));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = call.uri();
    let headers = request.headers_mut();
    call.put_metadata(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert("grpc-timeout", encode_timeout(call.remaining()));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
    if coding == Coding::Gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    request
}

async fn read(response: Response<Incoming>) -> Outcome {
    let (head, body) = response.into_parts();
    if head.headers.contains_key("grpc-status") {
        return conclude(&head.headers, &head.headers, &[]); // trailers only
    }
    if head.status != http::StatusCode::OK {
        let code = GrpcCode::from_http_of_grpc(head.status.as_u16());
        let message = format!("HTTP {} without a grpc-status", head.status.as_u16());
        return refusal(code, retry_after(&head.headers), message);
    }
    let (bytes, trailers) = match collect(body).await {
        Ok(read) => read,
        Err(outcome) => return outcome,
    };
    match trailers {
        Some(trailers) => conclude(&trailers, &head.headers, bytes.get(PREFIX_BYTES..).unwrap_or_default()),
        None => silence(Silence::Broken, "the answer ended without a grpc-status".to_owned()),
    }
}

/// Reads the answer's bytes, as many as are worth keeping, and its trailers.
async fn collect(mut body: Incoming) -> Result<(Vec<u8>, Option<HeaderMap>), Outcome> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| broken(&error))?.into_data() {
            Ok(mut data) => {
                let room = RESPONSE_BYTES_MAX.saturating_sub(bytes.len());
                bytes.extend_from_slice(&data.copy_to_bytes(data.remaining().min(room)));
            }
            Err(frame) => return Ok((bytes, frame.into_trailers().ok())),
        }
    }
    Ok((bytes, None))
}

/// What a `grpc-status`, with the message before it, amounts to.
fn conclude(trailers: &HeaderMap, headers: &HeaderMap, message: &[u8]) -> Outcome {
    let number = trailers.get("grpc-status").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let Some(code) = number.map(GrpcCode::from_number) else {
        return silence(Silence::Broken, "the answer has no readable grpc-status".to_owned());
    };
    if code == GrpcCode::Ok {
        return accepted(message);
    }
    let details = trailers.get("grpc-status-details-bin").and_then(decode_status_details);
    let wish = details.as_ref().and_then(|details: &RpcStatus| details.retry_delay);
    // Of RESOURCE_EXHAUSTED, RetryInfo alone says that it may be sent again; a header is a proxy's.
    let asked = || if code == GrpcCode::ResourceExhausted { None } else { retry_after(headers) };
    let delay = wish.map(believed).or_else(asked);
    let text = trailers.get("grpc-message").map(decode_grpc_message).unwrap_or_default();
    refusal(code, delay, text)
}

/// A success whose message cannot be read is still a success: the status said so, and the spans are stored.
pub(super) fn accepted(message: &[u8]) -> Outcome {
    let partial =
        ExportTraceServiceResponse::parse(message).ok().and_then(|r| r.partial_success).unwrap_or_default();
    Outcome::Accepted {
        rejected_spans: u64::try_from(partial.rejected_spans).unwrap_or(0),
        message: clip(&partial.error_message, MESSAGE_BYTES_MAX),
    }
}

fn refusal(code: GrpcCode, retry_after: Option<std::time::Duration>, message: String) -> Outcome {
    let message = clip(&message, MESSAGE_BYTES_MAX);
    if code.is_retryable(retry_after.is_some()) {
        Outcome::Retryable { code: Code::Grpc(code), retry_after, message }
    } else {
        Outcome::Rejected { code: Code::Grpc(code), message }
    }
}

fn too_long() -> Outcome {
    let message = "a request of more than 4 GiB does not fit a gRPC message".to_owned();
    Outcome::Rejected { code: Code::Grpc(GrpcCode::ResourceExhausted), message }
}

fn broken(error: &hyper::Error) -> Outcome {
    silence(Silence::Broken, chain(error))
}

/// Connections come about, and each ends before it takes a request.
pub(super) fn hung_up(error: &hyper::Error) -> DialError {
    DialError::Failed(format!("the server closes new connections at once: {}", chain(error)))
}

pub(super) fn silence(silence: Silence, detail: String) -> Outcome {
    Outcome::Unanswered { silence, detail }
}

/// An error with its sources: hyper's own `Display` leaves them out. What TLS has to say is said in its words.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    tls::explain(&text).map_or(text, |fault| fault.to_string())
}

/// Set once the first byte of a request may have left.
pub(super) type Progress = AtomicBool;
