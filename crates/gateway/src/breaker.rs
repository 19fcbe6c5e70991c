//! The breaker: `to` fails whole requests while `from` is healthy.
//!
//! ```text
//!            to fails, from healthy                 a new generation, or `to` works again
//!  Closed ───────────────────────────▶ Tripped        Holding ─────────────▶ Closed
//!     └───── to fails, from fails ───▶ Holding ── from healthy again, to still fails ──▶ Tripped
//! ```
//!
//! *To fails*: so many requests in a row, or so large a share of those in a sliding window, were refused or not
//! answered. Evidence is a request's first attempt, or, at any attempt, that there is no connection to be had: the
//! retries of one bad request are no evidence against an environment. A client that gives up is evidence too, once it has
//! waited for half of the time that the environment is given: or one that never answers would look idle. A candidate that refuses only a share of its
//! requests is the analysis's business, not the breaker's.
//!
//! *From is healthy*: by its own requests in the window; where it gets none, by whether it can be connected to. If both
//! fail there is nowhere better to go, and the breaker holds.
//!
//! It is a state machine that knows no clock and no socket. `Tripped` asks for a fence, once; the steward lets it fall.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::BreakerConfig;
use crate::status::BreakerStatus;

/// One of the two sides of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    From,
    To,
}

/// What one request, or the attempt to connect for it, says of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    Worked,
    Failed,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: State,
    from: Record,
    to: Record,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Holding,
    Tripped { detail: String },
}

/// The recent past of one side, in slices of a tenth of the window.
#[derive(Debug, Default)]
struct Record {
    in_a_row: u32,
    slices: VecDeque<Slice>,
}

#[derive(Debug)]
struct Slice {
    began: Instant,
    worked: u32,
    failed: u32,
}

const SLICES: u32 = 10;
/// Below this share of failures a side counts as healthy.
const HEALTHY_PPM: u64 = 500_000;

impl Breaker {
    pub(crate) fn new(config: BreakerConfig) -> Breaker {
        Breaker { config, state: State::Closed, from: Record::default(), to: Record::default() }
    }

    pub(crate) fn status(&self) -> BreakerStatus {
        match self.state {
            State::Closed => BreakerStatus::Closed,
            State::Holding => BreakerStatus::Holding,
            State::Tripped { .. } => BreakerStatus::Tripped,
        }
    }

    /// Another rollout: what is known of `to` was about another one.
    pub(crate) fn reset(&mut self) {
        *self = Breaker::new(self.config);
    }

    /// Hears of one request. Returns what is wrong with `to` at the moment it trips, and only then.
    pub(crate) fn hear(
        &mut self,
        side: Side,
        evidence: Evidence,
        now: Instant,
        from_reachable: bool,
    ) -> Option<String> {
        let slice = self.config.window / SLICES;
        let record = match side {
            Side::From => &mut self.from,
            Side::To => &mut self.to,
        };
        record.add(evidence, now, slice);
        if (side, evidence) == (Side::To, Evidence::Worked) && self.to_fails(now).is_some() {
            return None; // nobody is condemned for a success
        }
        self.judge(now, from_reachable)
    }

    fn judge(&mut self, now: Instant, from_reachable: bool) -> Option<String> {
        if matches!(self.state, State::Tripped { .. }) {
            return None;
        }
        let Some(detail) = self.to_fails(now) else {
            self.state = State::Closed;
            return None;
        };
        if !self.is_from_healthy(now, from_reachable) {
            self.state = State::Holding;
            return None;
        }
        self.state = State::Tripped { detail: detail.clone() };
        Some(detail)
    }

    fn to_fails(&self, now: Instant) -> Option<String> {
        let BreakerConfig { consecutive_min, share_ppm_min, requests_min, window } = self.config;
        if self.to.in_a_row >= consecutive_min {
            return Some(format!("{} requests in a row refused or unanswered", self.to.in_a_row));
        }
        let (worked, failed) = self.to.sums(now, window);
        let total = worked + failed;
        let is_many = total >= u64::from(requests_min) && ppm(failed, total) >= u64::from(share_ppm_min);
        is_many.then(|| format!("{failed} of {total} requests in {window:?} refused or unanswered"))
    }

    fn is_from_healthy(&self, now: Instant, reachable: bool) -> bool {
        if self.from.in_a_row >= self.config.consecutive_min {
            return false;
        }
        let (worked, failed) = self.from.sums(now, self.config.window);
        match worked + failed {
            0 => reachable,
            total => ppm(failed, total) < HEALTHY_PPM,
        }
    }
}

impl Record {
    fn add(&mut self, evidence: Evidence, now: Instant, width: Duration) {
        if self.slices.back().is_none_or(|slice| now.saturating_duration_since(slice.began) >= width) {
            self.slices.push_back(Slice { began: now, worked: 0, failed: 0 });
        }
        while self.slices.len() > SLICES as usize + 1 {
            self.slices.pop_front();
        }
        let Some(slice) = self.slices.back_mut() else { return };
        match evidence {
            Evidence::Worked => {
                slice.worked = slice.worked.saturating_add(1);
                self.in_a_row = 0;
            }
            Evidence::Failed => {
                slice.failed = slice.failed.saturating_add(1);
                self.in_a_row = self.in_a_row.saturating_add(1);
            }
        }
    }

    /// Worked and failed, of the slices that began within the window.
    fn sums(&self, now: Instant, window: Duration) -> (u64, u64) {
        let recent = self.slices.iter().filter(|slice| now.saturating_duration_since(slice.began) <= window);
        recent.fold((0, 0), |(worked, failed), slice| {
            (worked + u64::from(slice.worked), failed + u64::from(slice.failed))
        })
    }
}

fn ppm(part: u64, whole: u64) -> u64 {
    part * 1_000_000 / whole.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays evidence in order, one each millisecond: `T`, `t`: `to` worked, failed; `F`, `f`: `from` did; `.`: a second
    /// passes. Returns after which character it tripped, and its state.
    fn check(story: &str, reachable: bool) -> (Option<usize>, BreakerStatus) {
        let config = BreakerConfig {
            consecutive_min: 5,
            share_ppm_min: 800_000,
            requests_min: 10,
            window: Duration::from_secs(10),
        };
        let mut breaker = Breaker::new(config);
        let mut now = Instant::now();
        let mut tripped = None;
        for (at, letter) in story.chars().enumerate() {
            now += Duration::from_millis(1);
            let (side, evidence) = match letter {
                'T' => (Side::To, Evidence::Worked),
                't' => (Side::To, Evidence::Failed),
                'F' => (Side::From, Evidence::Worked),
                'f' => (Side::From, Evidence::Failed),
                _ => {
                    now += Duration::from_secs(1);
                    continue;
                }
            };
            if breaker.hear(side, evidence, now, reachable).is_some() {
                assert_eq!(tripped, None, "it trips once");
                tripped = Some(at);
            }
        }
        (tripped, breaker.status())
    }

    #[test]
    fn a_dead_candidate_trips_it_while_active_works() {
        assert_eq!(check("FTFtFtFtFtFt", true), (Some(11), BreakerStatus::Tripped));
        assert_eq!(check("FTFtFtFtFt", true), (None, BreakerStatus::Closed));
        assert_eq!(check("FtttttTTTTTTTTTT", true), (Some(5), BreakerStatus::Tripped), "it stays tripped");
    }

    #[test]
    fn a_share_of_refusals_is_left_to_the_analysis() {
        let story = "FtFTFtFtFT".repeat(50);
        assert_eq!(check(&story, true), (None, BreakerStatus::Closed), "three of five");
        let story = "FtFtFtFtFT".repeat(50);
        let (tripped, status) = check(&story, true);
        assert_eq!(status, BreakerStatus::Tripped, "four of five is the threshold");
        assert!(tripped.is_some_and(|at| at >= 19), "not before there are enough requests: {tripped:?}");
    }

    #[test]
    fn it_does_not_fence_when_both_fail() {
        assert_eq!(check("ftftftftftftft", true), (None, BreakerStatus::Holding));
        let recovers = "ftftftftftft..........FFFFFFFFt";
        assert_eq!(check(recovers, true), (Some(22), BreakerStatus::Tripped), "from is back, to is not");
        let both = "ftftftftftft..........TFT";
        assert_eq!(check(both, true), (None, BreakerStatus::Closed), "both are back");
    }

    #[test]
    fn an_idle_active_counts_by_whether_it_can_be_reached() {
        assert_eq!(check("ttttt", true), (Some(4), BreakerStatus::Tripped));
        assert_eq!(check("ttttt", false), (None, BreakerStatus::Holding));
    }

    #[test]
    fn old_failures_are_forgotten() {
        assert_eq!(check("FttttTttttTtFT", true).0, Some(11), "nine of eleven in the window");
        assert_eq!(check("FttttTttttT...........tFT", true), (None, BreakerStatus::Closed));
        assert_eq!(check("Ftttt...........t", true).0, Some(16), "but a row is a row, however slow");
    }
}
