//! Which traces two environments both have whole, by the schedule that the gateway follows.

use std::time::Duration;

use crossfade_backends::parity::Owns;
use crossfade_rollout::rfc3339;
use crossfade_routing::{Begin, EnvironmentId, Past, Schedule, TraceId, UnixNanos, fraction, locate};
use tokio::time::Instant;

use super::coverage::{asked, followed, gateway};
use crate::site::Site;
use crate::status::Status;

/// The patience with a gateway that may not be there.
const PATIENCE: Duration = Duration::from_secs(2);

/// What two environments have in common.
#[derive(Clone, Default)]
pub struct Shared {
    /// Which traces both have whole; unknown, if `None`.
    pub owns: Option<Owns>,
    /// Since when one of the two receives nothing any more, and why.
    over: Option<(UnixNanos, String)>,
}

impl Shared {
    /// `latest`, or what began last while both still received.
    #[must_use]
    pub fn until(&self, latest: UnixNanos) -> UnixNanos {
        self.over.as_ref().map_or(latest, |(until, _)| latest.min(*until))
    }

    /// Why what began after [`Shared::until`] is in one of the two alone.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.over.as_ref().map(|(_, why)| why.as_str())
    }
}

/// Asks the gateway of a site; `None` if it does not answer, or has had no rollout between the two.
pub async fn ask(site: &Site, from: &EnvironmentId, to: &EnvironmentId) -> Option<Shared> {
    let gateway = gateway(site);
    let deadline = Instant::now() + PATIENCE;
    let (schedule, _) = followed(&gateway, deadline).await.ok()?;
    let status: Option<Status> = match schedule.past() {
        Some(_) => asked(&gateway, "/v1/status", deadline).await.ok(),
        None => None,
    };
    let past = status.iter().flat_map(|status| &status.past);
    let named = |name: &str| past.clone().rfind(|past| past.rollout.as_str() == name);
    let ended = schedule.past().and_then(|past| named(&past.rollout)).map(|past| past.ended);
    by(&schedule, ended, [from, to])
}

/// What a schedule says of two environments. `ended`: when the rollout before it was finalized.
pub(super) fn by(
    schedule: &Schedule,
    ended: Option<UnixNanos>,
    sides: [&EnvironmentId; 2],
) -> Option<Shared> {
    let is_between = |from, to| sides == [from, to] || sides == [to, from];
    if let Some(to) = schedule.to() {
        let owns = is_between(schedule.from(), to).then(|| owned(schedule, to))?;
        return Some(Shared { owns: Some(owns), over: None });
    }
    let past = schedule.past().filter(|past| is_between(&past.from, &past.to))?;
    let Past { rollout, from, to, window, .. } = past;
    let owns = owned(&as_it_was(past)?, to);
    // Where nobody remembers, it may have been at any time.
    let until = ended.map_or(UnixNanos::ZERO, |ended| ended.minus(window.overlap() + window.skew()));
    let why = match ended.map(rfc3339::format) {
        Some(since) => format!(
            "{rollout} is finalized, and {from} receives nothing any more since {since}: what began then is in {to} alone; look at an earlier time with --since and --until"
        ),
        None => format!(
            "{rollout} is finalized, and {from} receives nothing any more; the control plane does not say since when, so nothing is known to be in both"
        ),
    };
    Some(Shared { owns: Some(owns), over: Some((until, why)) })
}

/// The schedule of a rollout that is over, while it ran.
fn as_it_was(past: &Past) -> Option<Schedule> {
    let Past { rollout, to, seed, window, .. } = past.clone();
    let begun = Schedule::genesis(past.from.clone()).begin(Begin { rollout, to, seed, window }).ok()?;
    past.cuts.iter().try_fold(begun, |schedule, cut| schedule.cut(*cut).ok())
}

/// Which traces the candidate has whole: those that it owns whatever their hosts' clocks say, and those that are mirrored to it.
fn owned(schedule: &Schedule, candidate: &EnvironmentId) -> Owns {
    let (schedule, candidate) = (schedule.clone(), candidate.clone());
    std::sync::Arc::new(move |id, began| {
        let id = TraceId(id.0);
        if schedule.mirror().contains(fraction(schedule.seed(), &id)) {
            return true;
        }
        locate(std::iter::once(&schedule), &id, UnixNanos(began))
            .is_some_and(|located| located.or.is_none() && located.period.owner == candidate)
    })
}

#[cfg(test)]
mod tests {
    use crossfade_gates::model::TraceId as Id;
    use crossfade_routing::{Begin, Cut, Seed, Weight, Window as Times};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Scenario: a mirror of 30 %, then a cut to 10 %, one to 100 %, and promotion.
    /// Guarantee: while mirrored, the mirrored share counts; after the cut what began after it and is the candidate's; near
    /// the cut, where the clock of a host decides, nothing that only may be. Promotion changes nothing of what began before.
    #[test]
    fn the_candidates_traces_are_those_it_has_whole() {
        let id = |name| EnvironmentId::new(name).unwrap();
        let window = Times::new(SECOND, SECOND, SECOND / 10).unwrap();
        let begin = Begin { rollout: "r".into(), to: id("green"), seed: Seed(5), window };
        let percent = |ppm| Weight::from_ppm(ppm).unwrap();
        let genesis = Schedule::genesis(id("blue"));
        let begun = genesis.begin(begin).unwrap();
        let mirrored = begun.mirrored(percent(300_000)).unwrap();
        let at = |seconds: u64| {
            UnixNanos(1_800_000_000_000_000_000).plus(SECOND * u32::try_from(seconds).unwrap())
        };
        let cut = begun.cut(Cut { at: at(100), weight: percent(100_000) }).unwrap();
        let (blue, green) = (id("blue"), id("green"));
        let share = |schedule: &Schedule, seconds: u64| {
            let shared = by(schedule, None, [&blue, &green]).unwrap();
            let owns = shared.owns.unwrap();
            (0..1_000_u64)
                .filter(|n| {
                    owns(&Id(u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes()), at(seconds).0)
                })
                .count()
        };
        assert!(by(&genesis, None, [&blue, &green]).is_none(), "no rollout decides anything");
        assert_eq!(share(&begun, 50), 0);
        assert!((230..=370).contains(&share(&mirrored, 50)));
        assert_eq!((share(&cut, 50), share(&cut, 100)), (0, 0));
        assert!((60..=140).contains(&share(&cut, 200)));
        let promoted = cut.cut(Cut { at: at(300), weight: Weight::FULL }).unwrap().promoted(true).unwrap();
        let in_all_its_time = [50, 200, 400].map(|seconds| share(&promoted, seconds));
        assert_eq!(in_all_its_time, [0, share(&cut, 200), 1_000]);

        // Once it is finalized, what began while both received counts as before, whichever way they are compared; and in the way
        // back nothing, until something is cut.
        let finalized = promoted.finalized().unwrap();
        for sides in [[&blue, &green], [&green, &blue]] {
            let shared = by(&finalized, Some(at(500)), sides).unwrap();
            assert_eq!(
                shared.until(at(900)),
                at(498),
                "what spans an overlap, by clocks that are off by skew"
            );
            assert_eq!(shared.until(at(450)), at(450));
            assert!(
                shared
                    .why()
                    .unwrap()
                    .starts_with("r is finalized, and blue receives nothing any more since ")
            );
            let unremembered = by(&finalized, None, sides).unwrap();
            assert_eq!(unremembered.until(at(900)), UnixNanos::ZERO);
        }
        assert_eq!([50, 200, 400].map(|seconds| share(&finalized, seconds)), in_all_its_time);
        assert!(by(&finalized, Some(at(500)), [&blue, &id("other")]).is_none());
        let back = Begin { rollout: "back".into(), to: blue.clone(), seed: Seed(6), window };
        let back = finalized.begin(back).unwrap();
        assert_eq!([50, 200, 400, 600].map(|seconds| share(&back, seconds)), [0; 4]);
    }
}
