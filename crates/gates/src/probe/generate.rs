//! Seed and time to expected traces.

use crate::model::{AttributeValue, Attributes, Event, Kind, Link, Span, SpanId, StatusCode, TraceId};

/// The service name of every trace's entry.
pub const SERVICE: &str = "crossfade-probe";
/// The service that it calls.
pub const PEER_SERVICE: &str = "crossfade-probe-peer";
/// The instrumentation scope of probe spans.
const SCOPE: &str = "crossfade.probe";

/// Times are whole microseconds: what the coarsest of the usual stores keeps.
const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
/// How deep, how wide, and over how many services the traces with such a shape are.
const DEEP: u32 = 32;
const WIDE: u32 = 64;
const SERVICES: u32 = 12;
/// A value as long as the SDKs' usual limits allow and a little more.
const LARGE_CHARS: usize = 16_384;
/// The index of the first trace with such a value.
pub const WITH_LONG_VALUES: u32 = 4;
/// The flag of W3C Trace Context.
const SAMPLED: u32 = 1;
/// No trace is longer.
const LONGEST: u64 = 1_500 * MILLI;

/// One expected trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// Its spans, the root first.
    pub spans: Vec<Span>,
    /// How it is written.
    pub delivery: Delivery,
}

/// How the spans of a trace come to an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// In one request.
    Whole,
    /// In a request for each service, each over a connection of its own: as services on several hosts do.
    ByService,
    /// The root in a request of its own, when all the others can be read: as with a long operation.
    RootLast,
}

impl Trace {
    /// The requests that it is written by, in order; none is empty.
    pub fn requests(&self) -> Vec<Vec<&Span>> {
        match self.delivery {
            Delivery::Whole => vec![self.spans.iter().collect()],
            Delivery::ByService => {
                let mut services: Vec<(&str, Vec<&Span>)> = Vec::new();
                for span in &self.spans {
                    match services.iter_mut().find(|(service, _)| *service == span.service()) {
                        Some((_, spans)) => spans.push(span),
                        None => services.push((span.service(), vec![span])),
                    }
                }
                services.into_iter().map(|(_, spans)| spans).collect()
            }
            Delivery::RootLast => {
                let (root, others) = self.spans.split_at(1.min(self.spans.len()));
                [others, root]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .map(|part| part.iter().collect())
                    .collect()
            }
        }
    }
}

/// The `count` traces that `seed` and `at` stand for. All of their spans have ended by `at` (nanoseconds since 1970), and
/// none began more than two seconds before.
pub fn generate(seed: u64, at: u64, count: u32) -> Vec<Trace> {
    (0..count).map(|index| one(seed, at, index)).collect()
}

fn one(seed: u64, at: u64, index: u32) -> Trace {
    let mut dice = Dice::new(seed ^ at.rotate_left(32), index);
    let id = TraceId(dice.id());
    let end = at.saturating_sub(dice.below(400) * MILLI) / MICRO * MICRO;
    let start = end.saturating_sub(LONGEST - dice.below(1_000_000) * MICRO);
    let mut maker = Maker { dice, id, start, end, spans: Vec::new() };
    maker.trace(index);
    let delivery = match index % 8 {
        5 => Delivery::ByService,
        6 => Delivery::RootLast,
        _ => Delivery::Whole,
    };
    Trace { id, spans: maker.spans, delivery }
}

/// A trace of so many spans with nothing in them, one below the other.
pub(super) fn plain(seed: u64, at: u64, index: u32, spans: usize) -> Trace {
    // Another stream than that of the traces above.
    let mut trace = one(!seed, at, index.wrapping_mul(8));
    let Some(first) = trace.spans.first().cloned() else { return trace };
    let empty = |span: Span, parent: Option<SpanId>| Span {
        parent,
        attributes: Attributes::new(),
        events: Vec::new(),
        links: Vec::new(),
        trace_state: String::new(),
        status: StatusCode::Unset,
        status_message: String::new(),
        ..span
    };
    let mut dice = Dice::new(seed, index);
    let mut parent = None;
    trace.spans = (0..spans)
        .map(|_| {
            let span = Span { span_id: SpanId(dice.id()), ..empty(first.clone(), parent) };
            parent = Some(span.span_id);
            span
        })
        .collect();
    trace
}

struct Maker {
    dice: Dice,
    id: TraceId,
    start: u64,
    end: u64,
    spans: Vec<Span>,
}

impl Maker {
    /// `entry -> (work*, call -> served -> (work*), send -> taken)`.
    fn trace(&mut self, index: u32) {
        let root = self.span(None, SERVICE, Kind::Server, "GET /probe/{item}");
        for _ in 0..self.dice.below(3) {
            self.span(Some(root), SERVICE, Kind::Internal, "probe.work");
        }
        self.span(Some(root), SERVICE, Kind::Internal, "probe.prepare");
        let call = self.span(Some(root), SERVICE, Kind::Client, "POST /probe/store");
        let served = self.span(Some(call), PEER_SERVICE, Kind::Server, "POST /probe/store");
        for _ in 0..self.dice.below(3) {
            self.span(Some(served), PEER_SERVICE, Kind::Internal, "probe.write");
        }
        let send = self.span(Some(root), SERVICE, Kind::Producer, "probe.orders publish");
        let taken = self.span(Some(send), PEER_SERVICE, Kind::Consumer, "probe.orders process");
        let link = |to| Link {
            trace_state: "crossfade=probe".to_owned(),
            attributes: [("probe.link".to_owned(), AttributeValue::Int(1))].into(),
            ..to
        };
        let elsewhere = Link::to(TraceId(self.dice.id()), SpanId(self.dice.id()));
        let links = [link(Link::to(self.id, send)), link(elsewhere.clone()), elsewhere];
        self.shape(index, root);
        if let Some(span) = self.spans.iter_mut().find(|s| s.span_id == taken) {
            span.links.extend(links);
        }
        if let Some(span) = self.spans.first_mut() {
            span.attributes.insert("probe.index".to_owned(), AttributeValue::Int(index.into()));
            (span.start, span.end) = (self.start, self.end);
        }
    }

    /// What some traces have and others do not.
    fn shape(&mut self, index: u32, root: SpanId) {
        match index % 8 {
            1 => {
                let mut parent = root;
                for _ in 0..DEEP {
                    parent = self.span(Some(parent), SERVICE, Kind::Internal, "probe.deeper");
                }
            }
            2 => {
                for _ in 0..WIDE {
                    self.span(Some(root), SERVICE, Kind::Internal, "probe.beside");
                }
            }
            3 => {
                let mut parent = root;
                for number in 0..SERVICES {
                    let service = format!("{PEER_SERVICE}-{number}");
                    parent = self.span(Some(parent), &service, Kind::Server, "GET /probe/hop");
                }
            }
            WITH_LONG_VALUES => {
                let at = self.span(Some(root), SERVICE, Kind::Unspecified, "probe.extremes");
                let extremes = [
                    ("probe.empty", AttributeValue::String(String::new())),
                    ("probe.large", AttributeValue::String("0123456789abcdef".repeat(LARGE_CHARS / 16))),
                    ("probe.int.most", AttributeValue::Int(i64::MAX)),
                    ("probe.emoji", AttributeValue::String("👩‍⚕️ e\u{301} \u{202e}rtl".to_owned())),
                    ("probe.empty.list", AttributeValue::Array(Vec::new())),
                    ("probe.none", AttributeValue::Empty),
                    // No double that is no number: Jaeger 2.13's older search, and its pages, fail over a trace that has one.
                    ("probe.double.least", AttributeValue::Double(f64::MIN)),
                ];
                if let Some(span) = self.spans.iter_mut().find(|span| span.span_id == at) {
                    span.attributes.extend(extremes.map(|(key, value)| (key.to_owned(), value)));
                }
            }
            7 => {
                let at = self.span(Some(root), SERVICE, Kind::Internal, "probe.unsampled");
                if let Some(span) = self.spans.iter_mut().find(|span| span.span_id == at) {
                    span.flags &= !SAMPLED;
                }
            }
            _ => {}
        }
    }

    fn span(&mut self, parent: Option<SpanId>, service: &str, kind: Kind, name: &str) -> SpanId {
        let span_id = SpanId(self.dice.id());
        let micros = (self.end - self.start) / MICRO;
        let from = self.dice.below(micros.max(1));
        let length = 1 + self.dice.below((micros - from).max(1));
        let start = self.start + from * MICRO;
        let (status, status_message) = match self.dice.below(4) {
            0 => (StatusCode::Error, "probe: a made-up failure".to_owned()),
            1 => (StatusCode::Ok, String::new()),
            _ => (StatusCode::Unset, String::new()),
        };
        let trace_state = if parent.is_none() { "crossfade=probe" } else { "" };
        let span = Span {
            trace_id: self.id,
            span_id,
            parent,
            trace_state: trace_state.to_owned(),
            // Sampled; and it is known whether the parent is remote.
            flags: if kind == Kind::Server && parent.is_some() { 0x301 } else { 0x101 },
            resource: resource(service),
            scope: SCOPE.to_owned(),
            scope_version: "1".to_owned(),
            scope_attributes: [("probe.scope".to_owned(), AttributeValue::Bool(true))].into(),
            name: name.to_owned(),
            kind,
            start,
            end: start + length * MICRO,
            attributes: self.attributes(kind),
            events: self.events(start, length),
            links: Vec::new(),
            status,
            status_message,
        };
        self.spans.push(span);
        span_id
    }

    /// Every type, edges of numbers included; text beyond ASCII, and long enough to show a cut.
    fn attributes(&mut self, kind: Kind) -> Attributes {
        use AttributeValue::{Array, Bool, Bytes, Double, Int, Map, String};
        let number = self.dice.next();
        // Fewer digits than a card has, lest a processor that masks cards takes it for one.
        let text = format!("größer ≥ 0, 数字 {}", number % 10_000_000_000);
        let mut out: Attributes = [
            ("probe.bool", Bool(number & 1 == 0)),
            ("probe.int", Int((number >> 25).cast_signed())),
            ("probe.int.least", Int(i64::MIN)),
            ("probe.double", Double(f64::from((number >> 40) as u32) / 256.0 + 0.5)),
            ("probe.bytes", Bytes(number.to_be_bytes().to_vec())),
            ("probe.text", String(text)),
            ("probe.array", Array(vec![String("a".into()), String(format!("{:x}", number & 0xff))])),
            ("probe.map", Map([("n".to_owned(), Int((number & 0xffff).cast_signed()))].into())),
        ]
        .map(|(k, v)| (k.to_owned(), v))
        .into();
        let words: &[(&str, &str)] = match kind {
            Kind::Client | Kind::Server => &[("http.request.method", "POST"), ("url.path", "/probe")],
            Kind::Producer | Kind::Consumer => {
                &[("messaging.system", "probe"), ("messaging.destination.name", "probe.orders")]
            }
            Kind::Internal | Kind::Unspecified => &[("code.function.name", "probe::work")],
        };
        out.extend(words.iter().map(|(k, v)| ((*k).to_owned(), String((*v).to_owned()))));
        if self.dice.below(8) == 0 {
            let long: std::string::String = (0..2_100).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
            out.insert("probe.long".to_owned(), String(long));
        }
        out
    }

    fn events(&mut self, start: u64, micros: u64) -> Vec<Event> {
        let count = self.dice.below(3);
        let mut times: Vec<u64> =
            (0..count).map(|_| start + self.dice.below(micros.max(1)) * MICRO).collect();
        times.sort_unstable();
        let named = times.into_iter().enumerate().map(|(i, time)| {
            let value = AttributeValue::Int(i64::try_from(i).unwrap_or_default());
            Event {
                time,
                name: format!("probe.event.{i}"),
                attributes: [("probe.nth".to_owned(), value)].into(),
            }
        });
        named.collect()
    }
}

fn resource(service: &str) -> Attributes {
    [("service.name", service), ("service.namespace", "crossfade"), ("crossfade.probe", "true")]
        .map(|(k, v)| (k.to_owned(), AttributeValue::String(v.to_owned())))
        .into()
}

/// SplitMix64 (Steele, Lea, Flood 2014): every number of 64 bits once in a period.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, index: u32) -> Self {
        let mut dice = Self(seed);
        let mixed = dice.next() ^ u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A valid id: never all zero.
    fn id<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for chunk in out.chunks_mut(8) {
            let word = self.next().max(1).to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        out
    }
}
