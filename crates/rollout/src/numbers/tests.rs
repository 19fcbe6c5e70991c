use crossfade_routing::UnixNanos;
use crossfade_routing::sync::LATENCY_BUCKETS;
use proptest::prelude::*;

use super::{Arms, Counts, Histogram};

fn counts() -> impl Strategy<Value = Counts> {
    let buckets = prop::collection::vec(prop_oneof![Just(0_u64), 0..1_000_000_u64], LATENCY_BUCKETS);
    (0..1_000_000_u64, 0..1_000_u64, 0..10_u64, buckets).prop_map(|(requests, failed, shed, latency)| {
        Counts {
            requests,
            failed,
            shed,
            latency: Histogram::from_dense(&latency),
            first_failure: (failed > 0).then_some(UnixNanos(failed)),
        }
    })
}

#[test]
fn histograms_are_short_text_with_one_spelling() {
    let histogram: Histogram = "0:1 12:340 13:17".parse().unwrap();
    assert_eq!(histogram.to_string(), "0:1 12:340 13:17");
    assert_eq!(histogram.dense().iter().sum::<u64>(), 358);
    assert_eq!("".parse(), Ok(Histogram::default()));
    for wrong in
        [" ", "1", "1:", ":1", "1:0", "2:1 1:1", "1:1 1:2", "1:1  2:1", "1:1 ", "01:1", "1:+1", "70000:1"]
    {
        assert!(wrong.parse::<Histogram>().is_err(), "{wrong}");
    }
}

/// A report that names more buckets than there are is cut, not believed.
#[test]
fn a_histogram_is_bounded() {
    let histogram = Histogram::from_dense(&vec![1; LATENCY_BUCKETS + 100]);
    assert_eq!(histogram.dense().iter().sum::<u64>(), LATENCY_BUCKETS as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_added_is_taken_away(a in counts(), b in counts()) {
        let sum = a.plus(&b);
        let back = sum.since(&a);
        prop_assert_eq!(&back.latency, &b.latency);
        prop_assert_eq!((back.requests, back.failed, back.shed), (b.requests, b.failed, b.shed));
    }

    #[test]
    fn through_json_and_back(from in counts(), to in counts()) {
        let arms = Arms { from, to };
        let json = serde_json::to_string(&arms).unwrap();
        prop_assert_eq!(serde_json::from_str::<Arms>(&json).unwrap(), arms);
    }
}
