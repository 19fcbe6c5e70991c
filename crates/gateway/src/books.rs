//! The ledger: an account of spans for each environment and generation, and what the analysis counts.
//!
//! Every worker keeps its own books, so that none waits for another; readers add them up. A span enters an account
//! with [`Books::receive`], which gives a [`Voucher`] for it, and leaves `queued` in exactly one way: when the voucher is
//! settled. A voucher that is dropped unsettled - its client hung up while the answer was awaited - settles itself as
//! indeterminate. So the accounts balance by construction; each change checks that they do, and stops the process if not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crossfade_backends::otlp::{Export, Outcome, Silence};
use crossfade_routing::sync::{ArmCounts, ClockHistogram, LATENCY_BUCKETS, LedgerRow, latency_bucket};
use crossfade_routing::{EnvironmentId, Generation, Reason, UnixNanos};

use crate::invariant::broken;

/// An environment, by its place among the configured ones.
pub(crate) type Place = usize;

/// The books of one worker.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pages: Mutex<Pages>,
}

/// Everything in the books. Cumulative for the boot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    pub(crate) accounts: BTreeMap<(Place, Generation), Account>,
    pub(crate) clock: ClockHistogram,
    pub(crate) reasons: [u64; Reason::ALL.len()],
}

/// One environment under one generation. Spans, but for `requests` and `failed`.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) received: u64,
    pub(crate) delivered: u64,
    pub(crate) rejected: u64,
    pub(crate) returned: u64,
    pub(crate) shed: u64,
    pub(crate) shed_untrusted: u64,
    pub(crate) indeterminate: u64,
    pub(crate) queued: u64,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) latency: [u64; LATENCY_BUCKETS],
    pub(crate) latency_sum: Duration,
    pub(crate) untrusted_spans: u64,
    pub(crate) first_failure: Option<UnixNanos>,
}

/// How spans leave an account's `queued`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Accepted, but for so many spans that were rejected for good.
    Delivered {
        rejected: u64,
    },
    Rejected,
    /// Given back to the client, to be sent again.
    Returned,
    /// Dropped by us.
    Shed {
        untrusted: bool,
    },
    /// Sent, but the answer was never heard.
    Indeterminate,
}

/// What the analysis counts of one client request on one environment's side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) failed: bool,
    /// `None`: it says nothing about how long an export takes.
    pub(crate) latency: Option<Duration>,
    pub(crate) now: UnixNanos,
}

impl Attempt {
    /// Only an export that was taken, or not answered in time, says how long one takes: who refuses fast is not fast.
    pub(crate) fn of(export: &Export, now: UnixNanos) -> Attempt {
        let timed = matches!(
            export.outcome,
            Outcome::Accepted { .. } | Outcome::Unanswered { silence: Silence::TimedOut, .. }
        );
        Attempt { failed: !export.outcome.is_clean(), latency: timed.then_some(export.latency), now }
    }
}

impl Books {
    /// Enters spans that were routed to an environment. `untrusted`: how many of them have a clock that is not believed.
    pub(crate) fn receive(
        self: &Arc<Self>,
        place: Place,
        generation: Generation,
        spans: u64,
        untrusted: u64,
    ) -> Voucher {
        let key = (place, generation);
        self.change(key, |account| {
            account.received += spans;
            account.queued += spans;
            account.untrusted_spans += untrusted;
        });
        Voucher { books: Arc::clone(self), key, spans }
    }

    /// Counts one request's clocks and reasons.
    pub(crate) fn observe(&self, clock: &ClockHistogram, reasons: &[u64; Reason::ALL.len()]) {
        let mut pages = self.lock();
        pages.clock.add(clock);
        for (sum, more) in pages.reasons.iter_mut().zip(reasons) {
            *sum += more;
        }
    }

    pub(crate) fn attempt(&self, key: (Place, Generation), attempt: Attempt) {
        self.change(key, |account| {
            account.requests += 1;
            if let Some(latency) = attempt.latency {
                let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                if let Some(count) = account.latency.get_mut(latency_bucket(micros)) {
                    *count += 1;
                }
                account.latency_sum += latency;
            }
            if attempt.failed {
                account.failed += 1;
                account.first_failure.get_or_insert(attempt.now);
            }
        });
    }

    pub(crate) fn read(&self) -> Pages {
        self.lock().clone()
    }

    fn change(&self, key: (Place, Generation), change: impl FnOnce(&mut Account)) {
        let mut pages = self.lock();
        let account = pages.accounts.entry(key).or_default();
        change(account);
        if !account.is_balanced() {
            broken(&format!("the ledger does not balance: {account:?}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(|_| broken("the ledger was left in the middle of a change"))
    }
}

/// Spans that are in `queued`, to be settled once.
#[derive(Debug)]
pub(crate) struct Voucher {
    books: Arc<Books>,
    key: (Place, Generation),
    spans: u64,
}

impl Voucher {
    pub(crate) fn key(&self) -> (Place, Generation) {
        self.key
    }

    pub(crate) fn spans(&self) -> u64 {
        self.spans
    }

    pub(crate) fn books(&self) -> &Arc<Books> {
        &self.books
    }

    pub(crate) fn settle(mut self, fate: Fate) {
        self.enter(fate);
    }

    fn enter(&mut self, fate: Fate) {
        let spans = std::mem::take(&mut self.spans);
        self.books.change(self.key, |account| {
            let left = account.queued.checked_sub(spans);
            account.queued = left.unwrap_or_else(|| broken("more spans leave the ledger than are in it"));
            match fate {
                Fate::Delivered { rejected } => {
                    // A server that claims to have rejected more than it got has rejected all of it.
                    let rejected = rejected.min(spans);
                    account.rejected += rejected;
                    account.delivered += spans - rejected;
                }
                Fate::Rejected => account.rejected += spans,
                Fate::Returned => account.returned += spans,
                Fate::Shed { untrusted } => {
                    account.shed += spans;
                    account.shed_untrusted += if untrusted { spans } else { 0 };
                }
                Fate::Indeterminate => account.indeterminate += spans,
            }
        });
    }
}

impl Drop for Voucher {
    fn drop(&mut self) {
        if self.spans > 0 {
            self.enter(Fate::Indeterminate);
        }
    }
}

impl Default for Account {
    fn default() -> Account {
        Account {
            received: 0,
            delivered: 0,
            rejected: 0,
            returned: 0,
            shed: 0,
            shed_untrusted: 0,
            indeterminate: 0,
            queued: 0,
            requests: 0,
            failed: 0,
            latency: [0; LATENCY_BUCKETS],
            latency_sum: Duration::ZERO,
            untrusted_spans: 0,
            first_failure: None,
        }
    }
}

impl Account {
    fn is_balanced(&self) -> bool {
        let left =
            self.delivered + self.rejected + self.returned + self.shed + self.indeterminate + self.queued;
        self.received == left && self.shed_untrusted <= self.shed
    }

    fn add(&mut self, other: &Account) {
        self.received += other.received;
        self.delivered += other.delivered;
        self.rejected += other.rejected;
        self.returned += other.returned;
        self.shed += other.shed;
        self.shed_untrusted += other.shed_untrusted;
        self.indeterminate += other.indeterminate;
        self.queued += other.queued;
        self.requests += other.requests;
        self.failed += other.failed;
        for (sum, more) in self.latency.iter_mut().zip(&other.latency) {
            *sum += more;
        }
        self.latency_sum += other.latency_sum;
        self.untrusted_spans += other.untrusted_spans;
        self.first_failure = [self.first_failure, other.first_failure].into_iter().flatten().min();
    }

    pub(crate) fn ledger_row(&self, environment: &EnvironmentId, generation: Generation) -> LedgerRow {
        LedgerRow {
            environment: environment.clone(),
            generation,
            received: self.received,
            delivered: self.delivered,
            rejected: self.rejected,
            returned: self.returned,
            shed: self.shed,
            shed_untrusted: self.shed_untrusted,
            indeterminate: self.indeterminate,
            queued: self.queued,
        }
    }

    pub(crate) fn arm_counts(&self, environment: &EnvironmentId, generation: Generation) -> ArmCounts {
        ArmCounts {
            environment: environment.clone(),
            generation,
            requests: self.requests,
            failed: self.failed,
            latency: self.latency.to_vec(),
            untrusted_spans: self.untrusted_spans,
            spans: self.received,
            first_failure: self.first_failure,
        }
    }
}

impl Pages {
    /// The sum of several workers' books.
    pub(crate) fn sum(pages: impl Iterator<Item = Pages>) -> Pages {
        pages.fold(Pages::default(), |mut sum, pages| {
            for (key, account) in &pages.accounts {
                sum.accounts.entry(*key).or_default().add(account);
            }
            sum.clock.add(&pages.clock);
            for (sum, more) in sum.reasons.iter_mut().zip(&pages.reasons) {
                *sum += more;
            }
            sum
        })
    }

    /// Each environment's accounts, over all generations.
    pub(crate) fn by_place(&self) -> BTreeMap<Place, Account> {
        let mut sums: BTreeMap<Place, Account> = BTreeMap::new();
        for ((place, _), account) in &self.accounts {
            sums.entry(*place).or_default().add(account);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (Place, Generation) = (0, Generation(3));

    fn row(books: &Books) -> LedgerRow {
        books.read().accounts[&KEY].ledger_row(&EnvironmentId::new("blue").unwrap(), KEY.1)
    }

    #[test]
    fn every_fate_leaves_the_account_balanced() {
        let books = Arc::new(Books::default());
        let receive = |spans| books.receive(KEY.0, KEY.1, spans, 0);
        receive(10).settle(Fate::Delivered { rejected: 3 });
        receive(4).settle(Fate::Delivered { rejected: 5 });
        receive(20).settle(Fate::Rejected);
        receive(30).settle(Fate::Returned);
        receive(40).settle(Fate::Shed { untrusted: false });
        receive(5).settle(Fate::Shed { untrusted: true });
        receive(50).settle(Fate::Indeterminate);
        drop(receive(60));
        let waiting = receive(70);
        let row = row(&books);
        assert!(row.is_balanced());
        assert_eq!(
            (row.received, row.delivered, row.rejected, row.returned),
            (289, 7, 27, 30),
            "a claim of more rejected spans than there were counts as all of them"
        );
        assert_eq!((row.shed, row.shed_untrusted, row.indeterminate, row.queued), (45, 5, 110, 70));
        drop(waiting);
    }

    #[test]
    fn books_add_up() {
        let (a, b) = (Arc::new(Books::default()), Arc::new(Books::default()));
        a.receive(0, Generation(3), 1, 1).settle(Fate::Returned);
        b.receive(0, Generation(3), 2, 0).settle(Fate::Rejected);
        b.receive(0, Generation(4), 4, 0).settle(Fate::Rejected);
        b.receive(1, Generation(3), 8, 0).settle(Fate::Rejected);
        let late = Attempt { failed: true, latency: None, now: UnixNanos(9) };
        a.attempt((0, Generation(3)), late);
        b.attempt((0, Generation(3)), Attempt { now: UnixNanos(5), latency: Some(Duration::ZERO), ..late });
        let sum = Pages::sum([a.read(), b.read()].into_iter());
        assert_eq!(sum.accounts.values().map(|account| account.received).collect::<Vec<_>>(), [3, 4, 8]);
        assert_eq!(sum.by_place().values().map(|account| account.received).collect::<Vec<_>>(), [7, 8]);
        let arm = &sum.accounts[&(0, Generation(3))];
        assert_eq!((arm.requests, arm.failed, arm.first_failure), (2, 2, Some(UnixNanos(5))));
        assert_eq!((arm.latency.iter().sum::<u64>(), arm.untrusted_spans), (1, 1));
    }

    /// Not a test by itself: it breaks the ledger, in a process of its own.
    #[test]
    #[ignore = "ends its process"]
    fn a_broken_ledger() {
        let books = Arc::new(Books::default());
        let _ = std::panic::catch_unwind(|| books.change(KEY, |account| account.received += 1));
        println!("it went on");
    }

    // Scenario: an account does not balance, inside something that catches panics, as a runtime does with its tasks.
    // Guarantee: the process stops then and there, and says why.
    #[test]
    #[cfg(unix)]
    fn a_broken_ledger_stops_the_process() {
        use std::os::unix::process::ExitStatusExt;
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["books::tests::a_broken_ledger", "--exact", "--ignored", "--nocapture"]);
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.signal().is_some(), "{:?}", output.status);
        assert!(err.contains("the ledger does not balance: Account"), "{err}");
        assert!(out.contains("running 1 test") && !out.contains("it went on"), "{out}");
    }
}
