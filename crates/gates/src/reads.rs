//! Traces that were read by id, and those that were not: alike for every gate that compares them.

use crate::difference::too_large;
use crate::finding::{Finding, Place};
use crate::model::{Span, TraceId};
use crate::parity::{Read, Unread};
use crate::rule::{Rule, Severity};
use crate::words::{counted, grouped};

/// Ids of the sample that facts list.
pub(crate) const SAMPLE_IDS_MAX: usize = 5_000;
/// Ids of differing traces that facts list.
pub(crate) const DIFFERING_IDS_MAX: usize = 200;

/// Of the traces drawn, the share that may be gone when they are read.
const VANISHED_MAX: f64 = 0.02;

/// What could not be read, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    /// Traces that could not be read whole, on one side at least.
    pub(crate) unread: u64,
    first: Option<(TraceId, String, String)>,
    /// Who last did not answer, and why.
    silent: Option<(String, String)>,
    stopped: Option<Unread>,
}

impl Reads {
    /// The spans of a trace in two environments, given by name; `None` if one of them could not be read whole.
    pub(crate) fn both<'r>(
        &mut self,
        trace: TraceId,
        sides: [(&str, &'r Read); 2],
    ) -> Option<[&'r [Span]; 2]> {
        let read = match sides.map(|(environment, read)| self.look(trace, environment, read)) {
            [Some(one), Some(other)] => Some([one, other]),
            _ => None,
        };
        self.unread += u64::from(read.is_none());
        read
    }

    /// The spans of a trace in one environment.
    pub(crate) fn one<'r>(
        &mut self,
        trace: TraceId,
        environment: &str,
        read: &'r Read,
    ) -> Option<&'r [Span]> {
        let spans = self.look(trace, environment, read);
        self.unread += u64::from(spans.is_none());
        spans
    }

    fn look<'r>(&mut self, trace: TraceId, environment: &str, read: &'r Read) -> Option<&'r [Span]> {
        let (why, answered) = match read {
            Read::Spans(spans) => match too_large(spans) {
                None => return Some(spans),
                Some(why) => (why, true),
            },
            Read::Unread(unread) => (unread.why.clone(), unread.answered),
        };
        if !answered {
            self.silent = Some((environment.to_owned(), why.clone()));
        }
        self.first.get_or_insert_with(|| (trace, environment.to_owned(), why));
        None
    }

    /// Reading ended before all was read, or could not begin.
    pub(crate) fn stopped(&mut self, why: Unread) {
        // That nobody answers is why there is no time left, too.
        if self.stopped.as_ref().is_none_or(|before| before.answered) {
            self.stopped = Some(why);
        }
    }

    /// Whether somebody did not answer, or not as they should.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent.is_some() || self.stopped.as_ref().is_some_and(|why| !why.answered)
    }

    /// That reading stopped; or that too much could not be read of `drawn` (`pair`, `pairs`), if that is so.
    pub(crate) fn finding(
        &self,
        rule: &'static Rule,
        place: Place,
        (drawn, one, many): (u64, &str, &str),
        is_too_much: bool,
    ) -> Option<Finding> {
        if let Some(stopped) = &self.stopped {
            let (place, detail) = match &self.silent {
                Some((environment, why)) if !stopped.answered => {
                    (Place::environment(environment), format!("{}; the last: {why}", stopped.why))
                }
                _ => (place, stopped.why.clone()),
            };
            return Some(Finding::new(rule).at(place).detail(detail));
        }
        if !is_too_much {
            return None;
        }
        let detail = format!("{} of {} could not be read", grouped(self.unread), counted(drawn, one, many));
        let Some((trace, environment, why)) = &self.first else {
            return Some(Finding::new(rule).at(place).detail(detail));
        };
        let place = Place::environment(environment).trace(*trace);
        Some(Finding::new(rule).at(place).detail(format!("{detail}; first: {why}")))
    }
}

/// That a search has found traces which nobody gives: a note, and no verdict if they are too many of `drawn`. `from`: whom they could
/// not be read from.
pub(crate) fn vanished(
    rule: &'static Rule,
    place: Place,
    vanished: u64,
    drawn: u64,
    from: &str,
) -> Option<Finding> {
    if vanished == 0 {
        return None;
    }
    let found = counted(vanished, "trace was", "traces were");
    let detail = format!("{found} found by search, and read by id from {from}; {} drawn", grouped(drawn));
    let too_many = vanished as f64 > VANISHED_MAX * drawn as f64;
    let severity = if too_many { Severity::Unknown } else { rule.severity };
    Some(Finding::new(rule).at(place).detail(detail).severity(severity))
}

/// As facts list them.
pub(crate) fn ids(ids: &[TraceId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// Adds one, if there is room.
pub(crate) fn keep(ids: &mut Vec<TraceId>, id: TraceId, most: usize) {
    if ids.len() < most {
        ids.push(id);
    }
}
