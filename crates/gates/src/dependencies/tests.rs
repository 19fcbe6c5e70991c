use super::*;
use crate::inventory::{Inventory, Names, Sight};
use crate::model::{AttributeValue, Attributes, Kind, Span, SpanId, StatusCode, TraceId};
use crate::{Verdict, explain};

const AT: u64 = 1_800_000_000_000_000_000;
const MILLI: u64 = 1_000_000;

/// Calls of `service` by `operation`, with these attributes, each of a trace of its own.
struct Calls {
    service: &'static str,
    operation: &'static str,
    attributes: &'static [(&'static str, &'static str)],
    calls: u32,
    failed: u32,
    millis: u64,
}

fn calls(
    service: &'static str,
    operation: &'static str,
    attributes: &'static [(&'static str, &'static str)],
) -> Calls {
    Calls { service, operation, attributes, calls: 100, failed: 0, millis: 20 }
}

fn texts(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(key, text)| ((*key).to_owned(), AttributeValue::String((*text).to_owned()))).collect()
}

fn recorded(all: &[Calls]) -> Recorded {
    let (mut inventory, mut names) = (Inventory::new(), Names::default());
    let mut number = 0_u128;
    for calls in all {
        for call in 0..calls.calls {
            number += 1;
            let span = Span {
                trace_id: TraceId(number.to_be_bytes()),
                span_id: SpanId([1; 8]),
                parent: None,
                trace_state: String::new(),
                resource: texts(&[("service.name", calls.service)]),
                scope: String::new(),
                scope_version: String::new(),
                scope_attributes: Attributes::new(),
                flags: 0x101,
                name: calls.operation.to_owned(),
                kind: Kind::Client,
                start: AT,
                end: AT + (calls.millis + u64::from(call % 7)) * MILLI,
                attributes: texts(calls.attributes),
                events: Vec::new(),
                links: Vec::new(),
                status: if call < calls.failed { StatusCode::Error } else { StatusCode::Unset },
                status_message: String::new(),
            };
            inventory.note(&[Sight::of(&span, &mut names)], None, 1);
        }
    }
    Recorded { inventory, ..Recorded::default() }
}

fn judged(live: &[Calls], tests: &[Calls]) -> Report {
    judged_within(live, tests, &Limits::default())
}

fn judged_within(live: &[Calls], tests: &[Calls], limits: &Limits) -> Report {
    let live = Side { name: "blue".into(), url: "http://q".into(), recorded: Ok(recorded(live)) };
    judge(&Inputs { live, source: "tests.json".into(), tests: Ok(recorded(tests)) }, limits)
}

fn ids(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.id).collect()
}

const INSURER: &[(&str, &str)] =
    &[("server.address", "api.insurer.example"), ("http.request.method", "POST")];
const INSURER_MOCK: &[(&str, &str)] = &[("net.peer.name", "insurer-mock"), ("http.method", "POST")];
const LABORATORY: &[(&str, &str)] =
    &[("http.url", "https://lab.example:8443/orders/17"), ("http.method", "GET")];
const LABORATORY_STUBBED: &[(&str, &str)] = &[
    ("http.url", "https://lab.example:8443/orders/17"),
    ("http.method", "GET"),
    ("http.response.header.matched-stub-id", "7"),
];
const DATABASE: &[(&str, &str)] =
    &[("db.system", "postgresql"), ("db.name", "patients"), ("net.peer.name", "blue-db")];
const TEST_DATABASE: &[(&str, &str)] =
    &[("db.system.name", "postgresql"), ("db.namespace", "patients"), ("server.address", "green-db")];

// Scenario: a patient management system; its tests called a simulated insurer, a stubbed laboratory, and no pharmacy at all; the real
// insurer is slow.
// Guarantee: each is named with its reason; its own database at another address is worth a note.
#[test]
fn the_clinic() {
    const PHARMACY: &[(&str, &str)] =
        &[("rpc.system", "grpc"), ("rpc.service", "pharmacy.Orders"), ("server.address", "p.example")];
    let live = [
        Calls { millis: 2_400, ..calls("intake", "submit claim", INSURER) },
        calls("intake", "order test", LABORATORY),
        calls("intake", "prescribe", PHARMACY),
        calls("intake", "SELECT patients", DATABASE),
    ];
    let tests = [
        Calls { millis: 3, ..calls("intake", "submit claim", INSURER_MOCK) },
        calls("intake", "order test", LABORATORY_STUBBED),
        calls("intake", "SELECT patients", TEST_DATABASE),
    ];
    let report = judged(&live, &tests);
    let expected = ["CF-DEPS-001", "CF-DEPS-002", "CF-DEPS-002", "CF-DEPS-003", "CF-DEPS-005"];
    assert_eq!((ids(&report), report.verdict()), (expected.to_vec(), Verdict::Fail));
    let details: Vec<&str> = report.findings.iter().map(|finding| finding.detail.as_str()).collect();
    assert!(
        details[0].contains("call rpc grpc pharmacy.Orders at p.example (100 calls, by `prescribe`)"),
        "{details:?}"
    );
    assert!(details[1].contains("http insurer-mock (by its name: `*-mock`)"), "{details:?}");
    assert!(details[2].contains("its answers carry `http.response.header.matched-stub-id`"), "{details:?}");
    assert!(
        details[3].contains("http api.insurer.example live than it ever did in tests: median 2"),
        "{details:?}"
    );
    assert_eq!(report.facts["peers"].as_array().unwrap().len(), 4);
    assert!(report.findings[0].place.trace_id.is_some());

    let repaired = [
        Calls { millis: 2_000, ..calls("tests", "claims", INSURER) },
        calls("intake", "order test", LABORATORY),
        calls("intake", "prescribe", PHARMACY),
        calls("intake", "SELECT patients", TEST_DATABASE),
    ];
    let report = judged(&live, &repaired);
    assert_eq!((ids(&report), report.verdict()), (vec!["CF-DEPS-005"], Verdict::Pass));
}

#[test]
fn simulated_addresses_are_known_by_name_or_by_declaration() {
    for (host, simulated) in [
        ("localhost:8080", true),
        ("127.0.0.1:9999", true),
        ("[::1]:80", true),
        ("insurer-mock", true),
        ("INSURER-MOCK:80", true),
        ("api-mock.test.svc", true),
        ("mystub.internal", true),
        ("x.wiremock.cloud", true),
        ("sandbox.insurer.example", false),
        ("mockingbird.example", false),
        ("api.insurer.example", false),
    ] {
        let peer =
            crate::inventory::Peer { address: Some(host.to_owned()), ..crate::inventory::Peer::default() };
        let edge = Edge { peer, ..Edge::default() };
        assert_eq!(is_simulated(&edge, &[]).is_some(), simulated, "{host}");
        let declared = ["*.insurer.example".to_owned()];
        assert_eq!(
            is_simulated(&edge, &declared).is_some(),
            simulated || host.ends_with("insurer.example"),
            "{host}"
        );
    }
}

#[test]
fn a_test_systems_address_is_a_note_until_it_is_declared() {
    const SANDBOX: &[(&str, &str)] =
        &[("server.address", "sandbox.insurer.example"), ("http.request.method", "POST")];
    let (live, tests) =
        ([calls("intake", "submit claim", INSURER)], [calls("intake", "submit claim", SANDBOX)]);
    assert_eq!(judged(&live, &tests).verdict(), Verdict::Pass);
    let limits = Limits { simulated: vec!["sandbox.*".into()], ..Limits::default() };
    assert_eq!(ids(&judged_within(&live, &tests, &limits)), ["CF-DEPS-002"]);
}

// Scenario: tests that call a simulator at an address that the real one has too: on the machine itself, by a name that the test's own
// resolver overrides, or with nothing but another product's name.
// Guarantee: none of them counts as tested; and what is really the same does.
#[test]
fn the_same_address_is_not_always_the_same() {
    type Pairs = &'static [(&'static str, &'static str)];
    const SIDECAR: Pairs =
        &[("server.address", "localhost"), ("server.port", "15001"), ("http.request.method", "POST")];
    const WIREMOCK: Pairs =
        &[("server.address", "localhost"), ("server.port", "8080"), ("http.request.method", "POST")];
    const LOOPBACK: Pairs = &[("http.url", "http://127.0.0.1:15001/claims"), ("http.method", "POST")];
    const REDIS: Pairs = &[("db.system", "redis"), ("server.address", "localhost")];
    const POSTGRES: Pairs = &[("db.system", "postgresql")];
    const MYSQL: Pairs = &[("db.system", "mysql")];
    const OTHER_PORT: Pairs = &[("http.url", "https://lab.example:9443/orders/17"), ("http.method", "GET")];
    const NO_PORT: Pairs = &[("server.address", "LAB.example"), ("http.request.method", "GET")];
    const STUBHUB: Pairs = &[("server.address", "api.stubhub.example"), ("http.request.method", "GET")];
    let cases: [(Pairs, Pairs, &[&str], Verdict); 10] = [
        (SIDECAR, WIREMOCK, &["CF-DEPS-010"], Verdict::NoVerdict),
        (LOOPBACK, WIREMOCK, &["CF-DEPS-010"], Verdict::NoVerdict),
        (SIDECAR, SIDECAR, &[], Verdict::Pass),
        (SIDECAR, LOOPBACK, &[], Verdict::Pass),
        (REDIS, REDIS, &[], Verdict::Pass),
        (POSTGRES, MYSQL, &["CF-DEPS-001", "CF-DEPS-006"], Verdict::Fail),
        (POSTGRES, POSTGRES, &[], Verdict::Pass),
        (LABORATORY, OTHER_PORT, &["CF-DEPS-005"], Verdict::Pass),
        (LABORATORY, NO_PORT, &[], Verdict::Pass),
        (STUBHUB, STUBHUB, &[], Verdict::Pass),
    ];
    for (live, tests, expected, verdict) in cases {
        let report = judged(&[calls("intake", "claim", live)], &[calls("intake", "claim", tests)]);
        assert_eq!((ids(&report), report.verdict()), (expected.to_vec(), verdict), "{live:?} {tests:?}");
    }
    let of = |service| judged(&[calls("intake", "a", POSTGRES)], &[calls(service, "b", POSTGRES)]).verdict();
    assert_eq!((of("intake"), of("billing")), (Verdict::Pass, Verdict::Fail), "without a name, by who calls");
    let declared = Limits { simulated: vec!["api.insurer.example".into()], ..Limits::default() };
    let insurer = [calls("intake", "submit claim", INSURER)];
    assert_eq!(ids(&judged_within(&insurer, &insurer, &declared)), ["CF-DEPS-002"]);
    assert_eq!(judged(&insurer, &insurer).verdict(), Verdict::Pass);
}

// Scenario: one service has a new span name for every call, and another calls somebody whom no test has called.
// Guarantee: the names take nobody's room; and what had no room, live, keeps the gate from a verdict.
#[test]
fn what_had_no_room_is_no_verdict() {
    let names: Vec<&'static str> = (0..5_000).map(|n| &*format!("GET /items/{n}").leak()).collect();
    let mut live: Vec<Calls> =
        names.iter().map(|name| Calls { calls: 1, ..calls("shop", name, INSURER) }).collect();
    live.push(calls("zoo", "order test", LABORATORY));
    let report = judged(&live, &[calls("shop", "GET /items/7", INSURER)]);
    assert_eq!(
        (ids(&report), report.verdict()),
        (vec!["CF-DEPS-001"], Verdict::Fail),
        "{:?}",
        report.findings
    );
    assert!(report.findings[0].detail.contains("lab.example"));
    type Plant = fn(&mut Recorded);
    let plants: [(Plant, &str); 3] = [
        (|side| side.inventory.left_out.calls = 2, "2 calls are to peers too many"),
        (|side| side.inventory.left_out.services = 1, "1 span is of a service too many"),
        (|side| side.services_left_out = 3, "3 services were not asked for"),
    ];
    for (plant, words) in plants {
        let tests = [calls("intake", "submit claim", INSURER)];
        let mut side = recorded(&tests);
        plant(&mut side);
        let live = Side { name: "blue".into(), url: "http://q".into(), recorded: Ok(side) };
        let report =
            judge(&Inputs { live, source: "t".into(), tests: Ok(recorded(&tests)) }, &Limits::default());
        assert_eq!((ids(&report), report.verdict()), (vec!["CF-DEPS-011"], Verdict::NoVerdict));
        assert!(report.findings[0].detail.ends_with(words), "{}", report.findings[0].detail);
    }
}

#[test]
fn latency_and_errors_need_more_than_chance() {
    let edge =
        |calls_: u32, failed, millis| [Calls { calls: calls_, failed, millis, ..calls("s", "o", INSURER) }];
    for (live, tests, expected) in [
        (edge(100, 0, 20), edge(100, 0, 20), vec![]),
        (edge(100, 0, 500), edge(100, 0, 20), vec!["CF-DEPS-003"]),
        (edge(100, 0, 60), edge(100, 0, 20), vec![]), // three times, but only 40 ms
        (edge(100, 0, 500), edge(2, 0, 20), vec![]),  // two test calls say nothing
        (edge(100, 30, 20), edge(100, 0, 20), vec!["CF-DEPS-004"]),
        (edge(100, 3, 20), edge(20, 0, 20), vec![]),
        (edge(1_000, 40, 20), edge(1_000, 30, 20), vec![]),
    ] {
        let report = judged(&live, &tests);
        assert_eq!(ids(&report), expected, "{:?}", report.findings);
    }
}

#[test]
fn what_is_not_known_is_no_verdict() {
    let live = [calls("intake", "submit claim", INSURER)];
    assert_eq!(judged(&live, &[]).verdict(), Verdict::NoVerdict);
    let few = [Calls { calls: 3, ..calls("intake", "submit claim", INSURER) }];
    let report = judged(&few, &live);
    assert_eq!((ids(&report), report.verdict()), (vec!["CF-DEPS-008"], Verdict::NoVerdict));
    for answered in [true, false] {
        let side = Side { name: "blue".into(), url: "http://q".into(), recorded: Ok(recorded(&live)) };
        let tests = Err(Trouble { what: "tests.json:3: not OTLP".into(), answered });
        let report = judge(&Inputs { live: side, source: "tests.json".into(), tests }, &Limits::default());
        assert_eq!((ids(&report), report.unreachable), (vec!["CF-DEPS-009"], !answered));
        assert_eq!(report.verdict(), Verdict::NoVerdict);
    }
}

/// Scenario: no outside call of live traffic says whom it calls; or all that do not are answered by another service.
/// Guarantee: where nothing was compared there is no verdict; and who is called within needs no name.
#[test]
fn calls_of_which_none_has_a_name_are_no_verdict() {
    const NAMELESS: &[(&str, &str)] = &[("http.method", "GET")];
    let tests = [calls("intake", "submit claim", INSURER)];
    let live = [Calls { calls: 40, ..calls("intake", "who", NAMELESS) }];
    let report = judged(&live, &tests);
    let expected = ["CF-DEPS-012", "CF-DEPS-006"];
    assert_eq!((ids(&report), report.verdict()), (expected.to_vec(), Verdict::NoVerdict));
    assert!(report.findings[0].detail.starts_with("40 calls of `intake` do not say whom they call"));
    let own = [Calls { calls: 40, ..calls("crossfade-probe", "who", NAMELESS) }];
    assert_eq!(
        judged(&own, &tests).verdict(),
        Verdict::Pass,
        "what Crossfade calls is not the applications'"
    );
}

#[test]
fn one_is_not_told_as_many() {
    const NAMELESS: &[(&str, &str)] = &[("http.method", "GET")];
    let one = |by, attributes| Calls { calls: 1, ..calls("intake", by, attributes) };
    let report =
        judged(&[one("submit claim", INSURER), one("who", NAMELESS)], &[one("order test", LABORATORY)]);
    assert!(report.summary.starts_with("1 outside peer: "), "{}", report.summary);
    let told = report.findings.iter().map(|finding| finding.detail.as_str()).collect::<Vec<_>>().join("; ");
    for words in [
        "2 live traces in blue",
        "(1 call, by",
        "1 call of `intake` does not say whom it calls",
        "1 peer is called by tests",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let report = judged(&[calls("intake", "submit claim", INSURER)], &[]);
    assert!(report.summary.starts_with("1 outside peer: "), "{}", report.summary);
}

#[test]
fn calls_within_are_not_judged_and_odd_ones_are_notes() {
    const NAMELESS: &[(&str, &str)] = &[("http.method", "GET")];
    let live = [
        calls("intake", "submit claim", INSURER),
        calls("intake", "who", NAMELESS),
        calls("crossfade-probe", "x", LABORATORY),
    ];
    let tests = [calls("intake", "submit claim", INSURER), calls("intake", "order test", LABORATORY)];
    let report = judged(&live, &tests);
    assert_eq!((ids(&report), report.verdict()), (vec!["CF-DEPS-007", "CF-DEPS-006"], Verdict::Pass));
    let mut side = recorded(&live);
    side.inventory.calls.iter_mut().for_each(|call| call.answered = call.calls);
    side.inventory.services.values_mut().for_each(|service| service.nameless_calls = 0);
    let live = Side { name: "blue".into(), url: "http://q".into(), recorded: Ok(side) };
    let report =
        judge(&Inputs { live, source: "t".into(), tests: Ok(recorded(&tests[1..])) }, &Limits::default());
    assert_eq!(report.verdict(), Verdict::Pass, "who records its own side is no outside peer");
    assert!(RULES.iter().all(|rule| explain(rule.id).is_some()));
}

/// Scenario: HTTP clients' spans are named by the method alone, as instrumentation names them: an insurer and a laboratory are called
/// live, and tests called the insurer, a mock of it, or a simulator that goes by no name.
/// Guarantee: a call of the one stands for no call of the other, and a mock for whom its name says.
#[test]
fn a_method_alone_pairs_nobody() {
    const LAB: &[(&str, &str)] = &[("http.url", "http://lab.example/orders"), ("http.method", "POST")];
    let live = [calls("intake", "POST", INSURER), calls("intake", "POST", LAB)];
    let found = |tests: &[Calls]| judged(&live, tests).findings.iter().map(|f| f.rule).collect::<Vec<_>>();
    assert_eq!(found(&[calls("intake", "POST", INSURER)]), ["dependency_untested"]);
    let mocked = [calls("intake", "POST", INSURER_MOCK)];
    assert_eq!(found(&mocked), ["dependency_untested", "dependency_simulated"]);
    let report = judged(&live, &mocked);
    let of = |rule: &str| {
        let finding = report.findings.iter().find(|finding| finding.rule == rule).unwrap();
        finding.place.component.clone().unwrap()
    };
    assert_eq!(of("dependency_untested"), "intake -> http lab.example");
    assert_eq!(of("dependency_simulated"), "intake -> http api.insurer.example");
    const NAMELESS: &[(&str, &str)] = &[("http.url", "http://localhost:8089/any"), ("http.method", "POST")];
    assert_eq!(found(&[calls("intake", "POST", NAMELESS)]), ["dependency_simulated", "dependency_simulated"]);
    const SANDBOX: &[(&str, &str)] =
        &[("http.url", "http://sandbox.insurer.example"), ("http.method", "POST")];
    let sandbox = [calls("intake", "POST", SANDBOX), calls("intake", "POST", LAB)];
    assert_eq!(found(&sandbox), ["dependency_other_address"]);
}

/// Scenario: of a service that the tests ran, no traces could be read. Guarantee: nothing is said to be untested, and nothing passes.
#[test]
fn tests_that_could_not_be_read_accuse_nobody() {
    let live = Side {
        name: "blue".into(),
        url: "http://q".into(),
        recorded: Ok(recorded(&[calls("intake", "POST", INSURER)])),
    };
    let mut tests = recorded(&[calls("intake", "order test", LABORATORY)]);
    tests.unread = ["tests".to_owned()].into();
    tests.troubles = vec![Trouble { what: "http://q answers with half a trace".into(), answered: true }];
    let report = judge(&Inputs { live, source: "green".into(), tests: Ok(tests) }, &Limits::default());
    let rules: Vec<_> = report
        .findings
        .iter()
        .filter(|f| f.severity != crate::rule::Severity::Note)
        .map(|f| f.rule)
        .collect();
    assert_eq!((rules, report.verdict()), (vec!["dependency_unreadable"], Verdict::NoVerdict));
}
