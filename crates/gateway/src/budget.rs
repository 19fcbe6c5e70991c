//! Bounds on what is held at one time: bytes of requests, and requests.
//!
//! A budget never makes anyone wait: two half-received requests that wait for each other's bytes would wait for ever.
//! What does not fit is refused, and the client may come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So much, and no more.
#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    used: AtomicUsize,
}

/// A part of a budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    amount: usize,
}

/// The budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Budget {
    pub(crate) fn new(max: usize) -> Arc<Budget> {
        Arc::new(Budget { max, used: AtomicUsize::new(0) })
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// A share of `amount`, which may be 0 and grow later.
    pub(crate) fn share(self: &Arc<Self>, amount: usize) -> Result<Share, Exhausted> {
        let mut share = Share { budget: Arc::clone(self), amount: 0 };
        share.grow(amount)?;
        Ok(share)
    }
}

impl Share {
    /// Adds `more`, or changes nothing.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Exhausted> {
        let max = self.budget.max;
        let fits = |used: usize| used.checked_add(more).filter(|sum| *sum <= max);
        self.budget
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .map(|_| self.amount += more)
            .map_err(|_| Exhausted)
    }

    /// Gives back all but `amount`; does nothing if it is no more than that.
    pub(crate) fn shrink_to(&mut self, amount: usize) {
        let excess = self.amount.saturating_sub(amount);
        self.amount -= excess;
        self.budget.used.fetch_sub(excess, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_comes_back() {
        let budget = Budget::new(10);
        let mut first = budget.share(4).unwrap();
        let second = budget.share(6).unwrap();
        assert_eq!(first.grow(1), Err(Exhausted));
        assert_eq!(budget.share(1).err(), Some(Exhausted));
        drop(second);
        assert_eq!(first.grow(6), Ok(()));
        assert_eq!(budget.used(), 10);
        assert_eq!(first.grow(usize::MAX), Err(Exhausted), "no overflow");
        first.shrink_to(11);
        assert_eq!(budget.used(), 10, "it does not grow");
        first.shrink_to(3);
        assert_eq!(budget.used(), 3);
        drop(first);
        assert_eq!(budget.used(), 0);
    }
}
