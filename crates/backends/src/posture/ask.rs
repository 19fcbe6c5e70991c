//! Requests with and without credentials: who is let in, and which web pages.

use std::time::Duration;

use bytes::Bytes;
use crossfade_gates::posture::{Access, AccessFacts, AdminKind, Cors, Fact, Role};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD,
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, USER_AGENT,
};
use http::{Method, Request};
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Target, What};
use crate::otlp::{Client, ClientConfig, Code, Endpoint, GrpcCode, Message, Outcome, Protocol};
use crate::tls::{Alpn, Stream, Tls};

const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");
/// Nobody's.
const WRONG: &str = "crossfade-posture-nobody-gave-this-out";
const OTHER_TENANT: HeaderValue = HeaderValue::from_static("crossfade-posture-other-tenant");
const STRANGE_ORIGIN: HeaderValue = HeaderValue::from_static("https://crossfade-posture.invalid");

/// An answer's head.
struct Reply {
    status: u16,
    headers: HeaderMap,
}

impl Reply {
    /// Whether it sends one away to say who one is: to another server, or to a login. Within a server the way may lead to what
    /// anybody may read, as from Prometheus' `/` to its own page.
    fn asks_elsewhere(&self, authority: &str) -> bool {
        let Some(location) = self.headers.get(LOCATION).and_then(|location| location.to_str().ok()) else {
            return false;
        };
        let is_elsewhere = match location.split_once("://") {
            Some((_, rest)) => rest.split(['/', '?', '#']).next() != Some(authority),
            None => location.starts_with("//"),
        };
        let path = location.to_ascii_lowercase();
        is_elsewhere || LOGINS.iter().any(|login| path.contains(login))
    }
}

/// What became of a request.
pub(super) struct Heard {
    pub(super) access: Fact<Access>,
    /// The HTTP status of an answer that says nothing of it by itself.
    status: Option<u16>,
}

impl Heard {
    fn known(access: Access) -> Heard {
        Heard { access: Fact::Known(access), status: None }
    }

    /// Whether it is that by which servers refuse certificates behind the handshake: nginx's own 495 and 496, and the 400 that it
    /// makes of them.
    pub(super) fn is_about_certificates(&self) -> bool {
        matches!(self.status, Some(400 | 495 | 496))
    }

    /// Whether nothing else is said so.
    pub(super) fn is_plainly_so(&self) -> bool {
        matches!(self.status, Some(495 | 496))
    }
}

/// How paths are called that ask who one is.
const LOGINS: [&str; 7] = ["login", "signin", "sign-in", "sign_in", "oauth", "sso", "saml"];

fn is_page(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html"))
}

impl Target {
    /// Who is let in. `stranger`: TLS as anybody speaks it, without our certificate; to whom nothing of ours is sent.
    pub(super) async fn access(&self, stranger: &Tls, patience: Duration) -> AccessFacts {
        let anonymous = self.ask(&self.no_credentials(), stranger, patience).await;
        let is_admin = matches!(self.role, Role::Admin(_));
        let wrong_token = match anonymous {
            Fact::Known(Access::Refused) if !is_admin => {
                Some(self.ask(&self.wrong_credentials(), stranger, patience).await)
            }
            _ => None,
        };
        let other_tenant = match self.headers.contains_key(&TENANT) && !is_admin {
            true => {
                let mut headers = self.headers.clone();
                headers.insert(TENANT, OTHER_TENANT);
                // With our credentials: as every request of ours goes there, verified unless the site says otherwise.
                let own = self.what.tls().cloned().unwrap_or_default();
                Some(self.ask(&headers, &own, patience).await)
            }
            false => None,
        };
        AccessFacts { anonymous, wrong_token, other_tenant }
    }

    /// A tenant's name is no credential.
    fn no_credentials(&self) -> HeaderMap {
        self.headers.get(&TENANT).map(|tenant| (TENANT, tenant.clone())).into_iter().collect()
    }

    /// As our own credentials are, but wrong.
    fn wrong_credentials(&self) -> HeaderMap {
        let mut wrong = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer wrong"))]);
        for (name, value) in self.headers.iter() {
            let value = value.as_bytes().to_ascii_lowercase();
            let value = match () {
                () if *name == TENANT => self.headers.get(name).cloned(),
                () if value.starts_with(b"basic ") => {
                    Some(HeaderValue::from_static("Basic bm9ib2R5Ondyb25n"))
                }
                () if value.starts_with(b"bearer ") => HeaderValue::try_from(format!("Bearer {WRONG}")).ok(),
                () => Some(HeaderValue::from_static(WRONG)),
            };
            // In place of ours, and of the bearer token: two of a name are a malformed request.
            value.map(|value| wrong.insert(name.clone(), value));
        }
        wrong
    }

    async fn ask(&self, headers: &HeaderMap, tls: &Tls, patience: Duration) -> Fact<Access> {
        match self.try_one(headers, tls, patience).await {
            Ok(heard) => heard.access,
            Err(why) => turned_away(why),
        }
    }

    /// What a request without any credentials comes to; as an error, why there was no answer to it.
    pub(super) async fn knock(&self, tls: &Tls, patience: Duration) -> Result<Heard, String> {
        self.try_one(&self.no_credentials(), tls, patience).await
    }

    async fn try_one(&self, headers: &HeaderMap, tls: &Tls, patience: Duration) -> Result<Heard, String> {
        match &self.what {
            What::Otlp(endpoint) => {
                let is_admin = matches!(self.role, Role::Admin(_));
                export(endpoint.clone().with_tls(tls.clone()), is_admin, headers, patience).await
            }
            What::Http { .. } => {
                self.request(Method::GET, headers, tls, patience).await.map(|reply| self.read(&reply))
            }
        }
    }

    fn read(&self, reply: &Reply) -> Heard {
        let unknown = |how: String| Fact::Unknown(format!("it answers {} with {how}", self.what.path()));
        match (reply.status, self.role) {
            (401 | 403 | 407, _) => Heard::known(Access::Refused),
            (300..=399, _) if reply.asks_elsewhere(self.what.authority()) => Heard::known(Access::Refused),
            // Such a page there is not, or not for strangers.
            (404, _) if self.shares => Heard::known(Access::Refused),
            // A login page, or somebody else: whom a store lets in is not seen there.
            (200..=299, Role::Query) if is_page(&reply.headers) => {
                Heard { access: unknown("a web page".to_owned()), status: None }
            }
            (200..=299, _) => Heard::known(Access::Taken),
            // Whatever it says there, it says it to anybody; unless that is about certificates.
            (status, Role::Admin(AdminKind::Admin | AdminKind::Health)) if !self.shares => {
                Heard { access: Fact::Known(Access::Taken), status: Some(status) }
            }
            (status, _) => Heard { access: unknown(format!("status {status}")), status: Some(status) },
        }
    }

    /// Which web pages may read the answers. gRPC has none.
    pub(super) async fn cors(&self, stranger: &Tls, patience: Duration) -> Option<Fact<Cors>> {
        let method = match &self.what {
            What::Otlp(endpoint) if endpoint.protocol() == Protocol::Grpc => return None,
            What::Otlp(_) => Method::OPTIONS,
            What::Http { .. } => Method::GET,
        };
        let mut headers = self.no_credentials();
        headers.insert(ORIGIN, STRANGE_ORIGIN);
        if method == Method::OPTIONS {
            headers.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"));
        }
        Some(match self.request(method, &headers, stranger, patience).await {
            Ok(reply) => Fact::Known(cors(&reply.headers)),
            Err(why) => match turned_away(why) {
                Fact::Known(_) => Fact::Known(Cors::Closed),
                Fact::Unknown(why) => Fact::Unknown(why),
            },
        })
    }

    async fn request(
        &self,
        method: Method,
        headers: &HeaderMap,
        tls: &Tls,
        patience: Duration,
    ) -> Result<Reply, String> {
        let (host, port) = self.what.address();
        let asking = async {
            let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
            let stream = match self.what.tls() {
                None => Stream::Plain(stream),
                Some(_) => {
                    let shaken = tls.connect(stream, host, Alpn::Http1).await;
                    Stream::Tls(Box::new(shaken.map_err(|fault| fault.to_string())?))
                }
            };
            let (mut sender, connection) =
                handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
            let driver = tokio::spawn(connection);
            let mut request = Request::builder()
                .method(method)
                .uri(self.what.path())
                .body(Empty::<Bytes>::new())
                .map_err(|error| error.to_string())?;
            request.headers_mut().extend(headers.clone());
            let authority =
                HeaderValue::try_from(self.what.authority()).map_err(|error| error.to_string())?;
            request.headers_mut().insert(HOST, authority);
            request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("crossfade-posture"));
            let response = sender.send_request(request).await;
            // Its body is not wanted.
            driver.abort();
            let response = response.map_err(|error| crate::otlp::chain(&error))?;
            Ok(Reply { status: response.status().as_u16(), headers: response.headers().clone() })
        };
        match timeout(patience, asking).await {
            Ok(reply) => reply,
            Err(_) => Err(format!("no answer within {patience:?}")),
        }
    }
}

/// Exports a request without spans, which OTLP has a server take, and which stores nothing. `is_admin`: gRPC, but not OTLP;
/// then that it does not know the method it says to anybody.
async fn export(
    endpoint: Endpoint,
    is_admin: bool,
    headers: &HeaderMap,
    patience: Duration,
) -> Result<Heard, String> {
    let config = ClientConfig { endpoint, headers: headers.clone(), connect_timeout: patience };
    let client = Client::new(config);
    let outcome = client.export(Message::identity(Vec::new()), &HeaderMap::new(), patience).await.outcome;
    client.sever();
    Ok(match outcome {
        Outcome::Accepted { .. } => Heard::known(Access::Taken),
        Outcome::Rejected {
            code:
                Code::Grpc(GrpcCode::Unauthenticated | GrpcCode::PermissionDenied) | Code::Http(401 | 403 | 407),
            ..
        } => Heard::known(Access::Refused),
        Outcome::Rejected { code: Code::Grpc(GrpcCode::Unimplemented), .. } if is_admin => {
            Heard::known(Access::Taken)
        }
        Outcome::Unanswered { detail, .. } => return Err(detail),
        other => {
            let status = match &other {
                Outcome::Rejected { code: Code::Http(status), .. } => Some(*status),
                Outcome::Rejected { code: Code::Grpc(_), message } => http_of_grpc(message),
                _ => None,
            };
            Heard { access: Fact::Unknown(other.describe()), status }
        }
    })
}

/// The status of an HTTP answer to gRPC, which is told in words.
fn http_of_grpc(message: &str) -> Option<u16> {
    message.strip_prefix("HTTP ")?.strip_suffix(" without a grpc-status")?.parse().ok()
}

/// Nobody without a certificate gets as far as a request.
fn turned_away(why: String) -> Fact<Access> {
    if is_turned_away(&why) { Fact::Known(Access::Refused) } else { Fact::Unknown(why) }
}

/// Whether there was no answer for want of a certificate, or for that which was shown.
pub(super) fn is_turned_away(why: &str) -> bool {
    // A failed decryption is about a signature, not about whose it is.
    let says = |fault: &str| {
        (fault.contains("client certificate demanded") || fault.contains("client certificate refused"))
            && !fault.contains("DecryptError")
    };
    says(why) || crate::tls::explain(why).is_some_and(|fault| says(&fault.to_string()))
}

fn cors(headers: &HeaderMap) -> Cors {
    let credentials =
        headers.get(ACCESS_CONTROL_ALLOW_CREDENTIALS).is_some_and(|value| value.as_bytes() == b"true");
    match headers.get(ACCESS_CONTROL_ALLOW_ORIGIN) {
        Some(origin) if origin == "*" => Cors::Any { credentials },
        Some(origin) if origin == STRANGE_ORIGIN => Cors::Reflected { credentials },
        _ => Cors::Closed,
    }
}
