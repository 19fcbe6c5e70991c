//! Whom a span calls, by OpenTelemetry's semantic conventions, those of today and those they replaced.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits::NAME_BYTES;

/// How a peer is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP.
    Http,
    /// Remote procedure calls.
    Rpc,
    /// A database.
    Database,
    /// A queue or topic.
    Messaging,
    /// Not said.
    #[default]
    Other,
}

impl Protocol {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Rpc => "rpc",
            Self::Database => "database",
            Self::Messaging => "messaging",
            Self::Other => "call",
        }
    }
}

/// Somebody who is called. Names only: no path, no query, no statement, no credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Peer {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Which product or system, as `postgresql`, `kafka` or `grpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Where: a host, with its port if that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What there: an RPC service, a database, a destination; or the service's own name, as `peer.service` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// An attribute's value as text, by its key.
pub(crate) type Values<'f, 'v> = &'f dyn Fn(&str) -> Option<Cow<'v, str>>;

const SERVICE: [&str; 2] = ["service.peer.name", "peer.service"];
const HTTP_URL: [&str; 2] = ["url.full", "http.url"];
const HTTP: [&str; 6] =
    ["url.full", "http.url", "http.request.method", "http.method", "http.host", "url.domain"];
/// Logical names before addresses.
const HOST: [&str; 4] = ["server.address", "net.peer.name", "url.domain", "peer.hostname"];
const SOCKET: [&str; 6] = [
    "network.peer.address",
    "net.sock.peer.name",
    "net.sock.peer.addr",
    "net.peer.ip",
    "peer.address",
    "peer.ipv4",
];
const PORT: [&str; 4] = ["server.port", "net.peer.port", "network.peer.port", "net.sock.peer.port"];
const DB_SYSTEM: [&str; 2] = ["db.system.name", "db.system"];
const DB_NAME: [&str; 3] = ["db.namespace", "db.name", "db.instance"];
const QUEUE: [&str; 2] = ["messaging.destination.name", "messaging.destination"];
const RPC_SYSTEM: [&str; 2] = ["rpc.system.name", "rpc.system"];

impl Peer {
    /// From a span's attributes; `None` if they do not say whom it calls.
    pub(crate) fn of(value: Values<'_, '_>) -> Option<Self> {
        let first =
            |keys: &[&str]| keys.iter().find_map(|key| value(key)).map(clean).filter(|v| !v.is_empty());
        let (database, queue, rpc) = (first(&DB_SYSTEM), first(&["messaging.system"]), first(&RPC_SYSTEM));
        let rpc_service = first(&["rpc.service"]);
        let protocol = if database.is_some() {
            Protocol::Database
        } else if queue.is_some() {
            Protocol::Messaging
        } else if rpc.is_some() || rpc_service.is_some() {
            Protocol::Rpc
        } else if HTTP.iter().any(|key| value(key).is_some()) {
            Protocol::Http
        } else {
            Protocol::Other
        };
        let name = match protocol {
            Protocol::Database => first(&DB_NAME),
            Protocol::Messaging => first(&QUEUE),
            Protocol::Rpc => rpc_service,
            Protocol::Http | Protocol::Other => None,
        };
        let peer = Self {
            protocol,
            system: database.or(queue).or(rpc),
            address: address(value, &first),
            name: name.or_else(|| first(&SERVICE)),
        };
        (peer.address.is_some() || peer.name.is_some() || peer.system.is_some()).then_some(peer)
    }

    /// The address's port, if it says one.
    pub fn port(&self) -> Option<&str> {
        let address = self.address.as_deref()?;
        let (host, port) = address.rsplit_once(':')?;
        let is_host = host.ends_with(']') || !host.contains(':');
        (is_host && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())).then_some(port)
    }

    /// The address without its port; an IPv6 address without its brackets.
    pub fn host(&self) -> Option<&str> {
        let address = self.address.as_deref()?;
        if let Some(rest) = address.strip_prefix('[') {
            return rest.split(']').next();
        }
        match address.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
                Some(host)
            }
            _ => Some(address),
        }
    }
}

fn address(value: Values<'_, '_>, first: &dyn Fn(&[&str]) -> Option<String>) -> Option<String> {
    let url = HTTP_URL.iter().find_map(|key| value(key)).and_then(|url| authority(&url));
    let host = first(&HOST);
    let host = match (host, url) {
        (Some(host), url) => {
            // A host alone says less than the same host with its port.
            let with_port =
                url.filter(|url| url.strip_prefix(host.as_str()).is_some_and(|r| r.starts_with(':')));
            with_port.unwrap_or(host)
        }
        (None, Some(url)) => url,
        (None, None) => first(&["http.host"]).or_else(|| first(&SOCKET))?,
    };
    let has_port = host.starts_with('[') && host.contains("]:") || host.matches(':').count() == 1;
    match first(&PORT).filter(|port| !has_port && port.bytes().all(|b| b.is_ascii_digit())) {
        Some(port) if host.contains(':') && !host.starts_with('[') => Some(format!("[{host}]:{port}")),
        Some(port) => Some(format!("{host}:{port}")),
        None => Some(host),
    }
}

/// Host and port of a URL, without user and password.
fn authority(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty()).then(|| clean(Cow::Borrowed(host)))
}

/// Host names do not differ in case; what is called by name is short.
fn clean(text: Cow<'_, str>) -> String {
    let text = text.trim();
    text.get(..text.floor_char_boundary(NAME_BYTES)).unwrap_or_default().to_owned()
}

/// `http api.insurer.example:443`, `database postgresql claims at db:5432`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol.word())?;
        for part in [&self.system, &self.name].into_iter().flatten() {
            write!(f, " {part}")?;
        }
        match (&self.address, self.system.is_some() || self.name.is_some()) {
            (Some(address), true) => write!(f, " at {address}"),
            (Some(address), false) => write!(f, " {address}"),
            (None, _) => Ok(()),
        }
    }
}

/// Whether an attribute key is one that only a simulator's answer brings: headers of WireMock, MockServer, Mountebank, Hoverfly.
pub fn mock_mark(key: &str) -> bool {
    const MARKS: [&str; 6] =
        ["matched-stub", "matched_stub", "wiremock", "mockserver", "mountebank", "hoverfly"];
    let key = key.to_ascii_lowercase();
    MARKS.iter().any(|mark| key.contains(mark))
}
