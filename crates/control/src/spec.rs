//! A rollout spec as it is taken: it means what it says. Nothing in it is replaced, and no secret stands in it in the clear.
//!
//! What is reviewed, digested and approved is the text. A value from the environment or a file of whoever reads it would be
//! none of that, and on the control plane's side it would hand its files to whoever may plan.

use std::fmt;

use crossfade_gates::drift::shows_secret;
use crossfade_gates::explain;
use crossfade_rollout::Spec;
use crossfade_rollout::spec::{Allow, Gates, SpecError, Waiver};
use crossfade_yaml::{self as yaml, ExpandError, Mark, Node, Resolution, Resolve};

use crate::files::field_at;
use crate::gates::drift::literal;
use crate::site::Problem;

/// Why a text is not taken as a spec.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is none.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It says what must not be said in a spec.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
}

/// Reads a spec. `source` names the text in messages.
///
/// # Errors
/// Names file, line, column, field and remedy, and repeats no secret.
pub fn read(text: &str, source: &str) -> Result<Spec, ReadError> {
    let spec = match Spec::parse(text, source, &Refuse) {
        Err(SpecError::Expand(ExpandError::Failed { mark, reference, .. })) => {
            let node = yaml::parse(text, source).map_err(SpecError::from)?;
            return Err(ReadError::Problems(vec![replaced(&node, mark, &reference)]));
        }
        other => other?,
    };
    discreet(&spec.gates)?;
    known(&spec.gates)?;
    Ok(spec)
}

/// Refuses gates that declare a secret in the clear: those of a spec, or of a plan from elsewhere.
///
/// # Errors
/// As [`read`].
pub fn discreet(gates: &Gates) -> Result<(), ReadError> {
    let declared = gates.drift.allow.iter().enumerate();
    let bare: Vec<Problem> = declared.flat_map(|(index, allow)| bare_secrets(index, allow)).collect();
    if bare.is_empty() { Ok(()) } else { Err(ReadError::Problems(bare)) }
}

/// Refuses waivers of findings that nothing makes: nothing would come of them.
fn known(gates: &Gates) -> Result<(), ReadError> {
    let unknown = gates.waivers.iter().enumerate();
    let unknown = unknown.filter(|(_, waiver)| explain::rule(&waiver.finding.value).is_none());
    let problem = |(index, waiver): (usize, &Waiver)| Problem {
        field: format!("gates.waivers[{index}].finding"),
        mark: waiver.finding.mark.clone(),
        what: format!("there is no finding {}", waiver.finding.value),
        remedy: "copy the id from a report; `crossfade explain` lists them all".to_owned(),
    };
    let problems: Vec<Problem> = unknown.map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(ReadError::Problems(problems)) }
}

/// Answers no reference at all.
struct Refuse;

impl Resolve for Refuse {
    fn resolve(&self, _: &str, _: &str) -> Resolution {
        Resolution::Failed(String::new())
    }
}

fn replaced(node: &Node, mark: Mark, reference: &str) -> Problem {
    Problem {
        field: field_at(node, &mark).unwrap_or_else(|| "a value".to_owned()),
        mark,
        what: format!("`${{{reference}}}` is a reference, and nothing in a rollout spec is replaced"),
        remedy: "write the value itself, or `$${` for the characters `${`".to_owned(),
    }
}

/// Declared values that the drift report would hide.
fn bare_secrets(index: usize, allow: &Allow) -> Vec<Problem> {
    let path = &allow.path.value;
    let sides = [("from", &allow.from), ("to", &allow.to)];
    // What cannot be read cannot be told from a secret.
    let is_bare = |value| literal(value).is_none_or(|value| shows_secret(path, &value));
    let bare = sides.into_iter().filter(|(_, value)| value.is_some() && is_bare(value));
    let problem = |(side, _)| {
        Problem {
        mark: match allow.path.mark.is_nowhere() {
            true => Mark::new("the plan", 0, 0),
            false => allow.path.mark.clone(),
        },
        field: format!("gates.drift.allow[{index}].{side}"),
        what: format!("{path} may be a secret, and its value stands here in the clear"),
        remedy: "take the value out of the spec, plan, and declare the `<redacted sha256:…>` that the drift gate shows \
                 instead; if it was committed, change the secret"
            .to_owned(),
    }
    };
    bare.map(problem).collect()
}

fn lines<T: fmt::Display>(problems: &[T]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::read;

    const SPEC: &str = "\
name: move
from: blue
to: green
steps: [{ mirror: { percent: 5, duration: 1m } }, { weight: { percent: 100, duration: 1m } }, { promote: {} }, { finalize: {} }]
";

    fn refusal(more: &str) -> String {
        read(&format!("{SPEC}{more}"), "rollout.yaml").expect_err("refused").to_string()
    }

    #[test]
    fn a_reference_is_refused_with_its_place() {
        let rest = "is a reference, and nothing in a rollout spec is replaced; write the value itself, or `$${` for the characters `${`";
        for (reference, named) in [
            ("${file:crossfade-data/keys/log.key}", "${file:crossfade-data/keys/log.key}"),
            ("${env:HOME}", "${env:HOME}"),
            ("${HOME:-none}", "${env:HOME}"),
            ("because of ${env:HOME}", "${env:HOME}"),
        ] {
            let said = refusal(&format!("change: {{ reason: \"{reference}\" }}\n"));
            assert_eq!(said, format!("rollout.yaml:5:19: change.reason: `{named}` {rest}"));
        }
    }

    #[test]
    fn escaped_it_is_text() {
        let spec =
            read(&format!("{SPEC}change: {{ reason: \"$${{env:HOME}} costs 5 $\" }}\n"), "rollout.yaml");
        assert_eq!(spec.expect("a spec").change.reason, "${env:HOME} costs 5 $");
    }

    fn allow(path: &str, from: &str, to: &str) -> String {
        let path = serde_json::Value::from(path);
        format!(
            "gates:\n  drift:\n    allow:\n      - {{ path: {path}, from: {from}, to: {to}, reason: CHG-1 }}\n"
        )
    }

    /// Scenario: a difference of a secret is declared with the secret itself.
    /// Guarantee: the spec is refused, and the refusal does not repeat it.
    #[test]
    fn a_secret_in_the_clear_is_refused_and_not_repeated() {
        for (path, from, to, sides) in [
            ("collector:exporters.otlp/a.headers.authorization", "Bearer hunter2", "null", "from"),
            ("collector:extensions.bearertokenauth.token", "null", "hunter2", "to"),
            ("exporters.otlp/a.headers[\"x.team\"]", "hunter2a", "hunter2b", "from to"),
            ("collector:extensions.x.password", "12345", "null", "from"),
            (
                "collector:exporters.otlp/a",
                "null",
                "{ endpoint: \"a:1\", headers: { x-key: hunter2 } }",
                "to",
            ),
            ("collector:exporters.otlp/a.endpoint", "\"https://u:hunter2@a\"", "\"https://a\"", "from"),
            ("collector:processors.attributes.actions[api_token].value", "hunter2", "null", "from"),
            ("collector:exporters.otlp.headers[\"a:b\"]", "hunter2", "null", "from"),
        ] {
            let said = refusal(&allow(path, from, to));
            assert!(!said.contains("hunter2") && !said.contains("12345"), "{said}");
            assert_eq!(said.lines().count(), sides.split(' ').count(), "{said}");
            for side in sides.split(' ') {
                let place = format!("rollout.yaml:8:17: gates.drift.allow[0].{side}: {path} may be a secret");
                assert!(said.contains(&place), "{said}");
            }
        }
    }

    #[test]
    fn a_waiver_of_what_no_gate_finds_is_refused_with_its_place() {
        let waive = |id: &str| {
            format!(
                "gates:\n  waivers:\n    - {{ finding: {id}, where: w, reason: r, owner: o, expires: 2500-01-01 }}\n"
            )
        };
        let said = refusal(&waive("CF-DRIFT-999"));
        assert!(
            said.starts_with(
                "rollout.yaml:7:18: gates.waivers[0].finding: there is no finding CF-DRIFT-999; copy "
            ),
            "{said}"
        );
        for (id, _) in crossfade_gates::explain::known() {
            let said = read(&format!("{SPEC}{}", waive(id)), "rollout.yaml").err();
            assert!(said.is_none(), "{id}: {said:?}");
        }
    }

    #[test]
    fn what_is_no_secret_may_be_declared() {
        for (path, from, to) in [
            ("collector:processors.batch.timeout", "5s", "10s"),
            ("collector:extensions.bearertokenauth.token", "\"<redacted sha256:0a1b2c3d>\"", "\"$${env:T}\""),
            ("collector:extensions.bearertokenauth.scheme", "Bearer", "Token"),
            ("collector:exporters.otlp/a.headers.x-scope-orgid", "a", "b"),
            ("collector:exporters.otlp/a.endpoint", "\"https://<redacted sha256:0a1b2c3d>@a\"", "null"),
            ("collector:exporters.otlp/token.endpoint", "a:1", "b:1"),
        ] {
            let text = format!("{SPEC}{}", allow(path, from, to));
            assert!(read(&text, "rollout.yaml").is_ok(), "{path}: {:?}", read(&text, "rollout.yaml").err());
        }
    }
}
