//! Environments that ask who is there, mask what is sensitive, or break traces: seen by the clients that Crossfade itself uses.

#![allow(clippy::unwrap_used, reason = "a test")]

use crossfade_backends::otlp::{Client, ClientConfig, Endpoint, Message, Outcome, Protocol};
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind};
use crossfade_backends::tls::{Tls, TlsSettings};
use crossfade_lab::environment::{Authority, Clients, Environment, Faults, Identity, Setup};
use crossfade_lab::traffic::{Business, TrafficConfig, past};
use http::{HeaderMap, HeaderValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use prost::Message as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn request(count: u64) -> ExportTraceServiceRequest {
    let config = TrafficConfig { business: Business::Clinic, ..TrafficConfig::default() };
    let resource_spans =
        past(&config, 1_000..2_000, count).flat_map(|(_, request)| request.resource_spans).collect();
    ExportTraceServiceRequest { resource_spans }
}

fn tls(folder: &Path, identity: Option<&Identity>) -> Tls {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    Tls::new(TlsSettings {
        ca_file: Some(folder.join("ca.pem")),
        cert_file: identity.map(|identity| file("client.pem", &identity.certificate)),
        key_file: identity.map(|identity| file("client.key", &identity.key)),
        ..TlsSettings::default()
    })
}

async fn export(environment: &Environment, protocol: Protocol, tls: Option<Tls>) -> Outcome {
    let address = match protocol {
        Protocol::Grpc => environment.grpc_addr(),
        Protocol::HttpProtobuf | Protocol::HttpJson => environment.http_addr(),
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::parse(&format!("{scheme}://{address}"), protocol).unwrap();
    let endpoint = match tls {
        Some(tls) => endpoint.with_tls(tls),
        None => endpoint,
    };
    let client = Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout: PATIENCE });
    let message = Message::identity(request(3).encode_to_vec());
    client.export(message, &HeaderMap::new(), PATIENCE).await.outcome
}

/// Scenario: one environment takes clients with a certificate only, the other takes anybody; both want a token of who asks.
/// Guarantee: that is how they act, on either wire.
#[tokio::test]
async fn certificates_and_tokens_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::new("test authority").unwrap());
    std::fs::write(folder.path().join("ca.pem"), authority.certificate()).unwrap();
    let identity = authority.client("gateway").unwrap();
    for clients in [Clients::WithCertificate, Clients::Anyone] {
        let setup = Setup {
            tls: Some((Arc::clone(&authority), clients)),
            query_token: Some("sesame".to_owned()),
            ..Setup::default()
        };
        let environment = Environment::build(setup).await.unwrap();
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let known = export(&environment, protocol, Some(tls(folder.path(), Some(&identity)))).await;
            assert!(matches!(known, Outcome::Accepted { .. }), "{protocol:?} {known:?}");
            let unknown = export(&environment, protocol, Some(tls(folder.path(), None))).await;
            let is_taken = matches!(unknown, Outcome::Accepted { .. });
            assert_eq!(is_taken, clients == Clients::Anyone, "{protocol:?} {unknown:?}");
            let plain = export(&environment, protocol, None).await;
            assert!(!matches!(plain, Outcome::Accepted { .. }), "{protocol:?} {plain:?}");
        }
        let ask = |token: Option<&'static str>| {
            let url = format!("https://{}", environment.query_addr());
            let endpoint = QueryEndpoint::parse(&url).unwrap().with_tls(tls(folder.path(), None));
            let mut config = QueryConfig::new(QueryKind::Jaeger, endpoint);
            if let Some(token) = token {
                config.headers.insert("authorization", HeaderValue::from_static(token));
            }
            async move { Query::new(config).services().await }
        };
        assert!(ask(Some("Bearer sesame")).await.unwrap().contains(&"portal".to_owned()));
        assert!(ask(Some("Bearer guess")).await.is_err() && ask(None).await.is_err());
    }
}

/// Scenario: a card number comes in, to an environment that masks and to one that does not.
/// Guarantee: only the first one does not have it.
#[tokio::test]
async fn what_is_sensitive_is_masked_by_who_masks() {
    for redacts in [true, false] {
        let environment = Environment::build(Setup { redacts, ..Setup::default() }).await.unwrap();
        let mut request = request(1);
        let span = &mut request.resource_spans[0].scope_spans[0].spans[0];
        span.attributes[0].value =
            Some(AnyValue { value: Some(Value::StringValue("4111 1111 1111 1111".to_owned())) });
        let id = crossfade_routing::TraceId(span.trace_id.as_slice().try_into().unwrap());
        let endpoint =
            Endpoint::parse(&format!("http://{}", environment.grpc_addr()), Protocol::Grpc).unwrap();
        let client =
            Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout: PATIENCE });
        let message = Message::identity(request.encode_to_vec());
        client.export(message, &HeaderMap::new(), PATIENCE).await;
        let stored = format!("{:?}", environment.store().trace(&id).unwrap());
        assert_eq!(stored.contains("4111"), !redacts);
    }
}

/// Scenario: one service's spans never arrive, and another does not understand its callers.
/// Guarantee: the first is not there, and the second's spans are in traces of their own.
#[tokio::test]
async fn services_are_lost_and_traces_break() {
    let environment = Environment::start(1).await.unwrap();
    environment.set_faults(Faults {
        lose_service: Some("reminders"),
        break_at: Some("billing"),
        ..Faults::default()
    });
    let sent = request(200);
    let traces: std::collections::BTreeSet<Vec<u8>> = sent
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans[0].spans)
        .map(|span| span.trace_id.clone())
        .collect();
    let endpoint = Endpoint::parse(&format!("http://{}", environment.grpc_addr()), Protocol::Grpc).unwrap();
    let client = Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout: PATIENCE });
    client.export(Message::identity(sent.encode_to_vec()), &HeaderMap::new(), PATIENCE).await;
    let services = environment.store().services();
    assert!(services.contains(&"billing".to_owned()) && !services.contains(&"reminders".to_owned()));
    let more = environment.store().trace_count() - traces.len() as u64;
    assert!(more > 20, "{more} traces more than were sent: those that billing began");
}
