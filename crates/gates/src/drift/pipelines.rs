//! Pipelines side by side: who feeds them, what runs in which order, where they lead.

use crossfade_yaml::{Mark, Node};

use super::classify::{authenticates, diagnoses, listens, protects, redacts, samples};
use super::ids::{Id, Section};
use super::model::{Model, Pipeline, References};
use super::out::{Out, Place};
use super::path::Path;
use super::renames::Renames;
use super::report::Why;
use super::rules;
use crate::rule::Rule;

/// Compares all pipelines and the list of enabled extensions.
pub(crate) struct Pipelines<'p, 'n, 'a> {
    pub(crate) blue: &'p Model<'n>,
    pub(crate) green: &'p Model<'n>,
    pub(crate) renames: &'p Renames,
    /// The document; the prefix is `service`.
    pub(crate) place: &'p Place,
    pub(crate) out: &'p mut Out<'a>,
}

impl Pipelines<'_, '_, '_> {
    pub(crate) fn compare(&mut self) {
        let path = ["service", "pipelines"];
        let (b, g) = (self.blue.root.at(&path), self.green.root.at(&path));
        self.odd(&rules::PIPELINE, &Path::of(&["pipelines"]), b, g);
        for (id, blue) in &self.blue.pipelines {
            match self.green.pipelines.get(id) {
                Some(green) => self.pipeline(blue, green),
                None => self.missing(blue, true),
            }
        }
        for (_, green) in self.green.pipelines.iter().filter(|(id, _)| !self.blue.pipelines.contains_key(id))
        {
            self.missing(green, false);
        }
        self.extensions();
    }

    fn missing(&mut self, pipeline: &Pipeline<'_>, on_blue: bool) {
        let (model, other) = if on_blue { (self.blue, self.green) } else { (self.green, self.blue) };
        let path = Path::of(&["pipelines", pipeline.written]);
        let node = model.root.at(&["service", "pipelines", pipeline.written]);
        let near =
            other.root.as_map().and_then(|m| m.entry("service")).map_or(&other.root.mark, |(k, _)| &k.mark);
        let place = match on_blue {
            true => self.place.at(&path, pipeline.mark, near),
            false => self.place.at(&path, near, pipeline.mark),
        };
        let (blue, green) = if on_blue { (node, None) } else { (None, node) };
        let side = if on_blue { "blue" } else { "green" };
        let detail = format!("only {side} has pipeline {}", pipeline.written);
        self.out.finding(&rules::PIPELINE, &place, blue, green, Some(detail));
        // What a new pipeline opens or sends to is new as well.
        if !on_blue {
            for id in &pipeline.receivers.ids {
                let new =
                    !self.blue.used(Section::Receivers).contains(&self.renames.blue(Section::Receivers, id));
                if listens(Section::Receivers, &id.kind) && new {
                    self.added_in_pipeline(&rules::LISTENER_ADDED, &place, node, pipeline.receivers.name(id));
                }
            }
            for id in pipeline.exporters.ids.iter().filter(|id| !self.green.is_connector(id)) {
                let rule = self.exporter_rule(id, true);
                self.added_in_pipeline(rule, &place, node, pipeline.exporters.name(id));
            }
        }
    }

    fn added_in_pipeline(&mut self, rule: &'static Rule, place: &Place, node: Option<&Node>, what: String) {
        let detail = format!("the new pipeline brings {what}");
        self.out.finding(rule, place, None, node, Some(detail));
    }

    fn pipeline(&mut self, blue: &Pipeline<'_>, green: &Pipeline<'_>) {
        let name = green.written;
        self.odd(&rules::PIPELINE, &Path::of(&["pipelines", name]), Some(blue.node), Some(green.node));
        self.set(name, Section::Receivers, &blue.receivers, &green.receivers);
        self.processors(name, blue, green);
        self.set(name, Section::Exporters, &blue.exporters, &green.exporters);
    }

    /// What should be a map and is a reference, say: nothing is known of it, so it is compared as it stands.
    fn odd(&mut self, rule: &'static Rule, path: &Path, blue: Option<&Node>, green: Option<&Node>) {
        let odd = |node: Option<&Node>| node.is_some_and(|n| !n.is_null() && n.as_map().is_none());
        if (odd(blue) || odd(green)) && blue != green {
            let near = |node: Option<&Node>| node.map_or_else(Mark::nowhere, |n| n.mark.clone());
            let place = self.place.at(path, &near(blue), &near(green));
            self.out.finding(
                rule,
                &place,
                blue,
                green,
                Some("what it stands for is not known here".to_owned()),
            );
        }
    }

    /// Likewise for lists of components.
    fn odd_list(
        &mut self,
        rule: &'static Rule,
        place: &Place,
        blue: &References<'_>,
        green: &References<'_>,
    ) {
        if (blue.is_odd() || green.is_odd()) && blue.node != green.node {
            let detail = "one of the two is no list of names, so what runs is not known here".to_owned();
            self.out.finding(rule, place, blue.node, green.node, Some(detail));
        }
    }

    /// Receivers or exporters: sets.
    fn set(&mut self, name: &str, section: Section, blue: &References<'_>, green: &References<'_>) {
        let place = self.place.at(&Path::of(&["pipelines", name, section.key()]), blue.mark, green.mark);
        let unknown = if section == Section::Receivers { &rules::RECEIVER } else { &rules::EXPORTER_ADDED };
        self.odd_list(unknown, &place, blue, green);
        let (added, removed) = self.renames.changes(section, &blue.ids, &green.ids);
        for id in &added {
            let (rule, act) = match section {
                Section::Receivers => (self.receiver_rule(id, true), "takes data from"),
                _ => (self.exporter_rule(id, true), "also sends to"),
            };
            let detail = format!("pipeline {name}: green {act} {}", green.name(id));
            self.out.finding(rule, &place, blue.node, green.node, Some(detail));
        }
        for id in &removed {
            let (rule, act) = match section {
                Section::Receivers => (self.receiver_rule(id, false), "takes data from"),
                _ => (self.exporter_rule(id, false), "sends to"),
            };
            let detail = format!("pipeline {name}: green no longer {act} {}", blue.name(id));
            self.out.finding(rule, &place, blue.node, green.node, Some(detail));
        }
        if added.is_empty() && removed.is_empty() && blue.written != green.written {
            let order = blue.ids != green.ids;
            let why = if order { Why::Order } else { Why::Alias };
            self.out.equivalent(why, &place, blue.node, green.node);
        }
    }

    fn receiver_rule(&self, id: &Id, added: bool) -> &'static Rule {
        let connector = self.green.is_connector(id) || self.blue.is_connector(id);
        let before = self.blue.used(Section::Receivers).contains(id);
        if added && !before && !connector && listens(Section::Receivers, &id.kind) {
            &rules::LISTENER_ADDED
        } else {
            &rules::RECEIVER
        }
    }

    fn exporter_rule(&self, id: &Id, added: bool) -> &'static Rule {
        let model = if added { self.green } else { self.blue };
        let basic = || {
            let verbosity = model.settings(Section::Exporters, id).and_then(|n| n.get("verbosity"));
            verbosity.and_then(Node::as_str).is_none_or(|v| v.eq_ignore_ascii_case("basic"))
        };
        match id.kind.as_str() {
            _ if model.is_connector(id) => &rules::PROCESSING,
            "nop" => &rules::SETTING,
            "debug" if basic() || !added => &rules::SETTING,
            "debug" => &rules::PAYLOAD_IN_LOGS,
            _ if added => &rules::EXPORTER_ADDED,
            _ => &rules::EXPORTER_REMOVED,
        }
    }

    fn processors(&mut self, name: &str, blue: &Pipeline<'_>, green: &Pipeline<'_>) {
        let (b, g) = (&blue.processors, &green.processors);
        let place = self.place.at(&Path::of(&["pipelines", name, "processors"]), b.mark, g.mark);
        let (added, removed) = self.renames.changes(Section::Processors, &b.ids, &g.ids);
        self.odd_list(&rules::PROCESSOR, &place, b, g);
        let exporters = green.exporters.written.join(", ");
        for id in &removed {
            let still = self.green.component(Section::Processors, id).is_some();
            let still = if still { "; it is still defined, but this pipeline does not use it" } else { "" };
            let detail = format!("pipeline {name}: {} no longer runs before {exporters}{still}", b.name(id));
            let rule = processor_rule(&id.kind, self.blue.settings(Section::Processors, id), true);
            let fix = format!("add {} to service.pipelines.{name}.processors", b.name(id));
            self.finding_with_fix(rule, &place, b.node, g.node, detail, fix);
        }
        for id in &added {
            let detail = format!("pipeline {name}: {} now runs before {exporters}", g.name(id));
            let rule = processor_rule(&id.kind, self.green.settings(Section::Processors, id), false);
            let fix =
                format!("take {} out of service.pipelines.{name}.processors, or declare it", g.name(id));
            self.finding_with_fix(rule, &place, b.node, g.node, detail, fix);
        }
        self.order(name, &place, b, g);
        if added.is_empty() && removed.is_empty() && b.ids == g.ids && b.written != g.written {
            self.out.equivalent(Why::Alias, &place, b.node, g.node);
        }
    }

    fn order(&mut self, name: &str, place: &Place, blue: &References<'_>, green: &References<'_>) {
        let green_ids: Vec<Id> =
            green.ids.iter().map(|id| self.renames.blue(Section::Processors, id)).collect();
        let limiter_first = |ids: &[Id]| ids.first().is_some_and(|id| id.kind == "memorylimiter");
        let has_limiter = green_ids.iter().any(|id| id.kind == "memorylimiter");
        let unlimited = limiter_first(&blue.ids) && !limiter_first(&green_ids) && has_limiter;
        if unlimited {
            let detail = format!("pipeline {name}: memory_limiter is no longer first");
            self.out.finding(&rules::MEMORY_LIMITER, place, blue.node, green.node, Some(detail));
        }
        let guards =
            |id: &Id| protects(Section::Processors, &id.kind, self.blue.settings(Section::Processors, id));
        let common = common(&blue.ids, &green_ids);
        let masks = |id: &Id| redacts(&id.kind, self.blue.settings(Section::Processors, id));
        let worst = inversion(&common, masks).or_else(|| inversion(&common, guards));
        let worst = worst.or_else(|| inversion(&common, |_| true));
        let Some((first, second)) = worst else { return };
        // That the limiter moved has been said already.
        let others: Vec<_> = common.iter().filter(|(id, _)| id.kind != "memorylimiter").copied().collect();
        if unlimited && inversion(&others, |_| true).is_none() {
            return;
        }
        let detail = format!("pipeline {name}: {} now runs before {}", blue.name(second), blue.name(first));
        let rule = match (masks(first) || masks(second), guards(first) || guards(second)) {
            (true, _) => &rules::REDACTION_MOVED,
            (false, true) => &rules::PROCESSOR_MOVED,
            (false, false) => &rules::PROCESSOR_ORDER,
        };
        self.out.finding(rule, place, blue.node, green.node, Some(detail));
    }

    fn extensions(&mut self) {
        let (b, g) = (&self.blue.extensions, &self.green.extensions);
        let place = self.place.at(&Path::of(&["extensions"]), b.mark, g.mark);
        let (added, removed) = self.renames.changes(Section::Extensions, &b.ids, &g.ids);
        self.odd_list(&rules::EXTENSION, &place, b, g);
        let rule = |id: &Id| match id.kind.as_str() {
            kind if authenticates(kind) => &rules::AUTHENTICATION,
            kind if diagnoses(kind) => &rules::DIAGNOSTICS_EXPOSED,
            kind if samples(kind) => &rules::SAMPLING,
            _ => &rules::EXTENSION,
        };
        for (ids, list, act) in [(&added, g, "now enables"), (&removed, b, "no longer enables")] {
            for id in ids.iter() {
                let detail = format!("green {act} extension {}", list.name(id));
                self.out.finding(rule(id), &place, b.node, g.node, Some(detail));
            }
        }
        if added.is_empty() && removed.is_empty() && b.written != g.written {
            let why = if b.ids == g.ids { Why::Alias } else { Why::Order };
            self.out.equivalent(why, &place, b.node, g.node);
        }
    }

    fn finding_with_fix(
        &mut self,
        rule: &'static Rule,
        place: &Place,
        blue: Option<&Node>,
        green: Option<&Node>,
        detail: String,
        fix: String,
    ) {
        self.out.finding(rule, place, blue, green, Some(detail));
        self.out.last_fix(fix);
    }
}

/// The rule for a processor that only one side runs.
pub(crate) fn processor_rule(kind: &str, settings: Option<&Node>, removed: bool) -> &'static Rule {
    match kind {
        "memorylimiter" => &rules::MEMORY_LIMITER,
        "filter" => &rules::FILTER,
        _ if samples(kind) => &rules::SAMPLING,
        _ if redacts(kind, settings) && removed => &rules::REDACTION_REMOVED,
        _ if redacts(kind, settings) => &rules::REDACTION_CHANGED,
        "batch" => &rules::CAPACITY,
        _ => &rules::PROCESSOR,
    }
}

/// What both sides have, in blue's order, with its place on green.
fn common<'a>(blue: &'a [Id], green: &[Id]) -> Vec<(&'a Id, usize)> {
    let place: std::collections::BTreeMap<&Id, usize> =
        green.iter().enumerate().map(|(i, id)| (id, i)).collect();
    blue.iter().filter_map(|id| Some((id, *place.get(id)?))).collect()
}

/// Two of them, in blue's order, that green has the other way round, and of which one is `wanted`. One pass: of those before,
/// only the one that is furthest back on green matters.
fn inversion<'a>(common: &[(&'a Id, usize)], wanted: impl Fn(&Id) -> bool) -> Option<(&'a Id, &'a Id)> {
    let further = |furthest: Option<(&'a Id, usize)>, next: (&'a Id, usize)| {
        Some(furthest.filter(|(_, place)| *place > next.1).unwrap_or(next))
    };
    let (mut any, mut one) = (None, None);
    for &(id, place) in common {
        let is_wanted = wanted(id);
        if let Some((first, _)) = if is_wanted { any } else { one }.filter(|(_, before)| *before > place) {
            return Some((first, id));
        }
        any = further(any, (id, place));
        if is_wanted {
            one = further(one, (id, place));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What one pass finds is an inversion, and it finds one whenever there is any.
        #[test]
        fn an_inversion_is_found_if_there_is_one(
            order in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle(),
            wanted in 0..4096_u32,
        ) {
            let ids: Vec<Id> = (0..12).map(|i| Id::read(Section::Processors, &format!("p/{i}"))).collect();
            let common: Vec<(&Id, usize)> = ids.iter().zip(order).collect();
            let is_wanted = |id: &Id| wanted >> id.name.parse::<u32>().expect("a number") & 1 == 1;
            let fits = |a: &(&Id, usize), b: &(&Id, usize)| a.1 > b.1 && (is_wanted(a.0) || is_wanted(b.0));
            let is_any = (0..12).any(|i| common[i..].iter().any(|later| fits(&common[i], later)));
            let found = inversion(&common, is_wanted);
            prop_assert_eq!(found.is_some(), is_any);
            if let Some((first, second)) = found {
                let place = |id: &Id| common.iter().position(|(other, _)| *other == id).expect("one of them");
                prop_assert!(place(first) < place(second) && fits(&common[place(first)], &common[place(second)]));
            }
        }
    }
}
