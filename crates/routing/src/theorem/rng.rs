//! Small seeded randomness with a taste for extremes.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From zero up to and including `max`.
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        if max == u64::MAX { self.next() } else { self.next() % (max + 1) }
    }

    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.up_to(99) < share
    }

    /// From zero up to `max`; often zero, often `max`.
    pub(crate) fn extreme(&mut self, max: u64) -> u64 {
        match self.up_to(3) {
            0 => 0,
            1 => max,
            _ => self.up_to(max),
        }
    }

    /// From `-max` to `max`; often one of the ends, often zero.
    pub(crate) fn either_way(&mut self, max: u64) -> i64 {
        let size = i64::try_from(self.extreme(max)).expect("distances are small");
        if self.percent(50) { size } else { -size }
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let last = u64::try_from(from.len() - 1).expect("a short list");
        from[usize::try_from(self.up_to(last)).expect("a short list")]
    }
}
