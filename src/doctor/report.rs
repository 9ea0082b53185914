//! What was seen, transport by transport, and what is wrong with it.
//!
//! Does not know: how it was seen, and how it is shown.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::catalogue::{Problem, Severity};
use crate::wire::Spent;

/// The transports that are looked at, in the order in which sockjs-client tries them in browsers of today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// SockJS over a websocket.
    WebSocket,
    /// `xhr_streaming`, with `xhr_send`.
    XhrStreaming,
    /// `eventsource`, with `xhr_send`.
    EventSource,
    /// `xhr`, with `xhr_send`.
    XhrPolling,
}

/// A problem that was found here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub problem: &'static Problem,
    /// What was seen.
    pub seen: Vec<String>,
    /// The transports that do not work because of it.
    pub breaks: Vec<Transport>,
    /// The transports that work, but worse.
    pub hampers: Vec<Transport>,
    /// The time to put into the mends for `{beat}`, if there is one.
    pub beat: Option<Duration>,
}

/// What became of one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub transport: Transport,
    /// Whether it works.
    pub state: State,
    /// Why, in a few words.
    pub why: String,
}

/// Whether a transport works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does.
    Works,
    /// It does, but.
    But,
    /// It does not.
    Fails,
    /// The server does not have it.
    NotOffered,
    /// It was not looked at.
    Unknown,
}

/// Something that was seen and is no problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The step that saw it.
    pub step: &'static str,
    /// What.
    pub text: String,
}

/// What a sockjs-client ends up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The transport, if there is one that opens in time.
    pub transport: Option<Transport>,
    /// Why that one.
    pub why: String,
}

/// Everything about one run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The URL that was looked at.
    pub target: String,
    /// Its path.
    pub path: String,
    /// Its host.
    pub host: String,
    /// The origin that requests had.
    pub origin: String,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What it cost the server.
    pub spent: Spent,
    /// What was seen, in the order in which it was.
    pub facts: Vec<Fact>,
    /// One for each transport.
    pub verdicts: Vec<Verdict>,
    /// What a sockjs-client does.
    pub choice: Choice,
    /// What is wrong, errors first.
    pub findings: Vec<Finding>,
}

impl Transport {
    /// All of them, in the order in which sockjs-client tries them.
    pub const ALL: [Self; 4] = [Self::WebSocket, Self::XhrStreaming, Self::EventSource, Self::XhrPolling];
    /// Those that need more than one request for a session.
    pub const HTTP: [Self; 3] = [Self::XhrStreaming, Self::EventSource, Self::XhrPolling];

    /// The name that sockjs-client has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::XhrStreaming => "xhr-streaming",
            Self::EventSource => "eventsource",
            Self::XhrPolling => "xhr-polling",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Finding {
    /// A problem, with what was seen of it.
    pub(super) fn new(problem: &'static Problem, seen: impl Into<String>) -> Self {
        Self { problem, seen: vec![seen.into()], breaks: Vec::new(), hampers: Vec::new(), beat: None }
    }

    /// The transports that do not work because of it.
    pub(super) fn breaking(mut self, transports: &[Transport]) -> Self {
        self.breaks.extend_from_slice(transports);
        self
    }

    /// The transports that work worse because of it.
    pub(super) fn hampering(mut self, transports: &[Transport]) -> Self {
        self.hampers.extend_from_slice(transports);
        self
    }

    /// What mends it: places and lines, with what was looked at and found put in.
    pub fn mends(&self, report: &Report) -> Vec<(&'static str, String)> {
        let beat = humantime::format_duration(self.beat.unwrap_or(Duration::from_secs(10))).to_string();
        // What stands before the session in a path: the empty text before the first slash, the prefix, the server.
        let field = report.path.matches('/').count() + 3;
        let filled = |lines: &str| {
            lines
                .replace("{path}", &report.path)
                .replace("{host}", &report.host)
                .replace("{origin}", &report.origin)
                .replace("{beat}", &beat)
                .replace("{field}", &field.to_string())
        };
        self.problem.mends.iter().map(|mend| (mend.place, filled(mend.lines))).collect()
    }
}

impl State {
    /// `works`, `works, but`, `fails`, `not offered` or `not looked at`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::But => "works, but",
            Self::Fails => "fails",
            Self::NotOffered => "not offered",
            Self::Unknown => "not looked at",
        }
    }
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many findings are that bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.problem.severity == severity).count()
    }
}
