//! Times as RFC 3339. What is recorded is in UTC with nine decimal places, `2026-11-21T11:08:00.000000000Z`, and has no other
//! spelling; what people write may have any.

use crossfade_routing::UnixNanos;
use serde::{Deserialize, Deserializer, Serializer, de};

const NANOS: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// The time as text.
pub fn format(time: UnixNanos) -> String {
    let (secs, nanos) = (time.0 / NANOS, time.0 % NANOS);
    let (year, month, day) = civil(secs / DAY);
    let (hour, minute, second) = (secs % DAY / 3_600, secs % 3_600 / 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// The time that [`format()`] writes as `text`; `None` for any other text.
pub fn parse(text: &str) -> Option<UnixNanos> {
    let number = |range: std::ops::Range<usize>| -> Option<u64> {
        let digits = text.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let days = days(number(0..4)?, number(5..7)?, number(8..10)?)?;
    let secs = days * DAY + number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    let time = UnixNanos(secs.checked_mul(NANOS)?.checked_add(number(20..29)?)?);
    (format(time) == text).then_some(time)
}

/// The time that a person writes as `text`: RFC 3339 with any number of decimal places, of which nine count, and any offset.
pub fn read(text: &str) -> Option<UnixNanos> {
    let (seconds, rest) = text.split_at_checked(19)?;
    let digits = rest.strip_prefix('.').map_or("", |rest| leading_digits(rest));
    let offset = match (digits, rest) {
        ("", rest) => rest,
        (digits, rest) => rest.get(1 + digits.len()..)?,
    };
    let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
    let local = parse(&format!("{}.{nine}Z", seconds.replace(['t', ' '], "T")))?;
    let (sign, ahead) = match offset.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(local),
        (sign @ ("+" | "-"), ahead) => (sign, ahead),
        _ => return None,
    };
    // An offset is spelt as the end of a time of the first day.
    let ahead = parse(&format!("1970-01-01T{ahead}:00.000000000Z"))?;
    let utc = if sign == "+" { local.0.checked_sub(ahead.0) } else { local.0.checked_add(ahead.0) };
    utc.map(UnixNanos)
}

fn leading_digits(text: &str) -> &str {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// Days since 1970-01-01 to the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// The inverse of [`civil`]; `None` before 1970 or for a month that is none.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let y = year - u64::from(month <= 2);
    let (era, yoe) = (y / 400, y % 400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    Some(era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468)
}

pub(crate) fn serialize<S: Serializer>(time: &UnixNanos, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*time))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixNanos, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        de::Error::custom(format_args!("`{text}` is no RFC 3339 time in UTC with nine places"))
    })
}

#[cfg(test)]
mod tests {
    use super::{NANOS, format, parse, read};
    use crossfade_routing::UnixNanos;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_795_259_280_000_000_001, "2026-11-21T11:08:00.000000001Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999999Z"),
        ] {
            assert_eq!(format(UnixNanos(nanos)), text);
            assert_eq!(parse(text), Some(UnixNanos(nanos)));
        }
    }

    #[test]
    fn one_spelling_only() {
        for text in [
            "",
            "2026-11-21T11:08:00Z",
            "2026-11-21T11:08:00.000000001+00:00",
            "2026-11-21t11:08:00.000000001z",
            "2026-02-29T11:08:00.000000001Z",
            "2026-11-21T24:00:00.000000000Z",
            "2026-11-21T11:08:60.000000000Z",
            "1969-12-31T23:59:59.999999999Z",
            "2026-11-21T11:08:00.000000001Zé",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn people_spell_as_they_like() {
        let noon = parse("2026-11-21T12:00:00.000000000Z");
        for text in [
            "2026-11-21T12:00:00Z",
            "2026-11-21t12:00:00.0z",
            "2026-11-21 12:00:00.0000000000001Z",
            "2026-11-21T13:30:00+01:30",
            "2026-11-21T12:00:00-00:00",
            "2026-11-20T23:00:00.000-13:00",
        ] {
            assert_eq!(read(text), noon, "{text}");
        }
        assert_eq!(read("2026-11-21T12:00:00.5Z"), noon.map(|noon| UnixNanos(noon.0 + NANOS / 2)));
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T12:00Z",
            "2026-11-21T12:00:00",
            "2026-11-21T12:00:00.Z",
            "2026-11-21T12:00:00Z ",
            "2026-11-21T12:00:00+1:00",
            "2026-11-21T12:00:00+24:00",
            "2026-02-29T12:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "2026-11-21T12:00:0é",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in any::<String>(), nanos in any::<u64>()) {
            let _ = read(&text);
            prop_assert_eq!(read(&format(UnixNanos(nanos))), Some(UnixNanos(nanos)));
        }

        #[test]
        fn parse_undoes_format(nanos in any::<u64>()) {
            prop_assert_eq!(parse(&format(UnixNanos(nanos))), Some(UnixNanos(nanos)));
        }
    }
}
