//! The consumers of a queue: who has credit and whose turn it is, and what each of them holds without having
//! acknowledged it.
//!
//! Does not know: the messages that wait, limits, or locks.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::Selector;
use super::backlog::Entry;
use crate::session::Subscription;
use crate::stomp::AckMode;

/// One subscription to the queue.
pub(super) struct Consumer {
    pub subscription: Arc<Subscription>,
    pub mode: AckMode,
    pub selector: Option<Selector>,
    /// How many messages it may hold.
    prefetch: usize,
    /// What it holds, by rising tag: in its outbox, or written and not acknowledged.
    held: VecDeque<Held>,
    /// The tag of the last delivery, and of the last that was written.
    last: u64,
    written: u64,
    /// Every waiting message up to this number is none for its selector.
    pub scanned: u64,
    /// It stands in the list of those with credit.
    waiting: bool,
}

/// A message that a consumer holds.
pub(super) struct Held {
    pub tag: u64,
    pub entry: Entry,
    /// An acknowledgement of it waits in a transaction.
    pub reserved: bool,
}

/// Which of its messages a consumer speaks of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tags<'a> {
    One(u64),
    /// That one, and all before it.
    UpTo(u64),
    /// Those that it reserved for a transaction.
    Reserved(&'a [u64]),
}

impl Consumer {
    pub fn new(subscription: Arc<Subscription>, mode: AckMode, selector: Option<Selector>, prefetch: usize) -> Self {
        let held = VecDeque::new();
        Self { subscription, mode, selector, prefetch, held, last: 0, written: 0, scanned: 0, waiting: false }
    }

    fn has_credit(&self) -> bool {
        self.held.len() < self.prefetch
    }

    pub fn takes(&self, entry: &Entry) -> bool {
        self.selector
            .as_ref()
            .is_none_or(|selector| entry.number > self.scanned && selector.matches(entry.publication.headers()))
    }

    /// The tag of its next delivery.
    pub fn next_tag(&self) -> u64 {
        self.last + 1
    }

    /// It holds the message from now on, under the next tag.
    pub fn hold(&mut self, entry: Entry) {
        self.last += 1;
        // Whatever waits before this message was offered to it before.
        self.scanned = self.scanned.max(entry.number);
        self.held.push_back(Held { tag: self.last, entry, reserved: false });
    }

    /// Its deliveries up to that tag are being written. Gives those that are consumed by it.
    pub fn write(&mut self, up_to: u64) -> impl Iterator<Item = Entry> {
        let consumed = match self.mode {
            AckMode::Auto => self.held.partition_point(|held| held.tag <= up_to),
            AckMode::Client | AckMode::ClientIndividual => {
                let from = self.held.partition_point(|held| held.tag <= self.written);
                for held in self.held.iter_mut().skip(from).take_while(|held| held.tag <= up_to) {
                    held.entry.deliveries += 1;
                }
                0
            }
        };
        self.written = self.written.max(up_to);
        self.held.drain(..consumed).map(|held| held.entry)
    }

    /// The messages that an acknowledgement speaks of, of those that have been written and are not reserved elsewhere.
    /// None if the one it names is not among them.
    pub fn find(&self, tags: Tags<'_>) -> Option<Vec<u64>> {
        let (Tags::One(tag) | Tags::UpTo(tag)) = tags else {
            let Tags::Reserved(tags) = tags else { return None };
            let reserved = |tag: &u64| self.get(*tag).is_some_and(|held| held.reserved);
            return tags.iter().all(reserved).then(|| tags.to_vec());
        };
        self.get(tag).filter(|held| held.tag <= self.written && !held.reserved)?;
        let free = |held: &&Held| held.tag <= tag && !held.reserved;
        Some(match tags {
            Tags::UpTo(_) => {
                self.held.iter().take_while(|held| held.tag <= tag).filter(free).map(|held| held.tag).collect()
            }
            _ => vec![tag],
        })
    }

    /// Takes messages from it. The tags are of [`find`](Self::find), so they are all there.
    pub fn take(&mut self, tags: &[u64]) -> Vec<Entry> {
        let mut taken = Vec::with_capacity(tags.len());
        for tag in tags {
            if let Ok(index) = self.held.binary_search_by_key(tag, |held| held.tag)
                && let Some(held) = self.held.remove(index)
            {
                taken.push(held.entry);
            }
        }
        taken
    }

    pub fn reserve(&mut self, tags: &[u64], reserved: bool) {
        for tag in tags {
            if let Ok(index) = self.held.binary_search_by_key(tag, |held| held.tag)
                && let Some(held) = self.held.get_mut(index)
            {
                held.reserved = reserved;
            }
        }
    }

    fn get(&self, tag: u64) -> Option<&Held> {
        let index = self.held.binary_search_by_key(&tag, |held| held.tag).ok()?;
        self.held.get(index)
    }
}

/// All consumers of a queue. Each knows its slot by its subscription.
#[derive(Default)]
pub(super) struct Consumers {
    slots: Vec<Option<Consumer>>,
    free: Vec<usize>,
    /// The slots of those with credit, whose turn it is first.
    waiting: VecDeque<usize>,
    selective: usize,
}

impl Consumers {
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether some consumer has a selector.
    pub fn are_selective(&self) -> bool {
        self.selective > 0
    }

    pub fn add(&mut self, consumer: Consumer) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.selective += usize::from(consumer.selector.is_some());
        consumer.subscription.set_slot(slot);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(consumer);
        }
        self.line_up(slot);
    }

    /// Takes a consumer out, with what it holds.
    pub fn remove(&mut self, subscription: &Subscription) -> Option<Vec<Entry>> {
        self.get_mut(subscription)?;
        let slot = subscription.slot();
        let consumer = self.slots.get_mut(slot)?.take()?;
        self.selective -= usize::from(consumer.selector.is_some());
        self.free.push(slot);
        if consumer.waiting {
            self.waiting.retain(|own| *own != slot);
        }
        Some(consumer.held.into_iter().map(|held| held.entry).collect())
    }

    pub fn get_mut(&mut self, subscription: &Subscription) -> Option<&mut Consumer> {
        let consumer = self.slots.get_mut(subscription.slot())?.as_mut()?;
        std::ptr::eq(&*consumer.subscription, subscription).then_some(consumer)
    }

    /// A consumer may have got credit: then it takes its place behind the others that have.
    pub fn refresh(&mut self, subscription: &Subscription) {
        if self.get_mut(subscription).is_some() {
            self.line_up(subscription.slot());
        }
    }

    /// The slot of the consumer whose turn it is to take any message.
    pub fn first(&self) -> Option<usize> {
        self.waiting.front().copied()
    }

    /// The consumer with credit whose turn it is first of those that take this message.
    pub fn taker(&self, entry: &Entry) -> Option<usize> {
        self.waiting.iter().copied().find(|slot| self.at(*slot).is_some_and(|consumer| consumer.takes(entry)))
    }

    pub fn at(&self, slot: usize) -> Option<&Consumer> {
        self.slots.get(slot)?.as_ref()
    }

    /// The consumer at that slot, which has credit, holds one more message, and steps back behind the others.
    pub fn hold(&mut self, slot: usize, entry: Entry) {
        self.step_out(slot);
        if let Some(Some(consumer)) = self.slots.get_mut(slot) {
            consumer.hold(entry);
        }
        self.line_up(slot);
    }

    /// The consumer at that slot gets nothing any more: its session is ending.
    pub fn step_out(&mut self, slot: usize) {
        if self.waiting.front() == Some(&slot) {
            self.waiting.pop_front();
        } else {
            self.waiting.retain(|own| *own != slot);
        }
        if let Some(Some(consumer)) = self.slots.get_mut(slot) {
            consumer.waiting = false;
        }
    }

    /// The number up to which everything that waits is known to be for nobody with credit.
    pub fn scanned(&self) -> u64 {
        let with_credit = self.waiting.iter().filter_map(|slot| self.at(*slot));
        with_credit.map(|consumer| consumer.scanned).min().unwrap_or(u64::MAX)
    }

    /// Those with credit have been asked about everything up to that number.
    pub fn mark_scanned(&mut self, number: u64) {
        let Self { slots, waiting, .. } = self;
        for slot in waiting {
            if let Some(Some(consumer)) = slots.get_mut(*slot)
                && consumer.selector.is_some()
            {
                consumer.scanned = consumer.scanned.max(number);
            }
        }
    }

    /// Messages from that number on have come back and may be for any of them.
    pub fn forget_scanned(&mut self, from: u64) {
        for consumer in self.slots.iter_mut().flatten() {
            consumer.scanned = consumer.scanned.min(from.saturating_sub(1));
        }
    }

    fn line_up(&mut self, slot: usize) {
        if let Some(Some(consumer)) = self.slots.get_mut(slot)
            && !consumer.waiting
            && consumer.has_credit()
        {
            consumer.waiting = true;
            self.waiting.push_back(slot);
        }
    }
}
