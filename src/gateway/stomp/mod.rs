//! STOMP as a session's protocol: bytes go through the parser and the connection's state machine, what comes out is done
//! at the broker, and receipts follow what they confirm. A client that breaks the protocol gets one ERROR that says how,
//! then the close; its neighbours notice nothing.
//!
//! Does not know: the grammar of frames (that is `crate::stomp`), how messages are delivered, or the transport.

mod actions;
mod pace;
mod subscriptions;
mod transactions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;

use super::Principal;
use crate::broker::{Broker, Reserved, Verdict};
use crate::config::{self, SendToUsers};
use crate::metrics;
use crate::session::{Carrier, CloseReason, Message, Protocol, Queued, Session};
use crate::stomp::{
    Accept, Connect, Connection, Event, Frame, Input, Limits, Parser, ProtocolError, Settings, Version, Violation,
};
use pace::Pace;
use subscriptions::Subscriptions;
use transactions::{Action, Transactions};

/// What CONNECTED says in its `server` header.
const SERVER: &str = concat!("towpath/", env!("CARGO_PKG_VERSION"));

/// What all STOMP sessions share.
pub(super) struct Service {
    pub broker: Arc<Broker>,
    pub settings: config::Stomp,
    pub send_to_users: SendToUsers,
    pub unknown_user: config::UnknownUser,
}

/// One STOMP client.
pub(super) struct Stomp {
    service: Arc<Service>,
    carrier: Carrier,
    parser: Parser,
    connection: Connection,
    /// Since when a frame has been under way that is not finished.
    frame_began: Option<Instant>,
    /// By which its `/user/...` destinations are found: the user's name, or the id that CONNECTED gave the session.
    user: String,
    subscriptions: Subscriptions,
    transactions: Transactions,
    pace: Pace,
    /// A COMMIT that has begun: it is certain, and goes on before anything else of this client does.
    committing: Option<Commit>,
}

/// A transaction that is being carried out.
struct Commit {
    actions: std::vec::IntoIter<Action>,
    /// One for each SEND.
    places: std::vec::IntoIter<Reserved>,
    receipt: Option<String>,
    done: Done,
}

impl Service {
    pub fn new(config: &config::Config, broker: Arc<Broker>) -> Self {
        let config::Broker { send_to_users, unknown_user, .. } = config.broker;
        Self { broker, settings: config.stomp.clone(), send_to_users, unknown_user }
    }
}

impl Stomp {
    pub fn new(service: Arc<Service>, carrier: Carrier, now: Instant) -> Self {
        let settings = &service.settings;
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
            parser: Parser::new(limits),
            connection: Connection::new(timing, now),
            service,
            carrier,
            frame_began: None,
            user: String::new(),
            subscriptions: Subscriptions::default(),
            transactions: Transactions::default(),
            pace: Pace::default(),
            committing: None,
        }
    }

    /// Goes on with what has come, unless the client is held up; then it waits in the parser.
    fn read(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), Stop> {
        if !self.pace.begin(session, now) || !self.carry_on(session, false, now) {
            return Ok(());
        }
        while let Some(input) = self.parser.next()? {
            if let Input::Frame(frame) = input {
                self.frame_began = None;
                let event = self.connection.handle_frame(frame, now)?;
                self.handle(session, event, now)?;
                if self.pace.is_paused() {
                    return Ok(());
                }
            }
        }
        if self.parser.unfinished() {
            self.frame_began.get_or_insert(now);
        }
        Ok(())
    }

    fn handle(&mut self, session: &Arc<Session>, event: Event, now: Instant) -> Result<(), Stop> {
        let receipt = event.receipt().map(str::to_owned);
        let done = match event {
            Event::Connect(connect) => self.connect(session, &connect, now),
            Event::Send(send) => self.send(session, send, now),
            Event::Subscribe(subscribe) => self.subscribe(session, subscribe, now),
            Event::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe, now),
            Event::Ack(ack) => self.acknowledge(&ack, Verdict::Consumed, now),
            Event::Nack(nack) => {
                let verdict = if nack.requeue { Verdict::Requeue } else { Verdict::Reject };
                self.acknowledge(&nack, verdict, now)
            }
            Event::Begin { transaction, .. } => {
                self.transactions.begin(transaction, &self.service.settings).map(|()| Done::Fully)
            }
            Event::Commit { transaction, .. } => {
                self.commit(&transaction, receipt.clone(), now)
                    .map_err(|stop| stop.with_receipt(receipt.as_deref()))?;
                self.carry_on(session, false, now);
                return Ok(());
            }
            Event::Abort { transaction, .. } => self.abort(&transaction),
            Event::Disconnect { .. } => {
                self.confirm(session, receipt, Done::Fully, now);
                return Err(Stop::Disconnect);
            }
            Event::Ignored => return Ok(()),
        };
        let done = done.map_err(|stop| stop.with_receipt(receipt.as_deref()))?;
        self.confirm(session, receipt, done, now);
        Ok(())
    }

    fn connect(&mut self, session: &Arc<Session>, connect: &Connect, now: Instant) -> Result<Done, Stop> {
        if connect.login.as_deref().is_some_and(Principal::is_session) {
            return Err(Stop::refuse(
                "login refused",
                "the login looks like the name of a session; these are not for users",
            ));
        }
        // Random and not the id from the URL: that one is a secret, and this one is shown to people.
        let name = Principal::session_name(rand::rng().next_u64());
        let principal = Principal::of_login(connect.login.as_deref());
        let accept = Accept { session: &name, server: SERVER, user: principal.name() };
        let connected = self.connection.accept(accept, now);
        if let Some(version) = self.connection.version() {
            self.parser.set_version(version);
        }
        session.run_stomp_beats(self.connection.send_interval().unwrap_or(Duration::ZERO), now);
        self.user = principal.name().unwrap_or(&name).to_owned();
        self.reply(session, &connected);
        Ok(Done::Fully)
    }

    /// Sends the RECEIPT that was asked for. Called after the effect, so receipts come in the order of their frames.
    fn confirm(&mut self, session: &Arc<Session>, receipt: Option<String>, done: Done, now: Instant) {
        let Some(receipt) = receipt else { return };
        let frame = match done {
            Done::Fully => Frame::receipt(receipt),
            Done::Undelivered => Frame::receipt(receipt).with("x-undelivered", "unreachable"),
        };
        if self.reply(session, &frame) == Queued::Pressed {
            self.pace.answered(session.carrier(), now);
        }
    }

    fn reply(&self, session: &Arc<Session>, frame: &Frame) -> Queued {
        session.send(Message::from_utf8(frame.encode(self.version())))
    }

    /// When the frame under way must be finished.
    fn frame_deadline(&self) -> Option<Instant> {
        self.frame_began?.checked_add(self.service.settings.frame_timeout)
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
            Stop::Refused { message, detail, receipt } => Frame::error(message, detail, receipt.as_deref()),
        };
        metrics::stomp_error();
        self.reply(session, &frame);
        CloseReason::StompError
    }
}

impl Protocol for Stomp {
    fn receive(&mut self, session: &Arc<Session>, message: Message, now: Instant) -> Result<(), CloseReason> {
        self.connection.handle_bytes(now);
        let payload = message.into_payload();
        let most = self.service.settings.max_backlog;
        // Only who sends on while it is held up, through requests side by side, has unread bytes here.
        if self.parser.unread() > 0 && self.parser.unread().saturating_add(payload.len()) > most {
            metrics::limit_reached("max_backlog");
            let detail =
                format!("frames come faster than they can be passed on; max_backlog, {most} bytes, wait already");
            return Err(self.stop(session, Stop::refuse("too fast", detail)));
        }
        self.parser.feed(payload);
        // Held up, it waits there; whatever the time, others have their turn before `resume`.
        if self.pace.is_paused() {
            return Ok(());
        }
        self.read(session, now).map_err(|stop| self.stop(session, stop))
    }

    fn pause(&self) -> Option<Duration> {
        self.pace.pause()
    }

    fn resume(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        // Who was not listened to cannot be blamed for silence.
        self.connection.handle_bytes(now);
        self.read(session, now).map_err(|stop| self.stop(session, stop))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.connection.poll_timeout(), self.frame_deadline(), self.pace.until()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        if self.pace.until().is_some_and(|until| until <= now) {
            self.resume(session, now)?;
        }
        let unfinished = self.frame_deadline().is_some_and(|deadline| now >= deadline);
        let checked = if unfinished {
            let detail = format!("frame_timeout is {} ms", self.service.settings.frame_timeout.as_millis());
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

    fn closed(&mut self, session: &Arc<Session>, _: &CloseReason, now: Instant) {
        // Whoever ends it: a transaction is done whole or not at all.
        self.carry_on(session, true, now);
        for subscribed in self.subscriptions.drain() {
            self.service.broker.leave(&subscribed.membership, now);
        }
    }
}

/// What a RECEIPT has to say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Fully,
    /// The message was for somebody who is not there.
    Undelivered,
}

/// Why reading stopped.
enum Stop {
    Disconnect,
    /// The client broke the protocol.
    Violation(ProtocolError),
    /// The client asked for something that it cannot have; the ERROR says so.
    Refused {
        message: &'static str,
        detail: String,
        receipt: Option<String>,
    },
}

impl Stop {
    fn violation(violation: Violation, detail: impl Into<String>) -> Self {
        Self::Violation(ProtocolError::new(violation, detail))
    }

    fn refuse(message: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused { message, detail: detail.into(), receipt: None }
    }

    /// With the receipt that the frame asked for, so that its sender knows which one it was.
    fn with_receipt(self, asked: Option<&str>) -> Self {
        match self {
            Self::Disconnect => Self::Disconnect,
            Self::Violation(error) => Self::Violation(error.with_receipt(asked)),
            Self::Refused { message, detail, .. } => {
                Self::Refused { message, detail, receipt: asked.map(str::to_owned) }
            }
        }
    }
}

impl From<ProtocolError> for Stop {
    fn from(error: ProtocolError) -> Self {
        Self::Violation(error)
    }
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
