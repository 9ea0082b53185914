//! The client as an application sees it: who it is, over what it comes, and what the application itself has noted down for
//! the session. No credential is in here.
//!
//! Does not know: what the client sends.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Principal;
use super::answers::Failure;

/// A client whose CONNECT was accepted. Cheap to clone; all clones share the session's attributes.
#[derive(Clone)]
pub struct Caller {
    session: Arc<Known>,
    principal: Arc<Principal>,
}

/// What stays the same while the session lasts.
struct Known {
    name: Box<str>,
    transport: &'static str,
    endpoint: Arc<str>,
    attributes: Mutex<HashMap<Box<str>, Value>>,
}

impl Caller {
    /// The client of the session that CONNECTED calls `name`, over that transport, on the endpoint with that path.
    pub fn new(name: String, transport: &'static str, endpoint: Arc<str>, principal: Arc<Principal>) -> Self {
        let known = Known { name: name.into(), transport, endpoint, attributes: Mutex::default() };
        Self { session: Arc::new(known), principal }
    }

    /// The same client with a newer proof of who it is.
    #[must_use]
    pub(crate) fn refreshed(&self, principal: Arc<Principal>) -> Self {
        Self { session: Arc::clone(&self.session), principal }
    }

    /// Who the client is.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The name by which its `/user/...` destinations are found: the user's, or that of the session.
    pub fn user(&self) -> &str {
        self.principal.name().unwrap_or(&self.session.name)
    }

    /// The session's name, which CONNECTED told the client. It is no secret, and not the id in SockJS URLs.
    pub fn session(&self) -> &str {
        &self.session.name
    }

    /// The transport that opened the session, such as `xhr_streaming`, `websocket` or `tcp`.
    pub fn transport(&self) -> &'static str {
        self.session.transport
    }

    /// The path of the endpoint; empty over TCP.
    pub fn endpoint(&self) -> &str {
        &self.session.endpoint
    }

    /// What the application noted down for the session under that name; `None` also if it is no `T`.
    pub fn attribute<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = self.session.attributes.lock().get(name).cloned()?;
        serde_json::from_value(value).ok()
    }

    /// Notes something down for the session, until it ends. The memory is the application's to watch.
    ///
    /// # Errors
    /// A [`Failure`] if the value cannot be JSON, such as a map whose keys are no texts.
    pub fn set_attribute(&self, name: &str, value: impl Serialize) -> Result<(), Failure> {
        let value = serde_json::to_value(value)
            .map_err(|error| Failure::new(format!("the attribute {name} cannot be JSON; {error}")))?;
        self.session.attributes.lock().insert(name.into(), value);
        Ok(())
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("user", &self.user())
            .field("session", &self.session())
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}
