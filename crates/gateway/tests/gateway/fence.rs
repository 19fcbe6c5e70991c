//! A fence: durable before it takes effect, irrevocable, and not a byte more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossfade_backends::otlp::Protocol;
use crossfade_gateway::{FenceError, FenceRequest, Gateway};
use crossfade_routing::sync::FenceCause;

use crate::support::{
    Bench, Environment, Play, Request, blue, config, encode, export, green, ids, one_span, promoted, request,
    single, soon, span, start_again, trace, until, weight,
};

fn by_alice() -> FenceRequest {
    FenceRequest { reason: "errors".to_owned(), rollout: Some("tempo-3".to_owned()) }
}

// Scenario: eight clients send without a pause while green, which owns everything, answers some requests and holds
// others; then somebody fences.
// Guarantee: once the fence has returned, green is sent not a byte; no client sees a failure, before or after; and
// every span is in blue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_not_a_byte_more_is_sent() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.script(|_, number| if number.is_multiple_of(3) { Play::Hang } else { Play::Accept });
    let (mut config, state) = config(&blue_is, &green_is, weight("100"));
    config.workers = std::num::NonZeroUsize::new(2).unwrap();
    let bench = Bench::start((config, state)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients = (0..8).map(|_| {
        let (client, stop, answered) =
            (bench.client(Protocol::Grpc), Arc::clone(&stop), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut sent = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let next = request(&[span(trace())]);
                assert!(export(&client, encode(&next)).await.is_clean());
                sent.push(next);
                answered.fetch_add(1, Ordering::SeqCst);
            }
            sent
        })
    });
    let clients: Vec<_> = clients.collect();
    green_is.seen_count(50).await;

    let fenced = bench.handle.fence("alice", by_alice()).await.unwrap();
    let sent_at = fenced.last_sent.unwrap();
    let before = answered.load(Ordering::SeqCst);
    until("traffic goes on", || (answered.load(Ordering::SeqCst) > before + 300).then_some(())).await;
    stop.store(true, Ordering::SeqCst);
    let mut sent: Vec<Request> = Vec::new();
    for client in clients {
        sent.extend(soon("a client", client).await.unwrap());
    }

    assert!(!fenced.already);
    assert_eq!(fenced.fence.cause, FenceCause::Command { actor: "alice: errors".to_owned() });
    let health = bench.status().environments;
    let health = health.into_iter().find(|health| health.environment == green()).unwrap();
    // The clock is read to the microsecond or so on its way from one form to the other.
    assert!(health.last_sent.unwrap().0.abs_diff(sent_at.0) < 1_000_000, "nothing was written since");
    until("green's connections are cut", || (green_is.hanging() == 0).then_some(())).await;
    assert_eq!(ids(&blue_is.stored()), ids(&sent));
    bench.account_is(&green(), "nothing is left for green", |row| row.queued == 0).await;
    let row = bench.account(&green());
    assert_eq!(row.received, row.delivered + row.shed + row.indeterminate, "{row:?}");
    assert!(bench.status().fenced);
    assert!(bench.handle.metrics().contains("crossfade_fenced 1\n"));
}

// Scenario: green was promoted, answers the clients, and holds ten of their requests as the fence falls.
// Guarantee: all ten are answered, by blue, and are in blue.
#[tokio::test]
async fn clients_that_wait_for_the_fenced_side_are_answered_by_the_other() {
    for mirror_back in [true, false] {
        let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
        green_is.play(Play::Hang);
        let bench = Bench::new(&blue_is, &green_is, promoted(mirror_back)).await;
        let requests: Vec<Request> = (0..10).map(|_| request(&[span(trace())])).collect();
        let waiting = requests.iter().map(|request| {
            let (client, message) = (bench.client(Protocol::Grpc), encode(request));
            tokio::spawn(async move { export(&client, message).await })
        });
        let waiting: Vec<_> = waiting.collect();
        until("green holds them", || (green_is.hanging() == 10).then_some(())).await;
        bench.handle.fence("alice", by_alice()).await.unwrap();
        for waiting in waiting {
            assert!(soon("an answer", waiting).await.unwrap().is_clean());
        }
        assert_eq!(ids(&blue_is.stored()), ids(&requests));
        assert_eq!(bench.account(&green()).indeterminate, 10);
    }
}

async fn restart(
    bench: Bench,
    blue_is: &Environment,
    green_is: &Environment,
) -> (Gateway, tempfile::TempDir) {
    soon("a shutdown", bench.gateway.shutdown()).await;
    let (mut config, _) = config(blue_is, green_is, weight("100"));
    config.state_dir = bench.state.path().to_owned();
    (start_again(config).await, bench.state)
}

#[tokio::test]
async fn a_fence_survives_a_restart() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
    bench.handle.fence("alice", by_alice()).await.unwrap();
    // The directive has not changed, and so would still send everything to green.
    let (gateway, state) = restart(bench, &blue_is, &green_is).await;
    let bench = Bench { handle: gateway.handle(), gateway, state };
    assert!(bench.status().fenced);
    for _ in 0..20 {
        assert!(export(&bench.client(Protocol::Grpc), one_span()).await.is_clean());
    }
    assert_eq!((blue_is.stored().len(), green_is.seen().len()), (20, 0));
    assert_eq!(bench.account(&green()).received, 0);
    let again = bench.handle.fence("alice", by_alice()).await.unwrap();
    assert!(again.already);
}

#[tokio::test]
async fn a_fence_that_finds_no_room_for_a_file_goes_to_the_reserve() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
    // No new file; the reserve is open, and can still be written.
    let blocked = bench.state.path().join("state.json.new");
    std::fs::create_dir(&blocked).unwrap();
    let fenced = bench.handle.fence("alice", by_alice()).await.unwrap();
    assert!(!fenced.already);
    // At once, or when a slow disk is done.
    until("the reserve takes it", || is_told(&bench, false).then_some(())).await;
    std::fs::remove_dir(&blocked).unwrap();
    let (gateway, _state) = restart(bench, &blue_is, &green_is).await;
    assert!(gateway.handle().status().fenced);
}

/// Sends to a fenced gateway: blue gets it, and green not a byte.
async fn nothing_goes_to_green(bench: &Bench, blue_is: &Environment, green_is: &Environment) {
    let (stored, seen) = (blue_is.stored().len(), green_is.seen().len());
    for _ in 0..20 {
        assert!(export(&bench.client(Protocol::Grpc), one_span()).await.is_clean());
    }
    assert_eq!((blue_is.stored().len(), green_is.seen().len()), (stored + 20, seen));
    let queued = bench.status().queues.iter().map(|queue| queue.requests).sum::<usize>();
    assert_eq!(queued, 0, "and nothing waits for it");
}

fn is_told(bench: &Bench, unsaved: bool) -> bool {
    let (status, readiness) = (bench.status(), bench.handle.readiness());
    let metric = format!("crossfade_fence_unsaved {}\n", u8::from(unsaved));
    status.fence_unsaved.is_some() == unsaved
        && readiness.warnings.iter().any(|warning| warning.contains("not on disk")) == unsaved
        && bench.handle.metrics().contains(&metric)
}

/// A gateway at 100 % that has sent to green, and whose reserve is on a full disk.
async fn without_a_reserve(blue_is: &Environment, green_is: &Environment) -> Bench {
    let (config, state) = config(blue_is, green_is, weight("100"));
    std::os::unix::fs::symlink("/dev/full", state.path().join("fence.reserve")).unwrap();
    let bench = Bench::start((config, state)).await;
    assert!(export(&bench.client(Protocol::Grpc), one_span()).await.is_clean());
    green_is.seen_count(1).await;
    bench
}

// Scenario: the disk under the state folder is full, the reserve with it, and a fence falls; later there is room again.
// Guarantee: the fence takes effect at once, and says that it is not durable; so do status, readiness and metrics, until it
// is. From then on it survives a restart.
#[tokio::test]
async fn a_fence_that_no_disk_takes_falls_all_the_same() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = without_a_reserve(&blue_is, &green_is).await;
    let full = bench.state.path().join("state.json.new");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    assert!(is_told(&bench, false));
    let fenced = bench.handle.fence("alice", by_alice()).await.unwrap();
    assert!(!fenced.durable);
    nothing_goes_to_green(&bench, &blue_is, &green_is).await;
    assert!(bench.status().fenced && is_told(&bench, true));
    let readiness = bench.handle.readiness();
    assert!(readiness.ready, "clients are served: {readiness:?}");
    let again = bench.handle.fence("alice", by_alice()).await.unwrap();
    assert!(again.already && !again.durable);

    std::fs::remove_file(&full).unwrap();
    until("it is durable", || is_told(&bench, false).then_some(())).await;
    assert!(bench.handle.fence("alice", by_alice()).await.unwrap().durable);
    let (gateway, _state) = restart(bench, &blue_is, &green_is).await;
    assert!(gateway.handle().status().fenced);
}

// Scenario: the disk under the state folder hangs, and a fence falls; later the disk goes on.
// Guarantee: the fence takes effect within seconds, whatever the disk does, and is durable once the disk goes on.
#[tokio::test]
async fn a_fence_does_not_wait_for_a_disk_that_hangs() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
    // Opening a pipe for writing waits until somebody reads from it.
    let hangs = bench.state.path().join("state.json.new");
    assert!(std::process::Command::new("mkfifo").arg(&hangs).status().unwrap().success());
    let fenced = soon("the fence", bench.handle.fence("alice", by_alice())).await.unwrap();
    assert!(!fenced.durable);
    nothing_goes_to_green(&bench, &blue_is, &green_is).await;
    assert!(bench.status().fenced && is_told(&bench, true));

    let pipe = hangs.clone();
    // What is written here is no file: the save fails, and the reserve takes the fence.
    let reader = std::thread::spawn(move || std::fs::read(pipe).unwrap());
    until("it is durable", || is_told(&bench, false).then_some(())).await;
    reader.join().unwrap();
    std::fs::remove_file(&hangs).unwrap();
    let (gateway, _state) = restart(bench, &blue_is, &green_is).await;
    assert!(gateway.handle().status().fenced);
}

#[tokio::test]
async fn a_fence_needs_a_rollout_and_the_right_one() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    let bench = Bench::new(&blue_is, &green_is, single()).await;
    assert_eq!(bench.handle.fence("alice", by_alice()).await, Err(FenceError::NoRollout));
    let bench = Bench::new(&blue_is, &green_is, weight("5")).await;
    let other = FenceRequest { rollout: Some("tempo-4".to_owned()), ..by_alice() };
    let error = FenceError::OtherRollout { held: "tempo-3".to_owned(), asked: "tempo-4".to_owned() };
    assert_eq!(bench.handle.fence("alice", other).await, Err(error));
    assert!(!bench.status().fenced);
    assert!(bench.handle.fence("alice", FenceRequest { rollout: None, ..by_alice() }).await.is_ok());
    let handle = bench.handle.clone();
    soon("a shutdown", bench.gateway.shutdown()).await;
    assert_eq!(handle.fence("alice", by_alice()).await, Err(FenceError::Closed));
}

#[tokio::test]
async fn what_waits_for_the_fenced_side_is_shed_and_counted() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hang);
    let bench = Bench::new(&blue_is, &green_is, weight("100")).await;
    let client = bench.client(Protocol::Grpc);
    for _ in 0..100 {
        assert!(export(&client, one_span()).await.is_clean());
    }
    until("green holds what it was given", || (green_is.hanging() == 32).then_some(())).await;
    bench.handle.fence("alice", by_alice()).await.unwrap();
    bench.account_is(&green(), "nothing is queued", |row| row.queued == 0).await;
    let row = bench.account(&green());
    assert_eq!((row.received, row.shed, row.indeterminate), (100, 68, 32));
    assert_eq!(bench.account(&blue()).delivered, 100);
    // For the analysis, what we cut off ourselves is no failure of green's.
    assert!(!bench.handle.metrics().contains("crossfade_requests_failed_total{environment=\"green\"} 3"));
}
