//! What a session holds of a subscription once the broker has accepted it: the key to its acknowledgements and to its
//! end.
//!
//! Does not know: how clients name subscriptions and messages.

use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;

use super::queue::{Queue, Tags, Verdict};
use crate::session::Subscription;

/// A subscription that is in force.
pub struct Membership {
    subscription: Arc<Subscription>,
    kind: Kind,
    /// Where its messages are accounted for, if they are.
    queue: Option<Arc<Queue>>,
}

/// Where the subscription is listed.
pub(super) enum Kind {
    Topic(Box<str>),
    Pattern(Box<str>),
    User { name: Box<str>, local: Box<str> },
    Queue,
}

/// Messages as an acknowledgement names them, by the numbers of their deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// One message.
    One(u64),
    /// That one, and all that were written before it and are still held.
    UpTo(u64),
}

/// The subscription does not hold the message: it was never written to it, or has been acknowledged or given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the subscription holds no such message")]
pub struct NotHeld;

impl Membership {
    pub(super) fn new(subscription: Arc<Subscription>, kind: Kind, queue: Option<Arc<Queue>>) -> Self {
        Self { subscription, kind, queue }
    }

    /// The subscription itself.
    pub fn subscription(&self) -> &Arc<Subscription> {
        &self.subscription
    }

    /// The name by which others send to it, if it is a reply queue's.
    pub fn reply_queue(&self) -> Option<&str> {
        self.queue.as_ref().map(|queue| queue.name()).filter(|name| !name.is_empty())
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(super) fn queue(&self) -> Option<&Arc<Queue>> {
        self.queue.as_ref()
    }

    /// Says what became of messages.
    ///
    /// # Errors
    /// [`NotHeld`] if the message is not the subscription's to acknowledge.
    pub fn acknowledge(&self, messages: Named, verdict: Verdict, now: Instant) -> Result<(), NotHeld> {
        let queue = self.queue.as_ref().ok_or(NotHeld)?;
        queue.acknowledge(&self.subscription, messages.into(), verdict, now).ok_or(NotHeld)
    }

    /// Keeps messages for an acknowledgement that a transaction will bring. Gives the numbers of their deliveries.
    ///
    /// # Errors
    /// [`NotHeld`] if the message is not the subscription's to acknowledge.
    pub fn reserve(&self, messages: Named) -> Result<Vec<u64>, NotHeld> {
        let queue = self.queue.as_ref().ok_or(NotHeld)?;
        queue.reserve_tags(&self.subscription, messages.into()).ok_or(NotHeld)
    }

    /// The transaction has come to its end: says what became of the messages that it kept.
    pub fn acknowledge_reserved(&self, deliveries: &[u64], verdict: Verdict, now: Instant) {
        if let Some(queue) = &self.queue {
            // They are held for as long as the subscription lives, and nobody but the transaction takes them.
            let _ = queue.acknowledge(&self.subscription, Tags::Reserved(deliveries), verdict, now);
        }
    }

    /// The transaction was aborted: the messages are again as before.
    pub fn release(&self, deliveries: &[u64]) {
        if let Some(queue) = &self.queue {
            queue.release_tags(&self.subscription, deliveries);
        }
    }
}

impl From<Named> for Tags<'_> {
    fn from(named: Named) -> Self {
        match named {
            Named::One(tag) => Self::One(tag),
            Named::UpTo(tag) => Self::UpTo(tag),
        }
    }
}
