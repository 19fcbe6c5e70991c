//! JUnit XML, as continuous integration reads it: a test case for each gate.
//!
//! There is no standard; this is the common denominator of what Jenkins, GitLab and GitHub's readers take: `testsuites`,
//! `testsuite`, `testcase`, `failure` (the gate fails), `error` (no verdict), `system-out`.

use std::fmt::Write;
use std::time::Duration;

use super::text;
use crate::report::{Report, Verdict};

/// The reports as one suite.
pub fn junit(reports: &[Report]) -> String {
    let count = |wanted| reports.iter().filter(|report| report.verdict() == wanted).count();
    let (failures, errors) = (count(Verdict::Fail), count(Verdict::NoVerdict));
    let took = reports.iter().filter_map(|report| report.took).sum::<Duration>().as_secs_f64();
    let counts =
        format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{took:.3}\"", reports.len());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    put(&mut out, &format!("<testsuites name=\"crossfade\" {counts}>"));
    put(&mut out, &format!("  <testsuite name=\"crossfade gates\" {counts} skipped=\"0\">"));
    reports.iter().for_each(|report| case(&mut out, report));
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn case(out: &mut String, report: &Report) {
    let took = report.took.unwrap_or_default().as_secs_f64();
    let head =
        format!("    <testcase classname=\"crossfade.gate\" name=\"{}\" time=\"{took:.3}\"", report.gate);
    let element = match report.verdict() {
        Verdict::Pass => None,
        Verdict::Fail => Some("failure"),
        Verdict::NoVerdict => Some("error"),
    };
    put(out, &format!("{head}>"));
    if let Some(element) = element {
        let kind = report.first().map_or("", |finding| finding.id);
        put(
            out,
            &format!(
                "      <{element} type=\"{kind}\" message=\"{}\">{}</{element}>",
                escaped(&report.summary),
                escaped(&text(report))
            ),
        );
    } else {
        put(out, &format!("      <system-out>{}</system-out>", escaped(&text(report))));
    }
    out.push_str("    </testcase>\n");
}

/// For content and attributes of XML 1.0, which has no way at all to write most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

fn put(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("a string takes it");
}
