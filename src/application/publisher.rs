//! Sending from anywhere in an application, and asking the gateway who is there.
//!
//! Does not know: handlers, or where the gateway runs.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use serde::Serialize;
use thiserror::Error;

use crate::broker::Reach;
use crate::connection::now;
use crate::gateway::{Client, Failure, Gateway, NotPublished, Outgoing};
use crate::session::CloseReason;
use crate::sockjs::Close;
use crate::stomp::Headers;

/// Sends messages through a gateway. Cheap to clone; all clones send through the same one. What it sends passes no rules:
/// these are for clients.
#[derive(Clone, Default)]
pub struct Publisher {
    gateway: Arc<OnceLock<Weak<Gateway>>>,
}

/// Why nothing was published.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The gateway does not run yet, or any more.
    #[error("the gateway is not running")]
    NotRunning,
    /// The broker did not take a message.
    #[error(transparent)]
    Refused(#[from] NotPublished),
    /// There is no destination of that user, and that name behind it.
    #[error("{0:?} cannot be addressed at {1:?}; write /queue/NAME or /topic/NAME")]
    NoSuchUser(String, String),
    /// The value cannot be JSON.
    #[error("{0}")]
    NoJson(String),
}

impl Publisher {
    /// A publisher of that gateway.
    pub fn new(gateway: &Arc<Gateway>) -> Self {
        let publisher = Self::default();
        publisher.open(gateway);
        publisher
    }

    /// From now on the publisher and its clones send through that gateway. Only the first is taken.
    pub(crate) fn open(&self, gateway: &Arc<Gateway>) {
        let _ = self.gateway.set(Arc::downgrade(gateway));
    }

    /// Sends a message to `/topic/...`, `/queue/...` or `/user/NAME/...`. When this returns, it stands in a queue or in the
    /// outbox of every receiver.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn send(&self, destination: &str, headers: Headers, body: impl Into<Bytes>) -> Result<Reach, PublishError> {
        let message = Outgoing { destination: destination.to_owned(), headers, body: body.into() };
        self.send_all(vec![message])
    }

    /// Sends a value as JSON.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn send_json(&self, destination: &str, value: impl Serialize) -> Result<Reach, PublishError> {
        let message = Outgoing::json(destination, value);
        self.send_all(vec![message.map_err(|Failure { message, .. }| PublishError::NoJson(message))?])
    }

    /// Sends a value as JSON to what all sessions of a user have subscribed to as `/user` + `local`, such as `/queue/notices`.
    ///
    /// # Errors
    /// See [`PublishError`]. That the user is not there is none: see [`Reach::unreachable`].
    pub fn send_json_to_user(&self, user: &str, local: &str, value: impl Serialize) -> Result<Reach, PublishError> {
        // In an address %2F is a slash, so such a user has none; and without its slash `local` would lengthen the name.
        let ambiguous = user.to_ascii_uppercase().contains("%2F");
        if ambiguous || !local.starts_with('/') {
            return Err(PublishError::NoSuchUser(user.to_owned(), local.to_owned()));
        }
        self.send_json(&format!("/user/{}{local}", user.replace('/', "%2F")), value)
    }

    /// Sends several messages, all of them or none.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn send_all(&self, messages: Vec<Outgoing>) -> Result<Reach, PublishError> {
        Ok(self.gateway()?.publish_all(messages, now())?)
    }

    /// The clients that are in, up to `most` behind the one with the serial number `after` (0 for the first), of one user only
    /// if one is named.
    pub fn clients(&self, after: u64, user: Option<&str>, most: usize) -> Vec<Client> {
        self.gateway().map(|gateway| gateway.clients().list(after, user, most)).unwrap_or_default()
    }

    /// Ends all sessions of a user, with that SockJS close code (3000 to 4999) and reason. Gives how many.
    pub fn disconnect_user(&self, user: &str, close: Close) -> usize {
        let reason = CloseReason::Application(close);
        self.gateway().map_or(0, |gateway| gateway.clients().disconnect(|caller| caller.user() == user, &reason))
    }

    /// Ends the session of that name, as [`Caller::session`](crate::gateway::Caller::session) has it. Gives whether it was there.
    pub fn disconnect_session(&self, session: &str, close: Close) -> bool {
        let reason = CloseReason::Application(close);
        self.gateway()
            .is_ok_and(|gateway| gateway.clients().disconnect(|caller| caller.session() == session, &reason) > 0)
    }

    fn gateway(&self) -> Result<Arc<Gateway>, PublishError> {
        self.gateway.get().and_then(Weak::upgrade).ok_or(PublishError::NotRunning)
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("running", &self.gateway().is_ok()).finish()
    }
}
