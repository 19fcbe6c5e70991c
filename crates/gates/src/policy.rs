//! The policy gate: rules in Rego, asked about the plan, the findings of the other gates, the rollout and the time.
//!
//! A policy is a module with a set `deny`, and perhaps a set `warn`, of what it holds against the rollout. Each member is a text, or
//! an object:
//!
//! | key | holds |
//! |---|---|
//! | `requirement` | whose rule it is and its number: `PCI DSS 8.3.1` |
//! | `says` | the rule's words |
//! | `because` | what breaks it here |
//!
//! What it is asked about is `input` ([`input`], [`shape`]): a path that is not there is an error, since it would deny nothing; `data.crossfade.requirements` has the words of every [control](crate::control) by
//! its name. There is a policy ready for each standard ([`library`]). Evaluation reads no clock and asks nobody: the time is part of the
//! input.
//!
//! It does *not* decide what a finding is: a policy weighs what the other gates have found.

mod bounded;
mod judge;
mod library;
pub mod shape;
mod steps;
mod texts;

use std::collections::BTreeMap;
use std::fmt;

use regorus::Engine;
use serde::Deserialize;
use serde_json::{Value, json};

pub use judge::{cannot_ask, judge};
pub(crate) use library::EMBEDDED;
pub use library::{library, staged};
pub use steps::{Memory, STACK_BYTES};

use self::steps::{End, MEMORY_MAX};
use crate::control::CONTROLS;
use crate::rule::rules;

rules! { "CF-POLICY-";
    DENIED = "001" policy_denies High Security [PCI_6_5_1, SOC2_CC8_1, NIST_CM_3, GDPR_5_2]
        "A policy denies the rollout."
        "What a standard asks for would not be so: the finding quotes the rule."
        "Mend what breaks the rule; where the rule allows it, accept the risk with a waiver of the finding behind it.";
    BROKEN = "002" policy_broken Unknown Security [PCI_6_5_1, SOC2_CC8_1, NIST_CM_3]
        "A policy cannot be asked."
        "Rules that nobody can read deny nothing, and nothing passes by them."
        "Correct the file where the finding points to; `crossfade policy` checks it.";
    WARNED = "003" policy_warns Note Security [SOC2_CC8_1, NIST_CM_3]
        "A policy warns."
        "It denies nothing yet, and its author wants it known."
        "Read it.";
    NOT_KNOWN = "004" policy_lacks_findings Unknown Security [PCI_6_5_2, NIST_CM_4_2]
        "A policy is asked about gates that have no verdict."
        "What no gate has found out, no rule can allow."
        "Give the gates that the finding names what they lack, and run them again.";
}

/// A policy's text, and the name it goes by in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A file's name.
    pub name: String,
    /// Rego.
    pub text: String,
}

/// Why a policy cannot be asked. Displays as `policy.rego:3:5: what`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", place(.name, *.line, *.column))]
pub struct PolicyError {
    /// The file.
    pub name: String,
    /// The line in it, from 1, if that is known.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub what: String,
}

fn place(name: &str, line: Option<u32>, column: Option<u32>) -> String {
    [line, column].into_iter().flatten().fold(name.to_owned(), |place, number| format!("{place}:{number}"))
        + ": "
}

/// What a policy holds against a rollout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Objection {
    /// `PCI DSS 8.3.1`; empty if the policy does not say.
    pub requirement: String,
    /// The rule's words.
    pub says: String,
    /// What breaks it here.
    pub because: String,
    /// The file of the policy.
    pub policy: String,
}

/// What policies say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// What they deny it for.
    pub denials: Vec<Objection>,
    /// What they warn of.
    pub warnings: Vec<Objection>,
}

/// The largest policy.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// How much evaluating one rule may take, in steps of the interpreter: some seconds. Counted, and not timed, so that a policy that is
/// answered is always answered. The ready ones take some thousands.
const STEPS_MAX: u64 = 10_000_000;

/// What a rule says, about, in bytes.
const ANSWER_MAX: usize = 16 << 20;

/// Asks each policy about `input`. `memory`: what this process has in use, by which an evaluation that takes too much of it is
/// ended. Rules that call each other too deep are stopped on a thread with [`STACK_BYTES`].
///
/// # Errors
/// The first that cannot be read or asked, with its place.
pub fn ask(policies: &[Source], input: &Value, memory: Memory) -> Result<Answers, PolicyError> {
    let mut answers = Answers::default();
    for policy in policies {
        let (denials, warnings) = ask_one(policy, input, STEPS_MAX, memory)?;
        answers.denials.extend(denials);
        answers.warnings.extend(warnings);
    }
    Ok(answers)
}

/// Whether a policy can be read and asked.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn check(policy: &Source, memory: Memory) -> Result<(), PolicyError> {
    let nothing = json!({ "findings": [], "gates": {}, "plan": {}, "rollout": {}, "time": { "unix": 0 }, "waivers": [] });
    ask_one(policy, &nothing, STEPS_MAX, memory).map(drop)
}

/// One policy, with nothing else loaded: two files do not see each other.
fn ask_one(
    policy: &Source,
    input: &Value,
    steps_max: u64,
    memory: Memory,
) -> Result<(Vec<Objection>, Vec<Objection>), PolicyError> {
    let wrong = |what: String| located(policy, &what);
    if policy.text.len() > TEXT_BYTES_MAX {
        return Err(wrong(format!("{} bytes; a policy has at most {TEXT_BYTES_MAX}", policy.text.len())));
    }
    let mut engine = Engine::new();
    bounded::add(&mut engine);
    texts::add(&mut engine);
    let failed = |error: &dyn fmt::Display| wrong(error.to_string());
    let package =
        engine.add_policy(policy.name.clone(), policy.text.clone()).map_err(|error| failed(&error))?;
    let names: BTreeMap<String, &str> =
        CONTROLS.iter().map(|control| (control.to_string(), control.asks)).collect();
    let data = json!({ "crossfade": { "requirements": names } });
    engine.add_data_json(&data.to_string()).map_err(|error| failed(&error))?;
    engine.set_input_json(&input.to_string()).map_err(|error| failed(&error))?;
    let declares =
        |engine: &Engine, rule: &str| engine.has_declared_rule_rooted_at(&policy.name, rule).unwrap_or(false);
    if !declares(&engine, "deny") {
        return Err(wrong(format!(
            "{package} has no rule `deny`: it would deny nothing; add `deny contains … if {{ … }}`"
        )));
    }
    if let Some(error) = shape::misspelt(policy) {
        return Err(error);
    }
    let mut set = |rule: &str| -> Result<Vec<Objection>, PolicyError> {
        if !declares(&engine, rule) {
            return Ok(Vec::new());
        }
        steps::allow(&mut engine, steps_max, memory);
        let value =
            engine.eval_rule(format!("{package}.{rule}")).map_err(|error| match steps::ended_by() {
                Some(End::Steps) => {
                    wrong(format!("`{rule}` has come to no end within {steps_max} steps; simplify it"))
                }
                Some(End::Memory) => {
                    wrong(format!("`{rule}` takes more than {} MiB of memory; simplify it", MEMORY_MAX >> 20))
                }
                Some(End::Stack) => wrong(format!("rules of `{rule}` call each other too deep; simplify it")),
                None => failed(&error),
            })?;
        texts::weight_within(&value, ANSWER_MAX)
            .map_err(|_| wrong(format!("`{rule}` says more than anybody can read; simplify it")))?;
        let text = value.to_json_str().map_err(|error| failed(&error))?;
        members(policy, rule, &text)
    };
    Ok((set("deny")?, set("warn")?))
}

/// A member of `deny` or `warn`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Member {
    Text(String),
    Object {
        #[serde(default)]
        requirement: String,
        #[serde(default)]
        says: String,
        because: String,
    },
}

fn members(policy: &Source, rule: &str, json: &str) -> Result<Vec<Objection>, PolicyError> {
    let members: Vec<Member> = serde_json::from_str(json).map_err(|_| {
        let what = format!(
            "`{rule}` is to be a set of texts, or of objects with `because`: write `{rule} contains …`"
        );
        located(policy, &what)
    })?;
    let one = |member| {
        let (requirement, says, because) = match member {
            Member::Text(because) => (String::new(), String::new(), because),
            Member::Object { requirement, says, because } => (requirement, says, because),
        };
        Objection { requirement, says, because, policy: policy.name.clone() }
    };
    let mut objections: Vec<Objection> = members.into_iter().map(one).collect();
    objections.sort();
    Ok(objections)
}

/// The engine's messages begin with `--> file:line:column`, show the line, and end with what is wrong.
fn located(policy: &Source, message: &str) -> PolicyError {
    let arrow = format!("--> {}:", policy.name);
    let Some((_, rest)) = message.split_once(&arrow) else {
        return PolicyError {
            name: policy.name.clone(),
            line: None,
            column: None,
            what: message.trim().to_owned(),
        };
    };
    let first = rest.lines().next().unwrap_or_default();
    let mut numbers = first.split(':').map(|number| number.trim().parse().ok());
    let (line, column) = (numbers.next().flatten(), numbers.next().flatten());
    let last = rest.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let what = last.strip_prefix("error:").unwrap_or(last).trim().to_owned();
    PolicyError { name: policy.name.clone(), line, column, what }
}

/// What policies are asked about.
///
/// | key | holds |
/// |---|---|
/// | `plan` | the plan's outline: `change`, `steps`, `gates`, `required_gates`, `later_gates`, `on_failure`, … |
/// | `rollout` | `id`, `from`, `to`, `moment`; its `steps`, where it is (`step`, `weight`), the `runs` of its gates, `approval` |
/// | `gates` | by name: `verdict`, `summary` |
/// | `findings` | of all gates: `gate`, `id`, `rule`, `severity`, `class`, `where`, `detail`, `controls`, `accepted` |
/// | `waivers` | those of the spec: `finding`, `reason`, `owner`, `expires`, `expires_unix` |
/// | `time` | `unix`: seconds since 1970 |
pub fn input(plan: Value, rollout: Value, reports: &[Value], waivers: Value, now_unix: u64) -> Value {
    let mut findings = Vec::new();
    let mut gates = serde_json::Map::new();
    for report in reports {
        let Some(gate) = report["gate"].as_str() else { continue };
        gates.insert(gate.to_owned(), json!({ "verdict": report["verdict"], "summary": report["summary"] }));
        for finding in report["findings"].as_array().into_iter().flatten() {
            let mut finding = finding.clone();
            finding["gate"] = json!(gate);
            findings.push(finding);
        }
    }
    json!({
        "plan": plan,
        "rollout": rollout,
        "gates": gates,
        "findings": findings,
        "waivers": waivers,
        "time": { "unix": now_unix },
    })
}

#[cfg(test)]
mod tests;
