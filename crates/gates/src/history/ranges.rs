//! What is missing in a row: points in time, each there or not, to ranges.

use std::fmt;

use crate::model::TraceId;
use crate::words::time;

/// Fewer in a row are chance.
const ROW_MIN: usize = 3;

/// One trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    /// When it began.
    pub(super) at: u64,
    pub(super) id: TraceId,
    pub(super) is_there: bool,
}

/// Where nothing is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The first and the last that are missing.
    first: u64,
    last: u64,
    /// What is there before and after; `None` at the ends.
    before: Option<u64>,
    after: Option<u64>,
    /// How many are missing.
    pub(super) count: u64,
    /// One of them.
    pub(super) example: Option<TraceId>,
}

/// Ranges in which nothing is there, and what is missing elsewhere. `points` are in order.
pub(super) fn in_a_row(points: &[Point]) -> (Vec<Range>, Vec<Point>) {
    let (mut ranges, mut scattered) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < points.len() {
        let length = points.iter().skip(at).take_while(|p| !p.is_there).count();
        let row = points.get(at..at + length).unwrap_or_default();
        match (row.first(), row.last()) {
            (Some(first), Some(last)) if length >= ROW_MIN => ranges.push(Range {
                first: first.at,
                last: last.at,
                before: at.checked_sub(1).and_then(|i| points.get(i)).map(|p| p.at),
                after: points.get(at + length).map(|p| p.at),
                count: length as u64,
                example: Some(first.id),
            }),
            _ => scattered.extend_from_slice(row),
        }
        at += length.max(1);
    }
    (ranges, scattered)
}

impl Range {
    pub(super) fn between(first: u64, last: u64, count: u64) -> Self {
        Self { first, last, before: None, after: None, count, example: None }
    }

    /// What is known of its ends.
    pub(super) fn bounds(&self) -> String {
        match (self.before, self.after) {
            (Some(before), Some(after)) => format!("between {} and {}", time(before), time(after)),
            (Some(before), None) => format!("from {} to the end", time(before)),
            (None, Some(after)) => format!("from the beginning to {}", time(after)),
            (None, None) => "from the beginning to the end".to_owned(),
        }
    }
}

/// `2026-11-14T03:00:00Z to 2026-11-14T05:00:00Z`.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", time(self.first), time(self.last))
    }
}

/// `2026-11-14T03`.
pub(super) fn hour(nanos: u64) -> String {
    time(nanos).chars().take(13).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(there: &[bool]) -> Vec<Point> {
        there
            .iter()
            .enumerate()
            .map(|(i, is_there)| Point {
                at: 1_000 * i as u64,
                id: TraceId([i as u8; 16]),
                is_there: *is_there,
            })
            .collect()
    }

    #[test]
    fn three_in_a_row_are_a_range_with_its_neighbours() {
        let (y, n) = (true, false);
        let (ranges, scattered) = in_a_row(&points(&[n, y, y, n, n, n, y, n, n, y, n, n, n, n]));
        let ends = |r: &Range| (r.first, r.last, r.before, r.after, r.count);
        let found: Vec<_> = ranges.iter().map(ends).collect();
        assert_eq!(
            found,
            [(3_000, 5_000, Some(2_000), Some(6_000), 3), (10_000, 13_000, Some(9_000), None, 4)]
        );
        assert_eq!(scattered.iter().map(|p| p.at).collect::<Vec<_>>(), [0, 7_000, 8_000]);
        assert_eq!(in_a_row(&[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn an_hour_is_a_time_cut_short() {
        assert_eq!(hour(1_800_000_000_000_000_000), "2027-01-15T08");
    }

    proptest! {
        /// Whatever is missing is in a range or scattered, once; and nothing else is.
        #[test]
        fn nothing_is_lost_on_the_way(there in prop::collection::vec(any::<bool>(), 0..60)) {
            let points = points(&there);
            let (ranges, scattered) = in_a_row(&points);
            let missing = points.iter().filter(|p| !p.is_there).count() as u64;
            prop_assert_eq!(ranges.iter().map(|r| r.count).sum::<u64>() + scattered.len() as u64, missing);
            for range in &ranges {
                let within = points.iter().filter(|p| (range.first..=range.last).contains(&p.at));
                prop_assert!(within.clone().all(|p| !p.is_there));
                prop_assert_eq!(within.count() as u64, range.count);
            }
        }
    }
}
