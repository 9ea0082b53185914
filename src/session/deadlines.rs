//! One clockwork for the time-outs of all sessions. A session has one entry, at its earliest deadline; a deadline that
//! moves later costs nothing (the entry fires, the session looks and arms anew), one that moves earlier costs a map
//! operation. Polling sessions have no task that could hold a timer, and a timer in each of the others would cost more
//! than the session itself.
//!
//! It is a hashed wheel: slots of [`TICK`], each a map from session number to session, so that a session that ends early
//! is taken out and not kept alive until its deadline.
//!
//! Does not know: what a deadline means, or how to sleep; the caller does that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Session;

/// The resolution: a deadline fires up to this much late, never early.
const TICK: Duration = Duration::from_millis(20);

/// Slots of the wheel. Together they span 41 s, beyond the default heartbeat; a deadline further away waits in the last
/// slot and is looked at again then.
const SLOTS: u64 = 2048;

const UNARMED: u64 = u64::MAX;

/// The tick at which a session's entry stands. Written under the wheel's lock only.
pub(super) struct Armed(AtomicU64);

impl Armed {
    pub fn new() -> Self {
        Self(AtomicU64::new(UNARMED))
    }
}

/// The deadlines of all sessions of a gateway.
pub struct Deadlines {
    origin: Instant,
    wheel: Mutex<Wheel>,
}

struct Wheel {
    slots: Vec<HashMap<u64, Weak<Session>>>,
    /// Every tick before this one has fired.
    current: u64,
    entries: usize,
    /// The tick that the driver sleeps for; an earlier one wakes it.
    announced: u64,
    driver: Option<Waker>,
    /// A time that is no session's.
    alarm: Option<Instant>,
}

impl Deadlines {
    /// An empty clockwork that starts at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            origin: now,
            wheel: Mutex::new(Wheel {
                slots: (0..SLOTS).map(|_| HashMap::new()).collect(),
                current: 0,
                entries: 0,
                announced: UNARMED,
                driver: None,
                alarm: None,
            }),
        }
    }

    /// Makes the session's time-outs fire at `at`, unless they are to fire earlier anyway.
    pub fn arm(&self, session: &Arc<Session>, at: Instant) {
        let tick = self.tick_of(at);
        // The common case, a deadline that moved later, needs no lock. A stale value costs one look at the wheel.
        if session.armed.0.load(Ordering::Relaxed) <= tick {
            return;
        }
        self.insert(session, tick);
    }

    /// Makes the session's time-outs fire as soon as the driver runs.
    pub fn arm_now(&self, session: &Arc<Session>) {
        self.insert(session, 0);
    }

    /// The sessions that have entries.
    pub fn len(&self) -> usize {
        self.wheel.lock().entries
    }

    /// Whether no session has an entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the driver must call [`expired`](Self::expired) next; `None` if there is nothing to wait for. The task is
    /// woken if that changes to an earlier time.
    pub fn poll_timeout(&self, cx: &mut Context<'_>) -> Option<Instant> {
        let mut wheel = self.wheel.lock();
        wheel.driver = Some(cx.waker().clone());
        let alarm = wheel.alarm;
        let next = wheel.next_tick().into_iter().chain(alarm.map(|at| self.tick_of(at))).min();
        wheel.announced = next.unwrap_or(UNARMED);
        next.map(|tick| self.origin + Duration::from_millis(tick.saturating_mul(TICK.as_millis() as u64)))
    }

    /// The driver is also to wake at `at`, for somebody who keeps times of his own, and no more for what was set before.
    pub fn set_alarm(&self, at: Option<Instant>) {
        let waker = {
            let mut wheel = self.wheel.lock();
            wheel.alarm = at;
            let sooner = at.is_some_and(|at| self.tick_of(at) < wheel.announced);
            if sooner { wheel.driver.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes out the sessions whose deadline has come.
    pub fn expired(&self, now: Instant) -> Vec<Arc<Session>> {
        let mut due = Vec::new();
        let elapsed = now.saturating_duration_since(self.origin);
        let now_tick = (elapsed.as_millis() / TICK.as_millis()) as u64;
        let mut wheel = self.wheel.lock();
        // After a long pause every slot is due once, not once for every turn of the wheel.
        let first = wheel.current.max((now_tick + 1).saturating_sub(SLOTS));
        for tick in first..=now_tick {
            for (_, session) in wheel.take_slot(tick) {
                if let Some(session) = session.upgrade() {
                    session.armed.0.store(UNARMED, Ordering::Relaxed);
                    due.push(session);
                }
            }
        }
        wheel.current = wheel.current.max(now_tick + 1);
        due
    }

    /// Takes out the entry of a session that is being dropped.
    pub(super) fn disarm(&self, serial: u64, armed: &Armed) {
        let tick = armed.0.load(Ordering::Relaxed);
        if tick != UNARMED {
            self.wheel.lock().remove(serial, tick);
        }
    }

    fn insert(&self, session: &Arc<Session>, tick: u64) {
        let waker = {
            let mut wheel = self.wheel.lock();
            let tick = tick.clamp(wheel.current, wheel.current + SLOTS - 1);
            let armed = session.armed.0.load(Ordering::Relaxed);
            if armed <= tick {
                return;
            }
            if armed != UNARMED {
                wheel.remove(session.serial(), armed);
            }
            wheel.slot(tick).insert(session.serial(), Arc::downgrade(session));
            wheel.entries += 1;
            session.armed.0.store(tick, Ordering::Relaxed);
            if tick < wheel.announced { wheel.driver.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The first tick that is not before `at`.
    fn tick_of(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin);
        since.as_millis().div_ceil(TICK.as_millis()) as u64
    }
}

impl Wheel {
    fn slot(&mut self, tick: u64) -> &mut HashMap<u64, Weak<Session>> {
        // The remainder is below SLOTS, which is the length.
        &mut self.slots[(tick % SLOTS) as usize]
    }

    fn take_slot(&mut self, tick: u64) -> HashMap<u64, Weak<Session>> {
        let entries = std::mem::take(self.slot(tick));
        self.entries -= entries.len();
        entries
    }

    fn remove(&mut self, serial: u64, tick: u64) {
        let slot = self.slot(tick);
        if slot.remove(&serial).is_some() {
            if slot.is_empty() {
                *slot = HashMap::new();
            }
            self.entries -= 1;
        }
    }

    fn next_tick(&mut self) -> Option<u64> {
        if self.entries == 0 {
            return None;
        }
        let current = self.current;
        (current..current + SLOTS).find(|&tick| !self.slot(tick).is_empty())
    }
}
