use proptest::prelude::*;

use super::{Confidence, pairs_needed, upper_share};

fn at(confidence: f64) -> Confidence {
    Confidence::new(confidence).unwrap()
}

/// Each row was made by `tests/data/make_bounds.py` with another library.
#[test]
fn agrees_with_values_made_elsewhere() {
    let mut rows = 0;
    for line in include_str!("../../tests/data/upper_share.tsv").lines().skip(1) {
        let cells: Vec<f64> = line.split('\t').map(|cell| cell.parse().unwrap()).collect();
        let [different, pairs, confidence, expected] = cells[..] else { panic!("{line}") };
        let found = upper_share(different as u64, pairs as u64, at(confidence));
        assert!((found / expected - 1.0).abs() < 1e-7, "{line}: {found}");
        rows += 1;
    }
    assert!(rows > 300, "{rows}");
}

#[test]
fn the_figures_that_people_know() {
    let percent = |different, pairs| (upper_share(different, pairs, Confidence::P95) * 1e4).round() / 1e2;
    assert_eq!([percent(0, 2_995), percent(11, 2_995), percent(140, 2_000)], [0.1, 0.61, 8.01]);
    assert_eq!([percent(0, 0), percent(1, 1), percent(0, 1)], [100.0, 100.0, 95.0]);
    // The rule of three.
    assert!((upper_share(0, 10_000, Confidence::P95) * 10_000.0 - 2.995).abs() < 1e-3);
}

#[test]
fn how_many_pairs_it_takes() {
    let needed = |different, limit| pairs_needed(different, limit, Confidence::P95);
    assert_eq!([needed(0, 0.001), needed(0, 0.01), needed(0, 0.05)], [Some(2_995), Some(299), Some(59)]);
    assert_eq!([needed(0, 1.0), needed(3, 1.0)], [Some(1), Some(3)]);
    assert_eq!([needed(0, 0.0), needed(0, -1.0), needed(0, f64::NAN)], [None; 3]);
    assert_eq!(pairs_needed(0, 0.001, at(0.99)), Some(4_603));
    assert!(Confidence::new(1.0).is_none() && Confidence::new(0.0).is_none());
    assert!(Confidence::new(f64::NAN).is_none());
}

/// P(X <= different) among `pairs` at `share`, term by term.
fn tail(different: u64, pairs: u64, share: f64) -> f64 {
    let (mut term, mut total) = (pairs as f64 * (-share).ln_1p(), 0.0);
    for k in 0..=different {
        total += term.exp();
        term += ((pairs - k) as f64 / (k + 1) as f64).ln() + share.ln() - (-share).ln_1p();
    }
    total
}

proptest! {
    /// The bound is where the binomial tail, summed term by term, is alpha: no lower, and no higher.
    #[test]
    fn the_tail_at_the_bound_is_alpha(pairs in 1_u64..5_000, part in 0.0..0.5_f64, confidence in 0.5..0.999_f64) {
        let different = ((pairs as f64 * part * part * part) as u64).min(pairs - 1);
        let bound = upper_share(different, pairs, at(confidence));
        prop_assert!((tail(different, pairs, bound) / (1.0 - confidence) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn needed_is_the_least_that_is_enough(different in 0_u64..40, limit in 0.0005..0.9_f64) {
        let needed = pairs_needed(different, limit, Confidence::P95).unwrap();
        prop_assert!(upper_share(different, needed, Confidence::P95) <= limit);
        prop_assert!(needed == different.max(1) || upper_share(different, needed - 1, Confidence::P95) > limit);
    }

    #[test]
    fn more_that_differ_raise_the_bound_and_more_pairs_lower_it(pairs in 1_u64..2_000, different in 0_u64..2_000) {
        let bound = upper_share(different, pairs, Confidence::P95);
        prop_assert!(bound > 0.0 && bound <= 1.0);
        prop_assert!(upper_share(different + 1, pairs, Confidence::P95) >= bound);
        prop_assert!(upper_share(different, pairs + 1, Confidence::P95) <= bound);
    }
}
