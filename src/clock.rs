//! The time of day, for what others measure by it: signatures, the expiry of tokens. It goes along with the clock of the
//! asynchronous side, so that a test that moves that one moves this one too.
//!
//! Does not know: who asks what time it is.

use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// The time of day. Under a paused test clock it stands still, and moves as that clock is moved.
pub(crate) fn wall() -> SystemTime {
    // Read anew each time, and not counted from a beginning: the system may be set right, or sleep, while we run.
    let (virtual_now, now, wall) = (tokio::time::Instant::now().into_std(), Instant::now(), SystemTime::now());
    let moved = match virtual_now.checked_duration_since(now) {
        Some(ahead) => wall.checked_add(ahead),
        None => wall.checked_sub(now.saturating_duration_since(virtual_now)),
    };
    moved.unwrap_or(wall)
}

/// The same in seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    wall().duration_since(SystemTime::UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs)
}

/// Says whether it is time to complain again of something that may go wrong very often: once a minute.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// True once a minute.
    pub fn is_due(&self) -> bool {
        let now = tokio::time::Instant::now().into_std();
        let mut last = self.0.lock();
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= Duration::from_secs(60));
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_moves_with_the_test_clock() {
        let before = wall();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let passed = wall().duration_since(before).unwrap();
        // Two clocks are read one after the other.
        assert!(passed.abs_diff(Duration::from_secs(3600)) < Duration::from_secs(1), "{passed:?}");
    }

    #[tokio::test]
    async fn the_time_of_day_is_the_systems() {
        let apart = wall().duration_since(SystemTime::now()).unwrap_or_else(|early| early.duration());
        assert!(apart < Duration::from_secs(1), "{apart:?}");
        assert!(unix_seconds() > 1_700_000_000);
    }
}
