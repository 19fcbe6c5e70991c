//! What is no difference: every public configuration against itself, written differently.

use crossfade_yaml::{Key, Map, Mark, Node, Value};

use super::*;
use crate::drift::defaults;
use crate::drift::ids::{Id, Section};

/// Name and files (merged from left to right) of each configuration in `tests/data`.
macro_rules! config {
    ($name:literal: $($file:literal),+) => {
        ($name, &[$(($file, include_str!(concat!("../../../tests/data/collector-configs/", $file)))),+])
    };
}

type Config = (&'static str, &'static [(&'static str, &'static str)]);

pub(super) const CONFIGS: [Config; 18] = [
    config!("demo": "demo/otelcol-config.yml", "demo/otelcol-config-extras.yml"),
    config!("demo-full": "demo/otelcol-config.yml", "demo/otelcol-config-observability.yml", "demo/otelcol-config-full.yml"),
    config!("demo-observability": "demo/otelcol-config.yml", "demo/otelcol-config-observability.yml", "demo/otelcol-config-extras.yml"),
    config!("demo-jaeger": "demo/jaeger-config.yml"),
    config!("jaeger": "jaeger/config.yaml"),
    config!("jaeger-badger": "jaeger/config-badger.yaml"),
    config!("jaeger-elasticsearch": "jaeger/config-elasticsearch.yaml"),
    config!("jaeger-kafka": "jaeger/config-kafka-collector.yaml"),
    config!("jaeger-opensearch": "jaeger/config-opensearch.yaml"),
    config!("jaeger-remote": "jaeger/config-remote-storage.yaml"),
    config!("jaeger-spm": "jaeger/config-spm.yaml"),
    config!("jaeger-always": "jaeger/config-tail-sampling-always-sample.yaml"),
    config!("jaeger-service": "jaeger/config-tail-sampling-service-name-policy.yaml"),
    config!("helm-only": "helm/deployment-only.yaml"),
    config!("helm-otlp": "helm/deployment-otlp-traces.yaml"),
    config!("helm-k8s": "helm/kubernetesAttributes.yaml"),
    config!("helm-pvc": "helm/statefulset-with-pvc.yaml"),
    config!("helm-shared": "helm/using-shared-processes.yaml"),
];

pub(super) fn read((name, files): &Config) -> Node {
    load(files, &KeepReferences).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Every configuration, as it is and rewritten: no difference, either way round.
fn same_after(rewrite: impl Fn(&mut Node)) -> usize {
    same_between("", rewrite)
}

/// The same, where a version is said to run on both sides.
fn same_between(version: &str, rewrite: impl Fn(&mut Node)) -> usize {
    let version = (!version.is_empty()).then(|| version.parse().expect("a version"));
    let versions = Versions { blue: version, green: version };
    let mut equivalent = 0;
    for config in &CONFIGS {
        let blue = read(config);
        let mut green = blue.clone();
        rewrite(&mut green);
        for (b, g) in [(&blue, &green), (&green, &blue)] {
            let pair = Pair { name: "collector", blue: Some(b), green: Some(g), versions };
            let report = compare(&[pair], &[], &Context::default(), &digest);
            assert!(
                differences(&report).is_empty(),
                "{}:\n{}",
                config.0,
                render::text(&report, render::Detail::All)
            );
            equivalent += report.equivalent.len();
        }
    }
    equivalent
}

#[test]
fn a_configuration_equals_itself() {
    assert_eq!(same_after(|_| {}), 0);
}

#[test]
fn the_order_of_keys_does_not_matter() {
    assert_eq!(same_after(reverse_keys), 0);
}

#[test]
fn the_order_of_receivers_and_exporters_does_not_matter() {
    let seen = same_after(|root| {
        each_pipeline(root, |pipeline| {
            for key in ["receivers", "exporters"] {
                if let Some(Value::List(items)) = pipeline.get_mut(key).map(|n| &mut n.value) {
                    items.reverse();
                }
            }
        });
        if let Some(Value::List(items)) =
            child(root, "service").and_then(|s| s.get_mut("extensions")).map(|n| &mut n.value)
        {
            items.reverse();
        }
    });
    assert!(seen > 20, "{seen}");
}

#[test]
fn aliases_do_not_matter() {
    let seen = same_after(|root| {
        for section in Section::ALL {
            if let Some(map) = child(root, section.key()) {
                rename_keys(map, |id| alias(section, id));
            }
        }
        each_pipeline(root, |pipeline| {
            for section in [Section::Receivers, Section::Processors, Section::Exporters] {
                let Some(Value::List(items)) = pipeline.get_mut(section.key()).map(|n| &mut n.value) else {
                    continue;
                };
                for item in items {
                    if let Value::String(text) = &mut item.value {
                        *text = alias(section, text);
                    }
                }
            }
        });
    });
    assert!(seen > 40, "{seen}");
}

/// `otlp` and `otlp_grpc` as exporters; with and without underscores otherwise.
fn alias(section: Section, id: &str) -> String {
    let (kind, name) = id.split_once('/').map_or((id, String::new()), |(k, n)| (k, format!("/{n}")));
    let kind = match (section, kind) {
        (Section::Exporters, "otlp") => "otlp_grpc",
        (Section::Exporters, "otlp_grpc") => "otlp",
        (_, "otlphttp") => "otlp_http",
        (_, "spanmetrics") => "span_metrics",
        _ if section == Section::Extensions => kind,
        _ => &kind.replace('_', ""),
    };
    format!("{kind}{name}")
}

#[test]
fn defaults_written_out_do_not_matter() {
    let seen = same_between("0.158.0", |root| {
        for section in Section::ALL {
            let Some(map) = child(root, section.key()) else { continue };
            for (key, settings) in map.iter_mut() {
                let kind = Id::read(section, &key.name).kind;
                for (path, value) in defaults::all_of(section, &kind) {
                    write_default(settings, &path, &value);
                }
            }
        }
        if let Some(service) = root_child(root, "service") {
            for (path, value) in defaults::all_of_service() {
                write_default(service, &path, &value);
            }
        }
    });
    assert!(seen > 200, "{seen}");
}

/// Sets a value unless it is there, in blocks that are there (a protocol that is off stays off).
fn write_default(node: &mut Node, path: &str, value: &Node) {
    let parts: Vec<&str> = path.split('.').collect();
    let switches = ["protocols", "http", "grpc", "batch"];
    let mut node = node;
    for (i, part) in parts.iter().enumerate() {
        if node.is_null() {
            node.value = Value::Map(Map::new());
        }
        let Value::Map(map) = &mut node.value else { return };
        let last = i + 1 == parts.len();
        if map.get(part).is_none() {
            let below_switch = i > 0 && parts[i - 1] == "protocols";
            if !last && (switches.contains(part) || below_switch) {
                return;
            }
            let new = if last { value.clone() } else { Node::new(Value::Map(Map::new()), Mark::nowhere()) };
            map.insert(Key { name: (*part).to_owned(), mark: Mark::nowhere() }, new);
        }
        node = map.get_mut(part).expect("just put there");
    }
}

#[test]
fn units_do_not_matter() {
    let seen = same_after(|root| {
        each_scalar(root, &mut |text| {
            let Ok(duration) = text.parse::<crossfade_yaml::Duration>() else { return };
            let millis = duration.get().as_millis();
            if text.chars().any(char::is_alphabetic) && millis > 0 {
                *text = format!("{millis}ms");
            }
        });
    });
    assert!(seen > 20, "{seen}");
}

#[test]
fn short_and_long_references_are_the_same() {
    let seen = same_after(|root| each_scalar(root, &mut |text| *text = text.replace("${env:", "${")));
    assert!(seen > 20, "{seen}");
}

/// Other ports of one's own listeners are each side's own; the host is not.
#[test]
fn own_ports_do_not_matter() {
    check(BASE, &BASE.replace("localhost:4317", "127.0.0.1:14317"), &[]);
    check(BASE, &BASE.replace("host: localhost, port: 8888", "host: localhost, port: 18888"), &[]);
    check(&BASE.replace("localhost:4318", "0.0.0.0:4318"), &BASE.replace("localhost:4318", ":14318"), &[]);
}

#[test]
fn an_empty_block_is_no_block_where_that_is_so() {
    check(BASE, &BASE.replace("    proxy_url", "    tls: {}\n    proxy_url"), &[]);
    check(BASE, &BASE.replace("    proxy_url", "    tls: {insecure: false}\n    proxy_url"), &[]);
    check(BASE, &BASE.replace("debug: {verbosity: basic}", "debug:"), &[]);
    check(BASE, &BASE.replace("exporters:\n  otlp", "exporters:\n  nop:\n  otlp"), &[]);
}

#[test]
fn header_names_know_no_case() {
    let config = |headers: &str| {
        format!(
            "exporters: {{otlp: {{headers: {{{headers}}}}}}}\nservice: {{pipelines: {{traces: {{exporters: [otlp]}}}}}}"
        )
    };
    check(&config("Authorization: a, X-B: b"), &config("x-b: b, authorization: a"), &[]);
    // Two of one name on one side: neither is passed over.
    let report = drift(
        &tree(&config("authorization: a"), "b"),
        &tree(&config("Authorization: c, authorization: a"), "g"),
        &[],
        &Context::default(),
    );
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].path, "collector:exporters.otlp.headers.Authorization");
}

#[test]
fn the_order_of_conditions_and_policies_does_not_matter() {
    let config = |span: &str, policies: &str| {
        format!(
            "processors: {{filter: {{traces: {{span: [{span}]}}}}, tail_sampling: {{policies: [{policies}]}}}}\n\
                 service: {{pipelines: {{traces: {{processors: [filter, tail_sampling]}}}}}}"
        )
    };
    let (a, b) = ("{name: a, type: always_sample}", "{name: b, type: latency}");
    check(&config("x, y", &format!("{a}, {b}")), &config("y, x", &format!("{b}, {a}")), &[]);
    let text = |values: &str| {
        config(
            "x",
            &format!("{{name: a, type: string_attribute, string_attribute: {{key: k, values: [{values}]}}}}"),
        )
    };
    check(&text("x, y"), &text("y, x"), &[]);
}

/// gRPC's own limit is 4 MiB.
#[test]
fn the_usual_size_of_a_message_is_no_difference() {
    let config = |limit: &str| BASE.replace("        max_recv_msg_size_mib: 16\n", limit);
    let written = config("        max_recv_msg_size_mib: 4\n");
    check(&config(""), &written, &[]);
    check(&written, &config("        max_recv_msg_size_mib: 0\n"), &[]);
}

/// Two files merged on one side are one file on the other.
#[test]
fn how_it_is_cut_into_files_does_not_matter() {
    let overlay = "processors: {batch: {timeout: 1s}}\nservice: {telemetry: {logs: null}}\n";
    let blue = load(&[("base.yaml", BASE), ("over.yaml", overlay)], &KeepReferences).expect("loads");
    let one = BASE.replace("{timeout: 5s}", "{timeout: 1s}").replace("    logs: {level: info}\n", "");
    let report = drift(&blue, &tree(&one, "green.yaml"), &[], &Context::default());
    assert_eq!(brief(&report), Vec::<String>::new());
    // And a ConfigMap is what it holds.
    let indented: String = BASE.lines().map(|l| format!("    {l}\n")).collect();
    let wrapped = format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  relay: |\n{indented}");
    let report = drift(&tree(&wrapped, "cm.yaml"), &tree(BASE, "green.yaml"), &[], &Context::default());
    assert_eq!(brief(&report), Vec::<String>::new());
}

fn root_child<'n>(root: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut root.value {
        Value::Map(map) => map.get_mut(key),
        _ => None,
    }
}

fn child<'n>(root: &'n mut Node, key: &str) -> Option<&'n mut Map> {
    match &mut root_child(root, key)?.value {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

fn each_pipeline(root: &mut Node, mut change: impl FnMut(&mut Map)) {
    let pipelines = child(root, "service").and_then(|s| s.get_mut("pipelines"));
    if let Some(Value::Map(pipelines)) = pipelines.map(|n| &mut n.value) {
        for (_, pipeline) in pipelines.iter_mut() {
            if let Value::Map(map) = &mut pipeline.value {
                change(map);
            }
        }
    }
}

fn rename_keys(map: &mut Map, rename: impl Fn(&str) -> String) {
    let renamed =
        map.iter().map(|(k, v)| (Key { name: rename(&k.name), mark: k.mark.clone() }, v.clone())).collect();
    *map = renamed;
}

fn reverse_keys(node: &mut Node) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(reverse_keys),
        Value::Map(map) => {
            map.iter_mut().for_each(|(_, v)| reverse_keys(v));
            let mut entries: Vec<(Key, Node)> = map.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            entries.reverse();
            *map = entries.into_iter().collect();
        }
        _ => {}
    }
}

fn each_scalar(node: &mut Node, change: &mut impl FnMut(&mut String)) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|n| each_scalar(n, change)),
        Value::Map(map) => map.iter_mut().for_each(|(_, v)| each_scalar(v, change)),
        Value::String(text) => change(text),
        _ => {}
    }
}
