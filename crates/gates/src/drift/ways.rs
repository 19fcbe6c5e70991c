//! Ways: what guards data on every way from a receiver to an exporter, through connectors as well.
//!
//! Pipelines of one name are compared side by side; but a second pipeline, or one behind a connector, may lead to the same
//! exporter past the redaction. What guards an exporter is what runs on all ways to it.

use std::collections::{BTreeMap, BTreeSet};

use super::classify::{redacts, samples};
use super::ids::{Id, Section};
use super::model::{Model, Pipeline};
use super::out::{Out, Place};
use super::path::Path;
use super::pipelines::processor_rule;
use super::renames::Renames;

/// What has run when data leaves each pipeline, whatever way it came.
type Guarded = BTreeMap<Id, BTreeSet<Id>>;

/// Finds exporters that green reaches past a guard which is on all of blue's ways to it.
pub(crate) fn compare(
    blue: &Model<'_>,
    green: &Model<'_>,
    renames: &Renames,
    place: &Place,
    out: &mut Out<'_>,
) {
    let (before, after) = (guarded(blue), guarded(green));
    for exporter in green.used(Section::Exporters).iter().filter(|id| !green.is_connector(id)) {
        let as_blue = renames.blue(Section::Exporters, exporter);
        let leading = |model: &Model<'_>, id: &Id| -> Vec<Id> {
            let leads = model.pipelines.iter().filter(|(_, p)| p.exporters.ids.contains(id));
            leads.map(|(pipeline, _)| pipeline.clone()).collect()
        };
        let on_blue = leading(blue, &as_blue);
        for id in leading(green, exporter) {
            // Of the same signal: what guards traces has no place among metrics.
            let guards = on_blue.iter().filter(|other| other.kind == id.kind);
            let guards = guards.filter_map(|id| before.get(id)).cloned().reduce(|a, b| &a & &b);
            let Some(guards) = guards else { continue };
            let (Some(pipeline), Some(here)) = (green.pipelines.get(&id), after.get(&id)) else { continue };
            let here: BTreeSet<Id> = here.iter().map(|id| renames.blue(Section::Processors, id)).collect();
            // What a pipeline of the same name no longer runs has been said already.
            let said = blue.pipelines.get(&id).map(|p| &p.processors.ids);
            let missing: Vec<&Id> = guards
                .difference(&here)
                .filter(|guard| said.is_none_or(|ids| !ids.contains(guard)))
                .collect();
            past(blue, &missing, (pipeline, exporter), place, out);
        }
    }
}

fn past(
    blue: &Model<'_>,
    missing: &[&Id],
    (pipeline, exporter): (&Pipeline<'_>, &Id),
    place: &Place,
    out: &mut Out<'_>,
) {
    let rule = |id: &Id| processor_rule(&id.kind, blue.settings(Section::Processors, id), true);
    let Some(rule) = missing.iter().map(|id| rule(id)).min_by_key(|rule| (rule.class, rule.id)) else {
        return;
    };
    let written = |id: &&Id| blue.component(Section::Processors, id).map_or("", |c| c.written).to_owned();
    let names = missing.iter().map(written).collect::<Vec<_>>().join(", ");
    let (name, to) = (pipeline.written, pipeline.exporters.name(exporter));
    let at = place.at(&Path::of(&["pipelines", name, "exporters"]), pipeline.mark, pipeline.exporters.mark);
    let detail = format!("pipeline {name} leads to {to} past {names}, which runs on every way to it on blue");
    out.finding(rule, &at, None, pipeline.exporters.node, Some(detail));
    out.last_fix(format!(
        "add {names} to service.pipelines.{name}.processors, or take {to} out of its exporters"
    ));
}

/// For each pipeline, the guards that everything which leaves it has passed. Pipelines that nothing reaches are left out.
fn guarded(model: &Model<'_>) -> Guarded {
    let mut known = Guarded::new();
    // Sets only shrink and pipelines are only added: as many rounds as there are pipelines reach the end.
    for _ in 0..=model.pipelines.len() {
        let next = model.pipelines.iter().filter_map(|(id, pipeline)| {
            let mut passed = entering(model, pipeline, &known)?;
            passed.extend(pipeline.processors.ids.iter().filter(|id| guards(model, id)).cloned());
            Some((id.clone(), passed))
        });
        let next: Guarded = next.collect();
        if next == known {
            break;
        }
        known = next;
    }
    known
}

/// The guards that all of a pipeline's sources have passed; `None` if no source is reached yet.
fn entering(model: &Model<'_>, pipeline: &Pipeline<'_>, known: &Guarded) -> Option<BTreeSet<Id>> {
    let mut common: Option<BTreeSet<Id>> = None;
    for receiver in &pipeline.receivers.ids {
        if !model.is_connector(receiver) {
            return Some(BTreeSet::new());
        }
        let feeding = model.pipelines.iter().filter(|(_, p)| p.exporters.ids.contains(receiver));
        for passed in feeding.filter_map(|(id, _)| known.get(id)) {
            common = Some(common.map_or_else(|| passed.clone(), |common| &common & passed));
        }
    }
    common
}

fn guards(model: &Model<'_>, id: &Id) -> bool {
    redacts(&id.kind, model.settings(Section::Processors, id)) || samples(&id.kind) || id.kind == "filter"
}
