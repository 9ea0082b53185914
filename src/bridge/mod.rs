//! Websocket connections to the servers behind bridges: one task for each, which reads as fast as the session's client does
//! and writes as fast as the server reads. What waits for the server waits in the session's queue, and what waits for the
//! client in its outbox; here is at most one message of each direction besides what is being written.
//!
//! Does not know: SockJS, transports, or how a session's end is told to its client.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{Sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message as Packet, Utf8Bytes};

use crate::clock::Seldom;
use crate::config::{self, Config};
use crate::connection::{TwoWay, now};
use crate::dial::{self, Address, DialError};
use crate::gateway::{Joint, Parted, Taken, Unjoined, Upstreams};
use crate::metrics;
use crate::session::Message;
use crate::sockjs::Close;

/// Bytes after which a flush takes no further message; as towards clients, larger ones gain nothing.
const BATCH: usize = 64 * 1024;

/// Packets that are read before what waits for the server is written.
const PIPELINE: usize = 64;

/// Read buffer of a connection, as small as a client's for the same reason: there is one for each session.
const READ_BUFFER: usize = 4 * 1024;

/// Makes the connections, and knows when the last of them is gone.
pub(crate) struct Bridges {
    /// Only where some server wants it: the system's certificates take a while to read.
    tls: Option<TlsConnector>,
    /// Every task holds a receiver of it.
    tasks: watch::Sender<()>,
    failed: Arc<Seldom>,
}

impl Bridges {
    /// For the bridges of that configuration.
    pub fn new(config: &Config) -> Self {
        let is_secure = |endpoint: &config::Endpoint| {
            endpoint
                .bridge
                .as_deref()
                .is_some_and(|url| url.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("wss:")))
        };
        let tls = config.endpoints.iter().any(is_secure).then(|| TlsConnector::from(Arc::new(dial::client_config())));
        Self { tls, tasks: watch::Sender::new(()), failed: Arc::default() }
    }

    /// Waits until no connection is left.
    pub async fn all_gone(&self) {
        self.tasks.closed().await;
    }
}

impl Upstreams for Bridges {
    fn join(&self, joint: Joint) {
        let (running, tls, failed) = (self.tasks.subscribe(), self.tls.clone(), Arc::clone(&self.failed));
        tokio::spawn(async move {
            run(joint, tls, &failed).await;
            drop(running);
        });
    }
}

/// Joins a session to its server, and stays until one of them ends.
async fn run(mut joint: Joint, tls: Option<TlsConnector>, failed: &Seldom) {
    let patience = joint.endpoint().bridge_timeout;
    let dialled = tokio::select! {
        dialled = timeout(patience, open(&joint, tls.as_ref())) => dialled,
        () = poll_fn(|cx| joint.poll_needless(cx)) => return,
    };
    let (session, endpoint) = (joint.serial(), joint.endpoint().path.clone());
    match dialled {
        Ok(Ok((io, subprotocol))) => {
            tracing::debug!(session, endpoint, "upstream joined");
            joint.joined(subprotocol);
            metrics::upstream_joined();
            // Given back at whatever point the task ends.
            let _counted = Counted;
            serve(&joint, io, failed).await;
        }
        Ok(Err(why)) => {
            metrics::upstream_failed("refused");
            complain(failed, &endpoint, &why);
            joint.refused(Unjoined::Refused, now());
        }
        Err(_) => {
            metrics::limit_reached("bridge_timeout");
            metrics::upstream_failed("late");
            complain(failed, &endpoint, &"it did not answer within bridge_timeout");
            joint.refused(Unjoined::Late, now());
        }
    }
}

/// The open websocket to the session's server, with the subprotocol that it chose.
async fn open(joint: &Joint, tls: Option<&TlsConnector>) -> Result<(TokioIo<Upgraded>, Option<String>), DialError> {
    let url = joint.endpoint().bridge.as_deref().unwrap_or_default();
    let address = Address::parse(url, &dial::WEBSOCKET).ok_or_else(DialError::url)?;
    let mut headers = HeaderMap::new();
    for (name, value) in joint.headers() {
        // What cannot be a header has not come in one.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    let stream = address.connect(tls).await?;
    dial::websocket::open(&address, stream, headers, joint.subprotocols()).await
}

/// Tells the log that a server fails, but not for each of the sessions that want to be joined to it.
fn complain(failed: &Seldom, endpoint: &str, fault: &dyn fmt::Display) {
    if failed.is_due() {
        tracing::warn!(endpoint, %fault, "the upstream of a bridge fails; nothing more of this kind for a minute, but at level debug");
    } else {
        tracing::debug!(endpoint, %fault, "the upstream of a bridge fails");
    }
}

struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::upstream_parted();
    }
}

/// How the two-way traffic ended.
enum End {
    /// The session is over, and what it had is written: the close frame is due.
    Ours(Close),
    /// The server closed; the library has its answer ready.
    Theirs(Option<CloseFrame>),
    /// The connection is of no further use.
    Broken,
    /// The server broke a rule, and is to be told by this code.
    Fault(CloseCode, Parted),
}

async fn serve(joint: &Joint, io: TokioIo<Upgraded>, failed: &Seldom) {
    let settings = joint.endpoint();
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(BATCH)
        .max_message_size(Some(settings.max_message))
        .max_frame_size(Some(settings.max_message));
    let stream = WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await;
    let mut traffic =
        Traffic { joint, stream, held: None, flushing: false, mute: false, life: Life::new(settings), linger: None };
    let end = poll_fn(|cx| traffic.poll(cx)).await;
    let stream = traffic.stream;
    let (parted, close) = match end {
        End::Ours(close) => (None, Some((CloseCode::from(close.code), close.reason.into_owned()))),
        End::Theirs(frame) => {
            let told = frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
            (Some(Parted::Closed(told)), None)
        }
        End::Fault(code, parted) => (Some(parted), Some((code, String::new()))),
        End::Broken => {
            part(joint, Parted::Lost, failed);
            return;
        }
    };
    if let Some(parted) = parted {
        part(joint, parted, failed);
    }
    let close = close.map(|(code, reason)| CloseFrame { code, reason: reason.into() });
    let _ = timeout(settings.pong_timeout, say_goodbye(stream, close)).await;
}

/// Ends the session because of its server, and says so where it is the server's fault.
fn part(joint: &Joint, how: Parted, failed: &Seldom) {
    let fault = match how {
        Parted::Closed(_) => None,
        Parted::Lost => Some("lost"),
        Parted::TooLarge => Some("too-large"),
        Parted::Garbage => Some("garbage"),
    };
    if let Some(fault) = fault {
        metrics::upstream_failed(fault);
        complain(failed, &joint.endpoint().path, &fault);
    }
    joint.part(how, now());
}

/// Both directions of a connection, polled by its one task.
struct Traffic<'a> {
    joint: &'a Joint,
    stream: WebSocketStream<TokioIo<Upgraded>>,
    /// Read, and waits for room with the client. Nothing is read behind it.
    held: Option<Message>,
    /// Something was handed to the stream and may not be on the wire yet.
    flushing: bool,
    /// The server takes nothing any more. What it sent before is still read.
    mute: bool,
    life: Life,
    /// Runs when the session is over and the server does not read.
    linger: Option<Pin<Box<Sleep>>>,
}

impl TwoWay for Traffic<'_> {
    type End = End;

    /// Hands over what has come, as far as the client has room. `Ok(true)` if there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        for _ in 0..PIPELINE {
            if let Some(message) = &self.held {
                if self.joint.poll_room(cx, message).is_pending() {
                    return Ok(false);
                }
                self.held.take().into_iter().for_each(|message| self.joint.send(message));
            }
            let packet = match self.stream.poll_next_unpin(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Some(Ok(packet))) => packet,
                Poll::Ready(Some(Err(error))) => return Err(end_of(&error)),
                Poll::Ready(None) => return Err(End::Broken),
            };
            self.life.heard(now());
            self.held = match packet {
                Packet::Text(text) => Some(self.joint.translate(Message::from_utf8(text.into()))),
                Packet::Binary(bytes) => Some(self.joint.translate(Message::binary(bytes))),
                Packet::Close(frame) => return Err(End::Theirs(frame)),
                Packet::Ping(_) | Packet::Pong(_) | Packet::Frame(_) => None,
            };
        }
        Ok(true)
    }

    /// Writes what waits for the server, until nothing does or the server takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(end) = self.poll_life(cx) {
            return Poll::Ready(end);
        }
        loop {
            if self.flushing && !self.mute {
                match self.stream.poll_flush_unpin(cx) {
                    Poll::Ready(Ok(())) => self.flushing = false,
                    Poll::Ready(Err(_)) => self.mute = true,
                    Poll::Pending => {}
                }
            }
            if self.flushing || self.mute {
                return self.poll_stuck(cx);
            }
            match ready!(self.joint.poll_take(cx, BATCH, now())) {
                Taken::Messages(messages) => messages.into_iter().for_each(|message| self.feed(packet(message))),
                Taken::End(close) => return Poll::Ready(End::Ours(close)),
            }
        }
    }
}

impl Traffic<'_> {
    fn feed(&mut self, packet: Packet) {
        self.flushing = true;
        self.mute |= self.stream.start_send_unpin(packet).is_err();
    }

    /// Asks a silent server for a sign of life; ready when none came.
    fn poll_life(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            ready!(self.life.timer.as_mut().poll(cx));
            let now = now();
            if self.held.is_some() {
                // Nothing is read from it, its pongs neither.
                self.life.heard(now);
            }
            match self.life.due(now) {
                Due::Nothing => {}
                Due::Ping => self.feed(Packet::Ping(Bytes::new())),
                Due::End => return Poll::Ready(End::Broken),
            }
            let next = self.life.next();
            self.life.timer.as_mut().reset(next.into());
        }
    }

    /// The server does not read. That is its right, until the session is over: then it has a little time left.
    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        ready!(self.joint.poll_over(cx));
        if self.mute {
            return Poll::Ready(End::Broken);
        }
        let patience = self.joint.endpoint().pong_timeout;
        let linger = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        linger.as_mut().poll(cx).map(|()| End::Broken)
    }
}

/// When a server was heard of last, and what follows from it. The timer is set anew when it has fired, not with every packet.
struct Life {
    heard: Instant,
    pinged: Option<Instant>,
    heartbeat: std::time::Duration,
    pong_timeout: std::time::Duration,
    timer: Pin<Box<Sleep>>,
}

enum Due {
    Nothing,
    Ping,
    End,
}

impl Life {
    fn new(settings: &config::Endpoint) -> Self {
        let config::Endpoint { heartbeat, pong_timeout, .. } = *settings;
        Self { heard: now(), pinged: None, heartbeat, pong_timeout, timer: Box::pin(tokio::time::sleep(heartbeat)) }
    }

    fn heard(&mut self, now: Instant) {
        (self.heard, self.pinged) = (now, None);
    }

    fn due(&mut self, now: Instant) -> Due {
        if now < self.next() {
            return Due::Nothing;
        }
        match self.pinged.replace(now) {
            Some(_) => Due::End,
            None => Due::Ping,
        }
    }

    fn next(&self) -> Instant {
        match self.pinged {
            Some(at) => at + self.pong_timeout,
            None => self.heard + self.heartbeat,
        }
    }
}

fn packet(message: Message) -> Packet {
    match message {
        // Checked when it came in; the library insists on doing it again.
        Message::Text(text) => match Utf8Bytes::try_from(text.into_bytes()) {
            Ok(text) => Packet::Text(text),
            Err(_) => Packet::Text(Utf8Bytes::default()),
        },
        Message::Binary(bytes) => Packet::Binary(bytes),
    }
}

/// What an error of the websocket library means.
fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            metrics::limit_reached("max_message");
            End::Fault(CloseCode::Size, Parted::TooLarge)
        }
        Error::Utf8(_) => End::Fault(CloseCode::Invalid, Parted::Garbage),
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) => End::Broken,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Broken,
        _ => End::Fault(CloseCode::Protocol, Parted::Garbage),
    }
}

/// Sends the close frame, or the answer to the server's, and waits for the end of the stream.
async fn say_goodbye(mut stream: WebSocketStream<TokioIo<Upgraded>>, close: Option<CloseFrame>) {
    let sent = match close {
        Some(close) => stream.close(Some(close)).await,
        // The library has queued its answer, and refuses any other.
        None => stream.flush().await,
    };
    if sent.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}
