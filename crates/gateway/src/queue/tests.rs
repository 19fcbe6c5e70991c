use std::sync::Arc;
use std::time::Duration;

use crossfade_backends::otlp::{Client, ClientConfig, Coding, Endpoint, Message, Protocol};
use crossfade_routing::Generation;
use http::HeaderMap;
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::books::{Books, Fate};

pub(crate) struct Maker {
    pub(crate) books: Arc<Books>,
    pub(crate) client: Client,
    now: Instant,
}

impl Maker {
    pub(crate) fn new() -> Maker {
        let endpoint = Endpoint::parse("localhost:1", Protocol::Grpc).unwrap();
        let headers = HeaderMap::new();
        let config = ClientConfig { endpoint, headers, connect_timeout: Duration::from_secs(1) };
        Maker { books: Arc::default(), client: Client::new(config), now: Instant::now() }
    }

    /// A copy whose number of spans names it.
    pub(crate) fn copy(&self, name: u64, bytes: usize, untrusted: bool) -> Copy {
        Copy {
            message: Message::identity(vec![0; bytes]),
            coding: Coding::Identity,
            memory: bytes,
            metadata: Arc::default(),
            voucher: self.books.receive(0, Generation(1), name, 0),
            lease: self.client.lease(),
            untrusted,
            counted: true,
            arrived: self.now,
            attempts: 0,
            doubtful: false,
            room: None,
        }
    }
}

fn names(copies: &[Copy]) -> Vec<u64> {
    copies.iter().map(|copy| copy.voucher.spans()).collect()
}

/// Room for four copies of 1,000 bytes.
fn queues(workers: usize, merge_bytes_max: usize) -> Vec<Queue> {
    Queue::for_workers(workers, 4 * (1_000 + OVERHEAD_BYTES), merge_bytes_max)
}

fn queue(merge_bytes_max: usize) -> Queue {
    queues(1, merge_bytes_max).remove(0)
}

#[test]
fn untrusted_copies_go_first_and_then_what_is_new() {
    let make = Maker::new();
    let queue = queue(0);
    for (name, untrusted) in [(1, false), (2, true), (3, true), (4, false)] {
        assert!(queue.push(make.copy(name, 1_000, untrusted)).is_empty());
    }
    assert_eq!(names(&queue.push(make.copy(5, 1_000, false))), [2], "the oldest of them");
    assert_eq!(names(&queue.push(make.copy(6, 1_000, true))), [3], "also for one of their own");
    assert_eq!(names(&queue.push(make.copy(7, 1_000, false))), [6]);
    assert_eq!(names(&queue.push(make.copy(8, 1_000, false))), [8], "nothing left that goes first");
    assert_eq!(names(&queue.push(make.copy(9, 1_000, true))), [9]);
    let order: Vec<_> = std::iter::from_fn(|| Some(queue.pop()).filter(|batch| !batch.is_empty())).collect();
    assert_eq!(order.iter().flat_map(|batch| names(batch)).collect::<Vec<_>>(), [1, 4, 5, 7]);
}

#[test]
fn as_many_go_as_are_needed_and_what_can_never_fit_moves_nobody() {
    let make = Maker::new();
    let queue = queue(0);
    for name in 1..=4 {
        assert!(queue.push(make.copy(name, 1_000, true)).is_empty());
    }
    assert_eq!(names(&queue.push(make.copy(5, 2_000, false))), [1, 2]);
    assert_eq!(names(&queue.push(make.copy(6, 10_000, false))), [6]);
    assert_eq!(queue.held().copies(), 3);
}

#[test]
fn nobody_goes_in_vain() {
    let make = Maker::new();
    let queue = queue(0);
    for (name, untrusted) in [(1, true), (2, false), (3, false), (4, false)] {
        assert!(queue.push(make.copy(name, 1_000, untrusted)).is_empty());
    }
    assert_eq!(
        names(&queue.push(make.copy(5, 2_000, false))),
        [5],
        "the first alone would not make enough room"
    );
    assert_eq!(names(&queue.push(make.copy(6, 1_000, false))), [1]);
}

#[test]
fn a_bound_holds_for_all_queues_that_share_it() {
    let make = Maker::new();
    let queues = queues(2, 0);
    for name in 1..=4 {
        assert!(queues[0].push(make.copy(name, 1_000, false)).is_empty(), "one may have all of it");
    }
    assert_eq!(names(&queues[1].push(make.copy(5, 1_000, false))), [5]);
    drop(queues[0].pop());
    assert!(queues[1].push(make.copy(6, 1_000, false)).is_empty());
    assert_eq!([0, 1].map(|worker: usize| queues[worker].held().copies()), [3, 1]);
}

// Scenario: one worker's queue is full of copies for untrusted clocks, and another worker has one for a believed clock.
// Guarantee: no copy for a believed clock is shed while another waits anywhere; its own worker's go first.
#[test]
fn untrusted_copies_go_first_whichever_worker_they_wait_for() {
    let make = Maker::new();
    let queues = queues(3, 0);
    for (worker, name) in [(0, 1), (0, 2), (1, 3)] {
        assert!(queues[worker].push(make.copy(name, 1_000, true)).is_empty());
    }
    assert!(queues[1].push(make.copy(4, 1_000, false)).is_empty());
    assert_eq!(names(&queues[1].push(make.copy(5, 2_000, false))), [3, 1], "its own, then another's");
    assert_eq!(names(&queues[2].push(make.copy(6, 2_000, false))), [6], "the only one left is not enough");
    assert_eq!(names(&queues[2].push(make.copy(7, 1_000, false))), [2]);
    assert_eq!(names(&queues[2].push(make.copy(8, 1_000, true))), [8], "nothing left that goes first");
    assert_eq!([0, 1, 2].map(|worker: usize| queues[worker].held().copies()), [0, 2, 1]);
    assert_eq!(queues[0].shared.untrusted_bytes.load(Ordering::Relaxed), 0);
    assert!(queues[0].pop().is_empty());
}

// Scenario: several workers push and pop at once, half of the copies untrusted, into a queue that is far too small.
// Guarantee: the bound holds, the count of what may go is right, and nothing vanishes.
#[test]
fn workers_that_make_room_among_each_other_lose_nothing() {
    let make = Maker::new();
    let queues = queues(4, 0);
    let shed: Vec<Copy> = std::thread::scope(|scope| {
        let work = |queue: Queue| {
            let make = &make;
            move || {
                let mut left = Vec::new();
                for name in 1..=2_000 {
                    left.extend(queue.push(make.copy(1, 1_000, name % 2 == 0)));
                    match name % 3 {
                        0 => left.extend(queue.pop()),
                        1 => queue.pop().into_iter().for_each(|copy| queue.put_back(copy)),
                        _ => {}
                    }
                    assert!(queue.shared.budget.used() <= queue.bytes_max());
                    left.iter_mut().for_each(|copy: &mut Copy| copy.room = None);
                }
                left
            }
        };
        let threads: Vec<_> = queues.iter().map(|queue| scope.spawn(work(queue.clone()))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let waiting: Vec<Copy> = queues.iter().flat_map(Queue::clear).collect();
    assert_eq!(shed.len() + waiting.len(), 4 * 2_000);
    drop((shed, waiting));
    assert_eq!(queues[0].shared.budget.used(), 0);
    assert_eq!(queues[0].shared.untrusted_bytes.load(Ordering::Relaxed), 0);
    assert!(queues.iter().all(|queue| queue.held().copies() == 0));
}

#[test]
fn a_copy_counts_with_the_memory_that_it_holds() {
    let make = Maker::new();
    let queue = queue(0);
    let bytes = || (queue.held().bytes(), queue.shared.budget.used());
    let tenant = HeaderMap::from_iter([("tenant".parse().unwrap(), "x".repeat(1_000).parse().unwrap())]);
    let header = metadata_bytes(&tenant);
    assert!((1_000..3_000).contains(&header), "its value, and the table it stands in: {header}");
    let metadata = Arc::new(tenant);
    assert!(queue.push(Copy { memory: 2_000, metadata, ..make.copy(1, 1_000, false) }).is_empty());
    assert_eq!(bytes().0, 2_000 + header + OVERHEAD_BYTES);
    let mut copy = queue.pop().pop().unwrap();
    copy.packed(Message { bytes: vec![0; 100].into(), coding: Coding::Gzip });
    assert_eq!(bytes(), (100 + header + OVERHEAD_BYTES, 100 + header + OVERHEAD_BYTES));
    queue.put_back(copy);
    assert_eq!(names(&queue.clear()), [1]);
    assert_eq!(bytes(), (0, 0));
}

#[test]
fn what_is_on_its_way_keeps_its_room() {
    let make = Maker::new();
    let queue = queue(0);
    for name in 1..=4 {
        assert!(queue.push(make.copy(name, 1_000, true)).is_empty());
    }
    let flying = queue.pop();
    assert_eq!(names(&flying), [1]);
    assert_eq!(names(&queue.push(make.copy(5, 1_000, false))), [2], "not the one on its way");
    queue.put_back(flying.into_iter().next().unwrap());
    let again = queue.pop();
    assert_eq!(names(&again), [1], "before what is newer");
    assert_eq!(queue.held().copies(), 4);
    drop(again);
    assert_eq!(queue.held().copies(), 3);
    assert!(queue.push(make.copy(6, 1_000, false)).is_empty());
    assert_eq!(names(&queue.clear()), [3, 4, 5, 6]);
    assert_eq!((queue.held().copies(), queue.held().bytes()), (0, 0));
    assert!(queue.pop().is_empty());
}

#[test]
fn only_plain_copies_under_one_key_and_lease_are_merged() {
    let make = Maker::new();
    let tenant =
        |name: &str| Arc::new(HeaderMap::from_iter([("tenant".parse().unwrap(), name.parse().unwrap())]));
    let keyed = |name, tenant| Copy { metadata: tenant, ..make.copy(name, 100, false) };
    let queue = Queue::for_workers(1, 1 << 20, 250).remove(0);
    let push = |copy| assert!(queue.push(copy).is_empty());
    push(keyed(1, tenant("a")));
    push(keyed(2, tenant("a"))); // equal, though not the same map
    push(keyed(3, tenant("a"))); // one too many bytes
    push(keyed(4, tenant("b")));
    push(make.copy(5, 100, false));
    push(Copy { coding: Coding::Gzip, ..make.copy(6, 1, false) }); // will be compressed
    push(make.copy(7, 100, false));
    make.client.sever();
    push(make.copy(8, 100, false));
    push(make.copy(9, 100, false));
    push(make.copy(10, 400, false)); // alone, though it is larger
    let order: Vec<_> = std::iter::from_fn(|| Some(queue.pop()).filter(|batch| !batch.is_empty())).collect();
    let order: Vec<_> = order.iter().map(|batch| names(batch)).collect();
    assert_eq!(order, [&[1, 2][..], &[3], &[4], &[5], &[6], &[7], &[8, 9], &[10]]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done with it: it never holds more than it may, and every copy leaves it exactly once.
    #[test]
    fn nothing_vanishes_and_nothing_is_held_beyond_the_bound(
        acts in prop::collection::vec((0u8..5, 0usize..3_000, any::<bool>()), 1..200),
        merge in prop::sample::select(vec![0, 2_500]),
    ) {
        let make = Maker::new();
        let queue = queue(merge);
        let (mut flying, mut left, mut name) = (Vec::new(), Vec::new(), 0);
        for (act, bytes, untrusted) in acts {
            match act {
                0..=1 => {
                    name += 1;
                    left.extend(queue.push(make.copy(name, bytes, untrusted)));
                }
                2 => flying.extend(queue.pop()),
                3 => if let Some(copy) = flying.pop() {
                    queue.put_back(copy);
                },
                _ => if let Some(copy) = flying.pop() {
                    left.push(Copy { room: None, ..copy });
                },
            }
            prop_assert!(queue.held().bytes() <= queue.shared.budget.max());
            prop_assert_eq!(queue.held().bytes(), queue.shared.budget.used());
        }
        left.extend(flying);
        left.extend(queue.clear());
        left.iter_mut().for_each(|copy| copy.room = None);
        prop_assert_eq!((queue.held().copies(), queue.held().bytes()), (0, 0));
        let mut all = names(&left);
        all.sort_unstable();
        prop_assert_eq!(all, (1..=name).collect::<Vec<_>>());
        for copy in left {
            copy.voucher.settle(Fate::Shed { untrusted: copy.untrusted });
        }
    }
}
