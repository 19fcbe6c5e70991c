//! The minimal site means what the surface says; every mistake gets a message with place, field and remedy.

use std::fmt::Write as _;
use std::time::Duration;

use super::*;

/// As short as it can be, and as it is documented.
const MINIMAL: &str = r#"environments:
  blue:
    otlp: { endpoint: "http://blue-collector:4317" }
    query: { kind: jaeger, endpoint: "http://blue-jaeger:16686" }
    configs: { collector: [blue/collector.yaml] }
  green:
    otlp: { endpoint: "http://green-collector:4317" }
    query: { kind: jaeger, endpoint: "http://green-jaeger:16686" }
    configs: { collector: [base.yaml, green/collector.yaml] }   # merged; same name in both = compared
"#;

/// A folder with the files that the minimal site names.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["blue", "green"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("collector.yaml"), "").unwrap();
    }
    std::fs::write(folder.path().join("base.yaml"), "").unwrap();
    std::fs::write(folder.path().join("secret"), "s3cret\n").unwrap();
    folder
}

fn variables(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("4400".to_owned()),
        "TOKEN" => Some("0123".to_owned()),
        _ => None,
    }
}

fn read(folder: &Path, text: &str) -> Result<Site, SiteError> {
    Site::parse(text, &folder.join("crossfade.yaml"), &variables)
}

#[test]
fn the_minimal_site_has_the_documented_defaults() {
    let folder = folder();
    let site = read(folder.path(), MINIMAL).unwrap();
    let path = |name: &str| folder.path().join(name);
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    assert_eq!(site.control, address("127.0.0.1:8400"));
    assert_eq!(
        (site.gateway.grpc, site.gateway.http),
        (address("127.0.0.1:4317"), address("127.0.0.1:4318"))
    );
    assert_eq!(site.gateway.id.as_str(), "gateway-1");
    assert_eq!((site.gateway.max_request_bytes, site.gateway.queue_bytes), (64 << 20, 256 << 20));
    assert_eq!((site.gateway.grace, site.gateway.workers), (Duration::from_secs(30), 2));
    assert_eq!(site.origin, "crossfade.local/default");
    assert_eq!(site.data, path("crossfade-data"));
    assert_eq!(site.log_dir, path("crossfade-data/audit"));
    assert_eq!(site.log_pub(), path("crossfade-data/log.pub"));
    assert_eq!(site.key_file, path("crossfade-data/keys/log.key"));
    assert_eq!(site.token_file, path("crossfade-data/token"));
    assert_eq!(site.gateway.state_dir, path("crossfade-data/gateway"));
    let green = site.environment(&"green".parse().unwrap()).unwrap();
    assert_eq!((green.protocol, green.compression), (Protocol::Grpc, Compression::Preserve));
    assert_eq!(
        green.configs["collector"],
        ["base.yaml", "green/collector.yaml"].map(|file| Source::File(path(file)))
    );
    assert_eq!(green.query.as_ref().unwrap().endpoint, "http://green-jaeger:16686");
}

#[test]
fn values_expand_as_in_the_collector() {
    let folder = folder();
    let text = MINIMAL.replace(
        "otlp: { endpoint: \"http://blue-collector:4317\" }",
        "otlp:
      endpoint: http://blue-collector:${env:PORT}
      headers:
        authorization: ${file:secret}
        x-token: ${TOKEN}
        x-tenant: ${env:TENANT:-none}
        x-price: $$5",
    );
    let site = read(
        folder.path(),
        &(text + "gateway: { workers: \"${env:WORKERS:-3}\", queue_size: 1GiB, grace: 90s }\n"),
    )
    .unwrap();
    let blue = site.environment(&"blue".parse().unwrap()).unwrap();
    assert_eq!(blue.otlp, "http://blue-collector:4400");
    let headers: Vec<_> =
        blue.headers.iter().map(|(name, value)| (name.as_str(), value.trim_end())).collect();
    assert_eq!(
        headers,
        [("authorization", "s3cret"), ("x-price", "$5"), ("x-tenant", "none"), ("x-token", "0123")]
    );
    assert_eq!((site.gateway.workers, site.gateway.queue_bytes), (3, 1 << 30));
    assert_eq!(site.gateway.grace, Duration::from_secs(90));
}

#[test]
fn every_receiver_of_an_environment_is_known() {
    let folder = folder();
    let text = MINIMAL.replace(
        "\"http://green-collector:4317\" }",
        "\"http://green-collector:4317\" }
    receivers:
      - { endpoint: \"http://green-collector:4318\", protocol: http/protobuf }
      - { endpoint: \"http://green-collector:4318\", protocol: http/json }
      - { endpoint: \"http://[::1]:4319\" }",
    );
    let site = read(folder.path(), &text).unwrap();
    let told = |name: &str| -> Vec<String> {
        let receivers = site.environment(&name.parse().unwrap()).unwrap().receivers().unwrap();
        receivers.iter().map(|one| format!("{} {one}", one.protocol().name())).collect()
    };
    assert_eq!(told("blue"), ["grpc http://blue-collector:4317"]);
    assert_eq!(
        told("green"),
        [
            "grpc http://green-collector:4317",
            "http/protobuf http://green-collector:4318/v1/traces",
            "http/json http://green-collector:4318/v1/traces",
            "grpc http://[::1]:4319"
        ]
    );
}

#[test]
fn a_full_site_is_read_whole() {
    let folder = folder();
    let text = MINIMAL.replace(
        "\"http://green-collector:4317\" }",
        "\"http://[::1]:4319/v1\", protocol: http/protobuf, compression: gzip }",
    ) + "gateway:
  id: edge-7
  grpc: { endpoint: localhost:14317 }
  http: { endpoint: \"[::1]:14318\" }
  forward_headers: [x-scope-orgid]
  acknowledge: delivered
  max_request_size: 4MiB
control: { endpoint: \"[::1]:8401\", token_file: /run/token }
audit: { origin: crossfade.bank.example/prod, directory: /var/log/crossfade, key_file: secret/log.key }
data_directory: ./data
";
    let site = read(folder.path(), &text).unwrap();
    let green = site.environment(&"green".parse().unwrap()).unwrap();
    assert_eq!((green.protocol, green.compression), (Protocol::HttpProtobuf, Compression::Gzip));
    assert_eq!(site.gateway.grpc, "127.0.0.1:14317".parse().unwrap());
    assert_eq!(site.gateway.http, "[::1]:14318".parse().unwrap());
    assert_eq!(site.gateway.forward_headers, ["x-scope-orgid"]);
    assert_eq!(site.token_file, Path::new("/run/token"));
    assert_eq!(site.log_dir, Path::new("/var/log/crossfade"));
    assert_eq!(site.key_file, folder.path().join("secret/log.key"));
    assert_eq!(site.emergency_file(), Path::new("/var/log/emergency"), "where `audit verify` looks for it");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/emergency"), "").unwrap();
    assert_eq!(site.emergency_file(), folder.path().join("data/emergency"), "as earlier versions made it");
}

/// What is wrong, and what in the minimal site becomes what; appended if it replaces nothing.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("no YAML", "environments:", "environments: ["),
    ("the same key twice", "  green:", "  blue:"),
    ("an unknown section", "", "gatway: { workers: 3 }"),
    (
        "an unknown key",
        "query: { kind: jaeger, endpoint: \"http://blue-jaeger:16686\" }",
        "query: { kind: jaeger, endpont: \"http://blue-jaeger:16686\" }",
    ),
    ("an unknown key far from any", "", "control: { colour: mauve }"),
    ("a missing key", "{ endpoint: \"http://blue-collector:4317\" }", "{ protocol: grpc }"),
    ("nothing where a section is wanted", "otlp: { endpoint: \"http://blue-collector:4317\" }", "otlp:"),
    ("a list for a text", "\"http://blue-collector:4317\"", "[a]"),
    (
        "a text for a section",
        "otlp: { endpoint: \"http://blue-collector:4317\" }",
        "otlp: http://blue-collector:4317",
    ),
    ("a text for a list", "[blue/collector.yaml]", "blue/collector.yaml"),
    ("a text for a number", "", "gateway: { workers: many }"),
    ("a fraction for a number", "", "gateway: { workers: 1.5 }"),
    ("a negative number", "", "gateway: { workers: -1 }"),
    ("a number out of range", "", "gateway: { workers: 65 }"),
    ("an unknown choice", "kind: jaeger, endpoint: \"http://blue", "kind: jager, endpoint: \"http://blue"),
    (
        "another unknown choice",
        "{ endpoint: \"http://blue-collector:4317\" }",
        "{ endpoint: \"http://blue-collector:4317\", protocol: http/json }",
    ),
    ("what comes later", "", "gateway: { acknowledge: durable }"),
    ("an unknown unit of time", "", "gateway: { grace: 30 parsecs }"),
    ("time without a unit", "", "gateway: { grace: 30 }"),
    ("an unknown unit of size", "", "gateway: { queue_size: 8 gulps }"),
    ("a size out of range", "", "gateway: { max_request_size: 1KiB }"),
    ("a queue that no request fits", "", "gateway: { queue_size: 1MiB }"),
    ("a missing file", "blue/collector.yaml", "blue/colector.yaml"),
    ("a folder for a file", "[blue/collector.yaml]", "[blue]"),
    ("no file", "[blue/collector.yaml]", "[]"),
    ("a port used twice", "", "gateway: { http: { endpoint: \"127.0.0.1:4317\" } }"),
    ("the control port used twice", "", "control: { endpoint: \"127.0.0.1:4318\" }"),
    ("no address", "", "gateway: { grpc: { endpoint: everywhere } }"),
    ("no port", "", "gateway: { grpc: { endpoint: 127.0.0.1 } }"),
    ("control for everybody", "", "control: { endpoint: \"0.0.0.0:8400\" }"),
    (
        "TLS of a plain text endpoint",
        "{ endpoint: \"http://blue-collector:4317\" }",
        "{ endpoint: \"http://blue-collector:4317\", tls: { min_version: \"1.3\" } }",
    ),
    (
        "a file that is not there",
        "{ endpoint: \"http://blue-collector:4317\" }",
        "{ endpoint: \"https://blue-collector:4317\", tls: { ca_file: ca.pem } }",
    ),
    (
        "a file that holds something else",
        "{ endpoint: \"http://blue-collector:4317\" }",
        "{ endpoint: \"https://blue-collector:4317\", tls: { ca_file: blue/collector.yaml } }",
    ),
    (
        "a version that is not spoken",
        "{ endpoint: \"http://blue-collector:4317\" }",
        "{ endpoint: \"https://blue-collector:4317\", tls: { min_version: \"1.1\" } }",
    ),
    (
        "TLS for listeners",
        "",
        "gateway: { grpc: { tls: { cert_file: a, key_file: b } } }\ncontrol: { tls: {} }",
    ),
    ("no URL", "http://blue-collector:4317", "blue-collector:4317"),
    ("a URL without a host", "http://blue-collector:4317", "http://:4317"),
    ("a URL with an impossible port", "http://blue-collector:4317", "http://blue-collector:99999"),
    ("a URL with no port after the colon", "http://blue-collector:4317", "http://blue-collector:"),
    ("a query endpoint that is no URL", "http://blue-jaeger:16686", "blue jaeger"),
    ("a query endpoint with a question", "http://blue-jaeger:16686", "http://blue-jaeger:16686/?org=1"),
    (
        "a header of the query endpoint",
        "\"http://blue-jaeger:16686\" }",
        "\"http://blue-jaeger:16686\", headers: { \"a b\": c } }",
    ),
    ("an environment that is the gateway", "http://blue-collector:4317", "http://localhost:4318/v1/traces"),
    ("a path on gRPC", "http://blue-collector:4317", "http://blue-collector:4317/v1/traces"),
    (
        "receivers that are none",
        "    query: { kind: jaeger, endpoint: \"http://blue-jaeger:16686\" }",
        "    query: { kind: jaeger, endpoint: \"http://blue-jaeger:16686\" }
    receivers: [{ endpoint: blue }, { endpoint: \"http://blue:4317/v1/traces\" }]",
    ),
    (
        "a receiver of an unknown kind",
        "    query: { kind: jaeger, endpoint: \"http://blue-jaeger:16686\" }",
        "    query: { kind: jaeger, endpoint: \"http://blue-jaeger:16686\" }
    receivers: [{ endpoint: \"http://blue:4317\", protocol: http }]",
    ),
    ("one OTLP endpoint for both", "http://blue-collector:4317", "http://GREEN-collector/"),
    ("one query endpoint for both", "http://green-jaeger:16686", "http://Blue-Jaeger/"),
    (
        "a header name",
        "{ endpoint: \"http://blue-collector:4317\" }",
        "{ endpoint: \"http://blue-collector:4317\", headers: { \"a b\": c } }",
    ),
    (
        "a header value",
        "{ endpoint: \"http://blue-collector:4317\" }",
        "{ endpoint: \"http://blue-collector:4317\", headers: { a: \"b\\nc\" } }",
    ),
    ("a header to pass on", "", "gateway: { forward_headers: [x-ok, \"not ok\"] }"),
    ("an environment's name", "  blue:", "  Blue_1:"),
    ("a gateway's name", "", "gateway: { id: \"my gateway\" }"),
    ("an origin", "", "audit: { origin: \"my log\" }"),
    ("a variable that is not set", "blue-collector:4317", "${env:BLUE_HOST}:4317"),
    ("a file that is not there", "blue-collector:4317", "${file:host.txt}:4317"),
    ("an unknown scheme", "blue-collector:4317", "${vault:host}:4317"),
];

#[test]
fn every_mistake_is_told_with_place_field_and_remedy() {
    let folder = folder();
    let mut told = String::new();
    for (what, from, to) in MISTAKES {
        let text = if from.is_empty() { format!("{MINIMAL}{to}\n") } else { MINIMAL.replacen(from, to, 1) };
        assert_ne!(text, MINIMAL, "{what}: the mistake is not in the text");
        tell(&mut told, folder.path(), what, &text);
    }
    let one = MINIMAL.split("  green:").next().unwrap();
    tell(&mut told, folder.path(), "one environment", one);
    tell(&mut told, folder.path(), "an empty file", "");
    let many = "gateway: { workers: 0, grpc: { endpoint: x } }\ncontrol: { endpoint: \"10.0.0.1:1\" }\n";
    tell(&mut told, folder.path(), "several mistakes at once", &format!("{MINIMAL}{many}"));
    insta::assert_snapshot!(told);
}

/// Two tenants of one Tempo are two environments; and what a site says of a query service is what is asked.
#[test]
fn tenants_of_one_tempo_are_two_environments() {
    let folder = folder();
    let tenant = |blue: &str, green: &str| {
        let query = |tenant: &str| {
            format!("{{ kind: tempo, endpoint: \"http://tempo\", headers: {{ X-Scope-OrgID: {tenant} }} }}")
        };
        let text = MINIMAL
            .replace("{ kind: jaeger, endpoint: \"http://blue-jaeger:16686\" }", &query(blue))
            .replace("{ kind: jaeger, endpoint: \"http://green-jaeger:16686\" }", &query(green));
        read(folder.path(), &text)
    };
    let site = tenant("old", "new").unwrap();
    let green = site.environment(&"green".parse().unwrap()).unwrap().query.as_ref().unwrap();
    assert_eq!((green.kind, green.headers["X-Scope-OrgID"].as_str()), (QueryKind::Tempo, "new"));
    let client = green.client().unwrap();
    assert_eq!((client.kind().name(), client.endpoint().to_string().as_str()), ("tempo", "http://tempo"));
    let told = tenant("old", "old").unwrap_err().to_string();
    assert!(told.contains("http://tempo is the same as environments.blue.query.endpoint"), "{told}");
}

/// What two environments have in common, and whether they are one by it.
#[test]
fn twins_are_told_from_neighbours() {
    let folder = folder();
    let blue = "\"http://blue-collector:4317\"";
    let green = "\"http://green-collector:4317\"";
    let cases = [
        ("\"http://localhost:14317\"", "\"http://127.0.0.1:14317/\"", true),
        ("\"http://[::1]:14317\"", "\"http://127.0.0.1:14317\"", false),
        ("\"http://collector:4317\"", "\"http://collector:4319\"", false),
        ("\"http://collector\"", "\"http://COLLECTOR.:4317\"", true),
        ("\"http://collector\"", "\"http://collector\", protocol: http/protobuf", false),
        ("\"http://collector:4318\"", "\"http://collector\", protocol: http/protobuf", true),
        ("\"http://c/a\", protocol: http/protobuf", "\"http://c/b\", protocol: http/protobuf", false),
        (
            "\"http://c/a\", protocol: http/protobuf",
            "\"http://c/a/v1/traces/\", protocol: http/protobuf",
            true,
        ),
        ("\"http://c\", headers: { x-scope-orgid: a }", "\"http://c\", headers: { x-scope-orgid: b }", false),
        ("\"http://c\", headers: { x-scope-orgid: a }", "\"http://c\", headers: { X-Scope-OrgID: a }", true),
    ];
    for (one, other, are_one) in cases {
        let read = read(folder.path(), &MINIMAL.replace(blue, one).replace(green, other));
        match (read, are_one) {
            (Ok(_), false) => {}
            (Err(error), true) => {
                let told = error.to_string();
                assert!(
                    told.contains("crossfade.yaml:7:23: environments.green.otlp.endpoint")
                        && told.contains("crossfade.yaml:3:23): every span"),
                    "{told}"
                );
            }
            (read, _) => panic!("{one} and {other}: {:?}", read.map(|site| site.environments)),
        }
    }
}

fn tell(told: &mut String, folder: &Path, what: &str, text: &str) {
    let error = read(folder, text).expect_err(what);
    let message = crate::journal::chain(&error).replace(&format!("{}/", folder.display()), "");
    for line in message.lines() {
        let place =
            line.strip_prefix("crossfade.yaml:").unwrap_or_else(|| panic!("{what}: no place in {line}"));
        let numbers = place.splitn(3, ':').take(2).filter(|number| number.parse::<u32>().is_ok());
        assert_eq!(numbers.count(), 2, "{what}: no line and column in {line}");
    }
    writeln!(told, "# {what}\n{message}").unwrap();
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = folder();
    let error = Site::load(&folder.path().join("nowhere.yaml"), &variables).unwrap_err();
    let message = crate::journal::chain(&error).replace(&format!("{}/", folder.path().display()), "");
    assert_eq!(
        message,
        "cannot read nowhere.yaml: check the path and its permissions: No such file or directory (os error 2)"
    );
}

/// Port 0 lets the system choose: it is no port that could be used twice.
#[test]
fn ports_that_the_system_chooses_do_not_clash() {
    let folder = folder();
    let free = "gateway: { grpc: { endpoint: \"127.0.0.1:0\" }, http: { endpoint: \"127.0.0.1:0\" } }\ncontrol: { endpoint: \"127.0.0.1:0\" }\n";
    assert!(read(folder.path(), &format!("{MINIMAL}{free}")).is_ok());
}

#[test]
fn editors_get_a_schema() {
    let schema = schemars::schema_for!(SiteFile);
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema).unwrap());
}
