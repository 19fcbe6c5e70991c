//! What the rule costs: nanoseconds a span, on schedules as they are in the field.
//!
//! `cargo bench -p crossfade-routing`. Divide by [`SPANS`] for the cost of one span.

use std::time::Duration;

use crossfade_routing::{
    Begin, Cut, EnvironmentId, Protection, Router, Schedule, Seed, TraceId, UnixNanos, Weight, Window,
    fraction,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const SPANS: usize = 512;
const NOW: UnixNanos = UnixNanos(1_770_000_000_000_000_000);

fn main() {
    divan::main();
}

struct Span {
    trace: TraceId,
    start: UnixNanos,
    end: UnixNanos,
}

/// One request as SDKs send it: 64 traces of 8 spans, ended within the last five seconds.
fn request() -> Vec<Span> {
    let seed = Seed(7);
    (0..SPANS as u64)
        .map(|i| {
            let mixed =
                |salt: u64| fraction(seed, &TraceId(u128::from(i / 8 * 4 + salt + 1).to_be_bytes())).0;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&mixed(0).to_be_bytes());
            id[8..].copy_from_slice(&mixed(1).to_be_bytes());
            let end = NOW.minus(Duration::from_nanos(i * 10_000_000));
            Span { trace: TraceId(id), start: end.minus(Duration::from_millis(i)), end }
        })
        .collect()
}

fn router(stage: &str) -> Router {
    let environment = |name| EnvironmentId::new(name).expect("a valid name");
    let active = Schedule::genesis(environment("blue"));
    let begin = Begin {
        rollout: "bench".to_owned(),
        to: environment("green"),
        seed: Seed(42),
        window: Window::default(),
    };
    let candidate = active.begin(begin).expect("begins");
    let cut = |schedule: &Schedule, minutes_ago: u64, percent: u32| {
        let at = NOW.minus(Duration::from_secs(minutes_ago * 60));
        schedule.cut(Cut { at, weight: Weight::from_ppm(percent * 10_000).expect("a share") }).expect("cuts")
    };
    let schedule = match stage {
        "one environment" => active,
        "before the first cut" => candidate,
        "long after a cut" => cut(&candidate, 120, 25),
        "within the window of a cut" => cut(&cut(&candidate, 120, 5), 1, 25),
        "ten cuts" => (1..=10).fold(candidate, |s, i| cut(&s, 200 - u64::from(i) * 10, i * 9)),
        _ => unreachable!("{stage} is listed below"),
    };
    Router::new(&schedule, NOW.plus(Duration::from_secs(600)), Protection::Copy)
}

const STAGES: [&str; 5] =
    ["one environment", "before the first cut", "long after a cut", "within the window of a cut", "ten cuts"];

#[divan::bench(args = STAGES)]
fn route(bencher: Bencher, stage: &str) {
    let (router, request) = (router(stage), request());
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| {
        let route = |span: &Span| router.route(&span.trace, span.start, span.end, NOW);
        request.iter().map(|span| u64::from(route(black_box(span)).set.bits())).sum::<u64>()
    });
}

#[divan::bench]
fn hash(bencher: Bencher) {
    let request = request();
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| {
        request.iter().fold(0, |sum, span| sum ^ fraction(Seed(42), black_box(&span.trace)).0)
    });
}
