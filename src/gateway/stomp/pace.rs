//! How fast a client may send. What it publishes goes into other clients' outboxes at once, and these have limits that end
//! the session of a slow reader. A burst must not make slow readers of everybody: it is held up until they had a chance to
//! read.
//!
//! Does not know: destinations, or how a transport waits.

use std::time::{Duration, Instant};

use crate::broker::{Pressure, Reach};
use crate::metrics;
use crate::session::{Carrier, Session};

/// How long a publisher waits whose receivers have more than half a full outbox. Time for each of them to take all of it
/// at once; a stuck receiver holds publishers up for the other half of its outbox and is then closed.
const READERS: Duration = Duration::from_millis(2);

/// The part of the receivers that must be that far behind: one slow reader among many slows nobody.
const PART: usize = 4;

/// How long a publisher waits after each message while all live messages together come near `high_water`.
const FULL: Duration = Duration::from_millis(10);

/// Deliveries after which others come to run, whatever their outboxes hold: what waits between two turns is bounded by
/// it, and not by how much a client can send at once.
const TURN: usize = 16 * 1024;

/// How long a client that was sent more history than an outbox holds is given to read it before its next frame counts. Many
/// ask for several histories in one go; over a polling transport one poll must come round before there is room for the next.
const REPLAY: Duration = Duration::from_secs(1);

/// The pace of one client.
#[derive(Default)]
pub(super) struct Pace {
    /// Deliveries made in this turn.
    deliveries: usize,
    pause: Option<Pause>,
    /// Until then the client is to read the history that it asked for.
    replay: Option<Instant>,
}

struct Pause {
    length: Duration,
    until: Instant,
}

impl Pace {
    /// A message was published.
    pub fn published(&mut self, reach: Reach, pressure: Pressure, now: Instant) {
        self.deliveries += reach.receivers;
        let length = if pressure == Pressure::High {
            metrics::publisher_paused("high-water");
            FULL
        } else if reach.pressed > 0 && reach.pressed * PART >= reach.receivers {
            metrics::publisher_paused("slow-readers");
            READERS
        } else if self.deliveries >= TURN {
            Duration::ZERO
        } else {
            return;
        };
        self.hold_up(length, now);
    }

    /// The client was answered, and now has more than half a full outbox of its own: it asks faster than it reads. A
    /// socket's task writes in between; the requests of other transports need a moment.
    pub fn answered(&mut self, carrier: Carrier, now: Instant) {
        let length = if carrier == Carrier::Http { READERS } else { Duration::ZERO };
        self.hold_up(length, now);
    }

    /// Of several reasons to pause the longest counts.
    fn hold_up(&mut self, length: Duration, now: Instant) {
        if self.pause.as_ref().is_none_or(|pause| pause.length < length) {
            self.pause = Some(Pause { length, until: now + length });
        }
    }

    /// The client was sent so much history that its outbox is full.
    pub fn replayed(&mut self, carrier: Carrier, now: Instant) {
        self.answered(carrier, now);
        self.replay = Some(now + REPLAY);
    }

    /// Whether nothing more is to be read in this turn.
    pub fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Begins a new turn if there is no pause or its time has come.
    pub fn begin(&mut self, session: &Session, now: Instant) -> bool {
        if self.pause.as_ref().is_some_and(|pause| now < pause.until) {
            return false;
        }
        if self.replay.is_some_and(|until| now < until) && !session.has_room() {
            self.pause = Some(Pause { length: READERS, until: now + READERS });
            return false;
        }
        *self = Self::default();
        true
    }

    /// How long the transport should wait.
    pub fn pause(&self) -> Option<Duration> {
        self.pause.as_ref().map(|pause| pause.length)
    }

    /// When the pause is over.
    pub fn until(&self) -> Option<Instant> {
        self.pause.as_ref().map(|pause| pause.until)
    }
}
