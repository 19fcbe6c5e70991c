//! The logarithm of the regularized incomplete beta function, in both tails.
//!
//! `statrs` gives the function itself, which underflows to zero at about 1e-308. Evidence lives further out: a
//! million requests that go well leave a tail of e^-700,000. So the continued fraction is evaluated here, and its
//! prefactor kept as a logarithm.

use statrs::function::beta::ln_beta;

/// Most terms of the continued fraction. It needs about the square root of the larger argument: enough for 1e9.
const TERMS_MAX: u32 = 200_000;

/// `ln (1 - I_x(a, b))`, the logarithm of the upper tail at `x` of a Beta(a, b) distribution.
///
/// `a` and `b` are positive and finite, `x` lies in (0, 1). Never NaN; at most 0.
pub(crate) fn ln_beta_upper(a: f64, b: f64, x: f64) -> f64 {
    if x < (a + 1.0) / (a + b + 2.0) { ln_one_minus_exp(ln_lower(a, b, x)) } else { ln_lower(b, a, 1.0 - x) }
}

/// `ln I_x(a, b)` where the fraction converges fast: x below the mean, about.
/// I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) / (1 + d1/(1 + d2/(1 + ...))), DLMF 8.17.22.
fn ln_lower(a: f64, b: f64, x: f64) -> f64 {
    let prefactor = a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b) - a.ln();
    (prefactor - fraction(a, b, x).ln()).min(0.0)
}

/// The continued fraction, by the modified method of Lentz (Thompson and Barnett 1986).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let nudge = |v: f64| if v.abs() < TINY { TINY } else { v };
    let (mut value, mut c, mut d) = (1.0_f64, 1.0_f64, 0.0_f64);
    for term in 1..=TERMS_MAX {
        let coefficient = coefficient(term, a, b, x);
        d = 1.0 / nudge(1.0 + coefficient * d);
        c = nudge(1.0 + coefficient / c);
        let factor = c * d;
        value *= factor;
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value.max(TINY)
}

/// d_term of DLMF 8.17.23.
fn coefficient(term: u32, a: f64, b: f64, x: f64) -> f64 {
    let m = f64::from(term / 2);
    if term.is_multiple_of(2) {
        m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
    } else {
        -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
    }
}

/// `ln(1 - e^y)` for y <= 0, without cancellation (Mächler 2012).
fn ln_one_minus_exp(y: f64) -> f64 {
    if y > -std::f64::consts::LN_2 { (-y.exp_m1()).max(f64::MIN_POSITIVE).ln() } else { (-y.exp()).ln_1p() }
}

#[cfg(test)]
mod tests;
