//! Looking at servers of every kind: real TLS, and what only pretends to be.

mod fake;
mod real;
mod strange;

use std::time::Duration;

use crossfade_gates::posture::{AdminKind, EndpointFacts, Role};
use http::HeaderMap;

use super::{LookConfig, Target, What, look};
use crate::otlp::{Endpoint, Protocol};
use crate::query::QueryEndpoint;
use crate::tls::{Tls, TlsSettings};

/// Long enough that only a defect, or a server that hangs, reaches it.
const PATIENCE: Duration = Duration::from_secs(10);

fn otlp(url: &str, protocol: Protocol, settings: &TlsSettings) -> Target {
    let endpoint = Endpoint::parse(url, protocol).unwrap().with_tls(Tls::new(settings.clone()));
    Target {
        name: "otlp".into(),
        role: Role::Otlp,
        what: What::Otlp(endpoint),
        headers: HeaderMap::new(),
        assumed: false,
        shares: false,
    }
}

fn http(url: &str, role: Role, path: &str, settings: &TlsSettings) -> Target {
    let endpoint = QueryEndpoint::parse(url).unwrap().with_tls(Tls::new(settings.clone()));
    let what = What::Http { endpoint, port: 16686, path: path.into() };
    Target { name: "http".into(), role, what, headers: HeaderMap::new(), assumed: false, shares: false }
}

fn pprof(url: &str) -> Target {
    http(url, Role::Admin(AdminKind::Pprof), "/debug/pprof/", &TlsSettings::default())
}

async fn seen(target: Target) -> EndpointFacts {
    seen_within(target, PATIENCE).await
}

async fn seen_within(target: Target, patience: Duration) -> EndpointFacts {
    let mut facts = look("green", vec![target], LookConfig { patience, seed: 7 }).await;
    facts.endpoints.remove(0)
}
