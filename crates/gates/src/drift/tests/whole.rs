//! Differences that show only when a configuration is seen as a whole: whose an address is, what stands on one side only,
//! and what other programs' configurations say.

use super::*;

/// Scenario: two environments that differ in their own addresses only, as the site lists them.
/// Guarantee: no difference; and a third party's address, or the other environment's, is one.
#[test]
fn own_addresses_are_no_differences() {
    let context = Context {
        blue: OwnEndpoints::new(["http://blue-collector:4317", "http://blue-jaeger:16686"]),
        green: OwnEndpoints::new(["http://green-collector:4317", "http://green-jaeger:16686"]),
    };
    let config = |host: &str, ports: &str| {
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: \"0.0.0.0:{ports}\"}}}}}}}}\n\
             exporters: {{otlp: {{endpoint: \"{host}:4317\", tls: {{insecure: true}}}}}}\n\
             service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [otlp]}}}}}}\n"
        )
    };
    let blue = config("blue-jaeger", "4317");
    check_in(&context, &blue, &config("green-jaeger", "14317"), &[]);
    check_in(&context, &blue, &config("green-jaeger.trace.svc", "14317"), &[]);
    check_in(&context, &blue, &config("localhost", "14317"), &[]);
    check_in(
        &context,
        &blue,
        &config("vendor.example", "14317"),
        &["009 exporters.otlp.endpoint blue-jaeger:4317 -> vendor.example:4317"],
    );
    check_in(
        &context,
        &blue,
        &config("blue-jaeger", "14317"),
        &["025 exporters.otlp.endpoint blue-jaeger:4317 -> blue-jaeger:4317"],
    );
    let kafka = |host: &str| {
        config(host, "4317")
            .replace("otlp: {endpoint", "kafka: {brokers")
            .replace(&format!("\"{host}:4317\""), &format!("[\"{host}:9092\"]"))
            .replace("exporters: [otlp]", "exporters: [kafka]")
    };
    check_in(&context, &kafka("blue-jaeger"), &kafka("green-jaeger"), &[]);
    check_in(
        &context,
        &kafka("blue-jaeger"),
        &kafka("blue-jaeger"),
        &["025 exporters.kafka.brokers [blue-jaeger:9092] -> [blue-jaeger:9092]"],
    );
    // The machine's own at another port is somebody else, unless it is listed.
    let elsewhere = config("localhost", "4317").replace("localhost:4317", "localhost:9999");
    check_in(
        &context,
        &blue,
        &elsewhere,
        &["009 exporters.otlp.endpoint blue-jaeger:4317 -> localhost:9999"],
    );
    let listed = Context { green: OwnEndpoints::new(["http://localhost:9999"]), ..context.clone() };
    check_in(&listed, &blue, &elsewhere, &[]);
    // Nothing is known of the environments: the addresses differ, and that is said.
    check(
        &blue,
        &config("green-jaeger", "4317"),
        &["009 exporters.otlp.endpoint blue-jaeger:4317 -> green-jaeger:4317"],
    );
}

/// Scenario: a store is configured elsewhere than in an exporter. Guarantee: it is a destination all the same.
#[test]
fn a_store_of_jaeger_is_a_destination() {
    let config = |urls: &str, days: u32| {
        format!(
            "extensions:\n  jaeger_storage:\n    backends:\n      main:\n        elasticsearch: {{server_urls: [{urls}], \
             indices: {{spans: {{rollover_days: {days}}}}}}}\nservice: {{extensions: [jaeger_storage]}}\n"
        )
    };
    let path = "extensions.jaeger_storage.backends.main.elasticsearch";
    check(
        &config("\"http://a:9200\", \"http://b:9200\"", 1),
        &config("\"http://b:9200\", \"http://a:9200\"", 1),
        &[],
    );
    check(
        &config("\"http://a:9200\"", 1),
        &config("\"http://c:9200\"", 1),
        &[&format!("009 {path}.server_urls [http://a:9200] -> [http://c:9200]")],
    );
    check(
        &config("\"http://a:9200\"", 1),
        &config("\"http://a:9200\"", 7),
        &[&format!("035 {path}.indices.spans.rollover_days 1 -> 7")],
    );
}

/// Scenario: one side has a whole block that the other has not. Guarantee: one difference, as weighty as its weightiest part.
#[test]
fn a_block_on_one_side_is_one_difference() {
    let config = |store: &str| {
        format!(
            "extensions: {{jaeger_storage: {{backends: {{a: {{memory: {{max_traces: 9}}}}{store}}}}}}}\n\
                 service: {{extensions: [jaeger_storage]}}"
        )
    };
    let store = ", b: {elasticsearch: {server_urls: [\"http://c:9200\"], indices: {prefix: x, shards: 5}}}";
    let block = "{elasticsearch: {server_urls: [http://c:9200], indices: {prefix: x, shards: 5}}}";
    let expected = format!("009 extensions.jaeger_storage.backends.b - -> {block}");
    check(&config(""), &config(store), &[&expected]);
}

/// Scenario: an exporter sends elsewhere by other means than an address. Guarantee: a new destination all the same.
#[test]
fn topics_and_buckets_are_destinations() {
    let config = |setting: &str| {
        format!(
            "exporters: {{kafka: {{{setting}}}}}\nservice: {{pipelines: {{traces: {{exporters: [kafka]}}}}}}"
        )
    };
    for (from, to) in [
        ("traces: {topic: a}", "traces: {topic: b}"),
        ("brokers: [\"a:9092\"]", "brokers: [\"b:9092\"]"),
        ("resolver: {k8s: {service: a}}", "resolver: {k8s: {service: b}}"),
        ("s3uploader: {s3_bucket: a}", "s3uploader: {s3_bucket: b}"),
    ] {
        let report = drift(&tree(&config(from), "b"), &tree(&config(to), "g"), &[], &Context::default());
        assert_eq!(report.findings[0].rule, "destination_changed", "{from}");
    }
}

#[test]
fn configurations_of_other_programs_are_compared_by_words() {
    check(
        "distributor: {max_attribute_bytes: 2048}\nserver: {http_tls_config: {cert_file: a}}\ncompactor: {block_retention: 48h}",
        "distributor: {max_attribute_bytes: 1024}\nserver: {http_tls_config: {cert_file: b}}\ncompactor: {block_retention: 2d}",
        &["005 server.http_tls_config.cert_file a -> b", "050 distributor.max_attribute_bytes 2048 -> 1024"],
    );
}

#[test]
fn addresses_of_other_programs_are_addresses() {
    check(
        "server: {http_listen_address: 127.0.0.1}\nstorage: {s3: {endpoint: \"a:9000\"}}",
        "server: {http_listen_address: 0.0.0.0}\nstorage: {s3: {endpoint: \"b:9000\"}}",
        &["001 server.http_listen_address 127.0.0.1 -> 0.0.0.0", "009 storage.s3.endpoint a:9000 -> b:9000"],
    );
}

#[test]
fn encryption_of_any_listener() {
    let config = |tls: &str| {
        format!(
            "extensions: {{jaeger_query: {{http: {{endpoint: localhost:1{tls}}}}}}}\nservice: {{extensions: [jaeger_query]}}"
        )
    };
    check(
        &config(", tls: {cert_file: a, key_file: b}"),
        &config(""),
        &["003 extensions.jaeger_query.http.tls {cert_file: a, key_file: b} -> -"],
    );
}

/// Scenario: something other than text stands where an address belongs. Guarantee: a difference, never "no address, no
/// difference".
#[test]
fn what_is_no_address_is_compared_all_the_same() {
    for (section, kind) in [("exporters", "otlp"), ("receivers", "zipkin")] {
        let config = |endpoint: &str| {
            format!(
                "{section}: {{{kind}: {{endpoint: {endpoint}}}}}\nservice: {{pipelines: {{traces: {{{section}: [{kind}]}}}}}}"
            )
        };
        for (blue, green) in [("{a: 1}", "[b]"), ("[b]", "x:1"), ("{a: 1}", "''"), ("true", "{}"), ("1", "2")]
        {
            let report =
                drift(&tree(&config(blue), "b"), &tree(&config(green), "g"), &[], &Context::default());
            assert!(!report.passed(), "{section}: {blue} -> {green}");
        }
    }
}

/// Scenario: a component's name sounds like a secret. Guarantee: it is shown all the same.
#[test]
fn names_of_components_are_no_secrets() {
    let config = |id: &str| {
        format!("extensions: {{{id}: {{scheme: x}}}}\nservice: {{extensions: [{id}], pipelines: {{}}}}")
    };
    check(
        &config("bearertokenauth/a"),
        &config("bearertokenauth/b"),
        &["060 extensions.bearertokenauth/a bearertokenauth/a -> bearertokenauth/b"],
    );
    check(
        "service: {extensions: []}",
        "service: {extensions: [bearertokenauth]}",
        &[
            "006 service.extensions [] -> [bearertokenauth]",
            "043 extensions.bearertokenauth - -> bearertokenauth",
        ],
    );
}

#[test]
fn a_configuration_on_one_side_only_is_a_difference() {
    let blue = tree("a: 1", "b.yaml");
    let report = compare(
        &[Pair { name: "jaeger", blue: Some(&blue), green: None, versions: Versions::default() }],
        &[],
        &Context::default(),
        &digest,
    );
    assert_eq!(brief(&report), ["045 jaeger: present -> -"]);
}
