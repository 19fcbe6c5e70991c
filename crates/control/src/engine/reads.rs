//! Reads are counted, and one leaf says for each actor and hour how many there were.

use std::collections::BTreeMap;

use crossfade_rollout::Actor;
use crossfade_routing::UnixNanos;

const HOUR: u64 = 3_600_000_000_000;

/// Reads that no leaf speaks of yet.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    counts: BTreeMap<(UnixNanos, Actor), u64>,
}

impl Reads {
    /// One more read.
    pub(crate) fn count(&mut self, actor: Actor, now: UnixNanos) {
        *self.counts.entry((hour(now), actor)).or_default() += 1;
    }

    /// Takes out the hours that are over.
    pub(crate) fn due(&mut self, now: UnixNanos) -> Vec<(Actor, UnixNanos, u64)> {
        let current = hour(now);
        let over: Vec<_> = self.counts.keys().filter(|(hour, _)| *hour < current).cloned().collect();
        over.into_iter()
            .filter_map(|key| self.counts.remove(&key).map(|count| (key.1, key.0, count)))
            .collect()
    }

    /// Counts on what could not be put on record.
    pub(crate) fn put_back(&mut self, actor: Actor, hour: UnixNanos, count: u64) {
        *self.counts.entry((hour, actor)).or_default() += count;
    }

    /// Takes out everything: the control plane ends.
    pub(crate) fn drain(&mut self) -> Vec<(Actor, UnixNanos, u64)> {
        std::mem::take(&mut self.counts)
            .into_iter()
            .map(|((hour, actor), count)| (actor, hour, count))
            .collect()
    }
}

/// The start of an hour: reads since then are on no record yet.
pub(crate) fn hour(now: UnixNanos) -> UnixNanos {
    UnixNanos(now.0 / HOUR * HOUR)
}

#[cfg(test)]
mod tests {
    use super::{HOUR, Reads};
    use crossfade_routing::UnixNanos;

    #[test]
    fn one_leaf_for_each_actor_and_hour() {
        let (ann, bob) = ("operator:aa".parse().unwrap(), "operator:bb".parse().unwrap());
        let mut reads = Reads::default();
        for (actor, at) in [(&ann, 1), (&bob, 2), (&ann, HOUR - 1), (&ann, HOUR)] {
            reads.count(crossfade_rollout::Actor::clone(actor), UnixNanos(at));
        }
        assert!(reads.due(UnixNanos(HOUR - 1)).is_empty(), "the hour is not over");
        let over = reads.due(UnixNanos(HOUR + 5));
        assert_eq!(over, vec![(ann.clone(), UnixNanos(0), 2), (bob, UnixNanos(0), 1)]);
        assert_eq!(reads.drain(), vec![(ann, UnixNanos(HOUR), 1)]);
    }
}
