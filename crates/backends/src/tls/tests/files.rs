//! The files that settings name.

use std::path::PathBuf;

use rustls::version::TLS13;
use tokio::net::TcpStream;

use super::authority::{Authority, Clients};
use super::server::Server;
use crate::tls::{Alpn, Tls, TlsFault, TlsSettings};

fn problem(settings: &TlsSettings) -> String {
    Tls::new(settings.clone()).check().unwrap_err().to_string()
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_reason() {
    let authority = Authority::new();
    let good = authority.trusted_as(&authority.local());
    Tls::new(good.clone()).check().unwrap();
    let ca = |name: &str, text: &str| TlsSettings {
        ca_file: Some(authority.write(name, text)),
        ..TlsSettings::default()
    };
    let not_base64 = "-----BEGIN CERTIFICATE-----\n!!hunter2!!\n-----END CERTIFICATE-----\n";
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let other_key = authority.trusted_as(&authority.local()).key_file;
    let stray = authority.write("stray.key", &std::fs::read_to_string(other_key.unwrap()).unwrap());
    let good = authority.trusted_as(&authority.local());
    for (settings, why) in [
        (ca("empty.pem", ""), "empty.pem holds no certificate"),
        (ca("text.pem", "hunter2"), "text.pem holds no certificate"),
        (
            ca("open.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
            "open.pem is not PEM: a section does not end",
        ),
        (ca("base64.pem", not_base64), "base64.pem is not PEM: a section is not base64"),
        (ca("der.pem", not_der), "der.pem holds a certificate that cannot be used"),
        (
            TlsSettings { ca_file: Some(PathBuf::from("/nowhere/ca.pem")), ..good.clone() },
            "cannot read /nowhere/ca.pem",
        ),
        (TlsSettings { key_file: good.cert_file.clone(), ..good.clone() }, "client.pem holds no private key"),
        (TlsSettings { key_file: None, ..good.clone() }, "cert_file is set, but not key_file"),
        (TlsSettings { cert_file: None, ..good.clone() }, "key_file is set, but not cert_file"),
        (TlsSettings { key_file: Some(stray), ..good.clone() }, "client.pem and its key cannot be used"),
    ] {
        let problem = problem(&settings);
        assert!(problem.contains(why), "{why}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

// Scenario: a certificate authority is exchanged while the program runs; at first by a file that is of no use.
// Guarantee: the last good file is trusted until there is another, and then only that.
#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let (old, new) = (Authority::new(), Authority::new());
    let tls = Tls::new(old.trusted());
    let server = |authority: &Authority| {
        Server::start(authority.server(&authority.local(), &[&TLS13], Clients::Unasked), &["h2"])
    };
    let (of_old, of_new) = (server(&old).await, server(&new).await);
    let dial = async |port: u16| {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tls.connect(stream, "127.0.0.1", Alpn::H2).await.map(drop)
    };
    assert_eq!(dial(of_old.port).await, Ok(()));
    assert_eq!(dial(of_new.port).await, Err(TlsFault::UnknownCa));
    let replaced = std::fs::read_to_string(new.path("ca.pem")).unwrap();
    old.write("ca.pem", "half a fi");
    assert_eq!(dial(of_old.port).await, Ok(()));
    old.write("next.pem", &replaced);
    std::fs::rename(old.path("next.pem"), old.path("ca.pem")).unwrap();
    assert_eq!(dial(of_new.port).await, Ok(()));
    assert_eq!(dial(of_old.port).await, Err(TlsFault::UnknownCa));
}
