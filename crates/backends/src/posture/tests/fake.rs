//! A server that only pretends: it reads a ClientHello, and answers with a ServerHello or an alert.

use crossfade_gates::posture::{Access, ClientCertificate, Fact, Family, Transport, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{otlp, seen};
use crate::otlp::Protocol;
use crate::posture::answer::tests::server_hello;
use crate::posture::hello::{suites, wire};
use crate::tls::TlsSettings;

/// What it takes, up to TLS 1.2: the newest of the versions that is offered, and the first of the suites.
#[derive(Clone)]
struct Taste {
    versions: Vec<Version>,
    suites: Vec<u16>,
    /// Alerts, or just the end.
    polite: bool,
}

async fn start(taste: Taste) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let taste = taste.clone();
            tokio::spawn(async move {
                let mut head = [0; 5];
                stream.read_exact(&mut head).await?;
                if head[0] == 22 {
                    let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
                    stream.read_exact(&mut hello).await?;
                    let answer = taste.answer(&hello);
                    stream.write_all(&answer).await?;
                }
                stream.shutdown().await
            });
        }
    });
    format!("https://{address}")
}

impl Taste {
    fn answer(&self, hello: &[u8]) -> Vec<u8> {
        let client = u16::from_be_bytes([hello[4], hello[5]]);
        let session = usize::from(hello[38]);
        let rest = &hello[39 + session..];
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let offered: Vec<u16> =
            rest[2..2 + length].chunks(2).map(|suite| u16::from_be_bytes([suite[0], suite[1]])).collect();
        let version = self.versions.iter().copied().filter(|version| wire(*version) <= client).max();
        let suite = self.suites.iter().find(|suite| offered.contains(suite));
        match (version, suite) {
            (Some(version), Some(suite)) => server_hello(wire(version), *suite),
            _ if self.polite => vec![21, 3, 1, 0, 2, 2, 40],
            _ => Vec::new(),
        }
    }
}

// Scenario: servers that take one old version, or one family of weak suites, and nothing else; politely or not.
// Guarantee: exactly that is seen.
#[tokio::test]
async fn old_versions_and_weak_suites_are_seen_one_by_one() {
    let wanted = TlsSettings::default();
    for polite in [true, false] {
        for version in [Version::Ssl30, Version::Tls10, Version::Tls11, Version::Tls12] {
            let taste = Taste { versions: vec![version], suites: vec![0x002F], polite };
            let facts = seen(otlp(&start(taste).await, Protocol::Grpc, &wanted)).await;
            assert_eq!(facts.transport, Fact::Known(Transport::Tls), "{version:?}");
            let tls = facts.tls.unwrap();
            for (looked, accepted) in &tls.versions {
                assert_eq!(
                    accepted.known(),
                    Some(&(*looked == version)),
                    "{looked:?} of {version:?}: {accepted:?}"
                );
            }
            assert_eq!(tls.suites[&Family::StaticRsa], Fact::Known(true));
            // What it is beyond the hello cannot be seen: it speaks no TLS.
            assert!(tls.certificate.known().is_none());
        }
        for family in Family::ALL {
            let all = suites(family);
            let taste = Taste { versions: vec![Version::Tls12], suites: vec![all[all.len() - 1]], polite };
            let facts = seen(otlp(&start(taste).await, Protocol::HttpProtobuf, &wanted)).await;
            for (looked, accepted) in &facts.tls.unwrap().suites {
                assert_eq!(
                    accepted.known(),
                    Some(&(*looked == family)),
                    "{looked:?} of {family:?}: {accepted:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_reached_beyond_the_hello_is_unknown() {
    let taste = Taste { versions: vec![Version::Tls10], suites: vec![0x0035], polite: true };
    let facts = seen(otlp(&start(taste).await, Protocol::Grpc, &TlsSettings::default())).await;
    let tls = facts.tls.unwrap();
    assert_eq!(tls.client_certificate.known(), None::<&ClientCertificate>);
    assert_eq!(tls.plain_text, Fact::Known(false));
    assert_eq!(facts.access.unwrap().anonymous.known(), None::<&Access>);
}
