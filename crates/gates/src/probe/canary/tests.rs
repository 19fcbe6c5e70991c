//! The canary matrix: every kind in every field.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::unbase64;

const AT: u64 = 1_800_000_000_000_000_000;

fn all() -> (Vec<Trace>, Vec<Canary>) {
    let (traces, planted) = canaries(7, AT, &Sensitive::ALL, 1);
    (traces.into_iter().map(|(_, trace)| trace).collect(), planted)
}

fn spans(traces: &[Trace]) -> Vec<Span> {
    traces.iter().flat_map(|trace| trace.spans.clone()).collect()
}

/// Scenario: an environment masks nothing. Guarantee: each kind is found in each field that takes it, and the field is named.
#[test]
fn every_kind_is_found_in_every_field() {
    let (traces, planted) = all();
    let found = leaks(&planted, &spans(&traces));
    let cells: BTreeSet<(Sensitive, Option<Field>)> =
        found.iter().map(|leak| (leak.kind, leak.field)).collect();
    let wanted: BTreeSet<(Sensitive, Option<Field>)> = Sensitive::ALL
        .into_iter()
        .flat_map(|kind| {
            Field::ALL
                .into_iter()
                .filter(move |field| field.takes(kind))
                .map(move |field| (kind, Some(field)))
        })
        .collect();
    println!("canary matrix: {} of {} cells found", cells.intersection(&wanted).count(), wanted.len());
    assert_eq!(cells, wanted);
    assert_eq!(found.len(), planted.len(), "nothing twice");
    assert!(planted.len() >= 150, "{}", planted.len());
}

/// Scenario: three receivers, and what masks stands behind two of them. Guarantee: each takes every kind in every field, in traces of its
/// own; what leaks names the third.
#[test]
fn every_receiver_takes_every_canary() {
    let (traces, planted) = canaries(7, AT, &Sensitive::ALL, 3);
    let ids: BTreeSet<TraceId> = traces.iter().map(|(_, trace)| trace.id).collect();
    let spans: BTreeSet<SpanId> = planted.iter().map(|canary| canary.span).collect();
    assert_eq!((ids.len(), spans.len()), (3 * Sensitive::ALL.len(), planted.len()));
    let third = traces.iter().filter(|(receiver, _)| *receiver == 2);
    let found = leaks(&planted, &third.flat_map(|(_, trace)| trace.spans.clone()).collect::<Vec<_>>());
    assert_eq!(found.len() * 3, planted.len());
    assert!(found.iter().all(|leak| leak.receiver == Some(2)));
}

/// Scenario: a processor masks one field and no other. Guarantee: all the others are still found.
#[test]
fn masking_one_field_hides_that_one_only() {
    let (mut traces, planted) = all();
    for span in traces.iter_mut().flat_map(|trace| &mut trace.spans) {
        span.attributes.remove("probe.note");
    }
    let found = leaks(&planted, &spans(&traces));
    assert_eq!(found.len(), planted.len() - Sensitive::ALL.len());
    assert!(found.iter().all(|leak| leak.field != Some(Field::SpanAttribute)));
}

/// Scenario: a processor moves an attribute to another span, or a store keeps bytes as base64.
/// Guarantee: the value is found all the same.
#[test]
fn a_value_is_found_wherever_it_went() {
    let (traces, planted) = all();
    let mut span = spans(&traces).remove(0);
    span.span_id = SpanId([9; 8]);
    span.name = Sensitive::Email.sentence();
    let found = leaks(&planted, &[span.clone()]);
    assert_eq!(
        found.iter().map(|leak| (leak.kind, leak.field)).collect::<Vec<_>>(),
        [(Sensitive::Email, None)]
    );
    span.name = String::new();
    let text = crate::model::base64(Sensitive::Card.sentence().as_bytes());
    span.attributes = [("probe.bytes".to_owned(), AttributeValue::String(text))].into();
    assert_eq!(leaks(&planted, &[span]).len(), 1);
}

/// Card numbers are test numbers that a check of cards takes for one, and no other digits of a canary are.
#[test]
fn cards_satisfy_luhn() {
    for kind in [Sensitive::Card, Sensitive::CardInGroups] {
        let digits: Vec<u32> = kind.value().chars().filter_map(|c| c.to_digit(10)).collect();
        let doubled =
            |place: usize, digit: u32| if place % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit };
        let sum: u32 = digits.iter().rev().enumerate().map(|(place, digit)| doubled(place, *digit)).sum();
        assert_eq!((digits.len(), sum % 10), (16, 0), "{}", kind.value());
    }
}

proptest! {
    #[test]
    fn base64_goes_both_ways(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
        prop_assert_eq!(unbase64(&crate::model::base64(&bytes)), Some(bytes));
    }
}
