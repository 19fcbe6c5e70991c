//! Codes, endpoints and header values, without a server.

use std::time::Duration;

use http::HeaderValue;

use crate::otlp::framing::{
    decode_grpc_message, decode_status_details, decode_timeout, encode_grpc_message, encode_status_details,
    encode_timeout,
};
use crate::otlp::{Code, Endpoint, EndpointError, GrpcCode, Protocol, http_is_retryable};
use crossfade_otlp::RpcStatus;

#[test]
fn mapping_between_the_transports_keeps_what_may_be_retried() {
    for code in GrpcCode::ALL {
        if code == GrpcCode::Ok {
            continue;
        }
        for has_retry_info in [false, true] {
            let status = Code::Grpc(code).as_http(has_retry_info);
            assert_eq!(http_is_retryable(status), code.is_retryable(has_retry_info), "{code:?} -> {status}");
        }
        assert_eq!(Code::Grpc(code).as_grpc(), code);
    }
    for status in 400..=599 {
        for has_retry_info in [false, true] {
            let code = Code::Http(status).as_grpc();
            // A permanent status must not become retryable because a Retry-After came with it: there is none to pass on.
            let retry_info = has_retry_info && http_is_retryable(status);
            assert_eq!(code.is_retryable(retry_info), http_is_retryable(status), "{status} -> {code:?}");
        }
        assert_eq!(Code::Http(status).as_http(false), status);
    }
    assert_eq!(Code::Http(302).as_http(false), 500, "a redirect is not passed on");
}

#[test]
fn code_numbers() {
    for code in GrpcCode::ALL {
        assert_eq!(GrpcCode::from_number(code.number().into()), code);
    }
    assert_eq!(GrpcCode::from_number(17), GrpcCode::Unknown);
    assert_eq!(GrpcCode::from_number(-1), GrpcCode::Unknown);
}

#[test]
fn endpoints() {
    let grpc = |text| Endpoint::parse(text, Protocol::Grpc).map(|e| (e.host().to_owned(), e.port()));
    assert_eq!(grpc("http://blue:4317"), Ok(("blue".to_owned(), 4317)));
    assert_eq!(grpc("blue:1"), Ok(("blue".to_owned(), 1)));
    assert_eq!(grpc("blue"), Ok(("blue".to_owned(), 4317)));
    assert_eq!(grpc("http://[::1]:9/"), Ok(("::1".to_owned(), 9)));
    assert_eq!(grpc("https://blue:1"), Ok(("blue".to_owned(), 1)));
    assert_eq!(grpc("ftp://blue"), Err(EndpointError::UnknownScheme("ftp".to_owned())));
    assert_eq!(grpc("http://a:b@blue:1"), Err(EndpointError::Credentials));
    assert_eq!(grpc("http://blue:4317/v1"), Err(EndpointError::PathOnGrpc));
    for text in ["", "http://", "http://:4317", "a b", "http://blue:x"] {
        assert!(grpc(text).is_err(), "{text:?}");
    }
    let http = |text| Endpoint::parse(text, Protocol::HttpProtobuf).map(|e| e.to_string());
    assert_eq!(http("blue"), Ok("http://blue/v1/traces".to_owned()));
    assert_eq!(http("http://blue:4318/"), Ok("http://blue:4318/v1/traces".to_owned()));
    assert_eq!(http("http://blue/otlp/"), Ok("http://blue/otlp/v1/traces".to_owned()));
    assert_eq!(http("http://blue/otlp/v1/traces"), Ok("http://blue/otlp/v1/traces".to_owned()));
    assert_eq!(Endpoint::parse("blue", Protocol::HttpProtobuf).unwrap().port(), 4318);
}

#[test]
fn grpc_messages_survive_any_text() {
    for text in ["", "plain", "50 % off", "zwölf\nZeilen\t", "\u{1f600}%41"] {
        let encoded = encode_grpc_message(text);
        assert_eq!(decode_grpc_message(&encoded), text);
    }
    assert_eq!(encode_grpc_message("a%b\n"), "a%25b%0A");
    assert_eq!(decode_grpc_message(&HeaderValue::from_static("100% %zz %4")), "100% %zz %4");
}

#[test]
fn timeouts_fit_eight_digits() {
    for (timeout, text) in [
        (Duration::ZERO, "0u"),
        (Duration::from_micros(1), "1u"),
        (Duration::from_secs(99), "99000000u"),
        (Duration::from_secs(100), "100000m"),
        (Duration::from_secs(1_000_000), "1000000S"),
        (Duration::MAX, "99999999S"),
    ] {
        assert_eq!(encode_timeout(timeout), text);
    }
    let decode = |text: &str| decode_timeout(&HeaderValue::from_str(text).unwrap());
    assert_eq!(decode("2H"), Some(Duration::from_secs(7200)));
    assert_eq!(decode("3M"), Some(Duration::from_secs(180)));
    assert_eq!(decode("99999999n"), Some(Duration::from_nanos(99_999_999)));
    for wrong in ["", "m", "1", "123456789m", "-1S", "1x", "1.5S", "+1S"] {
        assert_eq!(decode(wrong), None, "{wrong:?}");
    }
}

#[test]
fn status_details_with_and_without_padding() {
    let status = RpcStatus { code: 8, message: "full".to_owned(), retry_delay: Some(Duration::from_secs(1)) };
    let encoded = encode_status_details(&status);
    assert_eq!(decode_status_details(&encoded), Some(status.clone()));
    let padded = format!("{}==", encoded.to_str().unwrap());
    assert_eq!(decode_status_details(&HeaderValue::from_str(&padded).unwrap()), Some(status));
    assert_eq!(decode_status_details(&HeaderValue::from_static("?")), None);
}
