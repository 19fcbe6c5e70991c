use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use crossfade_backends::otlp::{ClientConfig, Code, Endpoint, Protocol};
use crossfade_routing::Generation;
use http::HeaderMap;
use tokio::sync::mpsc;

use super::*;
use crate::books::Account;
use crate::config::BreakerConfig;
use crate::queue::tests::Maker;

fn lane(make: &Maker) -> Arc<Lane> {
    let (tripped, _) = mpsc::unbounded_channel();
    let vitals = Arc::new(Vitals::new(1, BreakerConfig::default(), tripped));
    let sending = (Compression::Preserve, Duration::from_secs(5));
    let delivery = DeliveryConfig::default();
    let queue = Queue::for_workers(1, 1 << 20, delivery.merge_bytes_max).remove(0);
    Lane::new(0, make.client.clone(), sending, (delivery, queue), vitals)
}

fn account(make: &Maker) -> Account {
    make.books.read().accounts[&(0, Generation(1))].clone()
}

// Scenario: a copy timed out once, waits for its next attempt, and a fence falls.
// Guarantee: it may have been stored, so it is not called shed.
#[tokio::test]
async fn what_may_have_been_stored_is_not_shed_by_a_fence() {
    let make = Maker::new();
    let lane = lane(&make);
    lane.enqueue(Copy { doubtful: true, ..make.copy(1, 100, false) });
    lane.enqueue(Copy { doubtful: true, ..make.copy(2, 100, true) });
    lane.enqueue(make.copy(4, 100, false));
    lane.enqueue(make.copy(8, 100, true));
    lane.sever();
    let account = account(&make);
    assert_eq!((account.indeterminate, account.shed, account.shed_untrusted), (3, 12, 8));
    assert_eq!((account.queued, lane.fill().requests, lane.fill().bytes), (0, 0, 0));
}

// Scenario: a fence falls while the connection for a copy is still being opened.
// Guarantee: the copy is shed: not a byte of it was sent, and so nobody can have stored it.
#[tokio::test]
async fn a_copy_that_is_cut_off_before_its_first_byte_is_shed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let endpoint = Endpoint::parse(&address, Protocol::Grpc).unwrap();
    let connect_timeout = Duration::from_secs(5);
    let client = Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout });
    let mut make = Maker::new();
    make.client = client;
    let lane = lane(&make);
    lane.enqueue(make.copy(3, 100, false));
    let slot = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    let batch = lane.next().await;
    let mut delivery = pin!(deliver(Arc::clone(&lane), batch, slot));
    let first = poll_fn(|context| Poll::Ready(delivery.as_mut().poll(context))).await;
    assert!(first.is_pending(), "the connection is being opened");
    lane.sever();
    delivery.await;
    let account = account(&make);
    assert_eq!((account.received, account.shed, account.indeterminate, account.queued), (3, 3, 0, 0));
    let evidence = (account.requests, lane.client.meter().sent_bytes());
    assert_eq!(evidence, (0, 0), "no evidence against anybody");
}

// Scenario: a delivery panics.
// Guarantee: its copies are accounted for, its room is free again, and a drain does not wait for it.
#[tokio::test]
async fn a_delivery_that_panics_leaks_nothing() {
    let make = Maker::new();
    let lane = lane(&make);
    lane.enqueue(make.copy(3, 100, false));
    let copies = lane.next().await;
    let drained = lane.drained();
    let panicking = tokio::spawn(async move {
        let _copies = copies;
        tokio::task::yield_now().await;
        panic!("this is the test");
    });
    tokio::time::timeout(Duration::from_secs(60), drained).await.unwrap();
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!((account(&make).indeterminate, account(&make).queued), (3, 0));
    assert_eq!((lane.fill().requests, lane.fill().bytes), (0, 0));
}

#[tokio::test]
async fn no_wish_overflows_a_pause() {
    let lane = lane(&Maker::new());
    let outcome = Outcome::Retryable {
        code: Code::Http(503),
        retry_after: Some(Duration::MAX),
        message: String::new(),
    };
    for attempts in [1, 2, 40, u32::MAX] {
        assert_eq!(lane.pause(attempts, &outcome), Duration::MAX);
    }
}

#[tokio::test]
async fn what_is_to_be_compressed_is_so_at_its_first_attempt() {
    let make = Maker::new();
    for size in [1_000, LARGE_BYTES] {
        let lane = lane(&make);
        lane.enqueue(Copy { coding: Coding::Gzip, ..make.copy(1, size, false) });
        let before = lane.fill().bytes;
        assert!(before > size, "it waits as it is");
        let mut copies = lane.next().await;
        pack(&lane, &mut copies[0]).await;
        let packed = copies[0].message.clone();
        assert_eq!(packed, Message::gzip(&Bytes::from(vec![0; size])));
        assert_eq!(lane.fill().bytes, before - size + packed.bytes.len());
        pack(&lane, &mut copies[0]).await;
        assert_eq!(copies[0].message, packed, "once");
    }
}
