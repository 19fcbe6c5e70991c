//! `google.rpc.Status`: the body of an OTLP error over HTTP, and the trailer `grpc-status-details-bin` over gRPC.

use std::time::Duration;

use crate::error::ParseError;
use crate::wire::{Fault, Message, put_delimited_field, put_varint_field};

/// A `google.rpc.Status`, of whose details only `google.rpc.RetryInfo` is known. Others are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcStatus {
    /// A gRPC status code.
    pub code: i32,
    /// For a developer, in English.
    pub message: String,
    /// How long to wait before the request is sent again, from the first `RetryInfo` among the details. Without one, a
    /// RESOURCE_EXHAUSTED must not be retried. A negative delay is none: it may be sent again at once.
    pub retry_delay: Option<Duration>,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

impl RpcStatus {
    /// Reads a status. Unknown fields are skipped; a text that is not UTF-8 is read with replacement characters.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Ok(read(bytes)?)
    }

    /// Appends the encoded status to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint_field(out, 1, i64::from(self.code).cast_unsigned());
        if !self.message.is_empty() {
            put_delimited_field(out, 2, self.message.as_bytes());
        }
        if let Some(delay) = self.retry_delay {
            let mut duration = Vec::new();
            put_varint_field(&mut duration, 1, delay.as_secs().min(i64::MAX.cast_unsigned()));
            put_varint_field(&mut duration, 2, u64::from(delay.subsec_nanos()));
            let mut retry_info = Vec::new();
            put_delimited_field(&mut retry_info, 1, &duration);
            let mut any = Vec::new();
            put_delimited_field(&mut any, 1, RETRY_INFO.as_bytes());
            put_delimited_field(&mut any, 2, &retry_info);
            put_delimited_field(out, 3, &any);
        }
    }
}

fn read(bytes: &[u8]) -> Result<RpcStatus, Fault> {
    let mut status = RpcStatus::default();
    let mut message = Message::new(bytes);
    while let Some(field) = message.next()? {
        match field.number {
            1 => status.code = int32(field.varint()?),
            2 => status.message = String::from_utf8_lossy(field.delimited()?).into_owned(),
            3 => {
                let detail = read_detail(field.message()?)?;
                status.retry_delay = status.retry_delay.or(detail);
            }
            _ => {}
        }
    }
    Ok(status)
}

/// Reads a `google.protobuf.Any`; returns the delay of a `RetryInfo`.
fn read_detail(mut message: Message<'_>) -> Result<Option<Duration>, Fault> {
    let (mut type_url, mut value) = (&[][..], &[][..]);
    while let Some(field) = message.next()? {
        match field.number {
            1 => type_url = field.delimited()?,
            2 => value = field.delimited()?,
            _ => {}
        }
    }
    // Only what follows the last slash names the type. A detail that does not hold what it says is none.
    let name = type_url.rsplit(|&byte| byte == b'/').next();
    Ok(if name == Some(b"google.rpc.RetryInfo") { read_retry_info(value).ok() } else { None })
}

fn read_retry_info(bytes: &[u8]) -> Result<Duration, Fault> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut retry_info = Message::new(bytes);
    while let Some(field) = retry_info.next()? {
        if field.number == 1 {
            let mut duration = field.message()?;
            while let Some(field) = duration.next()? {
                match field.number {
                    1 => seconds = field.varint()?.cast_signed(),
                    2 => nanos = int32(field.varint()?),
                    _ => {}
                }
            }
        }
    }
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Ok(seconds.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))))
}

/// An int32 is encoded in 64 bits; the upper half does not count.
fn int32(varint: u64) -> i32 {
    let [a, b, c, d, ..] = varint.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}
