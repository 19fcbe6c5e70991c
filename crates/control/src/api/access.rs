//! Who may call: one bearer token for each role, each in a file of mode 0600.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use crossfade_rollout::Actor;

use super::Shared;
use super::denied::{self, Denied};

/// The longest path that a leaf repeats.
const PATH_MAX: usize = 200;

/// The tokens of one site, as digests: a comparison tells nothing about how much of a guess was right.
#[derive(Debug, Clone)]
pub struct Access {
    operator: [u8; 32],
    gateway: [u8; 32],
    actor: Actor,
}

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read the token {path}: run `crossfade init` first, or check the path")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others can read it.
    #[error("{path} has mode {mode:04o}: others can read the token; run: chmod 600 {path}")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is empty, or not text.
    #[error("{path} holds no token: run `crossfade init` again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a bearer token, and refuses a file that others can read.
///
/// # Errors
/// Missing, readable by others, or empty.
pub fn read_token(path: &Path) -> Result<String, TokenError> {
    use std::os::unix::fs::PermissionsExt;

    let read = |source| TokenError::Read { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(read)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(TokenError::Mode { path: path.to_owned(), mode });
    }
    let token = std::fs::read_to_string(path).map_err(read)?.trim().to_owned();
    if token.is_empty() {
        return Err(TokenError::Empty { path: path.to_owned() });
    }
    Ok(token)
}

impl Access {
    /// Reads the tokens of both roles.
    ///
    /// # Errors
    /// As [`read_token`].
    pub fn load(operator: &Path, gateway: &Path) -> Result<Access, TokenError> {
        let operator = crossfade_tlog::sha256(read_token(operator)?.as_bytes());
        let gateway = crossfade_tlog::sha256(read_token(gateway)?.as_bytes());
        let actor = operator_actor(&operator);
        Ok(Access { operator, gateway, actor })
    }

    /// What is put on record of a call that is not let through: whose token it has, if that is known.
    fn denied(&self, request: &Request) -> Denied {
        let path: String = request.uri().path().chars().take(PATH_MAX).collect();
        let call = format!("{} {path}", request.method());
        let named = |name: &str| name.parse().expect("letters are valid in an actor");
        let (actor, why) = match presented(request) {
            Some(token) if token == self.operator => {
                (self.actor.clone(), "an operator's token, not a gateway's")
            }
            Some(token) if token == self.gateway => {
                (named("gateway"), "a gateway's token, not an operator's")
            }
            _ if request.headers().contains_key(AUTHORIZATION) => (named("anonymous"), "wrong token"),
            _ => (named("anonymous"), "no token"),
        };
        Denied { actor, call, why }
    }
}

/// The pseudonym of whoever holds a token, as the gateway's own routes have it.
fn operator_actor(digest: &[u8; 32]) -> Actor {
    format!("operator:{}", crossfade_tlog::fingerprint(digest))
        .parse()
        .expect("hexadecimal digits are valid in an actor")
}

/// Lets operators through, and counts their reads.
pub(super) async fn operator(State(app): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    if presented(&request) != Some(app.access.operator) {
        return denied::deny(&app, app.access.denied(&request)).await;
    }
    let actor = app.access.actor.clone();
    // A plan changes nothing here, and is no change; but its dry run writes to the candidate, and that is on record too.
    if request.method() == axum::http::Method::GET || request.uri().path() == "/v1/plans" {
        app.engine.count_read(actor.clone());
    }
    request.extensions_mut().insert(actor);
    next.run(request).await
}

/// Lets gateways through.
pub(super) async fn gateway(State(app): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if presented(&request) != Some(app.access.gateway) {
        return denied::deny(&app, app.access.denied(&request)).await;
    }
    next.run(request).await
}

fn presented(request: &Request) -> Option<[u8; 32]> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| crossfade_tlog::sha256(token.trim().as_bytes()))
}

/// The gateway's own routes check their token themselves; what they deny is put on record here, and what an operator reads is
/// counted, after the answer is known: nothing of the gateway waits for control.
pub(crate) async fn beside(State(app): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let denied = app.access.denied(&request);
    let reads =
        request.method() == axum::http::Method::GET && presented(&request) == Some(app.access.operator);
    let response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        denied::record(&app, denied);
    } else if reads {
        app.engine.count_read(app.access.actor.clone());
    }
    response
}
