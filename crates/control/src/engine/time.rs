//! The control plane's time: the host's clock, held still where that goes back.
//!
//! Cuts are chosen by this time, and gateways have routed by schedules up to it. A cut at a moment that has been before
//! would change the owner of traces whose spans have gone elsewhere already. So time never goes back: not while the control
//! plane runs, and not past the newest entry of the log. Until the host's clock has caught up, nothing that depends on time
//! goes on; a way back does not depend on it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crossfade_routing::UnixNanos;

/// Reads the time; a test's engine has a clock of its own.
pub(crate) type Clock = Arc<dyn Fn() -> UnixNanos + Send + Sync>;

/// A clock may be behind by this much before anybody is told: clocks are slewed.
const TOLD_FROM: Duration = Duration::from_secs(1);

/// See the module's description.
pub(crate) struct Time {
    clock: Clock,
    latest: Cell<UnixNanos>,
    behind: Cell<Duration>,
}

impl Time {
    /// Not before `floor`, whatever the clock says.
    pub(crate) fn new(clock: Clock, floor: UnixNanos) -> Time {
        Time { clock, latest: Cell::new(floor), behind: Cell::new(Duration::ZERO) }
    }

    pub(crate) fn now(&self) -> UnixNanos {
        let (host, latest) = ((self.clock)(), self.latest.get());
        let behind = latest.since(host).unwrap_or_default();
        if behind >= TOLD_FROM && self.behind.get() < TOLD_FROM {
            tracing::error!(
                behind_ms = behind.as_millis(),
                "the host's clock is behind the record: time stands still"
            );
        }
        self.behind.set(behind);
        self.latest.set(latest.max(host));
        self.latest.get()
    }

    /// The host's clock, wherever it stands.
    pub(crate) fn host(&self) -> UnixNanos {
        (self.clock)()
    }

    /// What to tell people of a clock that went back.
    pub(crate) fn trouble(&self) -> Option<String> {
        let behind = self.behind.get();
        (behind >= TOLD_FROM).then(|| {
            let secs = behind.as_secs();
            format!(
                "this host's clock is {secs} s behind the record: time stands still until it has caught up"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn time_stands_still_while_the_clock_is_behind() {
        let host = Arc::new(AtomicU64::new(50_000_000_000));
        let clock = Arc::clone(&host);
        let time =
            Time::new(Arc::new(move || UnixNanos(clock.load(Ordering::SeqCst))), UnixNanos(60_000_000_000));
        assert_eq!(time.now(), UnixNanos(60_000_000_000), "not before the newest entry");
        assert!(time.trouble().unwrap().contains("10 s behind"));
        host.store(70_000_000_000, Ordering::SeqCst);
        assert_eq!((time.now(), time.trouble()), (UnixNanos(70_000_000_000), None));
        host.store(69_500_000_000, Ordering::SeqCst);
        assert_eq!(
            (time.now(), time.trouble()),
            (UnixNanos(70_000_000_000), None),
            "half a second is nobody's concern"
        );
        assert_eq!(time.host(), UnixNanos(69_500_000_000));
    }
}
