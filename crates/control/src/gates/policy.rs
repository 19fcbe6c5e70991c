//! The policy gate's inputs: the plan, what other gates found, the time; and policies, ready ones and files.

use std::io::Read;
use std::path::{Component, Path};

use crossfade_gates::control;
use crossfade_gates::policy::{
    PolicyError, STACK_BYTES, Source, TEXT_BYTES_MAX, ask, cannot_ask, input, judge, library, staged,
};
use crossfade_gates::report::Report;
use crossfade_rollout::Digest;
use crossfade_rollout::event::Gate;
use crossfade_rollout::plan::Outline;
use crossfade_rollout::spec::{self, Moment, Standard, Waiver};
use crossfade_routing::UnixNanos;
use serde_json::{Value, json};

use super::resident::resident;
use super::{Cx, course};

/// What snapshots name a policy by, before its file; no environment's name has a space.
pub(super) const SNAPSHOT: &str = "policy ";

/// Why policies cannot be collected.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// A file outside of what a spec may name.
    #[error(
        "{0} is not for a spec to name: give a file that ends in .rego, below the folder of the site's configuration"
    )]
    Elsewhere(String),
    /// A file that cannot be read.
    #[error("cannot read the policy {name}: {source}; check the path")]
    Unread {
        /// As the spec names it.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What policies are asked about, apart from the plan.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Reports of the gates that have looked.
    pub found: &'a [Value],
    /// When in the rollout this is.
    pub moment: Moment,
    /// How far it has come, if it runs.
    pub course: Option<&'a Value>,
    /// The time that policies see.
    pub now: UnixNanos,
}

/// Runs the gate.
pub(super) async fn run(cx: &Cx<'_>) -> Report {
    let policies = match collect(cx) {
        Ok(policies) => policies,
        Err(error) => return crossfade_gates::look::cannot_look("policy", error.to_string()),
    };
    let (outline, found, moment, now) = (cx.outline.clone(), cx.found.to_vec(), cx.moment, cx.now);
    let course = cx.course.cloned();
    // Rules of others may take their time, and must not keep anybody from noticing that.
    let asked = tokio::task::spawn_blocking(move || {
        report(&outline, &policies, About { found: &found, moment, course: course.as_ref(), now })
    });
    match asked.await {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => cannot_ask(&error),
        Err(_) => crossfade_gates::look::broke("policy"),
    }
}

/// What the policies say of a plan.
///
/// # Errors
/// A policy that cannot be asked, with its place.
pub fn report(outline: &Outline, policies: &[Source], about: About<'_>) -> Result<Report, PolicyError> {
    // What policies have said before is nothing that they are asked about.
    let is_other = |report: &&Value| report["gate"] != Gate::Policy.name();
    let found: Vec<Value> = about.found.iter().filter(is_other).cloned().collect();
    let about = About { found: &found, ..about };
    let input = asked_about(outline, about);
    let answers = apart(|| ask(policies, &input, resident))?;
    let blind = blind(outline, about);
    let names: Vec<String> = policies.iter().map(named).collect();
    Ok(judge(&names, &answers, &blind))
}

/// Whether a policy can be read and asked.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn check(policy: &Source) -> Result<(), PolicyError> {
    apart(|| crossfade_gates::policy::check(policy, resident))
}

/// On a thread with stack enough, which is reserved, and used only as far as it is needed.
fn apart<T: Send>(ask: impl FnOnce() -> Result<T, PolicyError> + Send) -> Result<T, PolicyError> {
    std::thread::scope(|scope| {
        let asked = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, ask);
        let wrong = |what: String| PolicyError { name: "policy".to_owned(), line: None, column: None, what };
        let asked = asked.map_err(|error| wrong(format!("no thread to ask it on: {error}")))?;
        asked.join().unwrap_or_else(|_| Err(wrong("asking it broke".to_owned())))
    })
}

/// `input`, as policies see it.
fn asked_about(outline: &Outline, about: About<'_>) -> Value {
    let plan = serde_json::to_value(outline).unwrap_or_default();
    let mut rollout = about.course.cloned().unwrap_or_else(|| course::planned(outline));
    rollout["moment"] = json!(about.moment);
    let waivers: Vec<Value> = outline.gates.waivers.iter().map(waiver).collect();
    input(plan, rollout, about.found, json!(waivers), seconds(about.now))
}

/// The gates of the moment that have no verdict, or of which there is no report: what they would have found, nobody knows.
fn blind(outline: &Outline, about: About<'_>) -> Vec<String> {
    let verdict = |gate: &str| {
        let report = about.found.iter().find(|report| report["gate"] == gate);
        report.map(|report| report["verdict"].as_str().unwrap_or("no_verdict"))
    };
    let preflight = outline.required_gates.iter().filter(|_| about.moment == Moment::Preflight);
    let later = outline.later_gates.iter().filter(|later| later.moment == about.moment);
    let planned =
        preflight.copied().chain(later.map(|later| later.gate)).filter(|gate| *gate != Gate::Policy);
    let named: Vec<&str> = planned.map(Gate::name).collect();
    let extra = about.found.iter().filter_map(|report| report["gate"].as_str());
    let extra = extra.filter(|gate| !named.contains(gate));
    let without = named.iter().copied().chain(extra).filter_map(|gate| match verdict(gate) {
        None => Some(format!("{gate} (no report)")),
        Some("no_verdict") => Some(gate.to_owned()),
        Some(_) => None,
    });
    without.collect()
}

/// `policy.rego sha256:…`: what was asked, to the byte.
fn named(policy: &Source) -> String {
    format!("{} {}", policy.name, digest(policy))
}

fn digest(policy: &Source) -> Digest {
    Digest::from_bytes(crossfade_tlog::sha256(policy.text.as_bytes()))
}

/// Digests of the files that a spec names, by the names that snapshots give them; why one cannot be read.
pub(super) fn digests(settings: &spec::Policy, site: &Path) -> Vec<(String, Result<Digest, String>)> {
    let folder = site.parent().unwrap_or(Path::new(""));
    let read = |name: &String| file(folder, name).as_ref().map(digest).map_err(ToString::to_string);
    settings.files.iter().map(|name| (format!("{SNAPSHOT}{name}"), read(name))).collect()
}

fn waiver(waiver: &Waiver) -> Value {
    json!({
        "finding": waiver.finding.value,
        "where": waiver.place,
        "reason": waiver.reason,
        "owner": waiver.owner,
        "expires": waiver.expires,
        "expires_unix": seconds(waiver.expires.0),
    })
}

fn seconds(time: UnixNanos) -> u64 {
    time.0 / 1_000_000_000
}

/// The ready policy for a standard of a spec.
pub fn ready(standard: Standard) -> Source {
    library(match standard {
        Standard::Staged => return staged(),
        Standard::Pci => control::Standard::PciDss,
        Standard::Hipaa => control::Standard::Hipaa,
        Standard::Gdpr => control::Standard::Gdpr,
        Standard::Soc2 => control::Standard::Soc2,
        Standard::Nist => control::Standard::Nist80053,
    })
}

fn collect(cx: &Cx<'_>) -> Result<Vec<Source>, PoliciesError> {
    cx.settings.policy.as_ref().map_or(Ok(Vec::new()), |settings| named_by(settings, &cx.site.path))
}

/// The policies that a spec names; files lie below the folder of the site's configuration, wherever the spec comes from.
///
/// # Errors
/// A file elsewhere, or one that cannot be read.
pub fn named_by(settings: &spec::Policy, site: &Path) -> Result<Vec<Source>, PoliciesError> {
    let folder = site.parent().unwrap_or(Path::new(""));
    let files = settings.files.iter().map(|name| file(folder, name));
    settings.standards.iter().map(|standard| Ok(ready(*standard))).chain(files).collect()
}

/// A file of a spec, which may come from elsewhere: it names policies, and nothing else of this machine.
fn file(folder: &Path, name: &str) -> Result<Source, PoliciesError> {
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain || path.extension().is_none_or(|extension| extension != "rego") {
        return Err(PoliciesError::Elsewhere(name.to_owned()));
    }
    source(name, &folder.join(path))
}

/// The policy in a file, by a name.
///
/// # Errors
/// If it is no file of its own (a pipe would never end), too large, or cannot be read.
pub fn source(name: &str, path: &Path) -> Result<Source, PoliciesError> {
    let unread = |source| PoliciesError::Unread { name: name.to_owned(), source };
    let kind = std::fs::metadata(path).map_err(unread)?;
    if !kind.is_file() {
        return Err(unread(std::io::Error::other("it is no regular file")));
    }
    let mut text = String::new();
    let most = TEXT_BYTES_MAX as u64 + 1;
    std::fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text)).map_err(unread)?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(unread(std::io::Error::other(format!("a policy has at most {TEXT_BYTES_MAX} bytes"))));
    }
    Ok(Source { name: name.to_owned(), text })
}

#[cfg(test)]
mod tests {
    use crossfade_gates::Verdict;
    use crossfade_gates::finding::{Accepted, Finding, Place};
    use crossfade_gates::policy::shape::{self, Part, SHAPE};
    use crossfade_rollout::event::{Event, Outcome};
    use crossfade_rollout::state::{GateRun, GateStatus, Phase, Rollout};
    use crossfade_routing::{Seed, Weight};
    use crossfade_yaml::{Resolution, Resolve};

    use super::*;

    struct Nothing;
    impl Resolve for Nothing {
        fn resolve(&self, _: &str, _: &str) -> Resolution {
            Resolution::Unset
        }
    }

    fn outline() -> Outline {
        let text = "{ name: x, from: blue, to: green, gates: { policy: { standards: [soc2], when: [preflight, promoted] } }, steps: [{ weight: { percent: 100, duration: 1m } }, promote, finalize] }";
        let spec = crossfade_rollout::Spec::parse(text, "rollout.yaml", &Nothing).unwrap();
        spec.outline("x".parse().unwrap(), Seed(1)).unwrap()
    }

    /// Scenario: a rule over findings, and the reports of some gates are not there, or say that nothing was found out.
    /// Guarantee: it does not pass, and the gates are named.
    #[test]
    fn what_no_gate_has_reported_is_not_allowed() {
        let rule =
            "package bank\n\ndeny contains \"no\" if {\n\tsome finding in input.findings\n\tfinding.id\n}\n";
        let policies = [Source { name: "bank.rego".to_owned(), text: rule.to_owned() }];
        let outline = outline();
        let said = |gates: &[(&str, &str)], moment| {
            let report =
                |(gate, verdict): &(&str, &str)| json!({ "gate": gate, "verdict": verdict, "findings": [] });
            let found: Vec<Value> = gates.iter().map(report).collect();
            let report = report_of(&outline, &policies, &found, moment);
            (
                report.verdict(),
                report.findings.first().map(|finding| finding.detail.clone()).unwrap_or_default(),
            )
        };
        let first = [("drift", "pass"), ("posture", "pass"), ("probe", "pass")];
        assert_eq!(said(&first, Moment::Preflight), (Verdict::Pass, String::new()));
        let none = "no verdict of drift (no report), posture (no report), probe (no report)";
        assert_eq!(said(&[], Moment::Preflight), (Verdict::NoVerdict, none.to_owned()));
        assert_eq!(said(&[], Moment::Promoted), (Verdict::NoVerdict, none.to_owned()));
        let blind = [first[0], ("posture", "no_verdict"), first[2]];
        assert_eq!(said(&blind, Moment::Preflight), (Verdict::NoVerdict, "no verdict of posture".to_owned()));
        // What it said itself, in an earlier look, is not held against it.
        let itself = [&first[..], &[("policy", "no_verdict")]].concat();
        assert_eq!(said(&itself, Moment::Preflight).0, Verdict::Pass);
        let more = [&first[..], &[("load", "no_verdict")]].concat();
        assert_eq!(said(&more, Moment::Preflight).0, Verdict::NoVerdict);
    }

    /// Scenario: a plan with all that a plan may have, and findings with all that they may have.
    /// Guarantee: all of it is where the reference says that policies find it, and nothing else is there.
    #[test]
    fn what_policies_are_asked_about_is_documented() {
        let text = "{ name: x, from: blue, to: green, gates: { posture: { every: 5m }, waivers: [{ finding: CF-DRIFT-001, where: a, reason: r, owner: o, expires: 2500-01-01 }] }, \
                    steps: [{ weight: { percent: 100, duration: 1m } }, promote, finalize] }";
        let spec = crate::spec::read(text, "rollout.yaml").unwrap();
        let left_out = [(Gate::Parity, "too little".to_owned())].into();
        let outline = Outline { left_out, ..spec.outline("x".parse().unwrap(), Seed(1)).unwrap() };
        let place = Place {
            environment: Some("green".into()),
            url: Some("http://green".into()),
            trace_id: Some("1".into()),
            span_id: Some("2".into()),
            file: Some("a".into()),
            line: Some(1),
            column: Some(1),
            component: Some("a".into()),
        };
        let finding = Finding::new(crossfade_gates::drift::RULES[0]).at(place).expected("a").seen("b");
        let declared = Accepted::Declaration { reason: "r".into(), place: Some("a".into()) };
        let waived = Accepted::Waiver { reason: "r".into(), owner: "o".into(), expires: "e".into() };
        let findings =
            [Some(declared), Some(waived), None].map(|accepted| Finding { accepted, ..finding.clone() });
        let report = Report::new("drift", "", findings.into(), json!({}));
        let found = [serde_json::to_value(report).unwrap()];
        let course =
            course::of(&under_way(&outline), Weight::from_ppm(12_500).unwrap(), |_, _| found[0].clone());
        let about =
            About { found: &found, moment: Moment::Preflight, course: Some(&course), now: UnixNanos(0) };
        let input = asked_about(&outline, about);
        let mut paths = Vec::new();
        walk(&input, &mut Vec::new(), &mut paths);
        for path in &paths {
            assert!(shape::is_known(path), "{path:?} is not in the reference");
        }
        for row in SHAPE {
            let parts = row.parts();
            let is_there = paths.iter().any(|path| path.len() >= parts.len() && row.fits(path));
            assert!(is_there, "{} is in the reference, and nowhere else", row.path);
        }
    }

    /// A rollout in its first step, with a gate that has looked three times there.
    fn under_way(outline: &Outline) -> Rollout {
        let (rollout, plan, at) = (outline.rollout.clone(), Digest::from_bytes([1; 32]), UnixNanos(1));
        let drafted = Event::RolloutDrafted { rollout, plan, outline: Box::new(outline.clone()), at };
        let looked = GateRun {
            run: 3,
            missed: 2,
            at: Some(at),
            status: GateStatus::Done(Outcome::Pass),
            summary: "well".to_owned(),
            evidence: Some(Digest::from_bytes([2; 32])),
        };
        let asked = GateRun { status: GateStatus::Running, evidence: None, ..looked.clone() };
        let rollout = crossfade_rollout::replay(&[drafted]).rollout.unwrap();
        Rollout {
            phase: Phase::Shifting { step: 0 },
            approval: Some("none is asked for".to_owned()),
            gates: [(Gate::Drift, GateRun { run: 1, missed: 0, ..looked.clone() })].into(),
            step_gates: [(0, [(Gate::Drift, looked), (Gate::Policy, asked)].into())].into(),
            ..rollout
        }
    }

    /// Guarantee: what rules are told of a rollout is what is on record of it; of a plan, what it is going to do.
    #[test]
    fn a_course_is_what_is_on_record() {
        let outline = outline();
        let steps = json!([
            { "number": 1, "kind": "weight", "percent": 100, "duration_secs": 60, "status": "ahead" },
            { "number": 2, "kind": "promote", "status": "ahead" },
            { "number": 3, "kind": "finalize", "status": "ahead" },
        ]);
        let planned = course::planned(&outline);
        assert_eq!(
            (&planned["steps"], &planned["runs"], &planned["weight"]),
            (&steps, &json!([]), &json!(0))
        );
        let report = json!({ "findings": [
            { "id": "CF-DRIFT-002", "accepted": { "by": "waiver" } },
            { "id": "CF-DRIFT-001", "accepted": { "by": "waiver" } },
            { "id": "CF-DRIFT-001", "accepted": { "by": "waiver" } },
            { "id": "CF-DRIFT-003", "accepted": { "by": "declaration" } },
            { "id": "CF-DRIFT-004" },
        ] });
        let weight = Weight::from_ppm(12_500).unwrap();
        let course = course::of(&under_way(&outline), weight, |_, _| report.clone());
        assert_eq!((&course["step"], &course["weight"]), (&json!(1), &json!(1.25)));
        assert_eq!(course["approval"], json!({ "not_required": "none is asked for" }));
        let run = json!({
            "gate": "drift", "moment": "weight", "step": 1, "run": 3, "missed": 2, "verdict": "pass",
            "summary": "well", "evidence": Digest::from_bytes([2; 32]),
            "waived": ["CF-DRIFT-001", "CF-DRIFT-002"], "began_unix": 0,
        });
        assert_eq!(course["runs"][1], run);
        assert_eq!(course["runs"][0]["step"], Value::Null, "it was in preflight");
        assert_eq!(
            course["runs"].as_array().map(Vec::len),
            Some(2),
            "policies are not asked about themselves"
        );
    }

    fn walk(value: &Value, at: &mut Vec<Part>, paths: &mut Vec<Vec<Part>>) {
        paths.push(at.clone());
        let below: Vec<(Part, &Value)> = match value {
            Value::Object(map) => map.iter().map(|(key, value)| (Part::Key(key.clone()), value)).collect(),
            Value::Array(list) => list.iter().map(|value| (Part::Any, value)).collect(),
            _ => Vec::new(),
        };
        for (part, value) in below {
            at.push(part);
            walk(value, at, paths);
            at.pop();
        }
    }

    /// Guarantee: nothing is read without end, and no device or folder is.
    #[test]
    fn policies_are_files_of_a_fair_size() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("good.rego"), "package good").unwrap();
        std::fs::write(at("large.rego"), vec![b' '; TEXT_BYTES_MAX + 1]).unwrap();
        std::fs::create_dir(at("folder.rego")).unwrap();
        assert_eq!(source("good.rego", &at("good.rego")).unwrap().text, "package good");
        let why = |path: &Path| source("x.rego", path).unwrap_err().to_string();
        assert!(why(&at("large.rego")).contains("at most 1048576 bytes"), "{}", why(&at("large.rego")));
        for path in [at("folder.rego"), "/dev/zero".into()] {
            assert!(why(&path).contains("no regular file"), "{}", why(&path));
        }
        assert!(why(&at("none.rego")).contains("check the path"));
    }

    fn report_of(outline: &Outline, policies: &[Source], found: &[Value], moment: Moment) -> Report {
        report(outline, policies, About { found, moment, course: None, now: UnixNanos(0) }).unwrap()
    }
}
