//! How far apart a trace's spans may start, and how far clocks are trusted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text;
use crate::time::whole_nanos;

/// The three distances of the crossfade rule. Measured, not guessed; large values cost copies only around cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Window {
    overlap: u64,
    skew: u64,
    gamma: u64,
}

/// Why three distances do not make a window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error(
        "skew ({skew:?}) must be larger than gamma ({gamma:?}), the clock error of gateways and control plane"
    )]
    SkewWithinGamma { skew: Duration, gamma: Duration },
    #[error("{field} is {value:?}; the longest that is supported is {:?}", Window::LONGEST)]
    TooLong { field: &'static str, value: Duration },
}

impl Window {
    /// The longest overlap, and the longest skew.
    pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

    /// `overlap`: largest distance of a span's start from its root's that is kept whole. `skew`: how far a span's
    /// times are trusted (clock error and export delay). `gamma`: bound on the clock error of every gateway and
    /// of the control plane, either way.
    pub fn new(overlap: Duration, skew: Duration, gamma: Duration) -> Result<Window, WindowError> {
        for (field, value) in [("overlap", overlap), ("skew", skew)] {
            if value > Window::LONGEST {
                return Err(WindowError::TooLong { field, value });
            }
        }
        if gamma >= skew {
            return Err(WindowError::SkewWithinGamma { skew, gamma });
        }
        Ok(Window { overlap: whole_nanos(overlap), skew: whole_nanos(skew), gamma: whole_nanos(gamma) })
    }

    #[must_use]
    pub fn overlap(&self) -> Duration {
        Duration::from_nanos(self.overlap)
    }

    #[must_use]
    pub fn skew(&self) -> Duration {
        Duration::from_nanos(self.skew)
    }

    #[must_use]
    pub fn gamma(&self) -> Duration {
        Duration::from_nanos(self.gamma)
    }

    /// `overlap + 2 skew`: the width of the interval in which a trusted span's trace may have started.
    #[must_use]
    pub fn width(&self) -> Duration {
        self.overlap() + self.skew() * 2
    }
}

impl Default for Window {
    /// 10 minutes, 30 seconds, 1 second.
    fn default() -> Window {
        let second = 1_000_000_000;
        Window { overlap: 600 * second, skew: 30 * second, gamma: second }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(with = "text::nanos")]
    overlap_ns: Duration,
    #[serde(with = "text::nanos")]
    skew_ns: Duration,
    #[serde(with = "text::nanos")]
    gamma_ns: Duration,
}

impl TryFrom<Raw> for Window {
    type Error = WindowError;

    fn try_from(raw: Raw) -> Result<Window, WindowError> {
        Window::new(raw.overlap_ns, raw.skew_ns, raw.gamma_ns)
    }
}

impl From<Window> for Raw {
    fn from(window: Window) -> Raw {
        Raw { overlap_ns: window.overlap(), skew_ns: window.skew(), gamma_ns: window.gamma() }
    }
}

#[cfg(test)]
mod tests;
