//! STOMP as a session's protocol: bytes go through the parser and the connection's state machine, what comes out is done
//! at the broker, and receipts follow what they confirm. A client that breaks the protocol gets one ERROR that says how,
//! then the close; its neighbours notice nothing.
//!
//! Does not know: the grammar of frames (that is `crate::stomp`), how messages are delivered, or the transport.

mod actions;
mod asking;
mod few;
mod pace;
mod subscriptions;
mod transactions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::authority::Authority;
use super::calls::Backend;
use super::interceptors::{Event as Occurrence, Hooks};
use super::{Caller, Clients, Principal, Wiring};
use crate::broker::{Broker, Reserved, Verdict};
use crate::config::{self, SendToUsers};
use crate::metrics;
use crate::session::{Carrier, CloseReason, Message, Protocol, Queued, Session};
use crate::stomp::{Connection, Event, Frame, Input, Limits, Parser, ProtocolError, Settings, Version, Violation};
use asking::Waiting;
use pace::Pace;
use subscriptions::Subscriptions;
use transactions::{Action, Transactions};

/// What all STOMP sessions share.
pub(super) struct Service {
    pub broker: Arc<Broker>,
    pub settings: config::Stomp,
    pub send_to_users: SendToUsers,
    pub unknown_user: config::UnknownUser,
    pub application: config::Application,
    pub refused_subscribe: config::Errors,
    pub authority: Authority,
    pub clients: Clients,
    pub hooks: Hooks,
    /// Who answers calls, if anybody does.
    pub backend: Option<Arc<dyn Backend>>,
    /// Which frames of the broker's affairs are asked about.
    pub asks: Asks,
}

/// What the backend is asked about besides messages for the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asks {
    /// Every CONNECT: who that is, and whether they may come in.
    pub connect: bool,
    /// Every SUBSCRIBE to the broker that the rules allow.
    pub subscribe: bool,
}

/// Where a STOMP client comes from.
#[derive(Clone)]
pub(super) struct Origin {
    pub carrier: Carrier,
    pub transport: &'static str,
    /// The endpoint's path.
    pub endpoint: Arc<str>,
    /// Whom the request proved that opened the session.
    pub visitor: Option<Arc<Principal>>,
}

/// One STOMP client.
pub(super) struct Stomp {
    service: Arc<Service>,
    origin: Origin,
    parser: Parser,
    connection: Connection,
    /// Since when a frame has been under way that is not finished.
    frame_began: Option<Instant>,
    /// Who it is, once it is in.
    caller: Option<Caller>,
    subscriptions: Subscriptions,
    transactions: Transactions,
    pace: Pace,
    /// A COMMIT that has begun: it is certain, and goes on before anything else of this client does.
    committing: Option<Box<Commit>>,
    /// A call whose answer must come before anything else of this client is done.
    waiting: Option<Box<Waiting>>,
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
    pub fn new(config: &config::Config, broker: Arc<Broker>, wiring: Wiring) -> Self {
        let Wiring { hooks, backend, asks, .. } = wiring;
        let config::Broker { send_to_users, unknown_user, .. } = config.broker;
        Self {
            broker,
            settings: config.stomp.clone(),
            send_to_users,
            unknown_user,
            application: config.application.clone(),
            refused_subscribe: config.auth.refused_subscribe,
            authority: Authority::new(&config.rules),
            clients: Clients::default(),
            hooks,
            backend,
            // What the configuration wants to have proved is not let in unproved because nobody was told to look.
            asks: Asks { connect: asks.connect || config.proves_users(), ..asks },
        }
    }
}

impl Stomp {
    pub fn new(service: Arc<Service>, origin: Origin, now: Instant) -> Self {
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
            origin,
            frame_began: None,
            caller: None,
            subscriptions: Subscriptions::default(),
            transactions: Transactions::default(),
            pace: Pace::default(),
            committing: None,
            waiting: None,
        }
    }

    /// Goes on with what has come, unless the client is held up; then it waits in the parser.
    fn read(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), Stop> {
        if !self.settle(session, now)? || !self.pace.begin(session, now) || !self.carry_on(session, false, now) {
            return Ok(());
        }
        // The RECEIPT of a COMMIT may have filled the client's outbox.
        if self.is_held_up() {
            return Ok(());
        }
        while let Some(input) = self.parser.next()? {
            if let Input::Frame(frame) = input {
                self.frame_began = None;
                let event = self.connection.handle_frame(frame, now)?;
                self.handle(session, event, now)?;
                if self.is_held_up() {
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
            Event::Connect(connect) => self.connect(session, connect, now),
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

    /// Whether nothing more is to be read for now.
    fn is_held_up(&self) -> bool {
        self.pace.is_paused() || self.waiting.is_some()
    }

    /// Who the client is. Before CONNECT nothing asks.
    fn caller(&self) -> Result<Caller, Stop> {
        let unknown = || Stop::violation(Violation::NotConnected, "the first frame is CONNECT");
        self.caller.clone().ok_or_else(unknown)
    }

    fn tell(&self, event: &Occurrence<'_>) -> Result<(), Stop> {
        self.service.hooks.tell(event).map_err(|_| Stop::failed())
    }

    /// Sends the RECEIPT that was asked for. Called after the effect, so receipts come in the order of their frames.
    fn confirm(&mut self, session: &Arc<Session>, receipt: Option<String>, done: Done, now: Instant) {
        let Some(receipt) = receipt else { return };
        let frame = match done {
            // Whoever has the answer confirms it, or says that it failed.
            Done::Later | Done::Not => return,
            Done::Fully => Frame::receipt(receipt),
            Done::Undelivered => Frame::receipt(receipt).with("x-undelivered", "unreachable"),
        };
        if self.reply(session, &frame) == Queued::Pressed {
            self.pace.answered(self.origin.carrier, now);
        }
    }

    fn reply(&self, session: &Arc<Session>, frame: &Frame) -> Queued {
        session.send(Message::from_utf8(frame.encode(self.version())))
    }

    /// When the frame under way must be finished.
    fn frame_deadline(&self) -> Option<Instant> {
        if self.waiting.is_some() {
            return None;
        }
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
            Stop::Refused { message, detail, receipt, reason } => {
                self.last_word(session, &Frame::error(message, detail, receipt.as_deref()));
                return reason;
            }
        };
        self.last_word(session, &frame);
        CloseReason::StompError
    }

    fn last_word(&self, session: &Arc<Session>, error: &Frame) {
        metrics::stomp_error();
        self.reply(session, error);
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
        if self.is_held_up() {
            return Ok(());
        }
        self.read(session, now).map_err(|stop| self.stop(session, stop))
    }

    fn pause(&self) -> Option<Duration> {
        self.pace.pause()
    }

    fn is_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.is_answered())
    }

    fn resume(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        // Who was not listened to cannot be blamed for silence.
        self.connection.handle_bytes(now);
        self.read(session, now).map_err(|stop| self.stop(session, stop))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        // While it waits it is not listened to, and cannot be blamed for silence.
        let silence = if self.waiting.is_some() { None } else { self.connection.poll_timeout() };
        [silence, self.frame_deadline(), self.pace.until(), self.expires()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        if self.expires().is_some_and(|expires| expires <= now) {
            return Err(self.stop(session, Stop::expired()));
        }
        let answered = self.waiting.as_ref().is_some_and(|waiting| waiting.is_answered());
        if answered || self.pace.until().is_some_and(|until| until <= now) {
            self.resume(session, now)?;
        }
        if self.waiting.is_some() {
            return Ok(());
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

    fn closed(&mut self, session: &Arc<Session>, reason: &CloseReason, now: Instant) {
        // Whoever ends it: a transaction is done whole or not at all.
        self.carry_on(session, true, now);
        for membership in self.subscriptions.drain().into_iter().filter_map(|subscribed| subscribed.membership) {
            self.service.broker.leave(&membership, now);
        }
        if let Some(caller) = &self.caller {
            self.service.clients.leave(session);
            // The session is over: a listener that fails has nothing to end any more.
            let _ = self.service.hooks.tell(&Occurrence::Disconnected { caller, reason });
        }
    }
}

/// What a RECEIPT has to say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Fully,
    /// The message was for somebody who is not there.
    Undelivered,
    /// An answer must come first.
    Later,
    /// It was not done, and the client has been told.
    Not,
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
        reason: CloseReason,
    },
}

impl Stop {
    fn violation(violation: Violation, detail: impl Into<String>) -> Self {
        Self::Violation(ProtocolError::new(violation, detail))
    }

    fn refuse(message: &'static str, detail: impl Into<String>) -> Self {
        Self::ended(message, detail, CloseReason::StompError)
    }

    fn ended(message: &'static str, detail: impl Into<String>, reason: CloseReason) -> Self {
        Self::Refused { message, detail: detail.into(), receipt: None, reason }
    }

    /// One wording for all causes: what is wrong with credentials is nobody's business who does not have them.
    fn not_authenticated() -> Self {
        metrics::not_authenticated();
        Self::ended("not authenticated", "the credentials are missing or not good", CloseReason::NotAuthenticated)
    }

    fn expired() -> Self {
        let detail = "the credentials of this session have expired; connect again with new ones";
        Self::ended("credentials expired", detail, CloseReason::CredentialsExpired)
    }

    /// The application broke. Its reasons are for its logs.
    fn failed() -> Self {
        Self::ended("internal error", "the application failed", CloseReason::ApplicationFailed)
    }

    /// With the receipt that the frame asked for, so that its sender knows which one it was.
    fn with_receipt(self, asked: Option<&str>) -> Self {
        match self {
            Self::Disconnect => Self::Disconnect,
            Self::Violation(error) => Self::Violation(error.with_receipt(asked)),
            Self::Refused { message, detail, reason, .. } => {
                Self::Refused { message, detail, receipt: asked.map(str::to_owned), reason }
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
