//! The one place in this crate where the wall clock is read.

use std::time::SystemTime;

/// The time of day.
#[allow(clippy::disallowed_methods, reason = "this is the one module that reads the clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
