//! The messages of a queue that no consumer holds, in the order in which they were sent. What consumers give back goes
//! to its old place, before everything that was sent later.
//!
//! Does not know: consumers, limits, or locks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::publication::Publication;

/// A message of a queue.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its place: rises with every message of the queue.
    pub number: u64,
    pub publication: Arc<Publication>,
    pub expires: Option<Instant>,
    /// How often it was written to a consumer that did not acknowledge it.
    pub deliveries: u32,
}

#[derive(Default)]
pub(super) struct Backlog {
    entries: VecDeque<Entry>,
    last: u64,
}

impl Entry {
    pub fn size(&self) -> usize {
        self.publication.size()
    }

    pub fn has_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires < now)
    }
}

impl Backlog {
    /// Adds a new message at the end.
    pub fn append(&mut self, publication: Arc<Publication>, expires: Option<Instant>) {
        self.last += 1;
        self.entries.push_back(Entry { number: self.last, publication, expires, deliveries: 0 });
    }

    /// Puts back what consumers held, each message to its place.
    pub fn put_back(&mut self, mut returned: Vec<Entry>) {
        returned.sort_unstable_by_key(|entry| entry.number);
        let first = self.entries.front().map_or(u64::MAX, |entry| entry.number);
        if returned.last().is_none_or(|last| last.number < first) {
            returned.into_iter().rev().for_each(|entry| self.entries.push_front(entry));
        } else {
            self.entries.extend(returned);
            // Two sorted runs: the standard sort merges them in one pass.
            self.entries.make_contiguous().sort_by_key(|entry| entry.number);
        }
    }

    pub fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    pub fn take_first(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    pub fn take(&mut self, index: usize) -> Option<Entry> {
        self.entries.remove(index)
    }

    /// The index of the first message behind that number.
    pub fn behind(&self, number: u64) -> usize {
        self.entries.partition_point(|entry| entry.number <= number)
    }

    /// Takes out the messages whose time is over.
    pub fn take_expired(&mut self, now: Instant) -> Vec<Entry> {
        if !self.entries.iter().any(|entry| entry.has_expired(now)) {
            return Vec::new();
        }
        let (expired, rest) = std::mem::take(&mut self.entries).into_iter().partition(|entry| entry.has_expired(now));
        self.entries = rest;
        Vec::from(expired)
    }

    /// When the next message expires. Looks at all of them.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.expires).min()
    }

    pub fn drain(&mut self) -> impl Iterator<Item = Entry> {
        std::mem::take(&mut self.entries).into_iter()
    }
}
