//! How a client connects, what it wishes, and when it tries again.
//!
//! Does not know: what is below STOMP; that has options of its own.

use std::fmt;
use std::time::Duration;

use super::super::Options as LinkOptions;
use crate::stomp::{Limits, Version};

/// How a client connects. Made by `Options { .., ..Options::default() }`.
#[derive(Clone)]
pub struct Options {
    /// What is below. Default: that of [`LinkOptions`].
    pub link: LinkOptions,
    /// The `login` header. Default: none.
    pub login: Option<String>,
    /// The `passcode` header. Default: none.
    pub passcode: Option<String>,
    /// The `host` header, which names a virtual host. Default: the host of the URL.
    pub host: Option<String>,
    /// More headers of CONNECT. Default: none.
    pub headers: Vec<(String, String)>,
    /// The versions that are offered. Default: all.
    pub versions: Vec<Version>,
    /// The interval in which this side can beat, and the one in which it wants to hear; zero for not at all. What happens is for both
    /// sides together to say. Default: 10 s each.
    pub heart_beat: (Duration, Duration),
    /// How long CONNECT may stay unanswered. Opening what is below has time-outs of its own. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a receipt may take once its frame is sent. Default: 30 s.
    pub receipt_timeout: Duration,
    /// When to connect again after a loss; `None` for never. Default: that of [`Reconnect`].
    pub reconnect: Option<Reconnect>,
    /// Bytes that may be in flight: handed over and not yet written, or, where a receipt is asked for, not yet confirmed. Beyond that
    /// sending waits. A larger message is sent when nothing else is in flight. Default: 1 MiB.
    pub max_in_flight: usize,
    /// Messages that wait in a subscription before the connection is read no further, where the subscription says nothing else.
    /// Default: 128.
    pub queue: usize,
    /// What a frame of the server may cost. Default: that of [`Limits`].
    pub limits: Limits,
}

/// When to connect again. Pauses double from the first to the longest, and each is shortened by chance, so that the clients of a
/// server that went down do not come back all at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reconnect {
    /// The pause before the first attempt. Default: 500 ms.
    pub first: Duration,
    /// No pause is longer. A connection that lasted for this long counts as good: the next loss begins with the first pause again.
    /// Default: 30 s.
    pub longest: Duration,
    /// Up to which part of it a pause is shortened by chance, from 0 to 1. Default: 0.5.
    pub jitter: f64,
    /// Attempts in a row that may fail before the client ends; `None` for any number. Default: none.
    pub attempts: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            link: LinkOptions::default(),
            login: None,
            passcode: None,
            host: None,
            headers: Vec::new(),
            versions: vec![Version::V1_2, Version::V1_1, Version::V1_0],
            heart_beat: (Duration::from_secs(10), Duration::from_secs(10)),
            connect_timeout: Duration::from_secs(10),
            receipt_timeout: Duration::from_secs(30),
            reconnect: Some(Reconnect::default()),
            max_in_flight: 1 << 20,
            queue: 128,
            limits: Limits::default(),
        }
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(30), jitter: 0.5, attempts: None }
    }
}

impl Reconnect {
    /// The pause before an attempt, counted from 0, where chance says so much: from 0 to 1.
    pub(super) fn pause(&self, attempt: u32, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(attempt)).min(self.longest);
        doubled.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0))
    }

    /// Whether so many attempts in a row were too many.
    pub(super) fn is_over(&self, attempts: u32) -> bool {
        self.attempts.is_some_and(|most| attempts >= most)
    }
}

impl fmt::Debug for Options {
    /// Shows no credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Options")
            .field("link", &self.link)
            .field("login", &self.login.as_ref().map(|_| "***"))
            .field("passcode", &self.passcode.as_ref().map(|_| "***"))
            .field("host", &self.host)
            .field("headers", &names)
            .field("versions", &self.versions)
            .field("heart_beat", &self.heart_beat)
            .field("connect_timeout", &self.connect_timeout)
            .field("receipt_timeout", &self.receipt_timeout)
            .field("reconnect", &self.reconnect)
            .field("max_in_flight", &self.max_in_flight)
            .field("queue", &self.queue)
            .field("limits", &self.limits)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_chance_shortens_them() {
        let reconnect = Reconnect { attempts: Some(3), ..Reconnect::default() };
        let millis = |attempt, chance| reconnect.pause(attempt, chance).as_millis();
        assert_eq!(
            [0, 1, 2, 5, 6, 7, 1000].map(|attempt| millis(attempt, 0.0)),
            [500, 1000, 2000, 16_000, 30_000, 30_000, 30_000]
        );
        assert_eq!([0.5, 1.0, 7.0].map(|chance| millis(1, chance)), [750, 500, 500]);
        assert_eq!([2, 3].map(|attempts| reconnect.is_over(attempts)), [false, true]);
        assert!(!Reconnect::default().is_over(u32::MAX));
    }

    #[test]
    fn debug_shows_no_credential() {
        let secret = || Some("secret".to_owned());
        let headers = vec![("token".to_owned(), "secret".to_owned())];
        let shown = format!("{:?}", Options { login: secret(), passcode: secret(), headers, ..Options::default() });
        assert!(!shown.contains("secret") && shown.contains("token"), "{shown}");
    }
}
