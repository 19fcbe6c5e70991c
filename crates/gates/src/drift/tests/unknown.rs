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

fn verdict(blue: &str, green: &str) -> (crate::report::Verdict, Vec<String>) {
    let report = drift(&tree(blue, "b.yaml"), &tree(green, "g.yaml"), &[], &Context::default());
    (report.report().verdict(), report.findings.iter().map(|f| format!("{} {}", f.rule, f.path)).collect())
}

/// Scenario: a part of both configurations is in a file, or at an address, that cannot be read here.
/// Guarantee: no verdict, with the place; what is equal as it is written is not taken for equal.
#[test]
fn what_cannot_be_read_is_not_known() {
    use crate::report::Verdict::{Fail, NoVerdict};
    let base = sends("otlp/x: {endpoint: 'a:1'}", "otlp/x");
    for (from, to, path) in [
        ("receivers: {otlp: }", "receivers: '${file:/nope}'", "receivers"),
        ("{otlp/x: {endpoint: 'a:1'}}", "{otlp/x: '${file:/nope}'}", "exporters.otlp/x"),
        ("{endpoint: 'a:1'}", "{endpoint: 'a:1', tls: '${https://h/tls.yaml}'}", "exporters.otlp/x.tls"),
        ("endpoint: 'a:1'", "endpoint: 'a:${file:/port}'", "exporters.otlp/x.endpoint"),
        ("receivers: [otlp]", "receivers: '${file:/nope}'", "service.pipelines.traces.receivers"),
        ("exporters: [otlp/x]", "exporters: [otlp/x, '${file:/x}']", "service.pipelines.traces.exporters[1]"),
    ] {
        assert!(base.contains(from), "{from}");
        let with = base.replacen(from, to, 1);
        let expected = format!("value_unknown collector:{path}");
        assert_eq!(verdict(&with, &with), (NoVerdict, vec![expected.clone()]), "{to}");
        let (_, found) = verdict(&base, &with);
        assert!(found.contains(&expected), "{found:?}");
    }
    let all =
        "receivers: '${file:/r}'\nprocessors: '${file:/p}'\nexporters: '${file:/e}'\nservice: '${file:/s}'\n";
    let (told, found) = verdict(all, all);
    assert_eq!((told, found.len()), (NoVerdict, 4), "{found:?}");
    let report = drift(&tree(all, "b.yaml"), &tree(all, "g.yaml"), &[], &Context::default());
    let shown = render::text(&report, render::Detail::Differences);
    assert!(shown.contains("g.yaml:3") && shown.contains("${file:/e} cannot be read here"), "{shown}");
    // Tempo's configuration, and a failure beside it.
    let tempo =
        |more: &str| format!("storage: {{trace: {{backend: local}}}}\ndistributor: '${{file:/d}}'\n{more}");
    assert_eq!(verdict(&tempo(""), &tempo("")).0, NoVerdict);
    assert_eq!(verdict(&tempo(""), &tempo("multitenancy_enabled: true")).0, Fail);
    // Where nothing uses it, it has no effect.
    let unused = base.replace("exporters: {", "exporters: {otlp/y: '${file:/nope}', ");
    assert_eq!(verdict(&unused, &unused).0, crate::report::Verdict::Pass);
}

/// Scenario: both sides write the same variable. Guarantee: where it decides who comes in, and how, nothing is known; elsewhere it
/// is named, and passes.
#[test]
fn variables_on_which_security_hangs_are_not_known() {
    use crate::report::Verdict::{NoVerdict, Pass};
    let config = |receiver: &str, exporter: &str| {
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 'localhost:4317'}}, http: {{{receiver}}}}}}}}}\nexporters: {{otlp: {{{exporter}}}}}\n\
             service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [otlp]}}}}}}"
        )
    };
    for (receiver, exporter) in [
        ("endpoint: '${env:HOST}:4318'", "endpoint: 'a:1'"),
        ("endpoint: '${HOST:-localhost}:4318'", "endpoint: 'a:1'"),
        ("endpoint: 'h:1', tls: {min_version: '${env:TLS}'}", "endpoint: 'a:1'"),
        ("endpoint: 'h:1', auth: {authenticator: '${env:AUTH}'}", "endpoint: 'a:1'"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', tls: {insecure: '${env:PLAIN}'}"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', tls: {ca_file: '${env:CA}'}"),
        ("endpoint: 'h:1', tls: {client_ca_file: '${env:CA}'}", "endpoint: 'a:1'"),
        ("endpoint: '${env:POD_IP:-localhost}:4318'", "endpoint: 'a:1'"),
        ("endpoint: '${env:POD_IP}.${env:ZONE}:4318'", "endpoint: 'a:1'"),
        ("endpoint: '${env:pod_ip}:4318'", "endpoint: 'a:1'"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', headers: '${file:/h}'"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', headers: ['${file:/h}']"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', headers: {authorization: '${https://h/token}'}"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', password: '${file:/run/secrets.yaml}'"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', htpasswd: '${file:/run/users}'"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', tls: {insecure: '${file:/run/plain}'}"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', compression: '${file:/run/compression}'"),
    ] {
        let text = config(receiver, exporter);
        assert_eq!(verdict(&text, &text).0, NoVerdict, "{receiver} {exporter}");
    }
    for (receiver, exporter) in [
        ("endpoint: 'localhost:${env:PORT}'", "endpoint: 'a:1'"),
        ("endpoint: 'h:1'", "endpoint: '${env:TARGET}', headers: {authorization: 'Bearer ${env:TOKEN}'}"),
        ("endpoint: '${env:MY_POD_IP}:4318'", "endpoint: 'a:1'"),
        ("endpoint: '${POD_IP}:${env:PORT}'", "endpoint: 'a:1'"),
        ("endpoint: 'http://[${env:K8S_POD_IP}]:4318'", "endpoint: 'a:1'"),
        (
            "endpoint: 'h:1', tls: {cert_file: '${env:CERT_DIR}/tls.crt', key_file: '${env:KEY}'}",
            "endpoint: 'a:1', tls: {ca_file: '${env:CERT_DIR}/ca.crt'}",
        ),
        ("endpoint: 'h:1'", "endpoint: 'a:1', headers: {authorization: 'Bearer ${file:/run/secrets/token}'}"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', headers: {x-tenant: '${file:/run/tenant}'}"),
        ("endpoint: 'h:1'", "endpoint: 'a:1', password: '${file:/run/secrets/pw}', token: '${file:/t}'"),
        ("endpoint: 'h:1', tls: {key_pem: '${file:/run/tls.key}'}", "endpoint: 'a:1'"),
    ] {
        let text = config(receiver, exporter);
        assert_eq!(verdict(&text, &text), (Pass, vec![]), "{receiver} {exporter}");
    }
    // Two files, or one beside none, are as unknown as before.
    let token = |text: &str| config("endpoint: 'h:1'", &format!("endpoint: 'a:1', headers: {{a: '{text}'}}"));
    for other in ["${file:/b}", "plain"] {
        assert!(verdict(&token("${file:/a}"), &token(other)).1[0].starts_with("value_unknown"), "{other}");
    }
    let text = token("Bearer ${file:/a}");
    let report = drift(&tree(&text, "b"), &tree(&text, "g"), &[], &Context::default());
    let shown = render::text(&report, render::Detail::Differences);
    assert!(
        shown.contains("2 values hold references") || shown.contains("1 value holds a reference"),
        "{shown}"
    );
    let text = config("endpoint: 'h:1'", "endpoint: '${env:TARGET}'");
    let report = drift(&tree(&text, "b"), &tree(&text, "g"), &[], &Context::default());
    assert_eq!(report.variables, ["TARGET"]);
    let shown = render::text(&report, render::Detail::Differences);
    assert!(shown.contains("Not compared: TARGET; name an env_file"), "{shown}");
}

/// Scenario: one side writes the newest default, the other nothing, and nobody says which version runs.
/// Guarantee: unknown where security hangs on it, a note elsewhere; with the version, or in Jaeger, a default.
#[test]
fn a_default_needs_its_version() {
    use crate::report::Verdict::{NoVerdict, Pass};
    let config = |grpc: &str, exporter: &str| {
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {grpc}}}}}}}\nexporters: {{otlp: {{endpoint: 'a:1'{exporter}}}}}\n\
             service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [otlp]}}}}}}"
        )
    };
    let (written, bare) = (config("{endpoint: 'localhost:4317'}", ""), config("", ""));
    let path = "value_unknown collector:receivers.otlp.protocols.grpc.endpoint";
    assert_eq!(verdict(&written, &bare), (NoVerdict, vec![path.to_owned()]));
    assert_eq!(
        verdict(&bare, &config("{endpoint: '127.0.0.1:14317'}", "")),
        (NoVerdict, vec![path.to_owned()])
    );
    let (b, g) = (tree(&written, "b"), tree(&bare, "g"));
    let said = Versions { green: Some("0.158.0".parse().expect("a version")), blue: None };
    let pair = Pair { name: "collector", blue: Some(&b), green: Some(&g), versions: said };
    assert_eq!(compare(&[pair], &[], &Context::default(), &digest).report().verdict(), Pass);
    let balancer = config("{endpoint: 'localhost:4317'}", ", balancer_name: round_robin");
    let report = drift(&tree(&written, "b"), &tree(&balancer, "g"), &[], &Context::default());
    assert_eq!(report.findings, []);
    assert!(
        report.by_version.contains(&"collector:exporters.otlp.balancer_name".to_owned()),
        "{:?}",
        report.by_version
    );
    // Neither writes it: a note.
    let report = drift(&tree(&bare, "b"), &tree(&bare, "g"), &[], &Context::default());
    assert_eq!(report.findings, []);
    assert!(
        render::text(&report, render::Detail::Differences).contains("receivers.otlp.protocols.grpc.endpoint")
    );
    let jaeger = |text: &str| {
        format!(
            "extensions: {{jaeger_query: {{storage: {{traces: a}}}}}}\n{}",
            text.replace("service: {", "service: {extensions: [jaeger_query], ")
        )
    };
    assert_eq!(verdict(&jaeger(&written), &jaeger(&bare)).0, Pass);
    let tempo = |grpc: &str| {
        format!(
            "storage: {{trace: {{backend: local}}}}\ndistributor: {{receivers: {{otlp: {{protocols: {{grpc: {grpc}}}}}}}}}"
        )
    };
    assert_eq!(verdict(&tempo("{endpoint: 'localhost:4317'}"), &tempo("")).0, NoVerdict);
}
