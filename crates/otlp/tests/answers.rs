//! Responses and statuses, against prost.

use std::time::Duration;

use crossfade_otlp::{ExportTraceServiceResponse, PartialSuccess, RpcStatus};
use opentelemetry_proto::tonic::collector::trace::v1 as otlp;
use proptest::prelude::*;
use prost::Message;

mod weird;

use weird::{Value, bytes, encode, field, message};

/// `google.rpc.Status` and its parts, as googleapis defines them.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

fn retry_info(seconds: i64, nanos: i32) -> Any {
    let info = RetryInfo { retry_delay: Some(ProtoDuration { seconds, nanos }) };
    Any { type_url: RETRY_INFO.into(), value: info.encode_to_vec() }
}

fn ours(response: otlp::ExportTraceServiceResponse) -> ExportTraceServiceResponse {
    ExportTraceServiceResponse {
        partial_success: response.partial_success.map(|partial| PartialSuccess {
            rejected_spans: partial.rejected_spans,
            error_message: partial.error_message,
        }),
    }
}

proptest! {
    #[test]
    fn a_response_is_written_and_read_as_by_prost(partial in proptest::option::of((any::<i64>(), ".{0,40}"))) {
        let theirs = otlp::ExportTraceServiceResponse {
            partial_success: partial.map(|(rejected_spans, error_message)| otlp::ExportTracePartialSuccess {
                rejected_spans,
                error_message,
            }),
        };
        let mut encoded = Vec::new();
        ours(theirs.clone()).encode(&mut encoded);
        prop_assert_eq!(&encoded, &theirs.encode_to_vec());
        prop_assert_eq!(ExportTraceServiceResponse::parse(&encoded), Ok(ours(theirs)));
    }

    #[test]
    fn a_status_is_written_and_read_as_by_prost(
        code in any::<i32>(),
        text in ".{0,40}",
        delay in proptest::option::of((0..=i64::MAX, 0..1_000_000_000i32)),
    ) {
        let details = delay.map(|(seconds, nanos)| retry_info(seconds, nanos)).into_iter().collect();
        let theirs = Status { code, message: text.clone(), details }.encode_to_vec();
        let delay = delay.map(|(seconds, nanos)| Duration::new(seconds.unsigned_abs(), nanos.unsigned_abs()));
        let status = RpcStatus { code, message: text, retry_delay: delay };
        let mut encoded = Vec::new();
        status.encode(&mut encoded);
        prop_assert_eq!(&encoded, &theirs);
        prop_assert_eq!(RpcStatus::parse(&encoded), Ok(status));
    }

    #[test]
    fn garbage_is_judged_as_by_prost(bytes in proptest::collection::vec(prop_oneof![0..28u8, any::<u8>()], 0..40)) {
        let response = ExportTraceServiceResponse::parse(&bytes);
        match otlp::ExportTraceServiceResponse::decode(&bytes[..]) {
            Ok(theirs) => prop_assert_eq!(response, Ok(ours(theirs))),
            // Text that is not UTF-8 is the one thing that is taken all the same.
            Err(error) => prop_assert!(response.is_err() || error.to_string().contains("UTF-8"), "{error}"),
        }
        let status = RpcStatus::parse(&bytes);
        match Status::decode(&bytes[..]) {
            Ok(theirs) => {
                let status = status.expect("prost takes it");
                prop_assert_eq!((status.code, status.message), (theirs.code, theirs.message));
            }
            Err(error) => prop_assert!(status.is_err() || error.to_string().contains("UTF-8"), "{error}"),
        }
    }
}

#[test]
fn a_partial_success_in_parts_is_one() {
    let parts = encode(&[
        message(1, vec![field(1, Value::Varint(3)), bytes(2, b"one"), bytes(99, b"unknown")]),
        message(1, vec![bytes(2, b"two")]),
    ]);
    let expected = PartialSuccess { rejected_spans: 3, error_message: "two".into() };
    assert_eq!(
        ExportTraceServiceResponse::parse(&parts),
        Ok(ExportTraceServiceResponse { partial_success: Some(expected) })
    );
}

#[test]
fn full_success_is_no_bytes() {
    let mut encoded = Vec::new();
    ExportTraceServiceResponse::default().encode(&mut encoded);
    assert!(encoded.is_empty());
    assert_eq!(ExportTraceServiceResponse::parse(&[]), Ok(ExportTraceServiceResponse::default()));
}

#[track_caller]
fn check_delay(details: Vec<Any>, expect: Option<Duration>) {
    let status = Status { code: 8, message: "slow down".into(), details };
    let parsed = RpcStatus::parse(&status.encode_to_vec()).expect("sound");
    assert_eq!((parsed.code, parsed.message.as_str(), parsed.retry_delay), (8, "slow down", expect));
}

#[test]
fn the_first_retry_info_counts() {
    let other = || Any {
        type_url: "type.googleapis.com/google.rpc.DebugInfo".into(),
        value: b"\x0a\x02\x08\x07".to_vec(),
    };
    check_delay(vec![], None);
    check_delay(vec![other()], None);
    check_delay(vec![other(), retry_info(2, 500), retry_info(9, 0)], Some(Duration::new(2, 500)));
    // Only the name after the last slash counts.
    check_delay(
        vec![Any { type_url: "x/google.rpc.RetryInfo".into(), ..retry_info(1, 0) }],
        Some(Duration::from_secs(1)),
    );
    check_delay(vec![Any { type_url: "google.rpc.RetryInfoX".into(), ..retry_info(1, 0) }], None);
    // An empty RetryInfo says: at once. One that cannot be read says nothing.
    check_delay(vec![Any { type_url: RETRY_INFO.into(), value: vec![] }], Some(Duration::ZERO));
    check_delay(
        vec![Any { type_url: RETRY_INFO.into(), value: vec![0x0a] }, retry_info(3, 0)],
        Some(Duration::from_secs(3)),
    );
}

#[test]
fn a_delay_beyond_sense_is_bounded() {
    check_delay(vec![retry_info(-1, -5)], Some(Duration::ZERO));
    check_delay(
        vec![retry_info(i64::MAX, i32::MAX)],
        Some(Duration::from_secs(i64::MAX as u64) + Duration::from_nanos(i32::MAX as u64)),
    );
    let mut encoded = Vec::new();
    RpcStatus { retry_delay: Some(Duration::MAX), ..RpcStatus::default() }.encode(&mut encoded);
    let parsed = RpcStatus::parse(&encoded).expect("sound");
    assert_eq!(parsed.retry_delay, Some(Duration::new(i64::MAX as u64, 999_999_999)));
}

#[test]
fn an_error_names_its_byte() {
    let error = RpcStatus::parse(b"\x08\x05\x12\x09abc").expect_err("cut off");
    assert_eq!(error.to_string(), "byte 3: its length is 9, but only 3 bytes are left in the message");
    let error = ExportTraceServiceResponse::parse(b"\x0a\x02\x0a\x00").expect_err("a count of text");
    assert_eq!(error.to_string(), "byte 2: wire type is length-delimited, must be varint");
}
