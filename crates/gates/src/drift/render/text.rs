//! For people.

use std::fmt::Write;

use crossfade_yaml::Mark;

use super::super::report::{DriftReport, Finding};
use crate::finding::Accepted;
use crate::render::{by, one};
use crate::report::Report;
use crate::waiver;

/// How much to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The differences.
    Differences,
    /// The differences, as a part of something else: there is no `--all` to ask with.
    Excerpt,
    /// Also what is written differently and means the same.
    All,
}

/// Values longer than this are cut; JSON has them whole.
const VALUE_CHARS_MAX: usize = 160;
/// Where the place begins on a finding's first line.
const PLACE_COLUMN: usize = 58;

/// The report as lines of text, without colours. The last line counts.
pub fn text(report: &DriftReport, detail: Detail) -> String {
    text_with(report, &report.report(), detail)
}

/// The same, with what waivers have made of it: `shared` is the report in the form that all gates share.
pub fn text_with(report: &DriftReport, shared: &Report, detail: Detail) -> String {
    let mut out = String::new();
    let mut waived = 0;
    for finding in &report.findings {
        let accepted = |what: &str| {
            (format!("  ~ {:<9} {} {}", finding.class.word(), finding.path, values(finding)), what.to_owned())
        };
        let told = match (&finding.declared, waiver(shared, finding)) {
            (None, None) => {
                undeclared(&mut out, finding);
                continue;
            }
            (Some(declared), _) => {
                let place = declared.mark.as_ref().map_or_else(|| declared.reason.clone(), short);
                accepted(&format!("declared {place}"))
            }
            (None, Some(waiver)) => {
                waived += 1;
                accepted(&by(waiver))
            }
        };
        line(&mut out, &told.0, &told.1);
    }
    shared.findings.iter().filter(|f| waiver::is_about_waivers(f)).for_each(|note| one(&mut out, note));
    for unused in &report.unused_declarations {
        let place = unused.mark.as_ref().map_or_else(String::new, short);
        line(&mut out, &format!("  ! unused    declaration of {}", unused.path), &place);
        out.push_str(&format!("      {}\n", unused.note));
    }
    if detail == Detail::All {
        for e in &report.equivalent {
            let values = arrow(e.blue.as_deref(), e.green.as_deref());
            let sign = if values.is_empty() { "" } else { "  " };
            line(&mut out, &format!("  = {:<9} {}{sign}{values}", e.why.word(), e.path), &short(&e.mark));
        }
    }
    out.push_str(&summary(report, waived, detail));
    if report.as_written > 0 {
        writeln!(out, "{}", as_written(report.as_written, &report.variables)).expect("a string takes it");
    }
    if !report.by_version.is_empty() {
        writeln!(out, "{}", by_version(&report.by_version)).expect("a string takes it");
    }
    if !report.unknown_components.is_empty() {
        writeln!(out, "{}", unknown(&report.unknown_components)).expect("a string takes it");
    }
    out
}

/// What the report does not know.
pub fn as_written(count: usize, variables: &[String]) -> String {
    let (values, hold) =
        if count == 1 { ("value", "holds a reference") } else { ("values", "hold references") };
    let variables = match variables {
        [] => String::new(),
        _ => format!(" Not compared: {}; name an env_file for each side.", few(variables)),
    };
    format!("{count} {values} {hold}, compared as written.{variables}")
}

/// Defaults that are not the same in all versions.
pub fn by_version(settings: &[String]) -> String {
    let shown = few(settings);
    format!("Left to defaults that are not the same in all versions: {shown}; name the `versions` that run.")
}

/// Components that the rules do not know, a few by name.
pub fn unknown(components: &[String]) -> String {
    format!("No rule knows {}: compared by the words of their settings alone.", few(components))
}

fn few(names: &[String]) -> String {
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
    format!("{shown}{more}")
}

fn undeclared(out: &mut String, finding: &Finding) {
    let what = format!("  ✘ {:<9} {} {}", finding.class.word(), finding.id, finding.rule);
    line(out, &what, &short(&finding.mark));
    for part in [&finding.path, &values(finding), &finding.detail] {
        if !part.is_empty() {
            out.push_str(&format!("      {part}\n"));
        }
    }
    out.push_str(&format!("      Fix  {}\n", finding.fix));
}

/// The waiver that lets a difference through.
fn waiver<'s>(shared: &'s Report, finding: &Finding) -> Option<&'s Accepted> {
    let is_same = |other: &&crate::Finding| {
        other.id == finding.id && other.place.component.as_ref() == Some(&finding.path)
    };
    let accepted = shared.findings.iter().find(is_same)?.accepted.as_ref();
    accepted.filter(|accepted| matches!(accepted, Accepted::Waiver { .. }))
}

fn summary(report: &DriftReport, waived: usize, detail: Detail) -> String {
    let (all, declared) = (report.findings.len(), report.declared());
    let rest = report.undeclared() - waived;
    let waived = if waived == 0 { String::new() } else { format!(" {waived} waived,") };
    let noun = if all == 1 { "difference" } else { "differences" };
    let mut out = match all {
        0 => "No differences.".to_owned(),
        _ => format!("{all} {noun}: {declared} declared,{waived} {rest} not."),
    };
    if !report.unused_declarations.is_empty() {
        write!(out, " {} unused declarations.", report.unused_declarations.len()).expect("a string takes it");
    }
    if !report.equivalent.is_empty() {
        let hint = if detail == Detail::Differences { ": --all" } else { "" };
        let kinds = "order, defaults, aliases, units, own endpoints";
        write!(out, " {} equivalent ({kinds}){hint}", report.equivalent.len()).expect("a string takes it");
    }
    out.push('\n');
    out
}

/// `2048 -> 1024`.
fn values(finding: &Finding) -> String {
    arrow(finding.blue.as_deref(), finding.green.as_deref())
}

fn arrow(blue: Option<&str>, green: Option<&str>) -> String {
    let cut = |v: Option<&str>| match v {
        None => "(nothing)".to_owned(),
        Some(v) if v.chars().count() > VALUE_CHARS_MAX => {
            v.chars().take(VALUE_CHARS_MAX).chain(['…']).collect()
        }
        Some(v) => v.to_owned(),
    };
    if blue.is_none() && green.is_none() { String::new() } else { format!("{} -> {}", cut(blue), cut(green)) }
}

fn short(mark: &Mark) -> String {
    if mark.is_nowhere() { String::new() } else { format!("{}:{}", mark.source, mark.line) }
}

fn line(out: &mut String, what: &str, place: &str) {
    let pad = PLACE_COLUMN.saturating_sub(what.chars().count()).max(2);
    let padded = format!("{what}{:pad$}{place}", "");
    out.push_str(padded.trim_end());
    out.push('\n');
}
