//! How many requests clients send: what a plan is warned by. Lost with the process, and measured anew.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crossfade_rollout::traffic::Rate;
use crossfade_routing::sync::Report;
use crossfade_routing::{BootId, EnvironmentId, GatewayId, UnixNanos};

/// How far back is looked.
const WINDOW: Duration = Duration::from_secs(600);
const SLOT: Duration = Duration::from_secs(10);
/// With less than this nothing is said.
const WINDOW_MIN: Duration = Duration::from_secs(10);

/// Requests of the last minutes, in slots.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// What each boot had counted at the last look, for each environment.
    counted: BTreeMap<(GatewayId, BootId), BTreeMap<EnvironmentId, u64>>,
    slots: VecDeque<(UnixNanos, u64)>,
}

impl Meter {
    /// Takes the last report of each gateway.
    pub(super) fn look<'a>(&mut self, reports: impl Iterator<Item = &'a Report>, now: UnixNanos) {
        let mut counted = BTreeMap::new();
        let mut more = 0_u64;
        for report in reports {
            let boot = (report.gateway.clone(), report.boot.clone());
            let totals = totals(report);
            if let Some(before) = self.counted.get(&boot) {
                // Whoever answers is asked every time; the other environment gets a copy of some.
                let grown = totals.iter().map(|(environment, total)| {
                    total.saturating_sub(before.get(environment).copied().unwrap_or_default())
                });
                more = more.saturating_add(grown.max().unwrap_or_default());
            }
            counted.insert(boot, totals);
        }
        self.counted = counted;
        if self.counted.is_empty() {
            return self.slots.clear();
        }
        if self.slots.back().is_none_or(|(began, _)| began.plus(SLOT) <= now) {
            self.slots.push_back((now, 0));
        }
        if let Some((_, requests)) = self.slots.back_mut() {
            *requests = requests.saturating_add(more);
        }
        while self.slots.front().is_some_and(|(began, _)| began.plus(WINDOW) < now) {
            self.slots.pop_front();
        }
    }

    /// What it comes to; `None` until it was looked at for long enough.
    pub(super) fn rate(&self, now: UnixNanos) -> Option<Rate> {
        let (began, _) = self.slots.front()?;
        let over = now.since(*began).filter(|over| *over >= WINDOW_MIN)?;
        let requests = self.slots.iter().fold(0, |sum: u64, (_, requests)| sum.saturating_add(*requests));
        Some(Rate { requests, over_ms: u32::try_from(over.as_millis()).unwrap_or(u32::MAX) })
    }
}

/// Requests by environment, over all generations.
fn totals(report: &Report) -> BTreeMap<EnvironmentId, u64> {
    let mut totals: BTreeMap<EnvironmentId, u64> = BTreeMap::new();
    for arm in &report.arms {
        let total = totals.entry(arm.environment.clone()).or_default();
        *total = total.saturating_add(arm.requests);
    }
    totals
}

#[cfg(test)]
mod tests {
    use crossfade_routing::Generation;
    use crossfade_routing::sync::{ArmCounts, ClockHistogram};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn report(boot: &str, counts: &[(&str, u64, u64)]) -> Report {
        let arm = |(environment, generation, requests): &(&str, u64, u64)| ArmCounts {
            environment: environment.parse().unwrap(),
            generation: Generation(*generation),
            requests: *requests,
            failed: 0,
            latency: Vec::new(),
            untrusted_spans: 0,
            spans: 0,
            first_failure: None,
        };
        Report {
            gateway: "gw-1".parse().unwrap(),
            boot: boot.parse().unwrap(),
            sequence: 1,
            now: UnixNanos(0),
            ack: None,
            fence: None,
            health: Vec::new(),
            ledger: Vec::new(),
            arms: counts.iter().map(arm).collect(),
            clock: ClockHistogram::default(),
            wait_ms: 0,
            drained: false,
        }
    }

    /// Looks at these, a second apart each, and says what came within what time.
    fn measured(reports: &[Report]) -> Option<(u64, u32)> {
        let mut meter = Meter::default();
        let mut now = UnixNanos(SECOND);
        for report in reports {
            now = UnixNanos(now.0 + SECOND);
            meter.look(std::iter::once(report), now);
        }
        meter.rate(now).map(|rate| (rate.requests, rate.over_ms))
    }

    #[test]
    fn what_was_counted_before_the_first_look_is_not_counted() {
        let reports: Vec<Report> = (0..=20).map(|n| report("a", &[("blue", 1, 1_000 + 3 * n)])).collect();
        assert_eq!(measured(&reports[..10]), None, "not long enough");
        assert_eq!(measured(&reports), Some((60, 20_000)));
    }

    #[test]
    fn a_copy_is_not_another_request_and_a_generation_is_no_other_client() {
        let reports: Vec<Report> = (0..=20)
            .map(|n| report("a", &[("blue", 1, 500), ("blue", 2, 10 * n), ("green", 2, 4 * n)]))
            .collect();
        assert_eq!(measured(&reports), Some((200, 20_000)));
    }

    #[test]
    fn a_boot_begins_at_its_first_report() {
        let before = (0..=10).map(|n| report("a", &[("blue", 1, 5_000 + n)]));
        let after = (0..=10).map(|n| report("b", &[("blue", 1, 7 + n)]));
        let reports: Vec<Report> = before.chain(after).collect();
        assert_eq!(measured(&reports), Some((20, 21_000)));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut meter = Meter::default();
        let look = |meter: &mut Meter, at: u64, requests: u64| {
            meter.look(std::iter::once(&report("a", &[("blue", 1, requests)])), UnixNanos(at * SECOND));
        };
        look(&mut meter, 0, 0);
        look(&mut meter, 5, 900_000);
        (1..=100).for_each(|n| look(&mut meter, n * 10, 900_000 + n));
        let rate = meter.rate(UnixNanos(1_000 * SECOND)).unwrap();
        assert!(rate.requests <= 62 && rate.over_ms <= 610_000, "{rate:?}");
        meter.look(std::iter::empty(), UnixNanos(1_001 * SECOND));
        assert_eq!(meter.rate(UnixNanos(1_002 * SECOND)), None, "no gateway is left");
    }
}
