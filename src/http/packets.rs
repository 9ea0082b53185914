//! A websocket as packets in both directions, for the one task that polls it. The websocket library has the say over what
//! comes in, but is asked in memory only and never reads or writes itself, so that a socket at rest need keep nothing of it:
//! bytes are read into a buffer that the thread lends, whole frames of them are handed to a state machine that is made for
//! them, and that goes with the last one. What stays is the beginning of a frame, and what the peer has not taken yet.
//!
//! Does not know: sessions, or what packets mean.

use std::future::Future as _;
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Bytes, Message as Packet};

use crate::connection;

/// Bytes of a large frame that are read at once. No more room than that, or than has come already, is made for what was
/// announced and has not come.
const PIECE: usize = 64 * 1024;

/// The first byte of a pong.
const PONG: u8 = 0x8a;

/// How much is read and taken in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes that are read at once.
    pub buffer: usize,
    /// Bytes of a message, and of a frame.
    pub payload: usize,
}

/// The server's side of an open websocket.
pub(super) struct Packets<S> {
    io: S,
    incoming: Incoming,
    outgoing: Outgoing,
}

/// What has been read.
struct Incoming {
    limits: Limits,
    /// What is to be done with whole frames; none while there are none.
    machine: Option<Box<Machine>>,
    /// The beginning of a frame whose rest has not come.
    partial: Vec<u8>,
    /// The machine is in the middle of a message in fragments, which outlasts the frames that it was given.
    fragments: bool,
    /// So does the closing handshake.
    closing: bool,
    /// After an error nothing more is read.
    ended: bool,
}

/// What is to be written.
#[derive(Default)]
struct Outgoing {
    /// From the first byte on that the peer has not taken.
    bytes: BytesMut,
    /// The bytes of the pong that stands last in them, if one does.
    pong: u8,
    /// Something was written that may not be on the wire yet.
    flushing: bool,
}

/// The library's state machine for whole frames, and those that it has yet to be fed with.
struct Machine {
    context: WebSocketContext,
    input: Bytes,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Packets<S> {
    /// A websocket from its first frame on, of which something may have been read already.
    pub fn new(io: S, limits: Limits, already_read: &[u8]) -> Self {
        let mut incoming =
            Incoming { limits, machine: None, partial: Vec::new(), fragments: false, closing: false, ended: false };
        incoming.take_in(already_read);
        Self { io, incoming, outgoing: Outgoing::default() }
    }

    /// The next packet. The answer to a ping is there to be written when the packet after it is asked for.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, Error>> {
        if self.incoming.ended {
            return Poll::Ready(Err(Error::AlreadyClosed));
        }
        loop {
            if let Some(next) = self.incoming.next(&mut self.outgoing) {
                self.incoming.ended = next.is_err();
                return Poll::Ready(next);
            }
            let error = match ready!(self.poll_fill(cx)) {
                Ok(0) => ProtocolError::ResetWithoutClosingHandshake.into(),
                Ok(_) => continue,
                Err(error) => error.into(),
            };
            self.incoming.ended = true;
            return Poll::Ready(Err(error));
        }
    }

    /// Adds a frame to what is to be written.
    pub fn feed(&mut self, frame: Frame) {
        self.outgoing.feed(frame);
    }

    /// Whether all is written.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.bytes.is_empty() && !self.outgoing.flushing
    }

    /// Writes all that is to be written.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, outgoing, .. } = self;
        outgoing.flushing = true;
        while !outgoing.bytes.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &outgoing.bytes))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => outgoing.bytes.advance(written.min(outgoing.bytes.len())),
            }
        }
        ready!(Pin::new(io).poll_flush(cx))?;
        // With the memory, which even empty ones have.
        *outgoing = Outgoing::default();
        Poll::Ready(Ok(()))
    }

    /// Adds our close frame to what is to be written. What still comes is read up to the peer's answer.
    pub fn close(&mut self, frame: CloseFrame) {
        let Self { incoming, outgoing, .. } = self;
        incoming.closing = true;
        if incoming.machine.is_none() {
            incoming.hand_over(Vec::new());
        }
        if let Some(machine) = &mut incoming.machine {
            let (context, mut memory) = machine.parts(outgoing);
            let _ = context.close(&mut memory, Some(frame));
        }
    }

    /// Adds the answer to the peer's close frame to what is to be written.
    pub fn answer_close(&mut self) {
        if let Some(machine) = &mut self.incoming.machine {
            // The error says that all is over with this.
            let (context, mut memory) = machine.parts(&mut self.outgoing);
            let _ = context.flush(&mut memory);
        }
    }

    /// Reads once, and takes in what comes. Gives how much that was; none is the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { io, incoming, .. } = self;
        if incoming.partial.is_empty() {
            return connection::read(io, cx, incoming.limits.buffer, |bytes| {
                incoming.take_in(bytes);
                bytes.len()
            });
        }
        let most = incoming.wanted();
        incoming.partial.reserve_exact(most);
        let mut room = (&mut incoming.partial).limit(most);
        let read = ready!(pin!(io.read_buf(&mut room)).poll(cx));
        incoming.complete();
        Poll::Ready(read)
    }
}

impl Incoming {
    /// What comes of the frames that were taken in, until nothing more does.
    fn next(&mut self, outgoing: &mut Outgoing) -> Option<Result<Packet, Error>> {
        let (context, mut memory) = self.machine.as_mut()?.parts(outgoing);
        match context.read(&mut memory) {
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                if !self.fragments && !self.closing {
                    self.machine = None;
                }
                None
            }
            next => Some(next),
        }
    }

    /// Takes in what was read behind a whole frame.
    fn take_in(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.split_at(self.whole(bytes));
        if !whole.is_empty() {
            self.hand_over(whole.to_vec());
        }
        self.partial = rest.to_vec();
    }

    /// Takes in what was read behind the beginning of a frame.
    fn complete(&mut self) {
        let mut bytes = std::mem::take(&mut self.partial);
        match self.whole(&bytes) {
            0 => self.partial = bytes,
            whole => {
                self.partial = bytes.split_off(whole);
                self.hand_over(bytes);
            }
        }
    }

    /// The bytes of the whole frames that these begin with. All of them, from a frame on that breaks a rule: the machine will
    /// say which.
    fn whole(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let Some((header, frame)) = self.frame(rest) {
            let Some(behind) = rest.get(frame..) else { break };
            if let Some(FrameHeader { is_final, opcode: OpCode::Data(_), .. }) = header {
                self.fragments = !is_final;
            }
            rest = behind;
        }
        bytes.len() - rest.len()
    }

    /// The header and the length of the frame that these bytes begin, if so much of it is there. Without a header, it breaks a
    /// rule with what is there.
    fn frame(&self, bytes: &[u8]) -> Option<(Option<FrameHeader>, usize)> {
        let mut cursor = Cursor::new(bytes);
        match FrameHeader::parse(&mut cursor) {
            Ok(None) => None,
            Ok(Some((header, payload))) if payload <= self.limits.payload as u64 => {
                Some((Some(header), cursor.position().saturating_add(payload) as usize))
            }
            Ok(Some(_)) | Err(_) => Some((None, bytes.len())),
        }
    }

    /// How much more is to be read of the frame that has begun.
    fn wanted(&self) -> usize {
        let begun = self.partial.len();
        let frame = self.frame(&self.partial).map(|(_, frame)| frame.saturating_sub(begun));
        frame.unwrap_or(self.limits.buffer).clamp(1, begun.max(PIECE))
    }

    /// Hands whole frames to the machine, which has none left when it gets more.
    fn hand_over(&mut self, frames: Vec<u8>) {
        let lasts = self.fragments || self.closing;
        match &mut self.machine {
            Some(machine) => machine.input = frames.into(),
            none => *none = Some(Box::new(Machine::new(frames, self.limits, lasts))),
        }
    }
}

impl Machine {
    fn new(frames: Vec<u8>, limits: Limits, lasts: bool) -> Self {
        let config = WebSocketConfig::default()
            // For these frames alone it needs no buffer beside them. If it lasts, it copies the next ones into its own.
            .read_buffer_size(if lasts { limits.buffer } else { 0 })
            .max_message_size(Some(limits.payload))
            .max_frame_size(Some(limits.payload));
        let context = WebSocketContext::from_partially_read(frames, Role::Server, Some(config));
        Self { context, input: Bytes::new() }
    }

    /// The machine, and what it is to take for the connection.
    fn parts<'a>(&'a mut self, outgoing: &'a mut Outgoing) -> (&'a mut WebSocketContext, Memory<'a>) {
        (&mut self.context, Memory { input: &mut self.input, outgoing })
    }
}

/// The connection, to the machine.
struct Memory<'a> {
    input: &'a mut Bytes,
    outgoing: &'a mut Outgoing,
}

impl Read for Memory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = buffer.len().min(self.input.len());
        self.input.split_to(length).reader().read(buffer)
    }
}

impl Write for Memory<'_> {
    /// The machine writes one frame at a time.
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.outgoing.answer(frame);
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Outgoing {
    fn feed(&mut self, frame: Frame) {
        self.pong = 0;
        self.bytes.reserve(frame.len());
        // Memory takes everything.
        let _ = frame.format(&mut (&mut self.bytes).writer());
    }

    /// Adds a frame of the machine's: a pong, or a close frame. Of pongs that wait behind one another the last one is enough
    /// (RFC 6455, section 5.5.3), or a peer that reads nothing could pile them up.
    fn answer(&mut self, frame: &[u8]) {
        let is_pong = frame.first() == Some(&PONG);
        let last = usize::from(self.pong);
        // One whose first byte may be on its way is left alone.
        if is_pong && last > 0 && last < self.bytes.len() {
            self.bytes.truncate(self.bytes.len() - last);
        }
        self.bytes.extend_from_slice(frame);
        self.pong = if is_pong { u8::try_from(frame.len()).unwrap_or(0) } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::io::{AsyncWriteExt as _, DuplexStream};
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data};

    use super::*;

    const LIMITS: Limits = Limits { buffer: 512, payload: 1 << 20 };

    /// A websocket and its peer's end.
    struct Pair {
        packets: Packets<DuplexStream>,
        peer: DuplexStream,
    }

    impl Pair {
        fn new() -> Self {
            let (ours, peer) = tokio::io::duplex(4 << 20);
            Self { packets: Packets::new(ours, LIMITS, &[]), peer }
        }

        /// The packets that are there once the peer has written these bytes.
        async fn packets(&mut self, bytes: &[u8]) -> Vec<Packet> {
            self.peer.write_all(bytes).await.unwrap();
            let mut packets = Vec::new();
            while let Poll::Ready(packet) = self.packets.poll_next(&mut Context::from_waker(Waker::noop())) {
                packets.push(packet.unwrap());
            }
            packets
        }

        async fn written(&mut self) -> Vec<u8> {
            poll_fn(|cx| self.packets.poll_flush(cx)).await.unwrap();
            let mut bytes = Vec::with_capacity(4 << 20);
            let _ = pin!(self.peer.read_buf(&mut bytes)).poll(&mut Context::from_waker(Waker::noop()));
            bytes
        }

        fn holds(&self) -> usize {
            let Packets { incoming, outgoing, .. } = &self.packets;
            let machine = incoming.machine.is_some();
            incoming.partial.capacity() + outgoing.bytes.capacity() + usize::from(machine) * size_of::<Machine>()
        }
    }

    /// A client's frame, its mask being zero.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..=125 => bytes.push(0x80 | short as u8),
            medium @ 126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(0x80 | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    fn text(text: &str) -> Packet {
        Packet::text(text)
    }

    #[tokio::test]
    async fn a_socket_at_rest_holds_nothing() {
        let mut pair = Pair::new();
        let large = "m".repeat(300_000);
        let bytes = [frame(0x81, b"a"), frame(0x81, large.as_bytes()), frame(0x81, b"b")].concat();
        assert!(pair.packets(&bytes).await == [text("a"), text(&large), text("b")]);
        assert_eq!(pair.holds(), 0);
        pair.packets.feed(Frame::message(large, OpCode::Data(Data::Text), true));
        assert!(pair.holds() > 300_000);
        assert!(!pair.packets.is_flushed());
        assert_eq!(pair.written().await.len(), 10 + 300_000);
        assert!(pair.packets.is_flushed());
        assert_eq!(pair.holds(), 0);
    }

    #[tokio::test]
    async fn frames_may_be_cut_anywhere() {
        let bytes =
            [frame(0x81, b"a"), frame(0x82, &[7; 200]), frame(0x01, b"b"), frame(0x89, b"p"), frame(0x80, b"c")];
        let bytes = bytes.concat();
        let whole =
            [text("a"), Packet::binary(vec![7; 200]), Packet::Ping(Bytes::from_static(b"p")), text("bc"), text("d")];
        for cut in 0..=bytes.len() {
            let mut pair = Pair::new();
            let (head, tail) = bytes.split_at(cut);
            let mut packets = pair.packets(head).await;
            packets.extend(pair.packets(tail).await);
            packets.extend(pair.packets(&frame(0x81, b"d")).await);
            assert_eq!(packets, whole, "cut at {cut}");
            assert_eq!(pair.written().await, [0x8a, 1, b'p'], "cut at {cut}");
            assert_eq!(pair.holds(), 0, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn large_fragments_are_put_together() {
        let mut pair = Pair::new();
        let piece = vec![b'm'; 70_000];
        assert_eq!(pair.packets(&frame(0x01, &piece)).await, []);
        assert!(pair.holds() > 0, "it is under way");
        assert_eq!(pair.packets(&frame(0x00, &piece)).await, []);
        let [Packet::Text(message)] = &pair.packets(&frame(0x80, &piece)).await[..] else { panic!("one message") };
        assert_eq!(message.len(), 210_000);
        assert_eq!(pair.holds(), 0);
    }

    /// What is announced is believed only as it comes.
    #[tokio::test]
    async fn a_large_frame_gets_room_as_it_arrives() {
        let mut pair = Pair::new();
        let bytes = frame(0x82, &vec![1; 1 << 20]);
        for arrived in [100, 10_000, 70_000, 200_000, 1_000_000] {
            let begun = pair.packets.incoming.partial.len();
            assert_eq!(pair.packets(&bytes[begun..arrived]).await, []);
            assert!(pair.holds() <= 2 * arrived.max(PIECE), "{} bytes for {arrived}", pair.holds());
        }
        let [Packet::Binary(message)] = &pair.packets(&bytes[1_000_000..]).await[..] else { panic!("one message") };
        assert_eq!(message.len(), 1 << 20);
        let mut pair = Pair::new();
        pair.peer.write_all(&bytes[..2]).await.unwrap();
        pair.packets.incoming.limits.payload = (1 << 20) - 1;
        assert!(pair.packets.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
        pair.peer.write_all(&bytes[2..14]).await.unwrap();
        let error = poll_fn(|cx| pair.packets.poll_next(cx)).await.unwrap_err();
        assert!(matches!(error, Error::Capacity(_)), "its header says it: {error}");
    }

    #[tokio::test]
    async fn pongs_do_not_pile_up_unread() {
        let mut pair = Pair::new();
        pair.packets.feed(Frame::message("first", OpCode::Data(Data::Text), true));
        for number in 0..1000 {
            assert_eq!(pair.packets(&frame(0x89, format!("{number:03}").as_bytes())).await.len(), 1);
        }
        assert_eq!(pair.written().await, b"\x81\x05first\x8a\x03999");
    }

    #[tokio::test]
    async fn after_the_close_frame_the_peer_may_finish() {
        let mut pair = Pair::new();
        pair.packets.close(CloseFrame { code: CloseCode::Normal, reason: "so".into() });
        assert_eq!(pair.written().await, b"\x88\x04\x03\xe8so");
        assert_eq!(pair.packets(&frame(0x81, b"a")).await, [text("a")]);
        pair.peer.write_all(&frame(0x88, b"\x03\xe8")).await.unwrap();
        assert!(matches!(poll_fn(|cx| pair.packets.poll_next(cx)).await, Ok(Packet::Close(_))));
        assert!(matches!(poll_fn(|cx| pair.packets.poll_next(cx)).await, Err(Error::ConnectionClosed)));
    }
}
