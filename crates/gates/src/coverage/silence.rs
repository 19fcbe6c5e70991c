//! What stopped, what is sent and recorded nowhere, and what broke in both environments: questions that a comparison of the two
//! with each other cannot answer.

use super::chance::ln_none;
use super::compare::{Part, Test, found, tests};
use super::{Look, Window, rules, words};
use crate::inventory::{Inventory, Sent, Service};
use crate::{Finding, Place};

const MINUTE_NANOS: u64 = 60_000_000_000;
/// Who reports in bursts has fallen silent only after so many of its usual pauses.
const PAUSES: u64 = 3;

impl Look<'_> {
    /// Services that are recorded nowhere, though they were, or are sent.
    pub(crate) fn silence(&mut self, blue: &Inventory, green: &Inventory) {
        let recorded = |name: &str| {
            [blue, green]
                .iter()
                .any(|inventory| inventory.services.get(name).is_some_and(|service| service.seen.traces > 0))
        };
        if let Some((window, before)) = self.inputs.past() {
            for (name, service) in &before.services {
                if self.limits.looks_at(name) && !recorded(name) && !self.told.contains(name) {
                    self.stopped(window, name, service);
                }
            }
        }
        let Ok(taps) = &self.inputs.sent else { return };
        let names = taps.iter().flat_map(|tap| tap.inventory.services.keys());
        let names: std::collections::BTreeSet<&String> = names.collect();
        for name in names {
            if !self.limits.looks_at(name) || recorded(name) || self.told.contains(name) {
                continue;
            }
            // What has just been sent may not be readable yet.
            let within =
                Window { until: self.inputs.window.until.saturating_sub(MINUTE_NANOS), ..self.inputs.window };
            if sent_within(taps, name, within) >= self.limits.sent_min {
                self.blind(taps, name, None);
            }
        }
    }

    fn stopped(&mut self, before: Window, name: &str, service: &Service) {
        let now = self.inputs.window;
        let ln_threshold = self.facts.ln_threshold;
        let silent = now.until.saturating_sub(service.seen.last);
        let ratio = |secs: f64| if before.secs() > 0.0 { secs / before.secs() } else { 0.0 };
        let by_chance = |secs: f64| ln_none(service.seen.traces, ratio(secs)) > ln_threshold;
        if by_chance(now.secs()) || silent <= PAUSES * longest_pause(service) {
            self.facts.quiet(name);
            return;
        }
        let taps = self.inputs.sent.as_deref().unwrap_or_default();
        let after =
            Window { from: service.seen.last + MINUTE_NANOS, until: now.until.saturating_sub(MINUTE_NANOS) };
        if sent_within(taps, name, after) >= self.limits.sent_min {
            return self.blind(taps, name, Some(service));
        }
        // The taps looked, at nearly all that there was, and for long enough to have seen it among the traces that they take.
        let looked = |tap: &Sent| {
            let secs = tap.now.saturating_sub(tap.since.max(after.from)) as f64 / 1e9;
            tap.saw_nearly_all_since(after.from) && !by_chance(secs / f64::from(tap.tap.one_in.max(1)))
        };
        let watched = !taps.is_empty() && taps.iter().all(looked);
        let rule = if watched { &rules::APPLICATION_SILENT } else { &rules::SERVICE_STOPPED };
        let last = words::time(service.seen.last);
        let known =
            if watched { "nothing of it is sent any more" } else { "whether it is still sent is not known" };
        let misread = words::misread_service(name, service);
        self.told.insert(name.to_owned());
        self.find(
            Finding::new(rule)
                .at(words::place(&self.inputs.blue.name, name, &service.seen))
                .detail(format!("`{name}` is not recorded any more since {last}, and {known}. {misread}"))
                .expected(words::rate(&service.seen, before))
                .seen(format!("none in {}, the last one at {last}", words::span_of_time(silent))),
        );
    }

    /// Sent, and recorded nowhere.
    fn blind(&mut self, taps: &[Sent], name: &str, service: Option<&Service>) {
        let of = taps.iter().filter_map(|tap| tap.inventory.services.get(name));
        let Some(newest) = of.max_by_key(|service| service.seen.last) else { return };
        let until =
            service.map_or(String::new(), |service| format!(" since {}", words::time(service.seen.last)));
        let misread = words::misread_service(name, newest);
        let environments = format!("{} and {}", self.inputs.blue.name, self.inputs.green.name);
        self.told.insert(name.to_owned());
        self.find(
            Finding::new(&rules::SENT_NOT_RECORDED)
                .at(Place { environment: None, ..words::place("", name, &newest.seen) })
                .detail(format!("`{name}` is sent, and neither environment records it{until}. {misread}"))
                .expected(format!(
                    "some of the {} traces that the gateway has seen, the last at {}",
                    newest.seen.traces,
                    words::time(newest.seen.last)
                ))
                .seen(format!("none in {environments}")),
        );
    }

    /// Traces that broke in both environments: the active one now against itself before.
    pub(crate) fn breaks(&mut self, blue: &Inventory) {
        let Some((_, before)) = self.inputs.past() else { return };
        let tests = tests(before, blue, 1.0, self.limits);
        for (service, parts) in found(&tests, self.facts.ln_threshold) {
            if parts.contains_key(&Part::Service) || self.told.contains(&format!(" -> {service}")) {
                continue;
            }
            let Some(ours) = before.services.get(service) else { continue };
            let of = |part: Part| parts.get(&part).into_iter().flatten().copied();
            let gone = |test: &&Test| !self.told.contains(&test.name);
            let callers: Vec<&Test> = of(Part::Caller).filter(gone).collect();
            let orphaned = ours.callers.keys().any(|caller| self.told.contains(caller));
            let breaks: Vec<&Test> = of(Part::Roots).chain(of(Part::Orphans)).filter(|_| !orphaned).collect();
            let last = |caller: &str| {
                let seen = |inventory: &Inventory| {
                    Some(inventory.services.get(service)?.callers.get(caller)?.seen.last)
                };
                seen(blue).max(seen(before))
            };
            let since = callers.iter().filter_map(|test| last(&test.name)).max();
            let place = words::place(&self.inputs.blue.name, service, &ours.seen);
            let since = since.unwrap_or(self.inputs.window.from);
            self.broken(service, ours, (&callers, &breaks), &place, Some(since));
        }
    }
}

/// Traces of a service that were sent within a time, of those that the taps looked at.
pub(crate) fn sent_within(taps: &[Sent], service: &str, window: Window) -> u32 {
    let minutes = window.from.div_ceil(MINUTE_NANOS)..window.until / MINUTE_NANOS + 1;
    let of = taps.iter().filter_map(|tap| tap.inventory.services.get(service));
    of.flat_map(|service| service.minutes.iter())
        .filter(|(minute, _)| minutes.contains(minute))
        .map(|(_, traces)| *traces)
        .sum()
}

/// The longest run of minutes without a trace between two with one.
fn longest_pause(service: &Service) -> u64 {
    let minutes: Vec<u64> = service.minutes.keys().copied().collect();
    let pause = minutes.windows(2).map(|pair| match pair {
        [one, next] => next - one - 1,
        _ => 0,
    });
    pause.max().unwrap_or(0) * MINUTE_NANOS
}
