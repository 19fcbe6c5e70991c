//! How traces are drawn, against a store that gives the latest first.

use std::time::Duration;

use crossfade_backends::sample::{Draw, Window, draw};
use crossfade_gates::model::TraceId;
use crossfade_lab::environment::Environment;
use crossfade_routing::UnixNanos;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use tokio::time::Instant;

use super::world::{DAY, HOUR, jaeger, put};

fn wanted(traces: usize, seed: u64) -> Draw {
    Draw {
        window: DAY,
        traces,
        seed,
        slices: 32,
        whole_first: true,
        deadline: Instant::now() + Duration::from_secs(60),
    }
}

/// A trace of one span, of a service without a name.
fn one_span(id: [u8; 16], at: u64) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: id.into(),
        span_id: id[..8].into(),
        start_time_unix_nano: at,
        end_time_unix_nano: at + 1,
        status: Some(Status::default()),
        ..Span::default()
    };
    let scope = Some(InstrumentationScope::default());
    let scope_spans = vec![ScopeSpans { scope, spans: vec![span], ..ScopeSpans::default() }];
    let resource = Some(Resource::default());
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// Scenario: 600 traces of a day, and as many again within one hour of it; a search gives the latest 200.
/// Guarantee: the busy hour has its share of the sample, neither more nor less than chance does, and what is latest is not
/// preferred.
#[tokio::test]
async fn a_busy_hour_has_its_share() {
    let environment = Environment::start(1).await.unwrap();
    let busy = Window { from: DAY.from + 3 * HOUR, until: DAY.from + 4 * HOUR };
    let mut began = std::collections::BTreeMap::new();
    let mut dice = 1_u64;
    for (window, count) in [(DAY, 600), (busy, 600)] {
        for _ in 0..count {
            dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let at = window.from + (dice >> 11) % (window.until - window.from);
            let id = (u128::from(dice) << 64 | u128::from(at)).to_be_bytes();
            began.insert(TraceId(id), at);
            put(&environment.store(), UnixNanos(at), one_span(id, at));
        }
    }
    let query = jaeger(&environment.query_addr().to_string());
    let (mut drawn, mut in_busy, mut late) = (0, 0, 0);
    for seed in 0..3 {
        let found = draw(&[&query], &wanted(100, seed)).await.unwrap();
        assert!(!found.is_all(), "there is too much to ask for all of it");
        for id in found.ids.iter().take(100) {
            let at = began[id];
            assert!(found.holds(at));
            drawn += 1;
            in_busy += u32::from(busy.holds(at));
            late += u32::from(at >= DAY.from + 12 * HOUR);
        }
    }
    // 52 % of all traces are of the busy hour, 25 % of the second half of the day. Slices draw in bunches: a wide margin.
    assert_eq!(drawn, 300);
    assert!((80..=230).contains(&in_busy) && (35..=115).contains(&late), "{in_busy} {late} of {drawn}");
}

#[tokio::test]
async fn a_draw_of_several_has_what_any_of_them_has() {
    let (blue, green) = (Environment::start(1).await.unwrap(), Environment::start(2).await.unwrap());
    for (nth, (at, request)) in super::world::traffic(100).enumerate() {
        put(&[&blue, &green][nth % 2].store(), at, request);
    }
    let [a, b] = [&blue, &green].map(|e| jaeger(&e.query_addr().to_string()));
    assert_eq!(draw(&[&a], &wanted(100, 1)).await.unwrap().ids.len(), 50);
    let both = draw(&[&a, &b], &wanted(100, 1)).await.unwrap();
    assert_eq!((both.ids.len(), both.is_all()), (100, true));
    let other = draw(&[&b, &a], &wanted(100, 1)).await.unwrap();
    assert_eq!(both.ids, other.ids, "the order is the seed's");
}

#[tokio::test]
async fn a_draw_ends_with_its_time() {
    let environment = Environment::start(1).await.unwrap();
    for (at, request) in super::world::traffic(20) {
        put(&environment.store(), at, request);
    }
    let query = jaeger(&environment.query_addr().to_string());
    let over = Draw { deadline: Instant::now(), ..wanted(20, 1) };
    let drawn = draw(&[&query], &over).await.unwrap();
    assert_eq!((drawn.is_all(), &drawn.facts()["stopped"]), (false, &true.into()));
}
