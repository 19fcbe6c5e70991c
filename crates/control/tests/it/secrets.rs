//! What must not leave the files that it is in: keys of the site, secrets of compared configurations.

use std::fs;
use std::path::Path;

use crossfade_control::api::ErrorCode;
use crossfade_control::gates::drift::{Files, Listed, Source, declarations, report};
use crossfade_gates::drift::{Context, Versions, render};
use crossfade_rollout::{Phase, PlanFile};

use crate::support::{House, Operator, SPEC, Syncing, control, spec_waiting_at_ten};

async fn refused(operator: &Operator, spec: &str) -> String {
    let error = operator.plan(spec).await.expect_err("it is refused").0;
    assert_eq!(error.code, ErrorCode::Invalid);
    error.message
}

/// Scenario: whoever may plan writes a spec that names a file of the control plane, or a variable of its process;
/// whoever may change a configuration includes that file there.
/// Guarantee: the spec is refused, by the place; nothing of the file comes back either way.
#[tokio::test(flavor = "multi_thread")]
async fn a_spec_reads_no_file_of_the_control_plane() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let key = fs::read_to_string(&house.site().key_file).unwrap();
    assert!(!key.trim().is_empty());
    for reference in ["${file:crossfade-data/keys/log.key}", "${env:PATH}", "${PATH}", "x ${PATH:-y}"] {
        let said = refused(&operator, &format!("{SPEC}change: {{ reason: \"{reference}\" }}\n")).await;
        assert!(said.starts_with("rollout.yaml:15:19: change.reason: `${"), "{said}");
        assert!(said.contains("nothing in a rollout spec is replaced"), "{said}");
        assert!(key.lines().filter(|line| !line.is_empty()).all(|line| !said.contains(line)), "{said}");
    }
    // The characters themselves are a reason like any other.
    let plan = operator.plan(&format!("{SPEC}change: {{ reason: \"$${{PATH}}\" }}\n")).await.unwrap();
    assert!(serde_json::to_string(&plan).unwrap().contains("\"${PATH}\""));
    // Nor does a compared configuration.
    let config = "exporters: { debug: { verbosity: \"${file:crossfade-data/keys/log.key}\" } }\n";
    fs::write(house.path("green.yaml"), format!("receivers: {{ otlp: {{}} }}\n{config}")).unwrap();
    let plan = serde_json::to_string(&operator.plan(SPEC).await.unwrap()).unwrap();
    assert!(plan.contains("${file:crossfade-data/keys/log.key}"), "{plan}");
    assert!(key.lines().filter(|line| !line.is_empty()).all(|line| !plan.contains(line)), "{plan}");
    control.stop().await;
}

fn configured(token: &str) -> String {
    format!(
        "receivers: {{ otlp: {{}} }}\nexporters: {{ otlp: {{ endpoint: \"e:1\", headers: {{ authorization: \"{token}\" }} }} }}\nservice: {{ pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp] }} }} }}\n"
    )
}

fn declaring(from: &str, to: &str) -> String {
    let path = "collector:exporters.otlp.headers.authorization";
    let allow = format!(
        "gates:\n  drift:\n    allow:\n      - {{ path: \"{path}\", from: {from:?}, to: {to:?}, reason: one each }}\n  probe:"
    );
    spec_waiting_at_ten().replace(
        "gates: { probe: { traces: 2, deadline: 60s } }",
        &format!("{allow} {{ traces: 2, deadline: 60s }}"),
    )
}

/// What the plan's drift report shows in place of the two secrets.
fn digests(plan: &PlanFile) -> Vec<String> {
    let drift = plan.advice.iter().find(|advice| advice.gate == "drift").unwrap();
    let text = drift.details.join("\n");
    let shown = text.match_indices("<redacted ").map(|(at, _)| &text[at..]);
    shown.map(|rest| rest[..=rest.find('>').unwrap()].to_owned()).collect()
}

/// Every file below a folder that holds the text.
fn holding(folder: &Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

/// Scenario: the environments have a credential each. It is declared in the clear, then as the plan's report shows it; the
/// rollout is done.
/// Guarantee: in the clear it is refused without being repeated; by its digest it is declared; neither plan, nor status, nor
/// any file of the log holds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_declared_secret_reaches_neither_plan_nor_log() {
    let house = House::new().await;
    for (name, token) in [("blue.yaml", "Bearer hunter2blue"), ("green.yaml", "Bearer hunter2green")] {
        fs::write(house.path(name), configured(token)).unwrap();
    }
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;

    let said = refused(&operator, &declaring("Bearer hunter2blue", "Bearer hunter2green")).await;
    assert!(said.contains("gates.drift.allow[0].from") && said.contains("gates.drift.allow[0].to"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");

    let undeclared = operator.plan(SPEC).await.unwrap();
    let [from, to] = digests(&undeclared).try_into().unwrap();
    let plan = operator.plan(&declaring(&from, &to)).await.unwrap();
    // A plan from elsewhere is looked at as well.
    let text = serde_json::to_string(&plan).unwrap().replace(&from, "Bearer hunter2blue");
    let error = operator.start(&serde_json::from_str(&text).unwrap()).await.expect_err("it is refused").0;
    assert!(error.message.starts_with("the plan: gates.drift.allow[0].from: "), "{}", error.message);
    assert!(!error.message.contains("hunter2"));
    let drift = plan.advice.iter().find(|advice| advice.gate == "drift").unwrap();
    assert!(drift.summary.contains("1 declared, 0 not"), "{drift:?}");
    for plan in [&undeclared, &plan] {
        assert!(!serde_json::to_string(plan).unwrap().contains("hunter2"));
    }
    operator.start(&plan).await.unwrap();
    let running = serde_json::to_string(&operator.until_step(2).await).unwrap();
    operator.say("promote").await.unwrap();
    assert_eq!(operator.until_over().await, Phase::Finalized);
    let over = serde_json::to_string(&operator.status().await).unwrap();
    assert!(!running.contains("hunter2") && !over.contains("hunter2"));
    gateway.end().await;
    control.stop().await;

    let data = house.path("crossfade-data");
    assert!(!holding(&data, "one each").is_empty(), "the declaration is on record");
    assert_eq!(holding(&data, "hunter2"), Vec::<std::path::PathBuf>::new());
    house.verify();
}

/// A configuration with a secret at every place where configurations have them; `{}` stands for it.
const PLACES: &str = include_str!("../../../gates/tests/data/secrets/places.yaml");

/// A token in words that say nothing of it: it is known by its form.
const TOKEN: &str = "ghp_7Qx9Zb3Lk2Vt8Wm4Rp6Yc1Nd5Hs0Fj3Gu9Ta";

/// Scenario: a secret at every place that a configuration has for one, another on each side. All differences are declared as
/// the gate suggests; the rollout is done.
/// Guarantee: neither plan, status, error nor any file of the log holds a secret, in part or whole.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_configuration_reaches_plan_or_log() {
    let house = House::new().await;
    for (name, secret, token) in [("blue.yaml", "hunter2blue", TOKEN), ("green.yaml", "hunter2green", "x")] {
        let places = PLACES
            .replace("{}", secret)
            .replace("exporters:\n", &format!("exporters:\n  noted: {{note: \"see {token}\"}}\n"));
        fs::write(house.path(name), places).unwrap();
    }
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;

    let side = |name: &str| Listed { sources: vec![Source::File(house.path(name))], env_file: None };
    let files = Files {
        name: "collector".to_owned(),
        blue: side("blue.yaml"),
        green: side("green.yaml"),
        versions: Versions::default(),
    };
    let key = fs::read(house.site().redact_key_file()).unwrap();
    let compared = |spec: Option<&str>| {
        let gates = spec.map(|spec| crossfade_control::spec::read(spec, "rollout.yaml").unwrap().gates);
        let allow = gates.map(|gates| declarations(&gates)).unwrap_or_default();
        report(std::slice::from_ref(&files), &allow, &Context::default(), &key, &[]).unwrap()
    };
    let suggested = render::suggest(&compared(None)).replace("reason: \"\"", "reason: one each");
    let allow = suggested.strip_prefix("gates:\n").unwrap();
    let gates = format!("gates:\n  probe: {{ traces: 2, deadline: 60s }}\n{allow}");
    let declared = spec_waiting_at_ten().replace("gates: { probe: { traces: 2, deadline: 60s } }\n", &gates);
    let left = compared(Some(&declared));
    assert!(
        left.passed() && left.findings.len() > 60,
        "{}",
        render::text(&left, render::Detail::Differences)
    );

    let shows = |text: &str| text.contains("hunter2") || text.contains(TOKEN);
    let undeclared = operator.plan(SPEC).await.unwrap();
    let plan = operator.plan(&declared).await.unwrap();
    for plan in [&undeclared, &plan] {
        assert!(!shows(&serde_json::to_string(plan).unwrap()));
    }
    operator.start(&plan).await.unwrap();
    let running = serde_json::to_string(&operator.until_step(2).await).unwrap();
    operator.say("promote").await.unwrap();
    assert_eq!(operator.until_over().await, Phase::Finalized);
    let over = serde_json::to_string(&operator.status().await).unwrap();
    assert!(!shows(&running) && !shows(&over));
    gateway.end().await;
    control.stop().await;

    let data = house.path("crossfade-data");
    assert!(!holding(&data, "one each").is_empty(), "the declarations are on record");
    assert_eq!([holding(&data, "hunter2"), holding(&data, TOKEN)].concat(), Vec::<std::path::PathBuf>::new());
    house.verify();
}
