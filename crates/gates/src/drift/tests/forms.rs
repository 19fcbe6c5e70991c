//! Older forms and versions, manifests, what is withheld, and ways around a guard.

use super::table_bases::{GATEWAY, TEMPO};
use super::*;

fn between(versions: (&str, &str), blue: &str, green: &str) -> DriftReport {
    let version = |text: &str| (!text.is_empty()).then(|| text.parse().expect("a version"));
    let (b, g) = (tree(blue, "blue.yaml"), tree(green, "green.yaml"));
    let versions = Versions { blue: version(versions.0), green: version(versions.1) };
    let pair = Pair { name: "collector", blue: Some(&b), green: Some(&g), versions };
    compare(&[pair], &[], &Context::default(), &digest)
}

fn collector(receivers: &str, exporters: &str, telemetry: &str) -> String {
    format!(
        "receivers: {{{receivers}}}\nexporters: {{{exporters}}}\nservice:\n  telemetry: {{{telemetry}}}\n  pipelines: {{traces: {{receivers: [otlp], exporters: [{}]}}}}\n",
        exporters.split(':').next().unwrap_or_default()
    )
}

const OTLP: &str = "otlp: {protocols: {grpc: , http: }}";

/// Scenario: the same file runs with two releases between which a default changed, and neither side writes the value.
/// Guarantee: a difference of its class; none between releases that agree, and none for what is not switched on.
#[test]
fn defaults_change_between_versions() {
    let config = collector(OTLP, "debug: ", "");
    let found = brief(&between(("0.103.0", "0.104.0"), &config, &config));
    assert_eq!(
        found,
        [
            "001 receivers.otlp.protocols.grpc.endpoint 0.0.0.0:4317 -> localhost:4317",
            "001 receivers.otlp.protocols.http.endpoint 0.0.0.0:4318 -> localhost:4318",
        ]
    );
    let report = between(("0.103.0", ""), &config, &config);
    let detail = &report.findings[0].detail;
    assert!(detail.contains("the default differs between 0.103.0 and the newest"), "{detail}");
    assert!(
        report.findings.iter().any(|f| f.path.contains("telemetry.metrics.readers")),
        "{:?}",
        brief(&report)
    );
    for versions in [("0.104.0", "0.110.0"), ("0.111.0", ""), ("", ""), ("2.0.0", "2.13.0")] {
        assert_eq!(brief(&between(versions, &config, &config)), Vec::<String>::new(), "{versions:?}");
    }
    let grpc = collector("otlp: {protocols: {grpc: }}", "debug: ", "");
    assert_eq!(between(("0.103.0", "0.104.0"), &grpc, &grpc).findings.len(), 1);
    // One side writes what the other's release assumes.
    let written = collector("otlp: {protocols: {grpc: {endpoint: 0.0.0.0:4317}}}", "debug: ", "");
    assert_eq!(brief(&between(("0.103.0", "0.104.0"), &grpc, &written)), Vec::<String>::new());
    assert_eq!(between(("0.104.0", "0.104.0"), &grpc, &written).findings.len(), 1);
    let queue = collector(OTLP, "otlp_grpc: {endpoint: 'a:1', sending_queue: {batch: {}}}", "");
    let sizes = brief(&between(("0.137.0", "0.138.0"), &queue, &queue));
    assert!(sizes.iter().all(|line| line.starts_with("050 ")) && sizes.len() == 2, "{sizes:?}");
}

/// Scenario: blue is written for an old release, green says the same for the newest. Guarantee: no difference.
#[test]
fn older_forms_say_the_same() {
    for (old, new) in [
        (
            collector(OTLP, "logging: {loglevel: debug}", ""),
            collector(OTLP, "debug: {verbosity: detailed, sampling_thereafter: 500}", ""),
        ),
        (
            collector(OTLP, "logging: ", ""),
            collector(OTLP, "debug: {verbosity: normal, sampling_thereafter: 500}", ""),
        ),
        (
            collector(OTLP, "debug: ", "metrics: {address: '0.0.0.0:8888'}"),
            collector(
                OTLP,
                "debug: ",
                "metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}",
            ),
        ),
        (
            collector(OTLP, "otlp: {endpoint: 'a:1', sending_queue: {blocking: true}}", ""),
            collector(OTLP, "otlp_grpc: {endpoint: 'a:1', sending_queue: {block_on_overflow: true}}", ""),
        ),
        (
            collector(OTLP, "otlp: {endpoint: 'a:1', batcher: {enabled: true, min_size_items: 5}}", ""),
            collector(OTLP, "otlp: {endpoint: 'a:1', sending_queue: {batch: {min_size: 5}}}", ""),
        ),
        (
            collector(OTLP, "otlp: {endpoint: 'a:1', headers: {a: b, c: d}}", ""),
            collector(
                OTLP,
                "otlp: {endpoint: 'a:1', headers: [{name: c, value: d}, {name: a, value: b}]}",
                "",
            ),
        ),
    ] {
        check(&old, &new, &[]);
        check(&new, &old, &[]);
    }
    // From 0.123 on, the address is not read any more: the reader is the default one.
    let old = collector(OTLP, "debug: ", "metrics: {address: '0.0.0.0:8888'}");
    let found = brief(&between(("0.123.0", "0.123.0"), &old, &collector(OTLP, "debug: ", "")));
    assert_eq!(found.len(), 1, "{found:?}");
}

/// Scenario: blue's configuration is as somebody wrote it, green's as a Collector 0.158 prints it (`otelcol print-config`).
/// Guarantee: what was only filled in is no difference; a null that turns something on is one, and so is a changed default.
#[test]
fn what_a_collector_prints_says_the_same() {
    let written = collector(
        "otlp: {protocols: {grpc: , http: }}",
        "otlp: {endpoint: s:4317}, otlphttp: {endpoint: \"http://s\"}, debug: ",
        "",
    );
    let receiver = "otlp: {protocols: {grpc: {endpoint: localhost:4317, keepalive: {enforcement_policy: {}, server_parameters: {}}, \
        read_buffer_size: 524288, transport: tcp, tls: null}, http: {cors: null, endpoint: localhost:4318, idle_timeout: 0s, \
        keep_alives_enabled: true, read_header_timeout: 0s, tls: null, transport: tcp, write_timeout: 0s}}}";
    let exporters = "otlp: {endpoint: s:4317, sending_queue: {queue_size: 1000, sizer: {}, storage: null}}, \
        otlphttp: {endpoint: \"http://s\", force_attempt_http2: true, traces_endpoint: \"\", encoding: proto}, \
        debug: {output_paths: [], sending_queue: null}";
    let found = |green: &str| brief(&between(("0.158", "0.158"), &written, green));
    assert_eq!(found(&collector(receiver, exporters, "")), Vec::<String>::new());
    let batches = exporters.replace("storage: null", "batch: null");
    assert_eq!(found(&collector(receiver, &batches, "")).len(), 1, "an empty `batch` batches");
    let filter = |mode: &str| format!("processors: {{filter: {{{mode}}}}}\n{written}");
    let modes = |versions, mode| brief(&between(versions, &filter(""), &filter(mode)));
    assert_eq!(modes(("0.158", "0.158"), "error_mode: ignore"), Vec::<String>::new());
    assert_eq!(modes(("0.152", "0.158"), "error_mode: propagate"), Vec::<String>::new());
    assert_eq!(modes(("0.158", "0.158"), "error_mode: propagate").len(), 1);
    let empty = "error_mode: ignore, log_conditions: [], spans: {exclude: null, include: null}, logs: {log_record: [], resource: []}";
    assert_eq!(modes(("0.158", "0.158"), empty), Vec::<String>::new());
    assert_eq!(modes(("0.158", "0.158"), &empty.replace("log_record: []", "log_record: [x]")).len(), 1);
}

/// Scenario: blue's Tempo is as somebody wrote it, green's as a Tempo 2.8 serves it at `/status/config`: below a line that says so.
/// Guarantee: the line is no configuration, and what was only filled in is no difference; what is set otherwise is one.
#[test]
fn what_a_tempo_serves_says_the_same() {
    let served = |level: &str| {
        let server = format!("server:\n  http_path_prefix: ''\n  proxy_protocol_enabled: {level}\n");
        format!("GET /status/config\n---\n{}\ncache: {{caches: []}}\n", TEMPO.replace("server:\n", &server))
    };
    let found = |green: &str| brief(&between(("2.8", "2.8"), TEMPO, green));
    assert_eq!(found(&served("false")), Vec::<String>::new());
    assert_eq!(found(&served("true")).len(), 1);
    assert_eq!(
        brief(&between(("2.6", "2.8"), TEMPO, &served("false"))).len(),
        3,
        "what 2.6 fills in is not known"
    );
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// Scenario: manifests as Helm renders them: several objects, a list, several keys. Guarantee: the configurations in them, each
/// by its name, with marks into the file; what lies beside one is compared, too.
#[test]
fn manifests_hold_configurations() {
    let map = |name: &str, key: &str, text: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  {key}: |\n{}",
            indented(text, 4)
        )
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: otel}\nspec: {ports: []}\n";
    let one = format!("# Source: chart\n---\n{service}---\n{}---\n", map("agent", "relay", BASE));
    let node = tree(&one, "rendered.yaml");
    assert_eq!(drift(&node, &tree(BASE, "plain.yaml"), &[], &Context::default()).findings, []);
    let line = one.lines().position(|line| line.contains("endpoint: localhost:4317")).expect("there") + 1;
    let grpc = node.at(&["receivers", "otlp", "protocols", "grpc", "endpoint"]).expect("there");
    assert_eq!((&*grpc.mark.source, grpc.mark.line as usize), ("rendered.yaml", line));

    let two = format!("{}---\n{}", map("agent", "relay", BASE), map("gateway", "relay", GATEWAY));
    let names = |text: &str| -> Vec<String> {
        let all = load_each(&[("m.yaml", text)], &KeepReferences).expect("configurations");
        all.into_iter().map(|loaded| loaded.name).collect()
    };
    assert_eq!(names(&two), ["agent", "gateway"]);
    assert_eq!(names(&one), [""]);
    let items: String = [map("a", "relay", BASE), map("b", "relay", GATEWAY)]
        .iter()
        .map(|object| format!("- {}", indented(object, 2).trim_start()))
        .collect();
    assert_eq!(names(&format!("apiVersion: v1\nkind: List\nitems:\n{items}")), ["a", "b"]);
    assert!(matches!(
        load(&[("m.yaml", &two)], &KeepReferences),
        Err(LoadError::SeveralConfigurations { .. })
    ));

    let tempo = |limit: u32| {
        let overrides = format!("overrides:\n  shop: {{max_bytes_per_trace: {limit}}}\n");
        format!(
            "{}  overrides.yaml: |\n{}  run.sh: \"a: [\"\n",
            map("tempo", "tempo.yaml", TEMPO),
            indented(&overrides, 4)
        )
    };
    check(&tempo(1), &tempo(1), &[]);
    check(&tempo(1), &tempo(2), &["019 data[\"overrides.yaml\"].overrides.shop.max_bytes_per_trace 1 -> 2"]);
}

/// Base64, broken into lines as `base64` writes it.
fn packed(text: &str, by: usize) -> String {
    let packed = crate::model::base64(text.as_bytes());
    let lines: Vec<&str> =
        packed.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    indented(&lines.join("\n"), by)
}

/// Scenario: the configuration is in a Secret as `kubectl get -o yaml` shows it, or in a ConfigMap's `binaryData`, with something
/// beside it. Guarantee: it is read as if it stood there; of what else a Secret holds, nothing is shown, and a change is found.
#[test]
fn what_is_in_base64_is_read() {
    let object = |kind: &str, section: &str, config: &str, beside: &str| {
        format!(
            "apiVersion: v1\nkind: {kind}\nmetadata: {{name: otel}}\n{section}:\n  relay.yaml: |\n{}  licence: |\n{}",
            packed(config, 4),
            packed(beside, 4)
        )
    };
    let changed = BASE.replace("localhost:4317", "0.0.0.0:4317");
    let found = |blue: &str, green: &str| {
        let report = drift(&tree(blue, "blue.yaml"), &tree(green, "green.yaml"), &[], &Context::default());
        let shown = render::text(&report, render::Detail::All) + &crate::render::json(&report.report());
        assert!(!shown.contains("hunter2-licence") && !shown.contains("aHVudGVyMi1saWNlbmNl"), "{shown}");
        brief(&report)
    };
    for (kind, section) in [("Secret", "data"), ("ConfigMap", "binaryData")] {
        let blue = object(kind, section, BASE, "a");
        assert_eq!(found(&blue, &object(kind, section, BASE, "a")), Vec::<String>::new(), "{kind}");
        let worse = found(&blue, &object(kind, section, &changed, "a"));
        assert_eq!(
            worse,
            ["001 receivers.otlp.protocols.grpc.endpoint localhost:4317 -> 0.0.0.0:4317"],
            "{kind}"
        );
    }
    // What is written as text is applied in place of the other.
    let both = format!(
        "{}stringData:\n  relay.yaml: |\n{}",
        object("Secret", "data", BASE, "a"),
        indented(&changed, 4)
    );
    assert_eq!(found(&object("Secret", "data", BASE, "a"), &both).len(), 1);
    let other = |beside| object("Secret", "data", BASE, beside);
    let lines = found(&other("hunter2-licence"), &other("hunter2-licence-2"));
    assert!(lines.len() == 1 && lines[0].contains("data.licence <redacted sha256:"), "{lines:?}");
    // A Secret of another purpose beside the configuration is none, even if it holds a map.
    let registry = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: registry}}\ndata:\n  config.json: |\n{}",
        packed("{\"auths\": {\"a\": \"hunter2-licence\"}}", 4)
    );
    let two = format!("{registry}---\n{}", object("ConfigMap", "binaryData", BASE, "a"));
    assert_eq!(found(&two, &object("Secret", "data", BASE, "a")).len(), 0);
    assert!(matches!(
        load(&[("m.yaml", &registry)], &KeepReferences),
        Err(LoadError::NoConfiguration { .. })
    ));
}

/// Scenario: an OpenTelemetryCollector with its configuration as a map or as text, and arguments that change what it runs with.
/// Guarantee: it is what the Collector runs with that is compared; gates are told one by one, in whatever order they stand.
#[test]
fn an_operators_collector_runs_with_its_arguments() {
    let object = |config: &str, args: &str| {
        format!(
            "apiVersion: opentelemetry.io/v1beta1\nkind: OpenTelemetryCollector\nmetadata: {{name: otel}}\nspec:\n  args: {args}\n  config:{config}"
        )
    };
    let (map, text) = (format!("\n{}", indented(BASE, 4)), format!(" |\n{}", indented(BASE, 4)));
    check(&object(&map, "{}"), BASE, &[]);
    check(&object(&map, "null"), &object(&text, "{}"), &[]);
    let set = "{set: receivers.otlp.protocols.grpc.endpoint=0.0.0.0:4317}";
    let line = "001 receivers.otlp.protocols.grpc.endpoint localhost:4317 -> 0.0.0.0:4317";
    check(&object(&map, "{}"), &object(&text, set), &[line]);
    check(&BASE.replace("localhost:4317", "0.0.0.0:4317"), &object(&map, set), &[]);
    let (on, off) = ("{feature-gates: \"a.b,-c\"}", "{feature-gates: \"-c,-a.b\"}");
    check(&object(&map, on), &object(&text, "{feature-gates: \"-c,+a.b\"}"), &[]);
    let report =
        drift(&tree(&object(&map, on), "b"), &tree(&object(&map, off), "g"), &[], &Context::default());
    let found = brief(&report);
    assert!(found.len() == 1 && found[0].contains("args.feature-gates[\"a.b\"] true -> false"), "{found:?}");
    // What cannot be laid over is compared as it is written.
    check(&object(&map, "{set: nothing}"), &object(&map, "{set: nothing}"), &[]);
    let report =
        drift(&tree(BASE, "b"), &tree(&object(&map, "{set: nothing}"), "g"), &[], &Context::default());
    assert_eq!(report.findings.len(), 1);
}

/// Scenario: an agent reports its effective configuration with secrets withheld. Guarantee: nothing is concluded from them, equal
/// or not; it cannot be declared; all else is compared.
#[test]
fn what_is_withheld_is_not_known() {
    for withheld in ["'[REDACTED]'", "[REDACTED]"] {
        let hidden = BASE.replace("\"Bearer hunter2\"", withheld);
        for (blue, green) in [(BASE, hidden.as_str()), (hidden.as_str(), hidden.as_str())] {
            let (b, g) = (tree(blue, "b"), tree(green, "g"));
            let report = drift(&b, &g, &[], &Context::default());
            assert_eq!(report.findings.len(), 1, "{:?}", brief(&report));
            assert_eq!(report.findings[0].rule, "value_unknown");
            assert_eq!(report.report().verdict(), crate::report::Verdict::NoVerdict);
            assert_eq!(render::suggest(&report), "");
            let allow = Allow {
                path: report.findings[0].path.clone(),
                from: Some(
                    b.at(&["exporters", "otlp/tempo", "headers", "authorization"]).expect("there").clone(),
                ),
                to: Some(
                    g.at(&["exporters", "otlp/tempo", "headers", "authorization"]).expect("there").clone(),
                ),
                reason: "why not".to_owned(),
                mark: None,
            };
            let declared = drift(&b, &g, &[allow], &Context::default());
            assert_eq!(declared.report().verdict(), crate::report::Verdict::NoVerdict);
        }
        let worse = hidden.replace("localhost:4317", "0.0.0.0:4317");
        let report = drift(&tree(&hidden, "b"), &tree(&worse, "g"), &[], &Context::default());
        assert_eq!(report.report().verdict(), crate::report::Verdict::Fail);
    }
}

/// Scenario: green splits one pipeline into two by a connector, and every guard still stands on each way.
/// Guarantee: nothing is said of a guard that is passed by; and it is said as soon as one way leads past it.
#[test]
fn a_connector_is_no_way_around() {
    let config = |first: &str, second: &str, extra: &str| {
        format!(
            "receivers: {{otlp: }}\nprocessors: {{redaction: {{allow_all_keys: false}}}}\nconnectors: {{forward: }}\nexporters: {{otlp/a: {{endpoint: a:1}}}}\n\
             service: {{pipelines: {{traces/in: {{receivers: [otlp], processors: [{first}], exporters: [forward]}}, \
             traces/out: {{receivers: [forward{extra}], processors: [{second}], exporters: [otlp/a]}}}}}}"
        )
    };
    let past = |blue: &str, green: &str| {
        let report = drift(&tree(blue, "b"), &tree(green, "g"), &[], &Context::default());
        report.findings.iter().any(|f| f.detail.contains("past redaction"))
    };
    let (early, late) = (config("redaction", "", ""), config("", "redaction", ""));
    assert!(!past(&early, &late) && !past(&late, &early));
    assert!(past(&early, &config("redaction", "", ", otlp")));
    assert!(!past(&late, &config("", "redaction", ", otlp")));
}

/// Scenario: components of kinds that no rule knows, equal on both sides or not. Guarantee: they are named.
#[test]
fn what_no_rule_knows_is_named() {
    let config = |endpoint: &str| {
        format!(
            "receivers: {{custom: {{endpoint: {endpoint}}}}}\nexporters: {{debug: }}\nservice: {{pipelines: {{traces: {{receivers: [custom], exporters: [debug]}}}}}}"
        )
    };
    let report =
        |blue: &str, green: &str| drift(&tree(blue, "b"), &tree(green, "g"), &[], &Context::default());
    let same = report(&config("a:1"), &config("a:1"));
    assert_eq!(same.unknown_components, ["receivers.custom"]);
    assert_eq!(same.findings, []);
    assert!(render::text(&same, render::Detail::Differences).contains("No rule knows receivers.custom"));
    assert_eq!(report(&config("a:1"), &config("b:1")).findings.len(), 1);
}

/// A ConfigMap and what runs with it.
fn chart(kind: &str, config: &str, pod: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: otel}}\ndata:\n  relay: |\n{}---\n\
         apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: otel}}\nspec: {{template: {{spec: {{{pod}}}}}}}\n",
        indented(config, 4)
    )
}

/// Scenario: a rendered chart, whose container has arguments and variables that change what its ConfigMap says.
/// Guarantee: what runs is compared; what has nothing to do with the configuration is not.
#[test]
fn a_chart_runs_with_its_containers_arguments() {
    let config = BASE.replace("localhost:4317", "${env:LISTEN}:4317");
    let pod = |args: &str, env: &str| {
        format!(
            "volumes: [{{name: conf, configMap: {{name: otel}}}}], containers: [{{name: proxy, args: ['--set=a.b=c']}}, \
             {{name: otel, args: ['--config=/conf/relay'{args}], env: [{{name: LISTEN, {env}}}], volumeMounts: [{{name: conf}}]}}]"
        )
    };
    let local = |args: &str| pod(args, "value: 127.0.0.1");
    for kind in ["Deployment", "DaemonSet", "StatefulSet"] {
        let blue = chart(kind, &config, &local(""));
        check(&blue, &blue, &[]);
        // As if it were written there.
        check(&blue, BASE, &[]);
        check(&blue, &chart(kind, &config, &local("").replace("/conf/relay", "/etc/other")), &[]);
        let open = chart(kind, &config, &pod("", "value: 0.0.0.0"));
        check(&blue, &open, &["001 receivers.otlp.protocols.grpc.endpoint 127.0.0.1:4317 -> 0.0.0.0:4317"]);
        for set in [
            ", '--set=exporters.otlp/tempo.tls.insecure=true'",
            ", '--set', 'exporters.otlp/tempo.tls.insecure=true'",
            ", '--config=yaml:exporters::otlp/tempo::tls::insecure: true'",
        ] {
            let plain = chart(kind, &config, &local(set));
            let report = drift(&tree(&blue, "b"), &tree(&plain, "g"), &[], &Context::default());
            let found = brief(&report);
            assert!(
                found.contains(&"003 exporters.otlp/tempo.tls.insecure - -> true".to_owned()),
                "{set}: {found:?}"
            );
        }
    }
    let blue = chart("Deployment", &config, &local(""));
    let gates = chart("Deployment", &config, &local(", '--feature-gates=-a.b'"));
    let report = drift(&tree(&blue, "b"), &tree(&gates, "g"), &[], &Context::default());
    assert_eq!(report.findings.len(), 1, "{:?}", brief(&report));
    // A configuration from elsewhere is not known.
    let remote = chart("Deployment", &config, &local(", '--config=https://h/more.yaml'"));
    let report = drift(&tree(&remote, "b"), &tree(&remote, "g"), &[], &Context::default());
    assert_eq!(report.report().verdict(), crate::report::Verdict::NoVerdict, "{:?}", brief(&report));
    // The pod's own address is the same field on both sides; another one is not.
    let field = |path: &str| {
        chart("Deployment", &config, &pod("", &format!("valueFrom: {{fieldRef: {{fieldPath: {path}}}}}")))
    };
    check(&field("status.podIP"), &field("status.podIP"), &[]);
    let line = "001 receivers.otlp.protocols.grpc.endpoint $(status.podIP):4317 -> $(status.hostIP):4317";
    check(&field("status.podIP"), &field("status.hostIP"), &[line]);
    // What a Secret holds is not known.
    let secret = chart("Deployment", &config, &pod("", "valueFrom: {secretKeyRef: {name: a, key: b}}"));
    let report = drift(&tree(&secret, "b"), &tree(&secret, "g"), &[], &Context::default());
    assert_eq!(report.report().verdict(), crate::report::Verdict::NoVerdict);
    // A pod that names no volumes has the only configuration.
    let bare = |listen: &str| {
        chart(
            "Deployment",
            &config,
            &format!("containers: [{{args: ['--config=/c'], env: [{{name: LISTEN, value: {listen}}}]}}]"),
        )
    };
    assert_eq!(
        drift(&tree(&bare("127.0.0.1"), "b"), &tree(&bare("0.0.0.0"), "g"), &[], &Context::default())
            .findings
            .len(),
        1
    );
}

/// Scenario: a key is a path, as the Collector takes it in files, too. Guarantee: it is what it stands for.
#[test]
fn a_key_may_be_a_path() {
    let config = |more: &str| format!("{}{more}\n", collector(OTLP, "otlp: {endpoint: 'a:1'}", ""));
    check(
        &config("exporters::otlp::tls::insecure: true"),
        &config("exporters::otlp::tls: {insecure: true}"),
        &[],
    );
    let line = "003 exporters.otlp.tls.insecure - -> true";
    check(&config(""), &config("exporters::otlp::tls::insecure: true"), &[line]);
    let inner = |receivers: &str| collector(receivers, "otlp: {endpoint: 'a:1'}", "");
    check(
        &inner("otlp: {'protocols::grpc::endpoint': '0.0.0.0:4317'}"),
        &inner("otlp: {protocols: {grpc: {endpoint: '0.0.0.0:4317'}}}"),
        &[],
    );
    // Each file before they are merged.
    let merged =
        load(&[("a.yaml", &config("")), ("b.yaml", "exporters::otlp::tls::insecure: true")], &KeepReferences);
    let report = drift(&tree(&config(""), "a"), &merged.expect("loads"), &[], &Context::default());
    assert_eq!(brief(&report), [line]);
}

/// Scenario: a tenant of Tempo's has a `::` in its name, alone or beside a Collector's configuration. Guarantee: it keeps it.
#[test]
fn a_key_is_a_path_only_in_a_collectors_sections() {
    let overrides = "overrides: {'team::a': {ingestion: {rate_limit_bytes: 1}}}\n";
    for text in [
        format!("storage: {{trace: {{backend: local}}}}\n{overrides}"),
        format!("{}{overrides}", collector(OTLP, "otlp: {'tls::insecure': true}", "")),
    ] {
        let root = tree(&text, "a.yaml");
        assert!(root.at(&["overrides", "team::a", "ingestion"]).is_some(), "{root:?}");
        let is_collector = root.get("exporters").is_some();
        assert_eq!(root.at(&["exporters", "otlp", "tls", "insecure"]).is_some(), is_collector, "{root:?}");
    }
}

/// Scenario: keys that are paths of a great many parts, in a file, in a manifest, and as arguments. Guarantee: an error with the
/// place, as for YAML that is nested so deeply.
#[test]
fn paths_are_no_deeper_than_yaml_may_be() {
    let parts = |count: usize, by: &str| vec!["a"; count].join(by);
    let set = |argument: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{relay: 'service: {{pipelines: {{}}}}'}}\n---\n\
             apiVersion: v1\nkind: Pod\nspec:\n  volumes: [{{name: v, configMap: {{name: c}}}}]\n  containers:\n  - name: c\n    \
             args:\n    - '--config=/c'\n    - '{argument}'\n"
        )
    };
    let loads = |text: &str| load(&[("a.yaml", text)], &KeepReferences).map_err(|error| error.to_string());
    for (text, line) in [
        (format!("service: {{}}\n? \"exporters::{}\"\n: 1\n", parts(100_000, "::")), 2),
        (format!("service:\n  a:\n    ? \"{}\"\n    : {{b: 1}}\n", parts(62, "::")), 4),
        (set(&format!("--set={}=1", parts(65, "."))), 14),
        (set(&format!("--set={}=1", parts(100_000, "."))), 14),
        (set(&format!("--config=yaml:{{\"service::{}\": 1}}", parts(64, "::"))), 14),
    ] {
        let error = loads(&text).expect_err("too deep");
        assert!(error.starts_with(&format!("a.yaml:{line}:")) && error.contains("64 levels"), "{error}");
    }
    for text in [
        format!("service:\n  a:\n    ? \"{}\"\n    : {{b: 1}}\n", parts(61, "::")),
        set(&format!("--set={}=1", parts(64, "."))),
    ] {
        loads(&text).expect("as deep as may be");
    }
}
