//! What was measured of one environment.

use std::collections::BTreeMap;
use std::time::Duration;

use super::latency::Latency;
use super::profile::Phase;
use crate::model::TraceId;

/// A whole run against one environment.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The seed of ids and sample.
    pub seed: u64,
    /// When it began, in nanoseconds since 1970; with the seed it makes the ids again.
    pub at: u64,
    /// Spans in every request.
    pub spans_per_request: u32,
    /// What became of each phase's requests, as far as it was reached.
    pub phases: Vec<Counts>,
    /// It was stopped before its end.
    pub interrupted: bool,
    /// What was read back.
    pub read_back: ReadBack,
    /// What was answered instead of a success, and to how many requests.
    pub words: Words,
}

/// What became of the requests that were due in one phase. Counts are spans, but where they say otherwise; the latter
/// five add up to those offered once the run is over, and `accepted` to `unanswered` to those sent.
#[derive(Clone, Debug)]
pub struct Counts {
    /// The phase.
    pub phase: Phase,
    /// Requests that were due.
    pub requests: u64,
    /// Spans that were due.
    pub offered: u64,
    /// Taken.
    pub accepted: u64,
    /// Refused for good, those of a `partial_success` among them.
    pub rejected: u64,
    /// Refused for now.
    pub retryable: u64,
    /// Sent, and not answered.
    pub unanswered: u64,
    /// Not sent: as many requests as may be were in flight, for so long that a client would have given up.
    pub unsent: u64,
    /// Neither answered nor given up when the run was stopped.
    pub abandoned: u64,
    /// Requests that had to wait for another's answer before they could be sent. Their wait is part of their latency.
    pub held: u64,
    /// Bytes of the requests that were sent.
    pub bytes: u64,
    /// From the time at which a request was *due* until its answer, of accepted requests; and for how long the others were
    /// waited for in vain.
    pub latency: Latency,
    /// How late the generator itself was.
    pub lag: Latency,
    /// How much of the time the generator's thread had something to do, if that was measured.
    pub busy: Option<f64>,
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Taken, but for so many of its spans.
    Accepted {
        /// Spans that were not.
        rejected: u64,
    },
    /// Refused for good.
    Rejected,
    /// Refused for now.
    Retryable,
    /// No answer in time.
    TimedOut,
    /// No connection, or it broke, or what came was no answer.
    Broken,
    /// It could not be sent in time.
    Unsent,
    /// The run was stopped before.
    Abandoned,
}

impl Counts {
    /// Before anything was offered.
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            requests: 0,
            offered: 0,
            accepted: 0,
            rejected: 0,
            retryable: 0,
            unanswered: 0,
            unsent: 0,
            abandoned: 0,
            held: 0,
            bytes: 0,
            latency: Latency::new(),
            lag: Latency::new(),
            busy: None,
        }
    }

    /// A request of so many spans was due.
    pub fn offer(&mut self, spans: u64) {
        self.requests += 1;
        self.offered += spans;
    }

    /// What became of it, `since` the time it was due.
    pub fn count(&mut self, answer: Answer, spans: u64, since: Duration) {
        match answer {
            Answer::Accepted { rejected } => {
                let rejected = rejected.min(spans);
                self.accepted += spans - rejected;
                self.rejected += rejected;
            }
            Answer::Rejected => self.rejected += spans,
            Answer::Retryable => self.retryable += spans,
            Answer::TimedOut | Answer::Broken => self.unanswered += spans,
            Answer::Unsent => self.unsent += spans,
            Answer::Abandoned => self.abandoned += spans,
        }
        // A refusal is quick, and says nothing about how long a span takes. Who broke off was waited for until then, at least.
        if matches!(answer, Answer::Accepted { .. } | Answer::TimedOut | Answer::Broken | Answer::Unsent) {
            self.latency.record(since);
        }
    }

    /// Spans that were sent.
    pub fn sent(&self) -> u64 {
        self.accepted + self.rejected + self.retryable + self.unanswered
    }

    /// Spans that were not taken, though they should have been.
    pub fn failed(&self) -> u64 {
        self.rejected + self.retryable + self.unanswered + self.unsent
    }

    /// The share of those offered that was not taken; what was abandoned does not count.
    pub fn error_share(&self) -> f64 {
        match self.offered - self.abandoned {
            0 => 0.0,
            offered => self.failed() as f64 / offered as f64,
        }
    }
}

/// Answers in words, the most frequent kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    counts: BTreeMap<String, u64>,
    /// How many requests got other answers than those kept.
    pub others: u64,
}

/// Different answers that are kept.
const WORDS_MAX: usize = 16;
/// How much is kept of one.
const WORD_CHARS_MAX: usize = 200;

impl Words {
    /// One more request was answered so.
    pub fn add(&mut self, words: &str) {
        let words: String = words.chars().take(WORD_CHARS_MAX).collect();
        if self.counts.len() >= WORDS_MAX && !self.counts.contains_key(&words) {
            self.others += 1;
        } else {
            *self.counts.entry(words).or_default() += 1;
        }
    }

    /// From the most frequent on.
    pub fn ranked(&self) -> Vec<(&str, u64)> {
        let mut ranked: Vec<(&str, u64)> =
            self.counts.iter().map(|(words, n)| (words.as_str(), *n)).collect();
        ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        ranked
    }
}

/// What became of the sample of accepted traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// Somebody was asked.
    pub asked: bool,
    /// It was stopped before every question was answered.
    pub stopped: bool,
    /// For each phase.
    pub phases: Vec<Found>,
    /// Some of those that were not whole.
    pub examples: Vec<Incomplete>,
    /// Why nothing is known of some, in the first one's words.
    pub unknown: Option<String>,
    /// So many of these because nobody answered, or not as they should.
    pub out_of_reach: u64,
}

/// Counts of traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Asked for.
    pub asked: u64,
    /// All of their spans can be read.
    pub whole: u64,
    /// Some of their spans can be read.
    pub torn: u64,
    /// None of their spans can be read.
    pub absent: u64,
    /// The question was not answered.
    pub unknown: u64,
}

/// A trace that was accepted and is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// Which.
    pub trace_id: TraceId,
    /// Index of the phase it was sent in.
    pub phase: usize,
    /// Spans that were accepted.
    pub expected: usize,
    /// Of these, how many can be read.
    pub found: usize,
}

/// Incomplete traces that are kept as examples.
pub const EXAMPLES_MAX: usize = 20;

impl ReadBack {
    /// All phases together.
    pub fn total(&self) -> Found {
        self.phases.iter().fold(Found::default(), |sum, found| Found {
            asked: sum.asked + found.asked,
            whole: sum.whole + found.whole,
            torn: sum.torn + found.torn,
            absent: sum.absent + found.absent,
            unknown: sum.unknown + found.unknown,
        })
    }

    /// Whether something is unknown, and all of it because nobody answered, or not as they should.
    pub fn is_silent(&self) -> bool {
        self.out_of_reach > 0 && self.out_of_reach == self.total().unknown
    }

    /// A trace was read, or not.
    pub fn count(&mut self, read: Incomplete) {
        if self.phases.len() <= read.phase {
            self.phases.resize(read.phase + 1, Found::default());
        }
        let Some(found) = self.phases.get_mut(read.phase) else { return };
        found.asked += 1;
        match read.found {
            n if n >= read.expected => found.whole += 1,
            0 => found.absent += 1,
            _ => found.torn += 1,
        }
        if read.found < read.expected && self.examples.len() < EXAMPLES_MAX {
            self.examples.push(read);
        }
    }

    /// The question about a trace of this phase was not answered.
    pub fn miss(&mut self, phase: usize, why: &str, is_out_of_reach: bool) {
        if self.phases.len() <= phase {
            self.phases.resize(phase + 1, Found::default());
        }
        let Some(found) = self.phases.get_mut(phase) else { return };
        found.asked += 1;
        found.unknown += 1;
        self.out_of_reach += u64::from(is_out_of_reach);
        self.unknown.get_or_insert_with(|| why.to_owned());
    }
}
