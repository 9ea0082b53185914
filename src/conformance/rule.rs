//! What a check demands, as data: the list and the explanations are made of it, and nothing runs for them.
//!
//! Does not know: how it is checked.

use std::fmt;

/// One demand on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What it is called, for ever: in lists, expected results and filters. Checks of the official SockJS suite have the name they
    /// have there, `Class.test_name`; ours are `group.what-is-demanded`.
    pub id: &'static str,
    /// The group that it is reported in.
    pub group: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What is demanded, in one line and without a full stop.
    pub demand: &'static str,
    /// Where it is written, such as `SockJS protocol, XhrPolling.test_transport` or `STOMP 1.2, SEND`.
    pub source: &'static str,
    /// Why it matters, in a few sentences: what breaks where it is not kept, and for whom.
    pub why: &'static str,
    /// Whether it takes so long, seconds or more, that it runs only when it is asked for.
    pub slow: bool,
}

/// How much a rule matters. Later ones matter less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Real clients break, or lose messages, where it is not kept, or the protocol says MUST.
    Must,
    /// Some clients or networks suffer, or the protocol says SHOULD.
    Should,
    /// A quality that good servers have.
    May,
}

impl Level {
    /// All levels, the weightiest first.
    pub const ALL: [Self; 3] = [Self::Must, Self::Should, Self::May];

    /// `must`, `should` or `may`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::May => "may",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
