//! A gateway without sockets or tasks, and a clock that only the test moves. The bed plays the transports: it attaches
//! receivers, drains them when they are woken (and only then, so that a lost wake-up is seen), and fires deadlines at
//! exactly the moments at which the driver would.
//!
//! Does not know: tokio, HTTP, or what any test is about.

#![allow(dead_code, reason = "each test file uses its own part of the bed")]

pub mod meters;
pub mod stomp;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use towpath::config::{self, AllowedOrigins, Config, Service};
use towpath::gateway::{Endpoint, Gateway, Receiving, Visitor, Wiring};
use towpath::session::{
    Carrier, CloseReason, Deadlines, Departure, Drained, Flow, Message, Name, Protocol, Queued, ReceiverId, Session,
    Sink, Wire,
};
use towpath::sockjs::Framing;

/// The largest lateness of a deadline: the clockwork's resolution.
pub const TICK: Duration = Duration::from_millis(20);

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A configuration with one endpoint; what may wait for a session of it may wait for one over TCP, too.
pub fn config(service: Service, change: impl FnOnce(&mut config::Endpoint)) -> Config {
    let mut endpoint = config::Endpoint {
        path: "/s".to_owned(),
        service,
        allowed_origins: AllowedOrigins::Any,
        ..config::Endpoint::default()
    };
    change(&mut endpoint);
    let Config { mut tcp, .. } = Config::default();
    (tcp.outbox_bytes, tcp.outbox_messages) = (endpoint.outbox_bytes, endpoint.outbox_messages);
    Config { endpoints: vec![endpoint], tcp, ..Config::default() }
}

pub struct Bed {
    pub gateway: Gateway,
    pub now: Instant,
    /// Whom the requests prove to come from.
    pub visitor: Visitor,
    start: Instant,
}

impl Bed {
    pub fn new(config: &Config) -> Self {
        Self::wired(config, Wiring::default())
    }

    /// With an application behind the gateway.
    pub fn wired(config: &Config, wiring: Wiring) -> Self {
        let start = Instant::now();
        let gateway = Gateway::with(config, wiring, start);
        Self { gateway, now: start, visitor: Visitor::default(), start }
    }

    pub fn of(service: Service) -> Self {
        Self::new(&config(service, |_| {}))
    }

    pub fn with(service: Service, change: impl FnOnce(&mut config::Endpoint)) -> Self {
        Self::new(&config(service, change))
    }

    /// The time that has passed.
    pub fn at(&self) -> Duration {
        self.now - self.start
    }

    pub fn endpoint(&self) -> &Arc<Endpoint> {
        self.gateway.endpoints().first().expect("a bed has an endpoint")
    }

    /// What a receiving request over HTTP finds.
    pub fn attach(&self, id: &str) -> Receiving {
        self.gateway.attach(self.endpoint(), id, "test", &self.visitor, self.now).expect("the endpoint has room")
    }

    /// A receiver that stays attached, as of a streaming transport.
    pub fn stream(&self, id: &str) -> Reader {
        match self.attach(id) {
            Receiving::Attached(session, receiver) => Reader::new(session, receiver, Some(Framing::xhr())),
            other => panic!("not attached: {other:?}"),
        }
    }

    /// One receiving request of a polling transport: the one frame that waits, or `None` if it would have to wait (and
    /// was given up without a trace). On a session that is closing for another reader, the close frame.
    pub fn poll(&self, id: &str) -> Option<String> {
        let (session, receiver) = match self.attach(id) {
            Receiving::Attached(session, receiver) => (session, receiver),
            Receiving::Closing(reason) => {
                let close = reason.close();
                return Some(format!("c[{},{:?}]", close.code, close.reason));
            }
            Receiving::Busy | Receiving::Foreign => panic!("another has it"),
        };
        let mut reader = Reader::new(Arc::clone(&session), receiver, Some(Framing::xhr()));
        let frame = reader.one(self);
        self.depart(&reader, Departure::Done);
        frame
    }

    /// A websocket's session with its receiver.
    pub fn socket(&self) -> Reader {
        self.open(Carrier::Websocket)
    }

    /// A raw websocket's session with its receiver.
    pub fn raw_socket(&self) -> Reader {
        self.open(Carrier::RawWebsocket)
    }

    /// The session of a connection that has just been opened, with its receiver.
    pub fn open(&self, carrier: Carrier) -> Reader {
        let opened = match carrier {
            Carrier::Tcp => self.gateway.open_tcp(self.now),
            carrier => self.gateway.open_socket(self.endpoint(), carrier, "test", &self.visitor, self.now),
        };
        let (session, receiver) = opened.expect("the endpoint has room");
        Reader::new(session, receiver, (carrier == Carrier::Websocket).then(Framing::websocket))
    }

    /// What a sending request over HTTP does; `None` is its 404.
    pub fn send(&self, id: &str, texts: &[&str]) -> Option<Flow> {
        let session = self.gateway.find(self.endpoint(), id, &self.visitor, self.now)?;
        Some(self.receive(&session, texts))
    }

    /// Messages that arrive on the session's own connection.
    pub fn receive(&self, session: &Arc<Session>, texts: &[&str]) -> Flow {
        let messages = texts.iter().map(|text| Message::text(*text)).collect();
        self.gateway.receive(session, messages, self.now)
    }

    pub fn depart(&self, reader: &Reader, how: Departure) {
        self.gateway.depart(self.endpoint(), &reader.session, reader.id, how, self.now);
    }

    /// The connection of a websocket, or over TCP, is gone.
    pub fn hang_up(&self, reader: &Reader, reason: CloseReason) {
        if reader.session.carrier() == Carrier::Tcp {
            return self.gateway.tcp_closed(&reader.session, reason, self.now);
        }
        self.gateway.socket_closed(self.endpoint(), &reader.session, reason, self.now);
    }

    /// Lets time pass. Deadlines fire as they come, and the readers read whenever they are woken.
    pub fn pass(&mut self, duration: Duration, readers: &mut [&mut Reader]) {
        let end = self.now + duration;
        self.read(readers);
        for _ in 0..100_000 {
            match self.gateway.deadlines().poll_timeout(&mut Context::from_waker(Waker::noop())) {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => {
                    self.now = end;
                    return;
                }
            }
            self.gateway.handle_timeout(self.now);
            self.read(readers);
        }
        panic!("the deadlines spin");
    }

    /// Lets time pass with nobody reading.
    pub fn idle(&mut self, duration: Duration) {
        self.pass(duration, &mut []);
    }

    fn read(&self, readers: &mut [&mut Reader]) {
        for reader in readers {
            reader.read(self);
        }
    }

    /// Live sessions, those over TCP among them, and tombstones of the endpoint.
    pub fn population(&self) -> (usize, usize) {
        let (live, tombstones) = self.endpoint().registry().len();
        (live + self.gateway.tcp().registry().len().0, tombstones)
    }
}

/// What a receiver was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A SockJS frame without its transport's text around it, or a text message of a raw websocket.
    Frame(String),
    /// A binary message of a raw websocket.
    Binary(Vec<u8>),
    Ping,
    Closed(CloseReason),
    Gone,
}

/// An attached receiver that reads when it is woken.
pub struct Reader {
    pub session: Arc<Session>,
    pub id: ReceiverId,
    /// None on a raw websocket and over TCP.
    pub framing: Option<Framing>,
    pub budget: usize,
    /// What it was given, and when.
    pub seen: Vec<(Duration, Seen)>,
    wakes: Arc<Wakes>,
    waker: Waker,
    started: bool,
    over: bool,
}

impl Reader {
    pub fn new(session: Arc<Session>, id: ReceiverId, framing: Option<Framing>) -> Self {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        Self { session, id, framing, budget: usize::MAX, seen: vec![], wakes, waker, started: false, over: false }
    }

    /// Reads all there is, if it is the first time or somebody has woken it.
    pub fn read(&mut self, bed: &Bed) {
        if self.over || (self.started && self.wakes.take() == 0) {
            return;
        }
        self.started = true;
        while self.drain(bed) {}
    }

    /// Reads one frame, as a polling transport does.
    pub fn one(&mut self, bed: &Bed) -> Option<String> {
        self.drain(bed);
        self.frames().into_iter().next()
    }

    /// Reads what can be read now and gives the frames since the last time, without their moments.
    pub fn now(&mut self, bed: &Bed) -> Vec<String> {
        self.read(bed);
        self.frames()
    }

    /// Takes what was seen and gives the frames of it.
    pub fn frames(&mut self) -> Vec<String> {
        let frame = |seen| if let (_, Seen::Frame(frame)) = seen { Some(frame) } else { None };
        std::mem::take(&mut self.seen).into_iter().filter_map(frame).collect()
    }

    /// Takes what was seen.
    pub fn take(&mut self) -> Vec<(Duration, Seen)> {
        std::mem::take(&mut self.seen)
    }

    fn drain(&mut self, bed: &Bed) -> bool {
        let mut out = Messages::default();
        let wire = self.framing.as_ref().map_or(Wire::Raw, Wire::Sockjs);
        let mut cx = Context::from_waker(&self.waker);
        let drained = self.session.poll_drain(&mut cx, self.id, wire, self.budget, bed.now, &mut out);
        for (bytes, text) in out.0 {
            let seen = if text {
                let frame = String::from_utf8(bytes.to_vec()).expect("text is UTF-8");
                Seen::Frame(if self.framing.is_some() { frame.trim_end_matches('\n').to_owned() } else { frame })
            } else {
                Seen::Binary(bytes.to_vec())
            };
            self.seen.push((bed.at(), seen));
        }
        let last = match drained {
            Poll::Pending => return false,
            Poll::Ready(Drained::Frames | Drained::All) => return true,
            Poll::Ready(Drained::Ping) => Seen::Ping,
            Poll::Ready(Drained::Closed(reason)) => Seen::Closed(reason),
            Poll::Ready(Drained::Gone) => Seen::Gone,
        };
        self.over = last != Seen::Ping;
        self.seen.push((bed.at(), last));
        !self.over
    }
}

/// The strings in a SockJS message frame; panics if it is another one.
pub fn messages(frame: &str) -> Vec<String> {
    let array = frame.strip_prefix('a').unwrap_or_else(|| panic!("no message frame: {frame}"));
    serde_json::from_str(array).unwrap_or_else(|error| panic!("{error}: {frame}"))
}

/// A session on its own, in no registry.
pub struct Lone {
    pub session: Arc<Session>,
    pub deadlines: Arc<Deadlines>,
}

impl Lone {
    pub fn new(carrier: Carrier, endpoint: config::Endpoint, protocol: impl Protocol + 'static, now: Instant) -> Self {
        let deadlines = Arc::new(Deadlines::new(now));
        let (settings, protocol) = (Arc::new(endpoint.session()), Box::new(protocol));
        let session =
            Session::new(Name { id: "lone", owner: None }, carrier, settings, Arc::clone(&deadlines), protocol, now);
        Self { session, deadlines }
    }
}

/// A service that says nothing.
pub struct Mute;

impl Protocol for Mute {
    fn receive(&mut self, _: &Arc<Session>, _: Message, _: Instant) -> Result<(), CloseReason> {
        Ok(())
    }
}

/// Queues a text for the session's client.
pub fn say(session: &Arc<Session>, text: &str) -> Queued {
    session.send(Message::text(text))
}

/// Counts how often a task was woken.
#[derive(Default)]
pub struct Wakes(AtomicUsize);

impl Wakes {
    pub fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What was drained, message by message, each with whether it is text.
#[derive(Default)]
pub struct Messages(pub Vec<(Bytes, bool)>);

impl Sink for Messages {
    fn message(&mut self, text: bool, _size: usize, write: impl FnOnce(&mut BytesMut)) {
        let mut bytes = BytesMut::new();
        write(&mut bytes);
        self.0.push((bytes.freeze(), text));
    }

    fn reserve(&mut self, _bytes: usize) {}
}
