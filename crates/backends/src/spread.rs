//! How far the spans of a trace lie apart, measured on an environment's own traces.
//!
//! The crossfade rule keeps a trace whole if its spans start within `overlap` of its root's start. Guessed too small, traces
//! tear; so the plan looks.

use std::collections::BTreeSet;
use std::time::Duration;

use crossfade_gates::model::{Span, TraceId};
use crossfade_gates::probe::is_own;

use crate::query::{Find, Query, QueryError};

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadConfig {
    /// Traces that began at or after this, in nanoseconds since 1970.
    pub from: u64,
    /// And before this.
    pub until: u64,
    /// Traces for each service at most.
    pub traces_per_service: u32,
    /// Services at most, in the order of their names.
    pub services_max: usize,
}

/// How far span starts lie from their trace's start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartSpread {
    /// Services looked at.
    pub services: u32,
    /// Traces looked at.
    pub traces: u32,
    /// Spans looked at.
    pub spans: u32,
    /// The largest distance of a span's start from its root's start; from the earliest start where the root is not there.
    pub widest: Duration,
    /// The trace that has it.
    pub widest_trace: Option<TraceId>,
    /// 99 % of the traces are no wider.
    pub p99: Duration,
    /// Services that were left out because there are more than `services_max`.
    pub services_left_out: u32,
    /// Traces that the store gave only a part of, which were not measured.
    pub traces_partial: u32,
}

/// Samples an environment's traces, the probe's own left out. An environment without traces gives zeros.
///
/// # Errors
/// The first question that has no answer.
pub async fn measure(query: &Query, config: &SpreadConfig) -> Result<StartSpread, QueryError> {
    let mut services: Vec<String> = query.services().await?;
    services.retain(|s| !is_own(s));
    services.sort();
    let left_out = services.len().saturating_sub(config.services_max);
    services.truncate(config.services_max);
    let (mut seen, mut partial) = (BTreeSet::new(), BTreeSet::new());
    let mut widths = Vec::new();
    let mut spans = 0;
    for service in &services {
        let mut find = Find::new(service, config.from, config.until);
        find.limit = config.traces_per_service;
        let found = query.find(&find).await?;
        partial.extend(found.partial);
        for (id, trace) in found.traces {
            if seen.insert(id) {
                spans += trace.len();
                widths.push((width(&trace), id));
            }
        }
    }
    let spread = sum_up(services.len(), left_out, spans, widths);
    Ok(StartSpread { traces_partial: partial.len().try_into().unwrap_or(u32::MAX), ..spread })
}

fn sum_up(
    services: usize,
    left_out: usize,
    spans: usize,
    mut widths: Vec<(Duration, TraceId)>,
) -> StartSpread {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    widths.sort_unstable();
    let rank = (widths.len() * 99).div_ceil(100).max(1);
    StartSpread {
        services: narrow(services),
        traces: narrow(widths.len()),
        spans: narrow(spans),
        widest: widths.last().map(|(w, _)| *w).unwrap_or_default(),
        widest_trace: widths.last().map(|(_, id)| *id),
        p99: widths.get(rank - 1).map(|(w, _)| *w).unwrap_or_default(),
        services_left_out: narrow(left_out),
        traces_partial: 0,
    }
}

/// The largest distance of a start from the root's, before or after it. A start of zero is no start.
fn width(trace: &[Span]) -> Duration {
    let starts = || trace.iter().map(|s| s.start).filter(|s| *s != 0);
    let root = trace.iter().filter(|s| s.parent.is_none() && s.start != 0).map(|s| s.start).min();
    let Some(origin) = root.or_else(|| starts().min()) else { return Duration::ZERO };
    Duration::from_nanos(starts().map(|s| s.abs_diff(origin)).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use crossfade_gates::probe::generate;

    use super::*;

    const AT: u64 = 1_800_000_000_000_000_000;

    #[test]
    fn a_trace_is_as_wide_as_its_farthest_start() {
        let mut spans = generate(1, AT, 1).remove(0).spans;
        spans.truncate(3);
        let root = spans[0].start;
        (spans[1].start, spans[2].start) = (root + 5_000, root + 2_000);
        assert_eq!(width(&spans), Duration::from_nanos(5_000));
        spans[2].start = root - 9_000;
        assert_eq!(width(&spans), Duration::from_nanos(9_000), "a start before the root's counts too");
        spans[0].parent = Some(spans[1].span_id);
        assert_eq!(width(&spans), Duration::from_nanos(14_000), "without a root from the earliest start");
        spans[2].start = 0;
        assert_eq!(width(&spans), Duration::from_nanos(5_000), "no start is none");
        assert_eq!(width(&[]), Duration::ZERO);
    }

    #[test]
    fn the_widest_trace_is_named() {
        let ids: Vec<TraceId> = generate(1, AT, 200).iter().map(|t| t.id).collect();
        let widths = ids.iter().enumerate().map(|(i, id)| (Duration::from_secs(i as u64), *id)).collect();
        let spread = sum_up(3, 1, 800, widths);
        assert_eq!((spread.widest, spread.widest_trace), (Duration::from_secs(199), Some(ids[199])));
        assert_eq!((spread.p99, spread.traces, spread.services_left_out), (Duration::from_secs(197), 200, 1));
        assert_eq!(sum_up(0, 0, 0, Vec::new()), StartSpread::default());
    }
}
