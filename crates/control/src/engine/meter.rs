//! How many requests and spans clients send: what a plan is warned by, and what a load is a multiple of. Lost with the process,
//! and measured anew.

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

/// Requests, and their spans.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    requests: u64,
    spans: u64,
}

/// Requests and spans of the last minutes, in slots.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// What each boot had counted at the last look, for each environment.
    counted: BTreeMap<(GatewayId, BootId), BTreeMap<EnvironmentId, Count>>,
    slots: VecDeque<(UnixNanos, Count)>,
}

impl Meter {
    /// Takes the last report of each gateway.
    pub(super) fn look<'a>(&mut self, reports: impl Iterator<Item = &'a Report>, now: UnixNanos) {
        let mut counted = BTreeMap::new();
        let mut more = Count::default();
        for report in reports {
            let boot = (report.gateway.clone(), report.boot.clone());
            let totals = totals(report);
            if let Some(before) = self.counted.get(&boot) {
                // Whoever answers is asked every time; the other environment gets a copy of some.
                let grown = |pick: fn(&Count) -> u64| {
                    let grown = totals.iter().map(|(environment, total)| {
                        pick(total).saturating_sub(before.get(environment).map_or(0, pick))
                    });
                    grown.max().unwrap_or_default()
                };
                let grown = Count { requests: grown(|c| c.requests), spans: grown(|c| c.spans) };
                more = more.plus(grown);
            }
            counted.insert(boot, totals);
        }
        self.counted = counted;
        if self.counted.is_empty() {
            return self.slots.clear();
        }
        if self.slots.back().is_none_or(|(began, _)| began.plus(SLOT) <= now) {
            self.slots.push_back((now, Count::default()));
        }
        if let Some((_, count)) = self.slots.back_mut() {
            *count = count.plus(more);
        }
        while self.slots.front().is_some_and(|(began, _)| began.plus(WINDOW) < now) {
            self.slots.pop_front();
        }
    }

    /// What it comes to; `None` until it was looked at for long enough.
    pub(super) fn rate(&self, now: UnixNanos) -> Option<Rate> {
        let (began, _) = self.slots.front()?;
        let over = now.since(*began).filter(|over| *over >= WINDOW_MIN)?;
        let Count { requests, spans } =
            self.slots.iter().fold(Count::default(), |sum, (_, count)| sum.plus(*count));
        Some(Rate { requests, over_ms: u32::try_from(over.as_millis()).unwrap_or(u32::MAX), spans })
    }
}

impl Count {
    fn plus(self, other: Count) -> Count {
        Count {
            requests: self.requests.saturating_add(other.requests),
            spans: self.spans.saturating_add(other.spans),
        }
    }
}

/// Requests and spans by environment, over all generations.
fn totals(report: &Report) -> BTreeMap<EnvironmentId, Count> {
    let mut totals: BTreeMap<EnvironmentId, Count> = BTreeMap::new();
    for arm in &report.arms {
        let total = totals.entry(arm.environment.clone()).or_default();
        *total = total.plus(Count { requests: arm.requests, spans: 0 });
    }
    for row in &report.ledger {
        let total = totals.entry(row.environment.clone()).or_default();
        *total = total.plus(Count { requests: 0, spans: row.received });
    }
    totals
}

#[cfg(test)]
mod tests {
    use crossfade_routing::Generation;
    use crossfade_routing::sync::{ArmCounts, ClockHistogram, LedgerRow};

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
        // Ten spans in every request.
        let row = |(environment, generation, requests): &(&str, u64, u64)| LedgerRow {
            environment: environment.parse().unwrap(),
            generation: Generation(*generation),
            received: 10 * requests,
            delivered: 10 * requests,
            rejected: 0,
            returned: 0,
            shed: 0,
            shed_untrusted: 0,
            indeterminate: 0,
            queued: 0,
        };
        Report {
            gateway: "gw-1".parse().unwrap(),
            boot: boot.parse().unwrap(),
            sequence: 1,
            now: UnixNanos(0),
            ack: None,
            fence: None,
            health: Vec::new(),
            ledger: counts.iter().map(row).collect(),
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
        let rate = meter.rate(now)?;
        assert_eq!(rate.spans, 10 * rate.requests);
        Some((rate.requests, rate.over_ms))
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
