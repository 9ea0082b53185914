//! What requests prove who they come from by: tokens, cookies, tickets; and the time of day that tokens count by, which
//! moves as the test's clock does.
//!
//! Does not know: what the gateway makes of them.

use std::time::{Duration, Instant, SystemTime};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use towpath::config::{Config, Secret};

use super::{Gateway, Request};

/// What [`secured`] gateways know tokens by: long enough for HS256.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The cookie that [`secured`] gateways look at.
pub const COOKIE: &str = "access";

/// How far clocks may differ for a [`secured`] gateway.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// What every request of a client brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// What stands in the query.
    pub query: Option<String>,
}

/// That configuration, where tokens signed with [`SECRET`] are good, also in [`COOKIE`].
pub fn secured(mut config: Config) -> Config {
    config.jwt.secret = Some(Secret::new(SECRET));
    config.jwt.leeway = LEEWAY;
    config.auth.cookie = Some(COOKIE.to_owned());
    config
}

/// A token with these claims.
pub fn token(claims: Value) -> String {
    signed(&claims, SECRET)
}

/// A token of that user, without an end.
pub fn token_of(name: &str) -> String {
    token(json!({ "sub": name }))
}

/// A token of that user whose `exp` is so far away. A gateway takes it for [`LEEWAY`] longer.
pub fn token_for(name: &str, time: Duration) -> String {
    token(json!({ "sub": name, "exp": (unix() + time).as_secs() }))
}

/// A token of that user that has expired.
pub fn expired(name: &str) -> String {
    token(json!({ "sub": name, "exp": 1_000_000_000 }))
}

/// A token of that user that somebody else has signed.
pub fn forged(name: &str) -> String {
    signed(&json!({ "sub": name }), "another secret of thirty-two characters")
}

/// The time of day since 1970. It goes along with the test's clock.
pub fn unix() -> Duration {
    let moved = tokio::time::Instant::now().into_std();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    now + moved.saturating_duration_since(Instant::now()) - Instant::now().saturating_duration_since(moved)
}

impl Proof {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// A token in the cookie.
    pub fn cookie(token: &str) -> Self {
        // JSESSIONID is what load balancers go by; it stands there in truth, too.
        Self::header("Cookie", &format!("JSESSIONID=dummy; {COOKIE}={token}"))
    }

    /// A token in the `Authorization` header.
    pub fn bearer(token: &str) -> Self {
        Self::header("Authorization", &format!("Bearer {token}"))
    }

    /// A token among the subprotocols of STOMP.
    pub fn subprotocol(token: &str) -> Self {
        Self::header("Sec-WebSocket-Protocol", &format!("v12.stomp, bearer.{token}"))
    }

    /// A ticket.
    pub fn ticket(text: &str) -> Self {
        Self { headers: vec![], query: Some(format!("ticket={text}")) }
    }

    /// A new ticket of that user.
    pub fn new_ticket(gateway: &Gateway, name: &str) -> Self {
        Self::ticket(&issue(gateway, name))
    }

    /// Adds it to a request.
    pub fn on(&self, request: Request) -> Request {
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.query(self.query.as_deref())
    }

    fn header(name: &str, value: &str) -> Self {
        Self { headers: vec![(name.to_owned(), value.to_owned())], query: None }
    }
}

/// A new ticket of that user, as the API gives them out.
pub fn issue(gateway: &Gateway, name: &str) -> String {
    let principal = std::sync::Arc::new(towpath::gateway::Principal::named(name));
    let now = tokio::time::Instant::now().into_std();
    let ticket = gateway.core().tickets().issue(principal, rand::random(), now).expect("there is room for a ticket");
    ticket.expose().to_owned()
}

/// A URL with that behind its query.
pub fn with_query(target: &str, query: Option<&str>) -> String {
    match query {
        None => target.to_owned(),
        Some(query) if target.contains('?') => format!("{target}&{query}"),
        Some(query) => format!("{target}?{query}"),
    }
}

fn signed(claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a key")
}
