//! The HTTP API: JSON on loopback, a bearer token for each role.
//!
//! | route | who | what |
//! |---|---|---|
//! | `GET /v1/status` | operator | [`Status`](crate::status::Status) |
//! | `GET /v1/events?from=N&wait_ms=M` | operator | the log's entries from N on, waiting for news |
//! | `GET /v1/locate?trace=ID&start=NANOS` | operator | where a trace is whole, and which cut decided |
//! | `POST /v1/plans?progress=B` | operator | a spec resolved into a plan, its gates dry-run; `progress`: told line by line |
//! | `POST /v1/rollouts?anyway=B` | operator | start the rollout of a plan; `anyway`: although its dry run did not pass |
//! | `POST /v1/rollouts/{name}/{verb}` | operator | pause, resume, promote, rollback, abort; `current` is the one that runs |
//! | `DELETE /v1/gateways/{id}?reason=R` | operator | strike a gateway from the roster: nothing waits for it any more |
//! | `PUT /v1/gateways/{id}` | operator | take it back |
//! | `POST /v1/gateways/{id}/sync` | gateway | the protocol of `routing::sync` |
//!
//! Every change is a leaf of the log with its actor, made by the engine. Every denied call is one too, or counted in one. Reads
//! are counted.

mod access;
mod denied;
mod error;
mod extract;
mod stream;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use crossfade_rollout::event::Outcome;
use crossfade_rollout::plan::Advice;
use crossfade_rollout::{Actor, Command, PlanFile, RolloutId};
use crossfade_routing::{GatewayId, TraceId, UnixNanos, sync};
use tokio::sync::{mpsc, watch};

use crate::engine::Handle;
use crate::planner::Planner;
use crate::progress::{NEWS_MAX, PlanNews, Progress};
use crate::status::Status;

use extract::{Asked, Json};
use stream::Lines;

pub use access::{Access, TokenError, read_token};
pub(crate) use denied::Denials;
pub use error::{ApiError, ErrorBody, ErrorCode};
pub use wire::{
    EventsReply, EventsRequest, LocateRequest, Located, PlanRequest, ProgressRequest, StartRequest, Started,
    StrikeRequest, VerbRequest,
};

/// The largest body that a call may have: a plan with many declared differences.
const BODY_BYTES_MAX: usize = 4 << 20;
/// And that a gateway's report may have: it holds a row for each environment and generation since the gateway started,
/// about 2 KiB a generation. So this is for tens of thousands of them, between two restarts.
const REPORT_BYTES_MAX: usize = 64 << 20;
/// The longest that a reader may wait for news.
const EVENTS_WAIT_MAX: Duration = Duration::from_secs(10);
const EVENTS_MAX: usize = 500;
/// The longest reason for a way back: its entry must fit the log, and the emergency file.
const REASON_BYTES_MAX: usize = 2_000;

/// What handlers work with.
pub(crate) struct Shared {
    pub(crate) engine: Handle,
    pub(crate) planner: Arc<Planner>,
    pub(crate) access: Access,
    pub(crate) denials: Denials,
    /// Turns true when the control plane is about to end.
    pub(crate) ending: watch::Receiver<bool>,
}

/// The routes, and those of the gateway `beside` them.
pub(crate) fn router(shared: Arc<Shared>, beside: Router) -> Router {
    let beside = beside.layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), access::beside));
    let operator = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/events", get(events))
        .route("/v1/locate", get(locate))
        .route("/v1/plans", post(plan))
        .route("/v1/rollouts", post(start))
        .route("/v1/rollouts/{name}/{verb}", post(verb))
        .route("/v1/gateways/{id}", delete(strike).put(enlist))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), access::operator));
    let gateway = Router::new()
        .route("/v1/gateways/{id}/sync", post(sync_gateway))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), access::gateway));
    let limit = axum::extract::DefaultBodyLimit::max;
    let (operator, gateway) = (operator.layer(limit(BODY_BYTES_MAX)), gateway.layer(limit(REPORT_BYTES_MAX)));
    operator.merge(gateway).with_state(shared).merge(beside)
}

type Caller = axum::Extension<Actor>;
type App = State<Arc<Shared>>;

async fn status(State(app): App, _caller: Caller) -> axum::Json<Status> {
    axum::Json(Status::clone(&app.engine.status()))
}

async fn events(
    State(app): App,
    _caller: Caller,
    Asked(request): Asked<EventsRequest>,
) -> Result<axum::Json<EventsReply>, ApiError> {
    let wait = Duration::from_millis(request.wait_ms.unwrap_or(0)).min(EVENTS_WAIT_MAX);
    let mut news = app.engine.news();
    let arrived = news.wait_for(|size| *size > request.from);
    let mut ending = app.ending.clone();
    // A reader that waited in vain gets an empty list, and asks again.
    tokio::select! {
        _ = tokio::time::timeout(wait, arrived) => {}
        () = crate::listen::ended(&mut ending) => {}
    }
    let entries = app.engine.entries(request.from, EVENTS_MAX).await?;
    let next = request.from + entries.len() as u64;
    Ok(axum::Json(EventsReply { entries, next }))
}

async fn locate(
    State(app): App,
    _caller: Caller,
    Asked(request): Asked<LocateRequest>,
) -> Result<axum::Json<Located>, ApiError> {
    let trace: TraceId =
        request.trace.parse().map_err(|_| ApiError::invalid("trace: 32 hexadecimal digits are expected"))?;
    let start = request.start.map_or_else(crate::clock::now, UnixNanos);
    Ok(axum::Json(app.engine.locate(trace, start).await?))
}

async fn plan(
    State(app): App,
    _caller: Caller,
    Asked(asked): Asked<ProgressRequest>,
    Json(request): Json<PlanRequest>,
) -> Result<Response, ApiError> {
    let baseline = app.engine.baseline().await?;
    let status = app.engine.status();
    if !asked.progress {
        let planned = app.planner.plan(&request, baseline, &status, &Progress::default()).await?;
        return Ok(axum::Json(planned).into_response());
    }
    let (news, lines) = mpsc::channel(NEWS_MAX);
    tokio::spawn(async move {
        let progress = Progress::to(news.clone());
        let planned = tokio::select! {
            planned = app.planner.plan(&request, baseline, &status, &progress) => planned,
            () = news.closed() => return,
        };
        let last = match planned {
            Ok(plan) => PlanNews::Planned { plan: Box::new(plan) },
            Err(ApiError(error)) => PlanNews::Failed { error },
        };
        // Whoever asked may have gone.
        let _ = news.send(last).await;
    });
    Ok(Lines(lines).into_response())
}

async fn start(
    State(app): App,
    axum::Extension(actor): Caller,
    Asked(request): Asked<StartRequest>,
    Json(file): Json<PlanFile>,
) -> Result<axum::Json<Started>, ApiError> {
    crate::spec::discreet(&file.plan.outline.gates).map_err(|error| ApiError::invalid(&error.to_string()))?;
    if !request.anyway {
        ready(&file)?;
    }
    let rollout = file.plan.outline.rollout.clone();
    let snapshots = app.planner.snapshots(&file.plan.outline, &file.plan.snapshots).await?;
    app.engine.start(actor, file, snapshots).await?;
    Ok(axum::Json(Started { rollout }))
}

/// A plan that was not ready when it was made would most likely end in preflight, and use up its name.
fn ready(file: &PlanFile) -> Result<(), ApiError> {
    let said = |advice: &Advice| {
        let outcome = if advice.outcome == Outcome::NoVerdict { "no verdict" } else { "failed" };
        format!("{} ({outcome}): {}", advice.gate, advice.summary)
    };
    let objections: Vec<String> = file.objections().map(said).collect();
    if objections.is_empty() {
        return Ok(());
    }
    let what = format!(
        "the plan is not ready; when it was made, its dry run said\n  {}\nmend that and plan again, or start it with --anyway: the gates run again for the record, and if one of them does not pass, the rollout is aborted and its name is used up",
        objections.join("\n  ")
    );
    Err(ApiError::new(ErrorCode::Refused, what))
}

async fn verb(
    State(app): App,
    axum::Extension(actor): Caller,
    Path((name, verb)): Path<(String, String)>,
    Json(request): Json<VerbRequest>,
) -> Result<axum::Json<Started>, ApiError> {
    let rollout: Option<RolloutId> = match name.as_str() {
        "current" => None,
        name => Some(name.parse().map_err(|_| ApiError::invalid(&format!("`{name}` names no rollout")))?),
    };
    let reason = a_line(request.reason)?;
    if !matches!(verb.as_str(), "rollback" | "abort") && !reason.is_empty() {
        return Err(ApiError::invalid("reason: only a rollback and an abort have one; leave it out"));
    }
    if verb != "promote" && request.full {
        return Err(ApiError::invalid("full: only a promotion may be in full; leave it out"));
    }
    let command = match verb.as_str() {
        "pause" => Command::Pause { rollout },
        "resume" => Command::Resume { rollout },
        "promote" => Command::Promote { rollout, full: request.full },
        "rollback" => Command::Rollback { rollout, actor: actor.clone(), reason },
        "abort" => Command::Abort { rollout, reason },
        other => return Err(ApiError::unknown(&format!("`{other}` is no command of a rollout"))),
    };
    app.engine.command(actor, command).await?;
    let rollout = app.engine.status().rollout.as_ref().map(|rollout| rollout.id.clone());
    let rollout = rollout.ok_or_else(|| ApiError::unavailable("the rollout is gone"))?;
    Ok(axum::Json(Started { rollout }))
}

/// A reason, as the log holds it.
fn a_line(reason: Option<String>) -> Result<String, ApiError> {
    let reason = reason.unwrap_or_default();
    if reason.len() <= REASON_BYTES_MAX {
        return Ok(reason);
    }
    let what = format!("reason: longer than {REASON_BYTES_MAX} bytes; the log holds a line");
    Err(ApiError::invalid(&what))
}

async fn strike(
    State(app): App,
    axum::Extension(actor): Caller,
    Path(id): Path<String>,
    Asked(request): Asked<StrikeRequest>,
) -> Result<axum::Json<serde_json::Value>, ApiError> {
    let (gateway, reason) = (gateway_id(&id)?, a_line(request.reason)?);
    let reason = if reason.is_empty() { "by command".to_owned() } else { reason };
    app.engine.command(actor, Command::Strike { gateway, reason }).await?;
    Ok(axum::Json(serde_json::json!({ "struck": id })))
}

async fn enlist(
    State(app): App,
    axum::Extension(actor): Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<serde_json::Value>, ApiError> {
    let gateway = gateway_id(&id)?;
    app.engine.command(actor, Command::Roster { gateway }).await?;
    Ok(axum::Json(serde_json::json!({ "enlisted": id })))
}

async fn sync_gateway(
    State(app): App,
    Path(id): Path<String>,
    Json(report): Json<sync::Report>,
) -> Result<axum::Json<sync::Reply>, ApiError> {
    if gateway_id(&id)? != report.gateway {
        return Err(ApiError::invalid("the report is of another gateway than the path"));
    }
    let wait = Duration::from_millis(u64::from(report.wait_ms.min(sync::WAIT_MS_MAX)));
    Ok(axum::Json(app.engine.sync(report, wait).await?))
}

fn gateway_id(text: &str) -> Result<GatewayId, ApiError> {
    text.parse().map_err(|_| ApiError::invalid("no valid gateway id"))
}
