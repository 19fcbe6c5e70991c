//! Traffic of the past: what a store holds before a story begins.

use super::TrafficConfig;
use super::fleet::fleet;
use super::shape::{self, SpanPlan};
use crossfade_routing::UnixNanos;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// The first of the numbers of past traces; those of running traffic are below.
const FIRST: u64 = 1 << 40;

/// `count` traces that began within a time (nanoseconds since 1970), in order, each as the request that brings all of it. A pure
/// function of its arguments.
pub fn past(
    config: &TrafficConfig,
    began: Range<u64>,
    count: u64,
) -> impl Iterator<Item = (UnixNanos, ExportTraceServiceRequest)> {
    let fleet = fleet(config.business, config.seed, config.clock_error_max);
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    rng.set_stream(u64::MAX - 1);
    let mut starts: Vec<u64> = (0..count).map(|_| rng.random_range(began.clone())).collect();
    starts.sort_unstable();
    let config = config.clone();
    (FIRST..).zip(starts).map(move |(number, start)| {
        let plan = shape::trace(config.business, config.seed, number, config.longest_trace);
        let resource_spans = plan.spans.into_iter().map(|planned| {
            let sdk = &fleet[planned.sdk];
            ResourceSpans {
                resource: Some(sdk.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(sdk.scope.clone()),
                    spans: vec![happened(planned, start)],
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }
        });
        (UnixNanos(start), ExportTraceServiceRequest { resource_spans: resource_spans.collect() })
    })
}

/// With the times that it had.
fn happened(planned: SpanPlan, root: u64) -> Span {
    let SpanPlan { start, end, mut span, .. } = planned;
    span.start_time_unix_nano = root + start;
    span.end_time_unix_nano = root + end;
    for event in &mut span.events {
        event.time_unix_nano += root;
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{Search, Store};
    use crate::traffic::Business;

    #[test]
    fn the_past_is_stored_and_found_by_its_times() {
        let config = TrafficConfig { business: Business::Clinic, ..TrafficConfig::default() };
        let hour = 3_600_000_000_000;
        let began = 1_000 * hour..1_024 * hour;
        let store = Store::default();
        for (at, request) in past(&config, began.clone(), 240) {
            store.insert(request, at).unwrap();
        }
        assert_eq!(store.trace_count(), 240);
        assert!(store.services().contains(&"records".to_owned()));
        let search = |started| Search {
            service: None,
            operation: None,
            attributes: Default::default(),
            started,
            limit: 1_000,
        };
        let late = 1_012 * hour..1_024 * hour;
        let found = store.find(&search(late.clone())).len();
        assert!((80..160).contains(&found), "{found} of 240 in the later half");
        // The index lags: still there, and not found.
        store.leave_out_of_index(late.clone());
        assert_eq!(store.find(&search(late)).len(), 0);
        assert_eq!(store.find(&search(began)).len(), 240 - found);
        assert_eq!(store.trace_count(), 240);
    }
}
