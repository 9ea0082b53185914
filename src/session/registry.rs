//! The sessions of one endpoint, and the tombstones of those that ended. HTTP sessions are found by the id in the URL; a
//! websocket's session is counted but not found, for its id means nothing once the socket is open (SockJS protocol,
//! websocket).
//!
//! A tombstone keeps the id of a session that carried a message and ended: a client that comes back to it is told
//! `c[1002,"Connection interrupted"]` instead of silently getting a new conversation without its history.
//!
//! Does not know: transports, or why a session ended.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thiserror::Error;

use super::{Carrier, Session};
use crate::metrics;

/// The registry of one endpoint.
pub struct Registry {
    max_sessions: usize,
    /// The configuration key of that limit.
    limit: &'static str,
    max_tombstones: usize,
    tombstone_ttl: Duration,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    live: HashMap<Box<str>, Arc<Session>>,
    /// Sessions that are their socket's, by serial.
    sockets: HashMap<u64, Arc<Session>>,
    /// The end of each tombstone's time; the queue holds the same ids, oldest first.
    tombstones: HashMap<Box<str>, Instant>,
    oldest: VecDeque<(Box<str>, Instant)>,
}

/// What a receiving request found, or made.
#[derive(Debug)]
pub enum Opened {
    /// The session was there.
    Existing(Arc<Session>),
    /// The session is new; its protocol has yet to be told that it is open.
    New(Arc<Session>),
    /// The id belonged to a session that carried messages and has ended.
    Tombstone,
}

/// The endpoint or port holds as many sessions as it may.
#[derive(Debug, Error)]
#[error("there are as many sessions as {key} allows ({limit}); raise {key} or add a gateway")]
pub struct RegistryFull {
    /// The configuration key of the limit.
    pub key: &'static str,
    /// The limit in force.
    pub limit: usize,
}

impl Registry {
    /// An empty registry with its limits: sessions, tombstones, and how long a tombstone stands.
    pub fn new(max_sessions: usize, max_tombstones: usize, tombstone_ttl: Duration) -> Self {
        Self { max_sessions, limit: "max_sessions", max_tombstones, tombstone_ttl, inner: Mutex::default() }
    }

    /// An empty registry of sessions that live and die with their connections, of which there may be `max_connections`.
    ///
    /// `limit` is the configuration key of that number.
    pub fn of_connections(max_connections: usize, limit: &'static str) -> Self {
        Self { limit, ..Self::new(max_connections, 0, Duration::ZERO) }
    }

    /// The live session of that id.
    pub fn find(&self, id: &str) -> Option<Arc<Session>> {
        self.inner.lock().live.get(id).cloned()
    }

    /// The session of that id; made by `make` if the id is unknown.
    ///
    /// # Errors
    /// [`RegistryFull`] when a new session would exceed the limit.
    pub fn open(&self, id: &str, now: Instant, make: impl FnOnce() -> Arc<Session>) -> Result<Opened, RegistryFull> {
        let mut inner = self.inner.lock();
        if let Some(session) = inner.live.get(id) {
            return Ok(Opened::Existing(Arc::clone(session)));
        }
        inner.bury_expired(now);
        if inner.tombstones.contains_key(id) {
            return Ok(Opened::Tombstone);
        }
        self.admit_one_more(&inner)?;
        let session = make();
        inner.live.insert(id.into(), Arc::clone(&session));
        Ok(Opened::New(session))
    }

    /// Lists the session of a websocket or TCP connection.
    ///
    /// # Errors
    /// [`RegistryFull`] when it would exceed the limit.
    pub fn add_socket(&self, make: impl FnOnce() -> Arc<Session>) -> Result<Arc<Session>, RegistryFull> {
        let mut inner = self.inner.lock();
        self.admit_one_more(&inner)?;
        let session = make();
        inner.sockets.insert(session.serial(), Arc::clone(&session));
        Ok(session)
    }

    fn admit_one_more(&self, inner: &Inner) -> Result<(), RegistryFull> {
        if inner.live.len() + inner.sockets.len() < self.max_sessions {
            return Ok(());
        }
        metrics::limit_reached(self.limit);
        Err(RegistryFull { key: self.limit, limit: self.max_sessions })
    }

    /// Takes a session out; if it carried messages, its tombstone takes its place.
    pub fn remove(&self, session: &Arc<Session>, now: Instant) {
        let removed;
        {
            let mut inner = self.inner.lock();
            if session.carrier() != Carrier::Http {
                removed = inner.sockets.remove(&session.serial());
            } else {
                match inner.live.get(session.id()) {
                    Some(listed) if Arc::ptr_eq(listed, session) => {}
                    _ => return,
                }
                removed = inner.live.remove(session.id());
                if session.carried_messages() && self.max_tombstones > 0 {
                    let until = now + self.tombstone_ttl;
                    inner.tombstones.insert(session.id().into(), until);
                    inner.oldest.push_back((session.id().into(), until));
                }
            }
            inner.bury_expired(now);
            while inner.oldest.len() > self.max_tombstones {
                metrics::limit_reached("tombstones");
                inner.bury_oldest();
            }
        }
        // The session's own drop takes other locks; not under this one.
        drop(removed);
    }

    /// The number of live sessions and of tombstones.
    pub fn len(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.live.len() + inner.sockets.len(), inner.tombstones.len())
    }

    /// Whether there is neither session nor tombstone.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    /// All live sessions.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let inner = self.inner.lock();
        inner.live.values().chain(inner.sockets.values()).cloned().collect()
    }
}

impl Inner {
    fn bury_expired(&mut self, now: Instant) {
        while self.oldest.front().is_some_and(|(_, until)| *until <= now) {
            self.bury_oldest();
        }
    }

    fn bury_oldest(&mut self) {
        if let Some((id, until)) = self.oldest.pop_front()
            && self.tombstones.get(&id) == Some(&until)
        {
            self.tombstones.remove(&id);
        }
    }
}
