//! The only place of this crate that reads the wall clock.

use crossfade_routing::UnixNanos;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock, in nanoseconds since the Unix epoch.
pub fn now() -> UnixNanos {
    #[allow(clippy::disallowed_methods, reason = "the one clock module of this crate")]
    let now = SystemTime::now();
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixNanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}

/// Waits until the wall clock has reached `instant`, whatever happens to that clock meanwhile.
pub async fn wait_until(instant: UnixNanos) {
    loop {
        let left = instant.0.saturating_sub(now().0);
        if left == 0 {
            return;
        }
        // The timer runs on the monotonic clock: looking again every now and then follows a wall clock that is set.
        tokio::time::sleep(Duration::from_nanos(left).min(Duration::from_millis(200))).await;
    }
}
