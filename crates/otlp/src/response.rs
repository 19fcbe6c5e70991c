//! `ExportTraceServiceResponse`: what a receiver answers when it took a request, or part of it.

use crate::error::ParseError;
use crate::wire::{Fault, Message, put_delimited_field, put_varint_field};

/// The answer to an export that did not fail. The default, encoded as nothing at all, is full success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportTraceServiceResponse {
    /// Rejected spans or a warning; full success if absent or empty. Never a reason to send the request again.
    pub partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Number of spans that were not accepted, as the receiver says: nothing keeps it from being negative, or larger
    /// than the number of spans sent.
    pub rejected_spans: i64,
    /// Why; or, if no span was rejected, a warning.
    pub error_message: String,
}

impl ExportTraceServiceResponse {
    /// Reads a response. Unknown fields are skipped; a text that is not UTF-8 is read with replacement characters.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Ok(read(bytes)?)
    }

    /// Appends the encoded response to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(partial) = &self.partial_success {
            let mut body = Vec::new();
            put_varint_field(&mut body, 1, partial.rejected_spans.cast_unsigned());
            if !partial.error_message.is_empty() {
                put_delimited_field(&mut body, 2, partial.error_message.as_bytes());
            }
            put_delimited_field(out, 1, &body);
        }
    }
}

fn read(bytes: &[u8]) -> Result<ExportTraceServiceResponse, Fault> {
    let mut response = ExportTraceServiceResponse::default();
    let mut message = Message::new(bytes);
    while let Some(field) = message.next()? {
        if field.number == 1 {
            // Once more is not a second one, but more of the first.
            read_partial(field.message()?, response.partial_success.get_or_insert_default())?;
        }
    }
    Ok(response)
}

fn read_partial(mut message: Message<'_>, partial: &mut PartialSuccess) -> Result<(), Fault> {
    while let Some(field) = message.next()? {
        match field.number {
            1 => partial.rejected_spans = field.varint()?.cast_signed(),
            2 => partial.error_message = String::from_utf8_lossy(field.delimited()?).into_owned(),
            _ => {}
        }
    }
    Ok(())
}
