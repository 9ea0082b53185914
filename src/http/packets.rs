//! A websocket over a stream that is polled: packets come in through the websocket library's state machine, and what goes out is
//! framed here, so that a drain's messages and their headers are one write. Both directions use buffers of the thread; between two
//! polls a socket owns only what is incomplete.
//!
//! Does not know: sessions, SockJS, or what the packets mean.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Bytes, Message as Packet};

use crate::connection::{Readiness, Unsent, scratch};
use crate::session::Sink;

/// What the library holds of a socket's input between two polls while nothing is incomplete: room for a small message. A larger one
/// makes it grow once, by its length.
const HELD: usize = 256;

/// What the library may hold of answers to pings for a peer that does not read. Beyond it, of those to come only the last one is kept
/// (RFC 6455, section 5.5.3).
const ANSWERS: usize = 1024;

/// First bytes of frames that are whole (RFC 6455, section 5.2).
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;

/// An open websocket, the server's end.
pub(super) struct WebSocket<S> {
    stream: S,
    context: WebSocketContext,
    readiness: Readiness,
    /// What has been read and not been looked at yet.
    unread: Bytes,
    unsent: Unsent,
    /// The library may have an answer to a ping, or a part of one, to be written before anything else.
    answering: bool,
    /// All that was read has been taken, and the stream had no more.
    exhausted: bool,
    /// What is read at once.
    read_size: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// A websocket on a stream, of which the handshake has read these bytes too many. Up to `read_size` bytes are read at once, and no
    /// message may be larger than `max_message`.
    pub fn new(stream: S, already_read: &[u8], read_size: usize, max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(HELD)
            .write_buffer_size(0)
            .max_write_buffer_size(ANSWERS)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        Self {
            stream,
            context: WebSocketContext::new(Role::Server, Some(config)),
            readiness: Readiness::default(),
            unread: Bytes::copy_from_slice(already_read),
            unsent: Unsent::default(),
            answering: false,
            exhausted: false,
            read_size,
        }
    }

    /// Whether there may be a packet, without a look at the stream.
    pub fn may_have_input(&self, cx: &Context<'_>) -> bool {
        !self.exhausted || self.readiness.was_woken(cx)
    }

    /// Begins to read. Packets that were read and not taken wait for the next time.
    pub fn reading<'a, 'c>(&'a mut self, cx: &'a mut Context<'c>) -> Reading<'a, 'c, S> {
        let mut buffer = scratch::input(self.read_size.max(self.unread.len()));
        let unread = std::mem::take(&mut self.unread);
        let filled = 0..unread.len();
        if let Some(start) = buffer.get_mut(filled.clone()) {
            start.copy_from_slice(&unread);
        }
        Reading { socket: self, cx, buffer, filled }
    }

    /// Writes what the peer has not taken yet. `Ready` if nothing is left of that.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.answering {
            ready!(self.with_stream(cx, |context, stream| context.flush(stream)))?;
            self.answering = false;
        }
        Poll::Ready(Ok(ready!(self.unsent.poll_flush(&mut self.stream, cx))?))
    }

    /// Whether all that was sent is written.
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty() && !self.answering
    }

    /// Writes packets; what the peer does not take now is for [`poll_flush`](Self::poll_flush). All that was sent before must be
    /// flushed.
    pub fn send(&mut self, cx: &mut Context<'_>, packets: &Packets) -> io::Result<()> {
        self.unsent.send(&mut self.stream, cx, &packets.bytes)
    }

    /// Sends the close frame, or the answer to the peer's if there is none, and waits for the end of the stream.
    pub async fn close(mut self, frame: Option<CloseFrame>) {
        let mut frame = Some(frame);
        let sent = std::future::poll_fn(|cx| {
            ready!(self.unsent.poll_flush(&mut self.stream, cx))?;
            self.with_stream(cx, |context, stream| match frame.take() {
                Some(Some(frame)) => context.close(stream, Some(frame)),
                // The library has queued its answer, and refuses any other.
                _ => context.flush(stream),
            })
        });
        if sent.await.is_ok() {
            while std::future::poll_fn(|cx| self.reading(cx).poll_next()).await.is_ok() {}
        }
    }

    fn with_stream<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut WebSocketContext, &mut Through<'_, '_, S>) -> Result<T, Error>,
    ) -> Poll<Result<T, Error>> {
        let Self { stream, context, readiness, unsent, .. } = self;
        let mut through = Through { stream, readiness, unsent, cx, buffer: &mut [], filled: &mut (0..0) };
        pending_if_blocked(act(context, &mut through))
    }
}

/// A socket that is being read, with the buffer of the thread.
pub(super) struct Reading<'a, 'c, S> {
    socket: &'a mut WebSocket<S>,
    cx: &'a mut Context<'c>,
    buffer: Vec<u8>,
    /// What of the buffer the library has not seen.
    filled: Range<usize>,
}

impl<'c, S: AsyncRead + AsyncWrite + Unpin> Reading<'_, 'c, S> {
    /// The task's context, for whatever else is waited for.
    pub fn context(&mut self) -> &mut Context<'c> {
        self.cx
    }

    /// The next packet. Pings are answered by the next flush, or before the next packet is read.
    pub fn poll_next(&mut self) -> Poll<Result<Packet, Error>> {
        let WebSocket { stream, context, readiness, unsent, answering, exhausted, read_size, .. } = &mut *self.socket;
        // The buffer of the thread may be larger, for those who read more at once.
        let buffer = self.buffer.get_mut(..self.filled.end.max(*read_size)).unwrap_or_default();
        let (cx, filled) = (&mut *self.cx, &mut self.filled);
        let mut through = Through { stream, readiness, unsent, cx, buffer, filled };
        let packet = pending_if_blocked(context.read(&mut through));
        *exhausted = packet.is_pending();
        let packet = ready!(packet);
        *answering |= matches!(packet, Ok(Packet::Ping(_)));
        Poll::Ready(packet)
    }
}

impl<S> Drop for Reading<'_, '_, S> {
    fn drop(&mut self) {
        let unread = self.buffer.get(self.filled.clone()).unwrap_or_default();
        if !unread.is_empty() {
            self.socket.unread = Bytes::copy_from_slice(unread);
        }
        scratch::return_input(std::mem::take(&mut self.buffer));
    }
}

/// The stream as the library wants it: it blocks, or says that it would.
struct Through<'a, 'c, S> {
    stream: &'a mut S,
    readiness: &'a mut Readiness,
    unsent: &'a mut Unsent,
    cx: &'a mut Context<'c>,
    buffer: &'a mut [u8],
    filled: &'a mut Range<usize>,
}

impl<S: AsyncRead + Unpin> Read for Through<'_, '_, S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if Range::is_empty(self.filled) {
            let Self { stream, readiness, cx, buffer, .. } = self;
            let mut input = ReadBuf::new(buffer);
            match readiness.poll_read(cx, |cx| Pin::new(&mut **stream).poll_read(cx, &mut input)) {
                Poll::Ready(read) => read?,
                Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            }
            *self.filled = 0..input.filled().len();
        }
        let input = self.buffer.get(self.filled.clone()).unwrap_or_default();
        let read = (&mut &*input).read(out)?;
        self.filled.start += read;
        Ok(read)
    }
}

impl<S: AsyncWrite + Unpin> Write for Through<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A frame of ours that is written in part must be whole before one of the library's.
        block_if_pending(self.unsent.poll_flush(self.stream, self.cx))?;
        block_if_pending(Pin::new(&mut *self.stream).poll_write(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        block_if_pending(Pin::new(&mut *self.stream).poll_flush(self.cx))
    }
}

fn block_if_pending<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn pending_if_blocked<T>(result: Result<T, Error>) -> Poll<Result<T, Error>> {
    match result {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// What a drain has for a websocket, framed, in the buffer of the thread.
pub(super) struct Packets {
    bytes: BytesMut,
    /// Whether text goes as binary, too.
    all_binary: bool,
}

impl Packets {
    /// None yet.
    pub fn new(all_binary: bool) -> Self {
        Self { bytes: scratch::output(), all_binary }
    }

    /// Their bytes with all headers.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a ping.
    pub fn ping(&mut self) {
        self.bytes.extend_from_slice(&[PING, 0]);
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        scratch::return_output(std::mem::take(&mut self.bytes));
    }
}

impl Sink for Packets {
    /// The header goes before the payload and depends on its length, which is known only afterwards; where the guess at it was
    /// wrong, the payload is moved.
    fn message(&mut self, text: bool, size: usize, write: impl FnOnce(&mut BytesMut)) {
        let bytes = &mut self.bytes;
        let begin = bytes.len();
        let guess = header_length(size);
        bytes.put_bytes(0, guess);
        write(bytes);
        let length = bytes.len().saturating_sub(begin + guess);
        let exact = header_length(length);
        if exact > guess {
            bytes.put_bytes(0, exact - guess);
        }
        if exact != guess {
            bytes.copy_within(begin + guess..begin + guess + length, begin + exact);
            bytes.truncate(begin + exact + length);
        }
        let first = if text && !self.all_binary { TEXT } else { BINARY };
        write_header(bytes.get_mut(begin..).unwrap_or_default(), first, length);
    }

    fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }
}

/// Bytes of an unmasked frame's header (RFC 6455, section 5.2).
fn header_length(payload: usize) -> usize {
    match payload {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    }
}

fn write_header(mut out: &mut [u8], first: u8, payload: usize) {
    match payload {
        0..126 => out.put_slice(&[first, payload as u8]),
        126..65_536 => {
            out.put_slice(&[first, 126]);
            out.put_u16(payload as u16);
        }
        _ => {
            out.put_slice(&[first, 127]);
            out.put_u64(payload as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_tungstenite::tungstenite::protocol::frame::FrameSocket;

    use super::*;

    /// Read back by the library, whatever the guess was.
    #[test]
    fn packets_have_the_header_of_their_length() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000];
        for guess in lengths {
            let mut packets = Packets::new(false);
            for length in lengths {
                packets.message(length % 2 == 0, guess, |bytes| bytes.put_bytes(b'x', length));
            }
            packets.ping();
            let mut frames = FrameSocket::new(io::Cursor::new(packets.bytes.to_vec()));
            for length in lengths {
                let frame = frames.read(None).unwrap().unwrap();
                let opcode = u8::from(frame.header().opcode);
                assert_eq!((frame.payload().len(), opcode), (length, if length % 2 == 0 { 1 } else { 2 }));
                assert!(frame.header().is_final && frame.payload().iter().all(|byte| *byte == b'x'));
            }
            assert_eq!(u8::from(frames.read(None).unwrap().unwrap().header().opcode), 9);
            assert!(frames.read(None).unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn pongs_do_not_pile_up_for_a_peer_that_reads_nothing() {
        const PINGS: usize = 1000;
        let (ours, mut peer) = tokio::io::duplex(64 * 1024);
        let mut socket = WebSocket::new(ours, &[], 4096, 4096);
        // More than the pipe holds of answers, so the rest stays with us.
        let ping = [&[PING, 0x80 | 125, 0, 0, 0, 0][..], &[b'p'; 125]].concat();
        for _ in 0..PINGS {
            peer.write_all(&ping).await.unwrap();
            let mut cx = Context::from_waker(std::task::Waker::noop());
            while socket.reading(&mut cx).poll_next().is_ready() {}
        }
        let reading = async move {
            let mut pongs = Vec::new();
            peer.shutdown().await.unwrap();
            peer.read_to_end(&mut pongs).await.unwrap();
            pongs.len() / 127
        };
        let (pongs, ()) = tokio::join!(reading, socket.close(None));
        assert!((1..=(64 * 1024 + ANSWERS) / 127 + 2).contains(&pongs), "{pongs}");
    }

    #[test]
    fn text_goes_as_binary_where_that_is_wanted() {
        let mut packets = Packets::new(true);
        packets.message(true, 1, |bytes| bytes.put_u8(b'h'));
        assert_eq!(&packets.bytes[..], [BINARY, 1, b'h']);
    }
}
