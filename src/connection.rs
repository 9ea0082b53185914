//! What every connection has, whatever is spoken on it: a stream with what it must not do (count for longer than it lives, or
//! wait for ever for a peer that does not read), the clock, and the time for a goodbye.
//!
//! Does not know: what goes over it.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use crate::metrics;

/// How long a peer may take to read the last of what it is sent, and to say goodbye itself.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// The clock of the asynchronous side, as the synchronous core wants it. Under a paused test clock it stands still.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Reads up to `size` bytes into a buffer that the thread lends and makes of them what `take` does; of none at the end of the
/// stream. Who waits for something to read holds no buffer.
pub(crate) fn read<T>(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    size: usize,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    thread_local! {
        // A read ends before the next one on its thread begins, so one buffer serves all connections.
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let mut scratch = SCRATCH.take();
    if scratch.len() < size {
        scratch.resize(size, 0);
    }
    let mut buffer = ReadBuf::new(scratch.get_mut(..size).unwrap_or_default());
    let read = Pin::new(io).poll_read(cx, &mut buffer).map_ok(|()| take(buffer.filled()));
    SCRATCH.set(scratch);
    read
}

/// A connection in both directions, polled by its one task.
pub(crate) trait TwoWay {
    /// How it ended.
    type End;

    /// Hands over what has arrived. `Ok(true)` if there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, Self::End>;

    /// Writes what waits until nothing does, or the peer takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Self::End>;

    /// Goes on until neither direction can. Everything that has arrived is handed over before what it caused is written.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::End> {
        loop {
            let more = match self.poll_read(cx) {
                Ok(more) => more,
                Err(end) => return Poll::Ready(end),
            };
            // Pending: registered with the session or, where the peer does not read, with the stream.
            if let Poll::Ready(end) = self.poll_write(cx) {
                return Poll::Ready(end);
            }
            if !more {
                return Poll::Pending;
            }
        }
    }
}

/// A stream that counts against `max_connections` for as long as it lives, as a websocket too, and fails when its peer has
/// taken nothing for `write_timeout`.
///
/// A slow peer is no concern: every byte that it takes starts the time anew. How much may wait for it is the outbox's affair.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    write_timeout: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S> Connection<S> {
    /// A stream with the permit, if it needed one, that it gives back when it closes.
    pub fn new(stream: S, permit: Option<OwnedSemaphorePermit>, write_timeout: Duration) -> Self {
        metrics::connection_opened();
        Self { stream, write_timeout, stalled: None, _permit: permit }
    }

    /// Passes the outcome of a write on, unless it has been pending for too long.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(stalled.as_mut().poll(cx));
        metrics::limit_reached("write_timeout");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer took nothing for write_timeout")))
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        metrics::connection_closed();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
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
