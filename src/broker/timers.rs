//! The broker's own clockwork: queues whose messages expire and topics whose history ages each have one entry here, and
//! the earliest of all is the alarm of the gateway's one driver. What must go, goes at most [`SLACK`] too late: a queue of
//! many deadlines is looked at now and then, and not for each of them.
//!
//! Does not know: what happens at those times.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::session::Deadlines;

/// How late something may happen.
const SLACK: Duration = Duration::from_millis(100);

/// Something that has a time at which it wants to be looked at.
pub(super) trait Timed: Send + Sync {
    /// The time has come. Must call [`Timer::fired`].
    fn fire(&self, now: Instant);
}

/// All entries.
pub(super) struct Timers {
    deadlines: Arc<Deadlines>,
    entries: Mutex<BTreeMap<(Instant, u64), Weak<dyn Timed>>>,
    next_id: AtomicU64,
}

/// The one entry of a queue or topic. Guarded by its owner's lock.
pub(super) struct Timer {
    timers: Arc<Timers>,
    id: u64,
    at: Option<Instant>,
}

impl Timers {
    pub fn new(deadlines: Arc<Deadlines>) -> Arc<Self> {
        Arc::new(Self { deadlines, entries: Mutex::default(), next_id: AtomicU64::new(0) })
    }

    /// A timer that is not set.
    pub fn timer(self: &Arc<Self>) -> Timer {
        Timer { timers: Arc::clone(self), id: self.next_id.fetch_add(1, Ordering::Relaxed), at: None }
    }

    /// Fires what is due.
    pub fn fire(&self, now: Instant) {
        loop {
            let timed = {
                let mut entries = self.entries.lock();
                let Some(first) = entries.first_entry().filter(|first| first.key().0 <= now) else {
                    return self.announce(&entries);
                };
                first.remove()
            };
            if let Some(timed) = timed.upgrade() {
                timed.fire(now);
            }
        }
    }

    fn announce(&self, entries: &BTreeMap<(Instant, u64), Weak<dyn Timed>>) {
        self.deadlines.set_alarm(entries.keys().next().map(|(at, _)| *at));
    }
}

impl Timer {
    /// Makes it fire at `at`, give or take, unless it fires earlier anyway.
    pub fn set<T: Timed + 'static>(&mut self, at: Instant, owner: impl FnOnce() -> Weak<T>) {
        if self.at.is_none_or(|own| at + SLACK < own) {
            self.clear();
            self.at = Some(at);
            let mut entries = self.timers.entries.lock();
            entries.insert((at, self.id), owner());
            self.timers.announce(&entries);
        }
    }

    /// It has fired; the next time is `next`, but not at once.
    pub fn fired<T: Timed + 'static>(&mut self, next: Option<Instant>, now: Instant, owner: Weak<T>) {
        self.clear();
        if let Some(next) = next {
            self.set(next.max(now + SLACK), || owner);
        }
    }

    /// Takes it back.
    pub fn clear(&mut self) {
        if let Some(at) = self.at.take() {
            self.timers.entries.lock().remove(&(at, self.id));
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}
