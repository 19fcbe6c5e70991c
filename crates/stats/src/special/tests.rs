use statrs::function::beta::beta_reg;

use super::ln_beta_upper;

/// Where the function itself can be written as a float, `statrs` has it too, by other code.
#[test]
fn agrees_with_statrs_where_that_does_not_underflow() {
    for a in [0.01, 0.5, 1.0, 3.0, 40.0, 700.0] {
        for b in [0.01, 0.5, 1.0, 3.0, 40.0, 700.0] {
            for x in [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99] {
                let expected = beta_reg(b, a, 1.0 - x);
                if expected > 1e-250 {
                    let (found, tolerance) = (ln_beta_upper(a, b, x).exp(), 1e-9 * expected + 1e-13);
                    assert!((found - expected).abs() < tolerance, "{a} {b} {x}: {found} {expected}");
                }
            }
        }
    }
}

/// 1 - I_x(1, b) = (1 - x)^b and 1 - I_x(a, 1) = 1 - x^a, for any size.
#[test]
fn closed_forms_in_the_far_tails() {
    for n in [1.0, 1e3, 1e6, 1e9] {
        for x in [1e-6_f64, 0.2, 0.5, 0.999] {
            let expected = n * (-x).ln_1p();
            let found = ln_beta_upper(1.0, n, x);
            assert!((found - expected).abs() <= 1e-6 * expected.abs() + 1e-9, "{n} {x}: {found} {expected}");
            let expected = -(n * x.ln()).exp_m1();
            let found = ln_beta_upper(n, 1.0, x).exp();
            assert!((found - expected).abs() <= 1e-6 * expected + 1e-12, "{n} {x}: {found} {expected}");
        }
    }
}

#[test]
fn never_nan_and_never_above_one() {
    let sizes = [1e-6, 1e-3, 0.5, 1.0, 1e3, 1e6, 1e9, 1e12];
    for a in sizes {
        for b in sizes {
            for x in [1e-9, 1e-4, 0.5, 0.9999, 1.0 - 1e-9] {
                let ln = ln_beta_upper(a, b, x);
                assert!(!ln.is_nan() && ln <= 0.0, "{a} {b} {x}: {ln}");
            }
        }
    }
}
