//! STOMP over plain TCP, for backends: one task for each connection, which hands over what arrives, writes what waits, and
//! stays after the session's end until the peer has read the last word. Everything that waits goes into one write, up to a
//! batch; there is no queue here beside the session's own.
//!
//! A connection on which nothing is under way holds no buffer: bytes are read into one that the thread lends, and what is
//! being written is let go of with its last byte.
//!
//! Does not know: listeners, what the bytes mean, when a peer has been silent for too long.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::connection::{LINGER, Readiness, TwoWay, Unsent, now, scratch};
use crate::gateway::Gateway;
use crate::pause::Pause;
use crate::session::{CloseReason, Drained, Message, Output, ReceiverId, RegistryFull, Session, Wire};
use crate::stomp::{Frame, Version};

/// Bytes after which a write takes no further frame; as for websockets, larger ones gain nothing.
const BATCH: usize = 64 * 1024;

/// A session on its way to a TCP connection, or on one. Dropped at whatever point, it ends the session.
pub(crate) struct Socket {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    receiver: ReceiverId,
    /// Who ended it, once somebody has.
    reason: CloseReason,
}

/// How the two-way traffic ended.
enum End {
    /// The session is over, and what was queued is written.
    Over(CloseReason),
    /// The connection is of no further use.
    Broken(CloseReason),
}

impl Socket {
    /// Opens the session of a connection that has just been accepted.
    ///
    /// # Errors
    /// [`RegistryFull`] if there are as many as may be; the peer is to be sent the [`refusal`].
    pub fn open(gateway: &Arc<Gateway>) -> Result<Self, RegistryFull> {
        let (session, receiver) = gateway.open_tcp(now())?;
        Ok(Self { gateway: Arc::clone(gateway), session, receiver, reason: CloseReason::Interrupted })
    }

    /// Serves the connection to its end. A future that is put together here: an `async fn` would keep its arguments a second time.
    pub fn serve<S>(self, io: S) -> impl Future<Output = ()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut traffic = Traffic {
            socket: self,
            io,
            readiness: Readiness::default(),
            pause: Pause::default(),
            unsent: Unsent::default(),
            linger: None,
        };
        async move {
            let end = poll_fn(|cx| traffic.poll(cx)).await;
            // Only who is about to go needs the room for this.
            Box::pin(traffic.end(end)).await;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let reason = std::mem::replace(&mut self.reason, CloseReason::Interrupted);
        self.gateway.tcp_closed(&self.session, reason, now());
    }
}

/// What a client is told for which there is no room (STOMP 1.2, ERROR).
pub(crate) fn refusal() -> Bytes {
    let detail = "the gateway serves as many connections as it may; try again later";
    Frame::error("too many connections", detail, None).encode(Version::V1_0)
}

/// Turns away a connection for which there is no room.
pub(crate) async fn refuse(io: impl AsyncRead + AsyncWrite + Unpin) {
    Goodbye::new(io, refusal()).say().await;
}

/// Both directions of a connection, polled by its one task.
struct Traffic<S> {
    socket: Socket,
    io: S,
    readiness: Readiness,
    /// Runs while nothing more is to be read.
    pause: Pause,
    unsent: Unsent,
    /// Runs when the session is closing and the peer does not read.
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TwoWay for Traffic<S> {
    type End = End;

    /// Hands over what has arrived, up to a buffer of it. `Ok(true)` if there may be more.
    ///
    /// One buffer and not several: it holds hundreds of frames, and receipts for many more of them would fill the outbox of
    /// a client that reads as it should.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let Socket { gateway, session, .. } = &self.socket;
        if self.pause.poll_over(cx, gateway, session, now).is_pending() {
            return Ok(false);
        }
        let Self { io, readiness, .. } = self;
        let size = gateway.tcp().settings().buffer;
        match readiness.poll_read(cx, |cx| read(io, cx, size, Bytes::copy_from_slice)) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(bytes)) if bytes.is_empty() => {
                // Half closed, it may well wait for the answers to what it said; what is queued is still written.
                session.close(CloseReason::EndOfStream, now());
                Ok(false)
            }
            Poll::Ready(Ok(bytes)) => {
                // Whether it ended the session stands in the outbox, where the drain will find it.
                self.pause.after(gateway.receive(session, vec![Message::binary(bytes)], now()));
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(End::Broken(CloseReason::Interrupted)),
        }
    }

    /// Writes what waits in the session, until nothing waits or the peer takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if !self.unsent.is_empty() {
                match self.unsent.poll_flush(&mut self.io, cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(End::Broken(CloseReason::Interrupted)),
                    Poll::Pending => return self.poll_stuck(cx),
                }
            }
            let drained = self.drain(cx);
            if let Poll::Ready(Some(end)) = drained {
                return Poll::Ready(end);
            }
            if drained.is_pending() && self.unsent.is_empty() {
                return Poll::Pending;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Traffic<S> {
    /// Writes a batch of what waits in the session; gives the end when that is all that is left. `Pending` if nothing waits.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let Socket { session, receiver, .. } = &self.socket;
        let mut out = Output::in_buffer(scratch::output());
        let end = match session.poll_drain(cx, *receiver, Wire::Raw, BATCH, now(), &mut out) {
            Poll::Ready(Drained::Frames | Drained::Ping) => Poll::Ready(None),
            Poll::Ready(Drained::All) | Poll::Pending => Poll::Pending,
            Poll::Ready(Drained::Closed(reason)) => Poll::Ready(Some(End::Over(reason))),
            Poll::Ready(Drained::Gone) => Poll::Ready(Some(End::Broken(CloseReason::Interrupted))),
        };
        let out = out.into_buffer();
        let sent = self.unsent.send(&mut self.io, cx, &out);
        scratch::return_output(out);
        match sent {
            Ok(()) => end,
            Err(_) => Poll::Ready(Some(End::Broken(CloseReason::Interrupted))),
        }
    }

    /// Ends the session, and says goodbye to a peer that may still be there.
    async fn end(self, end: End) {
        let Self { mut socket, io, .. } = self;
        let (reason, is_broken) = match end {
            End::Broken(reason) => (reason, true),
            End::Over(reason) => (reason, false),
        };
        let last_word = if reason == CloseReason::SlowConsumer { too_slow() } else { Bytes::new() };
        socket.reason = reason;
        // The session is over before the peer has read its end, for which nobody else has to wait.
        drop(socket);
        if !is_broken {
            Goodbye::new(io, last_word).say().await;
        }
    }

    /// The peer does not read. That is its right, until the session is to end: then it has a little time left.
    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let reason = ready!(self.socket.session.poll_closing(cx));
        let linger = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        linger.as_mut().poll(cx).map(|()| End::Broken(reason))
    }
}

/// The end of a connection: a last word, if there is one, and the end of our direction go out, and what still comes is read and
/// dropped. To close with bytes unread would be a reset, which may overtake the ERROR or RECEIPT that was written before.
struct Goodbye<S> {
    io: S,
    last_word: Bytes,
    /// We have ended our direction.
    said: bool,
    /// The peer has ended its own.
    heard: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Goodbye<S> {
    fn new(io: S, last_word: Bytes) -> Self {
        Self { io, last_word, said: false, heard: false }
    }

    /// Waits until both directions have ended, but not for ever.
    async fn say(mut self) {
        let _ = tokio::time::timeout(LINGER, poll_fn(|cx| self.poll(cx))).await;
    }

    /// Neither direction waits for the other: a peer may want to be rid of what it writes before it reads.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.heard {
            match read(&mut self.io, cx, DISCARD, <[u8]>::len) {
                Poll::Ready(read) => self.heard = read? == 0,
                Poll::Pending => break,
            }
        }
        if !self.said {
            ready!(write(&mut self.io, cx, &mut self.last_word))?;
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.said = true;
        }
        if self.heard { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

/// Bytes that are read at once when nobody wants them.
const DISCARD: usize = 4096;

/// Reads up to `size` bytes and makes of them what `take` does; of none at the end of the stream.
fn read<T>(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    size: usize,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    let mut buffer = scratch::input(size);
    let mut input = ReadBuf::new(buffer.get_mut(..size).unwrap_or_default());
    let read = Pin::new(io).poll_read(cx, &mut input).map_ok(|()| take(input.filled()));
    scratch::return_input(buffer);
    read
}

/// Writes `rest` to its end and flushes.
fn write(io: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>, rest: &mut Bytes) -> Poll<io::Result<()>> {
    while !rest.is_empty() {
        match ready!(Pin::new(&mut *io).poll_write(cx, rest))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => drop(rest.split_to(written.min(rest.len()))),
        }
    }
    Pin::new(io).poll_flush(cx)
}

/// What a client is told that did not read as fast as it was sent to. A websocket's close frame has a code for it; here an
/// ERROR is the only way, and the session's outbox takes no more.
fn too_slow() -> Bytes {
    let detail = format!("the gateway ended the session; {}", CloseReason::SlowConsumer.close().reason);
    Frame::error("session closed", detail, None).encode(Version::V1_0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// What an idle connection costs is the task, whose size is this, and the session.
    #[test]
    fn the_task_of_a_connection_is_small() {
        let gateway = Arc::new(Gateway::new(&Config::default(), now()));
        let socket = Socket::open(&gateway).expect("an empty gateway has room");
        let task = socket.serve(tokio::io::empty());
        let bytes = size_of_val(&task);
        assert!(bytes <= 512, "{bytes} bytes");
    }
}
