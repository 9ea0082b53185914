//! A frame: command, headers, body, and how it is written.
//!
//! Does not know: which headers a command needs. Frames that come in are made by the parser.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Command, Headers, Version, escape_name_into, escape_value_into};

/// One STOMP frame, with its headers unescaped (STOMP 1.2, STOMP Frames).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The command.
    pub command: Command,
    /// The headers in their order.
    pub headers: Headers,
    /// The body, opaque bytes. Empty for most commands.
    pub body: Bytes,
}

impl Frame {
    /// A frame without headers and body.
    pub fn new(command: Command) -> Self {
        Self { command, headers: Headers::new(), body: Bytes::new() }
    }

    /// The RECEIPT that answers a frame with that `receipt` header (STOMP 1.2, RECEIPT).
    pub fn receipt(receipt: impl Into<Box<str>>) -> Self {
        Self::new(Command::Receipt).with("receipt-id", receipt)
    }

    /// An ERROR (STOMP 1.2, ERROR). `message` is the short text of the `message` header; `detail` becomes the body; `receipt`
    /// is the `receipt` header of the frame that caused it, if there is one and it had one. The connection must end after it.
    ///
    /// Clients in use break on colons, backslashes, line breaks and edge blanks in the `message` header, and cannot all
    /// unescape them: colons and the like are replaced by blanks here, and blanks at the edges dropped.
    pub fn error(message: &str, detail: impl Into<String>, receipt: Option<&str>) -> Self {
        let message = message.replace(|c: char| c == ':' || c == '\\' || c.is_control(), " ");
        let mut frame = Self::new(Command::Error).with("message", message.trim());
        if let Some(receipt) = receipt {
            frame = frame.with("receipt-id", receipt);
        }
        frame.with("content-type", "text/plain").with_body(detail.into())
    }

    /// The frame with one more header at the end.
    #[must_use]
    pub fn with(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The frame with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Writes the frame as that version has it, up to and with exactly one NUL; no line end follows it, since old browser
    /// clients take what comes behind for another frame.
    ///
    /// `content-length` is written whenever there is a body, and only then; one among the headers is passed over. The
    /// headers of CONNECT, STOMP and CONNECTED are not escaped. Before a version is negotiated, write
    /// [`Version::V1_0`], which escapes nothing.
    pub fn encode_into(&self, version: Version, out: &mut BytesMut) {
        // Without escapes only the line breaks must be kept from forging a header, which is what 1.0 does.
        let version = if self.command.is_verbatim() { Version::V1_0 } else { version };
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        out.reserve(headers + self.body.len() + 48);
        out.put_slice(self.command.as_str().as_bytes());
        out.put_u8(b'\n');
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != "content-length") {
            escape_name_into(name, version, out);
            out.put_u8(b':');
            escape_value_into(value, version, out);
            out.put_u8(b'\n');
        }
        if !self.body.is_empty() {
            out.put_slice(b"content-length:");
            out.put_slice(self.body.len().to_string().as_bytes());
            out.put_u8(b'\n');
        }
        out.put_u8(b'\n');
        out.put_slice(&self.body);
        out.put_u8(0);
    }

    /// The frame written into a buffer of its own, see [`Frame::encode_into`].
    pub fn encode(&self, version: Version) -> Bytes {
        let mut out = BytesMut::new();
        self.encode_into(version, &mut out);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_with_one_nul_and_counts_its_body_in_octets() {
        let frame = Frame::new(Command::Message).with("a:b", "c\nd").with_body("né");
        assert_eq!(&frame.encode(Version::V1_2)[..], "MESSAGE\na\\cb:c\\nd\ncontent-length:3\n\nné\0".as_bytes());
    }

    #[test]
    fn a_frame_without_body_has_no_content_length_and_a_false_one_is_replaced() {
        let empty = Frame::new(Command::Receipt).with("content-length", "9");
        assert_eq!(&empty.encode(Version::V1_2)[..], b"RECEIPT\n\n\0");
        let full = empty.with_body("abc");
        assert_eq!(&full.encode(Version::V1_2)[..], b"RECEIPT\ncontent-length:3\n\nabc\0");
    }

    #[test]
    fn connected_is_not_escaped_and_still_cannot_forge_a_header() {
        let frame = Frame::new(Command::Connected).with("user-name", "a:b\\c\nforged:1");
        assert_eq!(&frame.encode(Version::V1_2)[..], b"CONNECTED\nuser-name:a:b\\c\\nforged:1\n\n\0");
    }

    #[test]
    fn the_message_of_an_error_is_made_harmless() {
        let frame = Frame::error(" bad\\thing: it\nbroke ", "detail: any\ntext", Some("r:1"));
        assert_eq!(frame.headers.get("message"), Some("bad thing  it broke"));
        assert_eq!(frame.headers.get("receipt-id"), Some("r:1"));
        assert_eq!(&frame.body[..], b"detail: any\ntext");
    }
}
