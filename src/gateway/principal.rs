//! Who a session speaks for: a name, claims that somebody vouches for, and for how long. Everything that asks "who is this"
//! asks here.
//!
//! Does not know: how a name is proved. Where nothing is configured to prove it by, it is what the client says.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};

use super::bridge::Handshake;

/// How the names of sessions begin.
const SESSION: &str = "session-";

/// The user behind a session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Principal {
    name: Option<Box<str>>,
    claims: Map<String, Value>,
    expires: Option<Instant>,
}

impl Principal {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// The user of that name. An empty one names nobody.
    pub fn named(name: &str) -> Self {
        Self { name: Some(name).filter(|name| !name.is_empty()).map(Box::from), ..Self::default() }
    }

    /// The user whom the `login` header of CONNECT names. An empty one names nobody.
    pub fn of_login(login: Option<&str>) -> Self {
        Self::named(login.unwrap_or_default())
    }

    /// The same user, of whom this is known besides: what a token says, or `roles`.
    #[must_use]
    pub fn with_claims(mut self, claims: Map<String, Value>) -> Self {
        self.claims = claims;
        self
    }

    /// The same user, whose proof is good until then.
    #[must_use]
    pub fn until(mut self, expires: Option<Instant>) -> Self {
        self.expires = expires;
        self
    }

    /// The name of a session whose user has none. [`is_session`](Self::is_session) tells it from every login.
    pub fn session_name(random: u64) -> String {
        format!("{SESSION}{random:016x}")
    }

    /// Whether a login has the form of a session's name. It must not be let in: what is sent to that session would come to
    /// it.
    pub fn is_session(login: &str) -> bool {
        let digits = login.strip_prefix(SESSION).unwrap_or_default();
        digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// The user's name, as others address it in `/user/NAME/...`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What is known of the user under that name.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// Everything that is known of the user. Never a credential.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// When the proof of all this expires.
    pub fn expires(&self) -> Option<Instant> {
        self.expires
    }
}

/// Who an HTTP request comes from, as far as its own headers and URL prove it; the requests of one session must all prove the
/// same. A CONNECT may prove more.
#[derive(Clone, Default)]
pub struct Visitor {
    /// Whom a cookie, a ticket, a subprotocol or an `Authorization` header proves. None if there was no such thing; one that
    /// is wrong never gets here.
    pub principal: Option<Arc<Principal>>,
    /// The ticket that proved it. The first session whose client speaks keeps it.
    pub ticket: Option<Ticket>,
    /// What of the request's headers a bridge passes on, by the endpoint's `bridge_headers`.
    pub headers: Vec<(String, String)>,
    /// The websocket subprotocols that the client offers, credentials left out, for a bridge.
    pub subprotocols: Vec<String>,
    /// Where the request waits for what the server behind a bridge answers, if it is answered itself only then.
    pub handshake: Option<Arc<Handshake>>,
}

/// What stands in a URL's query as a proof that is good once.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ticket(Box<str>);

impl Ticket {
    /// A ticket of that text, which nobody has checked yet.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for the URL.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket")
    }
}

/// Without the headers, which may be credentials.
impl std::fmt::Debug for Visitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visitor").field("principal", &self.principal).finish_non_exhaustive()
    }
}

impl Visitor {
    /// Whoever it is, or nobody.
    pub fn or_nobody(visitor: Option<&Self>) -> &Self {
        static NOBODY: Visitor =
            Visitor { principal: None, ticket: None, headers: Vec::new(), subprotocols: Vec::new(), handshake: None };
        visitor.unwrap_or(&NOBODY)
    }

    /// The name that a session remembers of the request that opened it.
    pub fn name(&self) -> Option<&str> {
        self.principal.as_ref()?.name()
    }
}
