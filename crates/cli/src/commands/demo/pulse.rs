//! Whether the machine kept up. A story's clocks are real: a process that waits for a processor sees its own spans late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How often it looks.
const BEAT: Duration = Duration::from_millis(10);
/// A beat that comes this much too late is a late one: a tenth of what the stories allow a span.
const LATE: Duration = Duration::from_millis(80);

/// How the machine kept up, over some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pulse {
    /// Time that was lost in late beats.
    late: Duration,
    /// The latest of them.
    worst: Duration,
    /// All the time.
    whole: Duration,
}

impl Pulse {
    /// That the machine was too busy, if it was: 2 % of the time lost.
    pub(super) fn words(&self) -> Option<String> {
        (self.late * 50 > self.whole).then(|| {
            format!(
                "this machine was too busy for the demo, whose clocks are real: for {:.1} of {:.0} s it had to wait for a processor, up to {} ms at once; run it again when less is going on",
                self.late.as_secs_f64(),
                self.whole.as_secs_f64(),
                self.worst.as_millis()
            )
        })
    }
}

/// Beats until it is stopped.
pub(super) struct Watch {
    task: JoinHandle<()>,
    shared: Arc<Shared>,
    began: Instant,
}

#[derive(Default)]
struct Shared {
    late_nanos: AtomicU64,
    worst_nanos: AtomicU64,
}

impl Watch {
    pub(super) fn start() -> Watch {
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(beat(Arc::clone(&shared)));
        Watch { task, shared, began: Instant::now() }
    }

    pub(super) fn so_far(&self) -> Pulse {
        let read = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        Pulse {
            late: read(&self.shared.late_nanos),
            worst: read(&self.shared.worst_nanos),
            whole: self.began.elapsed(),
        }
    }

    pub(super) fn stop(self) -> Pulse {
        self.so_far()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn beat(shared: Arc<Shared>) {
    loop {
        let before = Instant::now();
        sleep(BEAT).await;
        let late = before.elapsed().saturating_sub(BEAT);
        if late >= LATE {
            let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
            shared.late_nanos.fetch_add(nanos, Ordering::Relaxed);
            shared.worst_nanos.fetch_max(nanos, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_machine_is_called_busy() {
        let pulse = |late: u64, worst: u64| Pulse {
            late: Duration::from_millis(late),
            worst: Duration::from_millis(worst),
            whole: Duration::from_secs(20),
        };
        assert_eq!(pulse(0, 0).words(), None);
        assert_eq!(pulse(400, 90).words(), None);
        let words = pulse(3_000, 640).words().expect("it was busy");
        assert!(words.contains("3.0 of 20 s") && words.contains("640 ms"), "{words}");
    }

    /// The runtime's only thread is taken for 300 ms: the beat that comes after is late by about as much.
    #[test]
    fn a_thread_that_is_taken_is_seen() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (noticed, pulse) = runtime.block_on(async {
            let watch = Watch::start();
            tokio::task::yield_now().await;
            let taken = Instant::now();
            while taken.elapsed() < Duration::from_millis(300) {
                std::hint::spin_loop();
            }
            // A busy machine may make an earlier beat late, too.
            let noticed = async {
                while watch.so_far().worst < Duration::from_millis(200) {
                    sleep(BEAT).await;
                }
            };
            let noticed = tokio::time::timeout(Duration::from_secs(60), noticed).await;
            (noticed.is_ok(), watch.stop())
        });
        assert!(noticed, "{pulse:?}");
    }
}
