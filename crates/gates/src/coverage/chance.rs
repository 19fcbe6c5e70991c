//! The probabilities behind the rule, exact, as natural logarithms.

use std::sync::LazyLock;

/// `ln n!`, by the exact sum below 256 and by Stirling's series above (relative error below 1e-14 there).
fn ln_factorial(n: u64) -> f64 {
    static SMALL: LazyLock<Vec<f64>> = LazyLock::new(|| {
        let ln = (0..256_u32).map(|k| f64::from(k.max(1)).ln());
        ln.scan(0.0, |sum, ln| {
            *sum += ln;
            Some(*sum)
        })
        .collect()
    });
    if let Some(exact) = usize::try_from(n).ok().and_then(|n| SMALL.get(n)) {
        return *exact;
    }
    let x = n as f64;
    x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

fn ln_choose(n: u64, k: u64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// In one sample something is in so many of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// With it.
    pub with: u64,
    /// In all; at least `with`.
    pub all: u64,
}

impl Share {
    /// `with` of `all`.
    pub fn new(with: u32, all: u32) -> Self {
        Self { with: with.min(all).into(), all: all.into() }
    }

    /// As a number from 0 to 1; 0 of nothing.
    pub fn value(self) -> f64 {
        if self.all == 0 { 0.0 } else { self.with as f64 / self.all as f64 }
    }
}

/// ln P(the second sample has at most so many with it | together they have as many as they have), if both are samples of the same
/// (Fisher's exact test, one-sided). 0 if there is nothing to say.
pub fn ln_at_most(first: Share, second: Share) -> f64 {
    let (all, with) = (first.all + second.all, first.with + second.with);
    let least = with.saturating_sub(first.all);
    let outcome = |y: u64| ln_choose(second.all, y) + ln_choose(first.all, with - y) - ln_choose(all, with);
    ln_sum((least..=second.with).map(outcome))
}

/// The same for at least so many.
pub fn ln_at_least(first: Share, second: Share) -> f64 {
    let (all, with) = (first.all + second.all, first.with + second.with);
    let most = with.min(second.all);
    let outcome = |y: u64| ln_choose(second.all, y) + ln_choose(first.all, with - y) - ln_choose(all, with);
    ln_sum((second.with..=most).map(outcome))
}

/// ln P(none of a second stream is seen | `seen` in both together), if the second flows `ratio` times as fast as the
/// first: `-seen x ln(1 + ratio)`. Events of two Poisson streams are the second's with probability ratio / (1 + ratio) each.
pub fn ln_none(seen: u32, ratio: f64) -> f64 {
    -f64::from(seen) * ratio.max(0.0).ln_1p()
}

/// ln of the sum of what these are logarithms of; at most 0.
fn ln_sum(terms: impl Iterator<Item = f64>) -> f64 {
    let terms: Vec<f64> = terms.collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    (largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()).min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Sums of exact binomial coefficients.
    #[test]
    fn tails_are_those_of_the_hypergeometric_distribution() {
        let share = |with, all| Share { with, all };
        for (first, second, at_most, at_least) in [
            (share(50, 50), share(0, 10), 1.326_365_0e-11, 1.0),
            (share(3, 100), share(0, 100), 0.123_115_6, 1.0),
            (share(10, 20), share(10, 20), 0.623_814_4, 0.623_814_4),
            (share(0, 40), share(6, 40), 1.0, 0.012_773_3),
        ] {
            let (low, high) = (ln_at_most(first, second).exp(), ln_at_least(first, second).exp());
            assert!((low / at_most - 1.0).abs() < 1e-5, "{first:?} {second:?}: {low}");
            assert!((high / at_least - 1.0).abs() < 1e-5, "{first:?} {second:?}: {high}");
        }
        assert!((ln_factorial(255) + 256_f64.ln() - ln_factorial(256)).abs() < 1e-9);
        assert_eq!((ln_at_most(share(0, 0), share(0, 0)), ln_none(0, 1.0)), (0.0, 0.0));
        assert!((ln_none(10, 1.0).exp() - 1.0 / 1024.0).abs() < 1e-12);
        assert!(ln_none(1_000_000, 0.0) == 0.0, "nothing is expected of what gets nothing");
    }
}
