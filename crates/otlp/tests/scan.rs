//! What scan sees is what prost decodes: in every encoding that protobuf allows, and in none that it does not.

use crossfade_otlp::scan;
use proptest::prelude::*;

mod oracle;
mod weird;

use oracle::check_scan;
use weird::{Field, Value, bytes, encode, field, message};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn weird_but_sound_requests_are_scanned(request in weird::request()) {
        check_scan(&encode(&request)).expect("sound");
    }

    #[test]
    fn faults_are_seen_where_prost_sees_them(request in weird::request_with_faults()) {
        let _ = check_scan(&encode(&request));
    }

    #[test]
    fn mutilated_requests_are_judged_as_prost_does(
        request in weird::request(),
        cut in any::<prop::sample::Index>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8u8), 0..4),
    ) {
        let mut request = encode(&request);
        request.truncate(cut.index(request.len() + 1));
        for (at, bit) in flips {
            if !request.is_empty() {
                let at = at.index(request.len());
                request[at] ^= 1 << bit;
            }
        }
        let _ = check_scan(&request);
    }

    #[test]
    fn random_bytes_are_judged_as_prost_does(
        bytes in proptest::collection::vec(prop_oneof![0..24u8, any::<u8>()], 0..80),
    ) {
        let _ = check_scan(&bytes);
    }
}

/// Three spans in two scopes, every known field in use, one unknown.
fn usual() -> Vec<u8> {
    let span = |trace: u8| {
        message(
            2,
            vec![
                bytes(1, &[trace; 16]),
                bytes(2, &[2; 8]),
                bytes(3, b"vendor=1"),
                bytes(4, &[4; 8]),
                bytes(5, b"GET /carts/{cart}"),
                field(6, Value::Varint(2)),
                field(7, Value::Fixed64(1_790_000_000_000_000_000)),
                field(8, Value::Fixed64(1_790_000_000_100_000_000)),
                bytes(9, b"\x0a\x01k\x12\x03\x0a\x01v"),
                bytes(9, &[&b"\x0a\x01k\x12\x83\x01\x0a\x80\x01"[..], &[b'v'; 128]].concat()),
                field(10, Value::Varint(3)),
                bytes(11, b"\x12\x05cache"),
                field(12, Value::Varint(300)),
                bytes(13, b"\x0a\x01\x07"),
                field(14, Value::Varint(1)),
                bytes(15, b"\x18\x01"),
                field(16, Value::Fixed32(0x101)),
                field(100, Value::Group(vec![bytes(1, b"x")])),
            ],
        )
    };
    let scope = |spans| message(2, [vec![bytes(1, b"\x0a\x04name")], spans, vec![bytes(3, b"url")]].concat());
    encode(&[message(1, vec![bytes(1, b""), scope(vec![span(1), span(2)]), scope(vec![span(3)])])])
}

#[test]
fn every_truncation_is_judged_as_prost_does() {
    let request = usual();
    assert_eq!(check_scan(&request).expect("sound").len(), 3);
    for length in 0..request.len() {
        let cut = check_scan(&request[..length]);
        assert_eq!(cut.is_ok(), length == 0, "cut to {length} bytes");
    }
}

#[test]
fn every_flipped_bit_is_judged_as_prost_does() {
    let mut request = usual();
    for at in 0..request.len() {
        for bit in 0..8 {
            request[at] ^= 1 << bit;
            let _ = check_scan(&request);
            request[at] ^= 1 << bit;
        }
    }
}

/// The spans of a request with one span of these fields.
fn scan_one(fields: Vec<Field>) -> Vec<(Vec<u8>, u64)> {
    let request = encode(&[message(1, vec![message(2, vec![message(2, fields)])])]);
    let spans = check_scan(&request).expect("sound");
    spans.iter().map(|span| (span.trace_id.to_vec(), span.start_unix_nano)).collect()
}

#[test]
fn the_last_of_several_scalars_wins() {
    let times = [1, 2, 3].map(|time| field(7, Value::Fixed64(time)));
    let seen = scan_one([&[bytes(1, &[1; 16])][..], &times, &[bytes(1, &[2; 16])]].concat());
    assert_eq!(seen, [(vec![2; 16], 3)]);
    let cleared = scan_one(vec![bytes(1, &[1; 16]), bytes(1, b"")]);
    assert_eq!(cleared, [(vec![], 0)]);
}

#[test]
fn varints_may_be_longer_than_needed() {
    for padding in 0..10 {
        let mut padded = bytes(1, &[7; 16]);
        padded.padding = (padding, padding);
        assert_eq!(scan_one(vec![padded, field(7, Value::Fixed64(5))]), [(vec![7; 16], 5)]);
    }
}

/// Groups this deep inside each other, the innermost empty.
fn nested(depth: usize) -> Field {
    (1..depth).fold(field(1000, Value::Group(vec![])), |inner, _| field(1000, Value::Group(vec![inner])))
}

#[test]
fn groups_nest_as_deep_as_prost_lets_them() {
    let within = |levels: usize, inner: Field| {
        let inner = vec![inner];
        match levels {
            0 => encode(&inner),
            1 => encode(&[message(1, inner)]),
            2 => encode(&[message(1, vec![message(2, inner)])]),
            _ => encode(&[message(1, vec![message(2, vec![message(2, inner)])])]),
        }
    };
    for levels in 0..4 {
        let deepest = 100 - levels;
        assert!(check_scan(&within(levels, nested(deepest))).is_ok());
        let error = check_scan(&within(levels, nested(deepest + 1))).expect_err("too deep");
        assert!(error.to_string().ends_with("1000: groups are nested too deep"), "{error}");
    }
    // However deep it goes on, it is refused before the stack could overflow.
    assert!(check_scan(&[0x1b; 100_000]).is_err());
}

#[test]
fn a_message_without_spans_counts_as_an_index() {
    let span = message(2, vec![bytes(1, b"id")]);
    let request = encode(&[message(1, vec![]), message(1, vec![message(2, vec![]), message(2, vec![span])])]);
    let spans = check_scan(&request).expect("sound");
    assert_eq!((spans[0].resource, spans[0].scope), (1, 1));
}

#[test]
fn a_scan_counts_and_stays_ended() {
    let request = usual();
    let mut spans = scan(&request[..request.len() - 1]);
    assert_eq!(spans.spans_seen(), 0);
    assert!(spans.next().is_some_and(|error| error.is_err()));
    assert!(spans.next().is_none());
    let mut spans = scan(&request);
    assert_eq!(spans.by_ref().count(), 3);
    assert_eq!(spans.spans_seen(), 3);
    assert!(spans.next().is_none());
}
