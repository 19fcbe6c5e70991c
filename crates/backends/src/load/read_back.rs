//! Whether what was accepted can be read.

use std::collections::BTreeSet;

use crossfade_gates::load::{Ids, Incomplete, Picked, ReadBack, Sample};
use crossfade_gates::model::{Span, SpanId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::LoadConfig;
use crate::query::{Query, QueryError};

/// Asks for every sampled trace until it is whole, or until the deadline. What came of it, for each receiver whose ids and
/// samples, phase by phase, these are.
pub(super) async fn read_back(
    query: &Query,
    config: &LoadConfig,
    receivers: &[(Ids, &[Sample])],
    stop: &mut watch::Receiver<bool>,
) -> Vec<ReadBack> {
    let deadline = Instant::now() + config.read_back_deadline;
    let spans = config.schedule.spans_per_request();
    let mut asking = JoinSet::new();
    for (receiver, (ids, samples)) in receivers.iter().enumerate() {
        for (phase, sample) in samples.iter().enumerate() {
            for picked in sample.traces() {
                let (query, ids) = (query.clone(), *ids);
                let which = (receiver, phase, picked);
                asking.spawn(async move { (which, one(&query, ids, picked, spans, deadline).await) });
            }
        }
    }
    let mut answers = Vec::new();
    let stopped = loop {
        tokio::select! {
            Ok(_) = stop.wait_for(|stop| *stop) => break true,
            answer = asking.join_next() => match answer {
                Some(Ok(answer)) => answers.push(answer),
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => break false,
            },
        }
    };
    // In the order in which they were sent: what is kept as an example does not depend on who answered first.
    answers.sort_by_key(|(which, _)| *which);
    let mut read = vec![ReadBack { asked: true, stopped, ..ReadBack::default() }; receivers.len()];
    for ((receiver, phase, picked), answer) in answers {
        let (read, ids) = (&mut read[receiver], receivers[receiver].0);
        match answer {
            Ok((expected, found)) => {
                let trace_id = ids.trace(picked.request, picked.trace);
                read.count(Incomplete { trace_id, phase, expected, found });
            }
            Err(error) => read.miss(phase, &error.to_string(), error.is_out_of_reach()),
        }
    }
    read
}

/// How many spans were sent, and how many of these can be read.
async fn one(
    query: &Query,
    ids: Ids,
    picked: Picked,
    spans_per_request: u32,
    deadline: Instant,
) -> Result<(usize, usize), QueryError> {
    let sent: BTreeSet<SpanId> =
        ids.spans_of(picked.request, picked.trace, spans_per_request).into_iter().collect();
    let found = |spans: &[Span]| {
        let read: BTreeSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
        read.intersection(&sent).count()
    };
    let trace_id = ids.trace(picked.request, picked.trace);
    let spans = query.trace_when(trace_id, deadline, |spans| found(spans) == sent.len()).await;
    spans.map(|spans| (sent.len(), found(&spans)))
}
