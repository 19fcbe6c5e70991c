//! Bad input gets a message with file, line, column, field and remedy, exit code 2, and nothing is started or made.

mod support;

use std::process::Command;

use support::{COLLECTOR, Folder, ROLLOUT, SITE};

/// Replaces `from` by `to` in the site's configuration and checks it.
fn check_site(from: &str, to: &str, wanted: &[&str]) {
    assert!(SITE.contains(from), "the site has {from}");
    let folder = Folder::new();
    folder.write("crossfade.yaml", &SITE.replacen(from, to, 1));
    refused(&folder, &["check"], wanted);
    refused(&folder, &["serve"], wanted);
    refused(&folder, &["init", "--active", "blue"], wanted);
    assert!(!folder.path().join("crossfade-data").exists(), "nothing was made");
}

/// Replaces `from` by `to` in the rollout spec and checks it.
fn check_spec(from: &str, to: &str, wanted: &[&str]) {
    assert!(ROLLOUT.contains(from), "the spec has {from}");
    let folder = Folder::new();
    folder.write("rollout.yaml", &ROLLOUT.replacen(from, to, 1));
    refused(&folder, &["check", "--rollout", "rollout.yaml"], wanted);
}

fn refused(folder: &Folder, arguments: &[&str], wanted: &[&str]) {
    let ran = folder.run(arguments);
    assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
    for text in wanted {
        assert!(ran.stderr.contains(text), "{arguments:?} says {text:?}: {}", ran.stderr);
    }
}

#[test]
fn unknown_key() {
    check_site("gateway:", "gatway:", &["crossfade.yaml:10:1", "gatway", "did you mean `gateway`"]);
    check_spec(
        "duration: 1m }\n  - weight",
        "duraton: 1m }\n  - weight",
        &["rollout.yaml:5", "duraton", "did you mean `duration`"],
    );
}

#[test]
fn wrong_type() {
    check_site(
        "environments:\n  blue:",
        "environments:\n  blue: 7\n  x:",
        &["crossfade.yaml:2", "environments.blue"],
    );
    check_spec("percent: 5", "percent: [5]", &["rollout.yaml:5", "percent"]);
}

#[test]
fn wrong_unit() {
    check_site(
        "gateway:",
        "gateway:\n  grace: 30 parsecs",
        &["crossfade.yaml:11:10", "gateway.grace", "parsecs"],
    );
    check_spec("duration: 1m", "duration: 1 fortnight", &["rollout.yaml:5", "fortnight"]);
    for (wrong, words) in [
        ("analysis: { metrics: [{ name: export_latency, worse_max: 20 }] }", "`20` is no share"),
        ("gates: { load: { rate: 1, errors_max: 5 } }", "`5` is no share"),
        ("gates: { load: { rate: 1, errors_max: 500% } }", "errors_max"),
    ] {
        check_spec("steps:", &format!("{wrong}\nsteps:"), &["rollout.yaml:", words, "%"]);
    }
}

#[test]
fn wrong_value() {
    check_site("kind: jaeger", "kind: zipkin", &["crossfade.yaml:4", "zipkin", "jaeger"]);
    check_spec("percent: 5", "percent: 500", &["rollout.yaml:5", "500"]);
}

#[test]
fn missing_file() {
    check_site(
        "[collector.yaml]",
        "[nowhere.yaml]",
        &["crossfade.yaml:5", "nowhere.yaml does not exist", "environments.blue.configs.collector[0]"],
    );
}

#[test]
fn duplicate_port() {
    let site = SITE.replace("grpc: { endpoint: \"127.0.0.1:0\" }", "grpc: { endpoint: \"127.0.0.1:4399\" }");
    let site = site.replace("http: { endpoint: \"127.0.0.1:0\" }", "http: { endpoint: \"127.0.0.1:4399\" }");
    let folder = Folder::new();
    folder.write("crossfade.yaml", &site);
    refused(
        &folder,
        &["check"],
        &["crossfade.yaml:12", "gateway.http.endpoint", "port 4399 is used twice", "port of its own"],
    );
}

#[test]
fn tls_that_cannot_be_is_refused_in_words() {
    check_site(
        "otlp: { endpoint: \"http://127.0.0.1:9\"",
        "otlp: { tls: { ca_file: nowhere.pem }, endpoint: \"https://127.0.0.1:9\"",
        &["crossfade.yaml:3", "otlp.tls", "cannot read", "nowhere.pem"],
    );
    check_site(
        "otlp: { endpoint: \"http://127.0.0.1:9\"",
        "otlp: { tls: { min_version: \"1.3\" }, endpoint: \"http://127.0.0.1:9\"",
        &["crossfade.yaml:3", "otlp.tls", "plain text", "https://"],
    );
}

#[test]
fn control_stays_on_loopback() {
    check_site(
        "control: { endpoint: \"127.0.0.1:0\" }",
        "control: { endpoint: \"0.0.0.0:8400\" }",
        &["crossfade.yaml:13", "loopback"],
    );
}

#[test]
fn a_variable_that_is_not_set() {
    check_site(
        "\"http://127.0.0.1:9\"",
        "\"${env:CROSSFADE_TEST_NOT_SET}\"",
        &["crossfade.yaml:3", "CROSSFADE_TEST_NOT_SET", "not set"],
    );
}

/// Scenario: a spec refers to the environment, or to a file, of whoever reads it.
/// Guarantee: `check` refuses it as planning does.
#[test]
fn a_reference_in_a_spec() {
    for reference in ["${env:HOME}", "${HOME:-x}", "${file:crossfade.yaml}"] {
        let wanted = ["rollout.yaml:1:7", "name: `${", "nothing in a rollout spec is replaced"];
        check_spec("name: next", &format!("name: \"{reference}\""), &wanted);
    }
}

#[test]
fn no_yaml_at_all() {
    let folder = Folder::new();
    folder.write("crossfade.yaml", "environments: [\n");
    refused(&folder, &["check"], &["crossfade.yaml:"]);
    std::fs::remove_file(folder.path().join("crossfade.yaml")).unwrap();
    refused(&folder, &["check"], &["cannot read crossfade.yaml"]);
}

/// Scenario: the file that is named as a configuration is another one, and both sides have the same.
/// Guarantee: they are not alike: it is refused by name, with what it looks like.
#[test]
fn a_configuration_that_is_something_else() {
    let folder = Folder::new();
    let wanted =
        ["rollout.yaml:1:1", "no configuration of a Collector", "looks like a rollout spec", "name the file"];
    refused(&folder, &["drift", "--blue", "rollout.yaml", "--green", "rollout.yaml"], &wanted);
    folder.write("crossfade.yaml", &SITE.replace("[collector.yaml]", "[rollout.yaml]"));
    let ran = folder.run(&["check"]);
    assert!(wanted.iter().all(|text| ran.stdout.contains(text)), "{}", ran.stdout);
    assert_eq!(ran.code, 2, "it outweighs that nothing answers: {}", ran.stdout);
}

/// Guarantee: two files with which no Collector starts are not said to be alike.
#[test]
fn a_configuration_that_no_collector_starts_with() {
    let folder = Folder::new();
    for (text, place, words) in [
        ("receivers: 7", "bad.yaml:1:12", "`receivers` must be a map"),
        ("service:\n  pipelines: [traces]", "bad.yaml:2:14", "`service.pipelines` must be a map"),
        (
            "service:\n  pipelines:\n    traces: { receivers: otlp }",
            "bad.yaml:3:26",
            "`service.pipelines.traces.receivers` must be a list",
        ),
    ] {
        folder.write("bad.yaml", text);
        refused(&folder, &["drift", "--blue", "bad.yaml", "--green", "bad.yaml"], &[place, words]);
    }
}

#[test]
fn what_always_looks_cannot_be_switched_off() {
    for gate in ["drift", "probe"] {
        let off = format!("name: next\ngates: {{ {gate}: {{ off: \"no time\" }} }}");
        let place = format!("gates.{gate}.off: ");
        check_spec(
            "name: next",
            &off,
            &["rollout.yaml:2:", &place, "cannot be switched off", "gates.waivers"],
        );
    }
}

#[test]
fn weights_must_grow() {
    check_spec(
        "  - weight: { percent: 100, duration: 1m }",
        "  - weight: { percent: 50, duration: 1m }\n  - weight: { percent: 10, duration: 1m }\n  - weight: { percent: 100, duration: 1m }",
        &["rollout.yaml:7", "steps[2]"],
    );
}

#[test]
fn an_environment_that_the_site_does_not_have() {
    check_spec("to: green", "to: violet", &["violet", "not an environment", "blue, green"]);
}

/// Scenario: in place of a file that is named on the command line there is one of 100 MiB, a folder, a pipe, or no text.
/// Guarantee: an error that names it and says what it is; nobody waits for the pipe, and nothing long is read.
#[test]
fn what_is_no_file_to_read() {
    type Make = fn(&std::path::Path);
    let makes: [(Make, &str); 4] = [
        (|path| std::fs::File::create(path).unwrap().set_len(100 << 20).unwrap(), "104857600 bytes; at most"),
        (|path| std::fs::create_dir(path).unwrap(), "this is a folder"),
        (|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()), "this is a pipe"),
        (|path| std::fs::write(path, b"\x7fELF\0\xff").unwrap(), "this is no text"),
    ];
    for (make, said) in makes {
        for (name, commands) in [
            (
                "crossfade.yaml",
                &["check", "serve", "drift --blue collector.yaml --green collector.yaml -c"][..],
            ),
            ("rollout.yaml", &["check --rollout", "gate list --rollout", "rollout start"]),
        ] {
            let folder = Folder::new();
            std::fs::remove_file(folder.path().join(name)).unwrap();
            make(&folder.path().join(name));
            for command in commands {
                let takes_file = ["--rollout", "-c", "start"].iter().any(|end| command.ends_with(end));
                let file = takes_file.then_some(name);
                let arguments: Vec<&str> = command.split(' ').chain(file).collect();
                refused(&folder, &arguments, &[name, said]);
            }
        }
    }
}

#[test]
fn a_plan_that_is_none() {
    let folder = Folder::new();
    folder.write("plan.json", "{ \"schema_version\": 1 }");
    refused(&folder, &["rollout", "start", "plan.json"], &["plan.json:1", "crossfade rollout plan"]);
}

#[test]
fn an_unreachable_endpoint_is_5() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    let ran = folder.run(&["check"]);
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("http://127.0.0.1:9/api/v3/services cannot be reached"), "{}", ran.stdout);
}

#[test]
fn a_control_plane_that_is_not_there_is_5() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    let ran = folder.run(&["rollout", "status", "--control", "http://127.0.0.1:9"]);
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("is `crossfade serve` running?"), "{}", ran.stderr);
}

#[test]
fn init_touches_nothing_that_is_there() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    let key = std::fs::read(folder.path().join("crossfade-data/keys/log.key")).unwrap();
    refused(&folder, &["init", "--active", "green"], &["exists already"]);
    assert_eq!(std::fs::read(folder.path().join("crossfade-data/keys/log.key")).unwrap(), key);
    refused(&folder, &["init", "--active", "violet"], &["violet", "blue, green"]);
}

#[test]
fn a_token_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    let token = folder.path().join("crossfade-data/token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&folder, &["serve"], &["mode 0644", "chmod 600"]);
}

#[test]
fn serve_before_init() {
    refused(&Folder::new(), &["serve"], &["no keys yet", "crossfade init"]);
}

#[test]
fn a_secret_is_never_printed() {
    let folder = Folder::new();
    folder.write("green.yaml", &COLLECTOR.replace("hunter2", "hunter3"));
    for format in ["text", "json", "sarif"] {
        let ran = folder.run(&["drift", "--blue", "collector.yaml", "--green", "green.yaml", "-o", format]);
        assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("redacted sha256:"), "{format}: {}", ran.stdout);
        assert!(!ran.stdout.contains("hunter") && !ran.stderr.contains("hunter"), "{format}: {}", ran.stdout);
    }
}

#[test]
fn a_port_that_is_taken_leaves_the_log_alone() {
    let somebody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = somebody.local_addr().expect("it is bound").to_string();
    let folder = Folder::new();
    folder.write("crossfade.yaml", &SITE.replacen("127.0.0.1:0", &address, 1));
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    refused(&folder, &["serve"], &["crossfade.yaml: gateway.grpc.endpoint", &address, "stop what uses it"]);
    let log = folder.run(&["audit", "show", "crossfade-data/audit"]);
    assert_eq!(log.stdout.lines().count(), 1, "only the genesis: {}", log.stdout);
}

#[test]
fn credentials_in_an_endpoint_are_refused_and_not_repeated() {
    let folder = Folder::new();
    folder.write("crossfade.yaml", &SITE.replacen("http://127.0.0.1:", "http://user:hunter2@127.0.0.1:", 1));
    for command in ["check", "serve"] {
        let ran = folder.run(&[command]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("crossfade.yaml:3") && ran.stderr.contains("headers"), "{}", ran.stderr);
        assert!(!(ran.stdout + &ran.stderr).contains("hunter2"));
    }
}

/// Scenario: a difference of secrets is suggested with the site's key, declared so, and declared in the clear.
/// Guarantee: the first declares it in any later run; the second is refused without being repeated.
#[test]
fn a_secret_is_declared_by_its_digest() {
    let folder = Folder::new();
    folder.write("green.yaml", &COLLECTOR.replace("hunter2", "hunter3"));
    let init = folder.run(&["init", "--active", "blue"]);
    assert_eq!(init.code, 0, "{}", init.stderr);
    let files = ["drift", "--blue", "collector.yaml", "--green", "green.yaml"];
    let with = |more: &[&str]| folder.run(&[&files, more].concat());
    let suggested = with(&["-c", "crossfade.yaml", "--suggest"]);
    assert!(suggested.stdout.contains("from: <redacted sha256:"), "{}{}", suggested.stdout, suggested.stderr);
    assert!(with(&["--suggest"]).stderr.contains("hold for this run alone"));

    let spec = format!("{ROLLOUT}{}", suggested.stdout.replace("reason: \"\"", "reason: one each"));
    folder.write("rollout.yaml", &spec);
    let declared = with(&["-c", "crossfade.yaml", "--rollout", "rollout.yaml"]);
    assert_eq!(declared.code, 0, "{}{}", declared.stdout, declared.stderr);
    assert_eq!(with(&["--rollout", "rollout.yaml"]).code, 1, "another key, other digests");

    let marker =
        spec.split("\n        from: ").nth(1).and_then(|rest| rest.lines().next()).expect("a marker");
    folder.write("rollout.yaml", &spec.replace(marker, "Bearer hunter2"));
    let bare = with(&["-c", "crossfade.yaml", "--rollout", "rollout.yaml"]);
    assert_eq!(bare.code, 2, "{}", bare.stdout);
    assert!(
        bare.stderr.contains("gates.drift.allow[0].from") && !bare.stderr.contains("hunter"),
        "{}",
        bare.stderr
    );
}

#[test]
fn what_answers_a_probe_is_a_jaeger_or_a_tempo() {
    let at = ["probe", "--otlp", "http://127.0.0.1:1", "--query"];
    let folder = Folder::new();
    refused(
        &folder,
        &[&at[..], &["http://127.0.0.1:1", "--kind", "zipkin"]].concat(),
        &["use jaeger or tempo"],
    );
    refused(&folder, &[&at[..], &["http://127.0.0.1:1/?a=b"]].concat(), &["--query", "does not belong"]);
}
