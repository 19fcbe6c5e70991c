//! One TCP connection that says when it last sent, and that can be cut from outside.
//!
//! A fence promises that not a byte more goes to the fenced environment. The promise is kept here, at the socket:
//! from the moment a [`Leash`] is cut every write fails, whatever HTTP/2 still had in mind to say.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Counts of one environment's connections. Times are measured from the meter's own start, on the monotonic clock.
#[derive(Debug)]
pub struct Meter {
    start: Instant,
    /// Nanoseconds from `start` to the last write that sent something, plus one; 0 = never.
    last_sent: AtomicU64,
    last_received: AtomicU64,
    sent_bytes: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Arc<Meter> {
        Arc::new(Meter {
            start: Instant::now(),
            last_sent: AtomicU64::new(0),
            last_received: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
        })
    }

    /// When a byte was last handed to the kernel for this environment.
    pub fn last_sent(&self) -> Option<Instant> {
        self.instant(&self.last_sent)
    }

    /// When a byte last came from this environment.
    pub fn last_received(&self) -> Option<Instant> {
        self.instant(&self.last_received)
    }

    /// All bytes handed to the kernel, framing included.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    fn instant(&self, cell: &AtomicU64) -> Option<Instant> {
        cell.load(Ordering::Relaxed).checked_sub(1).map(|nanos| self.start + Duration::from_nanos(nanos))
    }

    fn stamp(&self, cell: &AtomicU64) {
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX - 1);
        cell.store(nanos + 1, Ordering::Relaxed);
    }
}

/// The handle by which a connection is cut.
#[derive(Debug)]
pub(crate) struct Leash {
    cut: AtomicBool,
    socket: Socket,
}

impl Leash {
    /// Cuts the connection: no write succeeds from here on, and what the kernel still holds is thrown away (the
    /// peer sees a reset). The reader is woken, so that everything in flight fails now.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        // Both calls only fail on a socket that is dead already.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
        let _ = self.socket.shutdown(std::net::Shutdown::Read);
    }
}

/// A TCP stream on a leash.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    leash: Arc<Leash>,
    meter: Arc<Meter>,
}

impl Line {
    pub(crate) fn new(stream: TcpStream, meter: Arc<Meter>) -> io::Result<Line> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream).try_clone()?;
        let leash = Arc::new(Leash { cut: AtomicBool::new(false), socket });
        Ok(Line { stream, leash, meter })
    }

    pub(crate) fn leash(&self) -> Arc<Leash> {
        Arc::clone(&self.leash)
    }

    fn check(&self) -> io::Result<()> {
        if self.leash.cut.load(Ordering::SeqCst) {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(())
        }
    }

    fn sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes @ 1..)) = &written {
            self.meter.stamp(&self.meter.last_sent);
            self.meter.sent_bytes.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.meter.stamp(&self.meter.last_received);
        }
        read
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    // Scenario: a connection is cut in the middle of something.
    // Guarantee: every way of writing to it fails from then on, the meter stands still, and the peer gets nothing more.
    #[tokio::test]
    async fn a_line_that_was_cut_writes_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        let meter = Meter::new();
        assert_eq!(meter.last_sent(), None);
        let mut line = Line::new(stream, Arc::clone(&meter)).unwrap();
        line.write_all(b"before").await.unwrap();
        let mut received = [0; 6];
        peer.read_exact(&mut received).await.unwrap();
        let (sent, at) = (meter.sent_bytes(), meter.last_sent());
        assert!(sent == 6 && at.is_some());

        line.leash().cut();
        let aborted = |result: io::Result<usize>| {
            assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionAborted));
        };
        aborted(line.write(b"after").await);
        aborted(line.write_vectored(&[io::IoSlice::new(b"after")]).await);
        aborted(line.shutdown().await.map(|()| 0));
        assert_eq!(line.read(&mut received).await.unwrap(), 0, "the reader is woken, and sees the end");
        assert_eq!((meter.sent_bytes(), meter.last_sent()), (sent, at));
        drop(line);
        assert!(!matches!(peer.read(&mut received).await, Ok(1..)));
    }
}
