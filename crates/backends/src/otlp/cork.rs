//! Small writes gathered into large ones.
//!
//! A peer that takes HTTP/2 frames of 16 KiB only (as Go and Java do) gets a request in twenty frames. The HTTP/2
//! library writes and flushes each by itself: twenty system calls, and twenty times the way through the kernel to the peer.
//! That costs more than anything that is done with the request here. So small writes are gathered, and a flush that
//! comes right after a write is put off; a flush with nothing written since the last is the library's "that was all",
//! and goes through.
//!
//! Nothing is left lying: whenever a flush is put off the task is woken again, and its next turn, which begins with a
//! read, writes out whatever is there by then. Large writes are not copied; they go straight through.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Cork<S> {
    stream: S,
    gathered: BytesMut,
    /// Something was written since the last flush.
    fresh: bool,
    /// The task was woken for what is gathered.
    woken: bool,
}

/// From here on a write is not worth a copy.
const LARGE_BYTES: usize = 64 << 10;
/// As much is gathered.
const GATHERED_BYTES_MAX: usize = 256 << 10;

impl<S: AsyncWrite + Unpin> Cork<S> {
    pub(crate) fn new(stream: S) -> Cork<S> {
        Cork { stream, gathered: BytesMut::new(), fresh: false, woken: false }
    }

    /// Writes out what is gathered.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.gathered))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gathered.advance(written);
        }
        // The buffer is kept: there are few connections to an environment, and fresh pages are dear.
        self.gathered.clear();
        self.woken = false;
        Poll::Ready(Ok(()))
    }

    /// Room for so many bytes more, or all that is gathered is written out first.
    fn poll_room(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<()>> {
        if self.gathered.len() + bytes <= GATHERED_BYTES_MAX {
            Poll::Ready(Ok(()))
        } else {
            self.poll_out(cx)
        }
    }

    fn gather(&mut self, bufs: &[IoSlice<'_>], bytes: usize) -> usize {
        if self.gathered.is_empty() {
            self.gathered.reserve(GATHERED_BYTES_MAX);
        }
        for buf in bufs {
            self.gathered.extend_from_slice(buf);
        }
        self.fresh = true;
        bytes
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Cork<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.woken
            && let Poll::Ready(result) = self.poll_out(cx)
        {
            result?;
            // Encrypted, it may lie in yet another buffer. If that has to wait it wakes this task.
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cork<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = bufs.iter().map(|buf| buf.len()).sum();
        if bytes >= LARGE_BYTES {
            ready!(self.poll_out(cx))?;
            return Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        }
        ready!(self.poll_room(cx, bytes))?;
        Poll::Ready(Ok(self.gather(bufs, bytes)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.fresh) {
            if !std::mem::replace(&mut self.woken, true) {
                cx.waker().wake_by_ref();
            }
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// A stream that remembers how it was written to.
    struct Counted {
        stream: DuplexStream,
        writes: Vec<usize>,
    }

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
            self.writes.push(written);
            Poll::Ready(Ok(written))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(cx)
        }
    }

    fn corked(room: usize) -> (Cork<Counted>, DuplexStream) {
        let (stream, other) = duplex(room);
        (Cork::new(Counted { stream, writes: Vec::new() }), other)
    }

    #[tokio::test]
    async fn frames_are_gathered_until_nothing_more_comes() {
        let (mut cork, mut other) = corked(1 << 20);
        for _ in 0..10 {
            cork.write_all(&[1; 1000]).await.unwrap();
            cork.flush().await.unwrap();
        }
        assert_eq!(cork.stream.writes, [0; 0], "each flush followed a write");
        cork.flush().await.unwrap();
        assert_eq!(cork.stream.writes, [10_000]);
        let mut arrived = vec![0; 10_000];
        other.read_exact(&mut arrived).await.unwrap();
    }

    // Scenario: something is written and flushed once, and then the other side is waited for.
    // Guarantee: it is sent, although no second flush comes.
    #[tokio::test]
    async fn what_was_flushed_once_is_sent_when_the_answer_is_awaited() {
        let (mut cork, mut other) = corked(1 << 20);
        let peer = tokio::spawn(async move {
            let mut question = [0; 4];
            other.read_exact(&mut question).await.unwrap();
            other.write_all(&question).await.unwrap();
        });
        let mut woken = 0;
        cork.write_all(b"ping").await.unwrap();
        cork.flush().await.unwrap();
        let mut answer = [0; 4];
        let mut buf = ReadBuf::new(&mut answer);
        poll_fn(|cx| {
            woken += 1;
            Pin::new(&mut cork).poll_read(cx, &mut buf)
        })
        .await
        .unwrap();
        peer.await.unwrap();
        assert_eq!(buf.filled(), b"ping");
    }

    #[tokio::test]
    async fn the_end_comes_after_everything_else() {
        let (mut cork, mut other) = corked(1 << 20);
        cork.write_all(b"last words").await.unwrap();
        cork.shutdown().await.unwrap();
        let mut arrived = Vec::new();
        other.read_to_end(&mut arrived).await.unwrap();
        assert_eq!(arrived, b"last words");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is written, in whatever pieces, through however narrow a pipe: it arrives, in order.
        #[test]
        fn everything_arrives_in_order(
            pieces in prop::collection::vec((0usize..100_000, any::<bool>()), 1..20),
            room in prop::sample::select(vec![64, 4_096, 1 << 20]),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (mut cork, mut other) = corked(room);
                let reader = tokio::spawn(async move {
                    let mut arrived = Vec::new();
                    other.read_to_end(&mut arrived).await.unwrap();
                    arrived
                });
                let mut sent = Vec::new();
                for (number, (length, flush)) in pieces.iter().enumerate() {
                    let piece: Vec<u8> = (0..*length).map(|at| (at * 31 + number) as u8).collect();
                    cork.write_all(&piece).await.unwrap();
                    assert!(cork.gathered.len() <= GATHERED_BYTES_MAX);
                    sent.extend(piece);
                    if *flush {
                        cork.flush().await.unwrap();
                    }
                }
                cork.shutdown().await.unwrap();
                drop(cork);
                assert!(reader.await.unwrap() == sent);
            });
        }
    }
}
