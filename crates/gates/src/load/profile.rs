//! What is offered, and when: phases, and the time of every single request.
//!
//! The schedule is fixed before the first request is sent. It is made from whole numbers alone, so that it is the same
//! everywhere, and so that rate times time is what is offered.

use std::time::Duration;

/// A stretch of time in which spans are offered at one rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Which part of the profile it belongs to.
    pub part: Part,
    /// Spans a second; a phase without any, or without time, is left out of a schedule.
    pub rate: u64,
    /// For how long.
    pub duration: Duration,
}

/// The parts of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// One step on the way up, counted from 1.
    Ramp {
        /// Which.
        step: u32,
        /// Of how many.
        of: u32,
    },
    /// The rate that is asked about.
    Hold,
    /// More than that, for a short while.
    Spike,
}

/// Ramp, hold, spike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Spans a second while holding.
    pub rate: u64,
    /// The way up: all of its steps together.
    pub ramp: Duration,
    /// In how many steps: equal in time, and in what each adds to the rate.
    pub ramp_steps: u32,
    /// How long to hold.
    pub hold: Duration,
    /// How long the spike is; zero for none.
    pub spike: Duration,
    /// The spike's rate, as a multiple of the rate held.
    pub spike_factor: f64,
}

impl Profile {
    /// 20 s up in four steps, 60 s held, 10 s at one and a half times the rate.
    pub const fn new(rate: u64) -> Self {
        Self {
            rate,
            ramp: Duration::from_secs(20),
            ramp_steps: 4,
            hold: Duration::from_secs(60),
            spike: Duration::from_secs(10),
            spike_factor: 1.5,
        }
    }

    /// The phases in their order. A ramp of `n` steps goes up by `1/(n + 1)` of the rate at a time.
    pub fn phases(&self) -> Vec<Phase> {
        let of = self.ramp_steps;
        let ramp = (1..=of).map(|step| Phase {
            part: Part::Ramp { step, of },
            rate: share(self.rate, step, of + 1),
            duration: self.ramp / of,
        });
        let spike = (self.rate as f64 * self.spike_factor).round() as u64;
        let rest = [(Part::Hold, self.rate, self.hold), (Part::Spike, spike, self.spike)];
        let rest = rest.into_iter().map(|(part, rate, duration)| Phase { part, rate, duration });
        ramp.chain(rest).filter(|phase| phase.rate > 0 && !phase.duration.is_zero()).collect()
    }

    /// How many spans a request should hold: as many as exporters batch, or fewer, so that a slow rate still makes
    /// [`REQUESTS_PER_SECOND_MIN`] requests a second and a quantile has something to stand on.
    pub fn spans_per_request(rate: u64) -> u32 {
        let fitting = (rate / REQUESTS_PER_SECOND_MIN).clamp(1, u64::from(SPANS_PER_REQUEST));
        u32::try_from(fitting).unwrap_or(SPANS_PER_REQUEST)
    }
}

/// What SDKs and the Collector batch up to.
pub const SPANS_PER_REQUEST: u32 = 512;
/// With fewer, the slowest per cent of a few seconds is no request at all.
pub const REQUESTS_PER_SECOND_MIN: u64 = 50;

fn share(rate: u64, of: u32, parts: u32) -> u64 {
    let part = u128::from(rate) * u128::from(of) / u128::from(parts);
    u64::try_from(part).unwrap_or(u64::MAX)
}

impl Part {
    /// `ramp 2/4`, `hold`, `spike`.
    pub fn name(self) -> String {
        match self {
            Self::Ramp { step, of } => format!("ramp {step}/{of}"),
            Self::Hold => "hold".to_owned(),
            Self::Spike => "spike".to_owned(),
        }
    }
}

/// One request to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number, from 0.
    pub index: u64,
    /// When, from the start.
    pub at: Duration,
    /// Index of its phase.
    pub phase: usize,
}

/// Every arrival of a run.
///
/// Arrivals lie evenly within a phase: the `n`th comes when as many spans are due as `n` requests and a half hold. What
/// is left over at the end of a phase is carried into the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    phases: Vec<Phase>,
    spans_per_request: u32,
}

impl Schedule {
    /// Of these phases, with so many spans (at least 1) in every request.
    pub fn new(phases: &[Phase], spans_per_request: u32) -> Self {
        let phases = phases.iter().filter(|phase| phase.rate > 0 && !phase.duration.is_zero());
        Self { phases: phases.copied().collect(), spans_per_request: spans_per_request.max(1) }
    }

    /// The same rates, each for its share of the time: one of so many that take turns.
    #[must_use]
    pub fn turn(&self, of: usize) -> Self {
        let of = u32::try_from(of.max(1)).unwrap_or(u32::MAX);
        let phases: Vec<Phase> =
            self.phases.iter().map(|phase| Phase { duration: phase.duration / of, ..*phase }).collect();
        Self::new(&phases, self.spans_per_request)
    }

    /// The phases that arrivals name by index.
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// Spans in every request.
    pub fn spans_per_request(&self) -> u32 {
        self.spans_per_request
    }

    /// How many requests there are in all.
    pub fn total(&self) -> u64 {
        let due: u128 = self.phases.iter().map(Phase::due).sum();
        let request = self.request();
        u64::try_from((2 * due + request) / (2 * request)).unwrap_or(u64::MAX)
    }

    /// From the first phase's beginning to the last one's end.
    pub fn length(&self) -> Duration {
        self.phases.iter().map(|phase| phase.duration).sum()
    }

    /// All arrivals, in order.
    pub fn arrivals(&self) -> Arrivals<'_> {
        Arrivals { schedule: self, index: 0, phase: 0, before: 0, began: Duration::ZERO }
    }

    /// A request's spans in [`Phase::due`]'s unit.
    fn request(&self) -> u128 {
        u128::from(self.spans_per_request) * NANOS
    }
}

const NANOS: u128 = 1_000_000_000;

impl Phase {
    /// What is due in it, in spans times 10^9.
    fn due(&self) -> u128 {
        u128::from(self.rate) * self.duration.as_nanos()
    }
}

/// The arrivals of a [`Schedule`].
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    schedule: &'a Schedule,
    index: u64,
    phase: usize,
    /// What was due before this phase.
    before: u128,
    /// When it began.
    began: Duration,
}

impl Iterator for Arrivals<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        // Doubled, as a half is not whole.
        let wanted = (2 * u128::from(self.index) + 1) * self.schedule.request();
        loop {
            let phase = self.schedule.phases.get(self.phase)?;
            let due = phase.due();
            if wanted > 2 * (self.before + due) {
                self.before += due;
                self.began += phase.duration;
                self.phase += 1;
                continue;
            }
            let nanos = (wanted - 2 * self.before).div_ceil(2 * u128::from(phase.rate));
            let within = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            let arrival = Arrival { index: self.index, at: self.began + within, phase: self.phase };
            self.index += 1;
            return Some(arrival);
        }
    }
}
