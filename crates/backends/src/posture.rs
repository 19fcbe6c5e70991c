//! The posture gate's eyes: what an environment's endpoints accept, tried out.
//!
//! What is weak is offered in a ClientHello of our own, to which only a ServerHello or an alert is read; a connection is never
//! made with it. Requests without credentials are exports without spans, which store nothing, and questions. Every probe is
//! bounded in time and bytes; whatever an endpoint does - hang, reset, answer garbage - ends as a fact or as *unknown*. What is
//! ours is sent only as the site says that requests are sent there: verified, unless it says otherwise.
//!
//! | module | holds |
//! |---|---|
//! | `answer` | a server's first words |
//! | `ask` | requests with and without credentials |
//! | `certificate` | certificates, and whether one is asked of us |
//! | `hello` | the ClientHello, and which cipher suites there are |
//! | `wire` | one probe |

mod answer;
mod ask;
mod certificate;
mod hello;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crossfade_gates::posture::{
    Access, ClientCertificate, EndpointFacts, Fact, Facts, Family, Role, TlsFacts, Transport, Version,
};
use http::HeaderMap;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::ask::is_turned_away;
use self::certificate::{Client, shake, throwaway};
use self::wire::{Peer, takes_suites, takes_version};
use crate::otlp::{Endpoint, Protocol};
use crate::query::QueryEndpoint;
use crate::tls::{Tls, TlsSettings};

/// Connections to one endpoint at once.
const PROBES_MAX: usize = 4;

/// An endpoint to look at.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name within its environment.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// Where it is, and what to ask there.
    pub what: What,
    /// Our own credentials, and the tenant's name.
    pub headers: HeaderMap,
    /// Nobody but a configuration says that it might be there: where no connection comes about, it is closed to us.
    pub assumed: bool,
    /// It is a page at another endpoint's port: that one's TLS is looked at there, and where there is no such page, it is closed.
    pub shares: bool,
}

/// Where an endpoint is, and what to ask there.
#[derive(Clone, Debug)]
pub enum What {
    /// OTLP: an export without spans.
    Otlp(Endpoint),
    /// A question.
    Http {
        /// Where.
        endpoint: QueryEndpoint,
        /// The port, where the address says none.
        port: u16,
        /// Which, below the base path.
        path: String,
    },
}

/// How to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookConfig {
    /// For each connection, and each answer.
    pub patience: Duration,
    /// What the hellos' random values are made of.
    pub seed: u64,
}

impl LookConfig {
    /// With 3 s for each answer.
    pub const fn new(seed: u64) -> Self {
        Self { patience: Duration::from_secs(3), seed }
    }
}

impl What {
    fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Otlp(endpoint) => endpoint.tls(),
            Self::Http { endpoint, .. } => endpoint.tls(),
        }
    }

    /// Host and port.
    pub fn address(&self) -> (&str, u16) {
        match self {
            Self::Otlp(endpoint) => (endpoint.host(), endpoint.port()),
            Self::Http { endpoint, port, .. } => (endpoint.host(), endpoint.port_or(*port)),
        }
    }

    /// How it is spoken to.
    fn protocol(&self) -> &'static str {
        match self {
            Self::Otlp(endpoint) if endpoint.protocol() == Protocol::Grpc => "grpc",
            Self::Otlp(_) | Self::Http { .. } => "http",
        }
    }

    fn authority(&self) -> &str {
        match self {
            Self::Otlp(endpoint) => endpoint.authority().as_str(),
            Self::Http { endpoint, .. } => endpoint.authority(),
        }
    }

    /// The path of a request.
    pub fn path(&self) -> String {
        match self {
            Self::Otlp(endpoint) => endpoint.path().to_string(),
            Self::Http { endpoint, path, .. } => format!("{}{path}", endpoint.base()),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Otlp(endpoint) => endpoint.to_string(),
            Self::Http { endpoint, .. } => endpoint.to_string(),
        }
    }
}

/// Looks at an environment's endpoints, side by side.
pub async fn look(environment: &str, targets: Vec<Target>, config: LookConfig) -> Facts {
    let mut running = JoinSet::new();
    for (index, target) in targets.into_iter().enumerate() {
        running.spawn(async move { (index, look_at(&target, config).await) });
    }
    let mut endpoints = running.join_all().await;
    endpoints.sort_by_key(|(index, _)| *index);
    let endpoints = endpoints.into_iter().map(|(_, endpoint)| endpoint).collect();
    Facts { environment: environment.to_owned(), endpoints, ..Facts::default() }
}

async fn look_at(target: &Target, config: LookConfig) -> EndpointFacts {
    let (host, port) = target.what.address();
    let own = target.what.tls().map(|tls| tls.settings().clone()).unwrap_or_default();
    let name = own.server_name_override.clone().unwrap_or_else(|| host.to_owned());
    let address: Option<IpAddr> = host.parse().ok();
    let peer = Peer {
        host: host.to_owned(),
        port,
        name: name.parse::<IpAddr>().is_err().then_some(name),
        patience: config.patience,
        random: random(config.seed, port),
    };
    let mut facts = EndpointFacts {
        name: target.name.clone(),
        role: target.role,
        protocol: target.what.protocol().to_owned(),
        shares: target.shares,
        url: target.what.url(),
        loopback: host == "localhost" || address.is_some_and(|address| address.is_loopback()),
        transport: peer.transport().await,
        tls: None,
        access: None,
        cors: None,
        unverified: target.what.tls().is_some() && own.insecure_skip_verify,
    };
    // Firewalls drop what they do not let through. If the whole machine is gone, its other endpoints say so.
    if target.assumed && matches!(facts.transport, Fact::Unknown(_)) && !peer.takes_connections().await {
        facts.transport = Fact::Known(Transport::Closed);
    }
    let spoken = match facts.transport {
        Fact::Known(spoken) => spoken,
        Fact::Unknown(_) => return facts,
    };
    if spoken == Transport::Closed {
        facts.access = matches!(target.role, Role::Admin(_)).then(|| nobody("connections are refused"));
        return facts;
    }
    // What is written and what is spoken may differ: then no request gets through, and why is clear.
    let written = if target.what.tls().is_some() { Transport::Tls } else { Transport::Plain };
    let nobody_in_particular = TlsSettings {
        insecure_skip_verify: true,
        server_name_override: own.server_name_override.clone(),
        ..TlsSettings::default()
    };
    let mut stranger = Tls::probing(nobody_in_particular.clone(), None);
    let mut turned_away = false;
    if target.shares {
        if spoken == written {
            facts.access = Some(target.access(&stranger, config.patience).await);
        }
        return facts;
    }
    if spoken == Transport::Tls {
        let (mut tls, behind) = tls_facts(peer.clone(), &own, target, &stranger).await;
        turned_away = tls.client_certificate == Fact::Known(ClientCertificate::Required);
        let without = match &tls.client_certificate {
            Fact::Known(ClientCertificate::Required) => Some(false),
            Fact::Known(ClientCertificate::Optional) => Some(true),
            Fact::Known(ClientCertificate::NotAsked) | Fact::Unknown(_) => None,
        };
        if let Some(without) = without {
            let refusals = Refusals { served_without: without, behind };
            let (strange, shown) =
                strange_certificate(&peer, &own, target, nobody_in_particular, refusals).await;
            // Whoever makes himself a certificate is in: what is seen then, anybody sees.
            if let (true, Fact::Known(Access::Taken), Some(shown)) = (turned_away, &strange, shown) {
                (stranger, turned_away) = (shown, false);
            }
            tls.strange_certificate = Some(strange);
        }
        facts.tls = Some(tls);
    }
    let may_ask = spoken == written;
    if turned_away {
        facts.access = Some(refused());
    } else if may_ask {
        facts.access = Some(target.access(&stranger, config.patience).await);
        facts.cors = target.cors(&stranger, config.patience).await;
    } else {
        let says = if spoken == Transport::Tls {
            "speaks TLS: write https://"
        } else {
            "speaks plain text: write http://"
        };
        facts.access = Some(nobody(&format!("the address is {}, but it {says}", facts.url)));
    }
    facts
}

/// Its TLS; and whether it refuses who shows no certificate behind the handshake, in an answer.
async fn tls_facts(peer: Peer, own: &TlsSettings, target: &Target, stranger: &Tls) -> (TlsFacts, bool) {
    let shaken = shake(&peer, own, None).await;
    let peer = Arc::new(peer);
    let turns = Arc::new(Semaphore::new(PROBES_MAX));
    let (mut versions, mut suites) = (JoinSet::new(), JoinSet::new());
    for version in Version::ALL {
        let (peer, turns) = (Arc::clone(&peer), Arc::clone(&turns));
        versions.spawn(async move {
            let _turn = turns.acquire().await;
            (version, takes_version(&peer, version).await)
        });
    }
    for family in Family::ALL {
        let (peer, turns) = (Arc::clone(&peer), Arc::clone(&turns));
        suites.spawn(async move {
            let _turn = turns.acquire().await;
            (family, takes_suites(&peer, hello::suites(family)).await)
        });
    }
    let mut versions: BTreeMap<_, _> = versions.join_all().await.into_iter().collect();
    let mut suites: BTreeMap<_, _> = suites.join_all().await.into_iter().collect();
    // Refusals count if it still takes what it took: a peer that hangs up on everybody refuses nothing.
    let taken =
        versions.iter().rev().find(|(_, taken)| **taken == Fact::Known(true)).map(|(version, _)| *version);
    let still = match taken {
        Some(version) => takes_version(&peer, version).await == Fact::Known(true),
        None => false,
    };
    if !still {
        let refusals =
            versions.values_mut().chain(suites.values_mut()).filter(|fact| **fact == Fact::Known(false));
        refusals
            .for_each(|fact| *fact = Fact::Unknown("it takes no offer at all, or none any more".to_owned()));
    }
    let mut behind = false;
    let client_certificate = match shaken.client {
        Client::Unknown(why) => Fact::Unknown(why),
        Client::NotAsked => Fact::Known(ClientCertificate::NotAsked),
        Client::TurnedAway => Fact::Known(ClientCertificate::Required),
        // It asked for a certificate, got none, and has not said no: does it answer requests?
        Client::NotRefused => match target.knock(stranger, peer.patience).await {
            Ok(heard) if heard.is_about_certificates() => {
                // A 400 may mean anything: our own certificate tells, where we have one.
                behind = heard.is_plainly_so()
                    || own.cert_file.is_some() && !says_so_to_us(target, peer.patience).await;
                match (behind, heard.access) {
                    (false, Fact::Unknown(why)) if own.cert_file.is_some() => {
                        Fact::Unknown(format!("{why}, whatever certificate it is shown"))
                    }
                    (false, Fact::Unknown(why)) => Fact::Unknown(why),
                    (false, Fact::Known(_)) => Fact::Known(ClientCertificate::Optional),
                    (true, _) => Fact::Known(ClientCertificate::Required),
                }
            }
            Ok(heard) => match heard.access {
                Fact::Known(_) => Fact::Known(ClientCertificate::Optional),
                Fact::Unknown(why) => Fact::Unknown(why),
            },
            Err(why) if is_turned_away(&why) => Fact::Known(ClientCertificate::Required),
            Err(why) => Fact::Unknown(why),
        },
    };
    let facts = TlsFacts {
        plain_text: peer.takes_plain().await,
        versions,
        suites,
        certificate: shaken.certificate,
        client_certificate,
        strange_certificate: None,
    };
    (facts, behind)
}

/// Whether our own certificate, which the site has for this endpoint, gets the same answer as none: then that is not about certificates.
async fn says_so_to_us(target: &Target, patience: Duration) -> bool {
    match target.what.tls() {
        Some(ours) => target.knock(ours, patience).await.is_ok_and(|heard| heard.is_about_certificates()),
        None => false,
    }
}

/// What becomes of those who show no certificate.
#[derive(Clone, Copy, Debug)]
struct Refusals {
    /// They are served.
    served_without: bool,
    /// They are refused behind the handshake, in an answer.
    behind: bool,
}

/// What becomes of somebody with a certificate of his own making; and TLS as he speaks it, if he is let in.
async fn strange_certificate(
    peer: &Peer,
    own: &TlsSettings,
    target: &Target,
    settings: TlsSettings,
    Refusals { served_without, behind }: Refusals,
) -> (Fact<Access>, Option<Tls>) {
    let certificate = match throwaway() {
        Ok(certificate) => certificate,
        Err(why) => return (Fact::Unknown(format!("no certificate could be made: {why}")), None),
    };
    let shaken = shake(peer, own, Some(Arc::clone(&certificate))).await;
    let strange = match shaken.client {
        Client::TurnedAway => Fact::Known(Access::Refused),
        Client::NotAsked => Fact::Unknown("it asks some for a certificate, and others not".to_owned()),
        Client::Unknown(why) => Fact::Unknown(why),
        Client::NotRefused => {
            let tls = Tls::probing(settings, Some(certificate));
            return match target.knock(&tls, peer.patience).await {
                // Whoever verifies behind the handshake refuses there, as it refuses none; whom it refuses for want of a token, nobody sees.
                Ok(heard) if behind && heard.is_about_certificates() => (Fact::Known(Access::Refused), None),
                Ok(heard) => match heard.access {
                    Fact::Known(Access::Refused) => (Fact::Known(Access::Refused), None),
                    // It answers, so it took the certificate.
                    Fact::Known(Access::Taken) => (Fact::Known(Access::Taken), Some(tls)),
                    Fact::Unknown(_) if !served_without => (Fact::Known(Access::Taken), Some(tls)),
                    Fact::Unknown(why) => (Fact::Unknown(why), None),
                },
                Err(why) if is_turned_away(&why) => (Fact::Known(Access::Refused), None),
                Err(why) => (Fact::Unknown(why), None),
            };
        }
    };
    (strange, None)
}

fn refused() -> crossfade_gates::posture::AccessFacts {
    let anonymous = Fact::Known(Access::Refused);
    crossfade_gates::posture::AccessFacts { anonymous, wrong_token: None, other_tenant: None }
}

fn nobody(why: &str) -> crossfade_gates::posture::AccessFacts {
    let anonymous = Fact::Unknown(why.to_owned());
    crossfade_gates::posture::AccessFacts { anonymous, wrong_token: None, other_tenant: None }
}

/// 32 bytes that differ from look to look and from endpoint to endpoint. Nothing is kept secret by them.
fn random(seed: u64, port: u16) -> [u8; 32] {
    let mut state = seed ^ u64::from(port).rotate_left(32);
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    bytes
}
