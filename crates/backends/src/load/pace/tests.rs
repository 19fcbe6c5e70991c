//! The open loop on a clock that stands still while anybody works: every figure here is exact to a timer's millisecond.

use std::sync::atomic::AtomicUsize;

use crossfade_gates::load::{Part, Phase};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::*;

const SPANS: u32 = 10;

/// So many requests a second, for so long.
fn schedule(requests_per_second: u64, length: Duration) -> Schedule {
    let rate = requests_per_second * u64::from(SPANS);
    Schedule::new(&[Phase { part: Part::Hold, rate, duration: length }], SPANS)
}

fn pace(schedule: &Schedule) -> Pace<'_> {
    Pace {
        schedule,
        in_flight_max: 1_000,
        patience: secs(10),
        grace: secs(1),
        ids: Ids::new(7, 1),
        sample: 5,
        parked: None,
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A target made of a function: what becomes of a request, and after how long.
struct Fake<F>(F);

impl<F, A> Target for Fake<F>
where
    F: FnMut(Arrival) -> A,
    A: Future<Output = Answer> + Send + 'static,
{
    fn send(&mut self, arrival: Arrival) -> impl Future<Output = Done> + Send + 'static {
        let answer = (self.0)(arrival);
        async move { Done { answer: answer.await, words: None, bytes: 100, at: Instant::now() } }
    }
}

const OK: Answer = Answer::Accepted { rejected: 0 };

async fn driven<F, A>(pace: &Pace<'_>, target: F) -> Driven
where
    F: FnMut(Arrival) -> A,
    A: Future<Output = Answer> + Send + 'static,
{
    let (_stop, stopped) = watch::channel(false);
    // Two hours of this clock: whoever waits for ever is found out.
    timeout(secs(7_200), drive(pace, Fake(target), Instant::now(), stopped, |_| {})).await.unwrap()
}

fn close(duration: Option<Duration>, wanted: Duration) {
    let got = duration.unwrap();
    assert!(got.abs_diff(wanted) <= millis(2) + wanted / 500, "{got:?}, not {wanted:?}");
}

/// Scenario: an environment answers nobody until as many requests have come as it wants: all of them.
/// Guarantee: they come. A loop that waited for answers would wait here for ever.
#[tokio::test(start_paused = true)]
async fn arrivals_do_not_wait_for_answers() {
    let schedule = schedule(50, secs(4));
    let (came, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let target = |_| {
        let (came, all) = (came.clone(), all.clone());
        async move {
            if came.fetch_add(1, Ordering::SeqCst) + 1 == 200 {
                all.notify_waiters();
            } else {
                all.notified().await;
            }
            OK
        }
    };
    let driven = driven(&Pace { patience: secs(3_600), ..pace(&schedule) }, target).await;
    let counts = &driven.counts[0];
    assert_eq!((counts.offered, counts.accepted, counts.held), (2_000, 2_000, 0));
    close(counts.latency.quantile(0.5), millis(1_980));
    close(counts.latency.max(), millis(3_980));
}

/// Scenario: an environment that answers within 10 ms stands still for one second of ten, and there is room in flight.
/// Guarantee: a tenth of the latencies shows it, as long as each really waited; not one request's alone.
#[tokio::test(start_paused = true)]
async fn a_stall_counts_for_everyone_who_waits_in_it() {
    let schedule = schedule(100, secs(10));
    let start = Instant::now();
    let until = move || {
        let since = start.elapsed();
        if (secs(4)..secs(5)).contains(&since) { secs(5) - since } else { millis(10) }
    };
    let driven = driven(&pace(&schedule), |_| async move {
        sleep(until()).await;
        OK
    })
    .await;
    let latency = &driven.counts[0].latency;
    assert_eq!(latency.count(), 1_000);
    close(latency.quantile(0.89), millis(10));
    close(latency.quantile(0.95), millis(495));
    close(latency.max(), millis(995));
}

/// Scenario: one request may be in flight, and one takes a second; 99 more are due meanwhile.
/// Guarantee: they are sent afterwards, counted as held, each with its wait from when it was due; the generator's own lag
/// is none of it.
#[tokio::test(start_paused = true)]
async fn who_finds_no_room_waits_and_the_wait_counts() {
    let schedule = schedule(100, secs(2));
    let target = |arrival: Arrival| async move {
        sleep(if arrival.index == 0 { secs(1) } else { millis(1) }).await;
        OK
    };
    let driven = driven(&Pace { in_flight_max: 1, ..pace(&schedule) }, target).await;
    let counts = &driven.counts[0];
    assert_eq!((counts.requests, counts.accepted, counts.unsent), (200, 2_000, 0));
    assert!(counts.held >= 99, "{}", counts.held);
    let held = counts.latency.quantile(0.75).unwrap();
    assert!(held > millis(400), "half of the requests have waited, for up to a second: {held:?}");
    close(counts.latency.max(), millis(1_001));
    assert!(counts.lag.max().unwrap() <= millis(1), "{:?}", counts.lag.max());
}

/// Scenario: nobody ever answers, and room is short.
/// Guarantee: every request is counted: those sent as unanswered, the others as unsent, all with the time they waited in vain.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_in_time_is_counted() {
    let schedule = schedule(10, secs(30));
    let target = |_| async {
        sleep(secs(10)).await;
        Answer::TimedOut
    };
    let driven = driven(&Pace { in_flight_max: 20, ..pace(&schedule) }, target).await;
    let counts = &driven.counts[0];
    assert_eq!(counts.offered, 3_000);
    assert_eq!(counts.unanswered + counts.unsent, 3_000);
    assert!(counts.unsent >= 1_500, "room for 20 in 10 s is room for 80: {}", counts.unsent);
    assert!((counts.error_share() - 1.0).abs() < 1e-9);
    assert_eq!(counts.latency.count(), 300);
    assert!(counts.latency.quantile(0.0).unwrap() >= millis(9_990));
    assert_eq!(counts.bytes, counts.unanswered / 10 * 100);
}

/// Scenario: the load is stopped while requests are in flight, some of which are never answered.
/// Guarantee: it ends, what was offered by then is counted, and what had no answer is counted as abandoned.
#[tokio::test(start_paused = true)]
async fn a_stop_ends_it_and_loses_no_count() {
    let schedule = schedule(100, secs(60));
    let (stop, stopped) = watch::channel(false);
    let target = Fake(|arrival: Arrival| async move {
        sleep(if arrival.index.is_multiple_of(2) { millis(300) } else { secs(100) }).await;
        OK
    });
    let (start, pace) = (Instant::now(), pace(&schedule));
    let driving = drive(&pace, target, start, stopped, |progress| {
        if progress.elapsed >= secs(2) {
            stop.send_replace(true);
        }
    });
    let driven = driving.await;
    assert!(driven.interrupted && start.elapsed() < secs(4), "{:?}", start.elapsed());
    let counts = &driven.counts[0];
    assert!((200..=240).contains(&counts.requests), "{}", counts.requests);
    assert_eq!(counts.accepted + counts.abandoned, counts.offered);
    assert!(counts.abandoned * 2 >= counts.offered - 20, "{counts:?}");
    assert_eq!(counts.error_share(), 0.0, "nobody knows what would have become of the rest");
}

/// Scenario: the load is stopped, or nobody wants it any more, before it begins.
/// Guarantee: nothing is sent.
#[tokio::test(start_paused = true)]
async fn what_is_stopped_before_it_begins_sends_nothing() {
    let schedule = schedule(100, secs(60));
    for gone in [false, true] {
        let (stop, stopped) = watch::channel(!gone);
        let _held = Some(stop).filter(|_| !gone);
        let sent = AtomicUsize::new(0);
        let target = Fake(|_| {
            sent.fetch_add(1, Ordering::SeqCst);
            std::future::ready(OK)
        });
        let driven = drive(&pace(&schedule), target, Instant::now(), stopped, |_| {}).await;
        assert_eq!((driven.interrupted, sent.load(Ordering::SeqCst)), (true, 0));
    }
}

/// Scenario: whoever wanted the load is gone.
/// Guarantee: it ends at once.
#[tokio::test(start_paused = true)]
async fn without_anybody_to_stop_it_it_stops() {
    let schedule = schedule(100, secs(60));
    let (stop, stopped) = watch::channel(false);
    let mut stop = Some(stop);
    let start = Instant::now();
    let forever = Fake(|_| std::future::pending::<Answer>());
    let driven = drive(&pace(&schedule), forever, start, stopped, |_| drop(stop.take())).await;
    assert!(driven.interrupted && start.elapsed() < secs(1));
}

/// Scenario: a load of several phases, in which every third request is refused.
/// Guarantee: each phase has its own counts, and only accepted requests are sampled.
#[tokio::test(start_paused = true)]
async fn phases_are_counted_apart_and_what_was_refused_is_not_sampled() {
    let phases: Vec<Phase> = [(1_000, 2), (3_000, 1)]
        .map(|(rate, seconds)| Phase { part: Part::Hold, rate, duration: secs(seconds) })
        .into();
    let schedule = Schedule::new(&phases, SPANS);
    let mut seen = Vec::new();
    let target = |arrival: Arrival| async move {
        if arrival.index.is_multiple_of(3) { Answer::Retryable } else { Answer::Accepted { rejected: 0 } }
    };
    let (_stop, stopped) = watch::channel(false);
    let look = |progress: Progress| seen.push(progress.elapsed);
    let driven = drive(&pace(&schedule), Fake(target), Instant::now(), stopped, look).await;
    assert_eq!(driven.counts.iter().map(|c| c.offered).collect::<Vec<_>>(), [2_000, 3_000]);
    for counts in &driven.counts {
        assert!(counts.retryable.abs_diff(counts.offered / 3) <= 10);
    }
    assert_eq!(driven.samples.iter().map(|sample| sample.traces().len()).collect::<Vec<_>>(), [3, 2]);
    for sample in &driven.samples {
        let traces = sample.traces();
        assert!(traces.iter().all(|picked| picked.request % 3 != 0), "{traces:?}");
    }
    assert!(!driven.interrupted && seen.len() >= 10 && seen.is_sorted());
}
