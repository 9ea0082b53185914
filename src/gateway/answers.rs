//! What an application answers: messages for others, a reply for the sender, or that it failed; and how several messages are
//! published together or not at all.
//!
//! Does not know: what was asked.

use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;

use crate::broker::{Broker, BrokerError, Reach};
use crate::stomp::Headers;

/// What an application answers to a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Messages for others, all published or none.
    pub publish: Vec<Outgoing>,
    /// A message for the sender's own session.
    pub reply: Option<Reply>,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to: `/topic/...`, `/queue/...` or `/user/NAME/...`.
    pub destination: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
}

/// A message for the session whose message is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// Where the client sees it: a destination of its own, `/user/queue/NAME` or `/user/topic/NAME`. None: where the message's `reply-to`
    /// says, or else `/user/queue/replies`.
    pub destination: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
}

/// Why a message was not handled, in words for its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong. Unless the failure is fatal it is shown to the client: nothing of it may be secret.
    pub message: String,
    /// How bad it is.
    pub gravity: Gravity,
}

/// What a failure means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gravity {
    /// As `application.errors` says; for a subscription, as `auth.refused_subscribe` does.
    Usual,
    /// The session ends.
    Fatal,
}

impl Failure {
    /// A failure that is told as `application.errors` says.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), gravity: Gravity::Usual }
    }

    /// A failure that ends the session.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), gravity: Gravity::Fatal }
    }
}

/// Which of several messages could not be published, and why. None was.
#[derive(Debug, thiserror::Error)]
#[error("{destination}: {error}")]
pub struct NotPublished {
    /// Its number, counted from 0.
    pub index: usize,
    /// Where it was to go.
    pub destination: String,
    /// Why it could not.
    pub error: BrokerError,
}

/// Publishes all messages or none. Gives whom they reached together.
///
/// # Errors
/// [`NotPublished`] for the first that cannot be.
pub(crate) fn publish_all(broker: &Broker, mut messages: Vec<Outgoing>, now: Instant) -> Result<Reach, NotPublished> {
    let mut places = Vec::with_capacity(messages.len());
    for (index, Outgoing { destination, headers, body }) in messages.iter_mut().enumerate() {
        headers.keep_for_message();
        match broker.reserve(destination, headers, body.len(), now) {
            Ok(place) => places.push(place),
            Err(error) => return Err(NotPublished { index, destination: destination.clone(), error }),
        }
    }
    let mut reach = Reach::default();
    for (place, Outgoing { destination, headers, body }) in places.into_iter().zip(messages) {
        reach += broker.publish(place, &destination, headers, body, now);
    }
    Ok(reach)
}

impl Answer {
    /// Nothing to say.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A reply to the sender, as JSON.
    ///
    /// # Errors
    /// A [`Failure`] if the value cannot be JSON.
    pub fn reply(value: impl Serialize) -> Result<Self, Failure> {
        Ok(Self::nothing().and_reply(Reply::json(value)?))
    }

    /// A message for a destination, as JSON.
    ///
    /// # Errors
    /// A [`Failure`] if the value cannot be JSON.
    pub fn publish(destination: impl Into<String>, value: impl Serialize) -> Result<Self, Failure> {
        Ok(Self::nothing().and_publish(Outgoing::json(destination, value)?))
    }

    /// With a reply to the sender.
    #[must_use]
    pub fn and_reply(mut self, reply: Reply) -> Self {
        self.reply = Some(reply);
        self
    }

    /// With one more message for others.
    #[must_use]
    pub fn and_publish(mut self, message: Outgoing) -> Self {
        self.publish.push(message);
        self
    }
}

impl Outgoing {
    /// A text.
    pub fn text(destination: impl Into<String>, text: impl Into<String>) -> Self {
        Self { destination: destination.into(), headers: of_type("text/plain"), body: text.into().into() }
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// A [`Failure`] if it cannot be JSON.
    pub fn json(destination: impl Into<String>, value: impl Serialize) -> Result<Self, Failure> {
        Ok(Self { destination: destination.into(), headers: of_type(JSON), body: to_json(value)? })
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.headers.push(name, value);
        self
    }
}

impl Reply {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { destination: None, headers: of_type("text/plain"), body: text.into().into() }
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// A [`Failure`] if it cannot be JSON.
    pub fn json(value: impl Serialize) -> Result<Self, Failure> {
        Ok(Self { destination: None, headers: of_type(JSON), body: to_json(value)? })
    }

    /// To a destination of the sender's own, `/user/queue/NAME` or `/user/topic/NAME`.
    #[must_use]
    pub fn at(mut self, destination: impl Into<String>) -> Self {
        self.destination = Some(destination.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.headers.push(name, value);
        self
    }
}

const JSON: &str = "application/json";

fn of_type(content_type: &str) -> Headers {
    [("content-type", content_type)].into_iter().collect()
}

fn to_json(value: impl Serialize) -> Result<Bytes, Failure> {
    serde_json::to_vec(&value).map(Bytes::from).map_err(|error| Failure::new(format!("the answer is no JSON; {error}")))
}
