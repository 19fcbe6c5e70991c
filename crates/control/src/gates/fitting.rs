//! Gates that look unasked where they can have a verdict: parity and coverage, which need both query endpoints, and traffic.
//!
//! A gate without a verdict stops a rollout. That is right if somebody wants to know, and wrong if nobody asked and nothing could be
//! known: so whether there will be anything to look at is estimated when a rollout is planned, and a gate that would have nothing
//! is left out, with the reason in the plan. One that the spec names is left as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_gates::parity::pairs_for;
use crossfade_rollout::event::Gate;
use crossfade_rollout::moments::{DEFAULTS, Unasked};
use crossfade_rollout::spec::{Coverage, Gates, Moment, Parity, Spec};
use crossfade_rollout::traffic::{Rate, SPANS_PER_TRACE, leanest};
use crossfade_routing::EnvironmentId;

use super::parity::{self, limits};
use crate::site::Site;

/// Traces of the candidate that show what it records.
const COVERAGE_TRACES: u64 = 100;

/// The gates of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The spec's, and those that look unasked.
    pub gates: Gates,
    /// Those that do not, or not at all of their moments: why.
    pub left_out: BTreeMap<Gate, String>,
}

/// The spec's gates, and those that look unasked where site and traffic let them. `traffic`: as it is of late.
#[must_use]
pub fn fitting(spec: &Spec, site: &Site, traffic: Option<Rate>) -> Fitted {
    let fit = Fit { spec, site, traffic };
    let (mut gates, mut left_out) = (spec.all_gates(), BTreeMap::new());
    let mut unasked = |gate: Gate, needed: u64, settle: Duration| {
        let known =
            DEFAULTS.iter().find(|known| known.gate == gate && known.unasked == Unasked::WhereItFits)?;
        let (fit, why) = fit.moments(gate, known.moments, needed, settle);
        if let Some(why) = why {
            left_out.insert(gate, why);
        }
        let when = (fit.len() < known.moments.len()).then(|| fit.clone());
        (!fit.is_empty()).then_some(when)
    };
    if gates.parity.is_none() {
        let settings = Parity::default();
        let needed = pairs_for(limits(&settings)).unwrap_or(u64::MAX);
        let fits = unasked(Gate::Parity, needed, parity::SETTLE);
        gates.parity = fits.map(|when| Parity { when, ..settings });
    }
    if gates.coverage.is_none() {
        let settings = Coverage::default();
        let fits = unasked(Gate::Coverage, COVERAGE_TRACES, settings.settle.0);
        gates.coverage = fits.map(|when| Coverage { when, ..settings });
    }
    Fitted { gates, left_out }
}

/// A rollout to be, and where.
struct Fit<'a> {
    spec: &'a Spec,
    site: &'a Site,
    traffic: Option<Rate>,
}

impl Fit<'_> {
    /// Those of a gate's moments at which so many traces may be expected, and why it is not all of them.
    fn moments(
        &self,
        gate: Gate,
        all: &[Moment],
        needed: u64,
        settle: Duration,
    ) -> (Vec<Moment>, Option<String>) {
        let is_blind = |id: &&EnvironmentId| {
            self.site.environment(id).is_none_or(|environment| environment.query.is_none())
        };
        if let Some(blind) = [&self.spec.from, &self.spec.to].into_iter().find(is_blind) {
            return (Vec::new(), Some(format!("{blind} has no query endpoint")));
        }
        let name = gate.name();
        let Some(rate) = self.traffic else {
            let why = format!("how much clients send is not known; name gates.{name} to have it look");
            return (Vec::new(), Some(why));
        };
        let routing = &self.spec.routing;
        let window = routing.overlap.0.saturating_add(routing.skew.0.saturating_mul(2));
        let (mut fit, mut lean) = (Vec::new(), None);
        for moment in all {
            match leanest(&self.spec.steps, window, *moment, rate, settle) {
                Some(brings) if brings.traces < needed => lean = lean.or(Some(brings)),
                _ => fit.push(*moment),
            }
        }
        let why = lean.map(|lean| {
            format!(
                "step {} ({}) brings about {} of the {needed} traces that a verdict needs, at {SPANS_PER_TRACE} spans a trace; \
                 name gates.{name} to have it look",
                u64::from(lean.step) + 1,
                lean.name,
                lean.traces
            )
        });
        (fit, why)
    }
}

#[cfg(test)]
mod tests {
    use crossfade_rollout::moments::{moments, written_out};

    use super::*;

    fn site(query: &str) -> Site {
        let text = format!(
            "environments:\n  blue: {{ otlp: {{ endpoint: 'http://127.0.0.1:1' }}, query: {{ kind: jaeger, endpoint: 'http://127.0.0.1:2' }} }}\n  green: {{ otlp: {{ endpoint: 'http://127.0.0.1:3' }}{query} }}\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crossfade.yaml");
        std::fs::write(&path, text).unwrap();
        Site::load(&path, &|_| None).unwrap_or_else(|error| panic!("{error}"))
    }

    fn spec(gates: &str) -> Spec {
        let text = format!(
            "{{ name: x, from: blue, to: green, routing: {{ overlap: 30s, skew: 10s }}, steps: [{{ mirror: {{ percent: 10, duration: 10m }} }}, \
             {{ weight: {{ percent: 10, duration: 60s }} }}, {{ weight: {{ percent: 100, duration: 10m }} }}, promote, finalize]{gates} }}"
        );
        crate::spec::read(&text, "rollout.yaml").unwrap_or_else(|error| panic!("{error}"))
    }

    const QUERY: &str = ", query: { kind: jaeger, endpoint: 'http://127.0.0.1:4' }";

    /// Scenario: nothing is said of parity and coverage; traffic is heavy, thin, none, unknown; an environment cannot be asked.
    /// Guarantee: they look where they can have a verdict, and the plan says why they do not look where they cannot.
    #[test]
    fn what_nobody_asked_for_looks_where_it_can_have_a_verdict() {
        let fit = |query: &str, rate: Option<u64>| {
            let rate = rate.map(|spans| Rate { requests: spans, over_ms: 1_000, spans });
            let Fitted { gates, left_out } = fitting(&spec(""), &site(query), rate);
            let gates = written_out(gates);
            let of =
                |gate| (moments(&gates, gate).to_vec(), left_out.get(&gate).cloned().unwrap_or_default());
            (of(Gate::Parity), of(Gate::Coverage))
        };
        let all = || (vec![Moment::Mirror, Moment::Weight], String::new());
        let (parity, coverage) = fit(QUERY, Some(10_000_000));
        assert_eq!(parity, all());
        assert_eq!(coverage.0, [Moment::Mirror], "of the first 60 s none are left once traces have settled");
        let (parity, coverage) = fit(QUERY, Some(10_000));
        assert_eq!((parity.0, coverage.0), (vec![Moment::Mirror], vec![Moment::Mirror]));
        let (parity, coverage) = fit(QUERY, Some(100));
        assert_eq!((parity.0, coverage.0), (vec![], vec![Moment::Mirror]));
        assert!(
            parity
                .1
                .starts_with("step 1 (mirror 10 %) brings about 198 of the 299 traces that a verdict needs"),
            "{}",
            parity.1
        );
        for (query, rate, why) in [
            (QUERY, Some(0), "brings about 0 of the 100 traces"),
            (QUERY, None, "not known; name gates.coverage"),
            ("", Some(10_000_000), "green has no query endpoint"),
        ] {
            let (parity, coverage) = fit(query, rate);
            assert_eq!((parity.0, coverage.0), (vec![], vec![]));
            assert!(coverage.1.contains(why), "{}", coverage.1);
        }
    }

    /// Guarantee: what the spec says of a gate stands, whatever the traffic.
    #[test]
    fn what_is_asked_for_is_left_as_it_is() {
        let named = spec(", gates: { parity: {}, coverage: { when: [weight] } }");
        let Fitted { gates, left_out } = fitting(&named, &site(""), None);
        assert_eq!(left_out, BTreeMap::new());
        assert_eq!((&gates.parity, &gates.coverage), (&named.gates.parity, &named.gates.coverage));
    }
}
