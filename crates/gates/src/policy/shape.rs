//! What is in `input`, and what a policy asks for that is not: a misspelt path is undefined, and denies nothing.

use super::{PolicyError, Source};

/// A path that policies may ask for. `[…]` stands for any key of a map, or any place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// As rules write it: `input.findings[_].id`.
    pub path: &'static str,
    /// What is there.
    pub holds: &'static str,
}

macro_rules! rows {
    ($($path:literal $holds:literal),* $(,)?) => { &[$(Row { path: $path, holds: $holds }),*] };
}

/// All of it. What lies below the last row of a branch may be asked for, and is not held against anything.
pub const SHAPE: &[Row] = rows![
    "input.plan.rollout" "the rollout's id",
    "input.plan.from" "the active environment",
    "input.plan.to" "the candidate",
    "input.plan.change.ticket" "the spec's `change`; empty if it does not say",
    "input.plan.change.reason" "likewise",
    "input.plan.change.impact" "likewise",
    "input.plan.protection" "`copy`",
    "input.plan.window" "`overlap`, `skew` and `gamma`, in nanoseconds",
    "input.plan.seed" "what decides which traces move",
    "input.plan.steps[_]" "an object with one key, the kind of step: `mirror`, `weight`, `pause`, `promote`, `bake`, `finalize`",
    "input.plan.gates[gate]" "the settings of a gate, with the usual ones written out; `off` is why it does not look. `waivers` is a list",
    "input.plan.required_gates[_]" "the names of the gates that look first; absent if they are `drift` and `probe` alone",
    "input.plan.later_gates[_].gate" "a gate that looks later; absent if none does",
    "input.plan.later_gates[_].moment" "when: `mirror`, `weight`, `promoted`",
    "input.plan.later_gates[_].every" "how often within a step, such as `5m`; absent: once",
    "input.plan.left_out[gate]" "why a gate that would look unasked does not; absent if all do",
    "input.plan.analysis" "the spec's `analysis`, with the usual settings written out",
    "input.plan.split_at_window" "true in plans of this version",
    "input.plan.seeds_on_record" "likewise",
    "input.plan.on_failure" "`rollback` or `hold`",
    "input.rollout.id" "the rollout's id",
    "input.rollout.from" "the active environment",
    "input.rollout.to" "the candidate",
    "input.rollout.moment" "`preflight`, `mirror`, `weight` or `promoted`",
    "input.rollout.steps[_].number" "a step, from 1",
    "input.rollout.steps[_].kind" "`mirror`, `weight`, `pause`, `promote`, `bake` or `finalize`",
    "input.rollout.steps[_].percent" "the share of traces of `mirror` and `weight`, as a number",
    "input.rollout.steps[_].duration_secs" "its time in seconds, if it has any",
    "input.rollout.steps[_].status" "`ahead`, `running`, `done`, `left_early`, `skipped` or `stopped`; `ahead` in a plan that does not run",
    "input.rollout.step" "the number of the step that runs or comes next; absent before traffic moves",
    "input.rollout.weight" "the share of traces that the candidate owns, in percent, as a number",
    "input.rollout.began_unix" "when it began, in seconds since 1970; absent in a plan that does not run",
    "input.rollout.runs[_].gate" "a gate that has looked, here or before; a list without those of `policy`, empty in a plan that does not run",
    "input.rollout.runs[_].moment" "when: `preflight`, `mirror`, `weight` or `promoted`",
    "input.rollout.runs[_].step" "the number of its step; absent in preflight",
    "input.rollout.runs[_].run" "how often it was started there; the rest is of the last time",
    "input.rollout.runs[_].missed" "how many runs before that were no pass",
    "input.rollout.runs[_].verdict" "`pass`, `fail` or `no_verdict`; `running`, or `void` if it has to look again",
    "input.rollout.runs[_].summary" "what it came to, in a line",
    "input.rollout.runs[_].evidence" "the digest of its report, `sha256:…`; absent if there is none",
    "input.rollout.runs[_].waived[_]" "the ids of findings that waivers let through",
    "input.rollout.runs[_].began_unix" "when it was started, in seconds since 1970",
    "input.rollout.approval.not_required" "why nobody has to approve it; `approval` is absent before that is on record",
    "input.gates[gate].verdict" "`pass`, `fail` or `no_verdict` of a gate that has looked",
    "input.gates[gate].summary" "what it came to, in a line",
    "input.findings[_].gate" "the gate whose finding it is",
    "input.findings[_].id" "`CF-DRIFT-014`",
    "input.findings[_].rule" "its name: `redaction_removed`",
    "input.findings[_].severity" "`critical`, `high`, `medium`, `low`, `note` or `unknown`",
    "input.findings[_].class" "`security`, `data`, `behaviour`, `capacity` or `cosmetic`",
    "input.findings[_].where.environment" "where; what does not apply is absent, here and below",
    "input.findings[_].where.file" "a file",
    "input.findings[_].where.line" "a line in it",
    "input.findings[_].where.column" "a column",
    "input.findings[_].where.component" "a path in a configuration, a service, a field",
    "input.findings[_].where.url" "the address that was asked",
    "input.findings[_].where.trace_id" "an example",
    "input.findings[_].where.span_id" "an example",
    "input.findings[_].detail" "what it means here, in a sentence",
    "input.findings[_].expected" "what should be there, or null",
    "input.findings[_].seen" "what is there, or null",
    "input.findings[_].why" "why it matters",
    "input.findings[_].remedy" "what to do",
    "input.findings[_].controls[_]" "the controls that it touches: `PCI DSS 8.3.1`",
    "input.findings[_].accepted.by" "`declaration` or `waiver`; `accepted` is absent if nobody lets it through",
    "input.findings[_].accepted.reason" "why",
    "input.findings[_].accepted.where" "where it is declared, if by a declaration",
    "input.findings[_].accepted.owner" "who answers for it, if by a waiver",
    "input.findings[_].accepted.expires" "until when, if by a waiver",
    "input.waivers[_].finding" "the spec's waivers: of which finding",
    "input.waivers[_].where" "where, or null",
    "input.waivers[_].reason" "why",
    "input.waivers[_].owner" "who answers for it",
    "input.waivers[_].expires" "until when, as text",
    "input.waivers[_].expires_unix" "and in seconds since 1970",
    "input.time.unix" "now, in seconds since 1970",
];

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A key.
    Key(String),
    /// Any of a map or list.
    Any,
}

impl Part {
    fn fits(&self, other: &Part) -> bool {
        *self == *other || matches!((self, other), (Part::Any, _) | (_, Part::Any))
    }
}

/// Whether anything of `input` may be at this path.
pub fn is_known(path: &[Part]) -> bool {
    SHAPE.iter().any(|row| row.fits(path))
}

impl Row {
    /// Its path, step by step.
    pub fn parts(self) -> Vec<Part> {
        paths(self.path).into_iter().next().map(|path| path.parts).unwrap_or_default()
    }

    /// Whether a path leads along this one, as far as both go.
    pub fn fits(self, path: &[Part]) -> bool {
        self.parts().iter().zip(path).all(|(one, other)| one.fits(other))
    }
}

/// The first path of a policy that nothing is at, as an error with its place.
pub(super) fn misspelt(policy: &Source) -> Option<PolicyError> {
    let wrong = paths(&policy.text).into_iter().find(|path| !is_known(&path.parts))?;
    // So far it is right.
    let known =
        (0..wrong.parts.len()).rev().find(|length| is_known(&wrong.parts[..*length])).unwrap_or_default();
    let before = &wrong.parts[..known];
    let rows = SHAPE.iter().map(|row| row.parts());
    let below =
        rows.filter(|row| row.len() > known && row.iter().zip(before).all(|(one, other)| one.fits(other)));
    let mut there: Vec<String> = below.filter_map(|row| name(&row[known])).collect();
    there.dedup();
    let what = format!(
        "`{}` is nothing that policies are asked about; below `{}` there {} {}",
        shown(&wrong.parts[..=known]),
        shown(before),
        if there.len() == 1 { "is" } else { "are" },
        there.join(", ")
    );
    let (name, line, column) = (policy.name.clone(), Some(wrong.line), Some(wrong.column));
    Some(PolicyError { name, line, column, what })
}

fn name(part: &Part) -> Option<String> {
    match part {
        Part::Key(key) => Some(key.clone()),
        Part::Any => None,
    }
}

fn shown(parts: &[Part]) -> String {
    parts.iter().fold("input".to_owned(), |path, part| match part {
        Part::Key(key) => format!("{path}.{key}"),
        Part::Any => format!("{path}[_]"),
    })
}

/// A path below `input` in a text, and where it begins.
struct Path {
    parts: Vec<Part>,
    line: u32,
    column: u32,
}

/// Every path below `input` that a policy names; in comments and texts there is none. A path ends where a rule goes on with a variable
/// of its own (`some x in input.findings`).
fn paths(text: &str) -> Vec<Path> {
    let mut found = Vec::new();
    let mut reader = Reader { rest: text, line: 1, column: 1 };
    let mut before = None;
    while let Some(next) = reader.rest.chars().next() {
        match next {
            '#' => reader.past(|c| c != '\n'),
            '"' | '`' => drop(reader.quoted(next)),
            _ if is_word(next) => {
                let (line, column) = (reader.line, reader.column);
                let word = reader.word();
                if word == "input" && before != Some('.') {
                    found.push(Path { parts: reader.parts(), line, column });
                }
            }
            _ => reader.step(),
        }
        before = Some(next);
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

struct Reader<'t> {
    rest: &'t str,
    line: u32,
    column: u32,
}

impl<'t> Reader<'t> {
    fn step(&mut self) {
        let mut chars = self.rest.chars();
        match chars.next() {
            Some('\n') => (self.line, self.column) = (self.line + 1, 1),
            _ => self.column += 1,
        }
        self.rest = chars.as_str();
    }

    fn past(&mut self, is: impl Fn(char) -> bool) {
        while self.rest.starts_with(&is) {
            self.step();
        }
    }

    fn word(&mut self) -> &'t str {
        let from = self.rest;
        self.past(is_word);
        &from[..from.len() - self.rest.len()]
    }

    /// A text, whose beginning is next. What is escaped in it stays so.
    fn quoted(&mut self, quote: char) -> &'t str {
        self.step();
        let from = self.rest;
        while let Some(next) = self.rest.chars().next().filter(|next| *next != quote) {
            if next == '\\' && quote == '"' {
                self.step();
            }
            self.step();
        }
        let text = &from[..from.len() - self.rest.len()];
        self.step();
        text
    }

    /// What follows `input`: `.key`, `["key"]`, `[anything]`.
    fn parts(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        loop {
            let mut chars = self.rest.chars();
            match (chars.next(), chars.next()) {
                (Some('.'), Some(next)) if is_word(next) => {
                    self.step();
                    parts.push(Part::Key(self.word().to_owned()));
                }
                (Some('['), _) => {
                    self.step();
                    parts.push(self.bracketed());
                }
                _ => return parts,
            }
        }
    }

    /// What stands between brackets, up to behind the second.
    fn bracketed(&mut self) -> Part {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '`'));
        let key = quote.map(|quote| self.quoted(quote).to_owned());
        let is_alone = self.rest.starts_with(']');
        let mut open = 1;
        while let (Some(next), true) = (self.rest.chars().next(), open > 0) {
            match next {
                '"' | '`' => _ = self.quoted(next),
                '[' => open += 1,
                ']' => open -= 1,
                _ => {}
            }
            if !matches!(next, '"' | '`') {
                self.step();
            }
        }
        key.filter(|_| is_alone).map_or(Part::Any, Part::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(rule: &str) -> Option<String> {
        let text = format!("package bank\n\ndeny contains \"no\" if {{\n\t{rule}\n}}\n");
        misspelt(&Source { name: "bank.rego".into(), text }).map(|error| error.to_string())
    }

    /// Guarantee: a path that there is not is told with its place and what there is; one that there is, in whatever form, is none.
    #[test]
    fn a_misspelt_path_is_told() {
        for right in [
            "input.plan.change.ticket == \"\"",
            "input[\"plan\"].change[`ticket`]",
            "input.plan.gates[gate].off",
            "input.plan.gates.drift.allow[_].path",
            "input.plan.steps[i].weight.percent",
            "some finding in input.findings",
            "input.findings[count([x | x := input.findings[_].id])].severity",
            "x := input",
            "input[key].anything",
            "\"input.nothing\" # input.nothing",
            "`\ninput.nothing`",
            "data.input.nothing; myinput.nothing; input_x.nothing",
            "\"a\\\"input.nothing\"",
        ] {
            assert_eq!(wrong(right), None, "{right}");
        }
        for (rule, said) in [
            (
                "input.plan.chnage.ticket == \"\"",
                "bank.rego:4:2: `input.plan.chnage` is nothing that policies are asked about; below `input.plan` there are rollout, from, to, change,",
            ),
            (
                "x := 1; input.finding[_].id",
                "bank.rego:4:10: `input.finding` is nothing that policies are asked about; below `input` there are plan, rollout,",
            ),
            ("input.time.now", "below `input.time` there is unix"),
            ("input.findings[_].severty", "`input.findings[_].severty` is nothing"),
            ("input.findings[x[\"]\"]].severty", "`input.findings[_].severty` is nothing"),
            ("input[\"findings\"][0][\"where\"].path", "`input.findings[_].where.path` is nothing"),
            (
                "\"text\"; input.plan.later_gates[_].when",
                "below `input.plan.later_gates[_]` there are gate, moment, every",
            ),
        ] {
            let told = wrong(rule).unwrap_or_default();
            assert!(told.contains(said), "{rule}: {told}");
        }
    }

    /// Guarantee: the page that explains the input has every row, in this order, and no other.
    #[test]
    fn the_reference_page_has_the_shape() {
        let page = include_str!("../../../../docs/reference/policy-input.md");
        let rows: Vec<String> =
            SHAPE.iter().map(|row| format!("| `{}` | {} |", row.path, row.holds)).collect();
        let told: Vec<&str> = page.lines().filter(|line| line.starts_with("| `input")).collect();
        assert_eq!(told, rows);
    }
}
