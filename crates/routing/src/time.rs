//! Moments, as OTLP writes them. No clock is read here: time is an argument everywhere.

use std::fmt;
use std::time::Duration;

use crate::text::serde_as_decimal_string;

/// Nanoseconds since the Unix epoch, UTC. In JSON a decimal string.
///
/// Arithmetic saturates at both ends: a moment past the end of time is the end of time, which every comparison
/// of the crossfade rule treats as it would the true sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    pub const ZERO: UnixNanos = UnixNanos(0);
    pub const MAX: UnixNanos = UnixNanos(u64::MAX);

    /// This moment and `span` more, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> UnixNanos {
        UnixNanos(self.0.saturating_add(whole_nanos(span)))
    }

    /// This moment less `span`, saturating.
    #[must_use]
    pub fn minus(self, span: Duration) -> UnixNanos {
        UnixNanos(self.0.saturating_sub(whole_nanos(span)))
    }

    /// How long after `earlier` this moment is; `None` if it lies before.
    #[must_use]
    pub fn since(self, earlier: UnixNanos) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }
}

/// A duration in nanoseconds, saturating at 584 years.
pub(crate) fn whole_nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_decimal_string!(UnixNanos, UnixNanos);
