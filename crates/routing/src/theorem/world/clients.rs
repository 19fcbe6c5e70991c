//! Clients: they send each span once it has ended, and again until a gateway takes it.

use super::{Arrival, Event, World};
use crate::rule::{Rule as _, Times};
use crate::theorem::clauses::Missing;
use crate::theorem::traffic::{Trace, flash, ticks, trace};
use crate::{Destinations, Router};

impl World<'_> {
    pub(super) fn start_trace(&mut self, root: u64) {
        let trace = trace(&mut self.rng, &self.scenario.window, root);
        let index = self.add(trace);
        for span in 0..self.traces[index].spans.len() {
            let sent = self.traces[index].spans[span].sent;
            self.at(sent, Event::Send { trace: index, span });
        }
    }

    fn add(&mut self, trace: Trace) -> usize {
        self.traces.push(trace);
        self.traces.len() - 1
    }

    /// Traces of this instant at this gateway, whatever it routes by.
    pub(super) fn flash(&mut self, gateway: usize) {
        for _ in 0..4 {
            let trace = flash(&mut self.rng, self.now);
            let index = self.add(trace);
            self.arrive(index, 0, gateway);
        }
    }

    pub(super) fn send(&mut self, trace: usize, span: usize) {
        let last = u64::try_from(self.gateways.len() - 1).expect("a few");
        let gateway = usize::try_from(self.rng.up_to(last)).expect("a few");
        let taken = self.arrive(trace, span, gateway);
        let sent = &mut self.traces[trace].spans[span];
        if !taken || std::mem::take(&mut sent.again) {
            let backoff = 1 + self.rng.extreme(80);
            self.at(self.now + backoff, Event::Send { trace, span });
        }
    }

    /// Whether the gateway took the span.
    fn arrive(&mut self, trace: usize, span: usize, gateway: usize) -> bool {
        let (skew, gamma) = (self.scenario.window.skew(), self.scenario.window.gamma());
        let sent = &self.traces[trace].spans[span];
        assert!(sent.ended <= self.now, "a span is sent after its end");
        let (start, end) = (sent.start, sent.end);
        let leads = sent.lead.is_some_and(|lead| lead > i64::try_from(ticks(skew)).expect("small"));
        let mut arrival = self.clock();
        // The proviso of the theorem: no clock that leads by more than skew hides it by arriving just so late.
        if leads && arrival.since(end).is_some_and(|age| age <= skew - gamma) {
            return false;
        }
        if self.missing == Missing::ArrivalAfterLastByte {
            // The clock was read as the request began, before the span had ended.
            arrival = arrival.minus(skew * 2);
        }
        let times = Times { start, end, arrival };
        let Some(router) = self.router(gateway) else { return false };
        let id = self.traces[trace].id;
        let (rule, _) = self.missing.demand(router.schedule(), router.edge(), &id, times);
        let decision = router.route(&id, start, end, arrival);
        if self.missing == Missing::Nothing {
            assert_eq!(decision.rule, rule, "the router equals the rule");
            assert!(decision.set.contains(rule), "protection never takes away");
            assert!(decision.set != Destinations::NONE, "every span goes somewhere");
        }
        let (generation, edge) = (router.generation(), router.edge());
        let (set, stage) = (rule | decision.set, router.schedule().stage());
        let at = self.now;
        self.arrivals.push(Arrival { trace, span, gateway, at, generation, edge, rule, set, stage });
        true
    }

    fn router(&self, gateway: usize) -> Option<&Router> {
        let up = &self.gateways[gateway];
        match (&up.before, self.missing) {
            // Taken as the request began, a little while ago.
            (Some((before, until)), Missing::RouterAfterLastByte) if self.now < until + 40 => Some(before),
            _ => up.router.as_ref(),
        }
    }
}
