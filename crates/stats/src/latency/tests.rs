use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{LatencyLimit, quantile_bucket};

const BOUNDS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

fn limit(quantile: f64, worse_max: f64) -> LatencyLimit {
    LatencyLimit { quantile, worse_max, worse_min: 0.0, ln_confidence: 200_f64.ln() }
}

fn bucket(latency: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound < latency)
}

fn histogram(latencies: impl IntoIterator<Item = u64>) -> [u64; 10] {
    let mut counts = [0; 10];
    latencies.into_iter().for_each(|latency| counts[bucket(latency)] += 1);
    counts
}

#[test]
fn a_slow_candidate_is_found() {
    let active = histogram((0..2_000).map(|i| if i % 100 == 0 { 60 } else { 5 }));
    let same = histogram((0..400).map(|i| if i % 100 == 0 { 60 } else { 5 }));
    let slow = histogram((0..400).map(|i| if i % 10 == 0 { 60 } else { 5 }));
    let limit = limit(0.95, 0.2);
    let look = limit.look(&BOUNDS, &active, &same);
    assert_eq!((look.limit, look.requests, look.slow), (Some(10), 400, 4), "{look:?}");
    assert!(look.ln_e < 0.0, "{look:?}");
    let look = limit.look(&BOUNDS, &active, &slow);
    assert_eq!(look.slow, 40);
    assert!(look.ln_e > 200_f64.ln(), "{look:?}");
}

/// The tolerance holds: a fifth slower is allowed, and what is never to matter does not.
#[test]
fn tolerances_hold() {
    let (active, slow) = (histogram([4; 2_000]), histogram([8; 1_000]));
    // The limit itself is 4: the bucket above it, (4, 8], is too slow altogether. At 4.8 it is not.
    let look = limit(0.99, 0.0).look(&BOUNDS, &active, &slow);
    assert!(look.ln_e > 100.0, "{look:?}");
    assert_eq!(limit(0.99, 0.2).look(&BOUNDS, &active, &slow).slow, 0);
    let slower = histogram([16; 1_000]);
    assert_eq!(limit(0.99, 1.0).look(&BOUNDS, &active, &slower).slow, 1_000);
    let tolerant = LatencyLimit { worse_min: 12.0, ..limit(0.99, 1.0) };
    assert_eq!(tolerant.look(&BOUNDS, &active, &slower).slow, 0);
}

/// Missing data is no limit and no evidence, and says so.
#[test]
fn too_few_requests_of_the_active_give_no_limit() {
    for (active, quantile) in [(0, 0.5), (5, 0.95), (300, 0.99)] {
        let look = limit(quantile, 0.2).look(&BOUNDS, &histogram(vec![4; active]), &histogram([256; 1_000]));
        assert_eq!((look.limit, look.ln_e), (None, 0.0), "{active} {quantile}");
    }
    assert!(limit(0.95, 0.2).look(&BOUNDS, &histogram([4; 300]), &[0; 10]).limit.is_some());
    assert!(limit(0.99, 0.2).look(&BOUNDS, &histogram([4; 1_500]), &[0; 10]).limit.is_some());
    // An active beyond every bound has no limit either: nothing is slower.
    assert_eq!(limit(0.5, 0.2).look(&BOUNDS, &histogram([1_000; 500]), &histogram([1_000; 500])).limit, None);
}

/// Scenario: both arms have the same latencies, with a heavy tail; a look after every 50 requests.
/// Guarantee: a false alarm comes with probability alpha (half for the bound, half for the test) at most.
#[test]
fn false_alarms_are_rare_at_any_look() {
    let (runs, alpha) = (300_u64, 0.05);
    let half = LatencyLimit { ln_confidence: (2.0_f64 / alpha).ln(), ..limit(0.9, 0.0) };
    let alarm = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = || 2_u64 << (rng.next_u64() | 1 << 8).trailing_zeros();
        let [mut active, mut candidate] = [[0; 10]; 2];
        (0..20).any(|_| {
            (0..50).for_each(|_| active[bucket(draw())] += 1);
            (0..25).for_each(|_| candidate[bucket(draw())] += 1);
            half.look(&BOUNDS, &active, &candidate).ln_e >= (2.0_f64 / alpha).ln()
        })
    };
    let found = (0..runs).filter(|seed| alarm(*seed)).count() as f64;
    let most = runs as f64 * alpha + 4.0 * (runs as f64 * alpha * (1.0 - alpha)).sqrt();
    assert!(found <= most, "{found} of {runs}");
}

#[test]
fn quantiles_by_bucket() {
    let counts = histogram([1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    assert_eq!(quantile_bucket(&counts, 0.5), Some(4));
    assert_eq!(quantile_bucket(&counts, 0.99), Some(9));
    assert_eq!(quantile_bucket(&counts, 0.0), Some(0));
    assert_eq!(quantile_bucket(&[0; 10], 0.5), None);
}

#[test]
fn counts_that_cannot_be_do_no_harm() {
    let absurd = [u64::MAX; 10];
    let look = limit(0.95, 0.2).look(&BOUNDS, &absurd, &absurd);
    assert!(!look.ln_e.is_nan(), "{look:?}");
    assert!(limit(0.95, 0.2).look(&BOUNDS, &[], &[]).limit.is_none());
    assert_eq!(quantile_bucket(&absurd, 0.5), Some(0));
}
