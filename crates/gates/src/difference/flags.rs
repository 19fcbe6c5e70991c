//! Span flags that are 0 on one side: a difference, if that side's store keeps flags. Whether it does, its other spans show, of
//! whatever trace.

use super::groups::Groups;
use super::{Compared, Difference};
use crate::finding::{Finding, Place};
use crate::model::TraceId;
use crate::reads::{DIFFERING_IDS_MAX, keep};
use crate::rule::Rule;
use crate::words::counted;

/// Traces with such spans, until it is known whether they differ by that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    kept: [bool; 2],
    cleared: Vec<Cleared>,
}

#[derive(Clone, Debug)]
struct Cleared {
    trace: TraceId,
    sides: [Option<Difference>; 2],
    is_different: bool,
}

impl Flags {
    /// Takes in what comparing a trace gave.
    pub(crate) fn add(&mut self, trace: TraceId, compared: &Compared) {
        for (kept, has) in self.kept.iter_mut().zip(compared.has_flags) {
            *kept |= has;
        }
        if compared.cleared_flags.iter().any(Option::is_some) {
            let sides = compared.cleared_flags.clone();
            self.cleared.push(Cleared { trace, sides, is_different: !compared.differences.is_empty() });
        }
    }

    /// Adds those that are differences, once all traces are in.
    pub(crate) fn settle(&self, groups: &mut Groups, different: &mut u64, differing: &mut Vec<TraceId>) {
        for cleared in &self.cleared {
            let sides = cleared.sides.iter().zip(self.kept);
            let found: Vec<Difference> =
                sides.filter_map(|(side, kept)| side.clone().filter(|_| kept)).collect();
            if found.is_empty() {
                continue;
            }
            groups.add(cleared.trace, &found);
            if !cleared.is_different {
                *different += 1;
                keep(differing, cleared.trace, DIFFERING_IDS_MAX);
            }
        }
    }

    /// The sides, given by name, that have no flags at all where the other has them.
    pub(crate) fn not_kept(&self, rule: &'static Rule, names: [&str; 2]) -> Vec<Finding> {
        let mut out = Vec::new();
        for (side, name) in names.into_iter().enumerate() {
            let without =
                self.cleared.iter().filter(|c| c.sides.get(side).is_some_and(Option::is_some)).count();
            if without == 0 || self.kept.get(side).is_none_or(|kept| *kept) {
                continue;
            }
            let traces = counted(without as u64, "trace has", "traces have");
            let detail = format!("no span in {name} has flags; {traces} them on the other side");
            out.push(Finding::new(rule).at(Place::environment(name)).detail(detail));
        }
        out
    }
}
