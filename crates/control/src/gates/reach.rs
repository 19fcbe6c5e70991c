//! Whether what listens at an environment's addresses speaks what it should. A port that takes connections says little.

use std::time::Duration;

use axum::http::HeaderMap;
use crossfade_backends::otlp::{Message, Outcome};

use super::probe;
use crate::site::{Environment, Query};

const PATIENCE: Duration = Duration::from_secs(5);

/// Exports an empty request to each receiver, its endpoint first, which OTLP has a server take, and which stores nothing. Returns each
/// one's address, and the protocol that it took; in words, nobody answers, or what answers refuses, or does not speak OTLP over
/// this protocol.
pub async fn otlp(environment: &Environment) -> Vec<(String, Result<&'static str, String>)> {
    let clients = match probe::clients(environment) {
        Ok(clients) => clients,
        Err(why) => return vec![(environment.otlp.clone(), Err(why))],
    };
    let urls =
        std::iter::once(&environment.otlp).chain(environment.receivers.iter().map(|one| &one.endpoint));
    let mut reached = Vec::new();
    for (url, client) in urls.zip(clients) {
        let export = client.export(Message::identity(Vec::new()), &HeaderMap::new(), PATIENCE).await;
        let taken = match export.outcome {
            Outcome::Accepted { .. } => Ok(client.endpoint().protocol().name()),
            other => Err(other.describe()),
        };
        reached.push((url.clone(), taken));
    }
    reached
}

/// Asks for the services that an environment knows, and returns how many there are.
///
/// # Errors
/// In words: nobody answers, or what answers is not ready, or not what the site says.
pub async fn query(query: &Query) -> Result<usize, String> {
    let client = query.client()?;
    match tokio::time::timeout(PATIENCE, client.reach()).await {
        Ok(services) => services.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Compression, Protocol, QueryKind, Receiver, ReceiverProtocol};

    fn environment(otlp: String, protocol: Protocol) -> Environment {
        Environment {
            otlp,
            tls: Default::default(),
            protocol,
            compression: Compression::Preserve,
            headers: std::collections::BTreeMap::new(),
            query: None,
            configs: std::collections::BTreeMap::new(),
            env_file: None,
            versions: std::collections::BTreeMap::new(),
            admin: Vec::new(),
            receivers: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    /// A server that says the same to whoever comes.
    async fn parrot(says: &'static str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(says.as_bytes()).await;
                // A close with something unread would reset the connection, and what was said might not be heard.
                let _ = stream.shutdown().await;
                while stream.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {}
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_port_that_speaks_something_else_is_not_reached() {
        let website = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<h1>";
        let first = async |environment| otlp(&environment).await.remove(0).1.unwrap_err();
        let why = first(environment(parrot(website).await, Protocol::Grpc)).await;
        assert!(why.starts_with("no answer"), "{why}");
        // Over HTTP a status is all that OTLP asks for.
        let lost = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let why = first(environment(parrot(lost).await, Protocol::HttpProtobuf)).await;
        assert!(why.contains("404"), "{why}");
        let asked = |kind, endpoint| Query {
            kind,
            endpoint,
            headers: std::collections::BTreeMap::new(),
            tls: Default::default(),
        };
        for (kind, words) in
            [(QueryKind::Jaeger, "not a Jaeger answer"), (QueryKind::Tempo, "not a Tempo answer")]
        {
            let why = query(&asked(kind, parrot(website).await)).await.unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        let services = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 22\r\n\r\n{\"services\":[\"a\",\"b\"]}";
        assert_eq!(query(&asked(QueryKind::Jaeger, parrot(services).await)).await, Ok(2));
    }

    /// Scenario: an environment has a further receiver, at which somebody else answers.
    /// Guarantee: it is seen, though its endpoint takes what it is sent.
    #[tokio::test]
    async fn further_receivers_are_reached_too() {
        let taken =
            parrot("HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
                .await;
        let lost = parrot("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
        let further = Receiver { endpoint: lost.clone(), protocol: ReceiverProtocol::HttpJson };
        let environment =
            Environment { receivers: vec![further], ..environment(taken.clone(), Protocol::HttpProtobuf) };
        let reached = otlp(&environment).await;
        assert_eq!(reached[0], (taken, Ok("http/protobuf")));
        assert!(reached[1].0 == lost && reached[1].1.is_err(), "{reached:?}");
    }
}
