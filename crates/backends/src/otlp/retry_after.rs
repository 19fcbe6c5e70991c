//! `Retry-After`: seconds, or an HTTP date (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::clock;

/// How long the server asks to wait. A date is measured from the server's own `Date`, so that a wrong clock on
/// either side does not matter; without one, from ours. A date in the past is no wait at all.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let from = date(headers).unwrap_or_else(clock::now);
    Some(until.duration_since(from).unwrap_or(Duration::ZERO))
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
