//! Reading a body into one piece.
//!
//! The scan wants one buffer. Most bodies that come in large frames are one already, but for the few bytes that may
//! come ahead (a client's first DATA frame can be a single byte): what lies within one chunk is sliced, not copied.
//! Anything else is copied once, into a buffer that grows with what has come, never with what was announced.

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use bytes::{Buf, Bytes};
use crossfade_backends::otlp::framing::PREFIX_BYTES;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::out_of_memory;
use crate::answer::Refusal;
use crate::budget::{Budget, Share};
use crate::pool::Pool;

/// A body, and its share of the memory budget.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    /// How long their buffer is, if it is theirs alone. Else they are a slice of what was read from the connection, and keep
    /// all of that.
    pub(crate) buffer: Option<usize>,
    pub(crate) memory: Share,
}

/// Bounds on one body.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    pub(crate) deadline: Instant,
    pub(crate) memory: Arc<Budget>,
    pub(crate) pool: Arc<Pool>,
}

/// A buffer for an announced length that is not believed starts no larger than this.
const FIRST_BYTES: usize = 1 << 20;

/// How much is read of a request that is refused by its head, and for how long.
const LINGER_BYTES_MAX: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(1);

/// A gRPC message: whether its flag says that it is compressed, and its bytes.
pub(crate) async fn grpc_message(body: Incoming, bounds: &Bounds) -> Result<(bool, Received), Refusal> {
    let mut chunks = Chunks { body, deadline: bounds.deadline };
    let (prefix, rest) = prefix(&mut chunks).await?;
    let [flag, length @ ..] = prefix;
    let length = u32::from_be_bytes(length) as usize;
    if flag > 1 {
        return Err(Refusal::BadFraming(format!("a gRPC message begins with 0 or 1, not with {flag}")));
    }
    if length > bounds.bytes_max {
        return Err(too_large(bounds));
    }
    let mut assembly = Assembly::new(bounds, Some(length))?;
    assembly.push(rest)?;
    while let Some(chunk) = chunks.next().await? {
        assembly.push(chunk)?;
    }
    let received = assembly.finish();
    match received.bytes.len().checked_sub(length) {
        Some(0) => Ok((flag == 1, received)),
        Some(_) => Err(Refusal::BadFraming("more than one message in an Export call".to_owned())),
        None => Err(Refusal::BadFraming(format!(
            "the message ends after {} of {length} bytes",
            received.bytes.len()
        ))),
    }
}

/// A whole HTTP body.
pub(crate) async fn whole(body: Incoming, bounds: &Bounds) -> Result<Received, Refusal> {
    let announced = body_length(&body);
    if announced.is_some_and(|length| length > bounds.bytes_max) {
        discard(body, bounds.deadline, bounds.bytes_max.saturating_mul(2)).await;
        return Err(too_large(bounds));
    }
    let mut assembly = Assembly::new(bounds, announced)?;
    let mut chunks = Chunks { body, deadline: bounds.deadline };
    while let Some(chunk) = chunks.next().await? {
        if let Err(refusal) = assembly.push(chunk) {
            drop(assembly);
            discard(chunks.body, bounds.deadline, bounds.bytes_max.saturating_mul(2)).await;
            return Err(refusal);
        }
    }
    Ok(assembly.finish())
}

/// Before a request is refused by its head: reads its body for a moment, see [`discard`].
pub(crate) async fn linger(body: Incoming) {
    discard(body, Instant::now() + LINGER, LINGER_BYTES_MAX).await;
}

/// Reads on for a while and throws away, so that a client which is still writing gets to hear why (over HTTP/1.1 an
/// answer to a connection that is closed with unread data in it is lost).
async fn discard(body: Incoming, deadline: Instant, bytes_max: usize) {
    let mut chunks = Chunks { body, deadline };
    let mut left = bytes_max;
    while let Ok(Some(chunk)) = chunks.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => break,
        }
    }
}

/// The five bytes before a message, and what came with them.
async fn prefix(chunks: &mut Chunks) -> Result<([u8; PREFIX_BYTES], Bytes), Refusal> {
    let mut prefix = [0; PREFIX_BYTES];
    let mut filled = 0;
    while let Some(mut chunk) = chunks.next().await? {
        let part = chunk.len().min(PREFIX_BYTES - filled);
        chunk.copy_to_slice(&mut prefix[filled..filled + part]);
        filled += part;
        if filled == PREFIX_BYTES {
            return Ok((prefix, chunk));
        }
    }
    Err(Refusal::BadFraming(format!("the body ends after {filled} bytes, before the message begins")))
}

/// The data of a body, up to a moment.
struct Chunks {
    body: Incoming,
    deadline: Instant,
}

impl Chunks {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = timeout_at(self.deadline, self.body.frame()).await.map_err(|_| too_slow())?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Refusal::BadFraming(format!("the body broke off: {error}"))),
                Some(Ok(frame)) => {
                    // Trailers of a request say nothing.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// One piece, in the making.
struct Assembly<'a> {
    bounds: &'a Bounds,
    memory: Share,
    announced: usize,
    pieces: Pieces,
}

enum Pieces {
    None,
    One(Bytes),
    Many(Vec<u8>),
}

impl<'a> Assembly<'a> {
    fn new(bounds: &'a Bounds, announced: Option<usize>) -> Result<Assembly<'a>, Refusal> {
        let memory = bounds.memory.share(0).map_err(|_| out_of_memory())?;
        Ok(Assembly { bounds, memory, announced: announced.unwrap_or(0), pieces: Pieces::None })
    }

    fn push(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        if chunk.is_empty() {
            return Ok(());
        }
        let length = self.len() + chunk.len();
        if length > self.bounds.bytes_max {
            return Err(too_large(self.bounds));
        }
        self.memory.grow(chunk.len()).map_err(|_| out_of_memory())?;
        self.pieces = match std::mem::replace(&mut self.pieces, Pieces::None) {
            Pieces::None => Pieces::One(chunk),
            Pieces::One(first) => {
                let mut buffer = self.bounds.pool.take(length.max(self.announced.min(FIRST_BYTES)));
                buffer.extend_from_slice(&first);
                buffer.extend_from_slice(&chunk);
                Pieces::Many(buffer)
            }
            Pieces::Many(mut buffer) => {
                buffer.extend_from_slice(&chunk);
                Pieces::Many(buffer)
            }
        };
        Ok(())
    }

    fn len(&self) -> usize {
        match &self.pieces {
            Pieces::None => 0,
            Pieces::One(bytes) => bytes.len(),
            Pieces::Many(buffer) => buffer.len(),
        }
    }

    fn finish(self) -> Received {
        let (bytes, buffer) = match self.pieces {
            Pieces::None => (Bytes::new(), Some(0)),
            Pieces::One(bytes) => (bytes, None),
            Pieces::Many(buffer) => {
                let capacity = buffer.capacity();
                (self.bounds.pool.share(buffer), Some(capacity))
            }
        };
        Received { bytes, buffer, memory: self.memory }
    }
}

/// The first value of a header, as text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn body_length(body: &Incoming) -> Option<usize> {
    use ::http_body::Body;
    body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX))
}

fn too_large(bounds: &Bounds) -> Refusal {
    Refusal::TooLarge(format!("the request is larger than the limit of {} bytes", bounds.bytes_max))
}

fn too_slow() -> Refusal {
    Refusal::TooSlow("the body did not arrive in time".to_owned())
}
