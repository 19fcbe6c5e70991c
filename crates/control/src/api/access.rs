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
use super::denied::Denied;

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
        let denied = Denied::of(&request);
        return app.denials.deny(&app.engine, denied).await;
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
        let denied = Denied::of(&request);
        return app.denials.deny(&app.engine, denied).await;
    }
    next.run(request).await
}

fn presented(request: &Request) -> Option<[u8; 32]> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| crossfade_tlog::sha256(token.trim().as_bytes()))
}

/// The gateway's own routes check their token themselves; what they deny is put on record here, after the answer is known:
/// nothing of the gateway waits for control.
pub(crate) async fn beside(State(app): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let denied = Denied::of(&request);
    let response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        tokio::spawn(async move { app.denials.record(&app.engine, denied).await });
    }
    response
}
