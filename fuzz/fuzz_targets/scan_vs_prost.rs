//! Any bytes: scan and prost see the same spans, or both refuse. No panic, no read past a bound.
#![no_main]

use crossfade_otlp::{ExportTraceServiceResponse, RpcStatus};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/otlp/tests/oracle/mod.rs"]
mod oracle;

fuzz_target!(|bytes: &[u8]| {
    let _ = oracle::check_scan(bytes);
    let _ = ExportTraceServiceResponse::parse(bytes);
    let _ = RpcStatus::parse(bytes);
});
