//! The gateway's own routes.

use std::net::SocketAddr;

use crossfade_backends::otlp::Protocol;
use crossfade_gateway::{Fenced, GatewayStatus, Readiness, Token, admin_router};
use crossfade_routing::sync::FenceCause;
use http::Method;
use tokio::net::TcpListener;

use crate::support::{Bench, Chunks, Environment, config, export, green, http1, one_span, until, weight};

struct Setup {
    blue: Environment,
    green: Environment,
    bench: Bench,
    address: SocketAddr,
}

async fn setup() -> Setup {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue, &green, weight("100"));
    config.admin_token = Some(Token::new("s3cret"));
    let bench = Bench::start((config, state)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = admin_router(&bench.handle);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Setup { blue, green, bench, address }
}

impl Setup {
    async fn get(&self, path: &str) -> (u16, String) {
        let reply = http1(self.address, Method::GET, path, &[], Chunks::whole("")).await;
        (reply.status, String::from_utf8(reply.body.to_vec()).unwrap())
    }

    async fn fence(&self, headers: &[(&str, &str)], body: &'static str) -> (u16, String) {
        let headers = [&[("content-type", "application/json")], headers].concat();
        let path = "/v1/gateway/fence";
        let reply = http1(self.address, Method::POST, path, &headers, Chunks::whole(body)).await;
        (reply.status, String::from_utf8(reply.body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn health_and_status() {
    let setup = setup().await;
    assert_eq!(setup.get("/healthz").await, (200, "ok\n".to_owned()));
    let (status, body) = setup.get("/v1/gateway").await;
    let shown: GatewayStatus = serde_json::from_str(&body).unwrap();
    assert_eq!((status, shown.schedule.unwrap().rollout()), (200, Some("tempo-3")));
    assert!(body.contains("\"generation\":\"3\""), "64-bit integers are strings: {body}");
}

#[tokio::test]
async fn readiness_says_who_is_away() {
    let setup = setup().await;
    let ready = async || -> (u16, Readiness) {
        let (status, body) = setup.get("/readyz").await;
        (status, serde_json::from_str(&body).unwrap())
    };
    let looked = || {
        let readiness = setup.bench.handle.readiness();
        assert!(readiness.away.is_empty(), "what nobody has looked at is not away: {readiness:?}");
        readiness.ready.then_some(())
    };
    until("blue is reachable", looked).await;
    assert_eq!(ready().await.0, 200);
    setup.green.kill().await;
    until("green is away", || (setup.bench.handle.readiness().away == ["green"]).then_some(())).await;
    let (status, readiness) = ready().await;
    assert!(status == 200 && readiness.ready, "the candidate does not answer clients: {readiness:?}");
    setup.blue.kill().await;
    until("blue is away", || (setup.bench.handle.readiness().away.len() == 2).then_some(())).await;
    let (status, readiness) = ready().await;
    assert!(status == 503 && readiness.schedule && readiness.reasons[0].contains("blue"), "{readiness:?}");
}

#[tokio::test]
async fn a_gateway_starts_while_an_environment_is_away() {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    blue.kill().await;
    green.kill().await;
    let bench = Bench::new(&blue, &green, weight("5")).await;
    assert!(export(&bench.client(Protocol::Grpc), one_span()).await.may_retry());
    blue.revive();
    assert!(export(&bench.client(Protocol::Grpc), one_span()).await.is_clean());
}

#[tokio::test]
async fn a_fence_needs_the_token() {
    let setup = setup().await;
    let body = r#"{"reason":"alice did it"}"#;
    for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", "s3cret")]] {
        assert_eq!(setup.fence(headers, body).await.0, 401);
    }
    assert_eq!(setup.fence(&[], "garbage").await.0, 401, "whoever may not fence hears nothing else");
    assert!(!setup.bench.status().fenced);
    let token = [("authorization", "Bearer s3cret")];
    assert_eq!(setup.fence(&token, "garbage").await.0, 400);
    assert_eq!(setup.fence(&token, r#"{"reason":"errors","rollout":"other"}"#).await.0, 409);
    let (status, body) = setup.fence(&token, body).await;
    let fenced: Fenced = serde_json::from_str(&body).unwrap();
    assert!(status == 200 && !fenced.already && setup.bench.status().fenced);
    // The caller is known by the token, whoever else it says that it is.
    let FenceCause::Command { actor } = fenced.fence.cause else { panic!("{body}") };
    let digest = crossfade_tlog::sha256(b"s3cret");
    assert_eq!(
        actor,
        format!(
            "operator:{:02x}{:02x}{:02x}{:02x}: alice did it",
            digest[0], digest[1], digest[2], digest[3]
        )
    );
    assert_eq!(setup.fence(&token, r#"{"actor":"alice"}"#).await.0, 400);
}

#[tokio::test]
async fn without_a_token_nobody_may_fence() {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue, &green, weight("100")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = admin_router(&bench.handle);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let headers = [("content-type", "application/json"), ("authorization", "Bearer ")];
    let body = Chunks::whole(r#"{"reason":"errors"}"#);
    let reply = http1(address, Method::POST, "/v1/gateway/fence", &headers, body).await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn metrics_show_the_ledger() {
    let setup = setup().await;
    let client = setup.bench.client(Protocol::Grpc);
    for _ in 0..3 {
        assert!(export(&client, one_span()).await.is_clean());
    }
    setup.bench.account_is(&green(), "three delivered", |row| row.delivered == 3).await;
    let (status, text) = setup.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "crossfade_spans_received_total{environment=\"blue\"} 3",
        "crossfade_spans_received_total{environment=\"green\"} 3",
        "crossfade_spans_delivered_total{environment=\"green\"} 3",
        "crossfade_spans_queued{environment=\"green\"} 0",
        "crossfade_ledger_unbalanced 0",
        "crossfade_export_duration_seconds_count{environment=\"blue\"} 3",
        "crossfade_export_duration_seconds_bucket{environment=\"blue\",le=\"+Inf\"} 3",
        "crossfade_queue_requests{environment=\"green\"} 0",
        "crossfade_generation 3",
        "crossfade_fenced 0",
        "# TYPE crossfade_export_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // Every sample belongs to a family that was declared, once; histograms only grow.
    let mut families = std::collections::BTreeSet::new();
    for line in text.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(family) => assert!(families.insert(family.split(' ').next().unwrap()), "{line}"),
            None if line.starts_with('#') => {}
            None => {
                let name = line.split(['{', ' ']).next().unwrap();
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
                assert!(
                    families.contains(name) || base.is_some_and(|base| families.contains(base)),
                    "{line}"
                );
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
    }
}
