//! One subscription of one session, as the broker and the outbox see it: whom to deliver to, and the few header bytes
//! that differ from subscriber to subscriber. Everything else of a MESSAGE is encoded once for all.
//!
//! Does not know: which destination it belongs to, or how that matches.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::BytesMut;

use super::Session;
use crate::stomp::{self, Version};

/// A live subscription. Shared by the session's protocol, the destination's subscriber list, and deliveries that wait in
/// the session's outbox.
pub struct Subscription {
    session: Arc<Session>,
    version: Version,
    head: Box<str>,
    active: AtomicBool,
    position: AtomicUsize,
}

impl Subscription {
    /// A subscription of `session` under the client's `id`. Only STOMP 1.0 may leave the id out; its MESSAGE frames then
    /// carry no `subscription` header (STOMP 1.0, MESSAGE).
    pub fn new(session: Arc<Session>, version: Version, id: Option<&str>) -> Arc<Self> {
        let mut head = BytesMut::from(&b"MESSAGE\n"[..]);
        if let Some(id) = id {
            head.extend_from_slice(b"subscription:");
            stomp::escape_value_into(id, version, &mut head);
            head.extend_from_slice(b"\n");
        }
        let head = String::from_utf8_lossy(&head).into_owned().into_boxed_str();
        Arc::new(Self { session, version, head, active: AtomicBool::new(true), position: AtomicUsize::new(usize::MAX) })
    }

    /// The session that deliveries go to.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The STOMP version of the session.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The beginning of every MESSAGE frame of this subscription: the command and the `subscription` header.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Whether deliveries still count. A delivery that raced an UNSUBSCRIBE is discarded when it is drained.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// From now on nothing of this subscription is sent, not even what waits in the outbox.
    pub fn deactivate(&self) {
        self.active.store(false, Ordering::Release);
    }

    /// Where it stands in its destination's subscriber list; kept by that list, under that list's lock, so that leaving a
    /// topic of many thousands costs no search.
    pub(crate) fn position(&self) -> usize {
        self.position.load(Ordering::Relaxed)
    }

    pub(crate) fn set_position(&self, position: usize) {
        self.position.store(position, Ordering::Relaxed);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("session", &self.session.serial())
            .field("head", &self.head)
            .field("active", &self.is_active())
            .finish()
    }
}
