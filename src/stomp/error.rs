//! What a peer can do wrong in STOMP, as one type, and the ERROR frame that tells it so.
//!
//! Does not know: failures of our own, such as a lost socket, and refusals by policy; see [`Frame::error`] for these.

use thiserror::Error;

use super::{Frame, Version};

/// The rule that the peer broke. Its text is the `message` header of the ERROR, so it has no colon, backslash, line break
/// or blank at the edges: clients in use break on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Violation {
    /// The first line of a frame is not a command.
    #[error("unknown command")]
    UnknownCommand,
    /// A frame ended before the empty line behind its headers.
    #[error("frame ended inside its headers")]
    FrameCutShort,
    /// A header line has no colon, has nothing before it, or holds a raw CR in 1.2.
    #[error("malformed header")]
    MalformedHeader,
    /// A header holds an escape that the version does not define.
    #[error("undefined escape in a header")]
    UndefinedEscape,
    /// A header is not UTF-8.
    #[error("header is not UTF-8")]
    NotUtf8,
    /// `content-length` is not a number, or no NUL stands where it says that the body ends.
    #[error("wrong content-length")]
    WrongContentLength,
    /// More header lines than the limit allows.
    #[error("too many headers")]
    TooManyHeaders,
    /// A header line is longer than the limit allows.
    #[error("header line too long")]
    HeaderLineTooLong,
    /// The body is larger than the limit allows, or was announced as such.
    #[error("body too large")]
    BodyTooLarge,
    /// The whole frame is larger than the limit allows.
    #[error("frame too large")]
    FrameTooLarge,
    /// Something came before CONNECT, or before it was answered.
    #[error("not connected")]
    NotConnected,
    /// A second CONNECT.
    #[error("already connected")]
    AlreadyConnected,
    /// No version of `accept-version` is spoken here.
    #[error("no common version")]
    NoCommonVersion,
    /// A frame that only servers send, or one that the negotiated version does not have.
    #[error("command not allowed")]
    CommandNotAllowed,
    /// A header that the command needs is missing or empty.
    #[error("missing header")]
    MissingHeader,
    /// A header has a value that the command does not know.
    #[error("invalid header value")]
    InvalidHeader,
    /// A body on a frame that must not have one.
    #[error("body not allowed")]
    BodyNotAllowed,
    /// No CONNECT came in time.
    #[error("no CONNECT in time")]
    ConnectTimeout,
    /// A frame was begun and not finished in time. Found by the owner of the parser.
    #[error("frame not finished in time")]
    FrameTimeout,
    /// The peer promised heart-beats and fell silent.
    #[error("heart-beat missing")]
    HeartBeatMissing,
    /// A subscription id that is in use already. Found by the owner of the subscriptions.
    #[error("subscription id in use")]
    DuplicateSubscription,
    /// A subscription that does not exist. Found by the owner of the subscriptions.
    #[error("unknown subscription")]
    UnknownSubscription,
    /// A message that was not delivered on that subscription, needs no acknowledgement, or has been acknowledged. Found by
    /// the owner of the subscriptions.
    #[error("unknown message")]
    UnknownMessage,
    /// A transaction that is not open, or is open already. Found by the owner of the transactions.
    #[error("invalid transaction")]
    InvalidTransaction,
}

/// A violation with its circumstances. The connection must end, after [`ProtocolError::to_frame`] was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{violation}: {detail}")]
pub struct ProtocolError {
    violation: Violation,
    detail: String,
    receipt: Option<String>,
}

impl ProtocolError {
    /// An error with an explanation for the human who reads the body of the ERROR frame.
    pub fn new(violation: Violation, detail: impl Into<String>) -> Self {
        Self { violation, detail: detail.into(), receipt: None }
    }

    /// The error with the `receipt` header of the frame that caused it, unless it has one already.
    #[must_use]
    pub fn with_receipt(mut self, receipt: Option<&str>) -> Self {
        if self.receipt.is_none() {
            self.receipt = receipt.map(str::to_owned);
        }
        self
    }

    /// The rule that was broken.
    pub fn violation(&self) -> Violation {
        self.violation
    }

    /// The explanation. It may quote the peer.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The `receipt` header of the frame that caused it, where it had one and it was read.
    pub fn receipt(&self) -> Option<&str> {
        self.receipt.as_deref()
    }

    /// The ERROR frame (STOMP 1.2, ERROR): `message`, `receipt-id` where the culprit asked for a receipt, a text body; and
    /// for want of a common version the list of those that are spoken here (STOMP 1.2, Protocol Negotiation).
    pub fn to_frame(&self) -> Frame {
        let frame = Frame::error(&self.violation.to_string(), self.detail.as_str(), self.receipt.as_deref());
        match self.violation {
            Violation::NoCommonVersion => frame.with("version", Version::SUPPORTED),
            _ => frame,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_frame_names_the_violation_and_the_receipt() {
        let error = ProtocolError::new(Violation::MissingHeader, "SEND needs a destination").with_receipt(Some("7"));
        let frame = error.to_frame();
        assert_eq!(frame.headers.get("message"), Some("missing header"));
        assert_eq!(frame.headers.get("receipt-id"), Some("7"));
        assert_eq!(frame.headers.get("content-type"), Some("text/plain"));
        assert_eq!(frame.headers.get("version"), None);
        assert_eq!(&frame.body[..], b"SEND needs a destination");
    }

    #[test]
    fn want_of_a_common_version_lists_the_versions() {
        let frame = ProtocolError::new(Violation::NoCommonVersion, "2.0 is not spoken here").to_frame();
        assert_eq!(frame.headers.get("version"), Some("1.0,1.1,1.2"));
    }

    #[test]
    fn every_message_survives_clients_that_cannot_unescape() {
        use Violation::*;
        let all = [
            UnknownCommand,
            FrameCutShort,
            MalformedHeader,
            UndefinedEscape,
            NotUtf8,
            WrongContentLength,
            TooManyHeaders,
            HeaderLineTooLong,
            BodyTooLarge,
            FrameTooLarge,
            NotConnected,
            AlreadyConnected,
            NoCommonVersion,
            CommandNotAllowed,
            MissingHeader,
            InvalidHeader,
            BodyNotAllowed,
            ConnectTimeout,
            HeartBeatMissing,
            DuplicateSubscription,
            UnknownSubscription,
            UnknownMessage,
            InvalidTransaction,
        ];
        for violation in all {
            let text = violation.to_string();
            assert!(!text.is_empty() && text == text.trim(), "{text}");
            assert!(!text.contains([':', '\\', '\r', '\n']), "{text}");
        }
    }
}
