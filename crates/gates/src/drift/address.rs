//! Addresses: who can reach a listener, and whose a destination is.

use super::Context;
use super::references;
use super::report::Why;

/// A network address as configurations write it: `host:port`, `:port`, `http://host:port/path`, `unix:///path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) scheme: Option<String>,
    /// Lower case, without brackets; empty if it is not said.
    pub(crate) host: String,
    pub(crate) port: Option<String>,
    /// Path and query, without a lone slash.
    pub(crate) rest: String,
    /// What stands before the `@`: a user, with a password or without.
    pub(crate) credentials: Option<String>,
}

/// Who can reach a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// This host only.
    Loopback,
    /// Every network the host is on.
    Any,
    /// One interface, or a name that stands for one.
    Specific(String),
}

/// The addresses that belong to one environment: where Crossfade itself reaches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnEndpoints {
    addresses: Vec<Address>,
}

impl OwnEndpoints {
    /// From URLs or `host:port`s: the environment's OTLP, query and metrics endpoints, and further backends of its own.
    /// Whose a destination is, the host decides; ports do not, since a backend has several. A port tells whether it is the
    /// other environment's where both are on one machine.
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(endpoints: I) -> Self {
        let addresses = endpoints.into_iter().map(|e| Address::read(e.as_ref()));
        Self { addresses: addresses.filter(|a| !a.host.is_empty()).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Whether the host is one of these.
    pub(crate) fn lists(&self, address: &Address) -> bool {
        self.addresses.iter().any(|own| same_host(&own.host, &address.host))
    }

    /// Whether host and port are those of one of these.
    pub(crate) fn names(&self, address: &Address) -> bool {
        self.addresses.iter().any(|own| own.meets(address))
    }

    /// Whether the destination belongs to the environment: listed, or on the same machine.
    pub(crate) fn own(&self, address: &Address) -> bool {
        self.lists(address) || address.exposure() == Exposure::Loopback
    }
}

/// What keeps two addresses from leading to the same backend, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Apart {
    /// Another host, port, path or protocol.
    Place,
    /// Only one of them asks for encryption.
    Encryption,
    /// Green says no longer who is sending.
    OnlyBlueProves,
    /// Green says who is sending, and blue does not.
    OnlyGreenProves,
    /// They say that it is somebody else, or prove it otherwise.
    Credentials,
}

/// Longer lists are not matched item by item: that costs the square.
const MATCHED_MAX: usize = 2_000;

impl Context {
    /// Why blue's address and green's lead to the same backend, or each to its own environment's; or what is apart.
    pub(crate) fn apart(&self, from: &Address, to: &Address) -> Result<Why, Apart> {
        let place = (&from.host, &from.port) == (&to.host, &to.port);
        let (old, new) = (from.encrypted(), to.encrypted());
        let protocols = from.protocol().zip(to.protocol());
        if !(place || self.own(from, to)) || from.rest != to.rest {
            Err(Apart::Place)
        } else if old != new && (old == Some(true) || new == Some(true)) {
            Err(Apart::Encryption)
        } else if protocols.is_some_and(|(old, new)| old != new) {
            Err(Apart::Place)
        } else {
            match (&from.credentials, &to.credentials) {
                (old, new) if old == new => Ok(if place { Why::Alias } else { Why::OwnEndpoint }),
                (Some(_), None) => Err(Apart::OnlyBlueProves),
                (None, _) => Err(Apart::OnlyGreenProves),
                (Some(_), Some(_)) => Err(Apart::Credentials),
            }
        }
    }

    /// Whether each address is its environment's. The machine itself has many ports: in place of a listed host it is the
    /// environment's own at the same port, or at one that is listed.
    fn own(&self, from: &Address, to: &Address) -> bool {
        let here = |address: &Address| address.exposure() == Exposure::Loopback;
        let listed = || if here(to) { self.green.names(to) } else { self.blue.names(from) };
        self.blue.own(from)
            && self.green.own(to)
            && (here(from) == here(to) || from.port_or_usual() == to.port_or_usual() || listed())
    }

    /// The same for two lists, whose order means nothing: the weightiest of what is apart.
    pub(crate) fn all_apart(&self, from: &[Address], mut to: Vec<Address>) -> Option<Apart> {
        if from.len() != to.len() || from.len() > MATCHED_MAX {
            return Some(Apart::Place);
        }
        let mut left = Vec::new();
        for from in from {
            match to.iter().position(|to| self.apart(from, to).is_ok()) {
                Some(at) => _ = to.swap_remove(at),
                None => left.push(from),
            }
        }
        // Of what is left, those belong together that are least apart.
        let nearest = |from: &Address| {
            let apart = to.iter().enumerate().filter_map(|(at, to)| Some((self.apart(from, to).err()?, at)));
            let (apart, at) = apart.max()?;
            to.swap_remove(at);
            Some(apart)
        };
        left.into_iter().filter_map(nearest).min()
    }
}

/// Equal, or one is the other with its Kubernetes namespace and service suffix: `jaeger` and `jaeger.tracing.svc`.
fn same_host(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short == long {
        return true;
    }
    let Some(rest) = long.strip_prefix(short).and_then(|r| r.strip_prefix('.')) else { return false };
    let labels: Vec<_> = rest.split('.').collect();
    let in_cluster = |l: &[&str]| matches!(l, [_, "svc"] | [_, "svc", "cluster", "local"]);
    in_cluster(&labels)
        || (short.contains('.')
            && matches!(labels[..], ["svc"] | ["svc", "cluster", "local"] | ["cluster", "local"]))
}

/// Schemes of targets whose path is the address.
const RESOLVED: [&str; 3] = ["dns", "passthrough", "xds"];

/// Schemes whose connections are encrypted.
const ENCRYPTED: [&str; 8] = ["https", "wss", "grpcs", "amqps", "rediss", "mqtts", "ssl", "tls"];

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

impl Address {
    pub(crate) fn read(text: &str) -> Self {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_lowercase()), rest),
            None => (None, text),
        };
        // What a gRPC client is to resolve (gRPC, "Name Resolution"): `dns://resolver/host:port`, `dns:host:port`.
        let (scheme, rest) = match (scheme, text.split_once(':')) {
            (Some(scheme), _) if RESOLVED.contains(&scheme.as_str()) => {
                (Some(scheme), rest.split_once('/').map_or(rest, |(_, target)| target))
            }
            (None, Some((scheme, target))) if RESOLVED.contains(&scheme) && !is_port(target) => {
                (Some(scheme.to_owned()), target)
            }
            (scheme, _) => (scheme, rest),
        };
        let end = find_outside(rest, |c| matches!(c, '/' | '?' | '#')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(references::canonical(credentials)), host),
            None => (None, authority),
        };
        let (host, port) = split_port(authority);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // Names of variables know case; names of hosts do not.
        let host = if host.contains("${") { host.to_owned() } else { host.to_lowercase() };
        let rest = if path == "/" { "" } else { path };
        Self { scheme, host, port: port.map(str::to_owned), rest: rest.to_owned(), credentials }
    }

    /// Whether both lead to one listener. Without a port that is said or usual, nobody knows.
    fn meets(&self, other: &Self) -> bool {
        let here = |a: &Self| matches!(a.exposure(), Exposure::Loopback | Exposure::Any);
        let port = self.port_or_usual();
        port.is_some()
            && port == other.port_or_usual()
            && (same_host(&self.host, &other.host) || (here(self) && here(other)))
    }

    pub(crate) fn port_or_usual(&self) -> Option<&str> {
        let usual = match self.scheme.as_deref() {
            Some("http") => Some("80"),
            Some("https") => Some("443"),
            _ => None,
        };
        self.port.as_deref().or(usual)
    }

    pub(crate) fn exposure(&self) -> Exposure {
        let host = self.host.as_str();
        match host {
            "" | "0.0.0.0" | "::" | "*" => Exposure::Any,
            "localhost" | "::1" => Exposure::Loopback,
            _ if host.starts_with("127.") && host.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                Exposure::Loopback
            }
            _ => Exposure::Specific(host.to_owned()),
        }
    }

    /// Whether the scheme asks for encryption; `None` if it does not say.
    pub(crate) fn encrypted(&self) -> Option<bool> {
        let scheme = self.scheme.as_deref()?;
        // `pulsar+ssl`.
        match scheme.rsplit('+').next().unwrap_or(scheme) {
            last if ENCRYPTED.contains(&last) => Some(true),
            "http" | "ws" => Some(false),
            _ => None,
        }
    }

    /// The protocol that the scheme names; what only says how a name is resolved names none.
    pub(crate) fn protocol(&self) -> Option<&str> {
        self.scheme.as_deref().filter(|scheme| !RESOLVED.contains(scheme))
    }
}

impl Exposure {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Loopback => "this host only".to_owned(),
            Self::Any => "every network of the host".to_owned(),
            Self::Specific(host) => host.clone(),
        }
    }
}

/// Host and port; the colon that parts them stands outside of brackets and references.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let colons: Vec<usize> = positions_outside(authority, |c| c == ':');
    match colons.as_slice() {
        [] => (authority, None),
        // An IPv6 address without brackets has no port.
        [first, .., last] if last > first && !authority.contains(['[', '$']) => (authority, None),
        [.., last] => (&authority[..*last], Some(&authority[last + 1..])),
    }
}

fn find_outside(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    positions_outside(text, wanted).first().copied()
}

/// Where a wanted character stands outside of `${…}` and `[…]`.
fn positions_outside(text: &str, wanted: impl Fn(char) -> bool) -> Vec<usize> {
    let mut depth = 0usize;
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 && wanted(c) => found.push(at),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Address, Exposure, OwnEndpoints};

    #[track_caller]
    fn check(text: &str, host: &str, port: Option<&str>, exposure: Exposure) {
        let address = Address::read(text);
        assert_eq!(
            (address.host.as_str(), address.port.as_deref(), address.exposure()),
            (host, port, exposure)
        );
    }

    #[test]
    fn addresses_read_in_every_form() {
        check("localhost:4317", "localhost", Some("4317"), Exposure::Loopback);
        check("127.0.0.1:4317", "127.0.0.1", Some("4317"), Exposure::Loopback);
        check("[::1]:4317", "::1", Some("4317"), Exposure::Loopback);
        check(":4317", "", Some("4317"), Exposure::Any);
        check("0.0.0.0:4317", "0.0.0.0", Some("4317"), Exposure::Any);
        check("[::]:4317", "::", Some("4317"), Exposure::Any);
        check("fe80::1", "fe80::1", None, Exposure::Specific("fe80::1".into()));
        check("https://u:p@Tempo:443/x?y", "tempo", Some("443"), Exposure::Specific("tempo".into()));
        check(
            "${env:HOST}:${env:PORT}",
            "${env:HOST}",
            Some("${env:PORT}"),
            Exposure::Specific("${env:HOST}".into()),
        );
        check(
            "127.evil.example:1",
            "127.evil.example",
            Some("1"),
            Exposure::Specific("127.evil.example".into()),
        );
        for target in [
            "dns:///Tempo:4317",
            "dns://10.0.0.53:53/tempo:4317",
            "dns:tempo:4317",
            "passthrough:///tempo:4317",
        ] {
            check(target, "tempo", Some("4317"), Exposure::Specific("tempo".into()));
        }
        // A host may be called so.
        check("dns:53", "dns", Some("53"), Exposure::Specific("dns".into()));
        check("", "", None, Exposure::Any);
        assert_eq!(Address::read("http://a/").rest, "");
    }

    /// Scenario: a third party's name begins as the environment's own. Guarantee: it is not taken for the environment's.
    #[test]
    fn own_is_decided_by_the_whole_host() {
        let own = OwnEndpoints::new(["http://green-jaeger:16686", "green-tempo.tracing.svc:4317"]);
        for (text, expected) in [
            ("green-jaeger:4317", true),
            ("green-jaeger.tracing.svc.cluster.local:4317", true),
            ("green-tempo.tracing.svc.cluster.local:4317", true),
            ("green-tempo:4317", true),
            ("localhost:4317", true),
            ("green-jaeger.evil.example:4317", false),
            ("green-jaegerx:4317", false),
            ("blue-jaeger:4317", false),
        ] {
            assert_eq!(own.own(&Address::read(text)), expected, "{text}");
        }
    }
}
