//! What the facts come to.

use serde_json::json;

use super::Policy;
use super::facts::{EndpointFacts, Fact, Facts, Role, Transport, Unplaced};
use super::items::{Item, Items, items};
use super::matched::counterparts;
use super::rules::{REGRESSED, UNDETERMINED, UNREACHABLE, WEAKER};
use crate::finding::{Finding, Place};
use crate::report::Report;
use crate::rule::Severity;

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The environment that is to be closed: in a rollout the candidate.
    pub subject: &'a Facts,
    /// The one that it is held against: in a rollout the active.
    pub reference: Option<&'a Facts>,
    /// The subject, when it was looked at before.
    pub before: Option<&'a Facts>,
    /// What is asked for.
    pub policy: &'a Policy,
    /// The time, in seconds since 1970, by which certificates are judged.
    pub now: i64,
}

/// How many reasons of one endpoint are named.
const REASONS_MAX: usize = 5;

/// Judges. The facts are in the report, so that a later look can be held against them.
pub fn judge(input: &Input<'_>) -> Report {
    let mut findings = Vec::new();
    let others = |facts: Option<&Facts>| -> Vec<Option<Items>> {
        let others = counterparts(&input.subject.endpoints, facts.map_or(&[], |facts| &facts.endpoints));
        others.into_iter().map(|other| Some(items(other?, input.policy, input.now))).collect()
    };
    let others = others(input.reference).into_iter().zip(others(input.before));
    for (endpoint, (reference, before)) in input.subject.endpoints.iter().zip(others) {
        let own = items(endpoint, input.policy, input.now);
        let at = |item: &str| place(&input.subject.environment, endpoint, item);
        for item in &own.known {
            findings.extend(of_subject(input, endpoint, item, reference.as_ref()));
            if let Some(then) = before.as_ref().and_then(|items| stronger(items, item)) {
                let finding = Finding::new(&REGRESSED).at(at(&item.key)).seen(&item.seen);
                let detail = format!("{}; before: {}.", said(endpoint, item), then.seen);
                findings.push(finding.expected(&then.seen).detail(detail));
            }
        }
        findings.extend(unknown(&input.subject.environment, endpoint, &own));
    }
    for endpoint in input.reference.iter().flat_map(|facts| &facts.endpoints) {
        let facts = input.reference.map(|facts| facts.environment.as_str()).unwrap_or_default();
        let own = items(endpoint, input.policy, input.now);
        findings.extend(own.known.iter().filter_map(|item| of_reference(facts, endpoint, item)));
        findings.extend(unknown(facts, endpoint, &own));
    }
    for facts in std::iter::once(input.subject).chain(input.reference) {
        findings.extend(facts.unplaced.iter().map(|unplaced| of_unplaced(&facts.environment, unplaced)));
    }
    missing(input, &mut findings);
    let is_down = |endpoint: &EndpointFacts| is_down(endpoint);
    let down = input.subject.endpoints.iter().any(is_down)
        || input.reference.is_some_and(|facts| facts.endpoints.iter().any(is_down));
    let report = Report::new("posture", summary(input, &findings), findings, facts(input));
    if down { report.unreachable() } else { report }
}

/// What is wrong with an item of the subject, by itself or beside the reference's.
fn of_subject(
    input: &Input<'_>,
    endpoint: &EndpointFacts,
    item: &Item,
    reference: Option<&Items>,
) -> Option<Finding> {
    let place = place(&input.subject.environment, endpoint, &item.key);
    let other = input.reference.map(|facts| facts.environment.as_str()).unwrap_or_default();
    let better = reference.and_then(|items| stronger(items, item));
    // An open door that the other side does not even have.
    let new = reference.is_none()
        && !endpoint.shares
        && input.reference.is_some()
        && matches!(endpoint.role, Role::Admin(kind) if kind != super::AdminKind::Health)
        && item.strength == Some(0)
        && item.key == "openness";
    let rule = match (item.wrong, item.weaker) {
        (Some(wrong), _) => wrong.rule,
        (None, Some(rule)) if better.is_some() => rule,
        (None, _) if better.is_some() => &WEAKER,
        (None, _) => return None,
    };
    let finding = Finding::new(rule).at(place).seen(&item.seen);
    let said = said(endpoint, item);
    Some(match better {
        Some(better) => {
            // A note as such; but not where the other side does better.
            let severity = if rule.severity == Severity::Note { WEAKER.severity } else { rule.severity };
            let detail = format!("{said}; {other} {}.", better.seen);
            finding.severity(severity).expected(format!("as {other}: {}", better.seen)).detail(detail)
        }
        None if new => finding
            .expected(format!("as {other}: none"))
            .detail(format!("{said}; {other} has no such interface.")),
        None => {
            let severity = item.wrong.map_or(rule.severity, |wrong| wrong.severity);
            let here = if severity == Severity::Note && endpoint.loopback { ", on loopback" } else { "" };
            finding.severity(severity).detail(format!("{said}{here}."))
        }
    })
}

/// What is wrong with the reference is worth knowing; what is a note there is not even that.
fn of_reference(environment: &str, endpoint: &EndpointFacts, item: &Item) -> Option<Finding> {
    let wrong = item.wrong.filter(|wrong| wrong.severity != Severity::Note)?;
    let finding = Finding::new(wrong.rule).at(place(environment, endpoint, &item.key)).seen(&item.seen);
    let detail =
        format!("{}. It is the active environment: this is what there is today.", said(endpoint, item));
    Some(finding.severity(Severity::Note).detail(detail))
}

/// The same item, where it is stronger.
fn stronger<'a>(items: &'a Items, than: &Item) -> Option<&'a Item> {
    let item = items.known.iter().find(|item| item.key == than.key)?;
    (item.strength? > than.strength?).then_some(item)
}

/// What is not known of an endpoint, as one finding.
fn unknown(environment: &str, endpoint: &EndpointFacts, items: &Items) -> Option<Finding> {
    let place = |what: &str| place(environment, endpoint, what);
    if let Fact::Known(Transport::Closed) = endpoint.transport
        && is_down(endpoint)
    {
        let detail = format!("{} refuses connections at {}.", title(endpoint), endpoint.url);
        return Some(Finding::new(&UNREACHABLE).at(place("transport")).detail(detail));
    }
    if let Fact::Unknown(why) = &endpoint.transport
        && !endpoint.shares
    {
        let detail = format!("{} at {}: {why}.", title(endpoint), endpoint.url);
        return Some(Finding::new(&UNREACHABLE).at(place("transport")).detail(detail));
    }
    let (first, _) = items.unknown.first()?;
    let mut reasons: Vec<String> =
        items.unknown.iter().take(REASONS_MAX).map(|(what, why)| format!("{what} ({why})")).collect();
    if items.unknown.len() > REASONS_MAX {
        reasons.push(format!("and {} more", items.unknown.len() - REASONS_MAX));
    }
    let detail = format!("{}: not determined: {}.", title(endpoint), reasons.join("; "));
    Some(Finding::new(&UNDETERMINED).at(place(first)).detail(detail))
}

/// An interface that is there, nobody knows where.
fn of_unplaced(environment: &str, unplaced: &Unplaced) -> Finding {
    let kind = unplaced.kind.name();
    let place = Place::environment(environment).component(format!("{kind}: {}", unplaced.path));
    let detail = format!(
        "{} opens {kind} at a port that its configuration does not tell: it was not looked at.",
        unplaced.path
    );
    let remedy =
        "Set env_file to what its variables stand for, or name the interface under admin in crossfade.yaml.";
    Finding::new(&UNDETERMINED).at(place).detail(detail).remedy(remedy)
}

/// An endpoint that should be there, and is not. An admin interface that is closed is as it should be.
fn is_down(endpoint: &EndpointFacts) -> bool {
    match &endpoint.transport {
        // The endpoint whose port it is says so.
        _ if endpoint.shares => false,
        Fact::Unknown(_) => true,
        Fact::Known(Transport::Closed) => !matches!(endpoint.role, Role::Admin(_)),
        Fact::Known(_) => false,
    }
}

/// No endpoint is no proof of anything.
fn missing(input: &Input<'_>, findings: &mut Vec<Finding>) {
    if input.subject.endpoints.is_empty() {
        let place = Place::environment(&input.subject.environment);
        findings.push(Finding::new(&UNREACHABLE).at(place).detail("There was nothing to look at."));
    }
}

fn place(environment: &str, endpoint: &EndpointFacts, item: &str) -> Place {
    Place::environment(environment).url(&endpoint.url).component(format!("{}: {item}", endpoint.name))
}

fn title(endpoint: &EndpointFacts) -> String {
    match endpoint.role {
        Role::Otlp => "The OTLP endpoint".to_owned(),
        Role::Query => "The query endpoint".to_owned(),
        Role::Admin(kind) => format!("The {} interface", kind.name()),
    }
}

/// A sentence without its end.
fn said(endpoint: &EndpointFacts, item: &Item) -> String {
    let colon = if item.seen.starts_with("its ") { ":" } else { "" };
    format!("{}{colon} {}", title(endpoint), item.seen)
}

fn summary(input: &Input<'_>, findings: &[Finding]) -> String {
    let count = |is: fn(&Finding) -> bool| findings.iter().filter(|finding| is(finding)).count();
    let (failing, unknown) = (count(Finding::fails), count(Finding::is_unknown));
    let looked = input.subject.endpoints.len() + input.reference.map_or(0, |facts| facts.endpoints.len());
    let beside = input.reference.map_or_else(String::new, |facts| format!(" beside {}", facts.environment));
    let subject = &input.subject.environment;
    match (failing, unknown) {
        (0, 0) if input.reference.is_some() => {
            format!("{subject}{beside}: {looked} looked at, as closed as asked for, and no weaker")
        }
        (0, 0) => format!("{subject}: {looked} looked at, as closed as asked for"),
        (0, 1) => format!("{subject}{beside}: of 1 endpoint not everything is known"),
        (0, _) => format!("{subject}{beside}: of {unknown} endpoints not everything is known"),
        (1, _) => format!("{subject}{beside}: 1 item is too open"),
        (_, _) => format!("{subject}{beside}: {failing} items are too open"),
    }
}

fn facts(input: &Input<'_>) -> serde_json::Value {
    json!({
        "subject": input.subject,
        "reference": input.reference,
        "compared_with_an_earlier_look": input.before.is_some(),
        "policy": {
            "tls_min": input.policy.tls_min,
            "suites_refused": input.policy.suites_refused,
            "valid_secs_min": input.policy.valid_secs_min,
            "rsa_bits_min": input.policy.rsa_bits_min,
            "client_certificate": input.policy.client_certificate,
            "authentication": input.policy.authentication,
            "plain_text": input.policy.plain_text,
        },
        "judged_at": input.now,
    })
}
