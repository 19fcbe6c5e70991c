//! For people.

use std::fmt::Write;

use crossfade_yaml::Mark;

use super::super::report::{DriftReport, Finding};

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
    let mut out = String::new();
    for finding in &report.findings {
        match &finding.declared {
            None => undeclared(&mut out, finding),
            Some(declared) => {
                let place = declared.mark.as_ref().map_or_else(|| declared.reason.clone(), short);
                let what = format!("  ~ {:<9} {} {}", finding.class.word(), finding.path, values(finding));
                line(&mut out, &what, &format!("declared {place}"));
            }
        }
    }
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
    out.push_str(&summary(report, detail));
    if report.as_written > 0 {
        writeln!(out, "{}", as_written(report.as_written)).expect("a string takes it");
    }
    if !report.unknown_components.is_empty() {
        writeln!(out, "{}", unknown(&report.unknown_components)).expect("a string takes it");
    }
    out
}

/// What the report does not know.
pub fn as_written(count: usize) -> String {
    let (values, hold) =
        if count == 1 { ("value", "holds a reference") } else { ("values", "hold references") };
    format!("{count} {values} {hold}, compared as written: what ${{env:X}} stands for is not known here.")
}

/// Components that the rules do not know, a few by name.
pub fn unknown(components: &[String]) -> String {
    let shown = components.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more =
        if components.len() > 5 { format!(" and {} more", components.len() - 5) } else { String::new() };
    format!("No rule knows {shown}{more}: compared by the words of their settings alone.")
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

fn summary(report: &DriftReport, detail: Detail) -> String {
    let (all, declared) = (report.findings.len(), report.declared());
    let noun = if all == 1 { "difference" } else { "differences" };
    let mut out = match all {
        0 => "No differences.".to_owned(),
        _ => format!("{all} {noun}: {declared} declared, {} not.", report.undeclared()),
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
