//! Scan, split and merge of a usual request: 512 spans of 64 traces, 685 bytes a span.
//!
//! `cargo bench -p crossfade-otlp` prints divan's table (GB/s and spans/s), and below it nanoseconds a span.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crossfade_otlp::{Span, Splitter, merge, scan};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

mod generator;

fn main() {
    divan::main();
    // Not when cargo only tests or lists the benchmarks.
    if std::env::args().any(|argument| argument == "--bench") {
        print_nanoseconds_a_span();
    }
}

/// The half of the traces whose id says so.
fn half(span: &Span<'_>) -> u8 {
    1 << (span.trace_id.last().copied().unwrap_or(0) & 1)
}

/// Everything to one destination, half of the traces to another too.
fn all_and_half(span: &Span<'_>) -> u8 {
    1 | half(span)
}

fn scan_all(request: &[u8]) -> u64 {
    scan(request).fold(0, |sum, span| {
        let span = span.expect("a sound request");
        sum ^ span.start_unix_nano
            ^ span.end_unix_nano
            ^ u64::from(span.trace_id.last().copied().unwrap_or(0))
    })
}

fn split_into(
    splitter: &mut Splitter,
    request: &[u8],
    decide: fn(&Span<'_>) -> u8,
    parts: &mut [Vec<u8>; 2],
) {
    let split = splitter.split(request, decide).expect("a sound request");
    for (destination, out) in parts.iter_mut().enumerate() {
        let part = split.part(destination);
        out.clear();
        if !part.is_whole() {
            part.write_to(out);
        }
    }
}

fn counters<'a, 'b>(bencher: Bencher<'a, 'b>, request: &[u8]) -> Bencher<'a, 'b> {
    bencher.counter(BytesCount::new(request.len())).counter(ItemsCount::new(generator::SPANS))
}

#[divan::bench]
fn scan_request(bencher: Bencher<'_, '_>) {
    let request = generator::request();
    counters(bencher, &request).bench_local(|| scan_all(black_box(&request)));
}

#[divan::bench]
fn split_plan_half(bencher: Bencher<'_, '_>) {
    let request = generator::request();
    let mut splitter = Splitter::new();
    counters(bencher, &request).bench_local(|| {
        splitter.split(black_box(&request), half).expect("a sound request").part(0).encoded_len()
    });
}

#[divan::bench]
fn split_half(bencher: Bencher<'_, '_>) {
    let request = generator::request();
    let (mut splitter, mut parts) = (Splitter::new(), [const { Vec::new() }; 2]);
    counters(bencher, &request)
        .bench_local(|| split_into(&mut splitter, black_box(&request), half, &mut parts));
}

#[divan::bench]
fn split_all_and_half(bencher: Bencher<'_, '_>) {
    let request = generator::request();
    let (mut splitter, mut parts) = (Splitter::new(), [const { Vec::new() }; 2]);
    counters(bencher, &request)
        .bench_local(|| split_into(&mut splitter, black_box(&request), all_and_half, &mut parts));
}

#[divan::bench]
fn merge_two_halves(bencher: Bencher<'_, '_>) {
    let request = generator::request();
    let (mut splitter, mut parts) = (Splitter::new(), [const { Vec::new() }; 2]);
    split_into(&mut splitter, &request, half, &mut parts);
    let mut out = Vec::with_capacity(request.len() * 2);
    counters(bencher, &request).bench_local(|| {
        out.clear();
        merge(black_box(&parts).iter().map(Vec::as_slice), &mut out);
    });
}

/// For comparison.
#[divan::bench]
fn prost_decode(bencher: Bencher<'_, '_>) {
    let request = generator::request();
    counters(bencher, &request).bench_local(|| {
        ExportTraceServiceRequest::decode(black_box(request.as_slice())).expect("a sound request")
    });
}

fn print_nanoseconds_a_span() {
    let request = generator::request();
    let (mut splitter, mut parts) = (Splitter::new(), [const { Vec::new() }; 2]);
    let mut out = Vec::with_capacity(request.len() * 2);
    let bytes = request.len() / generator::SPANS;
    println!(
        "\n{} spans, {} traces, {bytes} bytes a span: best of many",
        generator::SPANS,
        generator::TRACES
    );
    line("scan", &request, || {
        black_box(scan_all(black_box(&request)));
    });
    line("split in halves", &request, || split_into(&mut splitter, black_box(&request), half, &mut parts));
    line("split, all and half", &request, || {
        split_into(&mut splitter, black_box(&request), all_and_half, &mut parts);
    });
    split_into(&mut splitter, &request, half, &mut parts);
    line("merge", &request, || {
        out.clear();
        merge(black_box(&parts).iter().map(Vec::as_slice), &mut out);
    });
}

/// The shortest of all rounds within half a second: the noise of a shared machine only ever adds.
fn line(name: &str, request: &[u8], mut run: impl FnMut()) {
    let mut best = Duration::MAX;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(500) {
        let round = Instant::now();
        run();
        best = best.min(round.elapsed());
    }
    let nanos = best.as_nanos() as f64;
    let (a_span, rate) = (nanos / generator::SPANS as f64, request.len() as f64 / nanos);
    println!("{name:22} {a_span:6.1} ns a span  {rate:6.1} GB/s");
}
