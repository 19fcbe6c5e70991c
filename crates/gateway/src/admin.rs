//! The gateway's own HTTP routes, for people and for probes. Local: nothing here waits for control.
//!
//! | route | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 if requests can be served, else 503; says which environment is away, and whether a schedule is held |
//! | `GET /metrics` | Prometheus text |
//! | `GET /v1/gateway` | [`GatewayStatus`](crate::GatewayStatus) |
//! | `GET /v1/gateway/inventory` | what clients sent, in outline ([`Sent`](crossfade_gates::inventory::Sent)); bearer token |
//! | `POST /v1/gateway/fence` | [`FenceRequest`] -> [`Fenced`](crate::Fenced); bearer token |

use axum::extract::{FromRequest, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use crossfade_routing::sync::EnvironmentHealth;
use serde::{Deserialize, Serialize};

use crate::gateway::Handle;
use crate::status::{FenceError, FenceRequest, Phase};

/// The routes, to be served by whoever composes the process.
pub fn admin_router(handle: &Handle) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v1/gateway", get(status))
        .route("/v1/gateway/inventory", get(inventory))
        .route("/v1/gateway/fence", post(fence))
        .with_state(handle.clone())
}

/// `GET /readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    pub ready: bool,
    /// Whether a schedule is held. Without one every request is refused as unavailable.
    pub schedule: bool,
    /// Environments that cannot be reached. While the one that answers clients is among them, the gateway is not ready.
    pub away: Vec<String>,
    /// For a person: what is missing.
    pub reasons: Vec<String>,
    /// For a person: what needs care although requests are served.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Handle {
    /// Whether requests can be served, and if not, why.
    pub fn readiness(&self) -> Readiness {
        let status = self.status();
        let mut reasons = Vec::new();
        if status.phase != Phase::Serving {
            reasons.push("the gateway is shutting down".to_owned());
        }
        let answering = status.schedule.as_ref().map(|schedule| match schedule.to() {
            Some(to) if !status.fenced && schedule.answering() == crossfade_routing::Destinations::TO => to,
            _ => schedule.from(),
        });
        if answering.is_none() {
            reasons.push("no schedule is held, and control has not given one".to_owned());
        }
        // One that nobody has looked at yet is not away; but nobody is sent to it either.
        let away = self.overview.known_health().into_iter().filter(|health| !health.reachable);
        let away: Vec<EnvironmentHealth> = away.collect();
        let answers = status.environments.iter().filter(|health| Some(&health.environment) == answering);
        for health in answers.filter(|health| !health.reachable) {
            let name = &health.environment;
            reasons.push(match away.iter().any(|away| away.environment == *name) {
                true => format!("{name}, which answers clients, is away: {}", health.detail),
                false => format!("{name}, which answers clients, has not been looked at yet"),
            });
        }
        // Not a reason to send clients elsewhere: the fence is in effect.
        let warnings = status.fence_unsaved.iter().map(|why| {
            format!(
                "the fence is in effect but not on disk ({why}): do not restart this gateway before it is"
            )
        });
        Readiness {
            ready: reasons.is_empty(),
            schedule: answering.is_some(),
            away: away.iter().map(|health| health.environment.to_string()).collect(),
            reasons,
            warnings: warnings.collect(),
        }
    }
}

async fn readyz(State(handle): State<Handle>) -> Response {
    let readiness = handle.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

async fn metrics(State(handle): State<Handle>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.metrics()).into_response()
}

async fn status(State(handle): State<Handle>) -> Response {
    Json(handle.status()).into_response()
}

/// Names of services and of whom they call: not for everybody who can reach this address.
async fn inventory(State(handle): State<Handle>, headers: HeaderMap) -> Response {
    match operator(&handle, &headers) {
        Some(_) => Json(handle.sent()).into_response(),
        None => refuse(StatusCode::UNAUTHORIZED, "the inventory needs the bearer token"),
    }
}

async fn fence(State(handle): State<Handle>, request: Request) -> Response {
    // Before its body is waited for.
    let Some(actor) = operator(&handle, request.headers()) else {
        return refuse(StatusCode::UNAUTHORIZED, "a fence needs the bearer token");
    };
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(error) => return refuse(error.status(), &error.body_text()),
    };
    let request: FenceRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &format!("not a fence request: {error}")),
    };
    match handle.fence(&actor, request).await {
        Ok(fenced) => Json(fenced).into_response(),
        Err(error) => {
            let status = match error {
                FenceError::NoRollout | FenceError::OtherRollout { .. } => StatusCode::CONFLICT,
                FenceError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            };
            refuse(status, &error.to_string())
        }
    }
}

/// The pseudonym of whoever holds the token, as the control plane has it.
fn operator(handle: &Handle, headers: &HeaderMap) -> Option<String> {
    let (scheme, offered) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let offered = Some(offered.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
    handle.admin_token.as_ref().filter(|token| token.matches(offered))?;
    let digest = crossfade_tlog::sha256(offered.as_bytes());
    Some(format!("operator:{}", crossfade_tlog::fingerprint(&digest)))
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(serde_json::json!({ "error": message }))).into_response()
}
