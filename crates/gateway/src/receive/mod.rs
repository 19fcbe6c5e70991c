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

use ::http::HeaderMap;
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

/// The allowed part of a request's headers.
fn metadata(worker: &Worker, headers: &HeaderMap) -> Arc<HeaderMap> {
    if worker.forward_headers.iter().all(|name| !headers.contains_key(name)) {
        return Arc::clone(&worker.no_metadata);
    }
    let mut passed = HeaderMap::new();
    for name in &worker.forward_headers {
        for value in headers.get_all(name) {
            passed.append(name, value.clone());
        }
    }
    Arc::new(passed)
}

/// Answers a request whose body is in.
async fn answer(
    worker: &Worker,
    received: Received,
    coding: Coding,
    metadata: Arc<HeaderMap>,
    patience: Option<Duration>,
) -> Result<Answer, Refusal> {
    let Received { bytes, memory } = received;
    let _slot = take_slot(worker)?;
    dispatch(worker, Arrival { message: Message { bytes, coding }, metadata, patience }, memory).await
}
