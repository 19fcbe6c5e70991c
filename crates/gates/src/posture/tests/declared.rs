//! What configurations open.

use super::*;

/// Kind, port, and `g` for gRPC; `-` where the port is not known.
fn declared(config: &str, version: Option<&str>) -> Vec<String> {
    let node = crossfade_yaml::parse(config, "collector.yaml").unwrap();
    let found = listeners(&node, version.map(|version| version.parse().unwrap()));
    let line = |l: &Listener| {
        let port = l.port.map_or("-".to_owned(), |port| port.to_string());
        let word = |is: bool, word: &'static str| if is { word } else { "" };
        let (grpc, tls, own) = (word(l.grpc.is_some(), " g"), word(l.tls, " tls"), word(l.loopback, " own"));
        format!("{} {port}{grpc}{tls}{own}", l.kind.name())
    };
    found.iter().map(line).collect()
}

#[test]
fn configurations_declare_their_interfaces() {
    let config = "
extensions:
  pprof: { endpoint: \"0.0.0.0:1888\" }
  zpages:
  health_check/own: { endpoint: \"${env:HOST}:13134\" }
  healthcheckv2: { http: { endpoint: \"localhost:${env:PORT}\" } }
  healthcheckv2/grpc: { use_v2: true, grpc: {} }
  healthcheckv2/both: { use_v2: true, grpc: { endpoint: \":5\" }, http: { endpoint: \":6\" } }
  healthcheckv2/old: { endpoint: \":7\" }
  pprof/socket: { endpoint: /run/pprof, transport: unix }
  pprof/any: { endpoint: \"localhost:0\" }
  jaeger_mcp:
  jaeger_query: { http: { endpoint: \":16686\" }, grpc: { endpoint: \":16685\" } }
  jaeger_query/http: { http: { endpoint: \":16686\" } }
  jaeger_query/auth: { grpc: { endpoint: \":16695\", auth: { authenticator: bearertokenauth } } }
  jaeger_query/tls: { grpc: { endpoint: \":16696\", tls: { cert_file: s.pem, key_file: s.key } } }
  jaeger_query/null: { grpc: { endpoint: \":16697\", tls: null } }
  bearertokenauth: { token: x }
service:
  extensions: [pprof, zpages, health_check/own, healthcheckv2, healthcheckv2/grpc, healthcheckv2/both, healthcheckv2/old,
    pprof/socket, pprof/any, jaeger_mcp, jaeger_query, jaeger_query/http, jaeger_query/auth,
    jaeger_query/tls, jaeger_query/null, bearertokenauth, \"${env:MORE}\"]
  telemetry:
    metrics:
      address: 0.0.0.0:8889
      readers:
        - pull: { exporter: { prometheus: { host: 0.0.0.0, port: 9464 } } }
        - pull: { exporter: { prometheus/development: { host: 0.0.0.0 } } }
        - pull: { exporter: { prometheus: { port: \"${env:PORT}\" } } }
        - periodic: {}
  pipelines: {}
";
    let expected = [
        "pprof 1888",
        "zpages 55679 own",
        "health 13134",
        "health -",
        "health 13132 g own",
        "health 6",
        "health 5 g",
        "health 7",
        "pprof - own",
        "admin 16687",
        "admin 16685 g",
        "admin 16695 g",
        "admin 16696 g tls",
        "admin 16697 g",
        "admin -",
        "metrics 8889",
        "metrics 9464",
        "metrics 9464",
        "metrics -",
    ];
    assert_eq!(declared(config, None), expected);
    assert_eq!(
        declared("extensions: { pprof: {} }\nservice: { extensions: [] }\n", None),
        Vec::<String>::new()
    );
    assert_eq!(declared("service: { extensions: \"${file:x}\" }\n", None), ["admin -"]);
}

// Scenario: nothing is said of the Collector's own metrics, or not where they can be read.
// Guarantee: they are looked for where every Collector has them, or it is said that nobody knows where.
#[test]
fn metrics_are_there_unless_they_are_turned_off() {
    let metrics = |telemetry: &str, version| {
        declared(&format!("service: {{ pipelines: {{}}, telemetry: {telemetry} }}\n"), version)
    };
    let own = "metrics 8888 own";
    for (version, expected) in
        [(None, own), (Some("0.100.0"), "metrics 8888"), (Some("0.158.0"), own), (Some("2.10.0"), own)]
    {
        for usual in ["null", "{ logs: { level: info } }", "{ metrics: { level: normal } }"] {
            assert_eq!(metrics(usual, version), [expected], "{usual}");
        }
    }
    for none in ["{ metrics: { level: None } }", "{ metrics: { readers: [] } }"] {
        assert_eq!(metrics(none, None), Vec::<String>::new(), "{none}");
    }
    assert_eq!(metrics("{ metrics: { address: \"localhost:9000\" } }", None), ["metrics 9000 own"]);
    for opaque in ["\"${file:t}\"", "{ metrics: \"${env:M}\" }", "{ metrics: { readers: \"${env:R}\" } }"] {
        assert_eq!(metrics(opaque, None), ["metrics -"], "{opaque}");
    }
    assert_eq!(declared("server: { http_listen_port: 3200 }\n", None), Vec::<String>::new(), "no Collector");
}
