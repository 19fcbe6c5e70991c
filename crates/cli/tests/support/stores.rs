//! Stores that hold traffic, and somebody who answers where a store or a receiver should, and is none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crossfade_lab::environment::Environment;
use serde_json::{Value, json};

const SECOND: u64 = 1_000_000_000;
pub(crate) const INSURER: &str = "api.insurer.example";

/// A trace a second for two minutes, that ended some seconds ago: a shop asks its payment service, which calls an insurer.
pub(crate) fn traffic(services: &[&str], host: &str, resource: (&str, &str)) -> Value {
    let now = crossfade_control::now().0;
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let of = |service: &str| {
        let spans: Vec<Value> = (0..120_u64)
            .map(|nth| {
                let start = now - 10 * SECOND - nth * SECOND;
                let span = |id: u64, parent: u64, kind: u32, name: &str, attributes: Vec<Value>| {
                    json!({
                        "traceId": format!("{:016x}{nth:016x}", start),
                        "spanId": format!("{id:016x}"),
                        "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") },
                        "name": name, "kind": kind, "attributes": attributes,
                        "startTimeUnixNano": (start + id).to_string(),
                        "endTimeUnixNano": (start + id + 1_000_000).to_string(),
                    })
                };
                let http = vec![text("server.address", host), text("http.request.method", "POST")];
                match service {
                    "shop" => vec![span(1, 0, 2, "POST /buy", vec![text("http.route", "/buy")])],
                    _ => vec![span(2, 1, 2, "Charge", Vec::new()), span(3, 2, 3, "POST", http)],
                }
            })
            .collect::<Vec<_>>()
            .concat();
        let attributes = [text("service.name", service), text(resource.0, resource.1)];
        json!({ "resource": { "attributes": attributes }, "scopeSpans": [{ "spans": spans }] })
    };
    json!({ "resourceSpans": services.iter().map(|service| of(service)).collect::<Vec<_>>() })
}

fn write(to: SocketAddr, request: &Value) {
    let body = request.to_string();
    let mut stream = TcpStream::connect(to).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

pub(crate) async fn with(
    services: &'static [&'static str],
    host: &'static str,
    mark: (&'static str, &'static str),
) -> Environment {
    let environment = Environment::start(1).await.unwrap();
    let to = environment.http_addr();
    tokio::task::spawn_blocking(move || write(to, &traffic(services, host, mark))).await.unwrap();
    environment
}

pub(crate) const BOTH: &[&str] = &["shop", "payment"];
pub(crate) const LIVE: (&str, &str) = ("deployment.environment.name", "production");

/// What somebody who is no store does with a question, by its path.
pub(crate) type Answers = fn(&str) -> Option<Vec<u8>>;

/// Answers with these bytes and hangs up; `None`: never answers.
pub(crate) fn impostor(answers: Answers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            match answers(head.split(' ').nth(1).unwrap_or_default()) {
                Some(bytes) => _ = stream.write_all(&bytes),
                None => held.push(stream),
            }
        }
    });
    address
}

fn whole(kind: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    Some([head.as_bytes(), body.as_bytes()].concat())
}

const SERVICES: &str = r#"{"services":["payment","shop"]}"#;
const HALF: &str = r#"{"result":{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","val"#;

/// What they do; none answers as it should, and so a question that meets them ends with 5.
pub(crate) fn impostors() -> [(&'static str, Answers); 9] {
    [
        ("hangs", |_| None),
        ("hangs up", |_| Some(Vec::new())),
        ("a page", |_| whole("text/html", "<html>log in</html>")),
        ("a page that calls itself JSON", |_| whole("application/json", "<html>log in</html>")),
        ("an error", |_| Some(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec())),
        ("not HTTP", |_| Some(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
        ("half a list", |_| {
            Some(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"services\":[\"sh".to_vec())
        }),
        ("half a trace", |path| match path {
            "/api/v3/services" => whole("application/json", SERVICES),
            _ => whole("application/json", HALF),
        }),
        ("a trace that breaks off", |path| match path {
            "/api/v3/services" => whole("application/json", SERVICES),
            _ => Some([b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", HALF.as_bytes()].concat()),
        }),
    ]
}
