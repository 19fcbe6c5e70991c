//! Following a control plane: what is believed, what is refused, and what goes on without one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use crossfade_backends::otlp::{Outcome, Protocol};
use crossfade_gateway::{ControlLink, Gateway, GatewayConfig, RemoteControl, Token};
use crossfade_routing::sync::{Fence, FenceCause, Reply, Report, SignedEntry};
use crossfade_routing::{Ack, Directive, EnvironmentId, Generation, Schedule, UnixNanos};
use crossfade_tlog::proof::prove_inclusion;
use crossfade_tlog::{Checkpoint, SignerKey, Tree, leaf_hash};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::PATIENCE;
use crate::support::{
    Bench, Environment, Play, candidate, candidate_trace, config, encode, export, green, ids, one_span,
    request, single, soon, span, start_again, until, weight,
};

/// A control plane with a log of its own.
struct Control {
    desk: Arc<Mutex<Desk>>,
    url: String,
    server: JoinHandle<()>,
}

struct Desk {
    key: SignerKey,
    tree: Tree,
    entries: Vec<String>,
    reply: Option<Reply>,
    reports: Vec<Report>,
}

fn key(seed: u8) -> SignerKey {
    SignerKey::from_seed("crossfade.example/test".parse().unwrap(), [seed; 32])
}

impl Desk {
    fn append(&mut self, kind: &str, schedule: &Schedule) -> u64 {
        let event = json!({ "type": kind, "schedule": schedule, "at": "1" });
        let entry = json!({ "actor": "test", "event": event, "time": "2026-11-21T00:00:00Z", "v": 1 });
        self.entries.push(entry.to_string());
        self.tree.push(leaf_hash(entry.to_string().as_bytes()));
        self.tree.size() - 1
    }

    /// Proves an entry at a size of the log.
    fn prove(&self, index: u64, size: u64) -> SignedEntry {
        let root = self.tree.root_at(size).unwrap();
        let origin = self.key.verifier().name().to_string();
        let checkpoint = Checkpoint { origin, size, root, extensions: Vec::new() };
        let proof = prove_inclusion(&self.tree, index, size).unwrap();
        SignedEntry {
            index,
            entry: self.entries[usize::try_from(index).unwrap()].clone(),
            proof: proof.iter().map(ToString::to_string).collect(),
            checkpoint: checkpoint.sign(&self.key).unwrap(),
        }
    }
}

impl Control {
    async fn start() -> Control {
        let tree = Tree::new();
        let desk = Desk { key: key(1), tree, entries: Vec::new(), reply: None, reports: Vec::new() };
        let desk = Arc::new(Mutex::new(desk));
        let router = axum::Router::new()
            .route("/v1/gateways/{id}/sync", axum::routing::post(sync))
            .with_state(Arc::clone(&desk));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Control { desk, url, server }
    }

    /// Logs a schedule; says so from now on.
    fn issue(&self, directive: Directive) {
        self.issue_as("GenerationIssued", directive);
    }

    fn issue_as(&self, kind: &str, directive: Directive) {
        let mut desk = self.desk.lock().unwrap();
        let index = desk.append(kind, &directive.schedule);
        let entry = desk.prove(index, desk.tree.size());
        desk.reply = Some(Reply { entry, directive, fence: None, now: UnixNanos(crate::support::now()) });
    }

    fn say(&self, change: impl FnOnce(&mut Desk, &mut Reply)) {
        let mut desk = self.desk.lock().unwrap();
        let mut reply = desk.reply.take().unwrap();
        change(&mut desk, &mut reply);
        desk.reply = Some(reply);
    }

    fn last_report(&self) -> Option<Report> {
        self.desk.lock().unwrap().reports.last().cloned()
    }

    fn reports(&self) -> usize {
        self.desk.lock().unwrap().reports.len()
    }

    /// Two more reports have come: what was said before was heard.
    async fn was_heard(&self) {
        let before = self.reports();
        until("two more reports", || (self.reports() >= before + 2).then_some(())).await;
    }

    fn link(&self) -> ControlLink {
        let log_key = self.desk.lock().unwrap().key.verifier().clone();
        ControlLink::Remote(RemoteControl { url: self.url.clone(), token: Token::new("s3cret"), log_key })
    }
}

async fn sync(
    State(desk): State<Arc<Mutex<Desk>>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(report): Json<Report>,
) -> Response {
    assert_eq!((id.as_str(), headers["authorization"].to_str().unwrap()), ("gw", "Bearer s3cret"));
    let reply = {
        let mut desk = desk.lock().unwrap();
        desk.reports.push(report);
        desk.reply.clone()
    };
    // No news: a real control plane would hold the report for longer.
    tokio::time::sleep(Duration::from_millis(5)).await;
    reply.map_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response(), |reply| Json(reply).into_response())
}

struct Setup {
    blue: Environment,
    green: Environment,
    control: Control,
    bench: Bench,
}

async fn setup() -> Setup {
    setup_with(Duration::from_secs(1)).await
}

async fn setup_with(grace: Duration) -> Setup {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let control = Control::start().await;
    let (mut config, state) = config(&blue, &green, single());
    config.control = control.link();
    config.grace = grace;
    let bench = Bench::start((config, state)).await;
    Setup { blue, green, control, bench }
}

impl Setup {
    fn generation(&self) -> Option<Generation> {
        self.bench.status().schedule.map(|schedule| schedule.generation())
    }

    async fn takes(&self, directive: Directive) {
        let ack = directive.ack();
        self.control.issue(directive);
        self.acknowledges(ack).await;
    }

    async fn acknowledges(&self, ack: Ack) {
        let acknowledged = || self.control.last_report().filter(|report| report.ack == Some(ack)).map(drop);
        until("an acknowledgement", acknowledged).await;
    }

    async fn trouble(&self, part: &str) {
        let seen = || self.bench.status().control.trouble.filter(|trouble| trouble.contains(part)).map(drop);
        until(part, seen).await;
    }

    /// Starts again on the same folder, with whatever control there is now.
    async fn restart(self) -> (Environment, Environment, Control, Bench) {
        let Setup { blue, green, control, bench } = self;
        let state = bench.state;
        bench.gateway.shutdown().await;
        let gateway = start_again(restarted(&blue, &green, &control, &state)).await;
        let bench = Bench { handle: gateway.handle(), gateway, state };
        (blue, green, control, bench)
    }
}

fn restarted(
    blue: &Environment,
    green: &Environment,
    control: &Control,
    state: &tempfile::TempDir,
) -> GatewayConfig {
    let (mut config, _) = config(blue, green, single());
    config.control = control.link();
    config.state_dir = state.path().to_owned();
    config
}

fn lasting(schedule: Schedule) -> Directive {
    Directive { schedule, announced: None, horizon: UnixNanos(crate::support::now() + 600_000_000_000) }
}

#[tokio::test]
async fn without_a_schedule_requests_are_refused_for_now() {
    let setup = setup().await;
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let heard = export(&setup.bench.client(protocol), one_span()).await;
        assert!(matches!(heard, Outcome::Retryable { retry_after: Some(_), .. }), "{heard:?}");
    }
    let readiness = setup.bench.handle.readiness();
    assert!(!readiness.ready && !readiness.schedule);
    setup.takes(lasting(single())).await;
    assert!(export(&setup.bench.client(Protocol::Grpc), one_span()).await.is_clean());
}

#[tokio::test]
async fn generations_are_taken_with_their_proof_and_acknowledged() {
    let setup = setup().await;
    let schedule = weight("100");
    setup.takes(lasting(single())).await;
    setup.takes(lasting(candidate())).await;
    let cut = lasting(schedule.clone());
    setup.control.issue_as("CutCommitted", cut.clone());
    setup.acknowledges(cut.ack()).await;
    let sent = request(&[span(candidate_trace(&schedule))]);
    assert!(export(&setup.bench.client(Protocol::Grpc), encode(&sent)).await.is_clean());
    setup.green.stores([&sent]).await;
    // Reports carry the ledger and count by one.
    let told = || {
        let report = setup.control.last_report()?;
        report.ledger.iter().any(|row| row.environment == green() && row.delivered == 1).then_some(report)
    };
    let report = until("the ledger is told", told).await;
    assert!(report.ledger.iter().all(|row| row.is_balanced() && row.generation == schedule.generation()));
    assert!(report.arms.iter().any(|arm| arm.environment == green() && arm.requests == 1 && arm.failed == 0));
    let sequences: Vec<_> =
        setup.control.desk.lock().unwrap().reports.iter().map(|report| report.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]), "{sequences:?}");
    assert_eq!(setup.bench.status().control.checkpoint_size, 3);
}

#[tokio::test]
async fn an_announcement_moves_the_edge_and_is_acknowledged_only_then() {
    let setup = setup().await;
    let held = lasting(candidate());
    setup.takes(held.clone()).await;
    let announced = UnixNanos(crate::support::now() + 30_000_000_000);
    let directive = Directive { announced: Some(announced), ..held };
    setup.takes(directive).await;
    assert_eq!(setup.bench.status().edge, Some(announced));
}

/// Takes `weight 5`, lets control say something else, and checks that it is not believed.
async fn refuses(trouble: &str, change: impl FnOnce(&mut Desk, &mut Reply)) {
    let setup = setup().await;
    let held = weight("5");
    setup.takes(lasting(candidate())).await;
    setup.takes(lasting(held.clone())).await;
    setup.control.say(change);
    setup.trouble(trouble).await;
    setup.control.was_heard().await;
    assert_eq!(setup.bench.status().schedule, Some(held.clone()), "it goes on with what it holds");
    let report = setup.control.last_report().unwrap();
    assert_eq!(report.ack, Some(lasting(held).ack()));
    assert!(export(&setup.bench.client(Protocol::Grpc), one_span()).await.is_clean());
}

fn next() -> Schedule {
    weight("5").reissued()
}

#[tokio::test]
async fn an_older_generation_is_refused() {
    refuses("older than", |desk, reply| {
        reply.directive.schedule = candidate();
        reply.entry = desk.prove(0, desk.tree.size());
    })
    .await;
}

#[tokio::test]
async fn a_generation_that_the_log_does_not_hold_is_refused() {
    refuses("another schedule", |_, reply| reply.directive.schedule = next()).await;
    refuses("not prove", |desk, reply| {
        let index = desk.append("GenerationIssued", &next());
        let entry = desk.prove(index, desk.tree.size());
        reply.directive.schedule = next();
        reply.entry = SignedEntry { proof: Vec::new(), ..entry };
    })
    .await;
    refuses("not prove", |desk, reply| {
        let index = desk.append("GenerationIssued", &next());
        let entry = desk.prove(index, desk.tree.size());
        reply.directive.schedule = next();
        reply.entry = SignedEntry { entry: entry.entry.replace("\"1\"", "\"2\""), ..entry };
    })
    .await;
}

#[tokio::test]
async fn a_checkpoint_that_is_not_the_logs_is_refused() {
    refuses("not prove", |desk, reply| {
        let index = desk.append("GenerationIssued", &next());
        let own = std::mem::replace(&mut desk.key, key(2));
        reply.entry = desk.prove(index, desk.tree.size());
        desk.key = own;
        reply.directive.schedule = next();
    })
    .await;
}

#[tokio::test]
async fn an_event_that_issues_no_schedule_is_refused() {
    refuses("issues no schedule", |desk, reply| {
        let index = desk.append("RolloutDrafted", &next());
        reply.entry = desk.prove(index, desk.tree.size());
        reply.directive.schedule = next();
    })
    .await;
}

#[tokio::test]
async fn a_log_that_shrinks_or_forks_is_refused() {
    refuses("shrunk", |desk, reply| {
        // The very entry that is held, but from a log that is shorter than it was.
        desk.tree = Tree::new();
        desk.entries.clear();
        let index = desk.append("GenerationIssued", &reply.directive.schedule);
        reply.entry = desk.prove(index, 1);
    })
    .await;
    refuses("two histories", |desk, reply| {
        desk.tree = Tree::new();
        desk.entries.clear();
        desk.append("GenerationIssued", &single());
        let index = desk.append("GenerationIssued", &reply.directive.schedule);
        reply.entry = desk.prove(index, 2);
    })
    .await;
}

#[tokio::test]
async fn a_schedule_for_an_unknown_environment_is_refused() {
    refuses("not configured", |desk, reply| {
        let red = Schedule::genesis(EnvironmentId::new("red").unwrap());
        // Make it newer than what is held.
        let red = (0..5).fold(red, |schedule, _| schedule.reissued());
        let index = desk.append("GenerationIssued", &red);
        reply.entry = desk.prove(index, desk.tree.size());
        reply.directive.schedule = red;
    })
    .await;
}

fn verdict() -> Fence {
    let generation = weight("100").generation();
    Fence { rollout: "tempo-3".to_owned(), generation, at: UnixNanos(1), cause: FenceCause::Verdict {} }
}

#[tokio::test]
async fn a_verdict_fences_even_without_a_proof() {
    let setup = setup().await;
    setup.takes(lasting(candidate())).await;
    setup.takes(lasting(weight("100"))).await;
    setup.control.say(|_, reply| {
        reply.fence = Some(verdict());
        reply.entry.proof = vec!["not a hash".to_owned()];
    });
    until("a fence", || setup.bench.status().fenced.then_some(())).await;
    let reported = || setup.control.last_report()?.fence.filter(|fence| *fence == verdict()).map(drop);
    until("control hears of it", reported).await;
    assert!(export(&setup.bench.client(Protocol::Grpc), one_span()).await.is_clean());
    assert_eq!((setup.blue.stored().len(), setup.green.seen().len()), (1, 0));
    // And the end of that rollout, and the next one, are taken as they come.
    let fenced = weight("100").fenced().unwrap();
    setup.takes(lasting(fenced.clone())).await;
    setup.takes(lasting(fenced.rolled_back().unwrap())).await;
    assert!(!setup.bench.status().fenced);
}

#[tokio::test]
async fn a_fence_in_the_first_reply_comes_before_its_schedule() {
    let setup = setup().await;
    let mut desk_reply = lasting(weight("100"));
    desk_reply.announced = None;
    {
        let mut desk = setup.control.desk.lock().unwrap();
        let index = desk.append("GenerationIssued", &desk_reply.schedule);
        let entry = desk.prove(index, 1);
        let now = UnixNanos(crate::support::now());
        desk.reply = Some(Reply { entry, directive: desk_reply, fence: Some(verdict()), now });
    }
    setup.trouble("is fenced here").await;
    assert_eq!(setup.generation(), None, "a fenced rollout's schedule is never routed by");
}

#[tokio::test]
async fn a_fence_that_falls_here_is_told_at_once() {
    let setup = setup().await;
    setup.takes(lasting(candidate())).await;
    let request = crossfade_gateway::FenceRequest { reason: String::new(), rollout: None };
    setup.bench.handle.fence("alice", request).await.unwrap();
    let told = || setup.control.last_report()?.fence.filter(|fence| fence.rollout == "tempo-3").map(drop);
    until("control hears of it", told).await;
}

#[tokio::test]
async fn past_its_horizon_everything_goes_to_both() {
    let setup = setup().await;
    let schedule = weight("5");
    setup.takes(lasting(candidate())).await;
    let past = Directive { horizon: UnixNanos(crate::support::now() - 1), ..lasting(schedule.clone()) };
    setup.takes(past).await;
    // Traces of blue's, which green would not see within the horizon.
    let sent: Vec<_> = (0..20).map(|_| request(&[span(crate::support::plain_trace(&schedule))])).collect();
    for request in &sent {
        assert!(export(&setup.bench.client(Protocol::Grpc), encode(request)).await.is_clean());
    }
    setup.green.stores(&sent).await;
    assert_eq!(ids(&setup.blue.stored()), ids(&sent));
    assert!(setup.bench.handle.metrics().contains("crossfade_spans_routed_total{reason=\"edge\"} 20\n"));
}

#[tokio::test]
async fn a_gateway_starts_from_its_last_schedule_without_control() {
    let setup = setup().await;
    setup.takes(lasting(candidate())).await;
    let schedule = weight("100");
    setup.takes(lasting(schedule.clone())).await;
    setup.control.server.abort();
    let (_, green_is, _, bench) = setup.restart().await;
    let status = bench.status();
    assert_eq!(status.schedule, Some(schedule.clone()));
    assert_eq!((status.ack, status.control.checkpoint_size), (Some(lasting(schedule.clone()).ack()), 2));
    let sent = request(&[span(candidate_trace(&schedule))]);
    assert!(export(&bench.client(Protocol::Grpc), encode(&sent)).await.is_clean());
    green_is.stores([&sent]).await;
    let trouble = || bench.status().control.trouble.filter(|trouble| trouble.contains("cannot connect"));
    until("it says that control is away", trouble).await;
}

#[tokio::test]
async fn after_a_restart_the_log_may_not_have_shrunk_either() {
    let setup = setup().await;
    setup.takes(lasting(candidate())).await;
    setup.takes(lasting(weight("5"))).await;
    let (_, _, control, bench) = setup.restart().await;
    control.say(|desk, reply| {
        desk.tree = Tree::new();
        desk.entries.clear();
        let index = desk.append("GenerationIssued", &reply.directive.schedule);
        reply.entry = desk.prove(index, 1);
    });
    until("shrunk", || bench.status().control.trouble.filter(|trouble| trouble.contains("shrunk"))).await;
}

// Scenario: a gateway boots before environments that are there; its first report goes out before it has looked at them.
// Guarantee: no report says that one of them is away; soon all say that both are there.
#[tokio::test]
async fn what_was_not_looked_at_yet_is_not_reported_as_away() {
    let setup = setup().await;
    let both_there = || {
        let last = setup.control.last_report()?;
        (last.health.len() == 2 && last.health.iter().all(|health| health.reachable)).then_some(())
    };
    until("both are there", both_there).await;
    let reports = setup.control.desk.lock().unwrap().reports.clone();
    assert!(reports[0].health.len() < 2, "the first report cannot know: {:?}", reports[0].health);
    let away = reports.iter().flat_map(|report| &report.health).filter(|health| !health.reachable);
    assert_eq!(away.count(), 0);
    setup.green.kill().await;
    let gone = || setup.control.last_report()?.health.iter().any(|health| !health.reachable).then_some(());
    until("green is away", gone).await;
}

#[tokio::test]
async fn the_closing_ledger_is_reported() {
    let setup = setup_with(PATIENCE).await;
    setup.takes(lasting(candidate())).await;
    setup.takes(lasting(weight("100"))).await;
    setup.green.play(Play::Hold);
    assert!(export(&setup.bench.client(Protocol::Grpc), one_span()).await.is_clean());
    setup.green.seen_count(1).await;
    let gateway: Gateway = setup.bench.gateway;
    let closing = tokio::spawn(gateway.shutdown());
    setup.green.release();
    let ledger = soon("the end", closing).await.unwrap();
    assert!(ledger.drained && ledger.reported);
    let last = setup.control.last_report().unwrap();
    assert!(last.drained);
    assert_eq!(last.ledger, ledger.rows);
    assert!(ledger.rows.iter().any(|row| row.environment == green() && row.delivered == 1));
}

// Scenario: a gateway has drained, and control cannot put its closing ledger on record yet.
// Guarantee: it does not end before control can.
#[tokio::test]
async fn the_end_waits_until_the_closing_ledger_is_on_record() {
    let setup = setup_with(PATIENCE).await;
    setup.takes(lasting(candidate())).await;
    let reply = setup.control.desk.lock().unwrap().reply.take();
    let gateway: Gateway = setup.bench.gateway;
    let closing = tokio::spawn(gateway.shutdown());
    let refused = || {
        let desk = setup.control.desk.lock().unwrap();
        (desk.reports.iter().filter(|report| report.drained).count() >= 3).then_some(())
    };
    until("it is reported again and again", refused).await;
    assert!(!closing.is_finished());
    setup.control.desk.lock().unwrap().reply = reply;
    let ledger = soon("the end", closing).await.unwrap();
    assert!(ledger.drained && ledger.reported);
}
