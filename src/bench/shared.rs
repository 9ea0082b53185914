//! What the clients of one run share: how far it has come, what was counted, and how it ended for those that failed.
//!
//! Does not know: what the clients do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::fault::Fault;
use super::latency::Latency;
use super::plan::Transport;
use super::stamp::Stamp;
use super::tally::Mark;

/// Different failures that are kept apart.
const MOST_FAILURES: usize = 100;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Clients send, and nothing is measured yet.
    WarmUp,
    /// What comes now is measured.
    Window,
    /// Nothing new is sent; what is on its way is waited for.
    Drain,
}

/// What clients share.
#[derive(Debug)]
pub(super) struct Run {
    /// Of which run the messages are.
    pub(super) id: u8,
    /// Bytes of a body.
    pub(super) size: usize,
    zero: Instant,
    phase: AtomicU8,
    /// When the window began and ended.
    window: [AtomicU64; 2],
    pub(super) sent: AtomicU64,
    pub(super) expected: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) duplicated: AtomicU64,
    pub(super) out_of_order: AtomicU64,
    measured: AtomicU64,
    /// How many senders may still have something to send that is due.
    owing: Arc<AtomicU64>,
    latency: Mutex<Latency>,
    connecting: Mutex<Latency>,
    /// By transport, if they are to be told apart.
    shares: Vec<(Transport, Share)>,
    failures: Mutex<BTreeMap<String, u64>>,
}

/// A sender owes messages as long as there is this.
#[derive(Debug)]
pub(super) struct Owing(Arc<AtomicU64>);

impl Drop for Owing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What came over one transport.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) measured: AtomicU64,
    pub(super) latency: Mutex<Latency>,
}

impl Run {
    /// A run that tells these transports apart.
    pub(super) fn new(id: u8, size: usize, apart: &[Transport]) -> Self {
        let share = || Share { measured: AtomicU64::new(0), latency: Mutex::new(Latency::new()) };
        Self {
            id,
            size,
            zero: Instant::now(),
            phase: AtomicU8::new(Phase::WarmUp as u8),
            window: [AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX)],
            sent: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            received: AtomicU64::new(0),
            duplicated: AtomicU64::new(0),
            out_of_order: AtomicU64::new(0),
            measured: AtomicU64::new(0),
            owing: Arc::default(),
            latency: Mutex::new(Latency::new()),
            connecting: Mutex::new(Latency::new()),
            shares: apart.iter().map(|transport| (*transport, share())).collect(),
            failures: Mutex::new(BTreeMap::new()),
        }
    }

    /// Microseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn enter(&self, phase: Phase) {
        let [begin, end] = &self.window;
        match phase {
            Phase::WarmUp => {}
            Phase::Window => begin.store(self.now(), Ordering::Relaxed),
            Phase::Drain => end.store(self.now(), Ordering::Relaxed),
        }
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Whether something new may be sent.
    pub(super) fn sends(&self) -> bool {
        self.phase.load(Ordering::Relaxed) < Phase::Drain as u8
    }

    /// When the window ended; far away while it has not.
    pub(super) fn end(&self) -> u64 {
        let [_, end] = &self.window;
        end.load(Ordering::Relaxed)
    }

    /// Whether something that was due then is to be in the latency.
    fn is_of_window(&self, due: u64) -> bool {
        let [begin, _] = &self.window;
        begin.load(Ordering::Relaxed) <= due && due < self.end()
    }

    /// Whether what comes now is measured.
    pub(super) fn measures(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Window as u8
    }

    /// A message was sent that is to come so many times.
    pub(super) fn sent(&self, messages: u64, times: u64) {
        self.sent.fetch_add(messages, Ordering::Relaxed);
        self.expected.fetch_add(messages * times, Ordering::Relaxed);
    }

    /// Reads the beginning of a body.
    ///
    /// # Errors
    ///
    /// It is none of this run's.
    pub(super) fn stamp(&self, body: &[u8]) -> Result<Stamp, Fault> {
        let stamp = Stamp::read(body, self.size)?;
        if stamp.run == self.id { Ok(stamp) } else { Err(Fault::Foreign) }
    }

    /// Counts a message that came now over this transport.
    pub(super) fn came(&self, transport: Transport, mark: Mark, stamp: Stamp, now: u64) {
        self.came_untimed(mark);
        if mark.is_new() {
            self.measure(transport, stamp.time, now);
        }
    }

    /// Counts a message that came, and is not what is measured.
    pub(super) fn came_untimed(&self, mark: Mark) {
        let amiss = match mark {
            Mark::Fresh => None,
            Mark::Late => Some(&self.out_of_order),
            Mark::Again => Some(&self.duplicated),
        };
        if let Some(amiss) = amiss {
            amiss.fetch_add(1, Ordering::Relaxed);
        }
        if mark.is_new() {
            self.received.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts something that was due then and is done now, if it is time to. How long it took counts whenever it is done, if it was
    /// due in the window: whatever a server answers only after the end is what it was slowest with.
    pub(super) fn measure(&self, transport: Transport, due: u64, now: u64) {
        self.happened(transport);
        if !self.is_of_window(due) {
            return;
        }
        let took = now.saturating_sub(due);
        self.latency.lock().record(took);
        if let Some((_, share)) = self.shares.iter().find(|(known, _)| *known == transport) {
            share.latency.lock().record(took);
        }
    }

    /// Counts something that happens now, if it is time to.
    pub(super) fn happened(&self, transport: Transport) {
        if !self.measures() {
            return;
        }
        self.measured.fetch_add(1, Ordering::Relaxed);
        if let Some((_, share)) = self.shares.iter().find(|(known, _)| *known == transport) {
            share.measured.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether all that was due has been sent, and has come.
    pub(super) fn is_settled(&self) -> bool {
        self.is_complete() && self.owing.load(Ordering::Relaxed) == 0
    }

    /// A sender begins that owes messages at certain times.
    pub(super) fn owe(&self) -> Owing {
        self.owing.fetch_add(1, Ordering::Relaxed);
        Owing(Arc::clone(&self.owing))
    }

    /// Whether all that was sent has come.
    pub(super) fn is_complete(&self) -> bool {
        self.received.load(Ordering::Relaxed) >= self.expected.load(Ordering::Relaxed)
    }

    /// How many messages have come, whatever they were.
    pub(super) fn arrivals(&self) -> u64 {
        self.received.load(Ordering::Relaxed) + self.duplicated.load(Ordering::Relaxed)
    }

    pub(super) fn measured(&self) -> u64 {
        self.measured.load(Ordering::Relaxed)
    }

    /// Counts a client that took so many microseconds to connect.
    pub(super) fn connected(&self, took: u64) {
        self.connecting.lock().record(took);
    }

    /// Counts a failure.
    pub(super) fn failed(&self, why: &Fault) {
        let mut failures = self.failures.lock();
        let text = why.to_string();
        let known = failures.contains_key(&text) || failures.len() < MOST_FAILURES;
        *failures.entry(if known { text } else { "others".to_owned() }).or_default() += 1;
    }

    pub(super) fn failures(&self) -> Vec<(String, u64)> {
        self.failures.lock().iter().map(|(what, count)| (what.clone(), *count)).collect()
    }

    /// Latency, connecting, and what is told apart.
    pub(super) fn books(&self) -> (Latency, Latency, &[(Transport, Share)]) {
        (self.latency.lock().clone(), self.connecting.lock().clone(), &self.shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_due_in_the_window_is_in_the_latency_whenever_it_comes() {
        let run = Run::new(0, 64, &[]);
        let came = |due| run.measure(Transport::Tcp, due, run.now());
        came(run.now());
        let warm_up = run.now();
        while run.now() == warm_up {}
        run.enter(Phase::Window);
        let due = run.now();
        while run.now() == due {}
        came(warm_up);
        came(due);
        run.enter(Phase::Drain);
        let late = run.end();
        came(due);
        came(late);
        let (latency, ..) = run.books();
        let count = latency.percentiles().map(|found| found.count);
        assert_eq!((count, run.measured()), (Some(2), 2), "two were due in the window, and two came in it");
    }

    #[test]
    fn a_run_is_settled_when_nobody_owes_anything_and_all_has_come() {
        let run = Run::new(0, 64, &[]);
        let (one, other) = (run.owe(), run.owe());
        drop(one);
        assert!(run.is_complete() && !run.is_settled());
        run.sent(1, 1);
        drop(other);
        assert!(!run.is_settled());
        run.came_untimed(Mark::Fresh);
        assert!(run.is_settled());
    }
}
