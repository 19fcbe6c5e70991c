//! OTLP over HTTP/1.1: a pool of connections, one export on each at a time.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes};
use crossfade_otlp::RpcStatus;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;

use super::code::{Code, http_is_retryable};
use super::dial::{DialError, Dialer, Lease};
use super::endpoint::Protocol;
use super::grpc::{UNSENT_ROUNDS_MAX, accepted, chain, hung_up, silence};
use super::message::{Coding, Message};
use super::outcome::{Outcome, Silence};
use super::retry_after::{believed, retry_after};
use super::{Call, MESSAGE_BYTES_MAX, RESPONSE_BYTES_MAX, clip, unreachable};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// Idle connections that are kept. More would not be wrong, only unused.
const IDLE_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct HttpPool {
    dialer: Arc<Dialer>,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl HttpPool {
    pub(crate) fn new(dialer: Arc<Dialer>) -> HttpPool {
        HttpPool { dialer, idle: Mutex::default() }
    }

    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    pub(crate) fn is_live(&self) -> bool {
        self.lock().iter().any(|sender| !sender.is_closed())
    }

    pub(crate) async fn exchange(&self, call: Call<'_>, message: Message) -> Outcome {
        let mut request = request(&call, message);
        let mut unsent_rounds = 0;
        loop {
            let (mut sender, is_new) = match self.connection(call.lease).await {
                Ok(sender) => sender,
                Err(error) => return unreachable(error),
            };
            // Between this check and the next line nothing waits: what is sent, is sent under a lease that holds.
            if let Err(error) = self.dialer.honour(call.lease) {
                return unreachable(error);
            }
            call.progress.store(true, Ordering::Relaxed);
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let (outcome, whole) = read(response).await;
                    if whole {
                        self.put_back(sender);
                    }
                    return outcome;
                }
                Err(mut error) => match error.take_message() {
                    // The server closed an idle connection at that very moment: not a byte was sent.
                    Some(unsent) => {
                        call.progress.store(false, Ordering::Relaxed);
                        request = unsent;
                        unsent_rounds += u32::from(is_new);
                        if unsent_rounds == UNSENT_ROUNDS_MAX {
                            return unreachable(hung_up(error.error()));
                        }
                    }
                    None => return silence(Silence::Broken, chain(error.error())),
                },
            }
        }
    }

    /// A connection, and whether it was opened now.
    async fn connection(&self, lease: Lease) -> Result<(SendRequest<Full<Bytes>>, bool), DialError> {
        loop {
            // The youngest first: it is the least likely to have been closed by the server. (A statement of its own,
            // so that the lock is not held while we wait.)
            let idle = self.lock().pop();
            let Some(mut sender) = idle else { break };
            if sender.ready().await.is_ok() {
                return Ok((sender, false));
            }
        }
        let (line, ticket) = self.dialer.dial(lease).await?;
        let handshake = Builder::new().handshake(TokioIo::new(line)).await;
        let (sender, connection) =
            handshake.map_err(|e| DialError::Failed(format!("HTTP/1.1 handshake: {}", chain(&e))))?;
        tokio::spawn(async move {
            let _ticket = ticket;
            // Its error is told to the request that was on it.
            let _ = connection.await;
        });
        Ok((sender, true))
    }

    fn put_back(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.lock();
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Full<Bytes>>>> {
        self.idle.lock().expect("nothing panics while it holds this lock")
    }
}

fn request(call: &Call<'_>, message: Message) -> Request<Full<Bytes>> {
    let coding = message.coding;
    let mut request = Request::new(Full::new(message.bytes));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = call.path();
    let headers = request.headers_mut();
    call.put_metadata(headers);
    headers.insert(HOST, call.host());
    let is_json = call.config.endpoint.protocol() == Protocol::HttpJson;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(if is_json { JSON } else { PROTOBUF }));
    if coding == Coding::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    request
}

/// The outcome, and whether the answer was read to its end (only then can the connection be used again).
async fn read(response: Response<Incoming>) -> (Outcome, bool) {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let Ok(mut data) = frame.into_data() else { continue };
                let room = RESPONSE_BYTES_MAX.saturating_sub(bytes.len());
                whole &= data.remaining() <= room;
                bytes.extend_from_slice(&data.copy_to_bytes(data.remaining().min(room)));
                if !whole {
                    break;
                }
            }
            // A status without its whole body is still an answer, but a success must be whole to be believed.
            Err(error) if head.status.is_success() => {
                return (silence(Silence::Broken, chain(&error)), false);
            }
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    (conclude(head.status.as_u16(), &head.headers, &bytes), whole)
}

fn conclude(status: u16, headers: &HeaderMap, body: &[u8]) -> Outcome {
    if (200..300).contains(&status) {
        // A proxy's login page, or somebody's website: whoever says so has stored no span.
        let strange = if is_type(headers, "text/html") {
            "a page of HTML"
        } else if is_type(headers, JSON) && !body.is_empty() {
            match serde_json::from_slice::<serde_json::Value>(body) {
                Ok(answer) if answer.is_object() => return accepted_in_json(&answer),
                _ => "JSON that is none",
            }
        } else {
            return accepted(if is_type(headers, PROTOBUF) { body } else { &[] });
        };
        let detail = format!("HTTP {status} with {strange}, which is no answer of an OTLP receiver");
        return silence(Silence::Broken, detail);
    }
    let code = Code::Http(status);
    let (message, delay) = explain(headers, body);
    if http_is_retryable(status) {
        Outcome::Retryable { code, retry_after: retry_after(headers).or(delay), message }
    } else {
        Outcome::Rejected { code, message }
    }
}

/// A `partial_success` in JSON, whose 64-bit numbers are texts or numbers.
fn accepted_in_json(answer: &serde_json::Value) -> Outcome {
    let partial = &answer["partialSuccess"];
    let rejected = &partial["rejectedSpans"];
    let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok());
    Outcome::Accepted {
        rejected_spans: rejected.unwrap_or(0),
        message: clip(partial["errorMessage"].as_str().unwrap_or_default(), MESSAGE_BYTES_MAX),
    }
}

/// The server's words: from an rpc.Status, or else the first of whatever it sent.
fn explain(headers: &HeaderMap, body: &[u8]) -> (String, Option<Duration>) {
    if is_type(headers, PROTOBUF)
        && let Ok(status) = RpcStatus::parse(body)
    {
        return (clip(&status.message, MESSAGE_BYTES_MAX), status.retry_delay.map(believed));
    }
    if is_type(headers, JSON)
        && let Ok(status) = serde_json::from_slice::<serde_json::Value>(body)
        && let Some(message) = status.get("message").and_then(|m| m.as_str())
    {
        return (clip(message, MESSAGE_BYTES_MAX), None);
    }
    (clip(String::from_utf8_lossy(body).trim(), MESSAGE_BYTES_MAX), None)
}

fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}
