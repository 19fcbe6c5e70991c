//! `Retry-After`: seconds, or an HTTP date (RFC 9110, section 10.2.3). And the longest wait that any server is believed.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::clock;

/// Longer waits, by whichever way they are asked for, are taken for this one: whoever adds a wait to a time must be able to.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// A server's wish, within reason.
pub(crate) fn believed(wish: Duration) -> Duration {
    wish.min(WAIT_MAX)
}

/// How long the server asks to wait. A date is measured from the server's own `Date`, so that a wrong clock on
/// either side does not matter; without one, from ours. A date in the past is no wait at all.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number beyond 64 bits is none.
        return Some(believed(Duration::from_secs(text.parse().unwrap_or(u64::MAX))));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let from = date(headers).unwrap_or_else(clock::now);
    Some(believed(until.duration_since(from).unwrap_or(Duration::ZERO)))
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        let read = |pairs: &[(http::HeaderName, &str)]| {
            let headers = pairs.iter().map(|(k, v)| (k.clone(), v.parse().unwrap())).collect();
            retry_after(&headers)
        };
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[(RETRY_AFTER, "7")]), Some(Duration::from_secs(7)));
        assert_eq!(read(&[(RETRY_AFTER, " 0 ")]), Some(Duration::ZERO));
        assert_eq!(read(&[(RETRY_AFTER, "soon")]), None);
        assert_eq!(read(&[(RETRY_AFTER, "")]), None);
        for beyond in ["3601", "18446744073709551615", "18446744073709551616"] {
            assert_eq!(read(&[(RETRY_AFTER, beyond)]), Some(WAIT_MAX), "{beyond}");
        }
        assert_eq!(read(&[date.clone(), (RETRY_AFTER, "Sat, 06 Nov 2094 08:49:37 GMT")]), Some(WAIT_MAX));
        assert_eq!(read(&[(RETRY_AFTER, "-3")]), None);
        assert_eq!(
            read(&[date.clone(), (RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT")]),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            read(&[date, (RETRY_AFTER, "Sun, 06 Nov 1994 08:49:07 GMT")]),
            Some(Duration::ZERO),
            "a date in the past"
        );
        assert_eq!(
            read(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT")]),
            Some(Duration::ZERO),
            "without a Date, by our clock"
        );
    }
}
