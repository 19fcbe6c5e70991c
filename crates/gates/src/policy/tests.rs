use serde_json::{Value, json};

use super::{Answers, STACK_BYTES, Source, ask, cannot_ask, check, input, judge, library, staged};
use crate::control::Standard;
use crate::report::Verdict;

const STANDARDS: [Standard; 5] =
    [Standard::PciDss, Standard::Hipaa, Standard::Gdpr, Standard::Soc2, Standard::Nist80053];
const NOW: u64 = 1_795_262_400;

/// A plan that every ready policy is content with.
fn plan() -> Value {
    json!({
        "change": { "ticket": "CHG-1", "reason": "a new version", "impact": "none" },
        "steps": [{ "weight": { "percent": "100", "duration": "1h" } }, { "promote": {} },
            { "bake": { "duration": "24h", "mirror_back": true } }, { "finalize": {} }],
        "gates": { "drift": { "allow": [] }, "probe": { "traces": 100, "masks": ["card", "patient", "email"] }, "posture": { "every": "5m" } },
        "required_gates": ["drift", "posture", "probe"],
        "later_gates": [{ "gate": "drift", "moment": "promoted" }, { "gate": "probe", "moment": "promoted" },
            { "gate": "parity", "moment": "weight" }, { "gate": "coverage", "moment": "weight" }],
        "on_failure": "rollback",
    })
}

fn asked(plan: Value, findings: Value, waivers: Value) -> Value {
    let report = json!({ "gate": "posture", "verdict": "fail", "summary": "", "findings": findings });
    input(
        plan,
        json!({ "id": "move", "from": "blue", "to": "green", "moment": "preflight" }),
        &[report],
        waivers,
        NOW,
    )
}

/// Green takes clients without a certificate.
fn no_certificate() -> Value {
    json!({
        "id": "CF-POSTURE-013", "rule": "no_client_certificate", "severity": "high", "class": "security",
        "where": { "environment": "green", "url": "https://green:4317" },
        "detail": "it takes clients that show no certificate, and blue does not",
        "controls": ["PCI DSS 8.3.1", "HIPAA 164.312(d)", "GDPR 32(1)(b)", "SOC 2 CC6.1", "NIST 800-53 IA-3"],
    })
}

fn answers(standard: Standard, input: &Value) -> Answers {
    ask(&[library(standard)], input, || None).unwrap_or_else(|error| panic!("{error}"))
}

fn requirements(answers: &Answers) -> Vec<&str> {
    answers.denials.iter().map(|denial| denial.requirement.as_str()).collect()
}

/// On a thread with the stack that it takes.
fn apart<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(ask).unwrap().join().unwrap()
}

fn source(text: &str) -> Source {
    Source { name: "policy.rego".to_owned(), text: text.to_owned() }
}

#[test]
fn the_ready_policies_let_a_good_plan_through() {
    for standard in STANDARDS {
        let answers = answers(standard, &asked(plan(), json!([]), json!([])));
        assert_eq!(answers, Answers::default(), "{}", standard.name());
        check(&library(standard), || None).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Scenario: green accepts clients without certificate, and card numbers come back unredacted.
/// Guarantee: the policy for PCI DSS denies the plan, and the denial quotes the requirement.
#[test]
fn pci_denies_a_green_that_takes_anybody_and_redacts_nothing() {
    let card = json!({
        "id": "CF-PROBE-011", "rule": "canary_leaked", "severity": "critical", "class": "security",
        "where": { "environment": "green", "component": "span.attributes" },
        "detail": "card numbers are readable in 18 fields",
        "controls": ["PCI DSS 3.5.1", "PCI DSS 3.4.1", "GDPR 32(1)(a)"],
    });
    let answers = answers(Standard::PciDss, &asked(plan(), json!([no_certificate(), card]), json!([])));
    assert_eq!(requirements(&answers), ["PCI DSS 3.4.1", "PCI DSS 3.5.1", "PCI DSS 8.3.1"]);
    let report = judge(&["crossfade:pci.rego".to_owned()], &answers, &[]);
    assert_eq!(report.verdict(), Verdict::Fail);
    insta::assert_snapshot!(crate::render::text(&report));
}

#[test]
fn every_standard_denies_by_its_own_requirement() {
    let asked = asked(plan(), json!([no_certificate()]), json!([]));
    let said: Vec<String> =
        STANDARDS.iter().map(|standard| requirements(&answers(*standard, &asked)).join(" ")).collect();
    assert_eq!(
        said,
        ["PCI DSS 8.3.1", "HIPAA 164.312(d)", "GDPR 32(1)(b)", "SOC 2 CC6.1", "NIST 800-53 IA-3"]
    );
}

#[test]
fn what_the_plan_itself_lacks_is_denied() {
    let lacks = |change: fn(&mut Value)| {
        let mut plan = plan();
        change(&mut plan);
        requirements(&answers(Standard::PciDss, &asked(plan, json!([]), json!([])))).join(" ")
    };
    assert_eq!(lacks(|plan| plan["change"]["ticket"] = json!(" ")), "PCI DSS 6.5.1");
    assert_eq!(lacks(|plan| plan["change"]["impact"] = json!("")), "PCI DSS 6.5.1");
    assert_eq!(lacks(|plan| plan["steps"][2]["bake"]["mirror_back"] = json!(false)), "PCI DSS 6.5.1");
    assert_eq!(lacks(|plan| plan["steps"] = json!([{ "promote": {} }])), "PCI DSS 6.5.1");
    assert_eq!(lacks(|plan| plan["later_gates"] = json!([])), ["PCI DSS 6.5.2"; 4].join(" "));
}

/// Guarantee: a gate that a standard counts on is missed, whether it is off for a reason or nobody planned it.
#[test]
fn a_gate_that_never_looks_is_missed() {
    let missed = |standard, gate: &str, off: Option<&str>| {
        let mut plan = plan();
        let others = |gates: &Value, name: &dyn Fn(&Value) -> bool| -> Value {
            gates.as_array().unwrap().iter().filter(|one| !name(one)).cloned().collect()
        };
        plan["required_gates"] = others(&plan["required_gates"], &|one| one == gate);
        plan["later_gates"] = others(&plan["later_gates"], &|one| one["gate"] == gate);
        plan["gates"][gate] = off.map_or(Value::Null, |why| json!({ "off": why }));
        let denials = answers(standard, &asked(plan, json!([]), json!([]))).denials;
        denials.into_iter().map(|denial| denial.because).collect::<Vec<_>>()
    };
    for standard in [Standard::PciDss, Standard::Hipaa, Standard::Gdpr, Standard::Nist80053] {
        for gate in ["posture", "parity", "coverage"] {
            let never = format!("the gate {gate} never looks: name it in gates.{gate}");
            assert_eq!(missed(standard, gate, None), [never], "{}", standard.name());
            let off = format!("the gate {gate} is off: no time");
            assert_eq!(missed(standard, gate, Some("no time")), [off], "{}", standard.name());
        }
    }
}

/// A waiver lets a finding through; but not where the standard leaves nothing to accept, and not for ever.
#[test]
fn waivers_have_their_limits() {
    let waiver = json!({ "by": "waiver", "reason": "r", "owner": "ciso", "expires": "2026-12-31" });
    let declaration = json!({ "by": "declaration", "reason": "r", "where": "rollout.yaml:9:7" });
    for (standard, severity, control, is_denied) in [
        (Standard::PciDss, "high", "PCI DSS 8.3.1", [false, false]),
        (Standard::PciDss, "critical", "PCI DSS 8.3.1", [false, false]),
        (Standard::PciDss, "critical", "PCI DSS 3.5.1", [true, true]),
        (Standard::PciDss, "critical", "PCI DSS 4.2.1", [true, true]),
        // What is declared may be the move to TLS.
        (Standard::PciDss, "high", "PCI DSS 4.2.1", [true, false]),
        (Standard::PciDss, "medium", "PCI DSS 4.2.1", [false, false]),
        (Standard::Hipaa, "high", "HIPAA 164.312(e)(1)", [true, false]),
    ] {
        let by = ["waived by ciso", "declared as meant in rollout.yaml:9:7"];
        for ((accepted, by), is_denied) in [&waiver, &declaration].into_iter().zip(by).zip(is_denied) {
            let mut finding = no_certificate();
            finding["severity"] = json!(severity);
            finding["controls"] = json!([control]);
            finding["accepted"] = accepted.clone();
            let denied = answers(standard, &asked(plan(), json!([finding]), json!([])));
            let wanted: &[&str] = if is_denied { &[control] } else { &[] };
            assert_eq!(requirements(&denied), wanted, "{severity} {control}, {by}");
            assert!(denied.denials.iter().all(|denial| denial.because.contains(by)), "{denied:?}");
        }
    }
    let waived = |days: u64| {
        let waivers = json!([{ "finding": "CF-POSTURE-010", "owner": "ops", "expires": "some day",
            "expires_unix": NOW + days * 24 * 3600 }]);
        answers(Standard::PciDss, &asked(plan(), json!([]), waivers)).denials.len()
    };
    assert_eq!((waived(365), waived(400)), (0, 1));
}

/// Without canaries nobody knows whether masking works; but a policy cannot tell whether anything is to be masked.
#[test]
fn a_probe_without_canaries_is_warned_of() {
    let warned = |standard, masks: &[&str]| {
        let mut plan = plan();
        plan["gates"]["probe"]["masks"] = json!(masks);
        answers(standard, &asked(plan, json!([]), json!([]))).warnings.len()
    };
    for (standard, kind) in
        [(Standard::PciDss, "card"), (Standard::Hipaa, "patient"), (Standard::Gdpr, "email")]
    {
        assert_eq!(
            (warned(standard, &[]), warned(standard, &["token"]), warned(standard, &[kind])),
            (1, 1, 0)
        );
    }
}

#[test]
fn notes_and_what_is_not_known_are_not_denied() {
    for severity in ["note", "unknown"] {
        let mut finding = no_certificate();
        finding["severity"] = json!(severity);
        assert!(answers(Standard::PciDss, &asked(plan(), json!([finding]), json!([]))).denials.is_empty());
    }
    let report = judge(&[], &Answers::default(), &["posture".to_owned()]);
    assert_eq!(report.verdict(), Verdict::NoVerdict, "no rule can allow what no gate has found out");
}

#[test]
fn policies_of_ones_own() {
    let own = source(
        "package bank\n\nimport rego.v1\n\ndeny contains \"never on a Friday\" if input.time.unix % 7 == 0\n\n\
         warn contains {\"because\": \"soon\", \"requirement\": \"house rule 7\"} if true\n",
    );
    let said = |now: u64| {
        ask(std::slice::from_ref(&own), &input(json!({}), json!({}), &[], json!([]), now), || None).unwrap()
    };
    assert_eq!(said(7).denials[0].because, "never on a Friday");
    assert_eq!((said(8).denials.len(), said(8).warnings.len()), (0, 1));
    let report = judge(&["policy.rego".to_owned()], &said(7), &[]);
    assert_eq!(report.findings[0].detail, "never on a Friday");
    assert_eq!(report.verdict(), Verdict::Fail);
    assert_eq!(judge(&[], &said(8), &[]).verdict(), Verdict::Pass, "a warning is a note");
}

#[test]
fn broken_policies_are_found_with_their_place() {
    for (text, line, says) in [
        ("package a\n\ndeny contains x if {\n  x := \n}\n", Some(4), "policy.rego:4:5: expecting `}`"),
        ("package a\n\ndeny contains x if { x := nothing(1) }\n", Some(3), "policy.rego:3"),
        ("package a\n\ndeny contains x if { y := 1 }\n", Some(3), "policy.rego:3"),
        ("deny := 1", Some(1), "policy.rego:1"),
        ("", Some(1), "policy.rego:1"),
        ("package a\n\nallow := true\n", None, "policy.rego: data.a has no rule `deny`"),
        ("package a\n\ndeny := true\n", None, "`deny` is to be a set"),
        ("package a\n\ndeny contains 7 if true\n", None, "`deny` is to be a set"),
        ("\u{0}\u{1}\u{2}", Some(1), "policy.rego:1"),
    ] {
        let error = check(&source(text), || None).expect_err(text);
        assert_eq!(error.line, line, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        let report = cannot_ask(&error);
        assert_eq!(report.verdict(), Verdict::NoVerdict);
    }
}

/// Scenario: rules that go through everything there is, over and over.
/// Guarantee: they come to an end, and the file is named; what takes as long as it may is answered as ever.
#[test]
fn a_policy_that_runs_away_is_stopped() {
    let loops = |times: usize| {
        let each: String = (0..times).map(|n| format!("\tsome x{n} in input.findings\n")).collect();
        source(&format!(
            "package bank\n\nimport rego.v1\n\ndeny contains \"no\" if {{\n{each}\tx0 == 99\n}}\n"
        ))
    };
    let input = json!({ "findings": (0..40).collect::<Vec<u32>>() });
    let stopped = super::ask_one(&loops(6), &input, 100_000, || None).unwrap_err();
    assert_eq!(stopped.name, "policy.rego");
    assert!(stopped.what.contains("`deny` has come to no end within 100000 steps"), "{stopped}");
    for _ in 0..2 {
        assert!(
            super::ask_one(&loops(2), &input, 100_000, || None).unwrap().0.is_empty(),
            "each has its own steps"
        );
    }
}

/// Scenario: a rule asks for more than any machine has, in one step of the interpreter.
/// Guarantee: the file is named, and nothing is reserved for it; what is within bounds is what the interpreter makes of it.
#[test]
fn no_step_of_a_policy_takes_all_memory() {
    let asked = |condition: &str| {
        let text = format!("package bank\n\nimport rego.v1\n\ndeny contains \"yes\" if {condition}\n");
        ask(&[source(&text)], &json!({ "time": { "unix": 1_800_000_000 } }), || None)
    };
    for (greedy, says) in [
        ("count(numbers.range(0, input.time.unix)) > 0", "a range of 1800000001 numbers"),
        ("count(numbers.range(0, 1000000000000000)) > 0", "a range of 1000000000000001 numbers"),
        (
            "count(numbers.range(9223372036854775807, -9223372036854775807)) > 0",
            "a range of 18446744073709551615",
        ),
        ("count(numbers.range_step(0, 1000000000000, 2)) > 0", "a range of 500000000001 numbers"),
        ("count(numbers.range_step(0, 9, 0)) > 0", "a step of one or more"),
        ("numbers.range(\"a\", 1) == []", "a range of whole numbers"),
        ("bits.lsh(1, 4000000000) > 0", "0 to 4096 bits"),
        (
            "count([x | some x in numbers.range(1, 2)]) > count(numbers.range(0, 1e12))",
            "a range of 1000000000001",
        ),
    ] {
        let error = asked(greedy).expect_err(greedy);
        assert!(error.line == Some(5) && error.what.contains(says), "{greedy}: {error}");
        assert_eq!(cannot_ask(&error).verdict(), Verdict::NoVerdict);
    }
    for usual in [
        "numbers.range(1, 4) == [1, 2, 3, 4]",
        "numbers.range(2, -1) == [2, 1, 0, -1]",
        "numbers.range(5, 5) == [5]",
        "numbers.range_step(0, 9, 4) == [0, 4, 8]",
        "numbers.range_step(9, 0, 4) == [9, 5, 1]",
        "count(numbers.range(1, 100000)) == 100000",
        "bits.lsh(3, 2) == 12",
        "bits.lsh(1, 64) == 18446744073709551616",
    ] {
        assert_eq!(asked(usual).map(|answers| answers.denials.len()), Ok(1), "{usual}");
    }
}

/// Scenario: texts of texts, widths of a billion, lists that lie in each other, each a line of a rule.
/// Guarantee: nothing of that is made, and the file is named; what is within bounds is what the interpreter makes of it.
#[test]
fn no_text_of_a_policy_takes_all_memory() {
    let asked = |body: &str| {
        let doubled: String = (1..60).map(|n| format!("d{n} := [d{0}, d{0}]\n", n - 1)).collect();
        let nested: String = (1..20).map(|n| format!("n{n} := [[[[[[[n{}]]]]]]]\n", n - 1)).collect();
        let maps: String =
            (1..60).map(|n| format!("m{n} := {{\"a\": m{0}, \"b\": m{0}}}\n", n - 1)).collect();
        let text = format!(
            "package bank\n\nimport rego.v1\n\n{body}\n\nd0 := [1]\nn0 := [1]\nm0 := {{}}\n{doubled}{nested}{maps}\nlong := concat(\"\", [\"aaaaaaaa\" | some x in numbers.range(1, 80000)])\n"
        );
        apart(move || ask(&[source(&text)], &json!({}), || None))
    };
    let denies = |condition: &str| asked(&format!("deny contains \"yes\" if {condition}"));
    for (greedy, says) in [
        ("sprintf(\"%2000000000d\", [1]) != \"\"", "at most 3 digits"),
        ("sprintf(\"%99999999999999999999d\", [1]) != \"\"", "at most 3 digits"),
        ("sprintf(\"%.2000000000f\", [1.5]) != \"\"", "at most 3 digits"),
        ("sprintf(\"%\u{bd}d\", [1]) != \"\"", "0 to 9"),
        ("sprintf(\"%v\", [d59]) != \"\"", "a text of more than 1048576 bytes"),
        ("sprintf(\"%s %s\", [long, long]) != \"\"", "a text of more than 1048576 bytes"),
        ("json.marshal(d59) != \"\"", "a text of more than 1048576 bytes"),
        ("json.marshal(n19) != \"\"", "more than 128 deep"),
        ("json.marshal_with_options(1, {}) != \"\"", "use json.marshal"),
        ("concat(\"\", [long, long]) != \"\"", "a text of more than 1048576 bytes"),
        ("concat(long, [\"a\", \"b\", \"c\"]) != \"\"", "a text of more than 1048576 bytes"),
        ("replace(long, \"a\", long) != \"\"", "a text of more than 1048576 bytes"),
        ("replace(long, \"\", \"ab\") != \"\"", "a text of more than 1048576 bytes"),
        (
            "strings.replace_n({\"a\": \"bbbb\", \"b\": \"cccc\"}, long) != \"\"",
            "a text of more than 1048576 bytes",
        ),
        ("object.union(m59, m59) != {}", "a text of more than 1048576 bytes"),
        ("object.union_n([m59, m59]) != {}", "a text of more than 1048576 bytes"),
        ("sprintf(\"%d %d\", [1]) != \"\"", "no argument specified"),
        ("concat(1, []) != \"\"", "concat"),
    ] {
        let error = denies(greedy).expect_err(greedy);
        assert!(error.line == Some(5) && error.what.contains(says), "{greedy}: {error}");
        assert_eq!(cannot_ask(&error).verdict(), Verdict::NoVerdict);
    }
    let error = asked("deny contains d59").unwrap_err();
    assert!(error.what.contains("`deny` says more than anybody can read"), "{error}");
    for usual in [
        "sprintf(\"%s %d %05d %.2f %v %% %x\", [\"a\", 1, 42, 1.5, [1, {\"a\": 2}], 255]) == \"a 1 00042 1.50 [1, {\\\"a\\\": 2}] % ff\"",
        "concat(\", \", [\"a\", \"b\"]) == \"a, b\"",
        "concat(\"\", {\"b\", \"a\"}) == \"ab\"",
        "replace(\"a.b.c\", \".\", \"--\") == \"a--b--c\"",
        "strings.replace_n({\"a\": \"b\", \"b\": \"c\"}, \"ab\") == \"cc\"",
        "json.marshal({\"a\": [1, \"b\"]}) == \"{\\\"a\\\":[1,\\\"b\\\"]}\"",
        "object.union({\"a\": {\"b\": 1}}, {\"a\": {\"c\": 2}}) == {\"a\": {\"b\": 1, \"c\": 2}}",
        "object.union_n([{\"a\": 1}, {\"b\": 2}]) == {\"a\": 1, \"b\": 2}",
        "count(long) == 640000",
    ] {
        assert_eq!(denies(usual).map(|answers| answers.denials.len()), Ok(1), "{usual}");
    }
}

/// Scenario: each rule asks the one before it, thousands of them.
/// Guarantee: the file is named, before the stack is used up.
#[test]
fn rules_that_call_each_other_too_deep_are_stopped() {
    let chain: String = (1..3_000).map(|n| format!("n{n} := [n{}]\n", n - 1)).collect();
    let text = format!("package bank\n\ndeny contains \"no\" if n2999 == 1\n\nn0 := 1\n{chain}");
    let error = apart(move || ask(&[source(&text)], &json!({}), || None)).unwrap_err();
    assert!(error.what.contains("rules of `deny` call each other too deep"), "{error}");
    assert_eq!(cannot_ask(&error).verdict(), Verdict::NoVerdict);
}

/// Scenario: rules that keep what they make, or make it twice as large again and again, while memory is said to go.
/// Guarantee: they are ended, and the file is named. One that takes little is not.
#[test]
fn a_policy_that_takes_memory_is_stopped() {
    thread_local! {
        static IN_USE: std::cell::Cell<u64> = const { std::cell::Cell::new(1 << 40) };
    }
    fn grows() -> Option<u64> {
        IN_USE.set(IN_USE.get() + (1 << 20));
        Some(IN_USE.get())
    }
    let each = source(
        "package bank\n\ndeny contains x if {\n\tsome x in [y | some y in numbers.range(1, 1000)]\n\tx < 0\n}\n",
    );
    let stopped = ask(std::slice::from_ref(&each), &json!({}), grows).unwrap_err();
    assert!(stopped.what.contains("`deny` takes more than 256 MiB of memory"), "{stopped}");
    assert_eq!(cannot_ask(&stopped).verdict(), Verdict::NoVerdict);
    assert!(ask(&[each], &json!({}), || Some(1 << 50)).unwrap().denials.is_empty());
}

/// Scenario: a plan that begins with everything; one whose last part of the traffic is over; and one that is not so far.
/// Guarantee: the first is denied, and of the others only the one before its last step, for what has not been looked at or too often.
#[test]
fn before_everything_moves_everything_has_been_looked_at() {
    let denied = |change: fn(&mut Value)| {
        let run = |gate: &str, verdict: &str| json!({ "gate": gate, "moment": "weight", "step": 2, "run": 1, "missed": 0, "verdict": verdict, "waived": [] });
        let plan = json!({ "later_gates": [{ "gate": "parity", "moment": "weight" }, { "gate": "coverage", "moment": "mirror" },
            { "gate": "drift", "moment": "promoted" }, { "gate": "policy", "moment": "weight" }] });
        let weight = |number: u32, percent: u32, status: &str| json!({ "number": number, "kind": "weight", "percent": percent, "status": status });
        let steps = [
            json!({ "number": 1, "kind": "mirror", "percent": 100, "status": "done" }),
            weight(2, 5, "running"),
            weight(3, 100, "ahead"),
            json!({ "number": 4, "kind": "promote", "status": "ahead" }),
        ];
        let rollout = json!({ "moment": "weight", "step": 2, "steps": steps, "runs": [run("parity", "pass"), run("coverage", "pass")] });
        let mut input = input(plan, rollout, &[], json!([]), NOW);
        change(&mut input);
        let answers = ask(&[staged()], &input, || None).unwrap_or_else(|error| panic!("{error}"));
        let said = answers.denials.into_iter().chain(answers.warnings).map(|said| said.because);
        said.collect::<Vec<_>>().join("; ")
    };
    check(&staged(), || None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(denied(|_| ()), "");
    let next = "all of the traffic moves next";
    let unseen = format!("{next}, and the gate parity has not passed in any step");
    assert_eq!(denied(|input| input["rollout"]["runs"][0]["verdict"] = json!("void")), unseen);
    assert_eq!(denied(|input| input["rollout"]["runs"] = json!([input["rollout"]["runs"][1]])), unseen);
    assert_eq!(
        denied(|input| {
            input["rollout"]["runs"][0]["missed"] = json!(2);
            input["rollout"]["runs"][0]["run"] = json!(3);
        }),
        format!("{next}, and the gate parity looked 3 times in step 2 until it passed")
    );
    assert_eq!(
        denied(|input| input["rollout"]["runs"][1]["waived"] = json!(["CF-DRIFT-001"])),
        format!("{next}, with findings of the gate coverage in step 2 waived: CF-DRIFT-001")
    );
    // Not yet.
    assert_eq!(
        denied(|input| {
            input["rollout"]["steps"][2]["percent"] = json!(50);
            input["rollout"]["steps"][3] =
                json!({ "number": 4, "kind": "weight", "percent": 100, "status": "ahead" });
            input["rollout"]["runs"] = json!([]);
        }),
        ""
    );
    assert!(
        denied(|input| input["rollout"]["steps"][1]["kind"] = json!("pause"))
            .starts_with("all of the traffic moves at once")
    );
    let alone = denied(|input| input["plan"]["later_gates"] = json!([]));
    assert!(alone.starts_with("this policy is not asked again before 100 %"), "{alone}");
}
