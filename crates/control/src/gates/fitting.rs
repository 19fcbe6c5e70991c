//! Gates that look unasked where they can have a verdict: parity and coverage, which need both query endpoints, and traffic.
//!
//! A gate without a verdict stops a rollout. That is right if somebody wants to know, and wrong if nobody asked and nothing could be
//! known: so whether there will be anything to look at is estimated when a rollout is planned, and a gate that would have nothing
//! is off, with its reason in the plan. One that the spec names is left as it is.

use std::time::Duration;

use crossfade_gates::parity::pairs_for;
use crossfade_rollout::event::Gate;
use crossfade_rollout::moments::{DEFAULTS, Unasked};
use crossfade_rollout::spec::{Coverage, Gates, Moment, Parity, Spec};
use crossfade_rollout::traffic::{Rate, SPANS_PER_TRACE, leanest};

use super::parity::{self, limits};
use crate::site::Site;

/// Traces of the candidate that show what it records.
const COVERAGE_TRACES: u64 = 100;

/// The spec's gates, and those that look unasked where site and traffic let them. `traffic`: as it is of late.
#[must_use]
pub fn fitting(spec: &Spec, site: &Site, traffic: Option<Rate>) -> Gates {
    let mut gates = spec.all_gates();
    let fit = Fit { spec, site, traffic };
    if gates.parity.is_none() && fits_unasked(Gate::Parity) {
        let settings = Parity::default();
        let needed = pairs_for(limits(&settings)).unwrap_or(u64::MAX);
        let (when, off) = fit.moments(Gate::Parity, needed, parity::SETTLE);
        gates.parity = Some(Parity { when, off, ..settings });
    }
    if gates.coverage.is_none() && fits_unasked(Gate::Coverage) {
        let settings = Coverage::default();
        let (when, off) = fit.moments(Gate::Coverage, COVERAGE_TRACES, settings.settle.0);
        gates.coverage = Some(Coverage { when, off, ..settings });
    }
    gates
}

fn fits_unasked(gate: Gate) -> bool {
    DEFAULTS.iter().any(|known| known.gate == gate && known.unasked == Unasked::WhereItFits)
}

/// A rollout to be, and where.
struct Fit<'a> {
    spec: &'a Spec,
    site: &'a Site,
    traffic: Option<Rate>,
}

impl Fit<'_> {
    /// The moments at which a gate may look that needs so many traces, if not all of its own; or why there is none.
    fn moments(&self, gate: Gate, needed: u64, settle: Duration) -> (Option<Vec<Moment>>, Option<String>) {
        match self.fit(gate, needed, settle) {
            Ok(moments) => (moments, None),
            Err(why) => (None, Some(why)),
        }
    }

    fn fit(&self, gate: Gate, needed: u64, settle: Duration) -> Result<Option<Vec<Moment>>, String> {
        let environment = |id| self.site.environment(id).and_then(|environment| environment.query.as_ref());
        if let Some(blind) = [&self.spec.from, &self.spec.to].into_iter().find(|id| environment(id).is_none())
        {
            return Err(format!("{blind} has no query endpoint"));
        }
        let name = gate.name();
        let Some(rate) = self.traffic else {
            return Err(format!("how much clients send is not known; name gates.{name} to have it look"));
        };
        let routing = &self.spec.routing;
        let window = routing.overlap.0.saturating_add(routing.skew.0.saturating_mul(2));
        let known = DEFAULTS.iter().find(|known| known.gate == gate).map_or(&[][..], |known| known.moments);
        let (mut fit, mut lean) = (Vec::new(), None);
        for moment in known {
            match leanest(&self.spec.steps, window, *moment, rate, settle) {
                Some(brings) if brings.traces < needed => lean = lean.or(Some(brings)),
                Some(_) => fit.push(*moment),
                None => {}
            }
        }
        match lean {
            None if fit.is_empty() => Err("no step brings the candidate traffic".to_owned()),
            None => Ok(None),
            Some(_) if !fit.is_empty() => Ok(Some(fit)),
            Some(lean) => Err(format!(
                "step {} ({}) brings about {} of {needed} traces that a verdict needs, at {SPANS_PER_TRACE} spans a trace; \
                 name gates.{name} to have it look",
                u64::from(lean.step) + 1,
                lean.name,
                lean.traces
            )),
        }
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
            let gates = written_out(fitting(&spec(""), &site(query), rate));
            let of = |gate| {
                (moments(&gates, gate).to_vec(), gates.timing(gate).off.unwrap_or_default().to_owned())
            };
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
            parity.1.starts_with("step 1 (mirror 10 %) brings about 198 of 299 traces that a verdict needs"),
            "{}",
            parity.1
        );
        for (query, rate, why) in [
            (QUERY, Some(0), "brings about 0 of 100 traces"),
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
        let gates = fitting(&named, &site(""), None);
        assert_eq!((&gates.parity, &gates.coverage), (&named.gates.parity, &named.gates.coverage));
    }
}
