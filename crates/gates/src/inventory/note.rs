//! One trace, entered into an inventory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Call, Caller, Inventory, Latency, LeftOut, Peer, Recent, Seen, Service, Sight, limits};
use crate::model::{SpanId, TraceId};

const MINUTE_NANOS: u64 = 60_000_000_000;
/// Minutes of which trace ids are kept.
const RECENT_MINUTES: usize = 60;
/// Services named with a trace id.
const RECENT_SERVICES: usize = 8;

/// Service, operation, peer.
pub(crate) type CallKey = (String, String, Peer);

impl Inventory {
    /// Enters what was seen of one trace, which stands for `weight` of them. To be called once for a trace. With `only`, that
    /// service's spans alone count, and the others are there to know the parents.
    pub fn note(&mut self, trace: &[Sight], only: Option<&str>, weight: u32) {
        let Some(first) = trace.first() else { return };
        self.serial += 1;
        self.traces = self.traces.saturating_add(1);
        let by_id: BTreeMap<SpanId, &Sight> = trace.iter().map(|sight| (sight.span, sight)).collect();
        let root = trace.iter().find(|sight| sight.parent.is_none());
        for sight in trace.iter().filter(|sight| only.is_none_or(|only| *sight.service == *only)) {
            self.spans = self.spans.saturating_add(1);
            let parent = sight.parent.map(|id| by_id.get(&id).copied());
            self.sight(sight, parent, root, weight);
        }
        self.calls(trace, &by_id, only);
        self.remember(first.trace, trace);
    }

    /// `parent`: `None` for a root, `Some(None)` if it is not there.
    fn sight(&mut self, sight: &Sight, parent: Option<Option<&Sight>>, root: Option<&Sight>, weight: u32) {
        let at = At { start: sight.start, trace: sight.trace, serial: self.serial };
        let left_out = &mut self.left_out;
        let Some(service) =
            slot(&mut self.services, &sight.service, limits::SERVICES, &mut left_out.services)
        else {
            return;
        };
        if service.seen.note(at) {
            service.estimated = service.estimated.saturating_add(u64::from(weight));
            let minutes = &mut service.minutes;
            let count = minutes.entry(sight.start / MINUTE_NANOS).or_default();
            *count = count.saturating_add(1);
            if minutes.len() > limits::MINUTES {
                minutes.pop_first();
            }
        }
        service.parts(sight, at, left_out);
        if sight.failed {
            service.failed.note(at);
        }
        if sight.is_entry() {
            service.took.record(sight.end.saturating_sub(sight.start));
        }
        match parent {
            None if sight.is_entry() => drop(service.roots.note(at)),
            None => {}
            Some(None) => drop(service.orphans.note(at)),
            Some(Some(parent)) if parent.service != sight.service => {
                let callers = &mut service.callers;
                if let Some(caller) = slot(callers, &parent.service, limits::CALLERS, &mut left_out.callers) {
                    caller.note(at, parent, root);
                }
            }
            Some(Some(_)) => {}
        }
    }

    fn calls(&mut self, trace: &[Sight], by_id: &BTreeMap<SpanId, &Sight>, only: Option<&str>) {
        let mut answered = std::collections::BTreeSet::new();
        for sight in trace {
            let parent = sight.parent.and_then(|id| by_id.get(&id));
            if let Some(parent) = parent.filter(|parent| parent.service != sight.service) {
                answered.insert(parent.span);
            }
        }
        for sight in trace.iter().filter(|sight| only.is_none_or(|only| *sight.service == *only)) {
            let Some(peer) = &sight.peer else {
                let service = self.services.get_mut(&*sight.service);
                if let Some(service) = service.filter(|_| sight.is_call() && !answered.contains(&sight.span))
                {
                    service.nameless_calls = service.nameless_calls.saturating_add(1);
                }
                continue;
            };
            let at = At { start: sight.start, trace: sight.trace, serial: self.serial };
            let Some(call) = self.call(sight, peer) else { continue };
            call.seen.note(at);
            call.calls = call.calls.saturating_add(1);
            call.failed = call.failed.saturating_add(u32::from(sight.failed));
            call.answered = call.answered.saturating_add(u32::from(answered.contains(&sight.span)));
            call.latency.record(sight.end.saturating_sub(sight.start));
            if call.mock_mark.is_none() {
                call.mock_mark = sight.mock_mark.as_ref().map(|mark| mark.to_string());
            }
        }
    }

    fn call(&mut self, sight: &Sight, peer: &Peer) -> Option<&mut Call> {
        let mut key = (sight.service.to_string(), sight.operation.to_string(), peer.clone());
        if !self.index.contains_key(&key) {
            let operations = self.peers.entry((key.0.clone(), peer.clone())).or_default();
            if *operations < limits::CALL_OPERATIONS {
                *operations += 1;
            } else {
                // Many names of one caller must not take the room of other peers.
                key.1.clear();
            }
        }
        let place = match self.index.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) if self.calls.len() >= limits::CALLS => {
                self.left_out.calls = self.left_out.calls.saturating_add(1);
                return None;
            }
            Entry::Vacant(free) => {
                let (service, operation, peer) = free.key().clone();
                self.calls.push(Call {
                    service,
                    operation,
                    peer,
                    seen: Seen::default(),
                    calls: 0,
                    failed: 0,
                    answered: 0,
                    latency: Latency::default(),
                    mock_mark: None,
                });
                *free.insert(self.calls.len() - 1)
            }
        };
        self.calls.get_mut(place)
    }

    /// Keeps the ids of so many traces of each minute, those with the least hash: an even choice, whatever their order.
    fn remember(&mut self, trace: TraceId, sights: &[Sight]) {
        let start = sights.iter().map(|sight| sight.start).filter(|start| *start > 0).min().unwrap_or(0);
        if self.recent.get(&(start / MINUTE_NANOS)).is_some_and(|minute| is_full(minute, trace)) {
            return;
        }
        let mut services: Vec<String> = Vec::new();
        for sight in sights {
            if services.len() < RECENT_SERVICES && services.iter().all(|known| **known != *sight.service) {
                services.push(sight.service.to_string());
            }
        }
        let spans = u32::try_from(sights.len()).unwrap_or(u32::MAX);
        let new = Recent { trace_id: trace, start, spans, services };
        let minute = self.recent.entry(start / MINUTE_NANOS).or_default();
        let place = minute.partition_point(|known| hash(known.trace_id) < hash(trace));
        // One that was looked at for several services is one.
        if minute.get(place).is_some_and(|known| known.trace_id == trace) {
            return;
        }
        minute.insert(place, new);
        minute.truncate(limits::RECENT);
        while self.recent.len() > RECENT_MINUTES {
            self.recent.pop_first();
        }
    }
}

/// Whether there is no room for this one.
fn is_full(minute: &[Recent], trace: TraceId) -> bool {
    minute.len() >= limits::RECENT && minute.last().is_some_and(|last| hash(last.trace_id) <= hash(trace))
}

/// FNV-1a, and its bits mixed: it decides only which ids are kept.
fn hash(trace: TraceId) -> u64 {
    let fnv = trace.0.into_iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (fnv ^ fnv >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// When, and in which trace.
#[derive(Clone, Copy)]
struct At {
    start: u64,
    trace: TraceId,
    serial: u64,
}

impl Seen {
    /// Returns whether it is the first time in this trace.
    fn note(&mut self, at: At) -> bool {
        if at.start > 0 {
            self.first = if self.first == 0 { at.start } else { self.first.min(at.start) };
        }
        if at.start >= self.last {
            self.example = Some(at.trace);
            self.last = at.start;
        }
        let new = self.mark != at.serial;
        if new {
            self.mark = at.serial;
            self.traces = self.traces.saturating_add(1);
        }
        new
    }
}

impl Service {
    fn parts(&mut self, sight: &Sight, at: At, left_out: &mut LeftOut) {
        let operations = (&mut self.operations, limits::OPERATIONS, &mut left_out.operations);
        if let Some(seen) = slot(operations.0, &sight.operation, operations.1, operations.2) {
            seen.note(at);
        }
        if let Some(seen) = slot(&mut self.kinds, sight.kind.word(), usize::MAX, &mut 0) {
            seen.note(at);
        }
        for key in &sight.keys {
            if let Some(seen) = slot(&mut self.keys, key, limits::KEYS, &mut left_out.keys) {
                seen.note(at);
            }
        }
    }
}

impl Caller {
    fn note(&mut self, at: At, parent: &Sight, root: Option<&Sight>) {
        self.seen.note(at);
        // The operation that a person watches is where the caller was called, and that is often the root.
        let root = root.filter(|root| root.service == parent.service && root.span != parent.span);
        for operation in [Some(parent), root].into_iter().flatten().map(|sight| &sight.operation) {
            if let Some(count) = slot(&mut self.via, operation, limits::VIA, &mut 0) {
                *count = count.saturating_add(1);
            }
        }
    }
}

/// The entry of a name; a new one if there is room, else it is counted as left out.
fn slot<'m, T: Default>(
    map: &'m mut BTreeMap<String, T>,
    name: &str,
    most: usize,
    left_out: &mut u32,
) -> Option<&'m mut T> {
    if !map.contains_key(name) {
        if map.len() >= most {
            *left_out = left_out.saturating_add(1);
            return None;
        }
        map.insert(name.to_owned(), T::default());
    }
    map.get_mut(name)
}
