//! The shapes of the traces: a small business, its requests drawn from templates. Pure: a trace is a function of the
//! seed and its number.

use super::business::Attribute::{self, Below, Either, Flag, Header, Money, Text};
use super::business::{Business, Op};
use super::fleet::{HOSTS, attribute};
use crossfade_routing::TraceId;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind::{Consumer, Internal, Producer, Server};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// A trace before it happens: every time counts from the start of its root.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TracePlan {
    pub(crate) id: TraceId,
    /// The root first.
    pub(crate) spans: Vec<SpanPlan>,
}

/// A span before it happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SpanPlan {
    /// Index into the fleet.
    pub(crate) sdk: usize,
    /// Its start and end, in nanoseconds after the root's start.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Everything but its times; those of its events count from the root's start too.
    pub(crate) span: Span,
}

/// What a simulator takes for an answer, at most, in nanoseconds.
const AT_ONCE: u64 = 2_000_000;
/// Share of traces in which something fails, in percent.
const FAILING_PERCENT: u32 = 3;

/// The trace of that number; no span of it ends later than `longest` after its root's start.
pub(crate) fn trace(business: Business, seed: u64, number: u64, longest: Duration) -> TracePlan {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Streams 0 and up are the traces'; the fleet and the arrivals have seeds of their own.
    rng.set_stream(number);
    let id = TraceId(non_zero(&mut rng));
    let template = pick(business, &mut rng);
    let end = duration(&mut rng, u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX));
    let root_end = end / 100 * rng.random_range(70..=100);
    let fails = rng.random_range(0..100) < FAILING_PERCENT;
    let mut growing = Growing { id, fails, end, rng, spans: Vec::new() };
    growing.lay(template, 0, root_end, &[]);
    TracePlan { id, spans: growing.spans }
}

fn pick(business: Business, rng: &mut ChaCha8Rng) -> &'static Op {
    let mut draw = rng.random_range(0..business.templates().iter().map(|(share, _)| share).sum());
    for (share, op) in business.templates() {
        if draw < *share {
            return op;
        }
        draw -= share;
    }
    unreachable!("the draw is below the sum of the shares")
}

/// Half of the traces are quick, one in five takes more than half of the longest.
fn duration(rng: &mut ChaCha8Rng, longest: u64) -> u64 {
    let per_mille = match rng.random_range(0..100u32) {
        0..50 => rng.random_range(5..100),
        50..80 => rng.random_range(100..500),
        _ => rng.random_range(500..=1_000),
    };
    (longest / 1_000 * per_mille).max(1_000)
}

/// A trace that is being laid out.
struct Growing {
    id: TraceId,
    fails: bool,
    /// Where its last span may end.
    end: u64,
    rng: ChaCha8Rng,
    spans: Vec<SpanPlan>,
}

impl Growing {
    /// Lays `op` and what it calls into `start..end`, below the span `parent` (empty for the root).
    fn lay(&mut self, op: &'static Op, start: u64, end: u64, parent: &[u8]) {
        let own_id = non_zero::<8>(&mut self.rng);
        let host = self.rng.random_range(0..HOSTS);
        let end = if op.at_once { end.min(start + AT_ONCE) } else { end };
        let span = self.describe(op, &own_id, parent, (start, end));
        let sdk = op.service * HOSTS + host;
        self.spans.push(SpanPlan { sdk, start, end, span });
        // What takes a message from the queue does so once it is published, and may outlive the root.
        let (from, until) = if op.kind == Producer { (end, self.end) } else { (start, end) };
        self.lay_calls(op.calls, from, until, &own_id);
    }

    /// One after another, each with a little room before and behind it.
    fn lay_calls(&mut self, calls: &'static [Op], start: u64, end: u64, parent: &[u8]) {
        let each = (end - start) / (calls.len() as u64).max(1);
        for (number, call) in calls.iter().enumerate() {
            let from = start + each * number as u64;
            let room = self.rng.random_range(1..=each / 10 + 1).min(each / 2);
            self.lay(call, from + room / 2, from + each - room / 2, parent);
        }
    }

    fn describe(&mut self, op: &Op, id: &[u8], parent: &[u8], (start, end): (u64, u64)) -> Span {
        let attributes = op.attributes.iter().map(|(key, value)| self.fill(key, *value)).collect();
        let fails = self.fails && op.calls.is_empty();
        Span {
            trace_id: self.id.0.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: parent.to_vec(),
            // Sampled; and it is known whether the parent is remote: it is for what another service called.
            flags: if matches!(op.kind, Server | Consumer) && !parent.is_empty() { 0x301 } else { 0x101 },
            trace_state: if self.fails { "shop=00f067aa0ba902b7".into() } else { String::new() },
            name: op.name.into(),
            kind: op.kind as i32,
            attributes,
            events: self.events(op, fails, start, end),
            links: if op.kind == Consumer { vec![self.link(parent)] } else { Vec::new() },
            status: Some(if fails {
                Status { code: StatusCode::Error as i32, message: "deadline exceeded".into() }
            } else {
                Status::default()
            }),
            ..Span::default()
        }
    }

    fn fill(&mut self, key: &str, value: Attribute) -> KeyValue {
        let rng = &mut self.rng;
        let value = match value {
            Text(text) => Value::StringValue(text.into()),
            Either(texts) => Value::StringValue(texts[rng.random_range(0..texts.len())].into()),
            Below(limit) => Value::IntValue(rng.random_range(0..limit)),
            Money => Value::DoubleValue(f64::from(rng.random_range(100..100_000u32)) / 100.0),
            Flag => Value::BoolValue(rng.random()),
            Header => {
                let texts = ["text/html", "*/*;q=0.8"].map(|text| Value::StringValue(text.into()));
                Value::ArrayValue(ArrayValue {
                    values: texts.map(|text| AnyValue { value: Some(text) }).into(),
                })
            }
        };
        attribute(key, value)
    }

    fn events(&mut self, op: &Op, fails: bool, start: u64, end: u64) -> Vec<Event> {
        let at = self.rng.random_range(start..=end);
        let event = |name: &str, attributes| {
            vec![Event { time_unix_nano: at, name: name.into(), attributes, dropped_attributes_count: 0 }]
        };
        if fails {
            let trace =
                "deadline exceeded\n  at shop::client::call (client.rs:118)\n  at shop::main (main.rs:31)";
            let text = |text: &str| Value::StringValue(text.into());
            let told = [("exception.type", "TimeoutError"), ("exception.stacktrace", trace)];
            return event("exception", told.map(|(key, value)| attribute(key, text(value))).to_vec());
        }
        match op.kind {
            Internal => event("cache.miss", vec![attribute("cache.entries", Value::IntValue(512))]),
            _ => Vec::new(),
        }
    }

    fn link(&self, to: &[u8]) -> Link {
        Link { trace_id: self.id.0.to_vec(), span_id: to.to_vec(), flags: 0x301, ..Link::default() }
    }
}

fn non_zero<const N: usize>(rng: &mut ChaCha8Rng) -> [u8; N] {
    let mut bytes = [0; N];
    while bytes == [0; N] {
        rng.fill_bytes(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const LONGEST: Duration = Duration::from_secs(3);

    fn many(business: Business) -> Vec<TracePlan> {
        (0..2_000).map(|number| trace(business, 42, number, LONGEST)).collect()
    }

    #[test]
    fn one_seed_gives_the_same_traces_and_another_gives_others() {
        let few =
            |seed| (0..200).map(|number| trace(Business::Shop, seed, number, LONGEST)).collect::<Vec<_>>();
        assert_eq!(few(1), few(1));
        let ids = |seed| few(seed).into_iter().map(|trace| trace.id).collect::<BTreeSet<_>>();
        assert_eq!(ids(1).len(), 200);
        assert!(ids(1).is_disjoint(&ids(2)));
    }

    #[test]
    fn every_trace_is_one_tree_within_the_longest_duration() {
        for trace in [Business::Shop, Business::Clinic, Business::ClinicSimulated].into_iter().flat_map(many)
        {
            let (root, children) = trace.spans.split_first().unwrap();
            assert!(root.span.parent_span_id.is_empty() && root.start == 0);
            let ids: BTreeSet<_> = trace.spans.iter().map(|planned| planned.span.span_id.clone()).collect();
            assert_eq!(ids.len(), trace.spans.len());
            assert!(children.iter().all(|child| ids.contains(&child.span.parent_span_id)));
            for planned in &trace.spans {
                assert!(planned.start < planned.end && planned.end <= 3_000_000_000, "{planned:?}");
            }
        }
    }

    /// Guarantee: a simulator answers at once, however long the trace is, and the real one takes its time.
    #[test]
    fn a_simulator_is_quicker_than_what_it_stands_for() {
        let long_calls = |business| {
            let spans = many(business).into_iter().flat_map(|trace| trace.spans);
            let calls: Vec<u64> = spans
                .filter(|planned| planned.span.name == "POST eligibility")
                .map(|planned| planned.end - planned.start)
                .collect();
            assert!(calls.len() > 400);
            calls.into_iter().filter(|nanos| *nanos > AT_ONCE).count()
        };
        assert_eq!(long_calls(Business::ClinicSimulated), 0);
        assert!(long_calls(Business::Clinic) > 400);
    }

    #[test]
    fn the_traffic_has_the_variety_that_a_store_must_keep() {
        let traces = many(Business::Shop);
        let spans: Vec<_> = traces.iter().flat_map(|trace| &trace.spans).collect();
        let mean = spans.len() as f64 / traces.len() as f64;
        assert!((5.5..6.7).contains(&mean), "{mean} spans a trace");
        let kinds: BTreeSet<_> = spans.iter().map(|planned| planned.span.kind).collect();
        assert_eq!(kinds, BTreeSet::from([1, 2, 3, 4, 5]));
        let services: BTreeSet<_> = spans.iter().map(|planned| planned.sdk / HOSTS).collect();
        assert_eq!(services.len(), 6);
        let has = |test: fn(&Span) -> bool| spans.iter().filter(|planned| test(&planned.span)).count();
        assert!(has(|span| span.status.as_ref().is_some_and(|status| status.code == 2)) > 20);
        assert!(has(|span| !span.events.is_empty()) > 100 && has(|span| !span.links.is_empty()) > 100);
        let outlived = |trace: &TracePlan| trace.spans.iter().any(|planned| planned.end > trace.spans[0].end);
        assert!(
            traces.iter().filter(|trace| outlived(trace)).count() > 100,
            "spans that end after their root"
        );
        let longs = traces.iter().filter(|trace| trace.spans[0].end > 1_500_000_000).count();
        assert!((250..550).contains(&longs), "{longs} of 2,000 last longer than 1.5 s");
    }
}
