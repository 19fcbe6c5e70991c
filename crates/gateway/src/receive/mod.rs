//! Receivers: OTLP over gRPC and over HTTP.
//!
//! The layers of a receiver, from the socket up:
//!
//! | layer | why it is there |
//! |---|---|
//! | `listen` | accepts connections, so many at a time, and says goodbye to them on a drain |
//! | [`grpc`], [`http`] | read the head: what this request is, and whether we serve such requests at all |
//! | admission (here) | so many bodies at a time, of each connection and in all |
//! | [`body`] | reads the body into one piece: bounded in bytes, in time and in total |
//! | slots (here) | so many requests at a time, so that each of them can be answered |
//! | `dispatch` | unpacks, scans, routes, and finds the answer |
//! | `answer` | what a client may hear; the transports write it down |

pub(crate) mod body;
pub(crate) mod grpc;
pub(crate) mod gunzip;
pub(crate) mod http;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue};
use crossfade_backends::otlp::{Coding, Message};

use crate::answer::{Answer, Refusal};
use crate::budget::Share;
use crate::dispatch::{Arrival, dispatch};
use crate::worker::Worker;
use body::Received;

/// Lets a request's body in. The share is held until it is there. It is no slot yet: whoever opens requests whose bodies
/// never come must not keep the others out.
fn admit(worker: &Worker) -> Result<Share, Refusal> {
    // While there is no slot, there is no use in receiving the body.
    take_slot(worker)?;
    worker.receive().map_err(|_| overloaded("too many requests are being received"))
}

/// Takes one of the slots of requests that are being answered.
fn take_slot(worker: &Worker) -> Result<Share, Refusal> {
    worker.in_flight.share(1).map_err(|_| overloaded("too many requests at a time"))
}

fn overloaded(reason: &str) -> Refusal {
    Refusal::Overloaded(reason.to_owned())
}

pub(crate) fn out_of_memory() -> Refusal {
    overloaded("the memory for requests is used up")
}

/// The allowed part of a request's headers. Copied: a value is a slice of the buffer that the head was read into, and what
/// waits in a queue would keep all of it.
fn metadata(worker: &Worker, headers: &HeaderMap) -> Arc<HeaderMap> {
    if worker.forward_headers.iter().all(|name| !headers.contains_key(name)) {
        return Arc::clone(&worker.no_metadata);
    }
    let mut passed = HeaderMap::new();
    for name in &worker.forward_headers {
        for value in headers.get_all(name) {
            let mut own = HeaderValue::from_bytes(value.as_bytes()).expect("it was one");
            own.set_sensitive(value.is_sensitive());
            passed.append(name, own);
        }
    }
    Arc::new(passed)
}

/// Memory that such headers take.
pub(crate) fn metadata_bytes(metadata: &HeaderMap) -> usize {
    /// An entry of the map's table: a name, a value, and their places.
    const ENTRY_BYTES: usize = 128;
    metadata.capacity() * ENTRY_BYTES + metadata.values().map(HeaderValue::len).sum::<usize>()
}

/// Answers a request whose body is in.
async fn answer(
    worker: &Worker,
    received: Received,
    coding: Coding,
    metadata: Arc<HeaderMap>,
    patience: Option<Duration>,
) -> Result<Answer, Refusal> {
    let Received { bytes, buffer, mut memory } = received;
    let _slot = take_slot(worker)?;
    memory.grow(metadata_bytes(&metadata)).map_err(|_| out_of_memory())?;
    let message = Message { bytes, coding };
    dispatch(worker, Arrival { message, buffer, metadata, patience }, memory).await
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use crossfade_routing::{EnvironmentId, Schedule};

    use super::*;
    use crate::worker::tests::idle;

    // Scenario: headers are slices of the buffer that a request was read into.
    // Guarantee: what is passed on of them holds nothing of it, and counts as much as it holds.
    #[tokio::test]
    async fn what_is_passed_on_is_no_slice_of_the_read_buffer() {
        let worker = idle(&Schedule::genesis(EnvironmentId::new("blue").unwrap()), &["x-scope-orgid"]);
        let read = Bytes::from(vec![b'x'; 400_000]);
        let value = |range| HeaderValue::from_maybe_shared(read.slice(range)).unwrap();
        let mut headers = HeaderMap::from_iter([("x-other".parse().unwrap(), value(0..10))]);
        assert!(Arc::ptr_eq(&metadata(&worker, &headers), &worker.no_metadata));
        let mut secret = value(100..2_100);
        secret.set_sensitive(true);
        headers.insert("x-scope-orgid", secret);
        let passed = metadata(&worker, &headers);
        drop(headers);
        assert!(read.is_unique(), "nobody else holds the buffer");
        let [own] = passed.get_all("x-scope-orgid").iter().collect::<Vec<_>>()[..] else {
            panic!("{passed:?}")
        };
        assert!(own.len() == 2_000 && own.is_sensitive() && passed.len() == 1);
        assert!((2_100..4_000).contains(&metadata_bytes(&passed)), "{}", metadata_bytes(&passed));
        assert_eq!(metadata_bytes(&worker.no_metadata), 0);
    }
}
