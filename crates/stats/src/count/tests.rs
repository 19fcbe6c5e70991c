use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::CountTest;
use crate::staked;

/// Each row: rho, k, worse, other, and both logarithms at 20 digits; made by `tests/data/make_oracle.py`.
#[test]
fn agrees_with_values_made_elsewhere() {
    let mut rows = 0;
    for line in include_str!("../../tests/data/count_test.tsv").lines().skip(1) {
        let cells: Vec<f64> = line.split('\t').map(|cell| cell.parse().unwrap()).collect();
        let [rho, k, worse, other, two, one] = cells[..] else { panic!("{line}") };
        let test = CountTest::with_concentration(rho, k).unwrap();
        let (worse, other) = (worse as u64, other as u64);
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-7 + 1e-9 * expected.abs();
        assert!(close(test.ln_two_sided(worse, other), two), "{line}: {}", test.ln_two_sided(worse, other));
        assert!(close(test.ln_e(worse, other), one), "{line}: {}", test.ln_e(worse, other));
        rows += 1;
    }
    assert!(rows > 200, "{rows}");
}

/// The next failure, under the null: the candidate's with probability `p`.
fn is_worse(rng: &mut ChaCha8Rng, p: f64) -> bool {
    (rng.next_u64() as f64) < p * 2.0_f64.powi(64)
}

/// How many of `runs` ever reach 1/alpha, looking after each of `looks` failures.
fn alarms(runs: u64, looks: u64, rho: f64, p: f64, alpha: f64) -> u64 {
    let test = CountTest::new(rho).unwrap();
    let alarm = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut worse, mut other) = (0, 0);
        (0..looks).any(|_| {
            if is_worse(&mut rng, p) {
                worse += 1
            } else {
                other += 1
            }
            test.ln_e(worse, other) >= -f64::ln(alpha)
        })
    };
    (0..runs).filter(|seed| alarm(*seed)).count() as u64
}

/// At most alpha, within what chance does to `runs` of them: four standard deviations.
fn assert_rare(alarms: u64, runs: u64, alpha: f64, what: &str) {
    let runs = runs as f64;
    let most = runs * alpha + 4.0 * (runs * alpha * (1.0 - alpha)).sqrt();
    assert!((alarms as f64) <= most, "{what}: {alarms} of {runs}, at most {most}");
}

/// Scenario: the candidate is exactly as bad as the active, or better, and somebody looks after every single failure.
/// Guarantee: a false alarm comes with probability alpha at most.
#[test]
fn false_alarms_are_rare_at_any_look() {
    for (rho, p) in [
        (0.5, 0.5),
        (0.5, 0.4),
        (0.1, 0.1),
        (0.01, 0.01),
        (0.01, 0.005),
        (0.9, 0.9),
        (1.0 / 11.0, 1.0 / 11.0),
    ] {
        let found = alarms(400, 150, rho, p, 0.05);
        assert_rare(found, 400, 0.05, &format!("rho {rho} p {p}"));
    }
}

/// And the test is not idle: the same runs with a candidate three times as bad nearly all alarm.
#[test]
fn true_alarms_are_not() {
    for rho in [0.5, 0.1] {
        let odds = 3.0 * rho / (1.0 - rho);
        let found = alarms(100, 200, rho, odds / (1.0 + odds), 0.01);
        assert!(found > 95, "rho {rho}: {found} of 100");
    }
}

/// Scenario: requests one by one, tiny failure rates, exposures as they come and rho computed from them; three steps
/// with other exposure ratios, whose e-values multiply; a look after every hundred requests.
/// Guarantee: as before.
#[test]
fn false_alarms_are_rare_over_steps_of_requests() {
    let (runs, alpha) = (200, 0.05);
    for rate in [0.002, 0.02, 0.5] {
        let alarm = |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut carried = 0.0;
            for share in [0.05, 0.25, 1.0] {
                let [mut requests, mut failed] = [[0_u64; 2]; 2];
                for _ in 0..20 {
                    for _ in 0..100 {
                        // Both arms of a request fail by themselves, at the same rate.
                        for (arm, exposed) in [(0, true), (1, is_worse(&mut rng, share))] {
                            requests[arm] += u64::from(exposed);
                            failed[arm] += u64::from(exposed && is_worse(&mut rng, rate));
                        }
                    }
                    let ln_e = CountTest::from_exposures(requests[1], requests[0])
                        .map(|t| t.ln_e(failed[1], failed[0]));
                    if carried + staked(ln_e.unwrap_or(0.0)) >= -f64::ln(alpha) {
                        return true;
                    }
                }
                let test = CountTest::from_exposures(requests[1], requests[0]).unwrap();
                carried += staked(test.ln_e(failed[1], failed[0]));
            }
            false
        };
        let found = (0..runs).filter(|seed| alarm(*seed)).count() as u64;
        assert_rare(found, runs, alpha, &format!("rate {rate}"));
    }
}

/// What it takes to alarm, at alpha 0.01 and at 0.005: a handful of failures, where the active has none.
#[test]
fn power() {
    let first = |rho: f64, threshold: f64| {
        let test = CountTest::new(rho).unwrap();
        (1..1000).find(|worse| test.ln_e(*worse, 0) >= threshold.ln()).unwrap()
    };
    assert_eq!([first(0.5, 100.0), first(0.2, 100.0), first(0.05, 100.0), first(0.01, 100.0)], [8, 4, 3, 2]);
    assert_eq!([first(0.5, 200.0), first(0.2, 200.0), first(0.05, 200.0), first(0.01, 200.0)], [10, 5, 3, 2]);
    // 8 of 20 failures from a candidate with 5 % of the requests; with 40 % of them, that is no news.
    assert!(CountTest::new(0.05).unwrap().ln_e(8, 12) > 200_f64.ln());
    assert!(CountTest::new(0.4).unwrap().ln_e(8, 12) < 0.0);
}

#[test]
fn a_better_candidate_never_alarms_and_the_published_test_does() {
    let test = CountTest::new(0.5).unwrap();
    assert!(test.ln_e(0, 1000) < 0.0);
    assert!(test.ln_two_sided(0, 1000) > 600.0);
}

#[test]
fn no_exposure_no_test() {
    assert_eq!(CountTest::from_exposures(0, 5), None);
    assert_eq!(CountTest::from_exposures(5, 0), None);
    assert_eq!(CountTest::from_exposures(0, 0), None);
    assert_eq!(CountTest::new(f64::NAN), None);
    assert_eq!(CountTest::with_concentration(0.5, f64::INFINITY), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn never_nan(rho in 1e-9_f64..1.0, worse in 0..u64::MAX / 2, other in 0..u64::MAX / 2, small in 0_u64..5) {
        let test = CountTest::new(rho).unwrap();
        for (worse, other) in [(worse, other), (small, other), (worse, small), (small, small), (worse >> 40, other >> 40)] {
            prop_assert!(!test.ln_e(worse, other).is_nan(), "{rho} {worse} {other}");
        }
    }

    /// Each step of the process has expectation at most 1 at p = rho: the supermartingale, checked where it is tight.
    #[test]
    fn one_more_failure_is_a_fair_bet(rho in 0.01_f64..0.99, worse in 0_u64..60, other in 0_u64..60) {
        let test = CountTest::new(rho).unwrap();
        let now = test.ln_e(worse, other);
        let next = rho * (test.ln_e(worse + 1, other) - now).exp() + (1.0 - rho) * (test.ln_e(worse, other + 1) - now).exp();
        prop_assert!((next - 1.0).abs() < 1e-9, "{next}");
    }

    /// And below it, less than 1: the candidate that is better than the null's edge.
    #[test]
    fn and_worse_than_fair_for_a_better_candidate(rho in 0.01_f64..0.99, less in 0.0_f64..1.0, worse in 0_u64..60, other in 0_u64..60) {
        let (test, p) = (CountTest::new(rho).unwrap(), rho * less);
        let now = test.ln_e(worse, other);
        let next = p * (test.ln_e(worse + 1, other) - now).exp() + (1.0 - p) * (test.ln_e(worse, other + 1) - now).exp();
        prop_assert!(next < 1.0 + 1e-9, "{next}");
    }

    #[test]
    fn grows_with_the_candidates_failures(rho in 0.01_f64..0.99, worse in 0_u64..500, other in 0_u64..500) {
        let test = CountTest::new(rho).unwrap();
        prop_assert!(test.ln_e(worse + 1, other) > test.ln_e(worse, other));
        prop_assert!(test.ln_e(worse, other + 1) < test.ln_e(worse, other));
    }
}
