//! When a sender's messages are due: on a schedule that does not wait for the server, or whenever fewer than a number of them
//! are on their way.
//!
//! Does not know: what is sent. Time is microseconds since the run began.

use std::future::pending;
use std::sync::Arc;

use super::metronome::Metronome;

/// The due times of one of several senders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    begin: f64,
    every: f64,
    next: u64,
}

impl Schedule {
    /// The schedule of the sender of that number among so many, who send at that rate together, in turn, from `begin` on.
    pub(super) fn new(rate: f64, sender: u64, senders: u64, begin: u64) -> Self {
        let turn = 1_000_000.0 / rate;
        Self { begin: begin as f64 + turn * sender as f64, every: turn * senders as f64, next: 0 }
    }

    /// When the next message is due.
    fn due(&self) -> u64 {
        (self.begin + self.every * self.next as f64) as u64
    }

    /// The due time of the next message, which is taken off the schedule, if it is not after `now`.
    pub(super) fn take(&mut self, now: u64) -> Option<u64> {
        let due = self.due();
        (due <= now).then(|| {
            self.next += 1;
            due
        })
    }
}

/// When one sender sends.
#[derive(Debug, Clone)]
pub(super) enum Turns {
    /// When it is due.
    Open {
        /// When that is.
        schedule: Schedule,
        /// Who wakes the sender of that number then.
        beats: Arc<Metronome>,
        /// The number.
        sender: usize,
    },
    /// When fewer than so many are on their way.
    Closed(u64),
}

impl Turns {
    /// Whether they come at times that nothing can change.
    pub(super) fn are_due(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// The time from which the latency of the next message counts, if it is to be sent now. So many are on their way.
    pub(super) fn take(&mut self, now: u64, on_their_way: u64) -> Option<u64> {
        match self {
            Self::Open { schedule, .. } => schedule.take(now),
            Self::Closed(most) => (on_their_way < *most).then_some(now),
        }
    }

    /// Waits until it may be the next one's turn, if that depends on nothing but time, or nothing new is to be sent. Cancel-safe.
    pub(super) async fn turn(&self) {
        match self {
            Self::Open { beats, sender, .. } => beats.beat(*sender).await,
            Self::Closed(_) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_take_turns_and_together_have_the_rate() {
        let mut due: Vec<u64> = Vec::new();
        for sender in 0..4 {
            let mut schedule = Schedule::new(1000.0, sender, 4, 500);
            due.extend(std::iter::from_fn(|| schedule.take(10_499)));
        }
        due.sort_unstable();
        assert_eq!(due, (0..10).map(|number| 500 + 1000 * number).collect::<Vec<_>>());
    }

    #[test]
    fn who_was_held_up_sends_all_that_was_due_with_its_time() {
        let mut schedule = Schedule::new(100.0, 0, 1, 0);
        assert_eq!(schedule.take(0), Some(0));
        assert_eq!(schedule.take(9_999), None);
        let late: Vec<_> = std::iter::from_fn(|| schedule.take(35_000)).collect();
        assert_eq!(late, [10_000, 20_000, 30_000]);
        assert_eq!(schedule.due(), 40_000);
    }

    #[test]
    fn an_odd_rate_does_not_drift() {
        let mut schedule = Schedule::new(7.0, 0, 1, 0);
        let count = std::iter::from_fn(|| schedule.take(3_600_000_000)).count();
        assert_eq!(count, 7 * 3600 + 1);
    }

    #[test]
    fn a_closed_loop_fills_up_to_its_number() {
        let mut turns = Turns::Closed(3);
        let taken = [0, 1, 2, 3, 4].map(|on_their_way| turns.take(7, on_their_way));
        assert_eq!(taken, [Some(7), Some(7), Some(7), None, None]);
    }
}
