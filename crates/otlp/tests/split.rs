//! What becomes of a request that is split, and of all in it that is not a span.

use crossfade_otlp::{Piece, Span, Splitter, limits, merge, scan};
use proptest::prelude::*;

#[path = "../benches/generator/mod.rs"]
mod generator;
mod oracle;
mod weird;

use oracle::check_split;
use weird::{Field, Value, bytes, encode, field, message, put_varint};

/// What a destination should get of a message, told from how the message was made.
struct Cut {
    content: Vec<u8>,
    spans: usize,
    kept: usize,
}

/// The specification: a message is left as it was if all of its spans go along or it has none, left out if none goes along,
/// and otherwise taken apart.
fn cut(message: &[Field], level: usize, masks: &mut impl Iterator<Item = u8>, bit: u8) -> Cut {
    let mut cut = Cut { content: Vec::new(), spans: 0, kept: 0 };
    let child = if level == 0 { 1 } else { 2 };
    for field in message {
        let Value::Message(inner) = &field.value else {
            field.encode(&mut cut.content);
            continue;
        };
        assert_eq!(field.number, child, "only resources, scopes and spans are messages here");
        let inner = if level == 2 {
            let kept = masks.next().expect("endless") & bit != 0;
            Cut { content: Vec::new(), spans: 1, kept: usize::from(kept) }
        } else {
            self::cut(inner, level + 1, masks, bit)
        };
        cut.spans += inner.spans;
        cut.kept += inner.kept;
        if inner.spans == inner.kept {
            field.encode(&mut cut.content);
        } else if inner.kept > 0 {
            put_varint(&mut cut.content, u64::from(child) << 3 | 2, 0);
            put_varint(&mut cut.content, inner.content.len() as u64, 0);
            cut.content.extend(inner.content);
        }
    }
    cut
}

fn expected(request: &[Field], masks: &[u8], destination: usize) -> Vec<u8> {
    let cut = cut(request, 0, &mut masks.iter().copied().cycle(), 1 << destination);
    if cut.spans == cut.kept {
        encode(request)
    } else if cut.kept == 0 {
        Vec::new()
    } else {
        cut.content
    }
}

fn check(request: &[Field], masks: &[u8]) {
    let parts = check_split(&encode(request), masks).expect("sound");
    for (destination, part) in parts.iter().enumerate() {
        assert_eq!(
            *part,
            expected(request, masks, destination),
            "destination {destination} of masks {masks:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_part_is_the_request_without_the_spans_of_others(
        request in weird::request(),
        masks in proptest::collection::vec(prop_oneof![4 => 0..4u8, 1 => any::<u8>()], 1..9),
    ) {
        check(&request, &masks);
    }

    #[test]
    fn mutilated_requests_are_refused_or_split_soundly(
        request in weird::request_with_faults(),
        cut in 0..3usize,
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
        masks in proptest::collection::vec(any::<u8>(), 1..9),
    ) {
        let mut request = encode(&request);
        request.truncate(request.len().saturating_sub(cut));
        if !request.is_empty() {
            let at = at.index(request.len());
            request[at] ^= 1 << bit;
        }
        let _ = check_split(&request, &masks);
    }
}

fn span(id: u8) -> Field {
    message(2, vec![bytes(1, &[id; 16]), field(7, Value::Fixed64(u64::from(id)))])
}

fn unknown(text: &str) -> Field {
    bytes(77, text.as_bytes())
}

/// A request in which everything that can stand anywhere does.
fn rich() -> Vec<Field> {
    let resource = |name: &str, scopes: Vec<Field>| {
        message(
            1,
            [vec![unknown("before"), bytes(1, name.as_bytes())], scopes, vec![unknown("after")]].concat(),
        )
    };
    let scope = |name: &str, spans: Vec<Field>| {
        message(
            2,
            [vec![bytes(1, name.as_bytes())], spans, vec![bytes(3, b"schema"), bytes(1, b"more")]].concat(),
        )
    };
    vec![
        unknown("first"),
        resource(
            "a",
            vec![scope("a0", vec![span(1), unknown("between"), span(2)]), scope("a1", vec![span(3)])],
        ),
        resource("b", vec![scope("b0", vec![span(4), span(5)])]),
        resource("empty", vec![scope("empty", vec![])]),
        resource("c", vec![scope("c0", vec![]), scope("c1", vec![span(6), span(7), span(8)])]),
        unknown("last"),
    ]
}

#[test]
fn resource_and_scope_are_repeated_only_where_they_have_spans() {
    for masks in [
        &[1, 2, 1, 1, 1, 2, 1, 2][..],
        &[1, 1, 2, 2, 2, 2, 2, 2],
        &[3, 1, 3, 1, 3, 1, 3, 1],
        &[1, 1, 1, 1, 1, 1, 1, 2],
        &[0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 1, 2, 4, 8, 16, 32, 128],
        &[0],
        &[1],
        &[2],
        &[255],
        &[1, 2, 3],
    ] {
        check(&rich(), masks);
    }
}

#[test]
fn a_request_without_spans_is_whole_for_everyone() {
    let empty = [message(1, vec![message(2, vec![]), bytes(1, b"resource")]), unknown("x")];
    for request in [vec![], encode(&empty)] {
        let mut splitter = Splitter::new();
        let split = splitter.split(&request, |_| panic!("there is no span")).expect("sound");
        assert_eq!((split.spans(), split.destinations()), (0, 0));
        for destination in 0..limits::DESTINATIONS {
            let part = split.part(destination);
            assert!(part.is_whole() && !part.is_nothing());
            assert_eq!(part.encoded_len(), request.len());
        }
    }
}

#[test]
fn a_destination_beyond_the_last_gets_nothing() {
    let request = encode(&rich());
    let mut splitter = Splitter::new();
    let split = splitter.split(&request, |_| 255).expect("sound");
    assert!(split.part(7).is_whole());
    for destination in [8, 9, 256, usize::MAX] {
        let part = split.part(destination);
        assert!(part.is_nothing() && !part.is_whole());
        assert_eq!((part.spans(), part.encoded_len(), part.pieces().count()), (0, 0, 0));
    }
}

#[test]
fn a_request_of_four_gigabytes_is_not_split() {
    // Never touched, so it takes no memory.
    let request = vec![0; limits::SPLIT_REQUEST_BYTES + 1];
    let error = Splitter::new().split(&request, |_| 1).expect_err("too long");
    assert_eq!(
        error.to_string(),
        "byte 4294967295: request: a request of 4294967296 bytes is too long to be split"
    );
}

#[test]
fn neighbours_come_as_one_piece() {
    let spans = |ids: std::ops::Range<u8>| message(2, ids.map(span).collect());
    let request = encode(&[message(1, vec![spans(0..100)]), message(1, vec![spans(100..101)])]);
    let mut splitter = Splitter::new();
    let split = splitter.split(&request, |span| if span.trace_id[0] < 60 { 1 } else { 2 }).expect("sound");
    let pieces: Vec<_> = split.part(0).pieces().collect();
    assert!(matches!(pieces[..], [Piece::Header(_), Piece::Header(_), Piece::Original(_)]), "{pieces:?}");
    // The rest of the first resource and all of the second lie side by side.
    let pieces: Vec<_> = split.part(1).pieces().collect();
    assert!(matches!(pieces[..], [Piece::Header(_), Piece::Header(_), Piece::Original(_)]), "{pieces:?}");
}

/// Allocations, freed again or not.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn a_scan_allocates_nothing() {
    for spans in [64, 4_096] {
        let request = generator::request_of(spans);
        let mut seen = 0;
        let count = allocations(|| seen = scan(&request).filter(|span| span.is_ok()).count());
        assert_eq!((seen, count), (spans, 0));
    }
}

/// Scenario: requests of few and of many spans, whose neighbours part ways, are split one after the other. Guarantee: no
/// allocation per span: a splitter that has seen as large a request allocates nothing, a new one only as its lists double.
#[test]
fn a_split_allocates_nothing_per_span() {
    let mut new = Vec::new();
    for spans in [64, 4_096] {
        let request = generator::request_of(spans);
        let mut splitter = Splitter::new();
        let mut out = Vec::with_capacity(2 * request.len());
        let mut split = |round: u8| {
            let decide = |span: &Span<'_>| 1 << ((span.trace_id[15] ^ round) & 1);
            let split = splitter.split(&request, decide).expect("sound");
            assert_eq!((split.spans(), split.destinations()), (spans, 3));
            out.clear();
            split.part(0).write_to(&mut out);
            split.part(1).write_to(&mut out);
        };
        new.push(allocations(|| split(0)));
        // As many pieces each round, since the masks are only swapped.
        for round in 0..4 {
            assert_eq!(allocations(|| split(round)), 0, "round {round} of {spans} spans");
        }
        let scratch = splitter.scratch_bytes();
        assert!(
            scratch < request.len() / 30 + 1_000,
            "{scratch} bytes of scratch for {} bytes",
            request.len()
        );
    }
    assert!(new[1] <= new[0] + 7, "64 times as many spans are six doublings: {new:?}");
}

#[test]
fn messages_that_go_the_same_way_take_no_scratch() {
    let resource = |id| message(1, vec![message(2, vec![span(id)])]);
    let mut request = vec![resource(1); 10_000];
    request.push(message(1, vec![message(2, vec![span(1), span(2)])]));
    let request = encode(&request);
    let mut splitter = Splitter::new();
    let split = splitter.split(&request, |span| span.trace_id[0]).expect("sound");
    assert_eq!(split.part(1).spans(), 1);
    assert!(splitter.scratch_bytes() < 1000, "{} bytes", splitter.scratch_bytes());
}

#[test]
fn scratch_is_bounded_for_the_worst_request_and_given_back() {
    let tiny = |count| message(2, vec![message(2, vec![]); count]);
    for request in [
        vec![message(1, vec![tiny(30_000)])],
        vec![message(1, vec![tiny(2); 10_000])],
        vec![message(1, vec![tiny(2)]); 10_000],
    ] {
        let request = encode(&request);
        let mut splitter = Splitter::new();
        let mut turn = 0;
        let split = splitter.split(&request, |_| {
            turn += 1;
            1 << (turn & 1)
        });
        assert_eq!(split.expect("sound").destinations(), 3);
        let scratch = splitter.scratch_bytes();
        assert!(
            scratch <= limits::SCRATCH_BYTES_PER_REQUEST_BYTE * request.len(),
            "{scratch} for {}",
            request.len()
        );
        splitter.shrink_to(10_000);
        assert!(splitter.scratch_bytes() <= 10_000);
        // And works on.
        assert_eq!(splitter.split(&request, |_| 4).expect("sound").part(2).encoded_len(), request.len());
    }
}

#[test]
fn merged_requests_hold_all_spans_in_order() {
    let (first, second) = (encode(&rich()), generator::request());
    let mut merged = b"kept".to_vec();
    merge([&first[..], &[], &second[..]].into_iter(), &mut merged);
    assert_eq!(merged[..4], *b"kept");
    assert_eq!(oracle::rows(&merged[4..]), [oracle::rows(&first), oracle::rows(&second)].concat());
}
