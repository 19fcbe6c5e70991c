//! What the comparison does not know makes noise: references, names that are alike, machines with two environments on them.

use super::*;

/// A Collector that receives OTLP and sends to one place.
fn sends(exporters: &str, names: &str) -> String {
    format!(
        "receivers: {{otlp: }}\nexporters: {{{exporters}}}\nservice: {{pipelines: {{traces: {{receivers: [otlp], exporters: [{names}]}}}}}}"
    )
}

fn collector(body: &str) -> String {
    format!("receivers: {{otlp: }}\nexporters: {{debug: }}\n{body}")
}

/// Scenario: one file has `otlp/x` and `otlp_grpc/x`, which the Collector runs both.
/// Guarantee: the second is compared as well: its address, its presence, who uses it.
#[test]
fn two_spellings_in_one_file_are_two_components() {
    let x = "otlp/x: {endpoint: a:1}";
    let both =
        |second: &str| sends(&format!("{x}, otlp_grpc/x: {{endpoint: {second}}}"), "otlp/x, otlp_grpc/x");
    let reversed = sends(&format!("otlp_grpc/x: {{endpoint: b:1}}, {x}"), "otlp_grpc/x, otlp/x");
    check(&both("b:1"), &reversed, &[]);
    check(&both("b:1"), &both("c:1"), &["009 exporters.otlp_grpc/x.endpoint b:1 -> c:1"]);
    let one = sends(x, "otlp/x");
    let added = "010 service.pipelines.traces.exporters [otlp/x] -> [otlp/x, otlp_grpc/x]";
    check(&one, &both("evil:1"), &[added]);
    let removed = "032 service.pipelines.traces.exporters [otlp/x, otlp_grpc/x] -> [otlp/x]";
    check(&both("evil:1"), &one, &[removed]);
    // One of them in either spelling is one component still.
    check(&one, &sends("otlp_grpc/x: {endpoint: a:1}", "otlp_grpc/x"), &[]);
    // Used is the one that the pipeline names.
    let used = |name: &str| sends(&format!("{x}, otlp_grpc/x: {{endpoint: b:1}}"), name);
    check(
        &used("otlp/x"),
        &used("otlp_grpc/x"),
        &["009 exporters.otlp_grpc/x.endpoint a:1 -> b:1", "060 exporters.otlp/x otlp/x -> otlp_grpc/x"],
    );
}

/// Scenario: two authenticators whose names differ by an underscore; a setting names the other one.
/// Guarantee: a difference, although the names are aliases where there is only one.
#[test]
fn a_setting_names_one_of_two_spellings() {
    let config = |name: &str, second: &str| {
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{auth: {{authenticator: {name}}}}}}}}}}}\nexporters: {{debug: }}\nextensions: {{basicauth/a: {second}}}\nservice: {{extensions: [basicauth/a{}]}}",
            if second.is_empty() { "" } else { ", basic_auth/a" }
        )
    };
    let two = ", basic_auth/a: {htpasswd: {file: /b}}";
    let path = "receivers.otlp.protocols.grpc.auth.authenticator";
    let expected = format!("006 {path} basicauth/a -> basic_auth/a");
    check(&config("basicauth/a", two), &config("basic_auth/a", two), &[&expected]);
    check(&config("basicauth/a", ""), &config("basic_auth/a", ""), &[]);
}

/// Scenario: both define an exporter, only one of them uses it, and the addresses differ.
/// Guarantee: the address is a matter of security, not a leftover.
#[test]
fn what_one_side_uses_is_used() {
    let exporters = |endpoint: &str| format!("debug: , otlp/x: {{endpoint: {endpoint}}}");
    let (idle, used) = ("debug", "debug, otlp/x");
    let changed = |blue: &str, green: &str| {
        let report = drift(
            &tree(&sends(&exporters("a:1"), blue), "b"),
            &tree(&sends(&exporters("evil:1"), green), "g"),
            &[],
            &Context::default(),
        );
        let at = report.findings.iter().find(|f| f.path.ends_with("endpoint")).expect("the endpoint differs");
        at.rule
    };
    assert_eq!(changed(idle, used), "destination_changed");
    assert_eq!(changed(used, idle), "destination_changed");
    assert_eq!(changed(used, used), "destination_changed");
    assert_eq!(changed(idle, idle), "unused_component_changed");
}

/// Scenario: values are references to variables that nobody here knows.
/// Guarantee: they are compared as written, a reference is never taken for a value, and the report says how many there are.
#[test]
fn references_are_compared_as_written() {
    let to = |endpoint: &str| sends(&format!("otlp/x: {{endpoint: '{endpoint}'}}"), "otlp/x");
    let path = "009 exporters.otlp/x.endpoint";
    check(&to("${env:T}"), &to("${T}"), &[]);
    for (blue, green) in [
        ("${env:T}", "a:1"),
        ("${env:T}", "${env:U}"),
        ("${env:T}:1", "${env:t}:1"),
        ("${env:T:-a:1}", "a:1"),
        ("${env:T:-a:1}", "${env:T}"),
        ("${env:T:-a:1}", "${env:T:-b:1}"),
        ("$${env:T}", "${env:T}"),
        ("$$${env:T}", "$${env:T}"),
    ] {
        check(&to(blue), &to(green), &[&format!("{path} {blue} -> {green}")]);
    }
    let report = |blue: &str, green: &str| {
        drift(&tree(&to(blue), "b"), &tree(&to(green), "g"), &[], &Context::default())
    };
    for (blue, green, count) in
        [("${T}", "${T}", 2), ("${T}", "a:1", 1), ("a:1", "a:1", 0), ("$${T}", "$${T}", 0)]
    {
        let report = report(blue, green);
        assert_eq!(report.as_written, count, "{blue} {green}");
        let said = render::text(&report, render::Detail::Differences).contains("compared as written");
        assert_eq!(said, count > 0);
    }
}

/// Scenario: a whole pipeline, a list of components, or a section is a reference. Guarantee: another one is a difference.
#[test]
fn a_reference_in_place_of_a_structure_is_not_passed_over() {
    for body in [
        "service: {}",
        "service: {pipelines: {}}",
        "service: {extensions: {}, pipelines: }",
        "service: {pipelines: {traces: {}}}",
        "service: {pipelines: {traces: {receivers: {}}}}",
        "service: {pipelines: {traces: {processors: {}}}}",
        "service: {pipelines: {traces: {exporters: {}}}}",
        "service: {pipelines: {traces: {exporters: [debug, {}]}}}",
        "processors: {}",
        "processors: {batch: {}}",
    ] {
        let with = |what: &str| tree(&collector(&body.replacen("{}", what, 1)), "c");
        let findings =
            |blue: &Node, green: &Node| drift(blue, green, &[], &Context::default()).findings.len();
        let (a, b) = (with("'${env:A}'"), with("'${env:B}'"));
        assert_eq!(findings(&a, &a), 0, "{body}");
        assert!(findings(&a, &b) > 0, "{body}");
    }
}

fn on_one_machine() -> Context {
    let own = |port: u16| {
        OwnEndpoints::new([format!("http://127.0.0.1:{port}"), format!("localhost:{}", port + 1)])
    };
    Context { blue: own(14_317), green: own(24_317) }
}

/// Scenario: both environments run on one machine, and an exporter leads to a port of the other one.
/// Guarantee: that is found, for either side, in any spelling of the machine's own address, and even if both are equal.
#[test]
fn a_port_of_the_other_environment_is_found() {
    let context = on_one_machine();
    let to = |endpoint: &str| sends(&format!("otlp/x: {{endpoint: '{endpoint}'}}"), "otlp/x");
    let path = "025 exporters.otlp/x.endpoint";
    for (blue, green) in [
        ("127.0.0.1:14318", "127.0.0.1:14318"),
        ("127.0.0.1:24318", "127.0.0.1:14318"),
        ("127.0.0.1:24318", "127.0.0.1:24318"),
        ("third.example:1", "http://localhost:14317"),
        ("localhost:14318", "'[::1]:14318'"),
        ("localhost:14318", "0.0.0.0:14318"),
    ] {
        let (blue, green) = (blue.trim_matches('\''), green.trim_matches('\''));
        let report = drift(&tree(&to(blue), "b"), &tree(&to(green), "g"), &[], &context);
        assert_eq!(brief(&report).len(), 1, "{blue} {green}: {:?}", brief(&report));
        assert!(brief(&report)[0].starts_with(path), "{:?}", brief(&report));
    }
    // Each to its own, or to a port that nobody has listed.
    check_in(&context, &to("127.0.0.1:14318"), &to("127.0.0.1:24318"), &[]);
    check_in(&context, &to("127.0.0.1:5"), &to("127.0.0.1:6"), &[]);
    // What both have listed is neither's alone.
    let shared = OwnEndpoints::new(["localhost:7"]);
    let shared = Context { blue: shared.clone(), green: shared };
    check_in(&shared, &to("localhost:7"), &to("localhost:7"), &[]);
    // The address of a list.
    let listed = |port: u16| sends(&format!("kafka: {{brokers: ['127.0.0.1:{port}']}}"), "kafka");
    check_in(&context, &listed(14_318), &listed(24_318), &[]);
    let found = "025 exporters.kafka.brokers [127.0.0.1:24318] -> [127.0.0.1:14318]";
    check_in(&context, &listed(24_318), &listed(14_318), &[found]);
}

/// Scenario: where names are expected stands something that is not even equal to itself as a number.
/// Guarantee: a tree does not differ from itself.
#[test]
fn not_a_number_is_what_it_is() {
    for text in
        ["service: { extensions: .nan }", "service: { pipelines: .nan }", "exporters: { a: { b: [.nan] } }"]
    {
        let tree = tree(text, "a.yaml");
        assert_eq!(drift(&tree, &tree, &[], &Context::default()).findings, [], "{text}");
    }
}
