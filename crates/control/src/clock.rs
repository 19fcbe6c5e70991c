//! The one place in this crate that reads a clock.

use crossfade_routing::UnixNanos;

/// Now, in nanoseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "this module is where the control plane reads its clock")]
pub fn now() -> UnixNanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
