//! Who may call, and what the record says of calls.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get as get_route, post as post_route};
use crossfade_control::api::{ErrorBody, ErrorCode, read_token};
use crossfade_control::client::Client;
use crossfade_control::status::Status;
use crossfade_control::{Control, ControlConfig};
use crossfade_rollout::event::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{House, code, control, send};

fn client(address: SocketAddr, token: &str) -> Client {
    Client::with_token(&format!("http://{address}"), token.to_owned()).unwrap()
}

/// Sends bytes as they are; the status and the body that come back.
async fn raw(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn post(path: &str, token: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Scenario: calls without a token, with a wrong one, and with the other role's.
/// Guarantee: each is denied, changes nothing, and is a leaf; what is let through has its caller as actor.
#[tokio::test(flavor = "multi_thread")]
async fn denied_calls_are_on_record() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let address = control.address();
    let operator = read_token(&house.site().token_file).unwrap();
    let gateway = read_token(&house.site().gateway.token_file).unwrap();

    assert_eq!(code(client(address, "wrong").get::<Status>("/v1/status").await), ErrorCode::Denied);
    assert_eq!(code(client(address, &gateway).get::<Status>("/v1/status?from=1").await), ErrorCode::Denied);
    let (status, body) =
        raw(address, "GET /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let body: ErrorBody = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body.code), (401, ErrorCode::Denied));
    let (status, _) = raw(address, "DELETE /v1/gateways/gw-1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Basic eA==\r\n\r\n").await;
    assert_eq!(status, 401);
    let report = house.gateway("gw-1", "boot-1").report(crossfade_control::now(), 0);
    assert_eq!(code(send(&client(address, &operator), &report).await), ErrorCode::Denied);
    client(address, &operator).get::<Status>("/v1/status").await.unwrap();
    control.stop().await;

    let entries = house.entries();
    let denied: Vec<(String, String, String)> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::AccessDenied { call, why, .. } => {
                Some((entry.actor.to_string(), call.clone(), why.clone()))
            }
            _ => None,
        })
        .collect();
    let by = |actor: &str, call: &str, why: &str| (actor.to_owned(), call.to_owned(), why.to_owned());
    let denial = |call: &str, why: &str| by("anonymous", call, why);
    let known = entries.iter().find(|entry| matches!(entry.event, Event::ReadsCounted { .. })).unwrap();
    assert_eq!(
        denied,
        [
            denial("GET /v1/status", "wrong token"),
            by("gateway", "GET /v1/status", "a gateway's token, not an operator's"),
            denial("GET /v1/events", "no token"),
            denial("DELETE /v1/gateways/gw-1", "wrong token"),
            by(known.actor.as_str(), "POST /v1/gateways/gw-1/sync", "an operator's token, not a gateway's"),
        ]
    );
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains(&operator) && !text.contains(&gateway), "no token is ever written down");
    assert!(!entries.iter().any(|entry| matches!(entry.event, Event::GatewayRostered { .. })));
    house.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_one_leaf_for_each_actor() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    for _ in 0..6 {
        operator.status().await;
    }
    // A plan is counted with them, also one that comes to nothing: its dry run writes to the candidate.
    let token = read_token(&house.site().token_file).unwrap();
    let (status, _) = raw(control.address(), &post("/v1/plans", &token, "application/json", "{}")).await;
    assert!((400..500).contains(&status), "{status}");
    control.stop().await;
    let reads: Vec<(String, String, u64)> = house
        .entries()
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::ReadsCounted { actor, count, .. } => {
                Some((entry.actor.to_string(), actor.to_string(), *count))
            }
            _ => None,
        })
        .collect();
    // An hour may end meanwhile.
    let total: u64 = reads.iter().map(|(_, _, count)| count).sum();
    assert!(total == 7 && reads.len() <= 2, "{reads:?}");
    assert!(reads.iter().all(|(by, of, _)| by == of && of.starts_with("operator:")), "{reads:?}");
    house.verify();
}

/// Scenario: a token that others can read, that is empty, or that is not there.
/// Guarantee: neither side uses it, and the message says what to do; nothing is on record of such a start.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_others_can_read_is_refused() {
    let house = House::new().await;
    let before = house.entries().len();
    let start = async || {
        let config = ControlConfig::new(house.site(), "0.0.0-test");
        Control::start(config, Router::new()).await.err().expect("refused").to_string()
    };
    for file in [house.site().token_file, house.site().gateway.token_file] {
        for mode in [0o640, 0o604, 0o620, 0o4677] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let refused = start().await;
            assert!(refused.contains("others can read the token; run: chmod 600"), "{refused}");
            let refused = Client::new("http://127.0.0.1:1", &file).expect_err("refused").to_string();
            assert!(refused.contains("chmod 600"), "{refused}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let file = house.site().token_file;
    fs::write(&file, " \n").unwrap();
    assert!(start().await.contains("holds no token"));
    fs::remove_file(&file).unwrap();
    assert!(start().await.contains("run `crossfade init` first"));
    assert_eq!(house.entries().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_make_no_sense_get_a_reason() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let address = control.address();
    let token = read_token(&house.site().token_file).unwrap();
    let gateway = read_token(&house.site().gateway.token_file).unwrap();
    let json = "application/json";
    let large = format!("{{\"spec\":\"{}\",\"source\":\"x\"}}", "x".repeat(5 << 20));
    let cases = [
        (post("/v1/plans", &token, json, "{"), 400),
        (post("/v1/plans", &token, json, "{}"), 422),
        (post("/v1/plans", &token, json, "{\"spec\":\"\",\"source\":\"x\",\"sauce\":\"y\"}"), 422),
        (post("/v1/plans", &token, "text/plain", "{}"), 415),
        (post("/v1/plans", &token, json, &large), 413),
        (post("/v1/rollouts", &token, json, "{\"plan\":{}}"), 422),
        (post("/v1/rollouts/current/rollback", &token, json, "{\"reson\":\"x\"}"), 422),
        (post("/v1/gateways/gw-1/sync", &gateway, json, "[]"), 422),
    ];
    for (request, expected) in cases {
        let (status, body) = raw(address, &request).await;
        let head: String = request.chars().take(60).collect();
        assert_eq!(status, expected, "{head}: {body}");
        let body: ErrorBody = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{head}: {body}"));
        assert_eq!(body.code, ErrorCode::Invalid);
        assert!(!body.message.is_empty());
    }
    let asks = client(address, &token);
    for path in ["/v1/events", "/v1/events?from=x", "/v1/events?from=0&form=1", "/v1/locate?trace=12"] {
        assert_eq!(code(asks.get::<serde_json::Value>(path).await), ErrorCode::Invalid, "{path}");
    }
    let elsewhere = house.gateway("gw-2", "boot-1").report(crossfade_control::now(), 0);
    let answer =
        client(address, &gateway).post::<serde_json::Value>("/v1/gateways/gw-1/sync", &elsewhere).await;
    assert_eq!(code(answer), ErrorCode::Invalid, "another gateway's report");
    let bad_spec =
        house.operator(address).plan("name: x\nfrom: blue\nto: green\nstpes: []\n").await.unwrap_err();
    assert_eq!(bad_spec.0.code, ErrorCode::Invalid);
    assert!(bad_spec.to_string().contains("rollout.yaml:4:1: stpes: unknown key"), "{bad_spec}");
    let elsewhere = crate::support::SPEC.replace("to: green", "to: teal");
    let unknown = house.operator(address).plan(&elsewhere).await.unwrap_err();
    assert!(unknown.to_string().contains("`teal` is not an environment of"), "{unknown}");
    control.stop().await;
    house.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_control_plane_is_refused() {
    let house = House::new().await;
    let first = control(house.site()).await;
    let config = || ControlConfig::new(house.site(), "0.0.0-test");
    let locked = Control::start(config(), Router::new()).await.err().expect("refused").to_string();
    assert!(locked.contains("is in use by another process"), "{locked}");
    first.stop().await;
    let somebody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut taken = config();
    taken.site.control = somebody.local_addr().unwrap();
    let before = house.entries().len();
    let refused = Control::start(taken, Router::new()).await.err().expect("refused").to_string();
    assert!(refused.contains("choose another control.endpoint"), "{refused}");
    assert_eq!(house.entries().len(), before, "nothing was started");
    house.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_initialised_once() {
    let house = House::new().await;
    let (site, blue) = (house.site(), "blue".parse().unwrap());
    let again = crossfade_control::init(&site, &blue, crossfade_control::now()).unwrap_err().to_string();
    assert!(again.contains("exists already"), "{again}");
    let teal =
        crossfade_control::init(&site, &"teal".parse().unwrap(), crossfade_control::now()).unwrap_err();
    assert!(teal.to_string().contains("not one of its environments (blue, green)"), "{teal}");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for secret in [&site.key_file, &site.token_file, &site.gateway.token_file, &site.redact_key_file()] {
        assert_eq!(mode(secret), 0o600, "{}", secret.display());
    }
    assert_eq!(mode(site.key_file.parent().unwrap()), 0o700);

    let text = fs::read_to_string(house.path("crossfade.yaml")).unwrap();
    fs::create_dir(house.path("elsewhere")).unwrap();
    let text = text.replace("[blue.yaml]", "[../blue.yaml]").replace("[green.yaml]", "[../green.yaml]");
    let places = "audit: { directory: var/log/audit, key_file: etc/keys/audit.key }\n";
    fs::write(house.path("elsewhere/crossfade.yaml"), text + places).unwrap();
    let site = crossfade_control::Site::load(&house.path("elsewhere/crossfade.yaml"), &|_| None).unwrap();
    let made = crossfade_control::init(&site, &blue, crossfade_control::now()).unwrap();
    assert_eq!(made.log_dir, house.path("elsewhere/var/log/audit"));
    assert_eq!(made.log_pub, house.path("elsewhere/var/log/log.pub"), "where `audit verify` looks for it");
    assert!(house.path("elsewhere/var/log/emergency").exists(), "where `audit verify` looks for it");
    control(site).await.stop().await;
}

/// Scenario: the verifier key beside the log is gone; then it is another log's; then it is no key.
/// Guarantee: the first is mended, in words, from the signing key; the second is refused with the file's name and the remedy; the last
/// is said, and keeps nobody from a rollback.
#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_key_that_is_gone_is_written_anew() {
    let house = House::new().await;
    let (file, start) =
        (house.site().log_pub(), || Control::start(ControlConfig::new(house.site(), "0"), Router::new()));
    let made = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let control = start().await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), made);
    assert!(
        matches!(&control.recovery[..], [line] if line.contains("log.pub was missing")),
        "{:?}",
        control.recovery
    );
    control.stop().await;
    let control = start().await.unwrap();
    assert!(control.recovery.is_empty(), "{:?}", control.recovery);
    control.stop().await;
    house.verify();

    let other = crossfade_audit::keys::generate("crossfade.local/default").unwrap();
    fs::write(&file, other.verifier().to_string()).unwrap();
    let refused = start().await.err().expect("refused").to_string();
    assert!(refused.contains("remove it") && refused.contains("log.pub"), "{refused}");
    fs::write(&file, "none").unwrap();
    let control = start().await.unwrap();
    assert!(
        matches!(&control.recovery[..], [line] if line.contains("log.pub") && line.contains("holds no key")),
        "{:?}",
        control.recovery
    );
    control.stop().await;
    fs::remove_file(&file).unwrap();
    start().await.unwrap().stop().await;
    house.verify();
}

/// Scenario: somebody without a token calls 300 times at once, and once more when that is over.
/// Guarantee: every call is denied and counted on the record, which does not grow by an entry for each of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_denied_calls_does_not_flood_the_log() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let address = control.address();
    let begun = Instant::now();
    let calls: Vec<_> = (0..300)
        .map(|_| tokio::spawn(async move { code(client(address, "x").get::<Status>("/v1/status").await) }))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), ErrorCode::Denied);
    }
    assert_eq!(code(client(address, "x").get::<Status>("/v1/status").await), ErrorCode::Denied);
    let took = begun.elapsed();
    control.stop().await;
    let (leaves, calls) = denials(&house);
    assert_eq!(calls, 301, "{leaves:?}");
    // 32 at once, and then one every 50 ms, however long the machine takes to make the calls.
    let at_most = 33 + took.as_millis() / 50;
    assert!(leaves.len() as u128 <= at_most, "{} of at most {at_most}", leaves.len());
    house.verify();
}

/// What leaves say of denied calls, and of how many.
fn denials(house: &House) -> (Vec<String>, usize) {
    let events = house.events().into_iter();
    let leaves = events.filter_map(|event| match event {
        Event::AccessDenied { why, .. } => Some(why),
        _ => None,
    });
    let leaves: Vec<String> = leaves.collect();
    let counted =
        leaves.iter().filter_map(|why| why.split_once("; ")?.1.split(' ').next()?.parse::<usize>().ok());
    let calls = leaves.len() + counted.sum::<usize>();
    (leaves, calls)
}

/// Scenario: a hundred clients without a token call, and hang up before they are answered; then the control plane ends.
/// Guarantee: every call has a leaf, or is counted in one.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_is_on_record_all_the_same() {
    async fn hang_up(address: SocketAddr) {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(post("/v1/plans", "x", "application/json", "").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        // Over when the server has noticed; whether it has answered by then does not matter.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let house = House::new().await;
    let control = control(house.site()).await;
    let address = control.address();
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(hang_up(address))).collect();
    for call in calls {
        call.await.unwrap();
    }
    assert!(control.stop().await, "the last entries are on record");
    let (leaves, calls) = denials(&house);
    assert_eq!(calls, 100, "{leaves:?}");
    house.verify();
}

/// Scenario: somebody without a token opens three hundred connections and sends half of a request's head on each.
/// Guarantee: those who have something to say are heard; the silent give way, and the end is not held up.
#[tokio::test(flavor = "multi_thread")]
async fn half_sent_heads_keep_nobody_out() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let (address, operator) = (control.address(), house.operator(control.address()));
    let mut silent = Vec::new();
    for _ in 0..300 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\nauth").await.unwrap();
        silent.push(stream);
    }
    operator.status().await;
    // One after the other had to go before, and not because its own time was up: that is 30 s.
    let gone = async {
        for stream in silent.iter_mut().take(300 - 128) {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the silent give way");
    assert!(control.stop().await);
    house.verify();
}

/// Scenario: the gateway's own routes, served beside the API, deny a call.
/// Guarantee: that is a leaf too. What an operator reads there is counted with the rest.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_denies_is_on_record_too() {
    let house = House::new().await;
    let denies = Router::new()
        .route("/v1/gateway/fence", post_route(async || StatusCode::UNAUTHORIZED))
        .route("/v1/gateway/inventory", get_route(async || axum::Json(())));
    let config = ControlConfig::new(house.site(), "0.0.0");
    let control = Control::start(config, denies).await.unwrap();
    let (status, _) =
        raw(control.address(), &post("/v1/gateway/fence", "guess", "application/json", "{}")).await;
    assert_eq!(status, 401);
    let operator = house.operator(control.address());
    let _: () = operator.client.get("/v1/gateway/inventory").await.unwrap();
    let asked = std::cell::Cell::new(1);
    operator
        .until("the leaf", |_| {
            asked.set(asked.get() + 1);
            house.entries().iter().any(|entry| {
                matches!(&entry.event, Event::AccessDenied { call, .. } if call == "POST /v1/gateway/fence")
            })
        })
        .await;
    control.stop().await;
    let counts = house.events().into_iter().filter_map(|event| match event {
        Event::ReadsCounted { count, .. } => Some(count),
        _ => None,
    });
    assert_eq!(counts.sum::<u64>(), asked.get());
}
