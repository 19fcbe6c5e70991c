//! An end to every evaluation: the interpreter's steps are counted in place of time, of which this crate has none, and at each of them it
//! is asked how much memory is in use, and how deep rules have called each other.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use regorus::Engine;
use regorus::utils::limits::{ExecutionTimerConfig, TimeSource, set_time_source};

/// How much memory this process has in use, in bytes; `None` where nobody knows.
pub type Memory = fn() -> Option<u64>;

/// How much more of it there may be in use than when an evaluation began.
pub(super) const MEMORY_MAX: u64 = 256 << 20;

/// How much of the stack, in bytes.
const STACK_MAX: usize = STACK_BYTES / 4;
/// What stack a thread has to have that asks policies. What lies in each other is let go level by level, and that takes some as well.
pub const STACK_BYTES: usize = 64 << 20;

/// Steps between two looks. To double what there is (`array.concat(x, x)`) takes three or more.
const EACH: NonZeroU32 = NonZeroU32::new(4).expect("not zero");

thread_local! {
    /// The evaluation on this thread.
    static UNDER_WAY: Cell<Evaluation> = const { Cell::new(Evaluation { taken: 0, most: 0, memory: nobody_knows, before: 0, stack: 0, ended: None }) };
}

#[derive(Clone, Copy)]
struct Evaluation {
    /// Its looks, and how many it may have.
    taken: u64,
    most: u64,
    memory: Memory,
    /// What was in use when it began.
    before: u64,
    /// Where on the stack it began.
    stack: usize,
    ended: Option<End>,
}

const fn nobody_knows() -> Option<u64> {
    None
}

/// What ends an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Steps,
    Memory,
    Stack,
}

/// To the interpreter each look is a nanosecond later than the last, and the one that finds too much in use is at the end of time.
struct Looks;

impl TimeSource for Looks {
    fn now(&self) -> Option<Duration> {
        let mut now = UNDER_WAY.get();
        now.taken = now.taken.saturating_add(1);
        if now.taken > now.most {
            now.ended = now.ended.or(Some(End::Steps));
        } else if here().abs_diff(now.stack) > STACK_MAX {
            now.ended = Some(End::Stack);
        } else if (now.memory)().is_some_and(|bytes| bytes.saturating_sub(now.before) > MEMORY_MAX) {
            now.ended = Some(End::Memory);
        }
        UNDER_WAY.set(now);
        Some(if now.ended.is_some() { Duration::MAX } else { Duration::from_nanos(now.taken) })
    }
}

/// About how far the stack goes.
#[inline(never)]
fn here() -> usize {
    let place = 0_u8;
    std::ptr::from_ref(&place).addr()
}

/// Lets the next evaluation on this thread take so many steps, and no more; and so much memory.
pub(super) fn allow(engine: &mut Engine, steps: u64, memory: Memory) {
    // An error says that it is set, as it is from the second time on.
    let _ = set_time_source(&Looks);
    let most = steps / u64::from(EACH.get());
    let before = memory().unwrap_or(0);
    UNDER_WAY.set(Evaluation { taken: 0, most, memory, before, stack: here(), ended: None });
    let limit = Duration::from_nanos(most);
    engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: EACH });
}

/// What the last evaluation on this thread was ended by, if it was.
pub(super) fn ended_by() -> Option<End> {
    UNDER_WAY.get().ended
}
