//! What the report holds beside findings: counts and rates of every service, side by side, bounded.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::silence::sent_within;
use super::{Inputs, Limits, Side, Window};
use crate::Finding;
use crate::inventory::Inventory;
use crate::words::{counted, grouped};

/// Services in the table; lists are as long.
const ROWS_MAX: usize = 300;

pub(crate) struct Facts {
    json: Value,
    rare: Vec<String>,
    quiet: Vec<String>,
    comparisons: usize,
    /// ln of the chance from which a difference counts.
    pub(crate) ln_threshold: f64,
}

impl Facts {
    pub(crate) fn new(inputs: &Inputs, limits: &Limits) -> Self {
        let recorded =
            |side: &Side| side.recorded.as_ref().ok().map(|recorded| environment(side, &recorded.inventory));
        let window =
            |window: Window| json!({ "from": window.from.to_string(), "until": window.until.to_string() });
        let taps = inputs.sent.as_deref().unwrap_or_default();
        let json = json!({
            "window": window(inputs.window),
            "before": inputs.past().map(|(before, _)| window(before)),
            "share": inputs.share,
            "alpha": limits.alpha,
            "blue": recorded(&inputs.blue),
            "green": recorded(&inputs.green),
            "taps": taps.iter().map(|tap| {
                json!({
                    "gateway": tap.gateway,
                    "since": tap.since.to_string(),
                    "tap": tap.tap,
                    "in_window": tap.passed_within(inputs.window.from, inputs.window.until),
                })
            }).collect::<Vec<_>>(),
            "services": services(inputs),
        });
        Self { json, rare: Vec::new(), quiet: Vec::new(), comparisons: 0, ln_threshold: f64::NEG_INFINITY }
    }

    /// For so many comparisons.
    pub(crate) fn set_threshold(&mut self, alpha: f64, comparisons: usize) {
        self.comparisons = comparisons;
        self.ln_threshold = alpha.ln() - (comparisons.max(1) as f64).ln();
    }

    /// What is too rare to tell.
    pub(crate) fn rare(&mut self, names: Vec<String>) {
        self.rare = names;
    }

    /// A service of which nothing was seen in the window, which may be chance.
    pub(crate) fn quiet(&mut self, name: &str) {
        self.quiet.push(name.to_owned());
    }

    /// In words: why nothing can be said.
    pub(crate) fn too_little(&self, inputs: &Inputs, blue: &Inventory, green: &Inventory) -> String {
        let largest = blue.services.values().map(|service| service.seen.traces).max().unwrap_or(0);
        let needed = -self.ln_threshold / inputs.share.clamp(0.0, 1.0).ln_1p();
        format!(
            "{} of {} and {} of {} traces of any service are too few: a service needs {needed:.0} in {} before its absence from {} says anything",
            largest, inputs.blue.name, green.traces, inputs.green.name, inputs.blue.name, inputs.green.name
        )
    }

    /// One line.
    pub(crate) fn summary(&self, inputs: &Inputs, findings: &[Finding]) -> String {
        let spots = findings.iter().filter(|finding| finding.fails()).count();
        let count =
            |side: &Side| side.recorded.as_ref().map_or(0, |recorded| recorded.inventory.services.len());
        let (blue, green) = (count(&inputs.blue), count(&inputs.green));
        let traces = |side: &Side| side.recorded.as_ref().map_or(0, |recorded| recorded.inventory.traces);
        format!(
            "{}, {} in {} and {green} in {}, {} and {} looked at",
            match spots {
                0 if findings.iter().any(Finding::is_unknown) => "not enough is known".to_owned(),
                0 => "no blind spot found".to_owned(),
                1 => "1 blind spot".to_owned(),
                _ => format!("{spots} blind spots"),
            },
            counted(blue as u64, "service", "services"),
            inputs.blue.name,
            inputs.green.name,
            grouped(traces(&inputs.blue).into()),
            counted(traces(&inputs.green).into(), "trace", "traces")
        )
    }

    pub(crate) fn into_json(mut self) -> Value {
        self.rare.truncate(ROWS_MAX);
        self.quiet.truncate(ROWS_MAX);
        self.json["comparisons"] = self.comparisons.into();
        self.json["too_rare"] = self.rare.into();
        self.json["quiet"] = self.quiet.into();
        self.json
    }
}

fn environment(side: &Side, inventory: &Inventory) -> Value {
    json!({
        "environment": side.name,
        "traces": inventory.traces,
        "spans": inventory.spans,
        "services": inventory.services.len(),
        "left_out": inventory.left_out,
        "partial": side.recorded.as_ref().map_or(0, |recorded| recorded.partial),
    })
}

/// What was sent of every service, and what was recorded of it: traces that were looked at.
fn services(inputs: &Inputs) -> Vec<Value> {
    let inventory = |side: &'_ Side| side.recorded.as_ref().ok().map(|recorded| recorded.inventory.clone());
    let (blue, green) = (inventory(&inputs.blue), inventory(&inputs.green));
    let taps = inputs.sent.as_deref().unwrap_or_default();
    let mut names: BTreeSet<String> =
        taps.iter().flat_map(|tap| tap.inventory.services.keys().cloned()).collect();
    names.extend(
        [&blue, &green].into_iter().flatten().flat_map(|inventory| inventory.services.keys().cloned()),
    );
    let volume = |name: &String| Some(inputs.blue.recorded.as_ref().ok()?.volumes.get(name)?.about);
    let row = |name: &String| {
        let of = |inventory: &Option<Inventory>| {
            let service = inventory.as_ref()?.services.get(name)?;
            let minutes = inputs.window.secs() / 60.0;
            Some(json!({
                "traces": service.seen.traces,
                "per_minute": (f64::from(service.seen.traces) / minutes * 100.0).round() / 100.0,
                "cut_short": service.cut_short,
                "operations": service.operations.len(),
                "callers": service.callers.len(),
                "failed": service.failed.traces,
                "p99_ms": service.took.quantile(0.99).map(|nanos| nanos / 1_000_000),
                "first": service.seen.first.to_string(),
                "last": service.seen.last.to_string(),
            }))
        };
        json!({
            "service": name,
            "sent": (!taps.is_empty()).then(|| sent_within(taps, name, inputs.window)),
            "blue": of(&blue),
            "blue_about": volume(name),
            "green": of(&green),
        })
    };
    names.iter().take(ROWS_MAX).map(row).collect()
}
