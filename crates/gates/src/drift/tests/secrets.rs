//! No report shows what may be a secret, in any form.

use proptest::prelude::*;

use super::*;

/// A configuration with a secret at every place where configurations have them; `{}` stands for it.
const PLACES: &str = include_str!("../../../tests/data/secrets/places.yaml");

fn with_secret(secret: &str) -> Node {
    tree(&PLACES.replace("{}", secret), "config.yaml")
}

pub(super) fn every_form(report: &DriftReport) -> String {
    [
        render::text(report, render::Detail::All),
        render::json(report),
        render::sarif(report, "1"),
        crate::render::junit(&[report.report()]),
        crate::render::text(&report.report()),
        render::suggest(report),
        format!("{report:?}"),
    ]
    .concat()
}

/// Scenario: the two environments have different secrets, or one has none of these settings.
/// Guarantee: each difference is found, and no form of the report holds either secret.
#[test]
fn no_form_of_a_report_shows_a_secret() {
    let (blue, green) = (with_secret("hunter2blue"), with_secret("hunter2green"));
    let report = drift(&blue, &green, &[], &Context::default());
    let shown = every_form(&report);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(report.findings.len() >= 60, "{}", render::text(&report, render::Detail::Differences));
    for (b, g) in
        [(&blue, &tree("service: {pipelines: {}}", "g")), (&tree("service: {pipelines: {}}", "b"), &green)]
    {
        let shown = every_form(&drift(b, g, &[], &Context::default()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    // Equal secrets in differently written settings are not shown either.
    let moved = drift(&blue, &with_secret("hunter2blue"), &[], &Context::default());
    assert_eq!(moved.findings, []);
}

/// Scenario: a secret is declared in the clear, or by the digest that a report shows.
/// Guarantee: both declare the difference; the report shows neither.
#[test]
fn secrets_are_declared_by_their_digests() {
    let config = |token: &str| {
        tree(
            &format!(
                "extensions: {{bearertokenauth: {{token: {token}}}}}\nservice: {{extensions: [bearertokenauth]}}"
            ),
            "c.yaml",
        )
    };
    let (blue, green) = (config("hunter2a"), config("hunter2b"));
    let report = drift(&blue, &green, &[], &Context::default());
    let finding = &report.findings[0];
    assert_eq!((finding.rule, finding.findings_are_redacted()), ("secret_changed", true));
    let text = |t: &str| Some(crossfade_yaml::parse(&format!("{t:?}"), "spec.yaml").expect("YAML"));
    for (from, to) in [
        (finding.blue.as_deref().expect("shown"), finding.green.as_deref().expect("shown")),
        ("hunter2a", "hunter2b"),
    ] {
        let allow = Allow {
            path: finding.path.clone(),
            from: text(from),
            to: text(to),
            reason: "one for each environment".to_owned(),
            mark: None,
        };
        let allowed = drift(&blue, &green, std::slice::from_ref(&allow), &Context::default());
        assert!(allowed.passed());
        assert!(!every_form(&allowed).contains("hunter2"));
        let swapped = Allow { from: allow.to.clone(), to: allow.from.clone(), ..allow };
        let refused = drift(&blue, &green, std::slice::from_ref(&swapped), &Context::default());
        assert!(!refused.passed());
        assert!(!every_form(&refused).contains("hunter2"));
    }
}

impl Finding {
    fn findings_are_redacted(&self) -> bool {
        let redacted = |v: &Option<String>| v.as_ref().is_some_and(|v| v.starts_with("<redacted sha256:"));
        redacted(&self.blue) && redacted(&self.green)
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    for (blue, green, expected) in [
        ("token_url: https://a", "token_url: https://b", "https://a -> https://b"),
        ("password_file: /a", "password_file: /b", "/a -> /b"),
        ("token: ${env:A}", "token: ${env:B}", "${env:A} -> ${env:B}"),
        ("token: Bearer ${env:A}", "token: Bearer ${file:/b}", "Bearer ${env:A} -> Bearer ${file:/b}"),
        ("routing_key: a", "routing_key: b", "a -> b"),
        ("key: user.email", "key: user.mail", "user.email -> user.mail"),
        ("a: ${env:PORT:-1}", "a: ${env:PORT:-2}", "${env:PORT:-1} -> ${env:PORT:-2}"),
        ("headers: {x-scope-orgid: a}", "headers: {x-scope-orgid: b}", "a -> b"),
        (
            "s: 'delete_key(attributes, \"password\")'",
            "s: x",
            "\"delete_key(attributes, \\\"password\\\")\" -> x",
        ),
    ] {
        let report = drift(&tree(blue, "b"), &tree(green, "g"), &[], &Context::default());
        let f = &report.findings[0];
        let shown = format!("{} -> {}", f.blue.as_deref().unwrap_or("-"), f.green.as_deref().unwrap_or("-"));
        assert_eq!(shown, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// The same for secrets of any characters that YAML takes between double quotes.
    #[test]
    fn no_secret_of_any_form_is_shown(secret in "[a-zA-Z0-9+._!*~-]{12,40}") {
        let report = drift(&with_secret(&secret), &with_secret("another-one-12"), &[], &Context::default());
        prop_assert!(!every_form(&report).contains(&secret), "{}", every_form(&report));
    }

    /// Scenario: any two trees, Collector or not. Guarantee: a report, never a panic; equal trees have no difference.
    #[test]
    fn any_two_trees_are_compared(blue in any_config(), green in any_config()) {
        let (blue, green) = (tree(&blue, "b"), tree(&green, "g"));
        let report = drift(&blue, &green, &[], &Context::default());
        let shown = every_form(&report);
        prop_assert!(!shown.is_empty());
        let itself = drift(&blue, &blue, &[], &Context::default());
        prop_assert!(differences(&itself).is_empty(), "{}", render::text(&itself, render::Detail::All));
    }

    /// Scenario: every difference is declared as suggested. Guarantee: the report passes, and no declaration is left over.
    #[test]
    fn suggestions_declare_everything(blue in any_config(), green in any_config()) {
        let (blue, green) = (tree(&blue, "b"), tree(&green, "g"));
        let report = drift(&blue, &green, &[], &Context::default());
        let allow = read_suggestion(&render::suggest(&report));
        let declared = drift(&blue, &green, &allow, &Context::default());
        let unknown = |f: &Finding| f.rule == "value_unknown";
        prop_assert!(declared.findings.iter().all(|f| f.declared.is_some() || unknown(f)), "{}\n{}", render::suggest(&report), render::text(&declared, render::Detail::All));
        prop_assert!(declared.unused_declarations.is_empty(), "{:?}", declared.unused_declarations);
        for declared in &allow {
            let values = [&declared.from, &declared.to].into_iter().flatten();
            prop_assert!(values.clone().all(|v| !shows_secret(&declared.path, v)), "{}: {:?}", declared.path, declared);
        }
    }
}

/// As specs are read: they have no references.
struct NoReferences;

impl crossfade_yaml::Resolve for NoReferences {
    fn resolve(&self, _: &str, _: &str) -> crossfade_yaml::Resolution {
        crossfade_yaml::Resolution::Failed("refused".to_owned())
    }
}

pub(super) fn read_suggestion(text: &str) -> Vec<Allow> {
    let mut node = crossfade_yaml::parse(text, "spec.yaml").unwrap_or_else(|e| panic!("{e}\n{text}"));
    crossfade_yaml::expand(&mut node, &NoReferences).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let drift = node.get("gates").and_then(|gates| gates.get("drift"));
    let entries = drift.and_then(|drift| drift.get("allow")).and_then(Node::as_list).unwrap_or_default();
    entries
        .iter()
        .map(|entry| Allow {
            path: entry.get("path").and_then(Node::as_str).expect("a path").to_owned(),
            from: entry.get("from").cloned(),
            to: entry.get("to").cloned(),
            reason: "because".to_owned(),
            mark: Some(entry.mark.clone()),
        })
        .collect()
}

/// Text of a map whose keys and values are what configurations are made of, in places where they belong and do not.
fn any_config() -> impl Strategy<Value = String> {
    let word = prop::sample::select(
        &[
            "otlp",
            "otlp/a",
            "otlp_grpc",
            "batch",
            "memory_limiter",
            "redaction",
            "filter/x",
            "debug",
            "traces",
            "grpc",
            "endpoint",
            "tls",
            "insecure",
            "headers",
            "token",
            "name",
            "key",
            "a.b",
            "timeout",
            "protocols",
            "service",
            "receivers",
            "processors",
            "exporters",
            "extensions",
            "pipelines",
            "telemetry",
            "readers",
            "auth",
            "authenticator",
            "sending_queue",
            "storage",
            "spanmetrics",
            "connectors",
            "zpages",
            "policies",
        ][..],
    );
    let scalar = prop::sample::select(
        &[
            "1",
            "0",
            "-7",
            "1.5",
            ".nan",
            "true",
            "null",
            "~",
            "''",
            "1s",
            "1000ms",
            "10MB",
            "localhost:1",
            "0.0.0.0:2",
            "'[::1]:3'",
            "'https://u:p@h:4/x?token=abc'",
            "'${env:X}'",
            "'${X:-y}'",
            "'$${X} $$5 $'",
            "'$$${X}'",
            "otlp",
            "'a: b'",
            "'é\\n'",
            "unix:///a",
            "99999999999999999999999999999999999999999",
            "'<redacted sha256:00000000>'",
        ][..],
    );
    let value = scalar.prop_map(str::to_owned).prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(", "))),
            prop::collection::btree_map(word.clone(), inner, 0..5).prop_map(|m| {
                let entries: Vec<String> = m.into_iter().map(|(k, v)| format!("{k}: {v}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    });
    let sections = ["receivers", "processors", "exporters", "connectors", "extensions", "service", "other"];
    prop::collection::vec(value, sections.len()).prop_map(move |values| {
        let lines: Vec<String> = sections.iter().zip(values).map(|(k, v)| format!("{k}: {v}\n")).collect();
        lines.concat()
    })
}
