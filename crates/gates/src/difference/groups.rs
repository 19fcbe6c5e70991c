//! Differences of many traces, grouped: how many traces, which services and operations, one example each. Bounded, whatever
//! comes in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Difference, What};
use crate::finding::{Finding, Place};
use crate::model::{SpanId, TraceId};
use crate::rule::Rule;
use crate::words::grouped;

/// Kinds with their fields at most.
const GROUPS_MAX: usize = 400;
/// Operations of one group at most.
const OPERATIONS_MAX: usize = 200;
/// Operations of a group that are shown.
const SHOWN_OPERATIONS: usize = 5;

/// Differences, grouped.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    groups: BTreeMap<(What, String), Group>,
    /// Traces with a difference that has no room in a group of its own.
    left_out: u32,
    seen: u32,
}

/// The differences of one kind in one field.
#[derive(Clone, Debug)]
pub struct Group {
    /// The kind.
    pub what: What,
    /// The field; empty if the kind has one only.
    pub field: String,
    /// Traces that differ so.
    pub traces: u32,
    /// Places in them.
    pub places: u32,
    /// By service and operation, the most frequent first.
    pub operations: Vec<Operation>,
    /// Operations that have no room among them.
    pub more_operations: bool,
    index: BTreeMap<(String, String), usize>,
    last: u32,
}

/// The differences of one kind in one field of one operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The service.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// Traces that differ so.
    pub traces: u32,
    /// One of them.
    pub trace: TraceId,
    /// And a span in it.
    pub span: Option<SpanId>,
    /// What the active has there.
    pub active: String,
    /// What the candidate has.
    pub candidate: String,
    last: u32,
}

impl Groups {
    /// Takes in the differences of one trace.
    pub fn add(&mut self, trace: TraceId, differences: &[Difference]) {
        self.seen += 1;
        let mut is_left_out = false;
        for difference in differences {
            let key = (difference.what, difference.field.clone());
            let has_room = self.groups.len() < GROUPS_MAX || self.groups.contains_key(&key);
            if has_room {
                let group = self.groups.entry(key).or_insert_with(|| Group::of(difference));
                group.add(self.seen, trace, difference);
            } else {
                is_left_out = true;
            }
        }
        self.left_out += u32::from(is_left_out);
    }

    /// The groups, by kind, those with the most traces first.
    pub fn all(&self) -> Vec<Group> {
        let mut out: Vec<Group> = self.groups.values().cloned().collect();
        for group in &mut out {
            group.operations.sort_by_key(|o| std::cmp::Reverse(o.traces));
        }
        out.sort_by(|a, b| (a.what, b.traces).cmp(&(b.what, a.traces)));
        out
    }

    /// Traces with a difference that has no room in a group of its own.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }
}

impl Group {
    fn of(difference: &Difference) -> Self {
        Self {
            what: difference.what,
            field: difference.field.clone(),
            traces: 0,
            places: 0,
            operations: Vec::new(),
            more_operations: false,
            index: BTreeMap::new(),
            last: 0,
        }
    }

    fn add(&mut self, nth: u32, trace: TraceId, difference: &Difference) {
        self.places += 1;
        self.traces += u32::from(self.last != nth);
        self.last = nth;
        let key = (difference.service.clone(), difference.operation.clone());
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None if self.operations.len() >= OPERATIONS_MAX => {
                self.more_operations = true;
                return;
            }
            None => {
                let at = self.operations.len();
                self.operations.push(Operation::of(trace, difference));
                self.index.insert(key, at);
                at
            }
        };
        if let Some(operation) = self.operations.get_mut(at) {
            operation.traces += u32::from(operation.last != nth);
            operation.last = nth;
        }
    }

    /// `` `POST /charge` of ledger-api (120), … and 3 more``.
    pub fn places(&self) -> String {
        let name = |o: &Operation| match (self.operations.len(), o.operation.is_empty()) {
            (1, _) => format!("`{}` of {}", o.operation, o.service),
            _ => format!("`{}` of {} ({})", o.operation, o.service, o.traces),
        };
        let mut shown: Vec<String> = self.operations.iter().take(SHOWN_OPERATIONS).map(name).collect();
        let more = self.operations.len().saturating_sub(SHOWN_OPERATIONS);
        if more > 0 {
            let or_more = if self.more_operations { " or more" } else { "" };
            let others = if more == 1 && !self.more_operations { "other" } else { "others" };
            shown.push(format!("and {more}{or_more} {others}"));
        }
        shown.join(", ")
    }

    /// What is said of it: in how many of the traces compared (`300 traces`), with an example.
    pub(crate) fn finding(&self, rule: &'static Rule, mut place: Place, compared: &str) -> Finding {
        let mut finding = Finding::new(rule).known_by(self.field.clone());
        if let Some(first) = self.operations.first() {
            place = place.component(format!("{}: {}", first.service, first.operation)).trace(first.trace);
            place.span_id = first.span.map(|id| id.to_string());
            finding = finding.expected(first.active.clone()).seen(first.candidate.clone());
        }
        let traces = grouped(self.traces.into());
        finding.at(place).detail(format!("{traces} of {compared} {} on {}", self.predicate(), self.places()))
    }

    /// For a report's facts.
    pub fn facts(&self) -> Value {
        let operations: Vec<Value> =
            self.operations.iter().take(2 * SHOWN_OPERATIONS).map(Operation::facts).collect();
        json!({
            "difference": self.what.word(),
            "field": self.field,
            "traces": self.traces,
            "places": self.places,
            "operations": self.operations.len(),
            "examples": operations,
        })
    }
}

impl Groups {
    /// So many groups at most, for a report's facts.
    pub(crate) fn facts(&self, most: usize) -> Vec<Value> {
        self.all().iter().take(most).map(Group::facts).collect()
    }
}

impl Operation {
    fn of(trace: TraceId, difference: &Difference) -> Self {
        Self {
            service: difference.service.clone(),
            operation: difference.operation.clone(),
            traces: 0,
            trace,
            span: difference.span,
            active: difference.active.clone(),
            candidate: difference.candidate.clone(),
            last: 0,
        }
    }

    fn facts(&self) -> Value {
        json!({
            "service": self.service,
            "operation": self.operation,
            "traces": self.traces,
            "trace_id": self.trace.to_string(),
            "span_id": self.span.map(|id| id.to_string()),
            "active": self.active,
            "candidate": self.candidate,
        })
    }
}

impl What {
    /// The word in facts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TraceMissing => "trace_missing",
            Self::TraceExtra => "trace_extra",
            Self::TraceBroken => "trace_broken",
            Self::SpanMissing => "span_missing",
            Self::SpanExtra => "span_extra",
            Self::AttributeMissing => "attribute_missing",
            Self::AttributeCut => "attribute_cut",
            Self::AttributeChanged => "attribute_changed",
            Self::AttributeAdded => "attribute_added",
            Self::EventMissing => "event_missing",
            Self::EventExtra => "event_extra",
            Self::LinkMissing => "link_missing",
            Self::LinkExtra => "link_extra",
            Self::Status => "status",
            Self::Name => "name",
            Self::Kind => "kind",
            Self::Parent => "parent",
            Self::Times => "times",
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::TraceState => "trace_state",
        }
    }
}

impl Group {
    /// What happens in these traces: ``lack attribute `payment.id` ``. Follows "140 of 2,000 traces".
    pub fn predicate(&self) -> String {
        let field = &self.field;
        let example = self.operations.first();
        let seen = example.map_or("", |o| o.candidate.as_str());
        match self.what {
            What::TraceMissing => "are not in the candidate".to_owned(),
            What::TraceExtra => "are in the candidate and not in the active".to_owned(),
            What::TraceBroken => format!("break between {field}"),
            What::SpanMissing => "lack a span".to_owned(),
            What::SpanExtra => "have a span more".to_owned(),
            What::AttributeMissing => format!("lack attribute `{field}`"),
            What::AttributeCut => format!("have attribute `{field}` cut: {seen}"),
            What::AttributeChanged => format!("have another value of attribute `{field}`"),
            What::AttributeAdded => format!("have attribute `{field}` more"),
            What::EventMissing => format!("lack event `{field}`"),
            What::EventExtra => format!("have event `{field}` more"),
            What::LinkMissing => "lack a link".to_owned(),
            What::LinkExtra => "have a link more".to_owned(),
            What::Status => format!("have another status {field}"),
            What::Name => "have another span name".to_owned(),
            What::Kind => "have another span kind".to_owned(),
            What::Parent => "have another parent of a span".to_owned(),
            What::Times => format!("have another {field} of a span"),
            What::Resource => format!("differ in resource attribute `{field}`"),
            What::Scope => format!("have another instrumentation scope {field}"),
            What::TraceState => "have another trace state".to_owned(),
        }
    }
}
