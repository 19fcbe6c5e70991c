//! An error says what is wrong, and where: byte and path.

use crossfade_otlp::{ScanErrorKind, Splitter, WireType, scan};

mod oracle;
mod weird;

use weird::{Field, Value, bytes, encode, field, message};

/// What is said of a request that cannot be scanned; the same by scan and split.
#[track_caller]
fn check(request: &[u8], expect: &str) {
    let error = oracle::check_scan(request).expect_err("a broken request");
    assert_eq!(error.to_string(), expect);
    assert_eq!(Splitter::new().split(request, |_| 1).err(), Some(error));
}

/// A request whose third resource holds, in its first scope, these spans.
fn deep(spans: Vec<Field>) -> Vec<u8> {
    encode(&[message(1, vec![]), message(1, vec![]), message(1, vec![bytes(1, b""), message(2, spans)])])
}

fn sound_spans(count: usize) -> Vec<Field> {
    vec![message(2, vec![bytes(1, &[1; 16])]); count]
}

#[test]
fn a_fault_in_a_field_of_a_span_names_it() {
    let with = |fault: Field| deep([sound_spans(5), vec![message(2, vec![bytes(2, b"id"), fault])]].concat());
    check(
        &with(field(1, Value::Varint(1))),
        "byte 116: resource_spans[2].scope_spans[0].spans[5].trace_id: wire type is varint, must be length-delimited",
    );
    check(
        &with(bytes(7, b"12345678")),
        "byte 116: resource_spans[2].scope_spans[0].spans[5].start_time_unix_nano: wire type is length-delimited, must be 64-bit",
    );
    check(
        &with(field(16, Value::Fixed64(0))),
        "byte 116: resource_spans[2].scope_spans[0].spans[5].flags: wire type is 64-bit, must be 32-bit",
    );
    check(
        &with(field(6, Value::Group(vec![]))),
        "byte 116: resource_spans[2].scope_spans[0].spans[5].kind: wire type is start group, must be varint",
    );
    check(
        &with(field(1000, Value::Group(vec![field(3, Value::Group(vec![bytes(0, b"")]))]))),
        "byte 119: resource_spans[2].scope_spans[0].spans[5].1000: field number 0 is invalid",
    );
}

/// From trace.proto, in the order of their numbers.
const SPAN_FIELDS: &str = "trace_id span_id trace_state parent_span_id name kind start_time_unix_nano \
    end_time_unix_nano attributes dropped_attributes_count events dropped_events_count links dropped_links_count \
    status flags";

#[test]
fn each_field_of_a_span_has_its_name_and_its_wire_type() {
    let mut names = SPAN_FIELDS.split_ascii_whitespace();
    for number in 1..=16 {
        let error = oracle::check_scan(&deep(vec![message(2, vec![field(number, Value::Group(vec![]))])]))
            .expect_err("no field of a span is a group")
            .path
            .to_string();
        let name = names.next().expect("as many as numbers");
        assert_eq!(error, format!("resource_spans[2].scope_spans[0].spans[0].{name}"));
    }
    assert_eq!(names.next(), None);
}

/// Everything around the fault is sound: a request with a span of these bytes.
fn span(span: &[u8]) -> Vec<u8> {
    encode(&[message(1, vec![message(2, vec![bytes(2, span)])])])
}

#[test]
fn each_kind_of_fault_has_its_message() {
    let at = "resource_spans[0].scope_spans[0].spans[0]";
    check(
        &span(b"\x0a\x05abcd"),
        &format!("byte 7: {at}.trace_id: its length is 5, but only 4 bytes are left in the message"),
    );
    check(
        &span(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        &format!(
            "byte 7: {at}.trace_id: its length is 18446744073709551615, but only 0 bytes are left in the message"
        ),
    );
    check(
        &span(b"\x39\0\0\0"),
        &format!("byte 7: {at}.start_time_unix_nano: the message ends inside this field"),
    );
    check(&span(b"\x0a"), &format!("byte 7: {at}.trace_id: the message ends inside this field"));
    check(&span(b"\x8a"), &format!("byte 6: {at}: the message ends inside this field"));
    check(
        &span(b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        &format!("byte 7: {at}.kind: a varint does not fit 64 bits"),
    );
    check(
        &span(b"\x30\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
        &format!("byte 7: {at}.kind: a varint does not fit 64 bits"),
    );
    check(&span(b"\x80\x80\x80\x80\x10"), &format!("byte 6: {at}: a field key does not fit 32 bits"));
    check(&span(b"\x02\0"), &format!("byte 6: {at}: field number 0 is invalid"));
    check(&span(b"\x0e\0"), &format!("byte 6: {at}: wire type 6 does not exist"));
    check(&span(b"\x0f\0"), &format!("byte 6: {at}: wire type 7 does not exist"));
    check(
        &span(b"\x0c"),
        &format!("byte 6: {at}.trace_id: wire type is end group, must be length-delimited"),
    );
    check(&span(b"\x8c\x01"), &format!("byte 8: {at}.17: a group ends that has not begun"));
    check(&span(b"\x8b\x01\x94\x01"), &format!("byte 8: {at}.17: a group ends that has not begun"));
}

#[test]
fn a_fault_outside_of_spans_names_the_message() {
    check(b"\x08\x01", "byte 0: resource_spans[0]: wire type is varint, must be length-delimited");
    check(
        b"\x0a\x01",
        "byte 1: resource_spans[0]: its length is 1, but only 0 bytes are left in the message",
    );
    check(
        b"\x0a\0\x0a\x02\x12\x01",
        "byte 5: resource_spans[1].scope_spans[0]: its length is 1, but only 0 bytes are left in the message",
    );
    check(
        b"\x0a\x02\x08\x01",
        "byte 2: resource_spans[0].resource: wire type is varint, must be length-delimited",
    );
    check(
        b"\x0a\x04\x12\x02\x18\x01",
        "byte 4: resource_spans[0].scope_spans[0].schema_url: wire type is varint, must be length-delimited",
    );
    check(
        b"\x0a\x04\x12\x02\x10\x01",
        "byte 4: resource_spans[0].scope_spans[0].spans[0]: wire type is varint, must be length-delimited",
    );
    check(
        b"\x0a\x04\x12\x02\x12\x01",
        "byte 5: resource_spans[0].scope_spans[0].spans[0]: its length is 1, but only 0 bytes are left in the message",
    );
    check(b"\x1d\0\0", "byte 1: request.3: the message ends inside this field");
    check(b"\x0a\0\x07", "byte 2: request: wire type 7 does not exist");
}

#[test]
fn indexes_count_from_the_message_around() {
    let broken = message(2, vec![message(2, vec![]), message(2, vec![field(2, Value::Varint(0))])]);
    let scope = || message(2, sound_spans(3));
    let request = encode(&[message(1, vec![scope(), scope()]), message(1, vec![scope(), broken])]);
    let error = oracle::check_scan(&request).expect_err("a broken request");
    assert_eq!(error.path.to_string(), "resource_spans[1].scope_spans[1].spans[1].span_id");
}

/// The bytes after the span are there, but they are not the span's: whoever reads them, reads past a bound.
#[test]
fn a_field_must_end_within_its_message() {
    let long =
        |span: &[u8]| encode(&[message(1, vec![message(2, vec![bytes(2, span), bytes(2, &[0x12; 40])])])]);
    for span in [
        &b"\x0a\x05abcd"[..],
        b"\x4a\x85\0abcd",
        b"\x39\0\0\0\0\0\0\0",
        b"\x85\x01\0\0\0",
        b"\x30",
        b"\x12\x30",
    ] {
        let error = oracle::check_scan(&long(span)).expect_err("reaches into the next span");
        assert_eq!(error.path.span, Some(0), "{error}");
    }
}

#[test]
fn the_kind_tells_what_was_expected() {
    let error = scan(b"\x08\x01").next().expect("an item").expect_err("a varint");
    let (expected, found) = (WireType::LengthDelimited, WireType::Varint);
    assert_eq!(error.kind, ScanErrorKind::WrongWireType { expected, found });
}
