//! The outbox: what waits to be sent to one client. A bounded queue of small items, one receiver slot, one waker. It
//! holds no encoded bytes: a delivery is two pointers until a transport drains it. Idle, it owns no heap memory at all.
//!
//! Does not know: framing, destinations, time-outs, or which transport drains it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::{CloseReason, Delivery, Message, ReceiverId, Subscription};
use crate::publication::Overflow;

/// One thing that waits to be sent.
#[derive(Debug, Clone)]
pub enum Item {
    /// A publication for one subscription of this session.
    Delivery(Delivery),
    /// A message for this session: a service's answer, or a STOMP frame that is nobody else's.
    Message(Arc<Message>),
}

impl Item {
    /// What the item counts against `outbox_bytes`: the bytes it will put on the wire before the transport's framing.
    pub fn cost(&self) -> usize {
        match self {
            Self::Delivery(delivery) => delivery.publication.size() + delivery.subscription.head().len(),
            Self::Message(message) => message.payload().len(),
        }
    }

    /// Whether the limits of the outbox leave it alone: it is bounded, and counted, where it comes from.
    fn is_exempt(&self) -> bool {
        matches!(self, Self::Delivery(delivery) if delivery.tag.is_exempt())
    }

    fn overflow(&self) -> Overflow {
        match self {
            Self::Delivery(delivery) if !delivery.tag.is_exempt() => delivery.publication.overflow(),
            _ => Overflow::Close,
        }
    }

    /// Whether the newer item makes this one worthless.
    fn is_replaced_by(&self, newer: &Self) -> bool {
        match (self, newer) {
            (Self::Delivery(own), Self::Delivery(other)) => {
                own.tag == other.tag
                    && own.publication.overflow() == other.publication.overflow()
                    && Arc::ptr_eq(&own.subscription, &other.subscription)
            }
            _ => false,
        }
    }
}

/// What became of an item that was offered to an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// It waits for the next drain.
    Queued,
    /// It waits, and the outbox is more than half full of what must not be dropped: whoever sends should slow down.
    Pressed,
    /// It waits, or does not, and something was dropped, as the policy of its destination says.
    Dropped,
    /// It did not fit. The session is closing now ([`CloseReason::SlowConsumer`]); what was queued before is still sent.
    Overflow,
    /// The session is closing or closed already.
    Closed,
}

/// How much may wait in an outbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub bytes: usize,
    pub items: usize,
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
    /// The cost of all that waits.
    pub bytes: usize,
    /// What of it the limits leave alone.
    exempt: Load,
    /// What of it may be dropped.
    droppable: Load,
    /// Something was dropped before, and the log says so.
    pub lossy: bool,
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
    /// Who waits for [room](Outbox::has_room_for). Boxed, since hardly any session has one.
    pub room_waker: Option<Box<Waker>>,
}

impl Outbox {
    pub fn new(opened: bool, now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            exempt: Load::default(),
            droppable: Load::default(),
            lossy: false,
            opened,
            closing: None,
            receiver: Receiver::Detached(now),
            generation: 0,
            beat: None,
            ping: false,
            stomp_interval: Duration::ZERO,
            last_sent: now,
            waker: None,
            room_waker: None,
        }
    }

    /// Queues an item within the limits, and says how many others were dropped for it. An item of any size fits into an
    /// empty outbox: else no limit below the largest message would work.
    pub fn push(&mut self, item: Item, room: Room) -> (Queued, usize) {
        if self.closing.is_some() {
            return (Queued::Closed, 0);
        }
        let cost = item.cost();
        if item.is_exempt() {
            self.put(item, cost);
            return (Queued::Queued, 0);
        }
        let overflow = item.overflow();
        let replaced = match overflow {
            Overflow::Conflate(_) => self.queue.iter().rposition(|older| older.is_replaced_by(&item)),
            Overflow::Close | Overflow::DropOldest => None,
        };
        if let Some(position) = replaced {
            self.drop_at(position);
        }
        let mut dropped = usize::from(replaced.is_some());
        while !self.fits(cost, room) {
            let oldest = || self.queue.iter().position(|item| item.overflow() == Overflow::DropOldest);
            match (self.droppable.items > 0).then(oldest).flatten() {
                Some(position) => self.drop_at(position),
                // It is the oldest of its kind itself.
                None if overflow == Overflow::DropOldest => return (Queued::Dropped, dropped + 1),
                None => {
                    self.closing = Some(Box::new(CloseReason::SlowConsumer));
                    return (Queued::Overflow, dropped);
                }
            }
            dropped += 1;
        }
        self.put(item, cost);
        let adds = overflow != Overflow::DropOldest && replaced.is_none();
        let queued = match dropped {
            _ if adds && self.is_pressed(room) => Queued::Pressed,
            0 => Queued::Queued,
            _ => Queued::Dropped,
        };
        (queued, dropped)
    }

    /// Whether so much waits that no more may be added on request.
    pub fn is_full(&self, room: Room) -> bool {
        self.queue.len() >= room.items || self.bytes >= room.bytes
    }

    /// The configuration key of the limit that has just been met.
    pub fn limit(&self, room: Room) -> &'static str {
        if self.bounded().items >= room.items { "outbox_messages" } else { "outbox_bytes" }
    }

    /// Whether a message of that cost can be queued without ending the session.
    pub fn has_room_for(&self, cost: usize, room: Room) -> bool {
        self.fits(cost, room)
    }

    fn fits(&self, cost: usize, room: Room) -> bool {
        let Load { bytes, items } = self.bounded();
        items == 0 || (items < room.items && bytes.saturating_add(cost) <= room.bytes)
    }

    /// Whether more than half of the outbox is full of what must not be dropped.
    fn is_pressed(&self, room: Room) -> bool {
        let Load { bytes, items } = self.bounded().less(self.droppable);
        items > room.items / 2 || bytes > room.bytes / 2
    }

    /// What the limits look at.
    fn bounded(&self) -> Load {
        Load { bytes: self.bytes, items: self.queue.len() }.less(self.exempt)
    }

    fn put(&mut self, item: Item, cost: usize) {
        self.bytes = self.bytes.saturating_add(cost);
        if item.is_exempt() {
            self.exempt.add(cost);
        }
        if item.overflow() == Overflow::DropOldest {
            self.droppable.add(cost);
        }
        self.queue.push_back(item);
    }

    fn drop_at(&mut self, position: usize) {
        if let Some(item) = self.queue.remove(position) {
            self.forget(&item);
        }
    }

    /// Takes an item that is no longer queued out of the accounts.
    fn forget(&mut self, item: &Item) {
        let cost = item.cost();
        self.bytes = self.bytes.saturating_sub(cost);
        if item.is_exempt() {
            self.exempt.sub(cost);
        }
        if item.overflow() == Overflow::DropOldest {
            self.droppable.sub(cost);
        }
    }

    /// Takes items for one frame: all of them if they cost less than `budget`, else as many as reach it, at least one.
    pub fn take(&mut self, budget: usize) -> VecDeque<Item> {
        if self.bytes <= budget {
            // The drainer frees the queue's memory with the batch; the outbox is left without any.
            let batch = std::mem::take(&mut self.queue);
            self.clear();
            return batch;
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
        let batch = std::mem::replace(&mut self.queue, rest);
        for item in &batch {
            self.forget(item);
        }
        batch
    }

    /// Takes out the deliveries of a subscription.
    pub fn withdraw(&mut self, subscription: &Subscription) -> VecDeque<Item> {
        let own = |item: &Item| matches!(item, Item::Delivery(own) if std::ptr::eq(&*own.subscription, subscription));
        if !self.queue.iter().any(own) {
            return VecDeque::new();
        }
        let (withdrawn, rest) = std::mem::take(&mut self.queue).into_iter().partition(own);
        self.queue = rest;
        let withdrawn: VecDeque<Item> = withdrawn;
        withdrawn.iter().for_each(|item| self.forget(item));
        withdrawn
    }

    /// Has the task woken when there is something to drain.
    pub fn register(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
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
        self.exempt = Load::default();
        self.droppable = Load::default();
    }
}

/// A part of what waits.
#[derive(Clone, Copy, Default)]
struct Load {
    bytes: usize,
    items: usize,
}

impl Load {
    fn add(&mut self, cost: usize) {
        self.bytes = self.bytes.saturating_add(cost);
        self.items += 1;
    }

    fn sub(&mut self, cost: usize) {
        self.bytes = self.bytes.saturating_sub(cost);
        self.items -= 1;
    }

    fn less(self, part: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(part.bytes), items: self.items - part.items }
    }
}
