//! Sessions: a queue of messages, and at most one receiver.
//!
//! Does not know: HTTP, websockets, how a frame is written.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::defects::{Defect, Defects};
use super::receiving::Kind;
use super::text::{array_frame, close_frame};

/// How long the end of a receiver may take to be noticed when the next one is there already.
const GRACE: Duration = Duration::from_millis(100);

/// What a service does with its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Echo,
    /// Closes as soon as the session is open.
    Close,
    /// Sends one message back and closes.
    Farewell,
}

/// A session.
pub struct Session {
    name: String,
    behaviour: Behaviour,
    defects: Defects,
    /// The transport that it was opened with.
    kind: Option<Kind>,
    state: Mutex<State>,
    /// Something is there for the receiver.
    changed: Notify,
    /// The receiver is gone.
    freed: Notify,
}

#[derive(Default)]
struct State {
    opened: bool,
    queue: VecDeque<String>,
    closed: Option<String>,
    ended: bool,
    receivers: Vec<(u64, Kind)>,
    next_receiver: u64,
    /// Counts what keeps the session, for the timer to see.
    kept: u64,
    /// Messages for which a poll waited.
    wakings: u64,
}

impl Session {
    /// One that is not in any list.
    pub fn new(name: &str, behaviour: Behaviour, kind: Option<Kind>, defects: Defects) -> Arc<Self> {
        let closed = (behaviour == Behaviour::Close).then(|| close_frame(3000, "Go away!"));
        let state = Mutex::new(State { closed, ..State::default() });
        let (changed, freed) = (Notify::new(), Notify::new());
        Arc::new(Self { name: name.to_owned(), behaviour, defects, kind, state, changed, freed })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when there may be a frame.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The next frame: with everything that waits, or with one message.
    pub fn next(&self, everything: bool) -> Option<String> {
        let mut state = self.state();
        if !state.opened {
            state.opened = true;
            return Some("o".to_owned());
        }
        if self.defects.has(Defect::CloseOvertakesMessages) && state.closed.is_some() {
            state.queue.clear();
        }
        if state.queue.is_empty() {
            return state.closed.clone();
        }
        let count = if everything { state.queue.len() } else { 1 };
        let mut messages: Vec<_> = state.queue.drain(..count).collect();
        if everything && count > 1 && self.defects.has(Defect::LastOfSeveralLost) {
            messages.pop();
        }
        if count > 1 && self.defects.has(Defect::MessagesSwapped) {
            messages.rotate_right(1);
        }
        if everything && self.defects.has(Defect::MessageAgain) {
            state.queue.extend(messages.last().cloned());
        }
        if !everything && self.defects.has(Defect::OneMessageOfAStream) {
            state.queue.clear();
        }
        Some(array_frame(&messages, self.defects))
    }

    /// Whether the frame is the last one of a receiver.
    pub fn is_last(&self, frame: &str) -> bool {
        self.state().closed.as_deref() == Some(frame)
    }

    /// Whether this is still the receiver.
    pub fn has_receiver(&self, id: u64) -> bool {
        self.state().receivers.iter().any(|(receiver, _)| *receiver == id)
    }

    /// What waits is lost.
    pub fn forget(&self) {
        self.state().queue.clear();
    }

    /// Messages of the client. False if the session takes none any more.
    pub fn take(&self, messages: Vec<String>) -> bool {
        let mut state = self.state();
        if state.closed.is_some() || state.ended {
            return false;
        }
        if state.receivers.is_empty() && self.kind.is_some() && self.defects.has(Defect::LostWhileAway) {
            return true;
        }
        let some = !messages.is_empty();
        let mut messages = VecDeque::from(messages);
        if some && state.queue.is_empty() && state.receivers.iter().any(|(_, kind)| *kind == Kind::Xhr) {
            state.wakings += 1;
            let second = state.wakings.is_multiple_of(2);
            if second && self.defects.has(Defect::SomeWakingsLost) {
                messages.pop_front();
            }
            if second && self.defects.has(Defect::SomeWakingsTwice) {
                messages.extend(messages.back().cloned());
            }
        }
        state.queue.extend(messages);
        if some && self.behaviour == Behaviour::Farewell {
            state.closed = Some(close_frame(3000, "Go away!"));
        }
        self.changed.notify_one();
        true
    }
}

/// The sessions of a server.
pub struct Sessions {
    defects: Defects,
    delay: Duration,
    all: Mutex<HashMap<String, Arc<Session>>>,
    /// Receivers whose peers went.
    aborts: AtomicUsize,
}

/// Why there is no receiver.
pub enum Turned {
    /// There is one already.
    Away,
    /// There is no such session for this kind.
    Unknown,
}

impl Sessions {
    pub fn new(defects: Defects, delay: Duration) -> Arc<Self> {
        let delay = if defects.has(Defect::SessionsForAMoment) { Duration::from_millis(5) } else { delay };
        Arc::new(Self { defects, delay, all: Mutex::default(), aborts: AtomicUsize::new(0) })
    }

    /// Whether this is every fifth receiver whose peer went.
    pub fn is_fifth(&self) -> bool {
        self.aborts.fetch_add(1, Relaxed) % 5 == 4
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of this name, for messages.
    pub fn find(self: &Arc<Self>, name: &str) -> Option<Arc<Session>> {
        let all = self.all();
        let session = all.get(name)?.clone();
        let waiting = session.state().receivers.is_empty();
        if waiting && self.defects.has(Defect::SendsProlong) {
            self.keep(&session);
        }
        if self.defects.has(Defect::OneQueueForAll) {
            all.values().min_by_key(|s| s.name.clone()).cloned()
        } else {
            Some(session)
        }
    }

    /// Puts a session into the list.
    pub fn add(&self, session: Arc<Session>) {
        let mut all = self.all();
        if self.defects.has(Defect::SessionsOneByOne) {
            all.clear();
        }
        all.insert(session.name.clone(), session);
    }

    /// Takes a session out of the list.
    pub fn end(&self, session: &Arc<Session>) {
        session.state().ended = true;
        let mut all = self.all();
        if all.get(&session.name).is_some_and(|found| Arc::ptr_eq(found, session)) {
            all.remove(&session.name);
        }
    }

    /// Attaches a receiver to the session of this name, which is opened if there is none. A receiver that is there already is given a
    /// moment: its end may be on its way.
    pub async fn attach(
        self: &Arc<Self>,
        name: &str,
        behaviour: Behaviour,
        kind: Kind,
    ) -> Result<(Arc<Session>, u64), Turned> {
        let until = Instant::now() + GRACE;
        loop {
            let found = self.all().get(name).cloned();
            let session = found.unwrap_or_else(|| {
                let session = Session::new(name, behaviour, Some(kind), self.defects);
                self.add(session.clone());
                session
            });
            if self.defects.has(Defect::TransportsOfOneKind) && session.kind != Some(kind) {
                return Err(Turned::Unknown);
            }
            let freed = session.freed.notified();
            if let Some(id) = self.try_attach(&session, kind) {
                return Ok((session.clone(), id));
            }
            if timeout_at(until, freed).await.is_err() {
                if self.defects.has(Defect::FirstReceiverEnds) {
                    session.state().receivers.clear();
                    session.changed.notify_one();
                }
                return Err(Turned::Away);
            }
        }
    }

    fn try_attach(self: &Arc<Self>, session: &Arc<Session>, kind: Kind) -> Option<u64> {
        let mut state = session.state();
        if self.defects.has(Defect::SecondReceiverTakesOver) {
            state.receivers.clear();
            session.changed.notify_waiters();
        }
        let own_kind = self.defects.has(Defect::ConflictAmongOwnKind);
        let taken = state.receivers.iter().any(|(_, other)| !own_kind || *other == kind);
        if taken && state.closed.is_none() {
            return None;
        }
        state.next_receiver += 1;
        let id = state.next_receiver;
        state.receivers.push((id, kind));
        state.kept += 1;
        drop(state);
        if self.defects.has(Defect::AttachedSessionsExpire) {
            self.keep(session);
        }
        Some(id)
    }

    /// A receiver goes in the ordinary way: the session stays for a while.
    pub fn detach(self: &Arc<Self>, session: &Arc<Session>, id: u64, told: bool) {
        let mut state = session.state();
        state.receivers.retain(|(receiver, _)| *receiver != id);
        let jsonp = session.kind == Some(Kind::Jsonp);
        drop(state);
        if told && (self.defects.has(Defect::CloseOnce) || (jsonp && self.defects.has(Defect::CloseNotOverJsonp))) {
            self.end(session);
        }
        if self.defects.has(Defect::OpensTwice) {
            session.state().opened = false;
        }
        session.freed.notify_waiters();
        self.keep(session);
    }

    /// A receiver's peer is gone: the session ends.
    pub fn abort(&self, session: &Arc<Session>, id: u64) {
        self.end(session);
        session.state().receivers.retain(|(receiver, _)| *receiver != id);
        session.freed.notify_waiters();
    }

    /// Keeps a session for the delay from now on, and no longer.
    fn keep(self: &Arc<Self>, session: &Arc<Session>) {
        let mut state = session.state();
        state.kept += 1;
        if self.defects.has(Defect::SessionsForEver) {
            return;
        }
        let (kept, sessions, session) = (state.kept, self.clone(), session.clone());
        tokio::spawn(async move {
            sleep(sessions.delay).await;
            if session.state().kept == kept {
                sessions.end(&session);
            }
        });
    }
}
