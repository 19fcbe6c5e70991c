//! The one-sided test of counts; see the crate's doc for its derivation.

use statrs::function::beta::ln_beta;

use crate::special::ln_beta_upper;

/// How many failures' worth the mixture's prior weighs. Small finds large effects fast: with nothing failing in the active and
/// equal exposure, 10 failures of the candidate reach 1/0.005; 18 would be needed with 16.
const CONCENTRATION: f64 = 1.0;

/// The one-sided count test for one exposure ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountTest {
    rho: f64,
    concentration: f64,
}

impl CountTest {
    /// A test for the candidate's share `rho` of exposure; `None` unless it lies strictly between 0 and 1.
    #[must_use]
    pub fn new(rho: f64) -> Option<Self> {
        Self::with_concentration(rho, CONCENTRATION)
    }

    /// The same with another concentration `k` of the prior Beta(k rho, k (1-rho)).
    #[must_use]
    pub fn with_concentration(rho: f64, concentration: f64) -> Option<Self> {
        let proper = rho > 0.0 && rho < 1.0 && concentration > 0.0 && concentration.is_finite();
        proper.then_some(Self { rho, concentration })
    }

    /// A test for the exposures of both arms, in requests; `None` if either has none.
    #[must_use]
    pub fn from_exposures(worse: u64, other: u64) -> Option<Self> {
        Self::new(worse as f64 / (worse as f64 + other as f64))
    }

    /// ln e after `worse` failures of the candidate and `other` of the active. Exactly 0 with no failure; never NaN.
    #[must_use]
    pub fn ln_e(&self, worse: u64, other: u64) -> f64 {
        if worse == 0 && other == 0 {
            return 0.0;
        }
        let (a, b) = self.prior();
        let (s, r) = (worse as f64, other as f64);
        self.ln_two_sided(worse, other) + ln_beta_upper(a + s, b + r, self.rho)
            - ln_beta_upper(a, b, self.rho)
    }

    /// The published, two-sided Bayes factor, as a logarithm: without the truncation. It alarms on a better candidate, too.
    #[must_use]
    pub fn ln_two_sided(&self, worse: u64, other: u64) -> f64 {
        let (a, b) = self.prior();
        let (s, r) = (worse as f64, other as f64);
        ln_beta(a + s, b + r) - ln_beta(a, b) - s * self.rho.ln() - r * (-self.rho).ln_1p()
    }

    /// The candidate's share of exposure.
    #[must_use]
    pub fn rho(&self) -> f64 {
        self.rho
    }

    fn prior(&self) -> (f64, f64) {
        (self.concentration * self.rho, self.concentration * (1.0 - self.rho))
    }
}

#[cfg(test)]
mod tests;
