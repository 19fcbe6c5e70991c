use crossfade_gates::inventory::Names;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use super::decode::{PLAIN_BYTES_MAX, SPANS_MAX, Unreadable};
use super::*;
use crate::receive::gunzip::GunzipError;

/// So many traces of three spans each, mixed, in two resources.
fn request(traces: u32) -> Message {
    let span = |trace: u32, number: u8| {
        let mut id = [7; 16];
        id[..4].copy_from_slice(&trace.to_be_bytes());
        Span { trace_id: id.to_vec(), span_id: vec![number; 8], name: "op".to_owned(), ..Span::default() }
    };
    let resource = |numbers: &[u8]| {
        let spans = numbers.iter().flat_map(|number| (0..traces).map(move |trace| span(trace, *number)));
        ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }
    };
    let request = ExportTraceServiceRequest { resource_spans: vec![resource(&[1, 2]), resource(&[3])] };
    Message::identity(request.encode_to_vec())
}

#[test]
fn traces_are_chosen_whole_and_fewer_are_among_those_that_were_more() {
    let mut decoder = Decoder::new();
    let message = request(800);
    let mut last = None;
    for (halvings, share) in [(0, 1.0), (1, 0.5), (3, 0.125), (6, 1.0 / 64.0)] {
        let mut spans = std::collections::BTreeMap::<_, u32>::new();
        let counted = decoder.decode(&message, halvings, |sight| {
            *spans.entry(sight(&mut Names::default()).trace).or_default() += 1
        });
        assert_eq!(counted.unwrap(), u64::from(spans.values().sum::<u32>()));
        assert!(spans.values().all(|spans| *spans == 3), "a trace is taken whole or not at all");
        let (found, expected) = (spans.len() as f64, 800.0 * share);
        assert!((found - expected).abs() <= 4.0 * f64::sqrt(expected * (1.0 - share)), "{halvings}: {found}");
        let chosen: std::collections::BTreeSet<_> = spans.into_keys().collect();
        assert!(
            last.replace(chosen.clone())
                .is_none_or(|more: std::collections::BTreeSet<_>| more.is_superset(&chosen))
        );
    }
}

#[test]
fn what_cannot_be_read_is_an_error_and_the_next_one_is_read() {
    let mut decoder = Decoder::new();
    let sound = request(1);
    let mut odd = sound.bytes.to_vec();
    let name = odd.windows(2).position(|window| window == b"op").unwrap();
    odd[name] = 0xff;
    for bad in [
        Message::identity(odd),
        Message::identity(sound.bytes[..sound.bytes.len() - 1].to_vec()),
        Message { coding: Coding::Gzip, ..sound.clone() },
    ] {
        assert!(decoder.decode(&bad, 0, |_| {}).is_err());
        assert_eq!(decoder.decode(&Message::gzip(&sound.bytes), 0, |_| {}).unwrap(), 3);
    }
}

#[test]
fn a_trace_waits_for_its_other_spans_but_not_without_bound() {
    let mut assembly = Assembly::new(Duration::from_secs(10));
    let mut inventory = Inventory::new();
    let mut decoder = Decoder::new();
    let begun = Instant::now();
    let message = request(100);
    decoder.decode(&message, 0, |sight| assembly.add(sight, begun)).unwrap();
    assembly.finish(begun + Duration::from_secs(9), 4, &mut inventory);
    assert_eq!(inventory.traces, 0);
    assembly.finish(begun + Duration::from_secs(10), 4, &mut inventory);
    assert_eq!((inventory.traces, inventory.spans), (100, 300));
    assert_eq!(inventory.services["unknown_service"].estimated, 400, "each stands for four");
    for _ in 0..2 {
        decoder.decode(&request(10_000), 0, |sight| assembly.add(sight, begun)).unwrap();
    }
    assembly.finish(begun, 1, &mut inventory);
    assert!(inventory.traces >= 100 + 1_666, "60,000 spans do not wait: {}", inventory.traces);
}

// Scenario: a client sends some kilobytes that unpack to 16 MiB of spans, or as many empty spans as fit.
// Guarantee: no more than the bound is unpacked, nothing of it is decoded, and the next request is read.
#[test]
fn a_bomb_is_not_unpacked() {
    let mut decoder = Decoder::new();
    // Empty spans: two bytes each.
    let mut spans = [18u8, 0].repeat(8 << 20);
    let mut head = |number: u8| {
        let length = prost::encoding::encoded_len_varint(spans.len() as u64);
        let mut field = vec![number << 3 | 2];
        prost::encoding::encode_varint(spans.len() as u64, &mut field);
        assert_eq!(field.len(), 1 + length);
        field.append(&mut spans);
        spans = field;
    };
    head(2); // ScopeSpans
    head(1); // ResourceSpans
    let bomb = Message::gzip(&spans);
    assert!(bomb.bytes.len() < 256 << 10 && spans.len() > 16 << 20, "{}", bomb.bytes.len());
    let (mut seen, sound) = (0, request(1));
    for message in [bomb, Message::identity(spans)] {
        assert!(matches!(
            decoder.decode(&message, 0, |_| seen += 1),
            Err(Unreadable::TooLarge | Unreadable::Gzip(GunzipError::TooLarge { limit: PLAIN_BYTES_MAX }))
        ));
        assert!(decoder.held_bytes() <= PLAIN_BYTES_MAX, "{}", decoder.held_bytes());
        assert_eq!(decoder.decode(&Message::gzip(&sound.bytes), 0, |_| {}).unwrap(), 3);
    }
    assert_eq!(seen, 0);
    // Below that many bytes, too many spans.
    let many = request(u32::try_from(SPANS_MAX / 3 + 1).unwrap());
    assert!(many.bytes.len() < PLAIN_BYTES_MAX, "{}", many.bytes.len());
    assert!(matches!(decoder.decode(&many, 0, |_| {}), Err(Unreadable::TooLarge)));
    assert!(decoder.decode(&many, 1, |_| {}).is_ok(), "half of them may be read");
}
