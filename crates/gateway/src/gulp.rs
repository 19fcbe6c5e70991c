//! Large reads, whatever the reader asks for.
//!
//! The HTTP/2 library reads a frame at a time. A client that sends frames of 16 KiB would cost two system calls for
//! each; here they are read many at a time and handed on from memory, at the price of one copy. A client that sends
//! large frames shows itself by a reader with much room now and then, and is served without the detour. A connection
//! with nothing to read holds no buffer.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::pool::Pool;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Gulp {
    stream: TcpStream,
    pool: Arc<Pool>,
    /// What was read ahead, and how much of it was handed on.
    ahead: Vec<u8>,
    taken: usize,
    /// Reads in a row for which the reader had little room.
    little_room: u32,
}

const GULP_BYTES: usize = 256 << 10;
/// Whoever has this much room reads large frames.
const MUCH_ROOM_BYTES: usize = 64 << 10;
/// After so many reads with little room, it is worth reading ahead.
const LITTLE_ROOM_MIN: u32 = 8;

impl Gulp {
    /// `ahead` was read from it already.
    pub(crate) fn new(stream: TcpStream, pool: Arc<Pool>, ahead: Vec<u8>) -> Gulp {
        Gulp { stream, pool, ahead, taken: 0, little_room: 0 }
    }

    fn give_back(&mut self) {
        self.taken = 0;
        self.pool.give(std::mem::take(&mut self.ahead));
    }
}

impl AsyncRead for Gulp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let much_room = buf.remaining() >= MUCH_ROOM_BYTES;
        this.little_room = if much_room { 0 } else { this.little_room.saturating_add(1) };
        if this.taken == this.ahead.len() {
            if this.little_room < LITTLE_ROOM_MIN {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            this.ahead = this.pool.take(GULP_BYTES);
            // Dropping this future loses nothing: it holds no byte that it has read.
            match pin!(this.stream.read_buf(&mut this.ahead)).poll(cx) {
                Poll::Ready(Ok(1..)) => {}
                end => {
                    this.give_back();
                    return end.map_ok(drop);
                }
            }
        }
        let ahead = this.ahead.get(this.taken..).unwrap_or_default();
        let part = ahead.len().min(buf.remaining());
        buf.put_slice(&ahead[..part]);
        this.taken += part;
        if this.taken == this.ahead.len() {
            this.give_back();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Gulp {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl AsyncWrite for Gulp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
