//! Evidence carried over consecutive experiments.

/// `ln((1 + e) / 2)` for `ln_e`: the evidence of one experiment, half of the stake kept back. Never below -ln 2.
///
/// The product of the e-values of consecutive experiments is an e-value. But an experiment in which the active does
/// badly and the candidate well leaves an e-value of a thousandth, and a plain product would let that pay for what the
/// candidate does later. (1 + e)/2 is an e-value too (an average of e and 1, fixed beforehand): an experiment can then hide
/// at most a factor of 2 of what comes after it, and costs at most ln 2 when it is the one that counts.
#[must_use]
pub fn staked(ln_e: f64) -> f64 {
    let (large, small) = if ln_e > 0.0 { (ln_e, 0.0) } else { (0.0, ln_e) };
    large + (small - large).exp().ln_1p() - std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::staked;

    #[test]
    fn half_of_the_stake_is_kept() {
        assert_eq!(staked(0.0), 0.0);
        assert!((staked(f64::NEG_INFINITY) + std::f64::consts::LN_2).abs() < 1e-15);
        assert!((staked(-1e9) + std::f64::consts::LN_2).abs() < 1e-15);
        assert!((staked(3.0) - ((1.0 + 3.0_f64.exp()) / 2.0).ln()).abs() < 1e-12);
        assert!((staked(1e9) - (1e9 - std::f64::consts::LN_2)).abs() < 1e-6);
    }
}
