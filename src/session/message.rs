//! One message between a client and a service, before or after the transport's framing.
//!
//! Does not know: which transport carried it or what the service makes of it.

use bytes::Bytes;

/// A message: text (valid UTF-8, by construction) or bytes. SockJS carries text only; a raw websocket carries both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    payload: Bytes,
    text: bool,
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self { payload: Bytes::from(text.into()), text: true }
    }

    /// A text message that never changes, without an allocation.
    pub const fn from_static(text: &'static str) -> Self {
        Self { payload: Bytes::from_static(text.as_bytes()), text: true }
    }

    /// A text message of bytes that are known to be UTF-8; bytes that are not make a binary message.
    pub fn from_utf8(payload: Bytes) -> Self {
        let text = std::str::from_utf8(&payload).is_ok();
        Self { payload, text }
    }

    /// A binary message, even if its bytes happen to be UTF-8.
    pub fn binary(payload: Bytes) -> Self {
        Self { payload, text: false }
    }

    /// The bytes of the message.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The bytes of the message, owned.
    pub fn into_payload(self) -> Bytes {
        self.payload
    }

    /// Whether this is a text message.
    pub fn is_text(&self) -> bool {
        self.text
    }

    /// The text, or `None` for a binary message.
    pub fn as_str(&self) -> Option<&str> {
        if self.text { std::str::from_utf8(&self.payload).ok() } else { None }
    }
}
