//! Is every recorded trace whole where it should be? Read from that environment's store alone.

use super::jaeger::{Jaeger, Stored, Trace};
use super::record::{Export, Record, Span, SpanId, TraceId};
use crate::rig::wait;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a store lacks, trace by trace, of what was recorded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) traces_checked: usize,
    pub(crate) spans_checked: usize,
    /// Traces with nothing stored at all.
    pub(crate) absent: Vec<TraceId>,
    /// Traces with some spans stored and some not, or stored otherwise than they were recorded.
    pub(crate) torn: Vec<(TraceId, Vec<String>)>,
}

impl Missing {
    pub(crate) fn is_nothing(&self) -> bool {
        self.absent.is_empty() && self.torn.is_empty()
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (absent, torn) = (self.absent.len(), self.torn.len());
        write!(
            out,
            "{} traces, {} spans: {absent} absent, {torn} torn",
            self.traces_checked, self.spans_checked
        )?;
        for id in self.absent.iter().take(3) {
            write!(out, "\n  absent {id}")?;
        }
        for (id, spans) in self.torn.iter().take(3) {
            write!(out, "\n  torn {id}: {}", spans.join(", "))?;
        }
        Ok(())
    }
}

/// Which spans of a record a store must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Every span that was ended.
    All,
    /// Every span whose export was acknowledged.
    Acknowledged,
}

/// Looks up every recorded trace that `wanted` picks until all are whole, or `limit` is over; then says what is missing.
/// What is found whole is not asked for again.
pub(crate) fn missing(
    record: &Record,
    store: Jaeger,
    demand: Demand,
    limit: Duration,
    wanted: impl Fn(&TraceId) -> bool,
) -> Result<Missing> {
    let traces = record.traces.iter().filter(|(id, _)| wanted(id));
    let mut left: BTreeMap<&TraceId, _> = traces.map(|(id, spans)| (id, demanded(spans, demand))).collect();
    left.retain(|_, spans| !spans.is_empty());
    let traces_checked = left.len();
    let spans_checked = left.values().map(BTreeMap::len).sum();
    let start = Instant::now();
    let mut found = Missing { traces_checked, spans_checked, ..Missing::default() };
    let settled = wait::until("traces to be readable", limit + Duration::from_secs(60), || {
        let mut absent = Vec::new();
        let mut torn = Vec::new();
        let mut whole = Vec::new();
        for (id, spans) in &left {
            let stored = store.trace(id)?;
            let lacks = compare(spans, &stored);
            match (lacks.is_empty(), stored.is_empty()) {
                (true, _) => whole.push(*id),
                (false, true) => absent.push((*id).clone()),
                (false, false) => torn.push(((*id).clone(), lacks)),
            }
        }
        whole.iter().for_each(|id| _ = left.remove(id));
        let last = left.is_empty() || start.elapsed() >= limit;
        Ok(last.then_some((absent, torn)))
    })?;
    (found.absent, found.torn) = settled;
    Ok(found)
}

/// [`missing`], and anything missing is an error.
pub(crate) fn demand_whole(
    name: &str,
    record: &Record,
    store: Jaeger,
    demand: Demand,
    limit: Duration,
) -> Result<Missing> {
    let missing = missing(record, store, demand, limit, |_| true)?;
    if missing.traces_checked == 0 {
        bail!("{name}: nothing to check, so nothing is shown");
    }
    if !missing.is_nothing() {
        bail!("{name}: {missing}");
    }
    Ok(missing)
}

fn demanded(spans: &BTreeMap<SpanId, Span>, demand: Demand) -> BTreeMap<&SpanId, &Span> {
    let acknowledged = |span: &Span| demand == Demand::All || span.export == Export::Acknowledged;
    spans.iter().filter(|(_, span)| acknowledged(span)).collect()
}

/// The recorded spans that the store lacks or holds otherwise, each in words.
fn compare(recorded: &BTreeMap<&SpanId, &Span>, stored: &Trace) -> Vec<String> {
    let mut lacks = Vec::new();
    for (id, span) in recorded {
        let wanted = (&*span.parent, &*span.name, &*span.kind, span.start, span.end);
        match stored.get(*id) {
            None => lacks.push(format!("{id} ({} {}) is missing", span.kind, span.name)),
            Some(found) if facts(found) != wanted => lacks.push(format!("{id} differs: {:?}", facts(found))),
            Some(_) => {}
        }
    }
    lacks
}

fn facts(span: &Stored) -> (&str, &str, &str, u64, u64) {
    (&span.parent, &span.name, span.kind, span.start, span.end)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{line, record};
    use super::*;

    fn stored(parent: &str) -> Stored {
        Stored { parent: parent.to_owned(), name: "n".to_owned(), kind: "SERVER", start: 10, end: 20 }
    }

    fn check(stored: &[(&str, Stored)], demand: Demand) -> Vec<String> {
        let read = record(&[
            line("t", "a", ""),
            line("t", "b", "a"),
            r#"{"export":{"ok":true,"spans":[["t","a"]]}}"#.to_owned(),
        ]);
        let stored = stored.iter().map(|(id, span)| ((*id).to_owned(), span.clone())).collect();
        compare(&demanded(&read.traces["t"], demand), &stored)
    }

    #[test]
    fn a_whole_trace_lacks_nothing() {
        assert_eq!(check(&[("a", stored("")), ("b", stored("a"))], Demand::All), Vec::<String>::new());
    }

    #[test]
    fn a_missing_span_is_named() {
        assert_eq!(check(&[("a", stored(""))], Demand::All), ["b (SERVER n) is missing"]);
        assert_eq!(check(&[("a", stored(""))], Demand::Acknowledged), Vec::<String>::new());
        assert_eq!(check(&[("b", stored("a"))], Demand::Acknowledged).len(), 1);
    }

    #[test]
    fn a_span_that_was_changed_on_the_way_is_told() {
        let mut late = stored("a");
        late.end = 21;
        assert_eq!(check(&[("a", stored("")), ("b", late)], Demand::All).len(), 1);
        assert_eq!(check(&[("a", stored("")), ("b", stored(""))], Demand::All).len(), 1);
    }
}
