//! Numbers in reports.

/// `2,995`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 trace`, `2,995 traces`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `0.37 %`, two digits that count where there are fewer before the point.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = if percent == 0.0 || percent >= 0.095 { 2 } else { 4 };
    format!("{percent:.decimals$} %")
}

/// As parts per million, rounded up: logs hold no fractions.
pub(crate) fn ppm(share: f64) -> u64 {
    (share * 1e6).ceil().clamp(0.0, 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2].map(|n| counted(n, "pair", "pairs")), ["1 pair", "2 pairs"]);
        assert_eq!(
            [0.0, 0.000_1, 0.000_999_7, 0.003_67, 1.0].map(percent),
            ["0.00 %", "0.0100 %", "0.10 %", "0.37 %", "100.00 %"]
        );
        assert_eq!([0.0, 0.000_999_7, 1.0, 7.0].map(ppm), [0, 1_000, 1_000_000, 1_000_000]);
    }
}
