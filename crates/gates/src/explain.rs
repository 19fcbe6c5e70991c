//! What every id in a report means, for `crossfade explain ID`.

use std::fmt::Write;

use crate::{drift, probe};

/// The text for an id such as `CF-DRIFT-014`, or for a rule's name; `None` if there is no such rule. Case does not matter.
pub fn explain(id: &str) -> Option<String> {
    let wanted = id.trim();
    let is = |candidate: &str| candidate.eq_ignore_ascii_case(wanted);
    if let Some(rule) = drift::RULES.iter().find(|r| is(r.id) || is(r.name)) {
        let class = format!("class {}", rule.class.word());
        return Some(page(rule.id, rule.name, &class, rule.what, rule.why, rule.fix));
    }
    let failure = probe::Failure::ALL.into_iter().find(|f| is(f.id()) || is(f.name()))?;
    Some(page(failure.id(), failure.name(), "probe", failure.what(), failure.why(), failure.fix()))
}

/// Every id that [`explain`] knows, with its rule's name, in order.
pub fn known() -> Vec<(&'static str, &'static str)> {
    let drift = drift::RULES.iter().map(|r| (r.id, r.name));
    drift.chain(probe::Failure::ALL.into_iter().map(|f| (f.id(), f.name()))).collect()
}

fn page(id: &str, name: &str, kind: &str, what: &str, why: &str, fix: &str) -> String {
    let mut out = format!("{id}  {name}  ({kind})\n\n");
    for (label, text) in [("What", what), ("Why ", why), ("Fix ", fix)] {
        writeln!(out, "{label}  {text}").expect("a string takes it");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{explain, known};

    #[test]
    fn every_id_is_explained_once() {
        let all = known();
        let mut ids: Vec<_> = all.iter().flat_map(|(id, name)| [*id, *name]).collect();
        let before = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), before, "an id or a name stands for two rules");
        for (id, name) in all {
            assert_eq!(explain(id), explain(name));
            assert!(explain(id).is_some_and(|text| text.contains("Fix ")), "{id}");
        }
    }

    #[test]
    fn ids_are_found_in_any_case_and_unknown_ones_are_not() {
        assert!(explain(" cf-drift-014 ").is_some_and(|t| t.contains("redaction_removed")));
        assert_eq!(explain("CF-DRIFT-999"), None);
        assert_eq!(explain(""), None);
    }
}
