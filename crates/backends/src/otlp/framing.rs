//! gRPC's framing of a message, and its way of writing texts and bytes into headers.
//!
//! ```text
//! message   1 byte: 0 = identity, 1 = as grpc-encoding says   4 bytes: length, big-endian   the bytes
//! ```

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use bytes::buf::{Buf, Chain};
use crossfade_otlp::RpcStatus;
use http::HeaderValue;

use super::message::{Coding, Message};

/// Bytes before each gRPC message.
pub const PREFIX_BYTES: usize = 5;

/// A message with its prefix, as one piece: HTTP/2 puts both into one DATA frame, without a copy.
pub type Framed = Chain<std::io::Cursor<[u8; PREFIX_BYTES]>, Bytes>;

/// Puts the prefix before the message. `None`: longer than gRPC can say.
pub fn frame(message: Message) -> Option<Framed> {
    let length = u32::try_from(message.bytes.len()).ok()?;
    let [a, b, c, d] = length.to_be_bytes();
    let flag = match message.coding {
        Coding::Identity => 0,
        Coding::Gzip => 1,
    };
    Some(std::io::Cursor::new([flag, a, b, c, d]).chain(message.bytes))
}

/// `grpc-message`: percent-encoded, everything but the printable ASCII characters and `%`.
pub fn encode_grpc_message(text: &str) -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(byte);
        } else {
            encoded.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    HeaderValue::from_bytes(&encoded).expect("printable ASCII is a header value")
}

/// Reads a `grpc-message`. What is not valid percent-encoding is taken as it is.
pub fn decode_grpc_message(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(plain) if byte == b'%' => {
                decoded.push(plain);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// `grpc-status-details-bin`: base64 without padding, as gRPC wants binary headers.
pub fn encode_status_details(status: &RpcStatus) -> HeaderValue {
    let mut bytes = Vec::new();
    status.encode(&mut bytes);
    HeaderValue::from_str(&STANDARD_NO_PAD.encode(bytes)).expect("base64 is a header value")
}

/// Reads a `grpc-status-details-bin`, padded or not. `None`: not base64, or no `google.rpc.Status`.
pub fn decode_status_details(value: &HeaderValue) -> Option<RpcStatus> {
    let text = value.to_str().ok()?.trim_end_matches('=');
    RpcStatus::parse(&STANDARD_NO_PAD.decode(text).ok()?).ok()
}

/// `grpc-timeout`: at most eight digits and a unit.
pub fn encode_timeout(timeout: Duration) -> HeaderValue {
    const DIGITS_MAX: u128 = 99_999_999;
    let text = [(timeout.as_micros(), 'u'), (timeout.as_millis(), 'm'), (u128::from(timeout.as_secs()), 'S')]
        .into_iter()
        .find(|(amount, _)| *amount <= DIGITS_MAX)
        .map_or_else(|| format!("{DIGITS_MAX}S"), |(amount, unit)| format!("{amount}{unit}"));
    HeaderValue::from_str(&text).expect("digits and a letter are a header value")
}

/// Reads a `grpc-timeout`. `None`: not one.
pub fn decode_timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}
