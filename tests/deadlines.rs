//! The clockwork of all time-outs: deadlines fire up to one tick late and never early, whatever their order and distance,
//! and cost nothing once their session is gone.

mod bed;

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bed::{Mute, TICK, Wakes, millis, seconds};
use proptest::prelude::*;
use towpath::config;
use towpath::session::{Carrier, Deadlines, Session};

struct Clock {
    deadlines: Arc<Deadlines>,
    start: Instant,
}

impl Clock {
    fn new() -> Self {
        let start = Instant::now();
        Self { deadlines: Arc::new(Deadlines::new(start)), start }
    }

    fn session(&self) -> Arc<Session> {
        let settings = Arc::new(config::Session::default());
        Session::new(
            Default::default(),
            Carrier::Http,
            settings,
            Arc::clone(&self.deadlines),
            Box::new(Mute),
            self.start,
        )
    }

    fn armed(&self, at: Duration) -> Arc<Session> {
        let session = self.session();
        self.deadlines.arm(&session, self.start + at);
        session
    }

    fn next(&self) -> Option<Duration> {
        self.next_for(Waker::noop())
    }

    fn next_for(&self, waker: &Waker) -> Option<Duration> {
        let next = self.deadlines.poll_timeout(&mut Context::from_waker(waker));
        next.map(|at| at.saturating_duration_since(self.start))
    }

    fn expired(&self, at: Duration) -> Vec<u64> {
        let mut serials: Vec<_> =
            self.deadlines.expired(self.start + at).iter().map(|session| session.serial()).collect();
        serials.sort_unstable();
        serials
    }
}

#[test]
fn an_empty_clockwork_waits_for_nothing() {
    let clock = Clock::new();
    assert_eq!(clock.next(), None);
    assert!(clock.expired(seconds(100)).is_empty());
    assert!(clock.deadlines.is_empty());
}

#[test]
fn a_deadline_fires_once_and_not_early() {
    let clock = Clock::new();
    let session = clock.armed(millis(990));
    let next = clock.next().unwrap();
    assert!((millis(990)..=millis(990) + TICK).contains(&next), "{next:?}");
    assert!(clock.expired(millis(989)).is_empty());
    assert_eq!(clock.expired(next), [session.serial()]);
    assert!(clock.expired(seconds(100)).is_empty());
    assert_eq!(clock.next(), None);
}

#[test]
fn an_earlier_deadline_takes_the_place_of_a_later_one() {
    let clock = Clock::new();
    let session = clock.armed(seconds(10));
    clock.deadlines.arm(&session, clock.start + seconds(2));
    assert_eq!(clock.deadlines.len(), 1);
    assert_eq!(clock.expired(seconds(2) + TICK), [session.serial()]);
    assert!(clock.deadlines.is_empty());
}

#[test]
fn a_later_deadline_leaves_the_earlier_one_to_fire() {
    let clock = Clock::new();
    let session = clock.armed(seconds(2));
    clock.deadlines.arm(&session, clock.start + seconds(10));
    assert_eq!(clock.deadlines.len(), 1);
    assert_eq!(clock.expired(seconds(2) + TICK), [session.serial()]);
}

#[test]
fn what_is_armed_now_fires_at_the_next_look() {
    let clock = Clock::new();
    clock.expired(seconds(30));
    let session = clock.session();
    clock.deadlines.arm_now(&session);
    let next = clock.next().unwrap();
    assert!(next <= seconds(30) + TICK, "{next:?}");
    assert_eq!(clock.expired(next), [session.serial()]);
}

#[test]
fn a_deadline_in_the_past_fires_at_the_next_look() {
    let clock = Clock::new();
    clock.expired(seconds(30));
    let session = clock.armed(seconds(1));
    assert_eq!(clock.expired(clock.next().unwrap()), [session.serial()]);
}

/// The wheel spans 41 s; a deadline further away is looked at on the way.
#[test]
fn a_deadline_beyond_the_wheel_is_looked_at_earlier_and_not_later() {
    let clock = Clock::new();
    let session = clock.armed(seconds(300));
    let mut looks = 0;
    loop {
        let next = clock.next().unwrap();
        assert_eq!(clock.expired(next), [session.serial()]);
        if next >= seconds(300) {
            assert!(next <= seconds(300) + TICK, "{next:?}");
            break;
        }
        looks += 1;
        clock.deadlines.arm(&session, clock.start + seconds(300));
    }
    assert!(looks < 20, "{looks}");
}

#[test]
fn after_a_long_pause_everything_due_fires_once() {
    let clock = Clock::new();
    let sessions: Vec<_> = (0..100).map(|number| clock.armed(millis(100 * number))).collect();
    let mut serials: Vec<_> = sessions.iter().map(|session| session.serial()).collect();
    serials.sort_unstable();
    assert_eq!(clock.expired(seconds(3600)), serials);
    assert!(clock.deadlines.is_empty());
}

#[test]
fn the_clockwork_runs_for_decades() {
    let clock = Clock::new();
    let years = seconds(20 * 366 * 24 * 3600);
    clock.expired(years);
    let session = clock.armed(years + seconds(5));
    let next = clock.next().unwrap();
    assert!((years + seconds(5)..=years + seconds(5) + TICK).contains(&next), "{next:?}");
    assert!(clock.expired(years + seconds(4)).is_empty());
    assert_eq!(clock.expired(next), [session.serial()]);
}

#[test]
fn the_driver_is_woken_for_an_earlier_deadline_and_only_for_that() {
    let clock = Clock::new();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert_eq!(clock.next_for(&waker), None);
    let _first = clock.armed(seconds(10));
    assert_eq!(wakes.take(), 1, "there was nothing to wait for before");
    clock.next_for(&waker);
    let _later = clock.armed(seconds(20));
    assert_eq!(wakes.take(), 0);
    let _earlier = clock.armed(seconds(5));
    assert_eq!(wakes.take(), 1);
    clock.next_for(&waker);
    clock.deadlines.arm_now(&clock.armed(seconds(30)));
    assert_eq!(wakes.take(), 1);
}

#[test]
fn a_dropped_session_leaves_the_clockwork() {
    let clock = Clock::new();
    let sessions: Vec<_> = (0..10_000).map(|number| clock.armed(millis(number))).collect();
    assert_eq!(clock.deadlines.len(), sessions.len());
    drop(sessions);
    assert!(clock.deadlines.is_empty());
    assert_eq!(clock.next(), None);
}

#[test]
fn the_clockwork_does_not_keep_a_session_alive() {
    let clock = Clock::new();
    let session = Arc::downgrade(&clock.armed(seconds(10)));
    assert!(session.upgrade().is_none());
}

proptest! {
    /// Against the obvious model: a session fires at the first look at or after its earliest deadline, never before it, and
    /// the driver is told to look within one tick of it.
    #[test]
    fn deadlines_fire_in_time(
        arms in proptest::collection::vec((0usize..8, 0u64..200_000), 1..60),
        pauses in proptest::collection::vec(0u64..30_000, 60),
    ) {
        let clock = Clock::new();
        let sessions: Vec<_> = (0..8).map(|_| clock.session()).collect();
        let mut due: Vec<Option<Duration>> = vec![None; sessions.len()];
        let mut now = Duration::ZERO;
        for ((who, after), pause) in arms.into_iter().zip(pauses) {
            let at = now + millis(after);
            clock.deadlines.arm(&sessions[who], clock.start + at);
            due[who] = Some(due[who].map_or(at, |earlier| earlier.min(at)));
            let end = now + millis(pause);
            while let Some(next) = clock.next().filter(|next| *next <= end) {
                prop_assert!(next >= now);
                now = next;
                for serial in clock.expired(now) {
                    let who = sessions.iter().position(|session| session.serial() == serial).unwrap();
                    match due[who] {
                        // Beyond the wheel's span: looked at on the way, and armed again as a session does it.
                        Some(at) if at > now => clock.deadlines.arm(&sessions[who], clock.start + at),
                        Some(_) => due[who] = None,
                        None => prop_assert!(false, "fired without a deadline"),
                    }
                }
                for at in due.iter().flatten() {
                    prop_assert!(*at + TICK > now, "{at:?} has not fired at {now:?}");
                }
            }
            now = end;
        }
        prop_assert_eq!(clock.deadlines.len(), due.iter().flatten().count());
    }
}
