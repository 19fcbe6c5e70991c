//! Latency and errors of an edge, in test and live.

use serde_json::{Value, json};

use super::Limits;
use super::edge::Edge;
use crate::coverage::chance::{Share, ln_at_least};
use crate::inventory::Latency;

/// Of the standard normal distribution, one-sided at 99.5 %.
const Z: f64 = 2.576;
/// What is compared of two latencies.
const QUANTILES: [(f64, &str); 2] = [(0.5, "median"), (0.95, "95th percentile")];
/// A share of failures that is worth a finding.
const FAILED_MIN: f64 = 0.01;

/// In words.
pub(crate) struct Slower {
    pub(crate) live: String,
    pub(crate) test: String,
}

/// Whether a quantile is certainly more than so many times that of the tests.
pub(crate) fn slower(live: &Edge, test: &Edge, limits: &Limits) -> Option<Slower> {
    QUANTILES.iter().find_map(|(quantile, name)| {
        let least = bound(&live.latency, *quantile, -Z)?;
        let most = bound(&test.latency, *quantile, Z)?;
        let far = least as f64 > most as f64 * limits.slower_max;
        let matters = u128::from(least.saturating_sub(most)) >= limits.slower_min.as_nanos();
        let say = |latency: &Latency| format!("{name} {}", millis(latency.quantile(*quantile).unwrap_or(0)));
        (far && matters).then(|| Slower { live: say(&live.latency), test: say(&test.latency) })
    })
}

/// A bound of a quantile: the value at the rank that many standard deviations off; `None` if there are too few for it.
fn bound(latency: &Latency, quantile: f64, z: f64) -> Option<u64> {
    let n = latency.count() as f64;
    let rank = n * quantile + z * (n * quantile * (1.0 - quantile)).sqrt();
    if rank < 1.0 || rank > n {
        return None;
    }
    latency.rank(if z < 0.0 { rank.floor() } else { rank.ceil() } as u64)
}

/// Whether live calls fail more often, by more than chance and enough to matter.
pub(crate) fn fails_more(live: &Edge, test: &Edge, alpha: f64) -> bool {
    let (live, test) = (Share::new(live.failed, live.calls), Share::new(test.failed, test.calls));
    live.value() >= FAILED_MIN && live.value() > 2.0 * test.value() && ln_at_least(test, live) <= alpha.ln()
}

/// `7 of 120 (5.8 %)`.
pub(crate) fn failed(edge: &Edge) -> String {
    let share = Share::new(edge.failed, edge.calls);
    format!("{} of {} ({:.1} %)", share.with, share.all, share.value() * 100.0)
}

/// One line of the report's table.
pub(crate) fn row(edge: &Edge, test: &Edge, verdict: &str) -> Value {
    let side = |edge: &Edge| {
        let quantile = |q: f64| edge.latency.quantile(q).map(|nanos| nanos / 1_000);
        json!({ "calls": edge.calls, "failed": edge.failed, "p50_us": quantile(0.5), "p95_us": quantile(0.95) })
    };
    json!({
        "service": edge.service,
        "peer": edge.peer.to_string(),
        "verdict": verdict,
        "live": side(edge),
        "tests": (test.calls > 0).then(|| side(test)),
    })
}

fn millis(nanos: u64) -> String {
    format!("{:.1} ms", nanos as f64 / 1e6)
}
