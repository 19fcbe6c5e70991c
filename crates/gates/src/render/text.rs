//! For people.

use std::fmt::Write;

use crate::finding::{Accepted, Finding};
use crate::report::{Report, Verdict};
use crate::rule::Severity;

/// Values longer than this are cut; JSON has them whole.
const VALUE_CHARS_MAX: usize = 160;
/// Where the place begins on a finding's first line.
const PLACE_COLUMN: usize = 58;

/// The report as lines of text, without colours: what it comes to, then each finding.
pub fn text(report: &Report) -> String {
    let mut out = format!("{}\n", head(report));
    report.findings.iter().for_each(|finding| one(&mut out, finding));
    out
}

/// `- parity        left out: blue has no query endpoint`: a gate that did not look.
pub fn left_out(gate: &str, why: &str) -> String {
    format!("- {gate:<13} left out: {}\n", printable(why))
}

/// `✔ probe         600/600 read back, p99 4.1 s`.
pub fn head(report: &Report) -> String {
    let sign = match report.verdict() {
        Verdict::Pass => '✔',
        Verdict::Fail => '✘',
        Verdict::NoVerdict => '?',
    };
    format!("{sign} {:<13} {}", report.gate, printable(&report.summary))
}

pub(crate) fn one(out: &mut String, finding: &Finding) {
    if let Some(accepted) = &finding.accepted {
        let what = format!("  ~ {:<9} {} {}", finding.severity.word(), finding.id, finding.rule);
        return line(out, &what, &by(accepted));
    }
    let sign = match finding.severity {
        Severity::Note => '·',
        Severity::Unknown => '?',
        _ => '✘',
    };
    let what = format!("  {sign} {:<9} {} {}", finding.severity.word(), finding.id, finding.rule);
    line(out, &what, &finding.place.to_string());
    if let (Some(_), Some(component)) = (&finding.place.file, &finding.place.component) {
        put(out, component);
    }
    put(out, &finding.detail);
    match (&finding.expected, &finding.seen) {
        (Some(expected), Some(seen)) => put(out, &format!("expected {}, seen {}", cut(expected), cut(seen))),
        (Some(expected), None) => put(out, &format!("expected {}", cut(expected))),
        (None, Some(seen)) => put(out, &format!("seen {}", cut(seen))),
        (None, None) => {}
    }
    if let Some(trace) = &finding.place.trace_id {
        let span = finding.place.span_id.as_ref().map_or_else(String::new, |span| format!(", span {span}"));
        put(out, &format!("e.g. trace {trace}{span}"));
    }
    if finding.severity != Severity::Note {
        put(out, &format!("Fix  {}", finding.remedy));
        let controls: Vec<String> = finding.controls.iter().map(ToString::to_string).collect();
        put(out, &format!("Touches  {}", controls.join(", ")));
    }
}

pub(crate) fn by(accepted: &Accepted) -> String {
    match accepted {
        Accepted::Declaration { place: Some(place), .. } => format!("declared {place}"),
        Accepted::Declaration { reason, .. } => format!("declared: {reason}"),
        Accepted::Waiver { reason, owner, expires } => format!("waived by {owner} until {expires}: {reason}"),
    }
}

fn cut(value: &str) -> String {
    if value.chars().count() > VALUE_CHARS_MAX {
        value.chars().take(VALUE_CHARS_MAX).chain(['…']).collect()
    } else {
        value.to_owned()
    }
}

fn put(out: &mut String, text: &str) {
    writeln!(out, "      {}", printable(text)).expect("a string takes it");
}

/// What others wrote may hold what a terminal takes for a command.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn line(out: &mut String, what: &str, place: &str) {
    let pad = PLACE_COLUMN.saturating_sub(what.chars().count()).max(2);
    let padded = format!("{what}{:pad$}{}", "", printable(place));
    out.push_str(padded.trim_end());
    out.push('\n');
}
