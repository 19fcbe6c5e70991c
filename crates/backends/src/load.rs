//! The load gate's hands: offers made-up spans to an environment as a schedule says, and reads a sample of them back.
//!
//! What to offer and how to judge what came of it is `crossfade_gates::load`; this module keeps time, moves bytes, and counts. It
//! runs on a thread of its own, so that nothing else delays a request; that thread is also its limit, and says how busy it
//! was. Requests are encoded once, and only their ids and times are written for each.
//!
//! A timer fires up to a millisecond late; that, and everything else that delays a request before it is sent, is part of its
//! latency, and is counted by itself as the generator's lag.
//!
//! | module | holds |
//! |---|---|
//! | `export` | requests through the OTLP client |
//! | `pace` | the open loop: when requests are sent, and what is counted; [`Progress`] |
//! | `read_back` | whether what was accepted can be read |
//! | `template` | a request whose ids and times are written in place |
//! | `thread` | the generator's thread |

mod export;
mod pace;
mod read_back;
mod template;
mod thread;

use std::time::{Duration, UNIX_EPOCH};

use crossfade_gates::load::{Ids, Measured, ReadBack, Schedule};
use tokio::sync::watch;

pub use self::pace::Progress;
use crate::clock;
use crate::otlp::{ClientConfig, Coding};
use crate::query::Query;

/// A receiver that is driven.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where it is.
    pub otlp: ClientConfig,
    /// How requests are coded.
    pub coding: Coding,
}

/// What is offered, and how.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// What, and when: to each receiver.
    pub schedule: Schedule,
    /// Makes the ids, together with the time of the run, and chooses the sample.
    pub seed: u64,
    /// Bytes of a span, about.
    pub bytes_per_span: usize,
    /// Connections, taken in turns (gRPC). Over HTTP/1.1 there are as many as there are requests in flight.
    pub connections: usize,
    /// Requests in flight at once; whatever is due beyond that waits.
    pub in_flight_max: usize,
    /// How long an answer is waited for, and for how long a request may wait to be sent.
    pub timeout: Duration,
    /// Traces to read back, over all receivers and phases.
    pub read_back: usize,
    /// How long reading back may take, from the end of the load.
    pub read_back_deadline: Duration,
}

impl LoadConfig {
    /// As exporters behave by themselves: 10 s for an answer, no compression. Reads back 200 traces within a minute.
    pub fn new(schedule: Schedule, seed: u64) -> Self {
        Self {
            schedule,
            seed,
            bytes_per_span: 685,
            connections: 4,
            in_flight_max: 256,
            timeout: Duration::from_secs(10),
            read_back: 200,
            read_back_deadline: Duration::from_secs(60),
        }
    }
}

/// Why there is nothing to measure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Nobody answers, or with something else than OTLP.
    #[error("{0}")]
    Unreachable(String),
    /// An empty request is refused for good, and so would every other be.
    #[error("{0}")]
    Refused(String),
    /// There is no thread to be had.
    #[error("the generator cannot be started: {0}")]
    Thread(String),
}

/// How the load is told to stop, and tells how it goes.
#[derive(Clone, Debug)]
pub struct Reins {
    /// Set to true, it ends the load early; what was measured until then is returned.
    pub stop: watch::Receiver<bool>,
    /// How it goes, a few times a second.
    pub progress: watch::Sender<Option<Progress>>,
}

/// Offers the load to an environment, to one receiver after the other; then reads a sample back, if there is somewhere to read it
/// from. What came of it, receiver by receiver: one that takes no OTLP is offered nothing.
///
/// Dropping the future ends the load at once.
pub async fn run(
    receivers: &[Receiver],
    query: Option<&Query>,
    config: &LoadConfig,
    mut reins: Reins,
) -> Vec<Result<Measured, LoadError>> {
    let mut driven = Vec::new();
    for (index, receiver) in receivers.iter().enumerate() {
        let since = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let ids = Ids::new(config.seed, at);
        // Where any is read back, of each receiver one is.
        let read_back = pace::share(config.read_back, index, receivers.len()).max(config.read_back.min(1));
        let config = LoadConfig { read_back, ..config.clone() };
        let job = thread::Job { receiver: receiver.clone(), index, config, ids };
        driven.push((at, ids, thread::run(job, &mut reins).await));
    }
    let samples: Vec<_> = driven
        .iter()
        .map(|(_, ids, driven)| (*ids, driven.as_ref().map_or(&[][..], |driven| driven.samples.as_slice())))
        .collect();
    let read_back = match query {
        Some(query) => read_back::read_back(query, config, &samples, &mut reins.stop).await,
        None => vec![ReadBack::default(); samples.len()],
    };
    driven
        .into_iter()
        .zip(read_back)
        .map(|((at, _, driven), read_back)| {
            let driven = driven?;
            Ok(Measured {
                seed: config.seed,
                at,
                spans_per_request: config.schedule.spans_per_request(),
                phases: driven.counts,
                interrupted: driven.interrupted,
                read_back,
                words: driven.words,
            })
        })
        .collect()
}
