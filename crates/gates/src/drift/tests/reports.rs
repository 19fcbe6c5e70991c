//! What people and programs see.

use crossfade_yaml::parse;

use super::secrets::read_suggestion;
use super::*;

fn worse() -> String {
    BASE.replace("redaction/pan, attributes", "attributes")
        .replace("Bearer hunter2", "Bearer hunter3")
        .replace("{timeout: 5s}", "{timeout: 10s}")
        .replace("endpoint: localhost:4317", "endpoint: 0.0.0.0:4317")
        .replace("otlp/tempo, debug]", "debug, otlp/tempo]")
        .replace("max_elapsed_time: 0", "max_elapsed_time: 0s")
}

fn allow(path: &str, from: &str, to: &str, line: u32) -> Allow {
    let node = |text| Some(parse(text, "rollout.yaml").expect("YAML"));
    let mark = Some(Mark::new("rollout.yaml", line, 9));
    Allow { path: path.to_owned(), from: node(from), to: node(to), reason: "CHG-20418".to_owned(), mark }
}

fn report(allow: &[Allow]) -> DriftReport {
    drift(&tree(BASE, "blue.yaml"), &tree(&worse(), "green.yaml"), allow, &Context::default())
}

fn declared() -> DriftReport {
    report(&[
        // In another unit than either file.
        allow("collector:processors.batch.timeout", "5000ms", "10s", 21),
        allow("collector:processors.batch.send_batch_size", "8192", "4096", 22),
        allow("collector:receivers.otlp.protocols.grpc.endpoint", "localhost:4317", "10.0.0.1:4317", 23),
    ])
}

#[test]
fn as_text() {
    insta::assert_snapshot!(render::text(&declared(), render::Detail::Differences));
}

#[test]
fn as_an_excerpt_it_names_no_flag() {
    let report = declared();
    let alone = render::text(&report, render::Detail::Differences);
    assert!(alone.contains(": --all"), "{alone}");
    assert_eq!(render::text(&report, render::Detail::Excerpt), alone.replace(": --all", ""));
}

#[test]
fn as_text_with_everything() {
    insta::assert_snapshot!(render::text(&declared(), render::Detail::All));
}

#[test]
fn as_json() {
    insta::assert_snapshot!(render::json(&declared()));
}

#[test]
fn as_sarif() {
    insta::assert_snapshot!(render::sarif(&declared(), "0.1.0"));
}

#[test]
fn as_declarations() {
    let text = render::suggest(&declared());
    insta::assert_snapshot!(text);
    assert!(report(&read_suggestion(&render::suggest(&report(&[])))).passed());
}

#[test]
fn no_differences() {
    let base = tree(BASE, "blue.yaml");
    let report = drift(&base, &base, &[], &Context::default());
    assert_eq!(render::text(&report, render::Detail::All), "No differences.\n");
    assert_eq!(render::suggest(&report), "");
}

/// Scenario: a declaration names the right path and one wrong value. Guarantee: it declares nothing, and says so.
#[test]
fn a_declaration_holds_for_its_values_only() {
    let path = "collector:processors.batch.timeout";
    for (from, to, passes) in [
        ("5s", "10s", true),
        ("5000ms", "10000ms", true),
        ("5s", "11s", false),
        ("4s", "10s", false),
        ("null", "10s", false),
        ("5s", "null", false),
    ] {
        let blue = tree(BASE, "blue.yaml");
        let green = tree(&BASE.replace("{timeout: 5s}", "{timeout: 10s}"), "green.yaml");
        let allow = [allow(path, from, to, 1)];
        let report = drift(&blue, &green, &allow, &Context::default());
        assert_eq!(report.passed(), passes, "{from} -> {to}");
        assert_eq!(report.unused_declarations.is_empty(), passes);
    }
}

/// Scenario: an exporter has another name on each side. Guarantee: a declaration may use either.
#[test]
fn a_declaration_may_use_either_name() {
    let blue = tree(BASE, "blue.yaml");
    let green = tree(
        &BASE.replace("otlp/tempo", "otlp_grpc/tempo").replace("tempo.trace.svc:4317", "v.example:4317"),
        "green.yaml",
    );
    for id in ["otlp/tempo", "otlp_grpc/tempo"] {
        let allow = [allow(
            &format!("collector:exporters.{id}.endpoint"),
            "tempo.trace.svc:4317",
            "v.example:4317",
            1,
        )];
        assert!(drift(&blue, &green, &allow, &Context::default()).passed(), "{id}");
    }
}

#[test]
fn places_point_into_the_file_that_a_value_came_from() {
    let blue = tree(BASE, "blue.yaml");
    let overlay = "processors:\n  batch:\n    timeout: 7s\n";
    let green = load(&[("base.yaml", BASE), ("green.yaml", overlay)], &KeepReferences).expect("loads");
    let report = drift(&blue, &green, &[], &Context::default());
    assert_eq!(report.findings[0].mark.to_string(), "green.yaml:3:5");
    assert_eq!(report.findings[0].blue_mark.source.as_ref(), "blue.yaml");

    let map = include_str!("../../../tests/data/collector-configs/helm/deployment-otlp-traces.yaml");
    let changed = map.replace("limit_percentage: 80", "limit_percentage: 70");
    let report = drift(&tree(map, "a.yaml"), &tree(&changed, "b.yaml"), &[], &Context::default());
    let line = changed.lines().position(|l| l.contains("limit_percentage: 70")).expect("there") + 1;
    assert_eq!(differences(&report)[0].mark.to_string(), format!("b.yaml:{line}:9"));
}

#[test]
fn files_that_are_no_configuration_are_refused_with_their_place() {
    let refused = |text: &str| load(&[("f.yaml", text)], &KeepReferences).expect_err("refused").to_string();
    assert_eq!(refused("- a"), "f.yaml:1:1: a configuration must be a map of sections, and this is a list");
    for nothing in ["", "# to be written\n", "{}", "---\n"] {
        let told =
            "f.yaml:1:1: there is no configuration in here; name the file that the environment runs with";
        assert_eq!(refused(nothing), told, "{nothing:?}");
    }
    assert_eq!(
        refused("a: 1\na: 2"),
        "f.yaml:2:1: key `a` stands twice, first in line 1; remove one of them"
    );
    assert_eq!(
        refused("a: 1\n---\nb: 2"),
        "f.yaml:3:1: a second configuration begins here; keep one in a file where several files are merged"
    );
    assert_eq!(
        refused("apiVersion: v1\nkind: Secret\ndata: {a: b}"),
        "f.yaml:1:1: no configuration is found in these Kubernetes objects; expected a ConfigMap or a Secret with YAML text, or an OpenTelemetryCollector with `spec.config`"
    );
    assert_eq!(
        refused("apiVersion: v1\nkind: ConfigMap\ndata:\n  relay: |\n    a: [\n"),
        "f.yaml:6:5: not valid YAML: while parsing a node, did not find expected node content; check indentation, quotes \
         and brackets here and just above"
    );
    let other = |text: &str| recognise(&tree(text, "f.yaml")).map_err(|error| error.to_string());
    for (text, told) in [
        (
            "name: x\nfrom: blue\nto: green\nsteps: []",
            "it looks like a rollout spec of crossfade; name the file that",
        ),
        ("environments: {blue: }", "it looks like crossfade's own site configuration"),
        ("service: {type: ClusterIP}\nimage: a", "it looks like values of a Helm chart"),
        ("storage: {tsdb: }\na: 1\nb: 1\nc: 1\nd: 1", "it has storage, a, b, c, …, and neither receivers, "),
    ] {
        let refused = other(text).expect_err("refused");
        assert!(
            refused.starts_with("f.yaml:1:1: this is no configuration of a Collector, ")
                && refused.contains(told),
            "{refused}"
        );
    }
    for text in
        ["receivers: {otlp: }", "service: {telemetry: }", "storage: {trace: }", "overrides: {}\nfoo: 1"]
    {
        assert_eq!(other(text), Ok(()), "{text}");
    }
    let resource = "apiVersion: opentelemetry.io/v1beta1\nkind: OpenTelemetryCollector\nspec: {config: {receivers: {otlp: }}}";
    assert!(tree(resource, "f.yaml").at(&["receivers", "otlp"]).is_some());
}
