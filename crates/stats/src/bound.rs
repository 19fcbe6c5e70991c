//! How large a share may be, after a sample: the exact one-sided upper bound of Clopper & Pearson (Biometrika 26, 1934).
//!
//! Of `pairs` drawn at random, `different` differed. Every share of all pairs at which so few would have been seen with probability
//! alpha or less is ruled out; the bound is the smallest of them. It holds for one look at a sample whose size was fixed beforehand:
//! it is *not* a sequential test. With nothing different it is about 3 / pairs at 95 %.

use crate::special::ln_beta_upper;

/// How sure a bound is: one minus the probability that the share lies above it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence(f64);

/// Most pairs that are asked for.
const PAIRS_MAX: u64 = 1 << 40;

impl Confidence {
    /// 95 %.
    pub const P95: Self = Self(0.95);

    /// `None` unless strictly between 0 and 1.
    #[must_use]
    pub fn new(confidence: f64) -> Option<Self> {
        (confidence > 0.0 && confidence < 1.0).then_some(Self(confidence))
    }

    /// As a share.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0
    }
}

/// The share that is not exceeded, when `different` of `pairs` differ. 1 if there are no pairs, or all differ.
///
/// The binomial tail P(X <= different) at share p is 1 - I_p(different + 1, pairs - different); it falls with p, and the bound is where it
/// is alpha. Rounded up, so that the bound never claims more than it may.
#[must_use]
pub fn upper_share(different: u64, pairs: u64, confidence: Confidence) -> f64 {
    if different >= pairs {
        return 1.0;
    }
    let ln_alpha = (-confidence.0).ln_1p();
    let (a, b) = (different as f64 + 1.0, (pairs - different) as f64);
    let (mut below, mut above) = (0.0_f64, 1.0_f64);
    loop {
        let middle = f64::midpoint(below, above);
        if middle <= below || middle >= above {
            return above;
        }
        if ln_beta_upper(a, b, middle) > ln_alpha { below = middle } else { above = middle }
    }
}

/// The fewest pairs, of which `different` differ, that show the share to be at most `limit`; `None` if no number of pairs within reason
/// does, as with a limit of 0.
#[must_use]
pub fn pairs_needed(different: u64, limit: f64, confidence: Confidence) -> Option<u64> {
    let is_enough = |pairs| upper_share(different, pairs, confidence) <= limit;
    let mut enough = different.max(1);
    while !is_enough(enough) {
        enough = enough.checked_mul(2).filter(|pairs| *pairs <= PAIRS_MAX)?;
    }
    let mut few = different;
    while enough - few > 1 {
        let middle = few + (enough - few) / 2;
        if is_enough(middle) { enough = middle } else { few = middle }
    }
    Some(enough)
}

#[cfg(test)]
mod tests;
