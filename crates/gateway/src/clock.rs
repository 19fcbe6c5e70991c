//! The one place in this crate where the wall clock is read.

use std::time::SystemTime;

use crossfade_routing::UnixNanos;
use tokio::time::Instant;

/// The time of day, in nanoseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "this is the one module that reads the clock")]
pub(crate) fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// The time of day at a moment of the monotonic clock that has passed.
pub(crate) fn at(moment: Instant) -> UnixNanos {
    now().minus(moment.elapsed())
}
