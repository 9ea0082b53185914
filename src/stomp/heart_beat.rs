//! The heart-beat header and the intervals that follow from it (STOMP 1.2, Heart-beating).
//!
//! Does not know: when something was last heard or written; the connection watches the one, the session writes the other.

use std::fmt;
use std::time::Duration;

/// A `heart-beat` header: what its sender can do and what it wishes, in milliseconds, zero for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct HeartBeat {
    /// The interval in which its sender can write.
    pub can: u32,
    /// The interval in which its sender wants to hear.
    pub wants: u32,
}

impl HeartBeat {
    /// Reads the header value: two numbers of milliseconds, digits only, each at most `u32::MAX`. `None` if it is anything else.
    pub fn parse(value: &str) -> Option<Self> {
        let (can, wants) = value.split_once(',')?;
        Some(Self { can: number(can)?, wants: number(wants)? })
    }

    /// What the server answers a client with this header, when it would itself send every `send` and likes to hear
    /// every `receive`.
    ///
    /// The answer is the truth: its numbers are the intervals that really run, and zero where nothing does. (The
    /// protocol would let the server state its abilities and leave both sides to take the greater number; the outcome is
    /// the same, but then the header alone would not say it.)
    pub fn answer(self, send: Duration, receive: Duration) -> Self {
        Self { can: meet(millis(send), self.wants), wants: meet(millis(receive), self.can) }
    }

    /// The interval in which its sender writes, if it does.
    pub fn can_interval(self) -> Option<Duration> {
        interval(self.can)
    }

    /// The interval in which its sender hears, if it does.
    pub fn wants_interval(self) -> Option<Duration> {
        interval(self.wants)
    }
}

impl fmt::Display for HeartBeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.can, self.wants)
    }
}

/// Blanks around a number are dropped, as in `accept-version`; a sign, which `parse` would take, is not a digit.
fn number(text: &str) -> Option<u32> {
    let text = text.trim_matches([' ', '\t']);
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn meet(ours: u32, theirs: u32) -> u32 {
    if ours == 0 || theirs == 0 { 0 } else { ours.max(theirs) }
}

/// A fraction of a millisecond is rounded up, so that it does not turn into "none".
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

fn interval(millis: u32) -> Option<Duration> {
    (millis > 0).then(|| Duration::from_millis(u64::from(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_are_a_heart_beat() {
        assert_eq!(HeartBeat::parse("0,0"), Some(HeartBeat { can: 0, wants: 0 }));
        assert_eq!(HeartBeat::parse("10000, 4294967295"), Some(HeartBeat { can: 10_000, wants: u32::MAX }));
    }

    #[test]
    fn anything_else_is_not() {
        for value in ["", ",", "1", "1,", ",1", "a,b", "-1,-1", "+1,1", "1,2,3", "4294967296,0", "1.5,0", "1 0,0"] {
            assert_eq!(HeartBeat::parse(value), None, "{value}");
        }
    }

    #[test]
    fn the_answer_states_what_runs() {
        let client = HeartBeat { can: 500, wants: 20_000 };
        let answer = client.answer(Duration::from_secs(10), Duration::from_secs(1));
        assert_eq!(answer.to_string(), "20000,1000");
        assert_eq!(answer.can_interval(), Some(Duration::from_secs(20)));
        assert_eq!(answer.wants_interval(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn zero_on_either_side_means_that_nothing_runs() {
        let second = Duration::from_secs(1);
        assert_eq!(HeartBeat { can: 0, wants: 0 }.answer(second, second).to_string(), "0,0");
        assert_eq!(HeartBeat { can: 5, wants: 5 }.answer(Duration::ZERO, Duration::ZERO).to_string(), "0,0");
        assert_eq!(HeartBeat { can: 5, wants: 0 }.answer(second, second).to_string(), "0,1000");
    }

    #[test]
    fn less_than_a_millisecond_is_not_none() {
        let answer = HeartBeat { can: 1, wants: 1 }.answer(Duration::from_nanos(1), Duration::ZERO);
        assert_eq!(answer.to_string(), "1,0");
    }
}
