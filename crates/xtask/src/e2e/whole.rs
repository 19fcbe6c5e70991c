//! Is every recorded trace whole where it should be? Read from that environment's store alone.

use super::jaeger::{Jaeger, Stored, Trace};
use super::record::{Export, Record, Span, SpanId, TraceId};
use crate::rig::wait;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fmt::Debug;
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

/// Waits until a store holds so many traces of telemetrygen, each of them whole; and demands that it holds no more.
pub(crate) fn demand_load(name: &str, store: Jaeger, traces: usize, limit: Duration) -> Result<()> {
    let mut last = String::new();
    let found = wait::until("telemetrygen's traces", limit, || {
        let stored = store.traces_of(LOAD)?;
        let whole = stored.values().filter(|trace| is_load(trace)).count();
        last =
            format!("{name}: telemetrygen sent {traces} traces, stored are {}, whole {whole}", stored.len());
        ensure!(stored.len() <= traces, "{last}");
        Ok((whole == traces).then_some(()))
    });
    found.context(last)
}

/// What telemetrygen sends as.
pub(crate) const LOAD: &str = "load";

/// Whether this is a whole trace of telemetrygen: a call, and its answer.
pub(crate) fn is_load(trace: &Trace) -> bool {
    let client = trace.iter().find(|(_, span)| span.kind == "CLIENT" && span.parent.is_empty());
    let server = trace.values().find(|span| span.kind == "SERVER");
    let called = client.zip(server).is_some_and(|((id, _), server)| server.parent == *id);
    called && trace.len() == 2 && trace.values().all(|span| span.content.resource["service.name"] == LOAD)
}

fn demanded(spans: &BTreeMap<SpanId, Span>, demand: Demand) -> BTreeMap<&SpanId, &Span> {
    let acknowledged = |span: &Span| demand == Demand::All || span.export == Export::Acknowledged;
    spans.iter().filter(|(_, span)| acknowledged(span)).collect()
}

/// The recorded spans that the store lacks or holds otherwise, each in words.
fn compare(recorded: &BTreeMap<&SpanId, &Span>, stored: &Trace) -> Vec<String> {
    let mut lacks = Vec::new();
    for (id, span) in recorded {
        match stored.get(*id) {
            None => lacks.push(format!("{id} ({} {}) is missing", span.kind, span.name)),
            Some(found) => lacks.extend(differs(span, found).map(|what| format!("{id} differs: {what}"))),
        }
    }
    lacks
}

/// In what a stored span is not what was recorded.
fn differs(recorded: &Span, stored: &Stored) -> Option<String> {
    let wanted = (&*recorded.parent, &*recorded.name, &*recorded.kind, recorded.start, recorded.end);
    let found = (&*stored.parent, &*stored.name, stored.kind, stored.start, stored.end);
    let (is, was) = (&stored.content, &recorded.content);
    unlike("it", &found, &wanted)
        .or_else(|| unlike("its resource", &is.resource, &was.resource))
        .or_else(|| unlike("its scope", &is.scope, &was.scope))
        .or_else(|| unlike("what is attributed", &is.attributes, &was.attributes))
        .or_else(|| unlike("what happened", &is.events, &was.events))
        .or_else(|| unlike("its status", &is.status, &was.status))
}

fn unlike<T: PartialEq + Debug>(what: &str, found: &T, wanted: &T) -> Option<String> {
    (found != wanted).then(|| format!("{what} is {found:?}, not {wanted:?}"))
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{answer, line, record};
    use super::*;

    fn stored(parent: &str) -> Stored {
        let content = record(&[line("t", "a", "")]).traces["t"]["a"].content.clone();
        Stored {
            parent: parent.to_owned(),
            name: "n".to_owned(),
            kind: "SERVER",
            start: 10,
            end: 20,
            content,
        }
    }

    fn check(stored: &[(&str, Stored)], demand: Demand) -> Vec<String> {
        let read = record(&[line("t", "a", ""), line("t", "b", "a"), answer(true, 1_200, &[("t", "a")])]);
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

    #[test]
    fn a_span_that_says_something_else_or_of_another_is_told() {
        let otherwise: [fn(&mut Stored); 5] = [
            |span| _ = span.content.resource.insert("service.name".to_owned(), "depot".into()),
            |span| span.content.scope.clear(),
            |span| _ = span.content.attributes.remove("step"),
            |span| span.content.events.clear(),
            |span| span.content.status.code = "UNSET".to_owned(),
        ];
        for change in otherwise {
            let mut changed = stored("a");
            change(&mut changed);
            let told = check(&[("a", stored("")), ("b", changed)], Demand::All);
            assert!(told.len() == 1 && told[0].starts_with("b differs"), "{told:?}");
        }
    }
}
