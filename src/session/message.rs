//! One message between a client and a service, before or after the transport's framing.
//!
//! Does not know: which transport carried it or what the service makes of it.

use bytes::Bytes;
use bytestring::ByteString;

/// A message: text or bytes. SockJS carries text only; a raw websocket carries both. Cloning shares the bytes, and that
/// a text is UTF-8 is found out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(ByteString),
    /// A binary message, even if its bytes happen to be UTF-8.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into())
    }

    /// A text message that never changes, without an allocation.
    pub const fn from_static(text: &'static str) -> Self {
        Self::Text(ByteString::from_static(text))
    }

    /// A text message of these bytes if they are UTF-8, else a binary one.
    pub fn from_utf8(payload: Bytes) -> Self {
        ByteString::try_from(payload.clone()).map_or(Self::Binary(payload), Self::Text)
    }

    /// A binary message.
    pub fn binary(payload: Bytes) -> Self {
        Self::Binary(payload)
    }

    /// The bytes of the message.
    pub fn payload(&self) -> &Bytes {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(payload) => payload,
        }
    }

    /// The bytes of the message, owned.
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(payload) => payload,
        }
    }

    /// Whether this is a text message.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// The text, or `None` for a binary message.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}
