//! The service that joins each session to a websocket of its own, at a server that knows nothing of SockJS. Here is what of
//! it needs no network: what waits for that server, when its client has to wait, and what the end of one side means for the
//! other.
//!
//! Does not know: how the server is reached, or websocket frames.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use parking_lot::Mutex;

use super::principal::Visitor;
use crate::config;
use crate::metrics;
use crate::session::{CloseReason, Message, Protocol, Session};
use crate::sockjs::Close;

/// What a message costs besides its bytes, so that no number of empty ones is free.
const OVERHEAD: usize = size_of::<Message>();

/// Who reaches the websocket servers behind bridges.
pub trait Upstreams: Send + Sync {
    /// Begins to join a session to a connection of its own, and returns at once. It must not call back into the session
    /// while it is being called: that would wait for a lock that the caller holds.
    fn join(&self, joint: Joint);
}

/// One session on its way to its server, or joined to it. Whoever drops it has lost the server, and the session ends.
pub struct Joint {
    session: Arc<Session>,
    queue: Arc<Queue>,
    request: Request,
}

/// What the server is to be asked with.
struct Request {
    endpoint: Arc<config::Endpoint>,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    handshake: Option<Arc<Handshake>>,
}

/// What a client has for its server.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Messages, in order.
    Messages(Vec<Message>),
    /// The session is over, and all that it had for the server has been taken: say this to it and end.
    End(Close),
}

/// Why a server could not be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unjoined {
    /// It cannot be reached, or what answered is no websocket server for us.
    Refused,
    /// It did not answer within `bridge_timeout`.
    Late,
}

/// How the connection to a server ended that had been joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parted {
    /// The server closed it, with code and reason if it gave any.
    Closed(Option<(u16, String)>),
    /// It broke, or the server showed no sign of life.
    Lost,
    /// The server sent a message of more than `max_message` bytes.
    TooLarge,
    /// The server broke the websocket protocol.
    Garbage,
}

/// Where the outcome of a server's handshake is waited for by a client that is told of it in its own: which subprotocol the
/// server chose is what the client must be answered.
#[derive(Debug, Default)]
pub struct Handshake {
    state: Mutex<Outcome>,
}

#[derive(Debug, Default)]
struct Outcome {
    result: Option<Result<Option<String>, Unjoined>>,
    waker: Option<Waker>,
}

/// The protocol of a bridged session.
pub(super) struct Bridge {
    queue: Arc<Queue>,
    /// Until the session is open.
    start: Option<(Request, Arc<dyn Upstreams>)>,
}

/// What waits for the server. Filled under the session's inbound lock, emptied by whoever holds the [`Joint`].
struct Queue {
    /// Bytes after which the client has to wait. The message that reaches it is still taken.
    room: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    bytes: usize,
    /// The client is not read from until half of the room is free again.
    full: bool,
    /// The session is over.
    end: Option<Close>,
    waker: Option<Waker>,
}

impl Joint {
    /// The settings of the session's endpoint.
    pub fn endpoint(&self) -> &config::Endpoint {
        &self.request.endpoint
    }

    /// The session's number, for logs.
    pub fn serial(&self) -> u64 {
        self.session.serial()
    }

    /// The headers that the server is to see, with their values.
    pub fn headers(&self) -> &[(String, String)] {
        &self.request.headers
    }

    /// The subprotocols that the server may choose from.
    pub fn subprotocols(&self) -> &[String] {
        &self.request.subprotocols
    }

    /// The server is joined, and chose this subprotocol.
    pub fn joined(&mut self, subprotocol: Option<String>) {
        // They may be credentials, and nobody needs them any more.
        (self.request.headers, self.request.subprotocols) = (Vec::new(), Vec::new());
        if let Some(handshake) = self.request.handshake.take() {
            handshake.settle(Ok(subprotocol));
        }
    }

    /// The server cannot be joined: ends the session.
    pub fn refused(mut self, why: Unjoined, now: Instant) {
        if let Some(handshake) = self.request.handshake.take() {
            handshake.settle(Err(why));
        }
        self.session.close(CloseReason::Upstream(why.close()), now);
    }

    /// Waits until the session is over and has nothing for the server, so that there is no use in joining it any more.
    pub fn poll_needless(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.queue.state.lock();
        if state.end.is_some() && state.messages.is_empty() {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Takes what waits for the server: messages of about `budget` bytes, at least one. A client that had to wait goes on when
    /// enough has been taken.
    pub fn poll_take(&self, cx: &mut Context<'_>, budget: usize, now: Instant) -> Poll<Taken> {
        let (messages, has_room) = {
            let mut state = self.queue.state.lock();
            if state.messages.is_empty() {
                if let Some(close) = &state.end {
                    return Poll::Ready(Taken::End(close.clone()));
                }
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let messages = state.take(budget);
            let has_room = state.full && state.bytes <= self.queue.room / 2;
            state.full &= !has_room;
            (messages, has_room)
        };
        if has_room {
            self.session.resume(now);
        }
        Poll::Ready(Taken::Messages(messages))
    }

    /// Waits until the session is over; what it had for the server may still wait.
    pub fn poll_over(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.queue.state.lock();
        if state.end.is_some() {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// What the client gets of a message from the server: SockJS carries text only, so there bytes become base64.
    pub fn translate(&self, message: Message) -> Message {
        match message {
            Message::Binary(bytes) if self.session.carrier().speaks_sockjs() => Message::text(BASE64.encode(bytes)),
            other => other,
        }
    }

    /// Waits until the client has read enough for this message to wait beside what waits already.
    pub fn poll_room(&self, cx: &mut Context<'_>, message: &Message) -> Poll<()> {
        self.session.poll_room(cx, message.payload().len())
    }

    /// Hands a message to the client. To one that is gone it is nothing.
    pub fn send(&self, message: Message) {
        self.session.send(message);
    }

    /// The connection to the server has ended: ends the session. What the server sent before still reaches the client.
    pub fn part(&self, how: Parted, now: Instant) {
        self.session.close(CloseReason::Upstream(how.close()), now);
    }
}

impl Drop for Joint {
    fn drop(&mut self) {
        if let Some(handshake) = self.request.handshake.take() {
            handshake.settle(Err(Unjoined::Refused));
        }
        // Nothing to a session that is over, which it mostly is.
        self.session.end_soon(CloseReason::Upstream(Parted::Lost.close()));
    }
}

impl Unjoined {
    /// 4502 and 4504 are HTTP's 502 and 504 in the range that is free for applications; 1014, which says the same, is refused
    /// by browsers that do not know it.
    fn close(self) -> Close {
        match self {
            Self::Refused => Close::new(4502, "Upstream cannot be reached"),
            Self::Late => Close::new(4504, "Upstream does not answer"),
        }
    }
}

impl Parted {
    fn close(self) -> Close {
        match self {
            Self::Closed(Some((code, reason))) => Close::new(code, reason),
            Self::Closed(None) => Close::NORMAL,
            Self::Lost => Close::new(1011, "Upstream connection lost"),
            Self::TooLarge => Close::new(1011, "Upstream message too large"),
            Self::Garbage => Close::new(1011, "Upstream protocol error"),
        }
    }
}

impl Handshake {
    /// Waits for the outcome: the subprotocol that the server chose, if it did.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Option<String>, Unjoined>> {
        let mut state = self.state.lock();
        if let Some(result) = &state.result {
            return Poll::Ready(result.clone());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn settle(&self, result: Result<Option<String>, Unjoined>) {
        let waker = {
            let mut state = self.state.lock();
            state.result = Some(result);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Bridge {
    /// A session of `endpoint` that `visitor` opened; without anybody who reaches servers, its server cannot be reached.
    pub fn new(endpoint: &Arc<config::Endpoint>, visitor: &Visitor, upstreams: Option<&Arc<dyn Upstreams>>) -> Self {
        let request = || Request {
            endpoint: Arc::clone(endpoint),
            headers: visitor.headers.clone(),
            subprotocols: visitor.subprotocols.clone(),
            handshake: visitor.handshake.clone(),
        };
        Self {
            queue: Arc::new(Queue { room: endpoint.bridge_buffer, state: Mutex::default() }),
            start: upstreams.map(|upstreams| (request(), Arc::clone(upstreams))),
        }
    }
}

impl Protocol for Bridge {
    fn opened(&mut self, session: &Arc<Session>, _: Instant) -> Result<(), CloseReason> {
        let Some((request, upstreams)) = self.start.take() else {
            return Err(CloseReason::Upstream(Unjoined::Refused.close()));
        };
        upstreams.join(Joint { session: Arc::clone(session), queue: Arc::clone(&self.queue), request });
        Ok(())
    }

    fn receive(&mut self, _: &Arc<Session>, message: Message, _: Instant) -> Result<(), CloseReason> {
        let (waker, is_filled) = {
            let mut state = self.queue.state.lock();
            state.put(message);
            let is_filled = !state.full && state.bytes >= self.queue.room;
            state.full |= is_filled;
            (state.waker.take(), is_filled)
        };
        if is_filled {
            metrics::publisher_paused("bridge_buffer");
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    fn is_waiting(&self) -> bool {
        self.queue.state.lock().full
    }

    fn closed(&mut self, _: &Arc<Session>, reason: &CloseReason, _: Instant) {
        let waker = {
            let mut state = self.queue.state.lock();
            state.end = Some(farewell(reason));
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn put(&mut self, message: Message) {
        self.bytes = self.bytes.saturating_add(message.payload().len() + OVERHEAD);
        self.messages.push_back(message);
    }

    fn take(&mut self, budget: usize) -> Vec<Message> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < budget
            && let Some(message) = self.messages.pop_front()
        {
            bytes += message.payload().len() + OVERHEAD;
            taken.push(message);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        if self.messages.is_empty() {
            // An idle session holds nothing.
            self.messages = VecDeque::new();
        }
        taken
    }
}

/// What the server is told when a session ends: what it would have heard from the client, as far as that is known.
fn farewell(reason: &CloseReason) -> Close {
    match reason {
        CloseReason::Peer => Close::new(1000, ""),
        CloseReason::Shutdown => reason.close(),
        CloseReason::NotAuthenticated | CloseReason::CredentialsExpired | CloseReason::NotAllowed => {
            Close { code: 1008, ..reason.close() }
        }
        // The server said so itself and will not be told.
        CloseReason::Upstream(close) => close.clone(),
        _ => Close { code: 1001, reason: Cow::Borrowed("Client gone") },
    }
}

impl fmt::Debug for Joint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joint").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::config::{Config, Endpoint, Service};
    use crate::gateway::{Gateway, Wiring};
    use crate::session::{Carrier, Flow};

    /// Keeps what it is to join.
    #[derive(Default)]
    struct Kept(Mutex<Vec<Joint>>);

    impl Upstreams for Kept {
        fn join(&self, joint: Joint) {
            self.0.lock().push(joint);
        }
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn gateway(upstreams: Option<Arc<dyn Upstreams>>, now: Instant) -> Gateway {
        let endpoint = Endpoint {
            service: Service::Bridge,
            bridge: Some("ws://localhost/".to_owned()),
            bridge_buffer: 4 * (10 + OVERHEAD),
            ..Endpoint::default()
        };
        let config = Config { endpoints: vec![endpoint], ..Config::default() };
        Gateway::with(&config, Wiring { upstreams, ..Wiring::default() }, now)
    }

    fn session(gateway: &Gateway, now: Instant) -> Arc<Session> {
        let visitor = Visitor::default();
        gateway.open_socket(&gateway.endpoints()[0], Carrier::Websocket, "test", &visitor, now).unwrap().0
    }

    fn message() -> Message {
        Message::from_static("0123456789")
    }

    #[test]
    fn a_client_waits_from_a_full_queue_to_one_half_empty() {
        let (kept, now) = (Arc::<Kept>::default(), Instant::now());
        let gateway = gateway(Some(Arc::clone(&kept) as _), now);
        let session = session(&gateway, now);
        let joint = kept.0.lock().pop().unwrap();
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        for _ in 0..3 {
            assert_eq!(gateway.receive(&session, vec![message()], now), Flow::Continue);
        }
        assert_eq!(gateway.receive(&session, vec![message()], now), Flow::Wait);
        // Each message is taken by itself: the budget is less than one.
        for waits in [true, false, false, false] {
            assert_eq!(joint.poll_take(&mut cx, 1, now), Poll::Ready(Taken::Messages(vec![message()])));
            // Two of four are left, and that is half: the room ends at what four cost.
            assert_eq!(session.poll_answered(&mut cx).is_pending(), waits);
        }
        assert!(woken.0.load(Ordering::SeqCst));
        assert!(joint.poll_take(&mut cx, 1, now).is_pending());
        assert_eq!(gateway.receive(&session, vec![message()], now), Flow::Continue);
    }

    #[test]
    fn what_waits_at_the_end_is_taken_before_it() {
        let (kept, now) = (Arc::<Kept>::default(), Instant::now());
        let gateway = gateway(Some(Arc::clone(&kept) as _), now);
        let session = session(&gateway, now);
        let joint = kept.0.lock().pop().unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        gateway.receive(&session, vec![message(), message()], now);
        session.close(CloseReason::CredentialsExpired, now);
        assert!(joint.poll_needless(&mut cx).is_pending());
        assert_eq!(joint.poll_take(&mut cx, 1 << 20, now), Poll::Ready(Taken::Messages(vec![message(); 2])));
        assert!(joint.poll_needless(&mut cx).is_ready());
        assert_eq!(joint.poll_take(&mut cx, 1, now), Poll::Ready(Taken::End(Close::new(1008, "Credentials expired"))));
    }

    #[test]
    fn a_joint_that_is_dropped_ends_its_session_and_its_handshake() {
        let (kept, now) = (Arc::<Kept>::default(), Instant::now());
        let gateway = gateway(Some(Arc::clone(&kept) as _), now);
        let handshake = Arc::<Handshake>::default();
        let visitor = Visitor { handshake: Some(Arc::clone(&handshake)), ..Visitor::default() };
        let endpoint = &gateway.endpoints()[0];
        let (session, _) = gateway.open_socket(endpoint, Carrier::RawWebsocket, "test", &visitor, now).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(handshake.poll(&mut cx).is_pending());
        kept.0.lock().clear();
        assert_eq!(handshake.poll(&mut cx), Poll::Ready(Err(Unjoined::Refused)));
        assert!(!session.is_open());
    }

    #[test]
    fn without_anybody_to_join_a_session_it_ends_at_once() {
        let now = Instant::now();
        let gateway = gateway(None, now);
        assert!(!session(&gateway, now).is_open());
    }
}
