//! STOMP as a session's protocol: bytes go through the parser and the connection's state machine, what comes out is done
//! at the broker, and receipts follow what they confirm. A client that breaks the protocol gets one ERROR that says how,
//! then the close; its neighbours notice nothing.
//!
//! Does not know: the grammar of frames (that is `crate::stomp`), how messages are delivered, or the transport.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use rand::Rng as _;

use crate::broker::{Broker, BrokerError};
use crate::config;
use crate::metrics;
use crate::publication::TRANSFER_ENCODING;
use crate::session::{CloseReason, Message, Protocol, Session, Subscription};
use crate::stomp::{
    Accept, AckMode, Connection, Event, Frame, Input, Limits, Parser, ProtocolError, Send, Settings, Subscribe,
    Unsubscribe, UnsubscribeBy, Version, Violation,
};

/// What CONNECTED says in its `server` header.
const SERVER: &str = concat!("towpath/", env!("CARGO_PKG_VERSION"));

/// One STOMP client.
pub(super) struct Stomp {
    broker: Arc<Broker>,
    settings: Arc<config::Stomp>,
    /// The transport carries text only, so bodies that are not come as base64.
    text_only: bool,
    parser: Parser,
    connection: Connection,
    /// Since when a frame has been under way that is not finished.
    frame_began: Option<Instant>,
    subscriptions: HashMap<Key, Subscribed>,
}

/// What names a subscription within its session. Only STOMP 1.0 may do without an id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Id(String),
    Destination(String),
}

struct Subscribed {
    destination: String,
    subscription: Arc<Subscription>,
}

impl Stomp {
    pub fn new(broker: Arc<Broker>, settings: Arc<config::Stomp>, text_only: bool, now: Instant) -> Self {
        let limits = Limits {
            headers: settings.max_headers,
            header_line: settings.max_header_line,
            body: settings.max_body,
            frame: settings.max_frame,
        };
        let timing = Settings {
            heart_beat_send: settings.heart_beat_send,
            heart_beat_receive: settings.heart_beat_receive,
            connect_timeout: settings.connect_timeout,
            grace: settings.heart_beat_grace,
        };
        Self {
            broker,
            settings,
            text_only,
            parser: Parser::new(limits),
            connection: Connection::new(timing, now),
            frame_began: None,
            subscriptions: HashMap::new(),
        }
    }

    fn read(&mut self, session: &Arc<Session>, bytes: Bytes, now: Instant) -> Result<(), Stop> {
        self.connection.handle_bytes(now);
        self.parser.feed(bytes);
        while let Some(input) = self.parser.next()? {
            if let Input::Frame(frame) = input {
                self.frame_began = None;
                let event = self.connection.handle_frame(frame, now)?;
                self.handle(session, event, now)?;
            }
        }
        if self.parser.unfinished() {
            self.frame_began.get_or_insert(now);
        }
        Ok(())
    }

    fn handle(&mut self, session: &Arc<Session>, event: Event, now: Instant) -> Result<(), Stop> {
        let receipt = match event {
            Event::Connect(_) => {
                self.connect(session, now);
                None
            }
            Event::Send(send) => self.send(send)?,
            Event::Subscribe(subscribe) => self.subscribe(session, subscribe)?,
            Event::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe)?,
            Event::Disconnect { receipt } => {
                self.confirm(session, receipt);
                return Err(Stop::Disconnect);
            }
            Event::Ack(ack) | Event::Nack(ack) => return Err(not_served("ACK and NACK", ack.receipt)),
            Event::Begin { receipt, .. } | Event::Commit { receipt, .. } | Event::Abort { receipt, .. } => {
                return Err(not_served("transactions", receipt));
            }
            Event::Ignored => None,
        };
        self.confirm(session, receipt);
        Ok(())
    }

    fn connect(&mut self, session: &Arc<Session>, now: Instant) {
        // Random and not the id from the URL: that one is a secret, and this one is shown to people.
        let name = format!("{:016x}", rand::rng().next_u64());
        let connected = self.connection.accept(Accept { session: &name, server: SERVER, user: None }, now);
        if let Some(version) = self.connection.version() {
            self.parser.set_version(version);
        }
        session.run_stomp_beats(self.connection.send_interval().unwrap_or(Duration::ZERO), now);
        self.reply(session, &connected);
    }

    fn send(&mut self, send: Send) -> Result<Option<String>, Stop> {
        let Send { destination, transaction, receipt, mut headers, body } = send;
        if transaction.is_some() {
            return Err(not_served("transactions", receipt));
        }
        let encoded =
            self.text_only && headers.get(TRANSFER_ENCODING).is_some_and(|value| value.eq_ignore_ascii_case("base64"));
        let body = if encoded {
            headers.remove(TRANSFER_ENCODING);
            match BASE64.decode(&body) {
                Ok(decoded) => Bytes::from(decoded),
                Err(error) => {
                    let detail = format!("{TRANSFER_ENCODING} says base64, and the body is none; {error}");
                    return Err(Stop::refuse("bad base64 body", detail, receipt));
                }
            }
        } else {
            body
        };
        match self.broker.publish(&destination, headers, body) {
            Ok(_) => Ok(receipt),
            Err(error) => Err(refused(&error, &destination, receipt)),
        }
    }

    fn subscribe(&mut self, session: &Arc<Session>, subscribe: Subscribe) -> Result<Option<String>, Stop> {
        let Subscribe { id, destination, ack, receipt, headers } = subscribe;
        if ack != AckMode::Auto {
            return Err(not_served("ack modes but auto", receipt));
        }
        if headers.get("selector").is_some() {
            return Err(not_served("selectors", receipt));
        }
        if self.subscriptions.len() >= self.settings.max_subscriptions {
            metrics::limit_reached("max_subscriptions");
            let detail = format!("a session may hold max_subscriptions, {}", self.settings.max_subscriptions);
            return Err(Stop::refuse("too many subscriptions", detail, receipt));
        }
        let subscription = Subscription::new(Arc::clone(session), self.version(), id.as_deref());
        let key = id.map_or_else(|| Key::Destination(destination.clone()), Key::Id);
        if self.subscriptions.contains_key(&key) {
            let detail = "ids of subscriptions are unique within a connection";
            return Err(Stop::violation(Violation::DuplicateSubscription, detail, receipt));
        }
        if let Err(error) = self.broker.subscribe(&destination, &subscription) {
            return Err(refused(&error, &destination, receipt));
        }
        self.subscriptions.insert(key, Subscribed { destination, subscription });
        Ok(receipt)
    }

    fn unsubscribe(&mut self, unsubscribe: Unsubscribe) -> Result<Option<String>, Stop> {
        let Unsubscribe { subscription, receipt } = unsubscribe;
        let key = match subscription {
            UnsubscribeBy::Id(id) => Key::Id(id),
            UnsubscribeBy::Destination(destination) => Key::Destination(destination),
        };
        let Some(Subscribed { destination, subscription }) = self.subscriptions.remove(&key) else {
            let detail = "no subscription of that name is open";
            return Err(Stop::violation(Violation::UnknownSubscription, detail, receipt));
        };
        self.broker.unsubscribe(&destination, &subscription);
        Ok(receipt)
    }

    /// Sends the RECEIPT that was asked for. Called after the effect, so receipts come in the order of their frames.
    fn confirm(&self, session: &Arc<Session>, receipt: Option<String>) {
        if let Some(receipt) = receipt {
            self.reply(session, &Frame::receipt(receipt));
        }
    }

    fn reply(&self, session: &Arc<Session>, frame: &Frame) {
        session.send(Message::from_utf8(frame.encode(self.version())));
    }

    /// When the frame under way must be finished.
    fn frame_deadline(&self) -> Option<Instant> {
        self.frame_began?.checked_add(self.settings.frame_timeout)
    }

    /// The version that was agreed on; before that, the one that needs no agreement.
    fn version(&self) -> Version {
        self.connection.version().unwrap_or(Version::V1_0)
    }

    /// Says the last word that is due, and why the session ends.
    fn stop(&self, session: &Arc<Session>, stop: Stop) -> CloseReason {
        let frame = match stop {
            Stop::Disconnect => return CloseReason::StompDisconnect,
            Stop::Violation(error) => {
                tracing::debug!(session = session.serial(), %error, "STOMP error");
                count_limit(error.violation());
                error.to_frame()
            }
            Stop::Refused(frame) => frame,
        };
        metrics::stomp_error();
        self.reply(session, &frame);
        CloseReason::StompError
    }
}

impl Protocol for Stomp {
    fn receive(&mut self, session: &Arc<Session>, message: Message, now: Instant) -> Result<(), CloseReason> {
        self.read(session, message.into_payload(), now).map_err(|stop| self.stop(session, stop))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.connection.poll_timeout(), self.frame_deadline()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        let unfinished = self.frame_deadline().is_some_and(|deadline| now >= deadline);
        let checked = if unfinished {
            let detail = format!("frame_timeout is {} ms", self.settings.frame_timeout.as_millis());
            Err(ProtocolError::new(Violation::FrameTimeout, detail))
        } else {
            self.connection.handle_timeout(now)
        };
        checked.map_err(|error| self.stop(session, error.into()))
    }

    fn closing(&mut self, session: &Arc<Session>, reason: &CloseReason) {
        let detail = format!("the gateway ended the session; {}", reason.close().reason);
        self.reply(session, &Frame::error("session closed", detail, None));
    }

    fn closed(&mut self, _: &Arc<Session>, _: &CloseReason) {
        for (_, Subscribed { destination, subscription }) in self.subscriptions.drain() {
            self.broker.leave(&destination, &subscription);
        }
    }
}

/// Why reading stopped.
enum Stop {
    Disconnect,
    /// The client broke the protocol.
    Violation(ProtocolError),
    /// The client asked for something that it cannot have; this ERROR says so.
    Refused(Frame),
}

impl Stop {
    fn violation(violation: Violation, detail: &str, receipt: Option<String>) -> Self {
        Self::Violation(ProtocolError::new(violation, detail).with_receipt(receipt.as_deref()))
    }

    fn refuse(message: &str, detail: String, receipt: Option<String>) -> Self {
        Self::Refused(Frame::error(message, detail, receipt.as_deref()))
    }
}

impl From<ProtocolError> for Stop {
    fn from(error: ProtocolError) -> Self {
        Self::Violation(error)
    }
}

fn not_served(what: &str, receipt: Option<String>) -> Stop {
    let detail = format!("this version serves topics with ack auto; it has no {what}");
    Stop::refuse("not served", detail, receipt)
}

fn refused(error: &BrokerError, destination: &str, receipt: Option<String>) -> Stop {
    let message = match error {
        BrokerError::Destination(_) => "bad destination",
        BrokerError::TooManyDestinations(_) | BrokerError::TooManyPatterns(_) => "broker is full",
    };
    Stop::refuse(message, format!("{destination}\n{error}"), receipt)
}

/// Counts a violation that is the breach of a configured limit, under the limit's key.
fn count_limit(violation: Violation) {
    match violation {
        Violation::TooManyHeaders => metrics::limit_reached("max_headers"),
        Violation::HeaderLineTooLong => metrics::limit_reached("max_header_line"),
        Violation::BodyTooLarge => metrics::limit_reached("max_body"),
        Violation::FrameTooLarge => metrics::limit_reached("max_frame"),
        Violation::FrameTimeout => metrics::limit_reached("frame_timeout"),
        Violation::ConnectTimeout => metrics::limit_reached("connect_timeout"),
        Violation::HeartBeatMissing => metrics::limit_reached("heart_beat_grace"),
        _ => {}
    }
}
