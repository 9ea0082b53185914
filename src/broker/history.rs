//! The last messages of a topic, kept for those who subscribe later and ask for them: no more than a count, no older than
//! an age, and within the bytes that all histories share. Each message has an *offset*, counted from one without gaps for
//! as long as the topic lives; a topic that is made again goes on with higher ones.
//!
//! Does not know: subscribers, or when messages must go; its topic asks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::config;
use crate::metrics;
use crate::publication::Publication;

pub(super) struct History {
    settings: config::History,
    budget: Arc<Budget>,
    next_offset: u64,
    kept: VecDeque<(Instant, Arc<Publication>)>,
}

/// How much of the past a newcomer gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    pub messages: usize,
    pub bytes: usize,
}

/// The bytes that all histories may hold together.
pub(super) struct Budget {
    max_bytes: usize,
    bytes: AtomicUsize,
}

impl Budget {
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_bytes, bytes: AtomicUsize::new(0) })
    }

    fn take(&self, size: usize) -> bool {
        let before = self.bytes.fetch_add(size, Ordering::Relaxed);
        if before.saturating_add(size) > self.max_bytes {
            self.give(size);
            return false;
        }
        true
    }

    fn give(&self, size: usize) {
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }
}

impl History {
    pub fn new(settings: config::History, budget: Arc<Budget>, first_offset: u64) -> Self {
        Self { settings, budget, next_offset: first_offset, kept: VecDeque::new() }
    }

    /// The offset of the next message.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Keeps a message, which has the next offset. Older ones make room for it; if that is not enough, it is kept no more
    /// than they are, so what is kept never has a gap.
    pub fn keep(&mut self, publication: &Arc<Publication>, now: Instant) {
        self.next_offset += 1;
        self.forget_aged(now);
        while self.kept.len() >= self.settings.count {
            self.forget_oldest();
        }
        while !self.budget.take(publication.size()) {
            if !self.forget_oldest() {
                return metrics::limit_reached("history_bytes");
            }
        }
        self.kept.push_back((now, Arc::clone(publication)));
    }

    /// The last messages, oldest first: as many as the newcomer wants and has room for.
    pub fn last(&mut self, past: Past, now: Instant) -> impl Iterator<Item = &Arc<Publication>> {
        self.forget_aged(now);
        let mut bytes = 0usize;
        let fits = |(_, publication): &&(Instant, Arc<Publication>)| {
            bytes = bytes.saturating_add(publication.size());
            bytes <= past.bytes
        };
        let count = self.kept.iter().rev().take(past.messages).take_while(fits).count();
        self.kept.iter().skip(self.kept.len() - count).map(|(_, publication)| publication)
    }

    /// Forgets what is too old.
    pub fn forget_aged(&mut self, now: Instant) {
        while self.kept.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= self.settings.age) {
            self.forget_oldest();
        }
    }

    /// When the oldest message will be too old.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.kept.front().and_then(|(at, _)| at.checked_add(self.settings.age))
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, oldest)) = self.kept.pop_front() else { return false };
        self.budget.give(oldest.size());
        true
    }
}

impl Drop for History {
    fn drop(&mut self) {
        while self.forget_oldest() {}
    }
}
