//! One function for each kind of question.

use anyhow::{Context, Result, bail, ensure};
use crossfade_backends::otlp::{Client, Message, Outcome};
use crossfade_backends::probe::request;
use crossfade_backends::query::{Find, Query, QueryError, Wanted};
use crossfade_gates::model::{Span, TraceId};
use crossfade_gates::probe::{PEER_SERVICE, Repeats, SERVICE, Trace, compare, generate};
use http::HeaderMap;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

const TRACES: u32 = 12;
const PATIENCE: Duration = Duration::from_secs(10);
/// From an export's answer until a search finds it.
const INDEXED: Duration = Duration::from_secs(60);
const MINUTE: u64 = 60_000_000_000;
const UNKNOWN: TraceId = TraceId([0xcf; 16]);

/// Nothing is stored yet, and that is no error; then there is something.
pub(crate) async fn write(otlp: &Client, query: &Query) -> Result<Vec<Trace>> {
    query.reach().await?;
    ensure!(query.trace(UNKNOWN).await?.is_none(), "a trace that nobody wrote is there");
    let at = now()?;
    let found = query.find(&Find::new(SERVICE, at - MINUTE, at + MINUTE)).await?;
    ensure!(found.traces.is_empty() && found.partial.is_empty(), "a search finds what nobody wrote");
    let traces = generate(at, at, TRACES);
    for trace in &traces {
        let message = Message::identity(request(trace));
        match otlp.export(message, &HeaderMap::new(), PATIENCE).await.outcome {
            Outcome::Accepted { rejected_spans: 0, .. } => {}
            other => bail!("{}", other.describe()),
        }
    }
    Ok(traces)
}

/// Every trace comes back span by span and attribute by attribute.
pub(crate) async fn by_id(query: &Query, written: &[Trace]) -> Result<()> {
    for trace in written {
        let whole = |spans: &[Span]| compare(trace, spans, Repeats::Unexpected).is_empty();
        let spans = query.trace_when(trace.id, Instant::now() + PATIENCE, whole).await?;
        let findings = compare(trace, &spans, Repeats::Unexpected);
        ensure!(findings.is_empty(), "{}: {findings:?}", trace.id);
    }
    ensure!(query.trace(UNKNOWN).await?.is_none(), "a trace that nobody wrote is there");
    Ok(())
}

pub(crate) async fn names(query: &Query, written: &[Trace]) -> Result<()> {
    let spans = || written.iter().flat_map(|trace| &trace.spans);
    let wanted: BTreeSet<String> = spans().map(|span| span.service().to_owned()).collect();
    until("the names of the services", async || {
        let services = query.services().await?;
        Ok(wanted.iter().all(|name| services.contains(name)))
    })
    .await?;
    let of_service = spans().filter(|span| span.service() == SERVICE);
    let wanted: BTreeSet<&str> = of_service.map(|span| span.name.as_str()).collect();
    until("the names of a service's spans", async || {
        Ok(query.operations(SERVICE).await?.iter().map(String::as_str).eq(wanted.iter().copied()))
    })
    .await?;
    ensure!(query.operations("nobody").await?.is_empty(), "a service that is not there has spans");
    Ok(())
}

/// By service, operation, time, and attributes of every type that can be searched for.
pub(crate) async fn finds(query: &Query, written: &[Trace]) -> Result<()> {
    let (start, end) = times(written)?;
    let of_service = written.iter().filter(|trace| trace.spans.iter().any(|s| s.service() == SERVICE));
    let all: BTreeSet<TraceId> = of_service.map(|trace| trace.id).collect();
    let everything = Find::new(SERVICE, start, end);
    until("every trace in a search", async || Ok(query.find_ids(&everything).await? == all)).await?;
    let found = query.find(&everything).await?;
    ensure!(found.partial.is_empty() && found.traces.keys().copied().collect::<BTreeSet<_>>() == all);
    for trace in written.iter().filter(|trace| all.contains(&trace.id)) {
        let findings = compare(trace, &found.traces[&trace.id], Repeats::Unexpected);
        ensure!(findings.is_empty(), "a search gives another trace: {findings:?}");
    }
    let spans = written.iter().flat_map(|trace| trace.spans.iter().map(move |span| (trace, span)));
    let of_peer = spans.filter(|(_, span)| span.service() == PEER_SERVICE);
    let richest = of_peer.max_by_key(|(_, span)| span.attributes.len());
    let (trace, span) = richest.context("both services have spans")?;
    for (key, value) in &span.attributes {
        let Some(wanted) = Wanted::of(value) else { continue };
        let with = |operation: &str, wanted: Wanted| Find {
            operation: Some(operation.to_owned()),
            attributes: [(key.clone(), wanted)].into(),
            ..Find::new(PEER_SERVICE, start, end)
        };
        let found = query.find(&with(&span.name, wanted.clone())).await?;
        ensure!(found.traces.contains_key(&trace.id), "not found by `{key}` = {wanted:?}");
        let others = found.traces.values();
        let mistaken = others.filter(|spans| !spans.iter().any(|s| s.attributes.get(key) == Some(value)));
        ensure!(mistaken.count() == 0, "found by `{key}` = {wanted:?}, and does not have it");
        let nothing = query.find_ids(&with("no such operation", wanted)).await?;
        ensure!(nothing.is_empty(), "found by `{key}` and an operation that nobody has");
        let nothing = query.find_ids(&with(&span.name, Wanted::from("no such value"))).await?;
        ensure!(nothing.is_empty(), "found by a value of `{key}` that nobody wrote");
    }
    let resource = [("service.name".to_owned(), Wanted::from(SERVICE))].into();
    let found = query.find_ids(&Find { attributes: resource, ..everything.clone() }).await?;
    ensure!(found == all, "not found by an attribute of the resource");
    let long_ago =
        Find { start_min: start - 60 * MINUTE, start_max: start - 30 * MINUTE, ..everything.clone() };
    ensure!(query.find_ids(&long_ago).await?.is_empty(), "found where nothing began");
    let few = query.find(&Find { limit: 3, ..everything }).await?;
    ensure!(few.traces.len() == 3, "asked for 3, got {}", few.traces.len());
    Ok(())
}

/// Another tenant sees nothing, and nobody is refused in words.
pub(crate) async fn separate(other: &Query, nobody: &Query, written: &[Trace]) -> Result<()> {
    let (start, end) = times(written)?;
    for trace in written {
        ensure!(other.trace(trace.id).await?.is_none(), "another tenant reads {}", trace.id);
        let refused = nobody.trace(trace.id).await;
        ensure!(
            matches!(refused, Err(QueryError::Refused { status: 401, .. })),
            "without a tenant: {refused:?}"
        );
    }
    ensure!(
        other.find_ids(&Find::new(SERVICE, start, end)).await?.is_empty(),
        "another tenant finds a trace"
    );
    ensure!(other.services().await?.is_empty(), "another tenant knows a service");
    Ok(())
}

/// From before the first start to behind the last.
fn times(written: &[Trace]) -> Result<(u64, u64)> {
    let starts = || written.iter().flat_map(|trace| &trace.spans).map(|span| span.start);
    let (first, last) = starts().min().zip(starts().max()).context("something was written")?;
    Ok((first, last + 1))
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + INDEXED;
    while !holds().await? {
        ensure!(Instant::now() < deadline, "waited {INDEXED:?} for {what}, in vain");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the time of the run makes its traces, as in the probe")]
fn now() -> Result<u64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_nanos())?)
}
