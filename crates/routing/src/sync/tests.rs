use super::*;
use crate::fixtures::{candidate, environment, gateway, with_cuts};

fn report() -> Report {
    let environment = environment("green");
    let generation = Generation(3);
    Report {
        gateway: gateway("g1"),
        boot: BootId::new("b1").unwrap(),
        sequence: 7,
        now: UnixNanos(u64::MAX),
        ack: Some(Ack { generation, announced: Some(UnixNanos(12)) }),
        fence: Some(fence("tempo-3", 3)),
        health: vec![EnvironmentHealth {
            environment: environment.clone(),
            reachable: false,
            detail: "connection refused".to_owned(),
            last_ok: None,
            last_sent: Some(UnixNanos(1)),
        }],
        ledger: vec![row()],
        arms: vec![ArmCounts {
            environment,
            generation,
            requests: 3,
            failed: 1,
            latency: vec![0, 3],
            untrusted_spans: 0,
            spans: u64::MAX,
            first_failure: Some(UnixNanos(9)),
        }],
        clock: ClockHistogram::default(),
        wait_ms: 1_000,
        drained: false,
    }
}

fn row() -> LedgerRow {
    LedgerRow {
        environment: environment("green"),
        generation: Generation(3),
        received: 21,
        delivered: 1,
        rejected: 2,
        returned: 3,
        shed: 4,
        shed_untrusted: 4,
        indeterminate: 5,
        queued: 6,
    }
}

fn fence(rollout: &str, generation: u64) -> Fence {
    let cause = FenceCause::Command { actor: "op-1".to_owned() };
    Fence { rollout: rollout.to_owned(), generation: Generation(generation), at: UnixNanos(5), cause }
}

/// No reader may round what is 64 bits wide.
#[test]
fn numbers_of_64_bits_are_strings() {
    let json = serde_json::to_value(report()).unwrap();
    assert_eq!(serde_json::from_value::<Report>(json.clone()).unwrap(), report());
    fn check(path: &str, value: &serde_json::Value) {
        match value {
            serde_json::Value::Number(_) => assert_eq!(path, "/wait_ms"),
            serde_json::Value::Array(all) => all.iter().for_each(|one| check(path, one)),
            serde_json::Value::Object(all) => {
                all.iter().for_each(|(key, one)| check(&format!("{path}/{key}"), one))
            }
            _ => {}
        }
    }
    check("", &json);
    assert_eq!(json["now"], "18446744073709551615");
    assert_eq!(json["arms"][0]["latency"], serde_json::json!(["0", "3"]));
    assert_eq!(json["fence"]["cause"], serde_json::json!({ "type": "command", "actor": "op-1" }));
}

#[test]
fn a_reply_is_read_back() {
    let entry =
        SignedEntry { index: 1, entry: "{}".to_owned(), proof: vec![], checkpoint: "note".to_owned() };
    let directive = Directive {
        schedule: with_cuts(&[(9, "5")]),
        announced: Some(UnixNanos(50)),
        horizon: UnixNanos(60),
    };
    let reply = Reply { entry, directive, fence: None, now: UnixNanos(8) };
    let json = serde_json::to_string(&reply).unwrap();
    assert_eq!(serde_json::from_str::<Reply>(&json).unwrap(), reply);
}

#[test]
fn a_row_balances_or_not() {
    assert!(row().is_balanced());
    assert!(!LedgerRow { received: 20, ..row() }.is_balanced());
    assert!(!LedgerRow { shed_untrusted: 5, ..row() }.is_balanced());
    assert!(!LedgerRow { delivered: u64::MAX, queued: 1, ..row() }.is_balanced());
}

#[test]
fn a_fence_is_for_one_attempt() {
    assert!(fence("tempo-3", 2).applies_to(&candidate()));
    assert!(fence("tempo-3", 9).applies_to(&candidate()));
    assert!(!fence("tempo-3", 1).applies_to(&candidate()), "an attempt before this one");
    assert!(!fence("tempo-2", 2).applies_to(&candidate()));
    assert!(!fence("tempo-3", 2).applies_to(&Schedule::genesis(environment("blue"))));
}

#[test]
fn latency_buckets_are_eight_to_an_octave() {
    assert!(LATENCY_BOUNDS_US.windows(2).all(|pair| pair[0] < pair[1] && pair[1] * 8 <= pair[0] * 9));
    assert_eq!((LATENCY_BOUNDS_US[0], LATENCY_BOUNDS_US[8]), (64, 128));
    assert_eq!(LATENCY_BOUNDS_US.last(), Some(&(64 << 20)));
    assert_eq!([0, 64, 65, 72, 73].map(latency_bucket), [0, 0, 1, 1, 2]);
    assert_eq!(latency_bucket(64 << 20), LATENCY_BUCKETS - 2);
    assert_eq!(latency_bucket(u64::MAX), LATENCY_BUCKETS - 1);
}

#[test]
fn clocks_are_counted_by_how_far_they_differ() {
    assert!(CLOCK_BOUNDS_MS.is_sorted());
    let bucket = |end: u64, arrival: u64| {
        let mut histogram = ClockHistogram::default();
        histogram.record(UnixNanos(end), UnixNanos(arrival));
        histogram.counts.iter().position(|count| *count == 1).unwrap()
    };
    let upper = |bound: i64| CLOCK_BOUNDS_MS.iter().position(|b| *b == bound).unwrap();
    let second = 1_000_000_000;
    assert_eq!(bucket(100 * second, 100 * second), upper(10), "on the minute");
    assert_eq!(bucket(100 * second, 130 * second), upper(30_000));
    assert_eq!(bucket(100 * second, 130 * second + 1), upper(60_000));
    assert_eq!(bucket(100 * second, 98 * second), upper(-1_000));
    assert_eq!(bucket(0, u64::MAX), CLOCK_BOUNDS_MS.len());
    assert_eq!(bucket(u64::MAX, 0), 0);
}

#[test]
fn histograms_add_up() {
    let mut all = ClockHistogram::default();
    let mut one = ClockHistogram::default();
    one.record(UnixNanos(1), UnixNanos(2));
    all.add(&one);
    all.add(&one);
    assert_eq!(all.counts.iter().sum::<u64>(), 2);
}
