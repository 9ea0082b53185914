//! The session itself: one `Arc` with two small locks, the inbound protocol state and the outbox. This file is its life
//! cycle (SockJS protocol, session life cycle): receivers attach and depart, messages come in, time-outs fire, it ends.
//!
//! Does not know: HTTP, websockets, or the registry it is listed in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::deadlines::Armed;
use super::outbox::{Beat, Outbox, Receiver, Room};
use super::{CloseReason, Deadlines, Item, Message, Protocol, Queued, Subscription};
use crate::config;
use crate::metrics;

/// What carries a session, as far as its life cycle differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Requests that come and go; the session outlives each for the disconnect delay.
    Http,
    /// One SockJS websocket: lives and dies with the socket.
    Websocket,
    /// One websocket without SockJS framing: no open frame, no `h`.
    RawWebsocket,
    /// One TCP connection: no frames around the messages, no pings. Whether the peer lives is for the protocol to find out.
    Tcp,
}

impl Carrier {
    /// Whether messages travel in SockJS frames, which carry text only.
    pub fn speaks_sockjs(self) -> bool {
        matches!(self, Self::Http | Self::Websocket)
    }

    /// Whether a silent peer can be asked for a sign of life.
    fn has_pings(self) -> bool {
        matches!(self, Self::Websocket | Self::RawWebsocket)
    }
}

/// Names one attachment of a receiver, so that a late departure cannot end a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverId(u32);

/// The answer to a receiver that wants to attach.
#[derive(Debug, PartialEq, Eq)]
pub enum Attach {
    /// It is the receiver now, and must depart with this id.
    Attached(ReceiverId),
    /// Another receiver is attached (SockJS: `c[2010,...]`).
    Busy,
    /// The session is closing and another receiver is reading the rest: tell this one the reason at once.
    Closing(CloseReason),
}

/// How a receiver left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// Its response was complete: a poll was answered, a stream reached its limit.
    Done,
    /// Its connection broke while it was attached.
    Interrupted,
}

/// What became of messages that were handed to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// All were processed.
    Continue,
    /// The client sends faster than its messages can be passed on. Read nothing more from it for this long (zero: until
    /// other tasks have run), then call [`Session::resume`].
    Pause(Duration),
    /// The client's next message must wait for an answer that the session itself waits for. Read nothing more from it until
    /// [`Session::poll_answered`] says so, then call [`Session::resume`].
    Wait,
    /// One of them ended the session; those behind it are void.
    Closed,
    /// The session was over before; none was processed.
    Gone,
}

/// What a fired deadline means for the registry.
#[derive(Debug, PartialEq, Eq)]
pub enum Timeout {
    /// The session lives on; its next deadline is armed.
    Live,
    /// It is over: take it out of the registry.
    Over,
}

/// One client's conversation, whatever carries it.
pub struct Session {
    serial: u64,
    id: Box<str>,
    /// The user whom the request proved that opened it. Requests of others are none of its.
    owner: Option<Box<str>>,
    carrier: Carrier,
    settings: Arc<config::Session>,
    deadlines: Arc<Deadlines>,
    pub(super) armed: Armed,
    carried: AtomicBool,
    pub(super) outbox: Mutex<Outbox>,
    inbound: Mutex<Inbound>,
}

struct Inbound {
    /// `None` once the session has ended and the protocol has been told.
    protocol: Option<Box<dyn Protocol>>,
    last_received: Instant,
    ping_sent: Option<Instant>,
    /// Who reads for the client and waits until the protocol has the answer that it waits for.
    waiting: Vec<Waker>,
}

/// What names a new session.
#[derive(Debug, Clone, Copy, Default)]
pub struct Name<'a> {
    /// The id that the client chose; empty where the transport has none.
    pub id: &'a str,
    /// The user whom the request proved that opened the session, if it proved any.
    pub owner: Option<&'a str>,
}

impl Session {
    /// A new session.
    pub fn new(
        name: Name<'_>,
        carrier: Carrier,
        settings: Arc<config::Session>,
        deadlines: Arc<Deadlines>,
        protocol: Box<dyn Protocol>,
        now: Instant,
    ) -> Arc<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            id: name.id.into(),
            owner: name.owner.map(Box::from),
            carrier,
            settings,
            deadlines,
            armed: Armed::new(),
            carried: AtomicBool::new(false),
            outbox: Mutex::new(Outbox::new(!carrier.speaks_sockjs(), now)),
            inbound: Mutex::new(Inbound {
                protocol: Some(protocol),
                last_received: now,
                ping_sent: None,
                waiting: Vec::new(),
            }),
        })
    }

    /// A number for logs: unique in this process, and no secret.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The id from the URL. Whoever knows it can read the session: it belongs in no log.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a request that proves to come from `user`, or from nobody in particular, may be this session's: it must prove
    /// what the request proved that opened it.
    pub fn is_owned_by(&self, user: Option<&str>) -> bool {
        self.owner.as_deref() == user
    }

    /// What carries the session.
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Its settings, the very ones of the endpoint or port that it was opened on.
    pub fn settings(&self) -> &Arc<config::Session> {
        &self.settings
    }

    /// Whether a message has gone either way. Such a session leaves a tombstone.
    pub fn carried_messages(&self) -> bool {
        self.carried.load(Ordering::Relaxed)
    }

    pub(super) fn mark_carried(&self) {
        self.carried.store(true, Ordering::Relaxed);
    }

    /// Whether the session is open: neither closing nor closed.
    pub fn is_open(&self) -> bool {
        self.outbox.lock().closing.is_none()
    }

    /// Bytes and items that wait to be drained.
    pub fn backlog(&self) -> (usize, usize) {
        let outbox = self.outbox.lock();
        (outbox.bytes, outbox.queue.len())
    }

    /// Heap bytes that the queue holds; zero when idle.
    pub fn outbox_capacity(&self) -> usize {
        self.outbox.lock().queue.capacity() * size_of::<Item>()
    }

    /// Makes the caller the receiver, if it may be. At most one receiver is attached at a time.
    ///
    /// On a session that is closing, the newcomer reads what is left and then the close frame, every time anew.
    pub fn attach(self: &Arc<Self>, now: Instant) -> Attach {
        let deadline;
        let receiver = {
            let mut outbox = self.outbox.lock();
            if let Receiver::Attached(_) = outbox.receiver {
                return match &outbox.closing {
                    Some(reason) => Attach::Closing(CloseReason::clone(reason)),
                    None => Attach::Busy,
                };
            }
            outbox.generation = outbox.generation.wrapping_add(1);
            let receiver = ReceiverId(outbox.generation);
            outbox.receiver = Receiver::Attached(receiver);
            deadline = self.outbox_deadline(&outbox, now);
            receiver
        };
        self.arm(deadline);
        Attach::Attached(receiver)
    }

    /// Attaches the receiver of a socket's own session, of which there is never a second.
    pub fn attach_first(self: &Arc<Self>, now: Instant) -> ReceiverId {
        match self.attach(now) {
            Attach::Attached(receiver) => receiver,
            Attach::Busy | Attach::Closing(_) => ReceiverId(0),
        }
    }

    /// Tells the protocol that the session is open; called once, right after the first receiver attached.
    pub fn opened(self: &Arc<Self>, now: Instant) -> Flow {
        self.with_protocol(now, |protocol, session| protocol.opened(session, now))
    }

    /// The receiver leaves. Only the one that is attached can; a late word of an earlier one changes nothing.
    ///
    /// Returns whether the session ended by it: a connection that broke may have lost data, so an open session ends at
    /// once (SockJS protocol, session life cycle 5).
    pub fn depart(self: &Arc<Self>, receiver: ReceiverId, how: Departure, now: Instant) -> bool {
        let lost;
        let deadline;
        {
            let mut outbox = self.outbox.lock();
            if outbox.receiver != Receiver::Attached(receiver) {
                return false;
            }
            outbox.receiver = Receiver::Detached(now);
            outbox.waker = None;
            // A closing session has said, or tried to say, its last word; it stays to repeat the close frame.
            lost = how == Departure::Interrupted && outbox.closing.is_none();
            deadline = self.outbox_deadline(&outbox, now);
        }
        if lost {
            self.close(CloseReason::Interrupted, now);
            return true;
        }
        self.arm(deadline);
        false
    }

    /// Hands over messages from the client, in order.
    pub fn receive(self: &Arc<Self>, messages: impl IntoIterator<Item = Message>, now: Instant) -> Flow {
        self.with_protocol(now, |protocol, session| {
            for message in messages {
                session.mark_carried();
                protocol.receive(session, message, now)?;
            }
            Ok(())
        })
    }

    /// Something was heard from the client that is no message: a pong, an empty frame.
    pub fn touch(&self, now: Instant) {
        let mut inbound = self.inbound.lock();
        inbound.last_received = now;
        inbound.ping_sent = None;
    }

    /// Goes on after a [`Flow::Pause`]. Who was not listened to cannot be blamed for his silence.
    pub fn resume(self: &Arc<Self>, now: Instant) -> Flow {
        self.with_protocol(now, |protocol, session| protocol.resume(session, now))
    }

    /// Waits for the end of a [`Flow::Wait`].
    pub fn poll_answered(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inbound = self.inbound.lock();
        let waits = inbound.protocol.as_ref().is_some_and(|protocol| protocol.is_waiting());
        if !waits || !self.is_open() {
            return Poll::Ready(());
        }
        if !inbound.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            inbound.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Queues an item for the client and wakes its receiver.
    ///
    /// An item that does not fit ends the session, unless its publication says that something may be dropped instead.
    pub fn push(self: &Arc<Self>, item: Item) -> Queued {
        let (queued, dropped, first, waker, limit) = {
            let mut outbox = self.outbox.lock();
            let room = self.room();
            let (queued, dropped) = outbox.push(item, room);
            let waker = if queued == Queued::Closed { None } else { outbox.waker.take() };
            let first = dropped > 0 && !outbox.lossy;
            outbox.lossy |= dropped > 0;
            let limit = (queued == Queued::Overflow).then(|| outbox.limit(room));
            (queued, dropped, first, waker, limit)
        };
        if let Some(limit) = limit {
            self.report_overflow(limit);
        }
        if dropped > 0 {
            self.report_dropped(dropped, first);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        queued
    }

    /// Ends the session because its client takes what is meant for it more slowly than `limit`, a configuration key,
    /// allows. For those who keep messages for it elsewhere than in its outbox, and hold locks that forbid
    /// [`close`](Self::close).
    pub fn overflow(self: &Arc<Self>, limit: &'static str) {
        let waker = {
            let mut outbox = self.outbox.lock();
            if !outbox.close(CloseReason::SlowConsumer) {
                return;
            }
            outbox.waker.take()
        };
        self.report_overflow(limit);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends the session soon, with what is queued before the close. Unlike [`close`](Self::close) it may be called with
    /// whatever locks held.
    pub fn end_soon(self: &Arc<Self>, reason: CloseReason) {
        let waker = {
            let mut outbox = self.outbox.lock();
            if !outbox.close(reason.clone()) {
                return;
            }
            outbox.waker.take()
        };
        self.report_closed(&reason);
        self.deadlines.arm_now(self);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Has the session look soon whether it has something to do. It may be called with whatever locks held.
    pub fn look_soon(self: &Arc<Self>) {
        self.deadlines.arm_now(self);
    }

    /// Takes out what waits for a subscription that has ended.
    pub fn withdraw(&self, subscription: &Subscription) {
        // Dropped without the lock.
        let _withdrawn = self.outbox.lock().withdraw(subscription);
    }

    /// Whether the client has read enough of what waits for it to ask for more.
    pub fn has_room(&self) -> bool {
        !self.outbox.lock().is_full(self.room())
    }

    pub(super) fn room(&self) -> Room {
        Room { bytes: self.settings.outbox_bytes, items: self.settings.outbox_messages }
    }

    /// Queues a message for the client.
    pub fn send(self: &Arc<Self>, message: Message) -> Queued {
        self.push(Item::Message(Arc::new(message)))
    }

    /// From now on STOMP heart-beats of this interval run towards the client instead of `h` frames (STOMP 1.2,
    /// Heart-beating). Zero switches back.
    pub fn run_stomp_beats(self: &Arc<Self>, interval: Duration, now: Instant) {
        let deadline = {
            let mut outbox = self.outbox.lock();
            outbox.stomp_interval = interval;
            self.outbox_deadline(&outbox, now)
        };
        self.arm(deadline);
    }

    /// Waits for the session to begin to close. For a receiver that cannot drain because its peer does not read; like
    /// [`poll_drain`](Self::poll_drain) it registers the one receiver's task.
    pub fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut outbox = self.outbox.lock();
        if let Some(reason) = &outbox.closing {
            return Poll::Ready(CloseReason::clone(reason));
        }
        outbox.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends the session: what is queued still goes out, then the close. The first reason stays.
    pub fn close(self: &Arc<Self>, reason: CloseReason, now: Instant) {
        let mut inbound = self.inbound.lock();
        self.end(&mut inbound, reason, now);
    }

    /// Like [`close`](Self::close), with a last word of the protocol before it.
    pub fn close_politely(self: &Arc<Self>, reason: CloseReason, now: Instant) {
        let mut inbound = self.inbound.lock();
        if let Some(protocol) = &mut inbound.protocol {
            protocol.closing(self, &reason);
        }
        self.end(&mut inbound, reason, now);
    }

    /// Ends the session if it has not ended yet, and drops what still waits: the connection is gone, nobody will read it.
    ///
    /// A delivery that waits holds its subscription and so its session; undrained, it would hold it for ever.
    pub fn abandon(self: &Arc<Self>, reason: CloseReason, now: Instant) {
        self.close(reason, now);
        self.outbox.lock().clear();
    }

    /// A deadline has come: lets heartbeats, pings, protocol time-outs and the disconnect delay do what is due, and arms
    /// the next deadline.
    pub fn handle_timeout(self: &Arc<Self>, now: Instant) -> Timeout {
        self.finish_overflow(now);
        if self.expire(now) {
            return Timeout::Over;
        }
        let beat_waker = self.beat(&mut self.outbox.lock(), now);
        let mut ping_waker = None;
        let mut waiting = Vec::new();
        let inbound_deadline = {
            let mut inbound = self.inbound.lock();
            if self.is_open() {
                if let Some(protocol) = &mut inbound.protocol
                    && let Err(reason) = protocol.handle_timeout(self, now)
                {
                    self.end(&mut inbound, reason, now);
                }
                ping_waker = self.check_liveness(&mut inbound, beat_waker.is_some(), now);
            }
            if !inbound.protocol.as_ref().is_some_and(|protocol| protocol.is_waiting()) {
                waiting = std::mem::take(&mut inbound.waiting);
            }
            self.inbound_deadline(&inbound)
        };
        let outbox_deadline = self.outbox_deadline(&self.outbox.lock(), now);
        for waker in beat_waker.into_iter().chain(ping_waker).chain(waiting) {
            waker.wake();
        }
        self.arm([inbound_deadline, outbox_deadline].into_iter().flatten().min());
        Timeout::Live
    }

    /// Runs a protocol callback under the inbound lock, which is a sign of life; its `Err` ends the session.
    fn with_protocol(
        self: &Arc<Self>,
        now: Instant,
        call: impl FnOnce(&mut dyn Protocol, &Arc<Self>) -> Result<(), CloseReason>,
    ) -> Flow {
        let (flow, waiting) = {
            let mut inbound = self.inbound.lock();
            inbound.last_received = now;
            inbound.ping_sent = None;
            if !self.is_open() {
                return Flow::Gone;
            }
            let Some(protocol) = &mut inbound.protocol else { return Flow::Gone };
            let flow = match call(protocol.as_mut(), self) {
                Ok(()) if protocol.is_waiting() => Flow::Wait,
                Ok(()) => protocol.pause().map_or(Flow::Continue, Flow::Pause),
                Err(reason) => {
                    self.end(&mut inbound, reason, now);
                    Flow::Closed
                }
            };
            if flow != Flow::Closed {
                self.arm(self.inbound_deadline(&inbound));
            }
            let waiting = if flow == Flow::Wait { Vec::new() } else { std::mem::take(&mut inbound.waiting) };
            (flow, waiting)
        };
        for waker in waiting {
            waker.wake();
        }
        flow
    }

    /// The one place where a session ends: the protocol is told once, the outbox begins to close, the receiver wakes.
    fn end(self: &Arc<Self>, inbound: &mut Inbound, reason: CloseReason, now: Instant) {
        let (first, waker, reason) = {
            let mut outbox = self.outbox.lock();
            let first = outbox.close(reason.clone());
            let reason = outbox.closing.as_deref().cloned().unwrap_or(reason);
            (first, outbox.waker.take(), reason)
        };
        if first {
            self.report_closed(&reason);
        }
        for waker in std::mem::take(&mut inbound.waiting) {
            waker.wake();
        }
        if let Some(mut protocol) = inbound.protocol.take() {
            protocol.closed(self, &reason, now);
            // From here the receiver's patience is counted.
            self.outbox.lock().last_sent = now;
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        let deadline = self.outbox_deadline(&self.outbox.lock(), now);
        self.arm(deadline);
    }

    /// An outbox that overflowed could not tell the protocol itself: locks go the other way.
    fn finish_overflow(self: &Arc<Self>, now: Instant) {
        let mut inbound = self.inbound.lock();
        let closing = self.outbox.lock().closing.clone();
        if let Some(reason) = closing {
            self.end(&mut inbound, *reason, now);
        }
    }

    /// Ends the session if nobody has come for it in time. Looking and closing are one step, so a receiver that attaches
    /// at the last moment either keeps the session or is told that it is over.
    fn expire(self: &Arc<Self>, now: Instant) -> bool {
        let first = {
            let mut outbox = self.outbox.lock();
            if self.patience(&outbox).is_none_or(|end| now < end) {
                return false;
            }
            outbox.receiver = Receiver::Detached(now);
            outbox.clear();
            outbox.close(CloseReason::Expired)
        };
        if first {
            self.report_closed(&CloseReason::Expired);
        }
        self.end(&mut self.inbound.lock(), CloseReason::Expired, now);
        true
    }

    /// Marks a heartbeat as due if nothing has been sent for its interval.
    fn beat(&self, outbox: &mut Outbox, now: Instant) -> Option<Waker> {
        let (interval, beat) = self.beat_interval(outbox)?;
        let due = matches!(outbox.receiver, Receiver::Attached(_))
            && outbox.closing.is_none()
            && outbox.beat.is_none()
            && now >= outbox.last_sent + interval;
        if !due {
            return None;
        }
        outbox.beat = Some(beat);
        outbox.waker.take()
    }

    /// Asks a silent websocket for a sign of life, and ends it when none comes. With a beat it is asked a little early: both then go
    /// in one write, and in one look at the session.
    fn check_liveness(self: &Arc<Self>, inbound: &mut Inbound, beats: bool, now: Instant) -> Option<Waker> {
        if !self.carrier.has_pings() {
            return None;
        }
        if inbound.protocol.as_ref().is_some_and(|protocol| protocol.is_waiting()) {
            // Nothing is read from it now, its pongs included.
            inbound.last_received = now;
            inbound.ping_sent = None;
        }
        let heartbeat = self.settings.heartbeat;
        let patience = if beats { heartbeat - heartbeat / 16 } else { heartbeat };
        match inbound.ping_sent {
            Some(at) if now >= at + self.settings.pong_timeout => {
                self.end(inbound, CloseReason::NoPong, now);
                None
            }
            Some(_) => None,
            None if now >= inbound.last_received + patience => {
                inbound.ping_sent = Some(now);
                let mut outbox = self.outbox.lock();
                outbox.ping = true;
                outbox.waker.take()
            }
            None => None,
        }
    }

    /// How long the line may be silent before which beat is due. STOMP beats go out a fifth early: the peer counts from
    /// what it receives, and the network adds to it.
    fn beat_interval(&self, outbox: &Outbox) -> Option<(Duration, Beat)> {
        if outbox.stomp_interval > Duration::ZERO {
            Some((outbox.stomp_interval * 4 / 5, Beat::Stomp))
        } else if !self.carrier.speaks_sockjs() {
            None
        } else {
            Some((self.settings.heartbeat, Beat::Sockjs))
        }
    }

    /// When the session is over for want of a reader: the disconnect delay after the last one left, or, if it is closing,
    /// a heartbeat interval in which the attached one took nothing. A socket looks after its own reader.
    fn patience(&self, outbox: &Outbox) -> Option<Instant> {
        match outbox.receiver {
            Receiver::Detached(since) => Some(since + self.settings.disconnect_delay),
            Receiver::Attached(_) if outbox.closing.is_some() && self.carrier == Carrier::Http => {
                Some(outbox.last_sent + self.settings.heartbeat)
            }
            Receiver::Attached(_) => None,
        }
    }

    fn outbox_deadline(&self, outbox: &Outbox, now: Instant) -> Option<Instant> {
        let patience = self.patience(outbox);
        if patience.is_some() || outbox.closing.is_some() {
            return patience;
        }
        let (interval, _) = self.beat_interval(outbox)?;
        // A beat that nobody drains is not followed by a second one: look again an interval later.
        let from = if outbox.beat.is_some() { now } else { outbox.last_sent };
        Some(from + interval)
    }

    fn inbound_deadline(&self, inbound: &Inbound) -> Option<Instant> {
        let protocol = inbound.protocol.as_ref()?.poll_timeout();
        let liveness = match (self.carrier.has_pings(), inbound.ping_sent) {
            (false, _) => None,
            (_, Some(at)) => Some(at + self.settings.pong_timeout),
            (_, None) => Some(inbound.last_received + self.settings.heartbeat),
        };
        [protocol, liveness].into_iter().flatten().min()
    }

    fn arm(self: &Arc<Self>, deadline: Option<Instant>) {
        if let Some(at) = deadline {
            self.deadlines.arm(self, at);
        }
    }

    fn report_overflow(self: &Arc<Self>, limit: &'static str) {
        metrics::limit_reached(limit);
        tracing::warn!(
            session = self.serial,
            limit,
            "session closed: its client does not read, or acknowledge, as fast as it is sent to"
        );
        self.report_closed(&CloseReason::SlowConsumer);
        self.deadlines.arm_now(self);
    }

    fn report_dropped(&self, dropped: usize, first: bool) {
        metrics::delivery_dropped(dropped);
        if first {
            let session = self.serial;
            tracing::warn!(
                session,
                "deliveries dropped, and from now on without a word: the client does not read as fast as it is sent to, and the destination's overflow is not close"
            );
        }
    }

    fn report_closed(&self, reason: &CloseReason) {
        metrics::session_closed(reason.label());
        tracing::debug!(session = self.serial, reason = reason.label(), "session closed");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.deadlines.disarm(self.serial, &self.armed);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("serial", &self.serial).field("carrier", &self.carrier).finish_non_exhaustive()
    }
}
