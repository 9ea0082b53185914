//! What every connection has, whatever is spoken on it: a stream with what it must not do (count for longer than it lives, or
//! wait for ever for a peer that does not read), the buffers that all connections of a thread share, the clock, and the time
//! for a goodbye.
//!
//! Does not know: what goes over it.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
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

/// Tells the wake-ups of a stream's input from all others of its task, so that a task which is woken to write does not look for
/// input first. That look, at a socket that nothing has touched for long, is a tenth of what a delivery costs in user space.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Option<(Arc<Input>, Waker)>);

#[derive(Debug)]
struct Input {
    may_be_there: AtomicBool,
    task: Waker,
}

impl Wake for Input {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.may_be_there.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Readiness {
    /// Whether a read may find something: the last one did, or its waker was woken since.
    pub fn was_woken(&self, cx: &Context<'_>) -> bool {
        self.0
            .as_ref()
            .is_none_or(|(input, _)| input.may_be_there.load(Ordering::Acquire) || !input.task.will_wake(cx.waker()))
    }

    /// Reads, unless the last read found nothing and its waker was not woken since.
    pub fn poll_read<T>(&mut self, cx: &mut Context<'_>, read: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        if self.0.as_ref().is_none_or(|(input, _)| !input.task.will_wake(cx.waker())) {
            let input = Arc::new(Input { may_be_there: AtomicBool::new(true), task: cx.waker().clone() });
            self.0 = Some((Arc::clone(&input), Waker::from(input)));
        }
        let Some((input, waker)) = &self.0 else { return read(cx) };
        if !input.may_be_there.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let read = read(&mut Context::from_waker(waker));
        if read.is_ready() {
            input.may_be_there.store(true, Ordering::Release);
        }
        read
    }
}

/// A buffer that one step of a task fills and empties again, so all tasks of a thread share one of each kind, and an idle
/// connection owns none.
pub(crate) mod scratch {
    use super::{BytesMut, Cell};

    /// A buffer that has become larger than this is given back to the allocator.
    const KEPT: usize = 256 * 1024;

    thread_local! {
        static INPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        static OUTPUT: Cell<BytesMut> = Cell::default();
    }

    /// The buffer for what is read: at least that long, with whatever is in it.
    pub fn input(length: usize) -> Vec<u8> {
        let mut buffer = INPUT.take();
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        buffer
    }

    /// Gives it back.
    pub fn return_input(buffer: Vec<u8>) {
        if buffer.len() <= KEPT {
            INPUT.set(buffer);
        }
    }

    /// The buffer for what is to be written: empty.
    pub fn output() -> BytesMut {
        let mut buffer = OUTPUT.take();
        buffer.clear();
        buffer
    }

    /// Gives it back.
    pub fn return_output(buffer: BytesMut) {
        if buffer.capacity() <= KEPT {
            OUTPUT.set(buffer);
        }
    }
}

/// What of a connection's output its peer has not taken yet. Usually nothing.
#[derive(Debug, Default)]
pub(crate) struct Unsent(BytesMut);

impl Unsent {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes to the end what is left of before, and flushes.
    pub fn poll_flush(&mut self, stream: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.0.is_empty() {
            let written = ready!(write(stream, cx, &self.0)?);
            self.0.advance(written);
        }
        self.0 = BytesMut::new();
        Pin::new(stream).poll_flush(cx)
    }

    /// Writes what the peer takes now, and keeps the rest. Nothing may be left of before.
    pub fn send(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        mut bytes: &[u8],
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            match write(stream, cx, bytes)? {
                Poll::Ready(written) => bytes.advance(written),
                Poll::Pending => {
                    self.0.extend_from_slice(bytes);
                    break;
                }
            }
        }
        Ok(())
    }
}

fn write(stream: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<Poll<usize>> {
    match Pin::new(stream).poll_write(cx, bytes)? {
        Poll::Ready(0) => Err(io::ErrorKind::WriteZero.into()),
        Poll::Ready(written) => Ok(Poll::Ready(written.min(bytes.len()))),
        Poll::Pending => Ok(Poll::Pending),
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
