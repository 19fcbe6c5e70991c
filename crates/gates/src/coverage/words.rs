//! Names, rates and times as people read them, and what people would have misread.

use super::chance::Share;
use super::silence::sent_within;
use super::{Inputs, Window};
use crate::Place;
use crate::inventory::{Seen, Service};
use crate::words::counted;
pub(crate) use crate::words::time;

/// Names that a list has room for.
const NAMES_MAX: usize = 10;

/// So many names, and how many more there are.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// ` (and 3 more)`; nothing for one.
pub(crate) fn more(count: usize) -> String {
    if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() }
}

fn traces(count: u64) -> String {
    counted(count, "trace", "traces")
}

/// `in 3 of 120 traces (2.5 %)`.
pub(crate) fn share(share: Share) -> String {
    format!("in {} of {} ({:.1} %)", share.with, traces(share.all), share.value() * 100.0)
}

/// `12.5 traces/min in the sample, last at …`.
pub(crate) fn rate(seen: &Seen, window: Window) -> String {
    let minutes = (window.secs() / 60.0).max(1.0 / 60.0);
    format!("{} looked at, {:.1} a minute", traces(seen.traces.into()), f64::from(seen.traces) / minutes)
}

/// A service in an environment, with an example.
pub(crate) fn place(environment: &str, service: &str, seen: &Seen) -> Place {
    let place = Place::environment(environment).component(service);
    seen.example.map_or(place.clone(), |id| place.trace(id))
}

/// How many traces of it were sent, if any were.
pub(crate) fn sent(inputs: &Inputs, service: &str) -> Option<u32> {
    let taps = inputs.sent.as_deref().unwrap_or_default();
    Some(sent_within(taps, service, inputs.window)).filter(|traces| *traces > 0)
}

/// What a missing service hides.
pub(crate) fn misread_service(name: &str, service: &Service) -> String {
    let operations = list(most(service.operations.iter().map(|(name, seen)| (name.as_str(), seen.traces))));
    let callers = service.callers.iter();
    let via = callers.flat_map(|(_, caller)| caller.via.iter().map(|(name, count)| (name.as_str(), *count)));
    let via = list(most(via));
    let seen = if via.is_empty() {
        String::new()
    } else {
        format!("; a slowdown of it would show as one of its callers, in {via}")
    };
    let better = better(service);
    format!(
        "A failure of `{name}` would have been read as less traffic: {operations} would just be missing{seen}{better}"
    )
}

/// Figures that get better when a service is missing from them.
fn better(service: &Service) -> String {
    let failed = match service.failed.traces {
        0 => None,
        failed => Some(format!("{failed} of its {} failed", traces(service.seen.traces.into()))),
    };
    let slowest = service.took.quantile(0.99);
    let took = slowest.map(|nanos| format!("its requests took up to {} (p99)", length(nanos)));
    let known: Vec<String> = [failed, took].into_iter().flatten().collect();
    match known.as_slice() {
        [] => String::new(),
        known => format!(
            "; {}: without it error rates and latencies look better, because they are not recorded and not because they are",
            known.join(", and ")
        ),
    }
}

/// `840 ms`, `2.1 s`.
fn length(nanos: u64) -> String {
    match nanos / 1_000_000 {
        millis @ 0..1_000 => format!("{millis} ms"),
        millis => format!("{:.1} s", millis as f64 / 1_000.0),
    }
}

/// What a missing edge hides.
pub(crate) fn misread_edge<'a>(
    service: &str,
    ours: &Service,
    callers: impl Iterator<Item = &'a str>,
) -> String {
    let mut callers: Vec<&str> = callers.collect();
    if callers.is_empty() {
        callers = ours.callers.keys().map(String::as_str).collect();
    }
    let via = callers.iter().filter_map(|caller| ours.callers.get(*caller));
    let via = via.flat_map(|caller| caller.via.iter().map(|(name, count)| (name.as_str(), *count)));
    let via = list(most(via));
    let at = if via.is_empty() {
        "its callers".to_owned()
    } else {
        format!("{via} of {}", list(callers.into_iter()))
    };
    format!(
        "A degradation of `{service}` would have been read as one of {at}, with nothing below to explain it"
    )
}

/// The most frequent first.
fn most<'a>(counted: impl Iterator<Item = (&'a str, u32)>) -> impl Iterator<Item = &'a str> {
    let mut counted: Vec<(&str, u32)> = counted.collect();
    counted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counted.dedup_by_key(|(name, _)| *name);
    counted.into_iter().take(NAMES_MAX / 2).map(|(name, _)| name)
}

/// `90 s`, `12 min`, `3.5 h`.
pub(crate) fn span_of_time(nanos: u64) -> String {
    let secs = nanos / 1_000_000_000;
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        _ => format!("{:.1} h", secs as f64 / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_lists_are_for_people() {
        assert_eq!(
            (span_of_time(90_000_000_000), span_of_time(7_200_000_000_000)),
            ("90 s".into(), "2.0 h".into())
        );
        assert_eq!(list(["a", "b"].into_iter()), "`a`, `b`");
        assert!(list((0..12).map(|_| "x")).ends_with("and 2 more"));
    }
}
