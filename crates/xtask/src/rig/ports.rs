//! Free ports on the loopback address, below the range that the system gives to outgoing connections, so that no
//! connection can take one between its choice and its use.

use anyhow::{Context, Result};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// Where the search goes on: no port is given out twice by one process.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port on which nothing listens.
pub(crate) fn free() -> Result<u16> {
    // Two runs at once begin their search in different places.
    let offset = (std::process::id() as u16).wrapping_mul(97) % (LAST - FIRST);
    for _ in FIRST..LAST {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + offset.wrapping_add(step) % (LAST - FIRST);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    None.context("every port between 20000 and 32000 is taken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_never_given_out_twice() {
        assert_ne!(free().unwrap(), free().unwrap());
        // Another process may take a port in between: one that is not taken by then is to be had.
        let is_to_be_had = |_| TcpListener::bind(("127.0.0.1", free().unwrap())).is_ok();
        assert!((0..100).any(is_to_be_had));
    }
}
