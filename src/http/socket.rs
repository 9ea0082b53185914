//! The life of an open websocket: one task that pulls from the session and feeds it. Everything that waits goes into one
//! flush, and everything that has arrived is handed over before the next drain, so pipelined messages are answered in one
//! write.
//!
//! Does not know: SockJS sessions over HTTP, or what the messages mean.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message as Packet};

use super::packets::{Packets, WebSocket};
use super::send;
use crate::config::Service;
use crate::connection::{Connection, LINGER, TwoWay, now};
use crate::gateway::{Endpoint, Gateway};
use crate::metrics;
use crate::pause::Pause;
use crate::session::{Carrier, CloseReason, Drained, Flow, Message, ReceiverId, Session, Wire};
use crate::sockjs::{self, Framing};

/// Bytes after which a frame takes no further message, and a flush no further frame. Larger batches gain nothing: the cost
/// of a write is in the call up to here, and in the copying beyond.
const BATCH: usize = 64 * 1024;

/// Packets that are read before what they caused is sent.
const PIPELINE: usize = 64;

/// What a client is told whose message breaks a limit (RFC 6455, section 7.4.1).
const TOO_LARGE: CloseReason = CloseReason::Websocket { code: 1009, reason: "Message too large" };

/// A session on its way to a socket, or on one. Dropped at whatever point, it ends the session.
pub(super) struct Socket {
    gateway: Arc<Gateway>,
    endpoint: Arc<Endpoint>,
    session: Arc<Session>,
    receiver: ReceiverId,
    /// Who ended it, once somebody has.
    reason: CloseReason,
}

/// How the two-way traffic ended.
#[derive(PartialEq)]
enum End {
    /// We closed: all is written, the close frame is due.
    Ours(CloseReason),
    /// The peer closed; the library has its answer ready.
    Theirs,
    /// The connection is of no further use.
    Broken(CloseReason),
    /// The peer broke a rule, and is to be told by close code.
    Fault(CloseReason),
}

impl Socket {
    pub fn new(gateway: Arc<Gateway>, endpoint: Arc<Endpoint>, session: Arc<Session>, receiver: ReceiverId) -> Self {
        Self { gateway, endpoint, session, receiver, reason: CloseReason::Interrupted }
    }

    /// Waits for the connection and serves it to its end.
    pub async fn run(self, upgrade: OnUpgrade) {
        let Ok(upgraded) = upgrade.await else { return };
        // The concrete stream saves a box and a buffer for each socket; anything else works as well.
        match upgraded.downcast::<TokioIo<Connection<TcpStream>>>() {
            Ok(parts) => self.serve(parts.io.into_inner(), parts.read_buf).await,
            // Boxed, or each of the others would have room for it.
            Err(upgraded) => Box::pin(self.serve(TokioIo::<Upgraded>::new(upgraded), Bytes::new())).await,
        }
    }

    /// A future that is put together here: an `async fn` would keep its arguments a second time.
    fn serve<S>(self, io: S, already_read: Bytes) -> impl Future<Output = ()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (read_size, max_payload) = (self.endpoint.settings().websocket_buffer, self.max_payload().0);
        let stream = WebSocket::new(io, &already_read, read_size, max_payload);
        // Even empty it holds the buffer of the HTTP connection.
        drop(already_read);
        let (speech, pause) = (Speech::Silence, Pause::default());
        let mut traffic = Traffic { socket: self, stream, speech, pause, linger: None };
        async move {
            let end = poll_fn(|cx| traffic.poll(cx)).await;
            // Only who is about to go needs the room for this.
            Box::pin(traffic.end(end)).await;
        }
    }

    /// The limit of a websocket message, with its configuration key. Under SockJS it is the limit of a whole payload, as
    /// for the body of a send over HTTP: many messages may come in one, and a character as six.
    fn max_payload(&self) -> (usize, &'static str) {
        let settings = self.endpoint.settings();
        match self.session.carrier() {
            Carrier::RawWebsocket => (settings.max_message, "max_message"),
            _ => (settings.max_body, "max_body"),
        }
    }

    /// Feeds the session with what one packet carried.
    fn receive(&self, payload: Bytes, text: bool) -> Result<Flow, CloseReason> {
        let messages = if self.session.carrier() == Carrier::RawWebsocket {
            vec![if text { Message::from_utf8(payload) } else { Message::binary(payload) }]
        } else {
            let limits = send::limits(self.endpoint.settings());
            let texts = sockjs::decode_websocket(&payload, &limits)
                .map_err(|error| if send::breaks_limit(&error) { TOO_LARGE } else { CloseReason::BrokenFraming })?;
            texts.into_iter().map(Message::text).collect()
        };
        // Whether one of them ended the session stands in the outbox, where the drain will find it.
        Ok(self.gateway.receive(&self.session, messages, now()))
    }

    /// What an error of the websocket library means.
    fn end_of(&self, error: &Error) -> End {
        let fault = |code, reason| End::Fault(CloseReason::Websocket { code, reason });
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                metrics::limit_reached(self.max_payload().1);
                End::Fault(TOO_LARGE)
            }
            Error::Utf8(_) => fault(1007, "Text is not UTF-8"),
            Error::ConnectionClosed | Error::AlreadyClosed => End::Theirs,
            Error::Io(_) | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                End::Broken(CloseReason::Interrupted)
            }
            _ => fault(1002, "Protocol error"),
        }
    }

    fn close_frame(&self, reason: &CloseReason) -> CloseFrame {
        let close = reason.close();
        let code = match (reason, self.session.carrier()) {
            // Codes of the websocket's own layer are told as they are.
            (CloseReason::Websocket { code, .. }, _) => *code,
            (_, Carrier::RawWebsocket) => close.code,
            _ => close.websocket_code(),
        };
        CloseFrame { code: CloseCode::from(code), reason: truncated(&close.reason).into() }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let reason = std::mem::replace(&mut self.reason, CloseReason::Interrupted);
        self.gateway.socket_closed(&self.endpoint, &self.session, reason, now());
    }
}

impl End {
    fn into_reason(self) -> CloseReason {
        match self {
            Self::Ours(reason) | Self::Broken(reason) | Self::Fault(reason) => reason,
            Self::Theirs => CloseReason::Peer,
        }
    }
}

/// How a client has spoken so far, which is how it wants to be answered: some lose the NUL of
/// text messages (React Native does), so their users have them speak binary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    Silence,
    /// Never a text message.
    Binary,
    Text,
}

/// Both directions of an open socket, polled by its one task.
struct Traffic<S> {
    socket: Socket,
    stream: WebSocket<S>,
    speech: Speech,
    /// Runs while nothing more is to be read.
    pause: Pause,
    /// Runs when the session is closing and the peer does not read.
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TwoWay for Traffic<S> {
    type End = End;

    /// Hands over packets that have arrived. `Ok(true)` if there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let Socket { gateway, session, .. } = &self.socket;
        if self.pause.poll_over(cx, gateway, session, now).is_pending() || !self.stream.may_have_input(cx) {
            return Ok(false);
        }
        let mut reading = self.stream.reading(cx);
        for _ in 0..PIPELINE {
            let packet = match reading.poll_next() {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(packet)) => packet,
                Poll::Ready(Err(error)) => return Err(self.socket.end_of(&error)),
            };
            let handed = match packet {
                Packet::Text(text) => {
                    self.speech = Speech::Text;
                    self.socket.receive(text.into(), true)
                }
                Packet::Binary(bytes) => {
                    if self.speech == Speech::Silence {
                        self.speech = Speech::Binary;
                    }
                    self.socket.receive(bytes, false)
                }
                Packet::Ping(_) | Packet::Pong(_) | Packet::Frame(_) => {
                    session.touch(now());
                    Ok(Flow::Continue)
                }
                Packet::Close(_) => return Err(End::Theirs),
            };
            self.pause.after(handed.map_err(End::Fault)?);
            if self.pause.poll_over(reading.context(), gateway, session, now).is_pending() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Drains the session into the stream and flushes, until nothing waits or the peer takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if !self.stream.is_flushed() {
                match self.stream.poll_flush(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(End::Broken(CloseReason::Interrupted)),
                    Poll::Pending => return self.poll_stuck(cx),
                }
            }
            let drained = self.drain(cx);
            if let Poll::Ready(Some(end)) = drained {
                return Poll::Ready(end);
            }
            if drained.is_pending() && self.stream.is_flushed() {
                return Poll::Pending;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Traffic<S> {
    /// Writes what waits in the session, about a batch of it; gives the end when nothing is to follow. `Pending` if nothing more waits.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        // SockJS frames are text, whatever comes in, and what a bridge passes on stays what it is.
        let is_bridge = self.socket.endpoint.settings().service == Service::Bridge;
        let framing = (self.socket.session.carrier() == Carrier::Websocket).then(Framing::websocket);
        let all_binary = framing.is_none() && self.speech == Speech::Binary && !is_bridge;
        let wire = framing.as_ref().map_or(Wire::Raw, Wire::Sockjs);
        let mut packets = Packets::new(all_binary);
        let (now, mut end) = (now(), Poll::Ready(None));
        while packets.len() < BATCH && end == Poll::Ready(None) {
            let Socket { session, receiver, .. } = &self.socket;
            match session.poll_drain(cx, *receiver, wire, BATCH, now, &mut packets) {
                Poll::Ready(Drained::Frames) => {}
                Poll::Ready(Drained::All) | Poll::Pending => end = Poll::Pending,
                Poll::Ready(Drained::Ping) => packets.ping(),
                Poll::Ready(Drained::Closed(reason)) => end = Poll::Ready(Some(End::Ours(reason))),
                Poll::Ready(Drained::Gone) => end = Poll::Ready(Some(End::Broken(CloseReason::Interrupted))),
            }
        }
        match self.stream.send(cx, &packets) {
            Ok(()) => end,
            Err(_) => Poll::Ready(Some(End::Broken(CloseReason::Interrupted))),
        }
    }

    /// Says goodbye to a peer that may still be there, who has a little time for it.
    async fn end(self, end: End) {
        let Self { mut socket, stream, .. } = self;
        let close = match &end {
            End::Ours(reason) | End::Fault(reason) => Some(socket.close_frame(reason)),
            End::Theirs | End::Broken(_) => None,
        };
        let is_broken = matches!(end, End::Broken(_));
        socket.reason = end.into_reason();
        // The session is over before the peer's answer, for which nobody else has to wait.
        drop(socket);
        if !is_broken {
            let _ = tokio::time::timeout(LINGER, stream.close(close)).await;
        }
    }

    /// The peer does not read. That is its right, until the session is to end: then it has a little time left.
    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let reason = ready!(self.socket.session.poll_closing(cx));
        let linger = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        linger.as_mut().poll(cx).map(|()| End::Broken(reason))
    }
}

/// A close frame has room for 123 bytes of reason (RFC 6455, section 5.5).
fn truncated(reason: &str) -> String {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default().to_owned()
}
