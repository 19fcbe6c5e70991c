//! What the end-to-end cases and the benchmark both stand on: supervised children, free ports, filled-in configurations,
//! conditions with deadlines, GET, texts behind URLs.

pub(crate) mod http;
pub(crate) mod pages;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod template;
pub(crate) mod wait;

use std::net::TcpStream;

/// Whether something accepts connections on a port of this machine.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
