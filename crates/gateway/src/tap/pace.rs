//! The share of a processor that the tap may take, and how many traces that is enough for. Time is an argument.

use std::time::{Duration, Instant};

/// At most so much time is saved up.
const SAVED_MAX: Duration = Duration::from_millis(250);
/// How often the number of traces is thought over.
const REVIEW: Duration = Duration::from_secs(1);
/// One trace in 65,536 is the least.
const HALVINGS_MAX: u32 = 16;
/// Reviews in a row with three quarters of the time left over, before twice as many traces are taken.
const IDLE_REVIEWS: u32 = 5;

#[derive(Debug)]
pub(crate) struct Pace {
    share: f64,
    halvings: u32,
    /// Time that may be spent, in seconds; negative after a request that took longer.
    credit: f64,
    earned_until: Instant,
    reviewed: Instant,
    busy: Duration,
    shed: u64,
    fell_behind: bool,
    idle: u32,
}

impl Pace {
    pub(crate) fn new(share: f64, now: Instant) -> Pace {
        Pace {
            share,
            halvings: 0,
            credit: share * REVIEW.as_secs_f64(),
            earned_until: now,
            reviewed: now,
            busy: Duration::ZERO,
            shed: 0,
            fell_behind: false,
            idle: 0,
        }
    }

    /// One trace in 2^n is looked at.
    pub(crate) fn halvings(&self) -> u32 {
        self.halvings
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        let earned = now.saturating_duration_since(self.earned_until).as_secs_f64() * self.share;
        self.credit = (self.credit + earned).min(SAVED_MAX.as_secs_f64());
        self.earned_until = now;
    }

    pub(crate) fn has_time(&self) -> bool {
        self.credit > 0.0
    }

    pub(crate) fn spent(&mut self, busy: Duration) {
        self.credit -= busy.as_secs_f64();
        self.busy += busy;
    }

    /// `shed`: requests that were ever shed. `done`: nothing is left over.
    pub(crate) fn end(&mut self, now: Instant, shed: u64, done: bool) {
        self.fell_behind |= !done;
        let since = now.saturating_duration_since(self.reviewed);
        if since < REVIEW {
            return;
        }
        let used = self.busy.as_secs_f64() / since.as_secs_f64();
        if shed > self.shed && self.fell_behind {
            self.halvings = (self.halvings + 1).min(HALVINGS_MAX);
            self.idle = 0;
        } else if used * 4.0 < self.share && !self.fell_behind {
            self.idle += 1;
            if self.idle >= IDLE_REVIEWS {
                self.halvings = self.halvings.saturating_sub(1);
                self.idle = 0;
            }
        } else {
            self.idle = 0;
        }
        (self.reviewed, self.busy, self.shed, self.fell_behind) = (now, Duration::ZERO, shed, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(20);

    /// So many seconds of a life in which each tick offers work of `needs` at full sampling; what does not fit is shed.
    fn live(pace: &mut Pace, now: &mut Instant, seconds: u32, needs: Duration, shed: &mut u64) -> Duration {
        let (mut busy, mut left) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..seconds * 50 {
            *now += TICK;
            pace.begin(*now);
            let wanted = needs / (1 << pace.halvings());
            if left.is_zero() {
                left = wanted;
            } else {
                *shed += 1;
            }
            while pace.has_time() && !left.is_zero() {
                let piece = left.min(Duration::from_micros(100));
                pace.spent(piece);
                (busy, left) = (busy + piece, left - piece);
            }
            pace.end(*now, *shed, left.is_zero());
        }
        busy
    }

    // Scenario: ten times as much to look at as its share of a processor allows; then almost nothing.
    // Guarantee: it never takes more than its share, takes fewer traces until it keeps up, and more again when it can.
    #[test]
    fn it_keeps_to_its_share_and_takes_as_many_traces_as_that_allows() {
        let mut now = Instant::now();
        let mut shed = 0;
        let mut pace = Pace::new(0.05, now);
        let busy = live(&mut pace, &mut now, 60, Duration::from_millis(10), &mut shed);
        assert!(busy <= Duration::from_millis(60 * 50 + 300), "{busy:?} of 3 s");
        assert!((3..=5).contains(&pace.halvings()), "ten times too much: one in {}", 1 << pace.halvings());
        let before = shed;
        live(&mut pace, &mut now, 60, Duration::from_micros(10), &mut shed);
        assert_eq!((pace.halvings(), shed), (0, before));
    }

    #[test]
    fn without_a_share_there_is_no_time() {
        let now = Instant::now();
        let mut pace = Pace::new(0.0, now);
        pace.begin(now + Duration::from_secs(100));
        assert!(!pace.has_time());
    }
}
