//! Wakes senders when a message of theirs is due. The timers of an asynchronous runtime are good to a millisecond, which is more
//! than many a server takes; a thread that does nothing but sleep is good to some fifty microseconds.
//!
//! Does not know: what is sent, or whether it was.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use super::shared::Run;

/// Due times that are closer together share a wake-up.
const SHORTEST: u64 = 50;
/// How soon it is noticed that the run is over.
const LONGEST: u64 = 20_000;

/// One beat for each message of senders who take turns.
#[derive(Debug)]
pub(super) struct Metronome {
    senders: Vec<Notify>,
}

impl Metronome {
    /// Beats so many times a second from `begin` on, for the senders in turn, until nothing new is to be sent, or nobody listens.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub(super) fn start(run: &Arc<Run>, rate: f64, senders: usize, begin: u64) -> io::Result<Arc<Self>> {
        let metronome = Arc::new(Self { senders: (0..senders).map(|_| Notify::new()).collect() });
        let (listened, run) = (Arc::downgrade(&metronome), Arc::clone(run));
        let named = thread::Builder::new().name("metronome".to_owned());
        named.spawn(move || beat(&listened, &run, rate, begin))?;
        Ok(metronome)
    }

    /// Waits until a message of that sender may be due, or nothing new is to be sent. One beat is kept for who was not waiting.
    pub(super) async fn beat(&self, sender: usize) {
        match self.senders.get(sender) {
            Some(own) => own.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Wakes those who have the turns from `from` up to `to`.
    fn wake(&self, from: u64, to: u64) {
        let all = self.senders.len() as u64;
        let first = usize::try_from(from % all.max(1)).unwrap_or(0);
        let count = usize::try_from((to - from).min(all)).unwrap_or(usize::MAX);
        self.senders.iter().cycle().skip(first).take(count).for_each(Notify::notify_one);
    }
}

fn beat(listened: &Weak<Metronome>, run: &Run, rate: f64, begin: u64) {
    let mut next = 0;
    while run.sends() {
        let Some(metronome) = listened.upgrade() else { return };
        let now = run.now();
        // Turn n is due at begin + n / rate.
        let due = if now < begin { 0 } else { ((now - begin) as f64 * rate / 1e6) as u64 + 1 };
        if due > next {
            metronome.wake(next, due);
            next = due;
        }
        drop(metronome);
        let at = begin + (next as f64 * 1e6 / rate).ceil() as u64;
        thread::sleep(Duration::from_micros(at.saturating_sub(run.now()).clamp(SHORTEST, LONGEST)));
    }
    if let Some(metronome) = listened.upgrade() {
        metronome.wake(0, metronome.senders.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::shared::Phase;

    #[tokio::test]
    async fn every_sender_has_its_turn_and_the_end_wakes_all() {
        let run = Arc::new(Run::new(0, 64, &[]));
        let metronome = Metronome::start(&run, 10_000.0, 3, run.now()).unwrap();
        for sender in [0, 1, 2, 0, 2] {
            metronome.beat(sender).await;
        }
        drop(metronome);
        // Nobody has a turn within an hour, but the end comes before.
        let slow = Metronome::start(&run, 0.0001, 2, run.now() + 3_600_000_000).unwrap();
        run.enter(Phase::Drain);
        tokio::join!(slow.beat(0), slow.beat(1));
    }

    #[test]
    fn turns_wake_their_senders_and_no_others() {
        use futures_util::FutureExt as _;
        let metronome = Metronome { senders: (0..5).map(|_| Notify::new()).collect() };
        let woken = || [0, 1, 2, 3, 4].map(|sender| metronome.beat(sender).now_or_never().is_some());
        metronome.wake(8, 10);
        assert_eq!(woken(), [false, false, false, true, true]);
        metronome.wake(4, 6);
        assert_eq!(woken(), [true, false, false, false, true]);
        metronome.wake(1, 1000);
        assert_eq!(woken(), [true; 5]);
        metronome.wake(7, 7);
        assert_eq!(woken(), [false; 5]);
    }
}
