//! Any request, split in any way: each part holds its spans and nothing is lost; the first 8 bytes are the masks.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/otlp/tests/oracle/mod.rs"]
mod oracle;

fuzz_target!(|bytes: &[u8]| {
    if let Some((masks, request)) = bytes.split_first_chunk::<8>() {
        let _ = oracle::check_split(request, masks);
    }
});
