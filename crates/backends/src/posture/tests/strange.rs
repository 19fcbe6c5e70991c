//! Plain text, credentials, web pages; and servers that hang, reset, or speak something else.

use std::sync::Arc;
use std::time::Duration;

use crossfade_gates::posture::{Access, AdminKind, ClientCertificate, Cors, Fact, Role, Transport};
use http::{HeaderMap, HeaderValue};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Target, http, otlp, pprof, seen, seen_within};
use crate::otlp::Protocol;
use crate::tls::TlsSettings;
use crate::tls::tests::authority::{Authority, Clients};
use crate::tls::tests::server::Server;

/// Serves each connection by itself.
async fn serve<F, W>(each: F) -> String
where
    F: Fn(TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    address.to_string()
}

/// Reads one request, and answers what it says of the request's head.
async fn web(answer: impl Fn(&str) -> String + Clone + Send + 'static) -> String {
    serve(move |stream| {
        let answer = answer.clone();
        async move { conversation(stream, answer).await }
    })
    .await
}

async fn conversation(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: impl Fn(&str) -> String) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut some = [0; 1024];
        match stream.read(&mut some).await {
            Ok(read @ 1..) => head.extend_from_slice(&some[..read]),
            _ => return,
        }
        if head[0] == 22 || head.starts_with(b"PRI ") {
            return;
        }
    }
    let answer = answer(&String::from_utf8_lossy(&head).to_ascii_lowercase());
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n")
}

/// Who is let in, and by whose credentials: `let_in` says so of a request's head.
async fn door(
    let_in: impl Fn(&str) -> bool + Clone + Send + 'static,
    ours: &[(&'static str, &str)],
) -> [Option<Access>; 3] {
    let address = web(move |head| status(if let_in(head) { "200 OK" } else { "401 Unauthorized" })).await;
    let mut answers = Vec::new();
    for mut target in [
        otlp(&format!("http://{address}"), Protocol::HttpProtobuf, &TlsSettings::default()),
        http(&format!("http://{address}"), Role::Query, "/api/v3/services", &TlsSettings::default()),
    ] {
        target.headers = ours
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect::<HeaderMap>();
        let facts = seen(target).await;
        assert_eq!(facts.transport, Fact::Known(Transport::Plain));
        let access = facts.access.unwrap();
        let known = |fact: &Option<Fact<Access>>| fact.as_ref().map(|fact| *fact.known().unwrap());
        answers.push([
            Some(*access.anonymous.known().unwrap()),
            known(&access.wrong_token),
            known(&access.other_tenant),
        ]);
    }
    assert_eq!(answers[0], answers[1]);
    answers[0]
}

// Scenario: doors that are open, locked, locked to those without any key, and locked without regard to tenants.
// Guarantee: each is seen as what it is, over OTLP and for queries.
#[tokio::test]
async fn who_is_let_in_is_seen() {
    use Access::{Refused, Taken};
    const KEY: (&str, &str) = ("authorization", "Bearer hunter2");
    const TENANT: (&str, &str) = ("x-scope-orgid", "bank");
    let ours = |head: &str| head.contains("bearer hunter2");
    assert_eq!(door(|_| true, &[]).await, [Some(Taken), None, None]);
    assert_eq!(door(|_| true, &[KEY]).await, [Some(Taken), None, None]);
    assert_eq!(door(ours, &[KEY]).await, [Some(Refused), Some(Refused), None]);
    assert_eq!(
        door(|head| head.contains("authorization:"), &[KEY]).await,
        [Some(Refused), Some(Taken), None]
    );
    assert_eq!(door(ours, &[KEY, TENANT]).await, [Some(Refused), Some(Refused), Some(Taken)]);
    let bound = move |head: &str| ours(head) && head.contains("x-scope-orgid: bank");
    assert_eq!(door(bound, &[KEY, TENANT]).await, [Some(Refused), Some(Refused), Some(Refused)]);
    // A tenant's name is sent along where there is one: without it Tempo refuses everybody, and nothing would be known.
    assert_eq!(
        door(|head| head.contains("x-scope-orgid:"), &[TENANT]).await,
        [Some(Taken), None, Some(Taken)]
    );
    // A password that any other does as well for. Two keys at once are a malformed request, whoever looks.
    let any_password =
        |head: &str| head.matches("authorization:").count() == 1 && head.contains("authorization: basic ");
    assert_eq!(
        door(any_password, &[("authorization", "Basic Y3Jvc3NmYWRlOmh1bnRlcjI=")]).await,
        [Some(Refused), Some(Taken), None]
    );
    // A key of another kind.
    let api = |head: &str| head.contains("x-api-key: hunter2");
    assert_eq!(door(api, &[("x-api-key", "hunter2")]).await, [Some(Refused), Some(Refused), None]);
}

#[tokio::test]
async fn which_web_pages_may_read_is_seen() {
    for (headers, expected) in [
        ("", Cors::Closed),
        ("access-control-allow-origin: https://ui.example\r\n", Cors::Closed),
        ("access-control-allow-origin: *\r\n", Cors::Any { credentials: false }),
        (
            "access-control-allow-origin: ORIGIN\r\naccess-control-allow-credentials: true\r\n",
            Cors::Reflected { credentials: true },
        ),
    ] {
        let address = web(move |head| {
            let origin = head.lines().find_map(|line| line.strip_prefix("origin: ")).unwrap_or_default();
            format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", headers.replace("ORIGIN", origin))
        })
        .await;
        for target in [
            otlp(&format!("http://{address}"), Protocol::HttpProtobuf, &TlsSettings::default()),
            http(&format!("http://{address}"), Role::Query, "/api/v3/services", &TlsSettings::default()),
        ] {
            assert_eq!(seen(target).await.cors, Some(Fact::Known(expected)), "{headers}");
        }
    }
}

// Scenario: a server that takes one handshake, as a proxy does until its limit, and hangs up on everybody after it.
// Guarantee: what it refuses then is not known to be refused.
#[tokio::test]
async fn hanging_up_on_everybody_refuses_nothing() {
    let authority = Authority::new();
    let config = Arc::new(authority.server(&authority.local(), &[&TLS13], Clients::Unasked));
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(2));
    let address = serve(move |stream| {
        let (acceptor, left) = (TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&left));
        async move {
            let order = std::sync::atomic::Ordering::SeqCst;
            if left.fetch_update(order, order, |left| left.checked_sub(1)).is_ok() {
                let _ = acceptor.accept(stream).await;
            }
        }
    })
    .await;
    let facts = seen(http(&format!("https://{address}"), Role::Query, "/", &TlsSettings::default())).await;
    let tls = facts.tls.expect("it spoke TLS");
    let refused =
        tls.versions.values().chain(tls.suites.values()).filter(|fact| **fact == Fact::Known(false));
    assert_eq!(refused.count(), 0, "{tls:?}");
}

/// Before a server that demands client certificates: once that has asked, and the client has answered, this is said in its place.
async fn cut(server: u16, says: &'static [u8]) -> String {
    serve(move |client| async move {
        let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
        let ((mut from_client, to_client), (mut from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
        let onwards = Arc::clone(&to_client);
        let answers = tokio::spawn(async move {
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = from_server.read(&mut some).await {
                let _ = onwards.lock().await.write_all(&some[..read]).await;
            }
        });
        let mut hello = vec![0; 5];
        if from_client.read_exact(&mut hello).await.is_err() || hello[0] != 22 {
            return;
        }
        hello.resize(5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])), 0);
        if from_client.read_exact(&mut hello[5..]).await.is_ok() {
            let _ = to_server.write_all(&hello).await;
            let _ = from_client.read_exact(&mut [0; 5]).await;
            let _ = to_client.lock().await.write_all(says).await;
        }
        answers.abort();
    })
    .await
}

// Scenario: a server asks for a client certificate, and the handshake then fails: for want of one, or for any other reason.
// Guarantee: only an alert that is about the certificate counts as a refusal; of anything else nothing is known.
#[tokio::test]
async fn not_every_failure_is_a_refusal() {
    let authority = Authority::new();
    let config = authority.server(&authority.local(), &[&TLS12], Clients::Demanded);
    let server = Server::start(config, &["http/1.1"]).await;
    for (alert, refuses) in [
        (Some(40), true),  // handshake_failure
        (Some(42), true),  // bad_certificate
        (Some(48), true),  // unknown_ca
        (Some(116), true), // certificate_required
        (Some(80), false), // internal_error
        (Some(51), false), // decrypt_error
        (Some(90), false), // user_canceled
        (None, false),
    ] {
        let says: &'static [u8] = alert.map_or(&[], |alert| vec![21, 3, 3, 0, 2, 2, alert].leak());
        let url = format!("https://{}", cut(server.port, says).await);
        let facts = seen(http(&url, Role::Query, "/api/v3/services", &authority.trusted())).await;
        let tls = facts.tls.expect("it spoke TLS");
        let access = facts.access.unwrap().anonymous;
        match refuses {
            true => {
                assert_eq!(tls.client_certificate, Fact::Known(ClientCertificate::Required), "{alert:?}");
                assert_eq!(tls.strange_certificate, Some(Fact::Known(Access::Refused)), "{alert:?}");
                assert_eq!(access, Fact::Known(Access::Refused), "{alert:?}");
            }
            false => {
                assert!(matches!(tls.client_certificate, Fact::Unknown(_)), "{alert:?}: {tls:?}");
                assert!(matches!(access, Fact::Unknown(_)), "{alert:?}: {access:?}");
            }
        }
    }
}

// Scenario: a proxy asks for a client certificate, and whoever shows none, or one that nobody vouches for, hears of it behind the handshake, as
// nginx says it; or whoever makes himself one is served; or everybody hears the same.
// Guarantee: the first refuses both; the second takes strangers; of the third nothing is known, and of a 400 to somebody who has no certificate
// to compare with neither.
#[tokio::test]
async fn who_refuses_certificates_behind_the_handshake_refuses_them() {
    use ClientCertificate::Required;
    const BAD: &str = "400 Bad Request";
    let authority = Authority::new();
    let client = authority.issue("crossfade", |_| {});
    let (ours, trusted) = (authority.trusted_as(&client), authority.trusted());
    let ours_der: Arc<[u8]> = client.der().into();
    for version in [&[&TLS12][..], &[&TLS13]] {
        let mut config = authority.server(&authority.local(), version, Clients::AskedOnly);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        for (none, strange, own, settings, expected) in [
            (BAD, BAD, "200 OK", &ours, Some((Access::Refused, Access::Refused))),
            (BAD, BAD, "200 OK", &trusted, None),
            ("496 None", "495 Bad", "200 OK", &trusted, Some((Access::Refused, Access::Refused))),
            (BAD, "200 OK", "200 OK", &ours, Some((Access::Taken, Access::Taken))),
            (BAD, BAD, BAD, &ours, None),
        ] {
            let (config, ours_der) = (Arc::clone(&config), Arc::clone(&ours_der));
            let address = serve(move |stream| {
                let (acceptor, ours_der) = (TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&ours_der));
                async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().and_then(|shown| shown.first());
                    let says = match shown {
                        None => none,
                        Some(shown) if **shown == *ours_der => own,
                        Some(_) => strange,
                    };
                    conversation(stream, |_| status(says)).await;
                }
            })
            .await;
            let facts =
                seen(http(&format!("https://{address}"), Role::Query, "/api/v3/services", settings)).await;
            let tls = facts.tls.expect("it spoke TLS");
            let anonymous = facts.access.unwrap().anonymous;
            match expected {
                Some((strange, access)) => {
                    assert_eq!(tls.client_certificate, Fact::Known(Required), "{none} {strange:?}");
                    assert_eq!(tls.strange_certificate, Some(Fact::Known(strange)), "{none}");
                    assert_eq!(anonymous, Fact::Known(access), "{none} {strange:?}");
                }
                None => {
                    assert!(matches!(tls.client_certificate, Fact::Unknown(_)), "{tls:?}");
                    assert!(matches!(anonymous, Fact::Unknown(_)), "{anonymous:?}");
                }
            }
        }
    }
}

// Scenario: pages of a store at the port of its queries: open, asked for who one is, not there, or broken; in plain text, and with TLS.
// Guarantee: they are seen as such; what is not there is closed; the port's TLS is not looked at again.
#[tokio::test]
async fn pages_at_another_endpoints_port_are_open_or_closed() {
    let authority = Authority::new();
    let mut config = authority.server(&authority.local(), &[&TLS13], Clients::Unasked);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Arc::new(config);
    for (says, expected) in [
        ("200 OK", Some(Access::Taken)),
        ("401 Unauthorized", Some(Access::Refused)),
        ("404 Not Found", Some(Access::Refused)),
        ("502 Bad Gateway", None),
    ] {
        let plain = web(move |_| status(says)).await;
        let config = Arc::clone(&config);
        let secure = serve(move |stream| {
            let acceptor = TlsAcceptor::from(Arc::clone(&config));
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                conversation(stream, |_| status(says)).await;
            }
        })
        .await;
        for url in [format!("http://{plain}"), format!("https://{secure}")] {
            let role = Role::Admin(AdminKind::Admin);
            let target =
                Target { assumed: true, shares: true, ..http(&url, role, "/status", &authority.trusted()) };
            let facts = seen(target).await;
            assert!(facts.shares && facts.tls.is_none() && facts.cors.is_none());
            assert_eq!(facts.access.unwrap().anonymous.known().copied(), expected, "{url} {says}");
        }
    }
}

#[tokio::test]
async fn admin_interfaces_are_open_closed_or_something_else() {
    let open =
        web(|head| status(if head.starts_with("get /debug/pprof/ ") { "200 OK" } else { "404 Not Found" }))
            .await;
    let facts = seen(pprof(&format!("http://{open}"))).await;
    assert_eq!(facts.access.unwrap().anonymous, Fact::Known(Access::Taken));
    for (location, refused) in [
        ("/login?next=/debug/pprof/", true),
        ("https://sso.example/oauth2/authorize", true),
        ("//id.example/", true),
        ("/debug/pprof", false),
        ("", false),
    ] {
        let redirect =
            web(move |_| format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"));
        let found = seen(pprof(&format!("http://{}", redirect.await))).await.access.unwrap().anonymous;
        match refused {
            true => assert_eq!(found, Fact::Known(Access::Refused), "{location}"),
            false => assert!(matches!(found, Fact::Unknown(_)), "{location}: {found:?}"),
        }
    }
    let other = web(|_| status("404 Not Found")).await;
    let Fact::Unknown(why) = seen(pprof(&format!("http://{other}"))).await.access.unwrap().anonymous else {
        panic!("a 404 is no pprof")
    };
    assert!(why.contains("404"), "{why}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(seen(pprof(&format!("http://{nobody}"))).await.transport, Fact::Known(Transport::Closed));
}

// Scenario: packets to an interface are dropped, as firewalls do it; or connections are taken, and nothing is said.
// Guarantee: what only a configuration says to be there is closed in the first case, and unknown in the second; what the site
// names is unknown in both.
#[tokio::test]
async fn what_is_dropped_is_closed_where_nobody_names_it() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // Whose queue is full drops what else comes.
    let listener = socket.listen(1).unwrap();
    let dropping = listener.local_addr().unwrap();
    let patience = Duration::from_millis(500);
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(patience, TcpStream::connect(dropping)).await {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 100, "this system drops nothing");
    }
    let hanging = serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    for (address, assumed, is_closed) in [
        (dropping.to_string(), true, true),
        (dropping.to_string(), false, false),
        (hanging.clone(), true, false),
        (hanging, false, false),
    ] {
        let target = Target { assumed, ..pprof(&format!("http://{address}")) };
        let transport = seen_within(target, patience).await.transport;
        match is_closed {
            true => assert_eq!(transport, Fact::Known(Transport::Closed)),
            false => assert!(matches!(transport, Fact::Unknown(_)), "{address} {assumed}: {transport:?}"),
        }
    }
    drop(listener);
}

// Scenario: a port that looks at the first byte, and serves TLS and plain text alike; and one that tells whoever speaks
// plain text that it does not.
// Guarantee: the first is seen to take both, the second is not.
#[tokio::test]
async fn plain_text_beside_tls_is_seen() {
    let authority = Authority::new();
    let config = Arc::new(authority.server(&authority.local(), &[&TLS13], Clients::Unasked));
    for (says, taken) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..], true),
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", true),
        (&[0, 0, 0, 4, 0, 0, 0, 0, 0], true),
        (b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", false),
        (b"HTTP/1.1 301 Moved Permanently\r\nlocation: https://green/\r\n\r\n", false),
    ] {
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        let address = serve(move |mut stream| {
            let acceptor = acceptor.clone();
            async move {
                let mut first = [0];
                let _ = stream.peek(&mut first).await;
                if first[0] == 22 {
                    let _ = acceptor.accept(stream).await;
                } else {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(says).await;
                }
            }
        })
        .await;
        let facts = seen(otlp(&format!("https://{address}"), Protocol::Grpc, &authority.trusted())).await;
        assert_eq!(facts.tls.unwrap().plain_text, Fact::Known(taken), "{}", String::from_utf8_lossy(says));
    }
}

// Scenario: whatever answers hangs, hangs up, resets, babbles, or stops in the middle.
// Guarantee: it is unknown what is spoken there; nothing panics, and it ends.
#[tokio::test]
async fn what_is_no_server_is_unknown() {
    let hanging = serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let closing = serve(|stream| async move { drop(stream) }).await;
    let resetting = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 1]).await; // what is left unread makes the end a reset
    })
    .await;
    let babbling = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        while stream.write_all(b"SSH-2.0-babble \x16\x03\x03 ").await.is_ok() {}
    })
    .await;
    let stopping = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(&[22, 3, 3, 0, 80, 2, 0, 0]).await;
    })
    .await;
    for (name, address) in [
        ("hanging", hanging),
        ("closing", closing),
        ("resetting", resetting),
        ("babbling", babbling),
        ("stopping", stopping),
    ] {
        for scheme in ["http", "https"] {
            let target = otlp(&format!("{scheme}://{address}"), Protocol::Grpc, &TlsSettings::default());
            let patience = Duration::from_millis(if name == "hanging" { 100 } else { 10_000 });
            let facts = seen_within(target, patience).await;
            assert!(matches!(facts.transport, Fact::Unknown(_)), "{name}: {facts:?}");
            assert!(facts.tls.is_none() && facts.access.is_none());
        }
    }
}
