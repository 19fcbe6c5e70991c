//! The end-to-end cases, in the order in which they run. Each states its scenario and its guarantee.

mod all;
mod compared;
mod coverage;
mod dependencies;
mod drift;
mod gates;
mod harness;
mod killed_green;
mod killed_serve;
mod load;
mod masked;
mod posture;
mod promoted;
mod scene;
mod stopped;
mod stores;
mod tempo_tls;

use super::Case;
use anyhow::Result;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "harness",
        shows: "SDKs, Collector and Jaeger agree without Crossfade in between, and a missing span is noticed",
        alone: false,
        run: harness::run,
    },
    Case {
        name: "stores",
        shows: "a Jaeger and a Tempo give back and find what was written, and `probe` passes on both",
        alone: false,
        run: stores::run,
    },
    Case {
        name: "compared",
        shows: "a Jaeger and a Tempo hold the same by `parity` and `history`, in plain text and over TLS, and a Collector that drops spans is found out",
        alone: false,
        run: compared::run,
    },
    Case {
        name: "drift",
        shows: "what Collectors and Tempos fill in is no difference, what green does otherwise is, and what a Collector accepts is read",
        alone: false,
        run: drift::run,
    },
    Case {
        name: "coverage",
        shows: "what SDKs send is covered alike by a Jaeger and a Tempo; a service that green drops is named, and one that falls silent",
        alone: false,
        run: coverage::run,
    },
    Case {
        name: "dependencies",
        shows: "untested, simulated and slower dependencies are named by the attributes of real instrumentation",
        alone: false,
        run: dependencies::run,
    },
    Case {
        name: "load",
        shows: "a Collector that keeps up passes the load gate, with its sample whole; one that drops, is slow or gone does not",
        alone: true,
        run: load::run,
    },
    Case {
        name: "posture",
        shows: "TLS and client certificates of real servers are spoken, seen, and compared",
        alone: false,
        run: posture::run,
    },
    Case {
        name: "tempo-tls",
        shows: "Tempos are written to and read over TLS, with a client certificate where one is demanded",
        alone: false,
        run: tempo_tls::run,
    },
    Case {
        name: "all",
        shows: "`gate run all`: each of the nine gates passes between a Jaeger and a Tempo over mutual TLS, and none that reads a Tempo which is gone",
        alone: false,
        run: all::run,
    },
    Case {
        name: "masked",
        shows: "the probe's suite names what real Collectors leak, on a Jaeger and a Tempo, in plain text and with TLS; and cut values, and a shared store",
        alone: false,
        run: masked::run,
    },
    Case {
        name: "a",
        shows: "a rollout is promoted, and every trace is whole in its owner",
        alone: false,
        run: promoted::run,
    },
    Case {
        name: "b",
        shows: "a green that drops spans is stopped by drift, and by the probe where the difference is declared",
        alone: false,
        run: stopped::run,
    },
    Case {
        name: "c",
        shows: "green's Collector is killed while it owns 25 %: rolled back alone, and blue has everything",
        alone: false,
        run: killed_green::run,
    },
    Case {
        name: "d",
        shows: "serve is killed in the middle of a step: the rollout goes on, and what was acknowledged is in blue",
        alone: false,
        run: killed_serve::run,
    },
];

/// Nanoseconds since the epoch.
#[allow(
    clippy::disallowed_methods,
    reason = "what a case did is held against the times in traces and in the log"
)]
fn now() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}
