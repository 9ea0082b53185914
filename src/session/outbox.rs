//! The outbox: what waits to be sent to one client. A bounded queue of small items, one receiver slot, one waker. It
//! holds no encoded bytes: a delivery is two pointers until a transport drains it. Idle, it owns no heap memory at all.
//!
//! Does not know: framing, destinations, time-outs, or which transport drains it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::{CloseReason, Message, ReceiverId, Subscription};
use crate::publication::Publication;

/// One thing that waits to be sent.
#[derive(Debug, Clone)]
pub enum Item {
    /// A publication for one subscription of this session.
    Delivery(Arc<Publication>, Arc<Subscription>),
    /// A message for this session: a service's answer, or a STOMP frame that is nobody else's.
    Message(Arc<Message>),
}

impl Item {
    /// What the item counts against `outbox_bytes`: the bytes it will put on the wire before the transport's framing.
    pub fn cost(&self) -> usize {
        match self {
            Self::Delivery(publication, subscription) => publication.size() + subscription.head().len(),
            Self::Message(message) => message.payload().len(),
        }
    }
}

/// What became of an item that was offered to an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// It waits for the next drain.
    Queued,
    /// It did not fit. The session is closing now ([`CloseReason::SlowConsumer`]); what was queued before is still sent.
    Overflow,
    /// The session is closing or closed already.
    Closed,
}

/// Who keeps the client from thinking that the line is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// The SockJS heartbeat frame `h`.
    Sockjs,
    /// A STOMP heart-beat: a message of one line feed.
    Stomp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiver {
    Attached(ReceiverId),
    /// Nobody is attached, since then.
    Detached(Instant),
}

/// The state behind a session's outbox lock. Methods are queue operations only; whoever calls them does the waking after
/// the lock is released.
pub(super) struct Outbox {
    pub queue: VecDeque<Item>,
    pub bytes: usize,
    /// Whether the open frame is out (or was never due, on a raw websocket).
    pub opened: bool,
    pub closing: Option<Box<CloseReason>>,
    pub receiver: Receiver,
    pub generation: u32,
    /// A heartbeat is due and not yet drained.
    pub beat: Option<Beat>,
    /// A websocket ping is due and not yet drained.
    pub ping: bool,
    /// The STOMP heart-beat that CONNECTED promised, zero for none.
    pub stomp_interval: Duration,
    /// When something was taken last, or when the session began to close.
    pub last_sent: Instant,
    pub waker: Option<Waker>,
}

impl Outbox {
    pub fn new(opened: bool, now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            opened,
            closing: None,
            receiver: Receiver::Detached(now),
            generation: 0,
            beat: None,
            ping: false,
            stomp_interval: Duration::ZERO,
            last_sent: now,
            waker: None,
        }
    }

    /// Queues an item within the limits. An item of any size fits into an empty outbox: else no limit below the largest
    /// message would work.
    pub fn push(&mut self, item: Item, max_bytes: usize, max_items: usize) -> Queued {
        if self.closing.is_some() {
            return Queued::Closed;
        }
        let cost = item.cost();
        let fits =
            self.queue.is_empty() || (self.queue.len() < max_items && self.bytes.saturating_add(cost) <= max_bytes);
        if !fits {
            self.closing = Some(Box::new(CloseReason::SlowConsumer));
            return Queued::Overflow;
        }
        self.bytes = self.bytes.saturating_add(cost);
        self.queue.push_back(item);
        Queued::Queued
    }

    /// Takes items for one frame: all of them if they cost less than `budget`, else as many as reach it, at least one.
    pub fn take(&mut self, budget: usize) -> VecDeque<Item> {
        if self.bytes <= budget {
            // The drainer frees the queue's memory with the batch; the outbox is left without any.
            self.bytes = 0;
            return std::mem::take(&mut self.queue);
        }
        let mut spent = 0usize;
        let mut count = 0;
        for item in &self.queue {
            count += 1;
            spent = spent.saturating_add(item.cost());
            if spent >= budget {
                break;
            }
        }
        let rest = self.queue.split_off(count);
        self.bytes = self.bytes.saturating_sub(spent);
        std::mem::replace(&mut self.queue, rest)
    }

    /// Begins to close, unless that has begun before. The first reason stays.
    pub fn close(&mut self, reason: CloseReason) -> bool {
        if self.closing.is_some() {
            return false;
        }
        if reason.peer_is_gone() {
            self.clear();
        }
        self.closing = Some(Box::new(reason));
        true
    }

    /// Drops what waits; nobody is left to read it.
    pub fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.bytes = 0;
    }
}
