//! `crossfade drift` from the outside: what it is given that it cannot use, environment files, secrets, effective
//! configurations by URL.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;

use support::{COLLECTOR, Folder, Ran};

const FORMATS: [&str; 4] = ["text", "json", "sarif", "junit"];

fn drift(folder: &Folder, more: &[&str]) -> Ran {
    folder.run(&[&["drift"], more].concat())
}

/// Scenario: one side's configuration is something that none can be read from.
/// Guarantee: exit 2 with the file and, where there is one, the line; nothing on stdout that looks like a verdict, no panic.
#[test]
fn what_is_no_configuration() {
    let folder = Folder::new();
    let bomb: String = (1..40).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}]\n", i - 1)).collect();
    folder.write("bomb.yaml", &format!("a0: &a0 [x, x, x]\n{bomb}"));
    folder.write("broken.yaml", "receivers:\n  otlp: [\n");
    folder.write("cycle.yaml", "a: &a\n  b: *a\n");
    folder.write("twice.yaml", "a: 1\nb: 2\na: 3\n");
    folder.write("list.yaml", "- a\n");
    folder.write("word.yaml", "hunter2\n");
    folder.write("manifest.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n");
    folder.write("loop.yaml", "a: ${file:loop.yaml}\n");
    folder.write("open.yaml", "a: 1\nb: ${env:HOST\n");
    std::fs::write(folder.path().join("binary.yaml"), b"\x7fELF\x02\x01\x01\0\0").unwrap();
    let large = std::fs::File::create(folder.path().join("large.yaml")).unwrap();
    large.set_len(100 << 20).unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    for (file, said) in [
        ("broken.yaml", "broken.yaml:"),
        ("cycle.yaml", "cycle.yaml:2:6"),
        ("bomb.yaml", "bomb.yaml:"),
        ("twice.yaml", "twice.yaml:3:1"),
        ("list.yaml", "list.yaml:1:1"),
        ("word.yaml", "word.yaml:1:1"),
        ("manifest.yaml", "manifest.yaml:1:1"),
        ("loop.yaml", "loop.yaml:1:"),
        ("open.yaml", "open.yaml:2:4"),
        ("binary.yaml", "binary.yaml:1:1"),
        ("large.yaml", "large.yaml:1:1"),
        ("folder", "folder:1:1"),
        ("nowhere.yaml", "cannot read nowhere.yaml"),
    ] {
        for sides in
            [["--blue", "collector.yaml", "--green", file], ["--blue", file, "--green", "collector.yaml"]]
        {
            let ran = drift(&folder, &sides);
            assert_eq!(ran.code, 2, "{file}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stderr.contains(said), "{file}: {}", ran.stderr);
            assert!(ran.stdout.is_empty() && !ran.stderr.contains("panicked"), "{file}: {}", ran.stdout);
            assert!(!ran.stderr.contains("hunter2"), "{file}: {}", ran.stderr);
        }
    }
}

#[test]
fn what_is_no_environment_file_or_version() {
    let folder = Folder::new();
    folder.write("bad.env", "A=1\nhunter2\n");
    let both = ["--blue", "collector.yaml", "--green", "collector.yaml"];
    for (more, said) in [
        (["--green-env", "bad.env"], "bad.env:2:1"),
        (["--blue-env", "none.env"], "cannot read none.env"),
        (["--blue-version", "latest"], "0.158.0"),
    ] {
        let ran = drift(&folder, &[&both[..], &more[..]].concat());
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(said) && !ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
}

/// Scenario: secrets come in by a file, by an environment file, in URLs, in headers; they differ, in one case the place is none of
/// a secret's. Guarantee: the differences are found at their places, and no form of output has a secret in it.
#[test]
fn secrets_stay_out_of_every_output() {
    let folder = Folder::new();
    let config = COLLECTOR
        .replace("127.0.0.1:14317", "${env:HOST}:14317")
        .replace("Bearer hunter2", "${env:OTLP_TOKEN}")
        + "extra: { a: \"${env:DB_PASSWORD} x\", b: \"${file:token}\", c: \"http://u:hunter2c@h/?api_key=hunter2d\" }\n";
    folder.write("a.yaml", &config);
    folder.write("b.yaml", &config.replace("hunter2c", "hunter2e"));
    folder.write("token", "hunter2f");
    folder.write("blue.env", "HOST=store\nOTLP_TOKEN=hunter2blue\nDB_PASSWORD='hunter2 x'\n");
    folder.write(
        "green.env",
        "HOST=elsewhere\n# a comment\nOTLP_TOKEN=hunter2green\nDB_PASSWORD=\"hunter2y\"\n",
    );
    let both =
        ["--blue", "a.yaml", "--green", "b.yaml", "--blue-env", "blue.env", "--green-env", "green.env"];
    for format in FORMATS {
        let ran = drift(&folder, &[&both[..], &["-o", format]].concat());
        assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
        assert!(
            !ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"),
            "{format}: {}",
            ran.stdout
        );
        for found in ["exporters.otlp/jaeger.endpoint", "headers.authorization", "extra.a", "extra.c"] {
            assert!(ran.stdout.contains(found), "{format} {found}: {}", ran.stdout);
        }
    }
    let text = drift(&folder, &both).stdout;
    assert!(text.contains("store:14317 -> elsewhere:14317"), "{text}");
    assert!(text.contains("green.env:3"), "the token stands there: {text}");
    let suggested = drift(&folder, &[&both[..], &["--suggest"]].concat());
    assert!(!suggested.stdout.contains("hunter2"), "{}", suggested.stdout);
    // Without environment files the references are what is compared.
    let written = drift(&folder, &["--blue", "a.yaml", "--green", "a.yaml"]);
    assert_eq!(written.code, 0, "{}", written.stdout);
    assert!(written.stdout.contains("compared as written"), "{}", written.stdout);
}

#[test]
fn versions_are_compared_with_their_defaults() {
    let folder = Folder::new();
    folder.write("c.yaml", &COLLECTOR.replace("grpc: { endpoint: \"127.0.0.1:4317\" }", "grpc: {}"));
    let both = ["--blue", "c.yaml", "--green", "c.yaml"];
    let moved =
        drift(&folder, &[&both[..], &["--blue-version", "0.104.0", "--green-version", "0.103.0"]].concat());
    assert_eq!(moved.code, 1, "{}", moved.stdout);
    assert!(moved.stdout.contains("CF-DRIFT-001") && moved.stdout.contains("0.103.0"), "{}", moved.stdout);
    assert_eq!(drift(&folder, &both).code, 0);
}

/// Answers each connection in turn, and hands back how many came.
fn serve(answers: Vec<String>) -> (String, std::thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/effective", listener.local_addr().expect("an address"));
    let served = std::thread::spawn(move || {
        let mut count = 0;
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).expect("a request");
            let _ = stream.write_all(answer.as_bytes());
            count += 1;
        }
        count
    });
    (url, served)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Scenario: an effective configuration from a URL, as YAML, as JSON, withheld, missing, HTML; and nobody there.
/// Guarantee: it is compared; what is withheld is no verdict; all else is an error that names the URL, never a pass.
#[test]
fn effective_configurations_by_url() {
    let folder = Folder::new();
    let withheld = COLLECTOR.replace("\"Bearer hunter2\"", "'[REDACTED]'");
    let exporters = "{\"otlp/jaeger\": {\"endpoint\": \"127.0.0.1:14317\", \"headers\": {\"authorization\": \"Bearer hunter2\"}}}";
    let json = format!(
        "{{\"receivers\": {{\"otlp\": {{\"protocols\": {{\"grpc\": {{\"endpoint\": \"127.0.0.1:4317\"}}}}}}}}, \"exporters\": {exporters}, \
         \"service\": {{\"pipelines\": {{\"traces\": {{\"receivers\": [\"otlp\"], \"exporters\": [\"otlp/jaeger\"]}}}}}}}}"
    );
    let answers = [
        (answer("200 OK", COLLECTOR), 0),
        (answer("200 OK", &json), 0),
        (answer("200 OK", &withheld), 3),
        (answer("404 Not Found", "no"), 2),
        (answer("200 OK", "<!DOCTYPE html><html><body>hello: world</body></html>"), 2),
    ];
    let (url, served) = serve(answers.iter().map(|(text, _)| text.clone()).collect());
    for (_, code) in &answers {
        let ran = drift(&folder, &["--blue", "collector.yaml", "--green", &url]);
        assert_eq!(ran.code, *code, "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.stderr.contains(&url), *code == 2, "{}", ran.stderr);
    }
    assert_eq!(served.join().unwrap(), answers.len());
    let gone = drift(&folder, &["--blue", "collector.yaml", "--green", &url]);
    assert_eq!(gone.code, 5, "{}{}", gone.stdout, gone.stderr);
    assert!(gone.stderr.contains(&url), "{}", gone.stderr);
}
