//! What is hidden for the form that it has, in whatever text, and what is not.

use super::secrets::{every_form, read_suggestion};
use super::*;

/// Letters of tokens, cut to the length that a form has.
const LETTERS: &str = "7Qx9Zb3Lk2Vt8Wm4Rp6Yc1Nd5Hs0Fj3Gu9Ta2";

/// Tokens as their issuers make them: what they begin with, and how many letters follow.
const TOKENS: [(&str, usize); 22] = [
    ("AKIA", 16),
    ("ghp_", 36),
    ("ghs_", 36),
    ("github_pat_", 36),
    ("glpat-", 20),
    ("glsa_", 32),
    ("hcaik_", 36),
    ("NRAK-", 27),
    ("dt0c01.", 24),
    ("sntrys_", 36),
    ("xoxb-1234-", 24),
    ("xapp-1-", 24),
    ("AIza", 35),
    ("ya29.", 36),
    ("sk_live_", 24),
    ("whsec_", 32),
    ("sk-", 36),
    ("hvs.", 24),
    ("npm_", 36),
    ("SG.", 22),
    ("eyJ", 20),
    ("LS0tLS1CRUdJTi", 30),
];

/// Texts around a token, in a setting that says nothing of secrets.
const TEXTS: [&str; 10] = [
    "{}",
    "a note, then {} and more",
    "set(attributes[\"note\"], \"{}\")",
    "set(attributes[\"note\"], Concat([\"x\", \"{}\"], \"-\"))",
    "https://h.example/in?x={}&y=1",
    "https://h.example/a/{}",
    "tool --x={} --y",
    "{\"k\":\"{}\"}",
    "a,{};b",
    "first line\n{}\nlast line",
];

/// Texts that say by their words that `{}` is a secret.
const SAID: [&str; 48] = [
    "mysql -p{} -h db",
    "x ${yaml:{token: {}}} y",
    "set(attributes[\"authorization\"], \"Bearer {}\")",
    "set(span.attributes[\"x\"], \"Basic {}\") where name == \"a\"",
    "set(attributes[\"password\"], \"{}\")",
    "set(attributes['password'], '{}')",
    "set(resource.attributes[\"db\"][\"password\"], \"{}\")",
    "set(attributes[\"http.request.header.x-api-key\"], \"{}\") where attributes[\"y\"] == nil",
    "set(log.body[\"auth\"], Concat([\"x\", \"{}\"], \"\"))",
    "set(attributes[\"session\"], Concat([attributes[\"a\"], \"{}\"], \" \"))",
    "attributes[\"token\"] == \"{}\"",
    "name == \"a\" and attributes[\"api_key\"] != \"{}\"",
    "merge_maps(attributes, ParseJSON(\"{\\\"password\\\":\\\"{}\\\"}\"), \"upsert\")",
    "https://store.example/c?sv=2024-01-01&se=2030&sr=c&sig={}",
    "https://h.example/in?key={}",
    "https://h.example/f?code={}&x=1",
    "https://h.example/in?a=1&jwt={}",
    "https://h.example/in?auth={}",
    "https://h.example/in?session={}#x",
    "https://h.example/hooks/{}",
    "https://h.example/webhook/v1/{}/x",
    "https://hooks.chat.example/services/{}",
    "/hooks/{}",
    "BlobEndpoint=https://b.example/;SharedAccessSignature=sv=2024&sig={}",
    "Endpoint=sb://b.example/;SharedAccessKeyName=Root;SharedAccessKey={};EntityPath=x",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={}",
    "mongodb://u:{}@m.example/db?authSource=admin",
    "redis://:{}@r.example:6379/0",
    "u:{}@tcp(db:3306)/x",
    "tool --password {} --x y",
    "tool --password '{} x' --y",
    "tool --api-key \"{}\"",
    "tool -x --auth-token {}",
    "curl -u admin:{} https://h.example",
    "curl -H \"Authorization: Bearer {}\" https://h.example",
    "curl -H 'X-Api-Key: {}' https://h.example",
    "x-auth: {}",
    "PGPASSWORD={} psql -h db",
    "password = {}",
    "user=u password='{} b' host=db",
    "IDENTIFIED AS jwt=\"{}\"",
    "community={}",
    "pin={}, x=1",
    "a \"secret\": \"{}\" within",
    "say bearer {} to it",
    "${env:PORT} ${env:API_TOKEN:-{}}",
    "${SNMP_COMMUNITY:-{}}",
    "scheme://a?token={}",
];

fn config(text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!(
        "processors: {{transform: {{note: {text}, list: [a, {text}]}}}}\n\
         service: {{pipelines: {{traces: {{receivers: [], processors: [transform], exporters: []}}}}}}"
    )
}

/// Two configurations whose texts differ in a secret: the difference is found and visible, no form of the report has the secret, and
/// what is suggested declares it.
#[track_caller]
fn check_hidden(text: &str, blue: &str, green: &str) {
    let side = |secret: &str| tree(&config(&text.replace("{}", secret)), "c.yaml");
    let (b, g) = (side(blue), side(green));
    let report = drift(&b, &g, &[], &Context::default());
    let shown = every_form(&report);
    assert!(!shown.contains(blue) && !shown.contains(green), "{text}: {}", render::suggest(&report));
    assert_eq!(report.findings.len(), 2, "{text}");
    assert!(report.findings.iter().all(|f| f.blue != f.green), "{text}");
    let suggested = render::suggest(&report);
    let allow = read_suggestion(&suggested);
    let declared = drift(&b, &g, &allow, &Context::default());
    assert!(declared.passed() && declared.unused_declarations.is_empty(), "{text}: {suggested}");
    for allow in &allow {
        let values = [&allow.from, &allow.to].into_iter().flatten();
        assert!(values.clone().all(|v| !shows_secret(&allow.path, v)), "{text}: {suggested}");
    }
    for (path, value) in [("collector:processors.transform.note", blue), ("processors.transform.list", green)]
    {
        let declared = text.replace("{}", value);
        let value = crossfade_yaml::parse(&serde_json::json!([declared]).to_string(), "s").expect("YAML");
        assert!(shows_secret(path, &value), "{text}: in the clear it is refused");
    }
}

#[test]
fn tokens_are_hidden_wherever_they_stand() {
    for (prefix, letters) in TOKENS {
        let token = |from: usize| format!("{prefix}{}", &LETTERS.repeat(2)[from..from + letters]);
        for text in TEXTS {
            check_hidden(text, &token(0), &token(3));
        }
    }
    // The last part of a JSON Web Token may be short.
    check_hidden("a eyJhbGciOiJub25lIn0.{}", "e30.hunter2blue", "e30.hunter2green");
}

#[test]
fn what_is_said_to_be_a_secret_is_hidden() {
    for text in SAID {
        check_hidden(text, "hunter2blue", "hunter2green");
    }
}

/// Guarantee: credentials in the address of a part of the configuration are hidden, which itself is unknown.
#[test]
fn credentials_in_references_are_hidden() {
    let side = |secret: &str| {
        let text = format!("${{https://u:{secret}@h.example/c.yaml}}");
        tree(&format!("{}\nextra: {{password: \"{text}\"}}", config(&text)), "c.yaml")
    };
    let report = drift(&side("hunter2blue"), &side("hunter2green"), &[], &Context::default());
    let shown = every_form(&report);
    assert!(!shown.contains("hunter2") && shown.contains("@h.example/c.yaml"), "{shown}");
}

/// Guarantee: what is made by chance in a URL's path is hidden; names, versions, tenants and dates in it are not.
#[test]
fn random_parts_of_urls_are_hidden() {
    for text in ["https://in.example/v1/http/{}==", "https://api.example/bot{}/send", "/in/{}"] {
        check_hidden(text, &LETTERS[..24], &LETTERS[5..29]);
        check_hidden(text, "9f86d081884c7d659a2feaa0c55ad015", "60303ae22b998861bce3b28f33eec1be");
    }
}

/// Guarantee: texts that hold no secret are shown as they are, though they speak of secrets, or look a little like one.
#[test]
fn what_holds_no_secret_is_shown() {
    for text in [
        "delete_key(attributes, \"password\")",
        "delete_matching_keys(attributes, \"(?i).*(token|secret|password).*\")",
        "replace_pattern(attributes[\"authorization\"], \"Bearer .*\", \"***\")",
        "replace_pattern(attributes[\"url.full\"], \"token=[^&]*\", \"token=***\")",
        "set(attributes[\"service.tier\"], \"gold\") where attributes[\"password\"] != nil",
        "set(attributes[\"session\"], attributes[\"session.id\"])",
        "attributes[\"http.route\"] == \"/auth/login\"",
        "IsMatch(attributes[\"http.route\"], \"/session/.*\")",
        "name == \"health\" or kind == 3",
        "https://h.example:4318/v1/traces",
        "https://sk-bratislava-01.example.com:4317",
        "pypi-mirror-service-01",
        "node_exporter -pprof-http-port=1777 -path.procfs=/host/proc1",
        "https://login.example/3fa85f64-5717-4562-b3fc-2c963f66afa6/oauth2/v2.0/token",
        "http://prometheus-server.monitoring.svc:9090/api/v1/write?timeout=5s",
        "https://auth.example:8443/realms/main",
        "/var/lib/otelcol/file_storage/receiver-2024-05-01/segment-000001",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "token-service:8080",
        "otel/opentelemetry-collector-contrib:0.158.0",
        "https://app.example/projects/my-tracing-project-1/locations/europe-west1",
        "task-runner-with-a-long-name-12",
        "basic auth for all",
        "uses bearer token authentication",
        "group=traces env=prod region=eu-1",
        "--config=/etc/otelcol/config.yaml",
        "tool --listen 0.0.0.0:80 --user 1000:1000",
        "${env:API_TOKEN}",
        "Bearer ${env:API_TOKEN}",
        "${env:MY_POD_IP}:4317",
        "k8s.pod.name=\"$1\"",
        "service.name",
        "2024-01-01T00:00:00Z",
        "arn:aws:s3:::traces-eu-central-1",
        "^4[0-9]{12}(?:[0-9]{3})?$",
        "user@example.org",
    ] {
        let (blue, green) = (tree(&config(text), "b"), tree(&config("x"), "g"));
        let report = drift(&blue, &green, &[], &Context::default());
        let note = report.findings.iter().find(|f| f.path.ends_with("note")).expect("a difference");
        let shown = note.blue.as_deref().expect("it is shown");
        let read = crossfade_yaml::parse(&format!("k: {shown}"), "s").expect("YAML");
        assert_eq!(read.at(&["k"]).and_then(Node::as_str), Some(text));
    }
}
