//! How many traces of a service there are, where a search gives no more than so many.
//!
//! A sample says what is in a service's traces, and not how many there are; with a small share of them, that is what tells whether the
//! candidate should have had some. So each slice of the window is halved, and one half taken at random, until a search gives all
//! that is in the piece. What it gives, times the number of such pieces in the slice, is an estimate of the slice's
//! traces that is right on average, however unevenly they came, and at most `k` times too high with a probability of `1 - 1/k`
//! (Markov). That the smallest estimate of six independent slices is four times too high has a chance of 1 in 4,096.

/// A piece of a slice, all of whose traces were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Traces in it.
    pub traces: u32,
    /// How often the slice was halved.
    pub halved: u32,
}

/// Traces of a service in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// On average.
    pub about: u64,
    /// With near certainty.
    pub at_least: u64,
}

/// The smallest estimate is taken for so many times too high.
const CAREFUL: u64 = 4;

impl Volume {
    /// From one piece of each slice, all slices of one length; `seen`: traces that were looked at, so there are as many at least.
    pub fn of(pieces: &[Piece], seen: u32) -> Volume {
        let estimate = |piece: &Piece| u64::from(piece.traces) << piece.halved.min(31);
        let least = pieces.iter().map(estimate).min().unwrap_or(0);
        let seen = u64::from(seen);
        Volume {
            about: pieces.iter().map(estimate).sum::<u64>().max(seen),
            at_least: (least / CAREFUL * pieces.len() as u64).max(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(of: [(u32, u32); 3]) -> Vec<Piece> {
        of.map(|(traces, halved)| Piece { traces, halved }).to_vec()
    }

    #[test]
    fn a_slice_has_what_its_piece_has_times_the_pieces() {
        let even = Volume::of(&pieces([(30, 10), (28, 10), (32, 10)]), 120);
        assert_eq!(even, Volume { about: 90 * 1_024, at_least: 28 * 256 * 3 });
        let burst = Volume::of(&pieces([(30, 10), (0, 1), (0, 2)]), 120);
        assert_eq!(
            burst,
            Volume { about: 30 * 1_024, at_least: 120 },
            "one slice shows nothing of the others"
        );
        assert_eq!(Volume::of(&[], 7), Volume { about: 7, at_least: 7 });
        assert_eq!(Volume::of(&pieces([(1, 99), (1, 99), (1, 99)]), 7).about, 3 << 31);
    }
}
