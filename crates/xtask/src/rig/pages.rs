//! A few texts behind URLs on this machine, as an agent's effective configuration would be.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Pages {
    port: u16,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pages {
    /// Serves each text at its path, and 404 elsewhere.
    pub(crate) fn serve(pages: Vec<(&'static str, String)>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listening for pages")?;
        let port = listener.local_addr().context("where pages are")?.port();
        let ends = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let ends = Arc::clone(&ends);
            move || {
                for stream in listener.incoming().flatten() {
                    if ends.load(Ordering::Acquire) {
                        return;
                    }
                    // Who hangs up has what it wanted.
                    _ = answer(stream, &pages);
                }
            }
        });
        Ok(Self { port, ends, thread: Some(thread) })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        // The thread is waiting for somebody; this is somebody.
        _ = TcpStream::connect(("127.0.0.1", self.port));
        _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(mut stream: TcpStream, pages: &[(&str, String)]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match pages.iter().find(|(page, _)| *page == path) {
        Some((_, text)) => ("200 OK", text.as_str()),
        None => ("404 Not Found", "there is no such page"),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::http;

    #[test]
    fn texts_are_served_by_path_until_the_end() {
        let pages = Pages::serve(vec![("/a", "one".to_owned()), ("/b", "two".to_owned())]).unwrap();
        let port = pages.port;
        let get = |path| http::get(port, path).map(|answer| (answer.status, answer.body)).unwrap();
        assert_eq!(get("/b"), (200, b"two".to_vec()));
        assert_eq!(get("/c").0, 404);
        drop(pages);
        assert!(http::get(port, "/a").is_err());
    }
}
