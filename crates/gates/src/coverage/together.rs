//! Services that may each be missing by chance, and hardly all of them together.
//!
//! Traces are told apart by the services that are in them. If both environments record the same, the traces of one such kind are a stream of
//! their own, of which the candidate has none with the probability `(1 + s)^-x`, `x` of them being in the active one. Whatever the
//! candidate has no trace of at all is then a sum over kinds, each with its `x` or 0; its distribution is summed up exactly, and the chance is
//! that of a sum as large as what holds the missing services. So a trace counts once, however many of them it holds, and many
//! rare services, of which most are always missing, are no finding.

use std::collections::{BTreeMap, BTreeSet};

use super::chance::ln_none;
use super::{Look, rules, words};
use crate::inventory::{Inventory, Recent};
use crate::{Finding, Place};

/// Traces of the active environment by the services that are in them, and how many hold any that the candidate has nothing of.
pub(crate) struct Together {
    kinds: Vec<u32>,
    with: u32,
}

impl Together {
    /// Of what the inventory remembers of single traces. `missing`: what the candidate has nothing of; `told`: what was named already, with
    /// which no trace counts.
    pub(crate) fn of(inventory: &Inventory, missing: &BTreeSet<&str>, told: &BTreeSet<&str>) -> Self {
        let mut ids = BTreeSet::new();
        let mut kinds: BTreeMap<BTreeSet<&str>, u32> = BTreeMap::new();
        for Recent { trace_id, services, .. } in inventory.recent.values().flatten() {
            if ids.insert(*trace_id) {
                *kinds.entry(services.iter().map(String::as_str).collect()).or_default() += 1;
            }
        }
        kinds.retain(|services, _| services.is_disjoint(told));
        let with = kinds.iter().filter(|(services, _)| !services.is_disjoint(missing));
        Self { with: with.map(|(_, traces)| traces).sum(), kinds: kinds.into_values().collect() }
    }

    /// ln of the chance that, at this share, the candidate has none of so many.
    pub(crate) fn ln_chance(&self, share: f64) -> f64 {
        let enough = self.with as usize;
        if enough == 0 {
            return 0.0;
        }
        // The chance of each sum below, and of all others.
        let (mut below, mut beyond) = (vec![0.0; enough], 0.0);
        below[0] = 1.0;
        for traces in &self.kinds {
            let none = ln_none(*traces, share).exp();
            for sum in (0..enough).rev() {
                let missed = below[sum] * none;
                below[sum] -= missed;
                match below.get_mut(sum + *traces as usize) {
                    Some(more) => *more += missed,
                    None => beyond += missed,
                }
            }
        }
        f64::min(beyond, 1.0).ln()
    }
}

impl Look<'_> {
    /// `missing`: services that the candidate has nothing of, none of which is a finding by itself.
    pub(crate) fn together(&mut self, blue: &Inventory, missing: &BTreeSet<&str>, told: &BTreeSet<&str>) {
        let share = self.inputs.share.clamp(0.0, 1.0);
        let together = Together::of(blue, missing, told);
        if missing.len() < 2 || together.ln_chance(share) > self.facts.ln_threshold {
            return;
        }
        let (from, to) = (&self.inputs.blue.name, &self.inputs.green.name);
        let names = words::list(missing.iter().copied());
        let detail = format!(
            "{from} records {} services of which {to} records nothing: {names}. Each is rare enough for that to be chance, all of them are not",
            missing.len()
        );
        let expected =
            format!("some of about {:.0} traces in {to}, by its share", f64::from(together.with) * share);
        let finding = Finding::new(&rules::SERVICES_MISSING).at(Place::environment(to)).detail(detail);
        let seen = format!("0; {} looked at in {from} hold one of them", together.with);
        self.find(finding.expected(expected).seen(seen));
    }
}
