//! `[application]`, `[[app]]` and `[webhook]`: which destinations an application answers for, who answers where it is another
//! program, and what a call to it may cost.
//!
//! Does not know: how a call is made, or TOML.

use std::time::Duration;

use super::secret::Secret;
use super::settings::Setting;
use super::units::{KIB, MIB};

/// Destinations that go to the application and not to the broker, and how its answers and errors travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// How the destinations of the application begin. Default `/app`: what Spring's documents use. Each is one or more whole
    /// segments; `/app` takes `/app/hello` and not `/apple`.
    pub prefixes: Vec<String>,
    /// Where the sender learns that a handler failed. Default [`Errors::Message`]: one message that cannot be handled should not
    /// cost a client its session.
    pub errors: Errors,
    /// How long a handler of the library API may take. Default 10 s: the sender's next frames wait meanwhile, and clients expect
    /// a heart-beat to be answered about that often.
    pub timeout: Duration,
    /// Calls of handlers and backends under way at once. Default 1000: each holds one message, and a session has one at a time.
    pub max_calls: usize,
}

/// How a sender learns that its message could not be handled, or its subscription is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Errors {
    /// A MESSAGE on the sender's own `/user/queue/errors`; an ERROR if it has no subscription there.
    #[default]
    Message,
    /// An ERROR, which ends the session (STOMP 1.2, ERROR).
    Error,
}

/// One `[[app]]`: a backend that answers for some destinations over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    /// The destinations, below one of `prefixes`; `{name}` stands for one word and gives it that name.
    pub destination: String,
    /// Where their messages are POSTed; `{name}` is replaced by that word.
    pub url: String,
}

/// What calls of backends over HTTP have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The key of the signature (HMAC-SHA256) by which backends know that a request is the gateway's. Default none: then they
    /// must not be reachable by anybody else.
    pub secret: Option<Secret>,
    /// Asked about every CONNECT after its credentials were found good; may refuse. Default none.
    pub connect: Option<String>,
    /// Asked about every SUBSCRIBE that the rules allow; may refuse. Default none.
    pub subscribe: Option<String>,
    /// From the beginning of a call to the end of its answer, retries and the wait for a place included. Default 5 s: the sender
    /// waits for it.
    pub timeout: Duration,
    /// Requests under way at once. Default 64: a burst of clients must not become a burst of connections to a small backend.
    pub max_requests: usize,
    /// Calls that may wait for one of these places. Default 1000; more are refused at once.
    pub max_waiting: usize,
    /// How often a call is tried again that the backend surely has not seen, or has put off itself (503 with `Retry-After`). Default 2.
    pub retries: u32,
    /// Largest answer. Default 1 MiB, as the largest body of a frame.
    pub max_response: usize,
    /// Largest context (destination, principal and headers) that is sent with a message. Default 8 KiB: most servers take no
    /// longer header.
    pub max_context: usize,
}

impl Default for Application {
    fn default() -> Self {
        Self {
            prefixes: vec!["/app".to_owned()],
            errors: Errors::Message,
            timeout: Duration::from_secs(10),
            max_calls: 1000,
        }
    }
}

impl Application {
    /// Whether a destination is the application's.
    pub fn owns(&self, destination: &str) -> bool {
        self.prefixes.iter().any(|prefix| {
            destination.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::texts("prefixes", &mut self.prefixes, "/app"),
            Setting::choice("errors", &mut self.errors, &Errors::ALL, Errors::name),
            Setting::duration("timeout", &mut self.timeout),
            Setting::count("max_calls", &mut self.max_calls),
        ]
    }
}

impl Errors {
    /// Every value, in the order in which documents list them.
    pub const ALL: [Errors; 2] = [Errors::Message, Errors::Error];

    /// The name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Errors::Message => "message",
            Errors::Error => "error",
        }
    }
}

impl App {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![Setting::text("destination", &mut self.destination), Setting::text("url", &mut self.url)]
    }
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            secret: None,
            connect: None,
            subscribe: None,
            timeout: Duration::from_secs(5),
            max_requests: 64,
            max_waiting: 1000,
            retries: 2,
            max_response: MIB,
            max_context: 8 * KIB,
        }
    }
}

impl Webhook {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::secret("secret", &mut self.secret),
            Setting::optional_text("connect", &mut self.connect),
            Setting::optional_text("subscribe", &mut self.subscribe),
            Setting::duration("timeout", &mut self.timeout),
            Setting::count("max_requests", &mut self.max_requests),
            Setting::count("max_waiting", &mut self.max_waiting),
            Setting::small_count("retries", &mut self.retries, 0..=10),
            Setting::size("max_response", &mut self.max_response),
            Setting::size("max_context", &mut self.max_context),
        ]
    }
}
