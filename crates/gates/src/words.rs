//! Numbers and times in reports.

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

/// Nanoseconds since 1970 as RFC 3339, in whole seconds (days to date: Hinnant, "chrono-compatible low-level date algorithms",
/// `civil_from_days`).
pub(crate) fn time(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(951_782_399_000_000_000), "2000-02-28T23:59:59Z");
        assert_eq!(time(951_826_799_000_000_000), "2000-02-29T12:19:59Z");
        assert_eq!(time(1_795_000_000_000_000_000), "2026-11-18T11:06:40Z");
        assert_eq!(time(1_800_000_000_999_999_999), "2027-01-15T08:00:00Z");
    }

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
