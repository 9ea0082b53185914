//! Who somebody is: by a ticket, a token, a password, or the word of a backend. Two are asked about: an HTTP request
//! ([`Authenticator::identify`]), and a CONNECT ([`Authenticator::connect`]).
//!
//! Whoever is refused learns that and nothing else, one wording for all causes. The cause goes to the log, where it helps only
//! who runs the gateway; no credential does.
//!
//! Does not know: what somebody may do, sessions, or how refusals are told on the wire.

mod jwks;
mod jwt;
mod proof;
mod users;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use serde_json::{Map, Value};

use crate::clock::Seldom;
use crate::config::{Config, ConfigError, Place, Problem};
use crate::connection::now;
use crate::gateway::{Credentials, Principal, Ticket, Tickets, Visitor};
use jwt::Tokens;
use proof::Proof;
use users::Users;
pub use users::{HashError, hash_password};

/// Longest name of a user in bytes. It is part of destinations, and written in logs.
const MAX_NAME: usize = 256;

/// Knows all proofs that a configuration accepts.
pub struct Authenticator {
    users: Users,
    tokens: Option<Tokens>,
    voucher: Option<Arc<dyn Voucher>>,
    tickets: Arc<Tickets>,
    cookie: Option<String>,
    anonymous: bool,
    nobody: Arc<Principal>,
    /// When it was logged last that the voucher failed, which may happen at every CONNECT.
    voucher_failed: Seldom,
}

/// Somebody is not who they say, or did not say. There is nothing more to tell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not authenticated")]
pub struct Refused;

/// A backend that knows logins and passcodes (`auth.webhook`).
pub trait Voucher: Send + Sync {
    /// Asks it. `None` if it knows them not, or not together; an error, in words for the log, if it does not say.
    fn ask<'a>(&'a self, login: Option<&'a str>, passcode: &'a str) -> Vouching<'a>;
}

/// What comes of asking a [`Voucher`].
pub type Vouching<'a> = Pin<Box<dyn Future<Output = Result<Option<Vouched>, String>> + Send + 'a>>;

/// Whom a [`Voucher`] knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vouched {
    /// The user's name, which may be another than the login.
    pub user: String,
    /// What is known of the user besides.
    pub claims: Map<String, Value>,
    /// How long this is so. None: as long as the session lasts.
    pub expires_in: Option<Duration>,
}

/// Why somebody is refused, for the log: never a credential, or part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cause(&'static str);

impl Authenticator {
    /// What `config` accepts. `tickets` are those of the gateway; `voucher` stands for `auth.webhook`. To be called inside of
    /// the runtime, whose clock it reads.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] for hashes that are none, names that nobody may have, and a file of keys that has none.
    pub fn new(config: &Config, tickets: Arc<Tickets>, voucher: Option<Arc<dyn Voucher>>) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let users = Users::new(&config.users, &config.auth, &mut problems);
        let tokens = match Tokens::new(&config.jwt, config.webhook.timeout) {
            Err(ConfigError::Invalid(more)) => {
                problems.extend(more);
                None
            }
            tokens => tokens?,
        };
        if !problems.is_empty() {
            return Err(ConfigError::Invalid(problems));
        }
        Ok(Self {
            users,
            tokens,
            voucher,
            tickets,
            cookie: config.auth.cookie.clone(),
            anonymous: config.auth.anonymous,
            nobody: Arc::new(Principal::anonymous()),
            voucher_failed: Seldom::default(),
        })
    }

    /// Whether there is anything to prove a name by at CONNECT. If not, [`connect`](Self::connect) refuses all credentials.
    pub fn is_configured(&self) -> bool {
        !self.users.is_empty() || self.tokens.is_some() || self.voucher.is_some()
    }

    /// Whether we know the password of that user ourselves.
    pub(crate) fn knows(&self, login: &str) -> bool {
        self.users.has(login)
    }

    /// Whether those may come in who prove nothing.
    pub fn admits_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Whether a request brings any proof. One that does not comes from nobody in particular.
    pub fn is_shown(&self, headers: &HeaderMap, query: Option<&str>) -> bool {
        self.proof(headers, query, false).is_some()
    }

    /// Who an HTTP request comes from. It may bring several proofs; the first counts, in this order: the ticket in its query,
    /// the `Authorization` header, for a `websocket` handshake the subprotocols, the cookie. Without any it comes from nobody
    /// in particular.
    ///
    /// # Errors
    ///
    /// [`Refused`] if that proof is not good. So it is with an expired cookie where anybody may come in: a session that
    /// silently is nobody's where its page expects a user is the worse surprise, and an attacker could leave the cookie out.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        websocket: bool,
    ) -> Result<Visitor, Refused> {
        let mut visitor = Visitor::default();
        if websocket {
            visitor.subprotocols = proof::subprotocols(headers, self.tokens.is_some());
        }
        match self.proof(headers, query, websocket) {
            None => {}
            Some(Proof::Ticket(text)) => {
                let ticket = Ticket::new(text);
                let principal = self.tickets.look(&ticket, now());
                visitor.principal = Some(principal.ok_or(Cause("there is no such ticket")).map_err(refuse)?);
                visitor.ticket = Some(ticket);
            }
            Some(Proof::Token(text)) => {
                visitor.principal = Some(Arc::new(self.by_token(text, None).await.map_err(refuse)?));
            }
            Some(Proof::Garbage) => return Err(refuse(Cause("the token is malformed"))),
        }
        Ok(visitor)
    }

    /// Who is behind a CONNECT, or a refresh. `visitor` is whom the request proved that opened the session: whatever is proved
    /// besides must be the same user.
    ///
    /// Without credentials it is the visitor or, if they may come in, nobody. A login alone proves nothing and must name the
    /// visitor.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub async fn connect(
        &self,
        credentials: &Credentials,
        visitor: Option<&Arc<Principal>>,
    ) -> Result<Arc<Principal>, Refused> {
        self.admit(credentials, visitor.filter(|visitor| visitor.name().is_some())).await.map_err(refuse)
    }

    async fn admit(
        &self,
        credentials: &Credentials,
        visitor: Option<&Arc<Principal>>,
    ) -> Result<Arc<Principal>, Cause> {
        let login = said(&credentials.login);
        let proved = match (said(&credentials.token), said(&credentials.passcode)) {
            (Some(token), _) => Arc::new(self.by_token(token, login).await?),
            (None, Some(passcode)) => self.by_passcode(login, passcode).await?,
            (None, None) => return self.unproved(login, visitor),
        };
        if visitor.is_some_and(|visitor| visitor.name() != proved.name()) {
            return Err(Cause("the request was from another user"));
        }
        Ok(proved)
    }

    fn unproved(&self, login: Option<&str>, visitor: Option<&Arc<Principal>>) -> Result<Arc<Principal>, Cause> {
        match (visitor, login) {
            (Some(visitor), login) if login.is_none() || login == visitor.name() => {
                if visitor.expires().is_some_and(|expires| expires <= now()) {
                    return Err(Cause("what the request proved has expired"));
                }
                Ok(Arc::clone(visitor))
            }
            (None, None) if self.anonymous => Ok(Arc::clone(&self.nobody)),
            (_, Some(_)) => Err(Cause("a login without a passcode")),
            (_, None) => Err(Cause("no credentials")),
        }
    }

    async fn by_token(&self, token: &str, login: Option<&str>) -> Result<Principal, Cause> {
        let tokens = self.tokens.as_ref().ok_or(Cause("there are no keys to check a token with"))?;
        let principal = tokens.check(token).await?;
        match login {
            Some(login) if principal.name() != Some(login) => Err(Cause("the token is another user's than the login")),
            _ => Ok(principal),
        }
    }

    /// A user whom we know ourselves is nobody else's affair: a wrong password is not tried elsewhere.
    async fn by_passcode(&self, login: Option<&str>, passcode: &str) -> Result<Arc<Principal>, Cause> {
        if let Some(login) = login.filter(|login| self.users.has(login)) {
            return self.users.check(login, passcode).await;
        }
        let mut refused = None;
        if self.tokens.is_some() && Tokens::looks_like_one(passcode) {
            match self.by_token(passcode, login).await {
                Ok(principal) => return Ok(Arc::new(principal)),
                Err(cause) => refused = Some(cause),
            }
        }
        match (&self.voucher, refused) {
            (Some(voucher), _) => self.vouched(&**voucher, login, passcode).await,
            (None, Some(cause)) => Err(cause),
            // In vain, and only so that it takes as long as it does for a user whom we know.
            (None, None) => self.users.check(login.unwrap_or_default(), passcode).await,
        }
    }

    async fn vouched(
        &self,
        voucher: &dyn Voucher,
        login: Option<&str>,
        passcode: &str,
    ) -> Result<Arc<Principal>, Cause> {
        let vouched = match voucher.ask(login, passcode).await {
            Ok(Some(vouched)) => vouched,
            Ok(None) => return Err(Cause("the backend refuses")),
            Err(fault) => {
                if self.voucher_failed.is_due() {
                    tracing::warn!("the backend of auth.webhook did not say who somebody is: {fault}");
                }
                return Err(Cause("the backend failed"));
            }
        };
        check_name(&vouched.user).map_err(|_| Cause("the backend's user has a name that nobody may have"))?;
        let expires = vouched.expires_in.and_then(|time| now().checked_add(time));
        Ok(Arc::new(Principal::named(&vouched.user).with_claims(vouched.claims).until(expires)))
    }

    fn proof<'r>(&self, headers: &'r HeaderMap, query: Option<&'r str>, websocket: bool) -> Option<Proof<'r>> {
        proof::ticket(query).or_else(|| {
            // Without keys a token is somebody else's, such as a proxy's.
            self.tokens.as_ref()?;
            let in_cookie = || proof::cookie(headers, self.cookie.as_deref()?);
            let offered = || websocket.then(|| proof::subprotocol(headers)).flatten();
            proof::bearer(headers).or_else(offered).or_else(in_cookie)
        })
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("users", &self.users)
            .field("tokens", &self.tokens.is_some())
            .field("voucher", &self.voucher.is_some())
            .finish_non_exhaustive()
    }
}

/// What a header says. Clients send empty ones for what they were not told.
fn said(header: &Option<String>) -> Option<&str> {
    header.as_deref().filter(|text| !text.is_empty())
}

fn refuse(Cause(cause): Cause) -> Refused {
    tracing::debug!(cause, "not authenticated");
    Refused
}

/// Whether somebody may have that name, whoever vouches for it.
pub(crate) fn is_name(name: &str) -> bool {
    check_name(name).is_ok()
}

/// Whether somebody may have that name.
fn check_name(name: &str) -> Result<(), Cause> {
    if name.is_empty() {
        Err(Cause("is empty"))
    } else if name.len() > MAX_NAME {
        Err(Cause("is longer than 256 bytes"))
    } else if Principal::is_session(name) {
        Err(Cause("has the form of a session's name"))
    } else if name.chars().any(char::is_control) {
        Err(Cause("has a control character in it"))
    } else {
        Ok(())
    }
}

fn problem(place: Place, key: &str, fault: &str, mend: &str) -> Problem {
    Problem {
        file: None,
        line: None,
        place,
        key: key.to_owned(),
        fault: format!("`{key}` {place} {fault}"),
        mend: mend.to_owned(),
    }
}
