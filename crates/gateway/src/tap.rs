//! The tap: what clients *sent*, in outline, read beside the way of a request and never on it.
//!
//! An environment that records nothing of a service is blind, or the service is silent; which of the two, only the gateway
//! knows. So it keeps an inventory ([`crossfade_gates::inventory`]) of what came by: names, kinds, attribute keys, call edges,
//! and no values but those that name an outside service.
//!
//! ```text
//! worker ──try──► its box (bounded, by bytes) ──every tick──► one thread: unpack, choose traces, decode, assemble ──► inventory
//! ```
//!
//! A worker hands over a request by a reference to its bytes, and only if the lock of its own box is free and there is room;
//! otherwise the request is shed, and counted. Nobody is woken for it. The thread works for its share of one processor, by its
//! own watch, and rests for the remainder. If that is not enough it takes fewer traces: half as many each time, chosen by a
//! hash of the trace id, so that a trace is taken whole or not at all. (By request would be cheaper, and would tear the call
//! edges, which are what is looked for. The seed is not that of the routing: the sample would be all one colour.)
//!
//! What came by is counted in spans, by the minute, and so is what was not seen of it: shed, not readable, or too many spans of one trace. What
//! is not taken by choice is no part of that.
//!
//! | module | holds |
//! |---|---|
//! | `decode` | one request to what is seen of its spans |
//! | `assemble` | spans of one trace from several requests |
//! | `pace` | the share of a processor, and how many traces that is |

mod assemble;
mod decode;
mod pace;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossfade_backends::otlp::{Coding, Message};
use crossfade_gates::inventory::limits::MINUTES;
use crossfade_gates::inventory::{Inventory, Passed, TapCounts};

use self::assemble::Assembly;
use self::decode::Decoder;
use self::pace::Pace;
use crate::clock;
use crate::config::TapConfig;

const MINUTE_NANOS: u64 = 60_000_000_000;
/// How often the boxes are emptied.
const TICK: Duration = Duration::from_millis(20);
/// A message shorter than this is copied: it may be a slice of a much larger read buffer, which it would keep.
const COPIED_BYTES: usize = 2 << 10;
/// What a small request takes up beside its bytes.
const MESSAGE_BYTES: usize = 256;
/// What a longer one counts at least, for the same reason.
const SLICE_BYTES: usize = 128 << 10;
/// The tap's thread gives way to those that serve.
const NICENESS: i32 = 10;

/// What the workers, the thread and whoever reads share.
#[derive(Debug)]
pub(crate) struct Tap {
    enabled: bool,
    boxes: Vec<Arc<TapBox>>,
    counts: Arc<Counts>,
    held: Mutex<Held>,
}

/// One worker's end.
#[derive(Debug)]
pub(crate) struct TapBox {
    enabled: bool,
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    /// Spans that came since the box was last emptied, and those of them that were shed.
    spans: AtomicU64,
    shed_spans: AtomicU64,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Tapped>,
    bytes: usize,
}

/// A request, and how many spans it has.
#[derive(Debug)]
struct Tapped {
    message: Message,
    spans: u64,
}

#[derive(Debug, Default)]
struct Counts {
    tapped: AtomicU64,
    shed: AtomicU64,
    unreadable: AtomicU64,
    spans: AtomicU64,
    unseen: AtomicU64,
    busy: AtomicU64,
    /// The exponent: one trace in 2^n.
    halvings: AtomicU32,
}

/// What was seen. Only the tap's own thread waits for it, and whoever asks.
#[derive(Debug)]
struct Held {
    inventory: Inventory,
    assembly: Assembly,
    /// By the minute.
    passed: BTreeMap<u64, Passed>,
}

impl TapBox {
    /// Hands over a request of so many spans, if that costs nothing.
    pub(crate) fn offer(&self, message: &Message, spans: u64) {
        if !self.enabled || spans == 0 {
            return;
        }
        self.spans.fetch_add(spans, Ordering::Relaxed);
        let Ok(mut waiting) = self.waiting.try_lock() else {
            self.shed(spans);
            return;
        };
        let length = message.bytes.len();
        let weight = if length < COPIED_BYTES { length.max(MESSAGE_BYTES) } else { length.max(SLICE_BYTES) };
        if waiting.bytes + weight > self.bytes_max {
            drop(waiting);
            self.shed(spans);
            return;
        }
        waiting.bytes += weight;
        let bytes = if length < COPIED_BYTES {
            Bytes::copy_from_slice(&message.bytes)
        } else {
            message.bytes.clone()
        };
        waiting.messages.push(Tapped { message: Message { bytes, coding: message.coding }, spans });
    }

    fn shed(&self, spans: u64) {
        self.counts.shed.fetch_add(1, Ordering::Relaxed);
        self.shed_spans.fetch_add(spans, Ordering::Relaxed);
    }
}

impl Tap {
    pub(crate) fn new(config: &TapConfig, workers: usize) -> Arc<Tap> {
        let counts: Arc<Counts> = Arc::default();
        let enabled = config.cpu_share_ppm > 0;
        let tap_box = || {
            Arc::new(TapBox {
                enabled,
                bytes_max: config.box_bytes,
                waiting: Mutex::default(),
                spans: AtomicU64::new(0),
                shed_spans: AtomicU64::new(0),
                counts: Arc::clone(&counts),
            })
        };
        let assembly = Assembly::new(config.settle);
        let held = Held { inventory: Inventory::new(), assembly, passed: BTreeMap::new() };
        Arc::new(Tap {
            enabled,
            boxes: (0..workers).map(|_| tap_box()).collect(),
            counts,
            held: Mutex::new(held),
        })
    }

    /// The end of one worker.
    pub(crate) fn of_worker(&self, number: usize) -> Arc<TapBox> {
        Arc::clone(self.boxes.get(number).expect("there is one for each worker"))
    }

    /// Looks at the inventory. The tap's thread waits meanwhile; nobody else does.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Inventory) -> T) -> T {
        look(&self.held().inventory)
    }

    /// What came by, by the minute.
    pub(crate) fn passed(&self) -> BTreeMap<u64, Passed> {
        self.held().passed.clone()
    }

    pub(crate) fn counts(&self) -> TapCounts {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TapCounts {
            enabled: self.enabled,
            one_in: 1 << self.counts.halvings.load(Ordering::Relaxed),
            tapped: count(&self.counts.tapped),
            shed: count(&self.counts.shed),
            unreadable: count(&self.counts.unreadable),
            spans: count(&self.counts.spans),
            unseen: count(&self.counts.unseen),
            busy: count(&self.counts.busy),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Ends the thread when it is dropped.
#[derive(Debug)]
pub(crate) struct TapThread {
    _alive: Option<mpsc::Sender<()>>,
}

/// Starts the thread, if the tap is to look at all.
pub(crate) fn start(tap: &Arc<Tap>, config: &TapConfig) -> io::Result<TapThread> {
    if !tap.enabled {
        return Ok(TapThread { _alive: None });
    }
    let (alive, ended) = mpsc::channel();
    let share = f64::from(config.cpu_share_ppm) / 1e6;
    let work = Work {
        tap: Arc::clone(tap),
        decoder: Decoder::new(),
        pace: Pace::new(share, Instant::now()),
        waiting: VecDeque::new(),
        passed: Passed::default(),
    };
    thread::Builder::new().name("tap".to_owned()).spawn(move || work.run(&ended))?;
    Ok(TapThread { _alive: Some(alive) })
}

/// The thread.
struct Work {
    tap: Arc<Tap>,
    decoder: Decoder,
    pace: Pace,
    /// Taken out of the boxes, and not yet looked at.
    waiting: VecDeque<Tapped>,
    /// Not yet entered.
    passed: Passed,
}

impl Work {
    fn run(mut self, ended: &mpsc::Receiver<()>) {
        // A system that does not let it give way has it run as the others do.
        let _ = rustix::process::nice(NICENESS);
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            self.tick(Instant::now());
        }
    }

    fn tick(&mut self, now: Instant) {
        self.pace.begin(now);
        if self.waiting.is_empty() {
            self.collect();
        }
        while self.pace.has_time()
            && let Some(tapped) = self.waiting.pop_front()
        {
            self.look(&tapped);
        }
        let tap = Arc::clone(&self.tap);
        let mut held = tap.held();
        // What it waits for whoever reads is no work.
        let begun = Instant::now();
        let Held { inventory, assembly, passed } = &mut *held;
        let weight = 1 << self.pace.halvings();
        assembly.finish(now, weight, inventory);
        self.passed.unseen += std::mem::take(&mut assembly.cut_off) * u64::from(weight);
        self.enter(passed);
        self.spent(begun.elapsed());
        drop(held);
        let shed = self.tap.counts.shed.load(Ordering::Relaxed);
        self.pace.end(now, shed, self.waiting.is_empty());
        self.tap.counts.halvings.store(self.pace.halvings(), Ordering::Relaxed);
    }

    /// Empties the boxes.
    fn collect(&mut self) {
        for tap_box in &self.tap.boxes {
            let taken = std::mem::take(&mut *tap_box.waiting.lock().expect("a short lock"));
            self.tap.counts.tapped.fetch_add(taken.messages.len() as u64, Ordering::Relaxed);
            self.waiting.extend(taken.messages);
        }
    }

    /// Enters what came and what was not seen since the last time.
    fn enter(&mut self, passed: &mut BTreeMap<u64, Passed>) {
        for tap_box in &self.tap.boxes {
            self.passed.spans += tap_box.spans.swap(0, Ordering::Relaxed);
            self.passed.unseen += tap_box.shed_spans.swap(0, Ordering::Relaxed);
        }
        let more = std::mem::take(&mut self.passed);
        if more == Passed::default() {
            return;
        }
        self.tap.counts.unseen.fetch_add(more.unseen, Ordering::Relaxed);
        *passed.entry(clock::now().0 / MINUTE_NANOS).or_default() += more;
        while passed.len() > MINUTES {
            passed.pop_first();
        }
    }

    fn look(&mut self, Tapped { message, spans }: &Tapped) {
        let tap = Arc::clone(&self.tap);
        let mut held = tap.held();
        let now = Instant::now();
        let assembly = &mut held.assembly;
        match self.decoder.decode(message, self.pace.halvings(), |sight| assembly.add(sight, now)) {
            Ok(spans) => drop(self.tap.counts.spans.fetch_add(spans, Ordering::Relaxed)),
            Err(_) => {
                self.tap.counts.unreadable.fetch_add(1, Ordering::Relaxed);
                self.passed.unseen += spans;
            }
        }
        self.spent(now.elapsed());
    }

    fn spent(&mut self, busy: Duration) {
        self.pace.spent(busy);
        let nanos = u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX);
        self.tap.counts.busy.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Whether it is compressed.
fn is_packed(message: &Message) -> bool {
    message.coding == Coding::Gzip
}
