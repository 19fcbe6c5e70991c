//! How far a gate has come: it says so, and whoever shows it reads.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// How far a gate has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// How much is done, of `total`.
    pub done: u32,
    /// How much there is; 0 as long as that is not known.
    pub total: u32,
    /// What it is at, in a few words: `traces read back`.
    pub line: String,
}

/// Where a gate says how far it has come. Copies show the same; nobody has to look.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<Mutex<Reading>>);

impl Gauge {
    /// `done` of `total`, at `line`.
    pub fn set(&self, done: usize, total: usize, line: &str) {
        let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let reading = Reading { done: count(done), total: count(total), line: line.to_owned() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reading;
    }

    /// What was said last.
    pub fn reading(&self) -> Reading {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.total, self.line.is_empty()) {
            (0, _) => f.write_str(&self.line),
            (total, true) => write!(f, "{} of {total}", self.done),
            (total, false) => write!(f, "{} of {total} {}", self.done, self.line),
        }
    }
}
