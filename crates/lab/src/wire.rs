//! The few protobuf messages and framings of OTLP's two transports, shared by receivers and senders of this crate.

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use prost::Message;
use std::io::Read;
use std::time::Duration;

/// The gRPC method, as an HTTP/2 path.
pub(crate) const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The path of OTLP/HTTP.
pub(crate) const HTTP_PATH: &str = "/v1/traces";
/// The usual limit of a request, after decompression.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 << 20;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Status {
    pub(crate) fn new(code: u32, message: &str, retry_after: Option<Duration>) -> Status {
        let details = retry_after.map(|delay| {
            let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
            let nanos = i32::try_from(delay.subsec_nanos()).expect("below a thousand million");
            let info = RetryInfo { retry_delay: Some(ProtoDuration { seconds, nanos }) };
            Any { type_url: RETRY_INFO.into(), value: info.encode_to_vec() }
        });
        let code = i32::try_from(code).unwrap_or(2);
        Status { code, message: message.into(), details: details.into_iter().collect() }
    }

    /// The delay of the RetryInfo among the details.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let info = self.details.iter().find(|detail| detail.type_url == RETRY_INFO)?;
        let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
        Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?))
    }
}

/// Why a body cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the request is larger than {MAX_REQUEST_BYTES} bytes")]
    TooLarge,
    #[error("the body is not valid gzip")]
    Gzip,
    #[error("the gRPC frame says {said} bytes and has {has}")]
    Frame { said: usize, has: usize },
    #[error("the coding {0:?} is not supported")]
    Coding(String),
}

/// Takes the message out of the only gRPC frame of a unary call.
pub(crate) fn unframe(body: &Bytes, coding: Option<&str>) -> Result<Bytes, Unreadable> {
    let Some((prefix, message)) = body.split_first_chunk::<5>() else {
        return Err(Unreadable::Frame { said: 5, has: body.len() });
    };
    let [compressed, length @ ..] = *prefix;
    let said = u32::from_be_bytes(length) as usize;
    if said != message.len() {
        return Err(Unreadable::Frame { said, has: message.len() });
    }
    let message = body.slice(5..);
    if compressed == 0 { Ok(message) } else { decompress(message, coding) }
}

/// One message as a gRPC frame, uncompressed.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("requests are far below 4 GiB"));
    framed.put_slice(message);
    framed.freeze()
}

/// Undoes a Content-Encoding; the result is never larger than a request may be.
pub(crate) fn decompress(body: Bytes, coding: Option<&str>) -> Result<Bytes, Unreadable> {
    decompress_within(MAX_REQUEST_BYTES, body, coding)
}

fn decompress_within(limit: usize, body: Bytes, coding: Option<&str>) -> Result<Bytes, Unreadable> {
    match coding {
        None | Some("identity") => Ok(body),
        Some("gzip") => {
            let mut plain = Vec::new();
            let one_more = limit as u64 + 1;
            GzDecoder::new(&*body).take(one_more).read_to_end(&mut plain).map_err(|_| Unreadable::Gzip)?;
            if plain.len() > limit { Err(Unreadable::TooLarge) } else { Ok(plain.into()) }
        }
        Some(other) => Err(Unreadable::Coding(other.into())),
    }
}

/// Compresses a body as SDKs do.
pub(crate) fn gzip(body: &[u8]) -> Bytes {
    let mut compressed = Vec::with_capacity(body.len() / 3);
    GzEncoder::new(body, Compression::fast()).read_to_end(&mut compressed).expect("memory to memory");
    compressed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_its_retry_delay() {
        let delay = Duration::from_millis(1_250);
        let status = Status::new(14, "busy", Some(delay));
        let read = Status::decode(status.encode_to_vec().as_slice()).unwrap();
        assert_eq!((read.code, read.message.as_str(), read.retry_after()), (14, "busy", Some(delay)));
        assert_eq!(Status::new(13, "broken", None).retry_after(), None);
    }

    #[test]
    fn frames_and_gzip_are_undone_and_damage_is_seen() {
        let body = Bytes::from(vec![7u8; 10_000]);
        assert_eq!(unframe(&frame(&body), None).unwrap(), body);
        assert_eq!(decompress(gzip(&body), Some("gzip")).unwrap(), body);
        let cut = frame(&body).slice(..9_000);
        assert_eq!(unframe(&cut, None), Err(Unreadable::Frame { said: 10_000, has: 8_995 }));
        assert_eq!(decompress(gzip(&body).slice(..20), Some("gzip")), Err(Unreadable::Gzip));
        assert_eq!(decompress(body, Some("br")), Err(Unreadable::Coding("br".into())));
    }

    #[test]
    fn a_gzip_bomb_stops_at_the_limit() {
        let inflate = |bytes| decompress_within(1_000, gzip(&vec![0u8; bytes]), Some("gzip"));
        assert_eq!(inflate(1_000).unwrap().len(), 1_000);
        assert_eq!(inflate(1_001), Err(Unreadable::TooLarge));
        assert_eq!(inflate(1_000_000), Err(Unreadable::TooLarge));
    }
}
