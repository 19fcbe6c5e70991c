//! Servers with TLS of the library's: versions, certificates, clients.

use crossfade_gates::posture::{
    Access, ClientCertificate, Cors, EndpointFacts, Fact, Family, Role, TlsFacts, Transport, Trust, Version,
};
use rustls::version::{TLS12, TLS13};

use super::{http, otlp, seen};
use crate::otlp::Protocol;
use crate::tls::TlsSettings;
use crate::tls::tests::authority::{Authority, Clients};
use crate::tls::tests::server::Server;

const EVERY: [&str; 2] = ["h2", "http/1.1"];

/// All three ways to look at one server.
async fn each(config: rustls::ServerConfig, settings: &TlsSettings) -> Vec<EndpointFacts> {
    let server = Server::start(config, &EVERY).await;
    let url = format!("https://127.0.0.1:{}", server.port);
    let (grpc, protobuf, query) = tokio::join!(
        seen(otlp(&url, Protocol::Grpc, settings)),
        seen(otlp(&url, Protocol::HttpProtobuf, settings)),
        seen(http(&url, Role::Query, "/api/v3/services", settings)),
    );
    vec![grpc, protobuf, query]
}

fn tls(facts: &EndpointFacts) -> &TlsFacts {
    assert_eq!(facts.transport, Fact::Known(Transport::Tls));
    facts.tls.as_ref().unwrap()
}

fn versions(facts: &EndpointFacts) -> Vec<Version> {
    let taken = tls(facts).versions.iter();
    taken.filter(|(_, taken)| *taken.known().unwrap()).map(|(version, _)| *version).collect()
}

#[tokio::test]
async fn versions_and_suites_are_those_of_the_server() {
    let authority = Authority::new();
    let local = authority.local();
    for (spoken, expected) in [
        (&[&TLS12][..], vec![Version::Tls12]),
        (&[&TLS13], vec![Version::Tls13]),
        (&[&TLS12, &TLS13], vec![Version::Tls12, Version::Tls13]),
    ] {
        for facts in each(authority.server(&local, spoken, Clients::Unasked), &authority.trusted()).await {
            assert_eq!(versions(&facts), expected);
            let tls = tls(&facts);
            for (family, taken) in &tls.suites {
                let expected = *family == Family::Aead && expected.contains(&Version::Tls12);
                assert_eq!(taken, &Fact::Known(expected), "{family:?}");
            }
            assert_eq!(tls.plain_text, Fact::Known(false));
            assert_eq!(tls.client_certificate, Fact::Known(ClientCertificate::NotAsked));
            let access = facts.access.as_ref().unwrap();
            assert_eq!(access.anonymous, Fact::Known(Access::Taken));
            assert_eq!((&access.wrong_token, &access.other_tenant), (&None, &None));
            assert!(!facts.unverified && facts.loopback);
        }
    }
}

#[tokio::test]
async fn a_certificate_is_described_and_weighed() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (local, expired) = (authority.local(), authority.expired());
    let other = authority.issue("other.example", |_| {});
    let trusted = authority.trusted();
    let lone = authority.server(&authority.self_signed(), &[&TLS13], Clients::Unasked);
    let facts = &each(lone, &trusted).await[0];
    let certificate = tls(facts).certificate.known().unwrap();
    assert!(certificate.self_signed && matches!(certificate.trust, Trust::Untrusted(_)), "{certificate:?}");
    for (identity, settings, trust, named, name) in [
        (&local, &trusted, true, true, "127.0.0.1"),
        (&expired, &trusted, true, true, "127.0.0.1"),
        (&other, &trusted, true, false, "other.example"),
        (&local, &stranger.trusted(), false, true, "127.0.0.1"),
    ] {
        let config = authority.server(identity, &[&TLS12, &TLS13], Clients::Unasked);
        let facts = &each(config, settings).await[0];
        let certificate = tls(facts).certificate.known().unwrap().clone();
        assert_eq!(certificate.trust == Trust::Trusted, trust, "{certificate:?}");
        assert_eq!((certificate.names_host, &certificate.names[..]), (named, &[name.to_owned()][..]));
        assert_eq!((certificate.key.algorithm.as_str(), certificate.key.bits), ("EC", 256));
        assert_eq!(
            (certificate.signature.as_str(), certificate.signature_weak),
            ("ecdsa-with-SHA256", false)
        );
        assert_eq!((certificate.self_signed, certificate.chain), (false, 1), "{certificate:?}");
        let days = (certificate.not_after - certificate.not_before) / 86_400;
        assert_eq!(days == 366, std::ptr::eq(identity, &expired), "{days}");
    }
}

// Scenario: servers that demand a client certificate, ask for one, or do not, and verify it, or do not; we have one, or none.
// Guarantee: what is seen is what the server does to somebody without, and to somebody with one of his own making, whatever we have.
#[tokio::test]
async fn what_is_asked_of_clients_is_seen_without_showing_anything() {
    let authority = Authority::new();
    let local = authority.local();
    let ours = authority.trusted_as(&authority.issue("crossfade", |_| {}));
    for versions in [&[&TLS12][..], &[&TLS13]] {
        for (clients, expected, access, strange) in [
            (Clients::Demanded, ClientCertificate::Required, Access::Refused, Some(Access::Refused)),
            (Clients::Asked, ClientCertificate::Optional, Access::Taken, Some(Access::Refused)),
            (Clients::Unasked, ClientCertificate::NotAsked, Access::Taken, None),
            // What it demands it does not verify: anybody is in.
            (Clients::DemandedOnly, ClientCertificate::Required, Access::Taken, Some(Access::Taken)),
            (Clients::AskedOnly, ClientCertificate::Optional, Access::Taken, Some(Access::Taken)),
        ] {
            for settings in [&ours, &authority.trusted()] {
                for facts in each(authority.server(&local, versions, clients), settings).await {
                    assert_eq!(tls(&facts).client_certificate, Fact::Known(expected), "{versions:?}");
                    assert_eq!(
                        tls(&facts).strange_certificate,
                        strange.map(Fact::Known),
                        "{clients:?} {versions:?}"
                    );
                    assert_eq!(facts.access.as_ref().unwrap().anonymous, Fact::Known(access));
                    assert_eq!(tls(&facts).certificate.known().unwrap().trust, Trust::Trusted);
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_verified_is_told_and_what_is_written_wrongly_is_unknown() {
    let authority = Authority::new();
    let config = || authority.server(&authority.local(), &[&TLS13], Clients::Unasked);
    let careless = TlsSettings { insecure_skip_verify: true, ..TlsSettings::default() };
    assert!(each(config(), &careless).await.iter().all(|facts| facts.unverified));
    let server = Server::start(config(), &EVERY).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let facts = seen(otlp(&url, Protocol::Grpc, &TlsSettings::default())).await;
    assert_eq!(facts.transport, Fact::Known(Transport::Tls));
    let Fact::Unknown(why) = facts.access.unwrap().anonymous else { panic!("known") };
    assert!(why.contains("it speaks TLS: write https://"), "{why}");
    assert_eq!(facts.cors, None::<Fact<Cors>>);
}
