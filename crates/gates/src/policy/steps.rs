//! An end to every evaluation: the interpreter's steps are counted in place of time, of which this crate has none.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use regorus::Engine;
use regorus::utils::limits::{ExecutionTimerConfig, TimeSource, set_time_source};

/// Steps between two looks.
const EACH: NonZeroU32 = NonZeroU32::new(64).expect("not zero");

thread_local! {
    /// Looks of the evaluation on this thread, and how many it may have.
    static LOOKS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// To the interpreter each look is a nanosecond later than the last.
struct Looks;

impl TimeSource for Looks {
    fn now(&self) -> Option<Duration> {
        LOOKS.with(|looks| {
            let (count, most) = looks.get();
            looks.set((count.saturating_add(1), most));
            Some(Duration::from_nanos(count))
        })
    }
}

/// Lets the next evaluation on this thread take so many steps, and no more.
pub(super) fn allow(engine: &mut Engine, steps: u64) {
    // An error says that it is set, as it is from the second time on.
    let _ = set_time_source(&Looks);
    let most = steps / u64::from(EACH.get());
    LOOKS.set((0, most));
    let limit = Duration::from_nanos(most);
    engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: EACH });
}

/// Whether the last evaluation on this thread has taken all that it might.
pub(super) fn are_used_up() -> bool {
    let (count, most) = LOOKS.get();
    count > most
}
