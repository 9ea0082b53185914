//! A queue: each message goes to one consumer. Messages wait while nobody has credit for them; a consumer has credit for as
//! many as it may hold, so one that does not read, or does not acknowledge, stops receiving and nobody else notices.
//! What a consumer holds when it goes, or gives back, returns to its old place and is delivered again.
//!
//! A message is its consumer's from the moment in which its session takes it out of the outbox to write it
//! ([`Source::claim`]); what still waits in an outbox when the consumer goes is nobody's loss. With ack mode `auto` that
//! moment consumes it, otherwise an acknowledgement does.
//!
//! A *private* queue has one consumer and goes with it: topics use one for each subscription that acknowledges, and
//! `reply-to:/temp-queue/...` makes one.
//!
//! Lock order: the map of queues, then a queue, then an outbox or the timers.
//!
//! Does not know: names of other queues, STOMP frames, transactions.

mod backlog;
mod consumers;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::timers::{Timed, Timer};
use super::{Broker, Selector};
use crate::config::{self, QueueFull};
use crate::metrics;
use crate::publication::Publication;
use crate::session::{Delivery, Item, Queued, Source, Subscription, Tag};
use crate::stomp::AckMode;
use backlog::{Backlog, Entry};
use consumers::Consumer;

pub(crate) use consumers::Tags;

/// One queue.
pub(super) struct Queue {
    name: Box<str>,
    settings: config::Queue,
    /// It goes with its consumer.
    private: bool,
    totals: Arc<Totals>,
    broker: Weak<Broker>,
    me: Weak<Queue>,
    /// That it drops messages for want of room stands in the log.
    told: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// Taken out of the map; whoever still holds it must look again.
    dead: bool,
    backlog: Backlog,
    consumers: consumers::Consumers,
    /// All messages: waiting, held by consumers, and those for which a transaction has reserved a place.
    messages: usize,
    bytes: usize,
    timer: Timer,
}

/// What all queues hold together.
pub(super) struct Totals {
    max_messages: usize,
    max_bytes: usize,
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

/// What the consumer says about messages it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are done: ACK.
    Consumed,
    /// They are to be delivered again: NACK.
    Requeue,
    /// They are to be delivered to nobody any more: NACK with `requeue:false`.
    Reject,
}

/// Why a queue takes no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has gone; there may be another of its name.
    Dead,
    /// This setting forbids it.
    Full(&'static str),
}

/// Why a message leaves a queue for another reason than that it was consumed. The labels stand in metrics and in the
/// `x-dead-letter-reason` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    Expired,
    Rejected,
    DeliveryLimit,
    QueueFull,
}

/// Messages that left the queue; they are dealt with when its lock is released.
type Dead = Vec<(Entry, Death)>;

impl Queue {
    pub fn new(
        name: &str,
        settings: config::Queue,
        private: bool,
        totals: Arc<Totals>,
        broker: Weak<Broker>,
        timer: Timer,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            name: name.into(),
            settings,
            private,
            totals,
            broker,
            me: Weak::clone(me),
            told: AtomicBool::new(false),
            state: Mutex::new(State {
                dead: false,
                backlog: Backlog::default(),
                consumers: consumers::Consumers::default(),
                messages: 0,
                bytes: 0,
                timer,
            }),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes sure that there is room for one more message, dropping the oldest if that is the policy. The place is kept
    /// until it is [used](Self::publish) or [given back](Self::give_back). A refusal is for the caller to count, who
    /// knows what it comes to.
    pub fn reserve(&self, size: usize, now: Instant) -> Result<(), Refusal> {
        let mut dead = Dead::new();
        let mut outcome = self.state.lock().reserve(size, &self.settings, &self.totals, &mut dead);
        self.bury(dead, now);
        if self.private {
            outcome = outcome.map_err(|refusal| match refusal {
                Refusal::Full("queue_messages") => Refusal::Full("max_unacked"),
                Refusal::Full("queue_bytes") => Refusal::Full("max_unacked_bytes"),
                other => other,
            });
        }
        outcome
    }

    /// Drops the message that has waited longest. Returns whether one waited.
    pub fn drop_oldest(&self, now: Instant) -> bool {
        let mut dead = Dead::new();
        {
            let mut state = self.state.lock();
            let Some(oldest) = state.backlog.take_first() else { return false };
            state.kill(vec![oldest], Death::QueueFull, &self.totals, &mut dead);
        }
        self.bury(dead, now);
        true
    }

    /// Whether it is more than half full.
    pub fn is_pressed(&self) -> bool {
        let (messages, bytes) = self.len();
        messages > self.settings.messages / 2 || bytes > self.settings.bytes / 2
    }

    /// How many messages and bytes it may hold.
    pub fn max_len(&self) -> (usize, usize) {
        (self.settings.messages, self.settings.bytes)
    }

    /// Gives a reserved place back. The queue may have been made for it alone; then it goes again.
    pub fn give_back(&self, size: usize) {
        let unused = {
            let mut state = self.state.lock();
            state.release(size, &self.totals);
            state.is_unused()
        };
        self.remove_if(unused);
    }

    /// Queues a message in its reserved place, and delivers it if somebody has credit.
    pub fn publish(&self, publication: Arc<Publication>, ttl: Option<Duration>, now: Instant) {
        let queue_ttl = Some(self.settings.ttl).filter(|ttl| !ttl.is_zero());
        let ttl = [ttl, queue_ttl].into_iter().flatten().min();
        let expires = ttl.and_then(|ttl| now.checked_add(ttl));
        let mut dead = Dead::new();
        {
            let mut state = self.state.lock();
            if state.dead {
                // A private one, whose consumer went since the place was reserved.
                return state.release(publication.size(), &self.totals);
            }
            state.backlog.append(publication, expires);
            state.dispatch(now, &self.totals, &mut dead);
            if let Some(expires) = expires {
                state.timer.set(expires, || self.me.clone());
            }
        }
        self.bury(dead, now);
    }

    /// Adds a consumer. `prefetch` is the number of messages that it may hold.
    pub fn subscribe(
        &self,
        subscription: &Arc<Subscription>,
        mode: AckMode,
        selector: Option<Selector>,
        prefetch: usize,
        now: Instant,
    ) -> Result<(), Refusal> {
        let mut dead = Dead::new();
        {
            let mut state = self.state.lock();
            if state.dead {
                return Err(Refusal::Dead);
            }
            if let Some(me) = self.me.upgrade() {
                subscription.set_source(me);
            }
            state.consumers.add(Consumer::new(Arc::clone(subscription), mode, selector, prefetch.max(1)));
            state.dispatch(now, &self.totals, &mut dead);
        }
        self.bury(dead, now);
        Ok(())
    }

    /// A consumer goes; what it holds is delivered to others. Returns whether nobody needs the queue any more.
    pub fn leave(&self, subscription: &Subscription, now: Instant) -> bool {
        let mut dead = Dead::new();
        let unused = {
            let mut state = self.state.lock();
            let Some(held) = state.consumers.remove(subscription) else { return false };
            if self.private {
                state.dead = true;
                state.timer.clear();
                for entry in held.into_iter().chain(std::mem::take(&mut state.backlog).drain()) {
                    state.release(entry.size(), &self.totals);
                }
            } else {
                state.put_back(held, self, now, &mut dead);
                state.dispatch(now, &self.totals, &mut dead);
            }
            state.dead || state.is_unused()
        };
        self.bury(dead, now);
        unused
    }

    /// A consumer's word on messages that it holds. `None` if it does not hold the one that it names.
    pub fn acknowledge(
        &self,
        subscription: &Subscription,
        tags: Tags<'_>,
        verdict: Verdict,
        now: Instant,
    ) -> Option<()> {
        let mut dead = Dead::new();
        {
            let mut state = self.state.lock();
            let consumer = state.consumers.get_mut(subscription)?;
            let tags = consumer.find(tags)?;
            let entries = consumer.take(&tags);
            match verdict {
                Verdict::Consumed => entries.iter().for_each(|entry| state.release(entry.size(), &self.totals)),
                Verdict::Requeue => state.put_back(entries, self, now, &mut dead),
                Verdict::Reject => state.kill(entries, Death::Rejected, &self.totals, &mut dead),
            }
            state.consumers.refresh(subscription);
            state.dispatch(now, &self.totals, &mut dead);
        }
        self.bury(dead, now);
        Some(())
    }

    /// Keeps an acknowledgement for a transaction: the messages are its, and count for no other acknowledgement. Returns
    /// their tags.
    pub fn reserve_tags(&self, subscription: &Subscription, tags: Tags<'_>) -> Option<Vec<u64>> {
        let mut state = self.state.lock();
        let consumer = state.consumers.get_mut(subscription)?;
        let tags = consumer.find(tags)?;
        consumer.reserve(&tags, true);
        Some(tags)
    }

    /// The transaction was aborted.
    pub fn release_tags(&self, subscription: &Subscription, tags: &[u64]) {
        if let Some(consumer) = self.state.lock().consumers.get_mut(subscription) {
            consumer.reserve(tags, false);
        }
    }

    /// Declares the queue dead if it holds nothing and nobody consumes from it. Returns whether it is dead.
    pub fn retire(&self) -> bool {
        let mut state = self.state.lock();
        if !state.is_unused() {
            return state.dead;
        }
        state.dead = true;
        state.timer.clear();
        true
    }

    /// Messages and bytes that it holds.
    pub fn len(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.messages, state.bytes)
    }

    /// How many consume from it.
    pub fn consumers(&self) -> usize {
        self.state.lock().consumers.len()
    }

    /// Whether it goes with its consumer.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// Takes the queue out of the map of queues if nobody needs it. Called without the lock.
    fn remove_if(&self, unused: bool) {
        if unused && let Some(broker) = self.broker.upgrade() {
            broker.queues.remove_unused(&self.name);
        }
    }

    /// Sends what left the queue for good to where its settings say. Called without the lock.
    fn bury(&self, dead: Dead, now: Instant) {
        if dead.is_empty() {
            return;
        }
        let broker = self.broker.upgrade();
        // A queue that is named as its own place for dead letters has none.
        let destination = self.settings.dead_letter.as_deref().filter(|destination| **destination != *self.name);
        for (entry, death) in dead {
            let sent = match (&broker, destination) {
                (Some(broker), Some(destination)) => {
                    broker.send_dead_letter(&entry.publication, destination, death.label(), now)
                }
                _ => false,
            };
            if !sent {
                metrics::message_dropped(death.label());
                if death == Death::QueueFull && !self.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        queue = self.name,
                        "messages dropped, from now on without a word: the queue is full"
                    );
                }
            }
        }
    }
}

impl Source for Queue {
    fn claim(&self, subscription: &Subscription, up_to: Tag, now: Instant) -> bool {
        let mut dead = Dead::new();
        {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            let Some(consumer) = state.consumers.get_mut(subscription) else { return false };
            let (mut messages, mut bytes) = (0, 0);
            for entry in consumer.write(up_to.number()) {
                messages += 1;
                bytes += entry.size();
            }
            if messages > 0 {
                state.messages -= messages;
                state.bytes -= bytes;
                self.totals.sub(messages, bytes);
                state.consumers.refresh(subscription);
                state.dispatch(now, &self.totals, &mut dead);
            }
        }
        self.bury(dead, now);
        true
    }

    fn reject(&self, subscription: &Subscription, tag: Tag, now: Instant) {
        // One that needs no acknowledgement is consumed by now.
        if self.acknowledge(subscription, Tags::One(tag.number()), Verdict::Reject, now).is_none() {
            metrics::message_dropped("kept-back");
        }
    }
}

impl Timed for Queue {
    /// Takes out what has expired.
    fn fire(&self, now: Instant) {
        let mut dead = Dead::new();
        let unused = {
            let mut state = self.state.lock();
            let expired = state.backlog.take_expired(now);
            state.kill(expired, Death::Expired, &self.totals, &mut dead);
            let next = state.backlog.next_expiry();
            state.timer.fired(next, now, self.me.clone());
            state.is_unused()
        };
        self.bury(dead, now);
        self.remove_if(unused);
    }
}

impl State {
    fn reserve(
        &mut self,
        size: usize,
        settings: &config::Queue,
        totals: &Totals,
        dead: &mut Dead,
    ) -> Result<(), Refusal> {
        if self.dead {
            return Err(Refusal::Dead);
        }
        loop {
            let full = if self.messages >= settings.messages {
                "queue_messages"
            } else if self.messages > 0 && self.bytes.saturating_add(size) > settings.bytes {
                "queue_bytes"
            } else {
                match totals.add(size) {
                    Ok(()) => break,
                    Err(limit) => limit,
                }
            };
            let oldest = if settings.full == QueueFull::DropOldest { self.backlog.take_first() } else { None };
            let Some(oldest) = oldest else { return Err(Refusal::Full(full)) };
            self.kill(vec![oldest], Death::QueueFull, totals, dead);
        }
        self.messages += 1;
        self.bytes += size;
        Ok(())
    }

    /// Messages leave the queue for good.
    fn kill(&mut self, entries: Vec<Entry>, death: Death, totals: &Totals, dead: &mut Dead) {
        for entry in entries {
            self.release(entry.size(), totals);
            dead.push((entry, death));
        }
    }

    fn release(&mut self, size: usize, totals: &Totals) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
        totals.sub(1, size);
    }

    /// Gives messages that a consumer held to the others, but for those that have been tried often enough, and those whose
    /// time passed meanwhile.
    fn put_back(&mut self, held: Vec<Entry>, queue: &Queue, now: Instant, dead: &mut Dead) {
        let limit = queue.settings.max_deliveries;
        let (returned, exhausted): (Vec<_>, Vec<_>) = held.into_iter().partition(|entry| entry.deliveries < limit);
        self.kill(exhausted, Death::DeliveryLimit, &queue.totals, dead);
        let (expired, returned): (Vec<_>, Vec<_>) = returned.into_iter().partition(|entry| entry.has_expired(now));
        self.kill(expired, Death::Expired, &queue.totals, dead);
        // The timer looks at what waits only, and may have been set without these.
        if let Some(expires) = returned.iter().filter_map(|entry| entry.expires).min() {
            self.timer.set(expires, || queue.me.clone());
        }
        if let Some(first) = returned.iter().map(|entry| entry.number).min() {
            self.consumers.forget_scanned(first);
            self.backlog.put_back(returned);
        }
    }

    /// Delivers what waits to those who have credit, in turn.
    fn dispatch(&mut self, now: Instant, totals: &Totals, dead: &mut Dead) {
        if self.consumers.are_selective() {
            return self.dispatch_selectively(now, totals, dead);
        }
        while let Some(slot) = self.consumers.first() {
            let Some(entry) = self.backlog.take_first() else { return };
            if entry.has_expired(now) {
                self.kill(vec![entry], Death::Expired, totals, dead);
            } else {
                self.deliver(slot, entry);
            }
        }
    }

    /// The same where some consumers take only part of the messages. Each looks at each message once, unless messages come
    /// back from somebody else.
    fn dispatch_selectively(&mut self, now: Instant, totals: &Totals, dead: &mut Dead) {
        let mut index = self.backlog.behind(self.consumers.scanned());
        while self.consumers.first().is_some() {
            let Some(entry) = self.backlog.get(index) else { break };
            let taker = self.consumers.taker(entry);
            if entry.has_expired(now) {
                let expired = self.backlog.take(index).into_iter().collect();
                self.kill(expired, Death::Expired, totals, dead);
            } else if let Some(slot) = taker {
                if let Some(entry) = self.backlog.take(index) {
                    self.deliver(slot, entry);
                }
            } else {
                index += 1;
            }
        }
        let last = index.checked_sub(1).and_then(|index| self.backlog.get(index));
        if let Some(number) = last.map(|entry| entry.number) {
            self.consumers.mark_scanned(number);
        }
    }

    /// Puts a message into a consumer's outbox. If its session is ending, the message waits for somebody else.
    fn deliver(&mut self, slot: usize, entry: Entry) {
        let Some(consumer) = self.consumers.at(slot) else { return self.backlog.put_back(vec![entry]) };
        let delivery = Delivery {
            publication: Arc::clone(&entry.publication),
            subscription: Arc::clone(&consumer.subscription),
            tag: Tag::new(consumer.next_tag(), entry.deliveries > 0),
        };
        match consumer.subscription.session().push(Item::Delivery(delivery)) {
            Queued::Closed | Queued::Overflow => {
                self.consumers.step_out(slot);
                self.backlog.put_back(vec![entry]);
            }
            Queued::Queued | Queued::Pressed | Queued::Dropped => self.consumers.hold(slot, entry),
        }
    }

    fn is_unused(&self) -> bool {
        self.consumers.is_empty() && self.messages == 0
    }
}

impl Totals {
    pub fn new(max_messages: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_messages, max_bytes, messages: AtomicUsize::new(0), bytes: AtomicUsize::new(0) })
    }

    /// Counts one more message, or names the setting that forbids it.
    fn add(&self, size: usize) -> Result<(), &'static str> {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed);
        let bytes = self.bytes.fetch_add(size, Ordering::Relaxed);
        let limit = if messages >= self.max_messages {
            "queues_messages"
        } else if bytes.saturating_add(size) > self.max_bytes {
            "queues_bytes"
        } else {
            return Ok(());
        };
        self.sub(1, size);
        Err(limit)
    }

    fn sub(&self, messages: usize, bytes: usize) {
        self.messages.fetch_sub(messages, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub fn messages(&self) -> usize {
        self.messages.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Death {
    fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::DeliveryLimit => "delivery-limit",
            Self::QueueFull => "queue-full",
        }
    }
}
