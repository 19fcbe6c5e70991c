//! GET and POST over plain HTTP/1.0, enough to ask a Jaeger or a metrics endpoint on this machine: the answer ends where the
//! connection does.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Status and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Asks `port` of this machine for `path`.
pub(crate) fn get(port: u16, path: &str) -> Result<Answer> {
    exchange(port, path, "GET", "")
}

/// Sends JSON to `path` of `port` of this machine.
pub(crate) fn post(port: u16, path: &str, json: &str) -> Result<Answer> {
    exchange(port, path, "POST", json)
}

fn exchange(port: u16, path: &str, method: &str, json: &str) -> Result<Answer> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("reaching {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut question = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n");
    if !json.is_empty() {
        question.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", json.len()));
    }
    question.push_str(&format!("\r\n{json}"));
    stream.write_all(question.as_bytes()).with_context(|| format!("asking {address} for {path}"))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).with_context(|| format!("reading {path} from {address}"))?;
    parse(&bytes).with_context(|| format!("reading {path} from {address}"))
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        bail!("the answer has no header");
    };
    let header = String::from_utf8_lossy(&bytes[..end]);
    if header.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        bail!("a chunked answer to an HTTP/1.0 request");
    }
    let status =
        header.split(' ').nth(1).and_then(|code| code.parse().ok()).context("the answer has no status")?;
    Ok(Answer { status, body: bytes[end + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse(b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n{\"x\":1}").unwrap();
        assert_eq!((answer.status, &*answer.body), (404, &b"{\"x\":1}"[..]));
        assert!(parse(b"HTTP/1.0 200 OK\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").is_err());
    }
}
