//! The subscribers of one name or one pattern, in a plain vector. Each subscription remembers its place in it, so joining
//! and leaving cost the same in a topic of four and in one of forty thousand.
//!
//! Does not know: names, patterns, or locks; its owner guards it.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Instant;

use super::Selector;
use super::queue::{Queue, Refusal};
use crate::metrics;
use crate::publication::{Overflow, Publication};
use crate::session::{Delivery, Item, Queued, Session, Subscription};

/// Whom a publication reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// The subscriptions whose messages it is now.
    pub receivers: usize,
    /// How many of them have more than half a full outbox, so that more of the same would overflow it.
    pub pressed: usize,
    /// It was for a user, or a reply queue, that is not there.
    pub unreachable: bool,
}

impl AddAssign for Reach {
    fn add_assign(&mut self, other: Self) {
        self.receivers += other.receivers;
        self.pressed += other.pressed;
        self.unreachable |= other.unreachable;
    }
}

/// One subscriber. Most have no wishes, and cost a pointer.
#[derive(Clone)]
pub(super) enum Subscriber {
    Plain(Arc<Subscription>),
    Particular(Arc<Particular>),
}

/// A subscriber that takes only part of the messages, or acknowledges them.
pub(super) struct Particular {
    pub subscription: Arc<Subscription>,
    pub selector: Option<Selector>,
    /// Where its messages wait and are accounted for, if it acknowledges them.
    pub queue: Option<Arc<Queue>>,
}

impl Subscriber {
    fn subscription(&self) -> &Arc<Subscription> {
        match self {
            Self::Plain(subscription) => subscription,
            Self::Particular(particular) => &particular.subscription,
        }
    }

    /// Delivers a new publication.
    fn deliver(&self, publication: &Arc<Publication>, now: Instant) -> Reach {
        let subscription = match self {
            Self::Plain(subscription) => subscription,
            Self::Particular(particular) => {
                if !particular.takes(publication) {
                    return Reach::default();
                }
                if let Some(queue) = &particular.queue {
                    particular.queue_up(queue, publication, now);
                    let pressed = publication.overflow() == Overflow::Close && queue.is_pressed();
                    return Reach { receivers: 1, pressed: usize::from(pressed), unreachable: false };
                }
                &particular.subscription
            }
        };
        let queued = subscription.session().push(Item::Delivery(Delivery::untracked(publication, subscription)));
        Reach { receivers: 1, pressed: usize::from(queued == Queued::Pressed), unreachable: false }
    }

    /// Delivers a message of the past, which the subscriber asked for.
    pub fn replay(&self, publication: &Arc<Publication>, now: Instant) {
        if let Self::Particular(particular) = self {
            if !particular.takes(publication) {
                return;
            }
            if let Some(queue) = &particular.queue {
                return particular.queue_up(queue, publication, now);
            }
        }
        let subscription = self.subscription();
        subscription.session().push(Item::Delivery(Delivery::of_history(publication, subscription)));
    }
}

impl Particular {
    fn takes(&self, publication: &Publication) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(publication.headers()))
    }

    /// Gives the message to the subscriber's private queue. One that is full means that the client acknowledges more slowly
    /// than it is sent to, and the destination's policy says what that is worth.
    fn queue_up(&self, queue: &Queue, publication: &Arc<Publication>, now: Instant) {
        let mut reserved = queue.reserve(publication.size(), now);
        while let Err(Refusal::Full(limit)) = reserved {
            if publication.overflow() == Overflow::Close {
                return self.subscription.session().overflow(limit);
            }
            metrics::limit_reached(limit);
            if !queue.drop_oldest(now) {
                // The client holds all that it may, so this one is the oldest that waits.
                return metrics::message_dropped("queue-full");
            }
            reserved = queue.reserve(publication.size(), now);
        }
        if reserved.is_ok() {
            queue.publish(Arc::clone(publication), None, now);
        }
    }
}

/// A list of subscribers.
#[derive(Default)]
pub(super) struct Subscribers {
    list: Vec<Subscriber>,
}

impl Subscribers {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn add(&mut self, subscriber: Subscriber) {
        subscriber.subscription().set_position(self.list.len());
        self.list.push(subscriber);
    }

    /// Takes a subscription out; one that is not in this list changes nothing.
    pub fn remove(&mut self, subscription: &Arc<Subscription>) -> bool {
        let position = subscription.position();
        match self.list.get(position) {
            Some(own) if Arc::ptr_eq(own.subscription(), subscription) => {}
            _ => return false,
        }
        self.list.swap_remove(position);
        if let Some(moved) = self.list.get(position) {
            moved.subscription().set_position(position);
        }
        // A topic that was large once does not stay large.
        if self.list.capacity() > 64 && self.list.len() < self.list.capacity() / 4 {
            self.list.shrink_to(self.list.len() * 2);
        }
        true
    }

    /// Puts the publication into every subscriber's outbox.
    pub fn deliver(&self, publication: &Arc<Publication>, now: Instant) -> Reach {
        let mut reach = Reach::default();
        for subscriber in &self.list {
            reach += subscriber.deliver(publication, now);
        }
        reach
    }

    /// The same for the subscribers of one session.
    pub fn deliver_to(&self, session: &Session, publication: &Arc<Publication>, now: Instant) -> Reach {
        let mut reach = Reach::default();
        let own = self.list.iter().filter(|one| one.subscription().session().serial() == session.serial());
        for subscriber in own {
            reach += subscriber.deliver(publication, now);
        }
        reach
    }
}
