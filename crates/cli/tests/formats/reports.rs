//! One report of each gate, by the gate itself: findings of several weights, some of them accepted, at every kind of place.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use crossfade_gates::difference::{Rules, Store};
use crossfade_gates::drift::{Allow, Context, KeepReferences, Pair, Versions, compare, load};
use crossfade_gates::history::{History, Old, Outcome, Search};
use crossfade_gates::inventory::{Inventory, Names as Texts, Sight};
use crossfade_gates::load::{Answer, Counts, Limits, Measured, Part, Phase, ReadBack};
use crossfade_gates::model::{AttributeValue, Attributes, Kind, Span, SpanId, StatusCode, TraceId};
use crossfade_gates::parity::{self, Names, Parity, Read};
use crossfade_gates::posture::{
    Access, AccessFacts, Cors, EndpointFacts, Fact, Facts, Family, Input, Policy, Role, TlsFacts, Transport,
    Version,
};
use crossfade_gates::probe::canary::{Sensitive, canaries, leaks};
use crossfade_gates::probe::suite::{Masking, Searches, Seen, Separation, Suite};
use crossfade_gates::probe::{Failure, ProbeReport, TraceResult, generate};
use crossfade_gates::waiver::{Waiver, apply};
use crossfade_gates::{Report, coverage, dependencies, load as under_load, look, policy, posture, probe};
use crossfade_stats::Confidence;
use crossfade_yaml::{Mark, parse};
use serde_json::json;

const AT: u64 = 1_800_000_000_000_000_000;
const MINUTE: u64 = 60_000_000_000;

/// One report of each gate, its first finding waived where it can be, and one of a gate that could not look.
pub(crate) fn all() -> &'static [Report] {
    static ALL: OnceLock<Vec<Report>> = OnceLock::new();
    ALL.get_or_init(made)
}

fn made() -> Vec<Report> {
    let gates =
        [drift(), probe(), posture(), load_(), parity(1), coverage(), dependencies(), history(0), policy()];
    let mut reports: Vec<Report> = gates.into_iter().map(waived).collect();
    reports.push(look::cannot_look(
        "probe",
        "no `query` of green: \u{1b}[31mnowhere\u{0} to <read> from & \"back\"",
    ));
    reports.push(Report::new("parity", "299 pairs are equal", Vec::new(), json!({})));
    for report in &mut reports {
        report.took = Some(Duration::from_millis(1_250));
    }
    reports
}

fn waived(mut report: Report) -> Report {
    let waiver = |finding: &str, expires: u64| Waiver {
        finding: finding.to_owned(),
        place: None,
        reason: "until the new proxy is there: <CHG-7> & \"more\"".to_owned(),
        owner: "ops".to_owned(),
        expires,
        expires_text: "2027-01-31".to_owned(),
    };
    let first = report.findings.iter().find(|finding| finding.fails()).map(|finding| finding.id);
    let last = report.findings.iter().rev().find(|finding| finding.fails()).map(|finding| finding.id);
    let waivers: Vec<Waiver> =
        [first.map(|id| waiver(id, u64::MAX)), last.map(|id| waiver(id, 1))].into_iter().flatten().collect();
    apply(&mut report, &waivers, AT);
    report
}

const BLUE: &str = "receivers:
  otlp: { protocols: { grpc: { endpoint: \"127.0.0.1:4317\", tls: { client_ca_file: ca.pem } } } }
processors:
  redaction: { allow_all_keys: true, blocked_values: [\"4[0-9]{15}\"] }
  batch: { timeout: 5s }
exporters:
  otlp/store: { endpoint: \"store:4317\", headers: { authorization: \"Bearer hunter2\" } }
service:
  pipelines:
    traces: { receivers: [otlp], processors: [redaction, batch], exporters: [otlp/store] }
";

/// Places in files by name: relative, absolute, with dots and blanks, and read from a URL.
fn drift() -> Report {
    let green = BLUE.replace("[redaction, batch]", "[batch]").replace("127.0.0.1:4317", "0.0.0.0:4317");
    let green = green
        .replace("hunter2", "hunter3")
        .replace("5s", "9s")
        .replace(", tls: { client_ca_file: ca.pem }", "");
    let read = |name: &str, text: &str| load(&[(name, text)], &KeepReferences).expect("a configuration");
    let digest = |bytes: &[u8]| crossfade_tlog::sha256(bytes);
    let node = |text: &str| Some(parse(text, "rollout.yaml").expect("YAML"));
    let allow = [Allow {
        path: "collector:processors.batch.timeout".to_owned(),
        from: node("5s"),
        to: node("9s"),
        reason: "CHG-20418".to_owned(),
        mark: Some(Mark::new("rollout.yaml", 21, 9)),
    }];
    let blue = read("blue.yaml", BLUE);
    let names = [
        "./configs/../green env/größer.yaml",
        "/etc/otelcol/config.yaml",
        "http://127.0.0.1:55679/effective",
    ];
    let mut findings = Vec::new();
    let mut facts = json!({});
    for name in names {
        let green = read(name, &green);
        let pair =
            Pair { name: "collector", blue: Some(&blue), green: Some(&green), versions: Versions::default() };
        let report = compare(&[pair], &allow, &Context::default(), &digest).report();
        findings.extend(report.findings);
        facts = report.facts;
    }
    Report::new("drift", "three files that differ", findings, facts)
}

/// Places in traces and spans, and in no more than an environment.
fn probe() -> Report {
    let traces = generate(7, AT, 4);
    let results: Vec<TraceResult> = traces
        .iter()
        .enumerate()
        .map(|(i, trace)| {
            let findings = match i {
                0 => Vec::new(),
                1 => vec![probe::Finding::request_failed(trace.id, "http://green:16686 answers 500", true)],
                _ => {
                    let mut read = trace.spans.clone();
                    read.pop();
                    read[0].attributes.remove("probe.map");
                    probe::compare(trace, &read, probe::Repeats::Unexpected)
                }
            };
            let read_back = findings.is_empty().then_some(Duration::from_secs(9));
            TraceResult { trace_id: trace.id, read_back, findings }
        })
        .collect();
    assert!(results.iter().flat_map(|r| &r.findings).any(|f| f.failure == Failure::MissingSpans));
    let (planted_in, planted) = canaries(7, AT, &[Sensitive::Card, Sensitive::Email], 1);
    let read: Vec<Span> = planted_in.into_iter().flat_map(|(_, trace)| trace.spans).collect();
    let masking = Masking {
        leaks: leaks(&planted, &read[1..]),
        read: u32::try_from(read.len() - 1).expect("few"),
        planted,
        receivers: vec!["http/json http://green:4318/v1/traces".to_owned()],
        ..Masking::default()
    };
    let separation = |seen| Separation {
        written_to: "green".to_owned(),
        receiver: "http/json http://green:4318/v1/traces".to_owned(),
        searched_in: "blue".to_owned(),
        trace: traces[0].id,
        seen,
    };
    let suite = Suite {
        environment: "green".to_owned(),
        traces: ProbeReport::new(7, AT, &results),
        searches: Searches { traces: 1, missed: vec![traces[0].id], ..Searches::default() },
        masking: Some(masking),
        separation: vec![
            separation(Seen::Yes),
            separation(Seen::Unknown("blue has not answered".to_owned())),
        ],
        must_be_separated: false,
        not_separated: None,
        beside: None,
        freshness_max: Some(Duration::from_secs(1)),
    };
    suite.report()
}

/// Places at URLs.
fn posture() -> Report {
    let tls = TlsFacts {
        plain_text: Fact::Known(true),
        versions: Version::ALL.map(|version| (version, Fact::Known(true))).into(),
        suites: BTreeMap::from(Family::ALL.map(|family| (family, Fact::Known(true)))),
        certificate: Fact::Unknown("the handshake broke".to_owned()),
        client_certificate: Fact::Unknown("the handshake broke".to_owned()),
        strange_certificate: None,
    };
    let endpoint = EndpointFacts {
        name: "query".to_owned(),
        role: Role::Query,
        url: "https://green:16686".to_owned(),
        loopback: false,
        protocol: "grpc".into(),
        shares: false,
        transport: Fact::Known(Transport::Tls),
        tls: Some(tls),
        access: Some(AccessFacts {
            anonymous: Fact::Known(Access::Taken),
            wrong_token: None,
            other_tenant: None,
        }),
        cors: Some(Fact::Known(Cors::Closed)),
        unverified: false,
    };
    let green = Facts { environment: "green".to_owned(), endpoints: vec![endpoint], ..Facts::default() };
    let policy = Policy::default();
    posture::judge(&Input {
        subject: &green,
        reference: None,
        before: None,
        policy: &policy,
        now: 1_800_000_000,
    })
}

fn load_() -> Report {
    let phase = |part, rate, failed: u64| {
        let mut counts = Counts::new(Phase { part, rate, duration: Duration::from_secs(10) });
        for request in 0..rate {
            counts.offer(10);
            let answer = if request < failed { Answer::Retryable } else { Answer::Accepted { rejected: 0 } };
            counts.count(answer, 10, Duration::from_millis(400));
            counts.lag.record(Duration::from_micros(200));
        }
        counts
    };
    let mut read_back = ReadBack { asked: true, ..ReadBack::default() };
    read_back.count(under_load::Incomplete { trace_id: TraceId([7; 16]), phase: 0, expected: 8, found: 5 });
    let measured = Measured {
        seed: 7,
        at: AT,
        spans_per_request: 10,
        phases: vec![phase(Part::Ramp { step: 1, of: 1 }, 450, 0), phase(Part::Hold, 900, 90)],
        read_back,
        ..Measured::default()
    };
    let run = under_load::Run {
        candidate: under_load::Side {
            environment: "green".to_owned(),
            lanes: vec![under_load::Lane { protocol: "grpc", coding: "gzip", measured: Ok(measured) }],
        },
        active: None,
        limits: Limits::new(Duration::from_millis(250)),
        read_back: true,
    };
    under_load::judge(&run)
}

fn names() -> Names {
    Names { active: "blue".into(), candidate: "green".into() }
}

/// With other traces for another seed, and differences in others of them.
pub(crate) fn parity(seed: u64) -> Report {
    let limits = parity::Limits { differ_max: 0.01, confidence: Confidence::P95 };
    let mut gate = Parity::new(names(), Rules::between(Store::Jaeger, Store::Tempo), limits);
    for (i, trace) in generate(seed, AT, 120).into_iter().enumerate() {
        let mut theirs = trace.spans.clone();
        match (i + 7 * seed as usize) % 30 {
            7 => _ = theirs[0].attributes.remove("probe.map"),
            1 => _ = theirs.pop(),
            2 => theirs.clear(),
            _ => {}
        }
        gate.add(trace.id, &Read::Spans(trace.spans), &Read::Spans(theirs));
    }
    gate.report(json!({ "seed": "7" }))
}

/// With a hole that begins so many hours later.
pub(crate) fn history(later: usize) -> Report {
    let mut gate = History::new(names(), Rules::between(Store::Tempo, Store::Tempo));
    for (i, trace) in generate(1, AT, 100).into_iter().enumerate() {
        let theirs = if (40 + later..=42 + later).contains(&i) { Vec::new() } else { trace.spans.clone() };
        let outcome = Outcome::Answered { in_active: true, in_candidate: i < 90 };
        let searches = vec![Search { by: "service".into(), outcome }];
        let begun = AT + i as u64 * 60 * MINUTE;
        gate.add(&Old {
            id: trace.id,
            begun,
            active: Read::Spans(trace.spans),
            candidate: Read::Spans(theirs),
            searches,
        });
    }
    gate.report(json!({ "seed": "7" }), false)
}

/// Spans of `service`, each of a trace of its own, over an hour.
fn recorded(service: &str, operation: &str, attributes: &[(&str, &str)], millis: u64) -> coverage::Recorded {
    let texts = |pairs: &[(&str, &str)]| -> Attributes {
        let text = |text: &str| AttributeValue::String(text.to_owned());
        pairs.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect()
    };
    let (mut inventory, mut names) = (Inventory::new(), Texts::default());
    for nth in 1..=200_u128 {
        let start = AT + nth as u64 * MINUTE / 4;
        let span = Span {
            trace_id: TraceId(nth.to_be_bytes()),
            span_id: SpanId([1; 8]),
            parent: None,
            trace_state: String::new(),
            resource: texts(&[("service.name", service)]),
            scope: String::new(),
            scope_version: String::new(),
            scope_attributes: Attributes::new(),
            flags: 0x101,
            name: operation.to_owned(),
            kind: Kind::Client,
            start,
            end: start + millis * 1_000_000,
            attributes: texts(attributes),
            events: Vec::new(),
            links: Vec::new(),
            status: StatusCode::Unset,
            status_message: String::new(),
        };
        inventory.note(&[Sight::of(&span, &mut names)], None, 1);
    }
    for service in inventory.services.values_mut() {
        service.estimated = service.seen.traces.into();
    }
    coverage::Recorded { inventory, ..coverage::Recorded::default() }
}

fn coverage() -> Report {
    let side = |name: &str, recorded| {
        let recorded = Ok(recorded);
        coverage::Side { name: name.to_owned(), url: format!("http://{name}-query:16686"), recorded }
    };
    let blue = recorded("payment", "Charge {card}", &[("payment.id", "1")], 20);
    let inputs = coverage::Inputs {
        blue: side("blue", blue),
        green: side("green", recorded("shop", "GET /", &[], 20)),
        before: None,
        sent: Err("no gateway's tap is on".to_owned()),
        window: coverage::Window { from: AT, until: AT + 60 * MINUTE },
        share: 1.0,
        no_share: None,
    };
    coverage::judge(&inputs, &coverage::Limits::default())
}

fn dependencies() -> Report {
    let insurer = [("server.address", "api.insurer.example"), ("http.request.method", "POST")];
    let mock = [("server.address", "insurer-mock"), ("http.request.method", "POST")];
    let mut live = recorded("intake", "submit claim", &insurer, 2_400);
    live.troubles =
        vec![coverage::Trouble { what: "http://q/api/traces answers 502".to_owned(), answered: true }];
    let live = coverage::Side { name: "blue".into(), url: "http://q".into(), recorded: Ok(live) };
    let tests = Ok(recorded("intake", "submit claim", &mock, 3));
    let inputs = dependencies::Inputs { live, source: "tests.json".into(), tests };
    dependencies::judge(&inputs, &dependencies::Limits::default())
}

fn policy() -> Report {
    let text = "package bank\n\ndeny contains \"no change on a freeze\" if true\nwarn contains \"no drill\" if true\n";
    let source = policy::Source { name: "policies/bank.rego".to_owned(), text: text.to_owned() };
    let asked = policy::input(json!({}), json!({}), &[], json!([]), AT / 1_000_000_000);
    let answers = policy::ask(std::slice::from_ref(&source), &asked, || None).expect("a policy");
    let mut report = policy::judge(&[source.name], &answers, &["load".to_owned()]);
    let broken = policy::Source {
        name: "policies/broken.rego".to_owned(),
        text: "package bank\n\ndeny contains x if {\n  x := \n}\n".to_owned(),
    };
    let error = policy::check(&broken, || None).expect_err("it is broken");
    report.findings.extend(policy::cannot_ask(&error).findings);
    let objection = |requirement: &str| policy::Objection {
        policy: "crossfade:pci.rego".to_owned(),
        requirement: requirement.to_owned(),
        says: "so it says".to_owned(),
        because: "CF-DRIFT-014".to_owned(),
    };
    let ready = policy::Answers { denials: vec![objection("PCI DSS 3.5.1")], ..policy::Answers::default() };
    report.findings.extend(policy::judge(&["crossfade:pci.rego".to_owned()], &ready, &[]).findings);
    report
}
