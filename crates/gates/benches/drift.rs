//! Two configurations of 2,000 lines each, from their text to the report.
//!
//! `cargo bench -p crossfade-gates` prints divan's table: `files` reads and compares, `trees` only compares.

use std::fmt::Write;

use crossfade_gates::drift::{Context, KeepReferences, Pair, Versions, compare, load};
use divan::Bencher;

fn main() {
    divan::main();
}

const LINES: usize = 2_000;

/// A gateway with many tenants: each has a receiver, a redaction, a queue and a pipeline of its own.
fn configuration(side: &str) -> String {
    let (mut parts, mut tenants) = ([const { String::new() }; 4], 0);
    while parts.iter().map(|part| part.lines().count()).sum::<usize>() < LINES - 16 {
        let [receivers, processors, exporters, pipelines] = &mut parts;
        let port = 20_000 + tenants;
        let write = |text: &mut String, more: String| text.write_str(&more).expect("a string takes it");
        write(
            receivers,
            format!(
                "  otlp/t{tenants}:\n    protocols:\n      grpc:\n        endpoint: 0.0.0.0:{port}\n        include_metadata: true\n        tls:\n          cert_file: /tls/{side}.crt\n          key_file: /tls/{side}.key\n          client_ca_file: /tls/ca.crt\n"
            ),
        );
        write(
            processors,
            format!(
                "  redaction/t{tenants}:\n    allow_all_keys: true\n    blocked_values:\n      - \"4[0-9]{{12}}\"\n      - \"5[0-9]{{15}}\"\n  batch/t{tenants}:\n    timeout: 5s\n"
            ),
        );
        write(
            exporters,
            format!(
                "  otlp/t{tenants}:\n    endpoint: {side}-store-{tenants}:4317\n    headers:\n      x-scope-orgid: t{tenants}\n      authorization: Bearer hunter{tenants}{side}\n    sending_queue:\n      queue_size: {}\n    retry_on_failure:\n      max_elapsed_time: 0\n",
                1000 + usize::from(side == "green")
            ),
        );
        write(
            pipelines,
            format!(
                "    traces/t{tenants}:\n      receivers: [otlp/t{tenants}]\n      processors: [redaction/t{tenants}, batch/t{tenants}]\n      exporters: [otlp/t{tenants}]\n"
            ),
        );
        tenants += 1;
    }
    let [receivers, processors, exporters, pipelines] = parts;
    format!(
        "receivers:\n{receivers}processors:\n{processors}exporters:\n{exporters}service:\n  pipelines:\n{pipelines}"
    )
}

/// Stands in for the keyed digest, whose cost is that of SHA-256.
fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    bytes.iter().enumerate().for_each(|(at, byte)| out[at % 32] ^= *byte);
    out
}

#[divan::bench]
fn files(bencher: Bencher<'_, '_>) {
    let (blue, green) = (configuration("blue"), configuration("green"));
    assert!(blue.lines().count() >= LINES, "{}", blue.lines().count());
    bencher.bench_local(|| {
        let read = |text: &str, name: &str| load(&[(name, text)], &KeepReferences).expect("a configuration");
        let (blue, green) = (read(&blue, "blue.yaml"), read(&green, "green.yaml"));
        let pair =
            Pair { name: "collector", blue: Some(&blue), green: Some(&green), versions: Versions::default() };
        compare(&[pair], &[], &Context::default(), &digest)
    });
}

#[divan::bench]
fn trees(bencher: Bencher<'_, '_>) {
    let read = |side: &str| load(&[(side, &configuration(side))], &KeepReferences).expect("a configuration");
    let (blue, green) = (read("blue"), read("green"));
    let pair =
        Pair { name: "collector", blue: Some(&blue), green: Some(&green), versions: Versions::default() };
    bencher.bench_local(|| compare(&[pair], &[], &Context::default(), &digest));
}
