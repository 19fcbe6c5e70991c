//! What can be wrong with a simulated environment, and the state that decides which request it hits.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A share of requests or spans, in parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Share(u32);

impl Share {
    /// None of them.
    pub const NONE: Share = Share(0);
    /// All of them.
    pub const ALL: Share = Share(1_000_000);

    /// `percent` of them; anything above 100 is all of them.
    pub fn percent(percent: u32) -> Share {
        Share(percent.saturating_mul(10_000).min(Share::ALL.0))
    }

    /// In parts per million.
    pub fn ppm(self) -> u32 {
        self.0
    }
}

/// How a refused request is answered, on either wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The share of requests that are refused.
    pub share: Share,
    /// The gRPC status code, and `code` in the `google.rpc.Status` body over HTTP.
    pub grpc_code: u32,
    /// The HTTP status.
    pub http_status: u16,
    /// The message of the status.
    pub message: String,
    /// Sent as RetryInfo over gRPC and as Retry-After (whole seconds, rounded up) over HTTP.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// UNAVAILABLE and 503: the sender is expected to try again.
    pub fn unavailable(share: Share) -> Refusal {
        Refusal { share, grpc_code: 14, http_status: 503, message: "overloaded".into(), retry_after: None }
    }

    /// INTERNAL and 500: the sender is expected to give up.
    pub fn permanent(share: Share) -> Refusal {
        Refusal {
            share,
            grpc_code: 13,
            http_status: 500,
            message: "storage is broken".into(),
            retry_after: None,
        }
    }
}

/// Everything that is wrong with an environment at one time. The default is nothing.
///
/// Faults take effect in this order on a request whose body has been read: `hang`, `delay`, `reset`, `refuse`,
/// `reject`, `drop_kind`, `lose_service`, `break_at`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    /// Every request is held open, unanswered, until this is switched off.
    pub hang: bool,
    /// Every request is answered that much later.
    pub delay: Duration,
    /// The share of requests that are answered by a reset of their connection.
    pub reset: Share,
    /// Refuses a share of requests whole; nothing of them is stored.
    pub refuse: Option<Refusal>,
    /// The share of spans that are rejected by a `partial_success`; they are not stored.
    pub reject: Share,
    /// Spans of this kind are accepted and never stored.
    pub drop_kind: Option<SpanKind>,
    /// Spans of this service never arrive, as if it exported to an address where nobody listens.
    pub lose_service: Option<&'static str>,
    /// This service does not understand what it is told about the trace it is called in: it begins one of its own.
    pub break_at: Option<&'static str>,
}

impl Faults {
    /// Nothing is wrong.
    pub const fn none() -> Faults {
        Faults {
            hang: false,
            delay: Duration::ZERO,
            reset: Share::NONE,
            refuse: None,
            reject: Share::NONE,
            drop_kind: None,
            lose_service: None,
            break_at: None,
        }
    }
}

/// Draws which request or span a share hits. The n-th draw depends on the seed alone.
#[derive(Debug)]
pub(crate) struct Dice(Mutex<ChaCha8Rng>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(Mutex::new(ChaCha8Rng::seed_from_u64(seed)))
    }

    /// Whether the next one is hit. Nothing is drawn for none and for all.
    pub(crate) fn hits(&self, share: Share) -> bool {
        match share {
            Share::NONE => false,
            Share::ALL => true,
            Share(ppm) => {
                let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                rng.random_range(0..Share::ALL.0) < ppm
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_hit_as_often_as_it_says_and_alike_for_one_seed() {
        let draw = |seed| {
            let dice = Dice::new(seed);
            (0..10_000).map(|_| dice.hits(Share::percent(25))).collect::<Vec<_>>()
        };
        let first = draw(7);
        let hits = first.iter().filter(|hit| **hit).count();
        assert!((2_300..2_700).contains(&hits), "{hits} of 10,000");
        assert_eq!(first, draw(7));
        assert_ne!(first, draw(8));
        let dice = Dice::new(7);
        assert!((0..1_000).all(|_| dice.hits(Share::ALL) && !dice.hits(Share::NONE)));
    }
}
