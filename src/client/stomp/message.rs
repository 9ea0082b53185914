//! What is received, what is sent, and what is subscribed to.
//!
//! Does not know: when any of it is written.

use std::str::Utf8Error;

use bytes::Bytes;

use super::ClientError;
use crate::stomp::{AckMode, Command, Frame, Headers, Version};

/// A message of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    frame: Frame,
    version: Version,
    connection: u64,
}

/// A message to be sent. A pair of destination and body is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    frame: Frame,
}

/// What to subscribe to, and how.
#[derive(Debug, Clone)]
pub struct Subscribe {
    pub(super) destination: String,
    pub(super) mode: AckMode,
    pub(super) headers: Headers,
    pub(super) queue: Option<usize>,
    pub(super) confirmed: bool,
}

impl Message {
    pub(super) fn new(frame: Frame, version: Version, connection: u64) -> Self {
        Self { frame, version, connection }
    }

    /// The `destination` header.
    pub fn destination(&self) -> &str {
        self.header("destination").unwrap_or_default()
    }

    /// The `message-id` header.
    pub fn id(&self) -> &str {
        self.header("message-id").unwrap_or_default()
    }

    /// A header, unescaped. Of repeated ones the first counts.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.frame.headers.get(name)
    }

    /// All headers.
    pub fn headers(&self) -> &Headers {
        &self.frame.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.frame.body
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.frame.body)
    }

    /// The number of the connection that it came over, see [`Connected::number`](super::Connected::number). Where it differs from that
    /// of the message before, the connection was lost in between, and messages may be missing.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// The ACK or NACK of it (STOMP 1.2, ACK): 1.2 goes by the `ack` header, earlier ones by `message-id` and `subscription`.
    pub(super) fn verdict(&self, command: Command) -> Result<Frame, ClientError> {
        let frame = Frame::new(command);
        let of = |name: &str| self.header(name).ok_or(ClientError::NotAcknowledgeable);
        match self.version {
            Version::V1_2 => Ok(frame.with("id", of("ack")?)),
            Version::V1_1 => Ok(frame.with("subscription", of("subscription")?).with("message-id", of("message-id")?)),
            Version::V1_0 if command == Command::Nack => Err(ClientError::NotAcknowledgeable),
            Version::V1_0 => {
                let frame = frame.with("message-id", of("message-id")?);
                Ok(match self.header("subscription") {
                    Some(subscription) => frame.with("subscription", subscription),
                    None => frame,
                })
            }
        }
    }
}

impl Outgoing {
    /// A message to that destination, without a body.
    pub fn to(destination: impl Into<String>) -> Self {
        Self { frame: Frame::new(Command::Send).with("destination", destination.into()) }
    }

    /// The message with this body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { frame: self.frame.with_body(body) }
    }

    /// The message with one more header, such as `content-type`. `content-length` is set by itself; `receipt` and `transaction` by
    /// those who need them.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { frame: self.frame.with(name.into(), value.into()) }
    }

    pub(super) fn into_frame(mut self) -> Frame {
        self.frame.headers.retain(|name, _| !matches!(name, "receipt" | "transaction"));
        self.frame
    }
}

impl<D: Into<String>, B: Into<Bytes>> From<(D, B)> for Outgoing {
    fn from((destination, body): (D, B)) -> Self {
        Self::to(destination).body(body)
    }
}

impl Subscribe {
    /// A subscription to that destination, in mode `auto`.
    pub fn to(destination: impl Into<String>) -> Self {
        let destination = destination.into();
        Self { destination, mode: AckMode::Auto, headers: Headers::new(), queue: None, confirmed: false }
    }

    /// How its messages are acknowledged.
    #[must_use]
    pub fn mode(mut self, mode: AckMode) -> Self {
        self.mode = mode;
        self
    }

    /// One more header, such as `selector` or `prefetch-count`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(name.into(), value.into());
        self
    }

    /// How many messages may wait before the connection is read no further; at least one.
    #[must_use]
    pub fn queue(mut self, messages: usize) -> Self {
        self.queue = Some(messages);
        self
    }

    /// Subscribing waits for the server's receipt, so that it is certain that messages sent from then on are received. Not every
    /// server confirms a SUBSCRIBE: Spring's simple broker does not.
    #[must_use]
    pub fn confirmed(mut self) -> Self {
        self.confirmed = true;
        self
    }

    /// The SUBSCRIBE.
    pub(super) fn frame(&self, id: u64) -> Frame {
        let mut frame = Frame::new(Command::Subscribe)
            .with("id", id.to_string())
            .with("destination", self.destination.as_str())
            .with("ack", self.mode.as_str());
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != "receipt") {
            frame = frame.with(name, value);
        }
        frame
    }
}

impl From<&str> for Subscribe {
    fn from(destination: &str) -> Self {
        Self::to(destination)
    }
}

impl From<String> for Subscribe {
    fn from(destination: String) -> Self {
        Self::to(destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(version: Version, headers: &[(&str, &str)]) -> Message {
        let mut frame = Frame::new(Command::Message);
        for (name, value) in headers {
            frame = frame.with(*name, *value);
        }
        Message::new(frame, version, 1)
    }

    fn said(verdict: Result<Frame, ClientError>) -> Option<String> {
        let frame = verdict.ok()?;
        Some(frame.headers.iter().map(|(name, value)| format!("{name}={value} ")).collect())
    }

    #[test]
    fn each_version_names_a_message_in_its_own_way() {
        let headers = [("subscription", "7"), ("message-id", "m"), ("ack", "a")];
        let ack = |version, headers: &[_]| said(message(version, headers).verdict(Command::Ack));
        assert_eq!(ack(Version::V1_2, &headers).as_deref(), Some("id=a "));
        assert_eq!(ack(Version::V1_1, &headers).as_deref(), Some("subscription=7 message-id=m "));
        assert_eq!(ack(Version::V1_0, &headers).as_deref(), Some("message-id=m subscription=7 "));
        assert_eq!(ack(Version::V1_0, &headers[1..2]).as_deref(), Some("message-id=m "));
        assert_eq!(ack(Version::V1_2, &headers[..2]), None);
        assert_eq!(said(message(Version::V1_0, &headers).verdict(Command::Nack)), None);
        assert_eq!(said(message(Version::V1_1, &headers).verdict(Command::Nack)), ack(Version::V1_1, &headers));
    }

    #[test]
    fn receipts_and_transactions_are_not_for_a_message_to_say() {
        let frame = Outgoing::to("/a").header("receipt", "1").header("transaction", "2").header("x", "3").into_frame();
        assert_eq!(frame.headers.iter().collect::<Vec<_>>(), [("destination", "/a"), ("x", "3")]);
        let frame = Subscribe::to("/a").header("receipt", "1").header("selector", "x = 1").frame(9);
        let headers: Vec<_> = frame.headers.iter().collect();
        assert_eq!(headers, [("id", "9"), ("destination", "/a"), ("ack", "auto"), ("selector", "x = 1")]);
    }
}
