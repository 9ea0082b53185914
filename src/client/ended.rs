//! How a connection ended, and why one could not be opened.
//!
//! Does not know: what went over it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::sockjs::Fallback;
use crate::dial::DialError;

/// How a connection ended. Cheap enough to be told to everybody who waits on it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Ended {
    /// Who or what ended it.
    pub cause: Cause,
    /// The close code, where one was sent: that of a `c` frame or of a websocket's close frame.
    pub code: Option<u16>,
    /// The server's reason, or a sentence of ours. Never holds a credential or a URL's query.
    pub reason: String,
}

/// Who or what ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// This side closed it.
    Own,
    /// The server closed it in good order.
    Closed,
    /// It broke, or fell silent for longer than allowed.
    Lost,
    /// The server broke the protocol, or went beyond a limit of [`Options`](super::Options).
    Violation,
    /// Nothing has ended: the message cannot be carried here, and was not sent.
    Unsendable,
}

/// Why there is no connection.
#[derive(Debug, Clone, Error)]
pub enum OpenError {
    /// The URL has a scheme that will not do here, names no host, or names a user.
    #[error("the URL must have a scheme that will do here, name a host and no user")]
    Url,
    /// A header of the options is none that HTTP has.
    #[error("{0:?} cannot be the name of a header, or its value is none")]
    Header(String),
    /// A limit of the options is zero.
    #[error("the option {0} must not be zero")]
    Option(&'static str),
    /// It could not be connected to, spoke no TLS or was not trusted, or refused a websocket's handshake. Names host and port.
    #[error("{0}")]
    Refused(String),
    /// It did not answer in time.
    #[error("the server did not answer within {0:?}")]
    Late(Duration),
    /// SockJS's info was answered with that status. There is probably no SockJS at that URL.
    #[error("the server answered info with status {0}, so there is no SockJS service here")]
    Info(u16),
    /// The server closed the session on purpose before it was open, so that no other transport was tried.
    #[error("refused on purpose: {0}")]
    Closed(Ended),
    /// No transport came through; each with its reason, in the order in which they were tried.
    #[error("no transport comes through: {}", Listed(.0))]
    NoTransport(Vec<Fallback>),
}

impl Ended {
    /// The reason that a session is given up for by SockJS clients of browsers when they have no other code.
    pub(super) const ABNORMAL: u16 = 1006;

    pub(super) fn new(cause: Cause, code: Option<u16>, reason: impl Into<String>) -> Self {
        Self { cause, code, reason: reason.into() }
    }

    pub(super) fn own() -> Self {
        Self::new(Cause::Own, None, "closed on this side")
    }

    pub(super) fn lost(reason: impl Into<String>) -> Self {
        Self::new(Cause::Lost, None, reason)
    }

    pub(super) fn silent(idle: Duration) -> Self {
        Self::lost(format!("nothing came for {idle:?}"))
    }

    pub(super) fn violation(reason: impl Into<String>) -> Self {
        Self::new(Cause::Violation, None, reason)
    }

    pub(super) fn closed(code: Option<u16>, reason: impl Into<String>) -> Self {
        Self::new(Cause::Closed, code, reason)
    }

    /// Whether the code says that the server means it: such a close before a session is open ends the search for a transport.
    pub(super) fn is_deliberate(&self) -> bool {
        self.cause == Cause::Closed && matches!(self.code, Some(1000 | 3000..=4999))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Own | Cause::Unsendable => {}
            Cause::Closed => f.write_str("the server closed the connection")?,
            Cause::Lost => f.write_str("the connection is lost: ")?,
            Cause::Violation => f.write_str("the server broke the protocol: ")?,
        }
        match (self.cause, self.code) {
            (Cause::Closed, Some(code)) => write!(f, " with {code} {:?}", self.reason),
            (Cause::Closed, None) if self.reason.is_empty() => Ok(()),
            (Cause::Closed, None) => write!(f, ": {}", self.reason),
            (_, Some(code)) => write!(f, "{} ({code})", self.reason),
            (_, None) => f.write_str(&self.reason),
        }
    }
}

impl From<DialError> for OpenError {
    fn from(error: DialError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl OpenError {
    /// Whether to try again can be of use: not if it is the URL or the options that are wrong.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Url | Self::Header(_) | Self::Option(_))
    }
}

struct Listed<'a>(&'a [Fallback]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none is allowed");
        }
        for (number, fallback) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{fallback}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_says_who_ended_it_and_with_what() {
        for (ended, said) in [
            (Ended::closed(Some(3000), "Go away!"), "the server closed the connection with 3000 \"Go away!\""),
            (Ended::closed(None, ""), "the server closed the connection"),
            (Ended::lost("end of stream"), "the connection is lost: end of stream"),
            (Ended::new(Cause::Lost, Some(1006), "404"), "the connection is lost: 404 (1006)"),
            (Ended::own(), "closed on this side"),
        ] {
            assert_eq!(ended.to_string(), said);
        }
    }

    #[test]
    fn only_codes_of_applications_are_deliberate() {
        for (code, deliberate) in
            [(1000, true), (3000, true), (4999, true), (1002, false), (2010, false), (5000, false)]
        {
            assert_eq!(Ended::closed(Some(code), "").is_deliberate(), deliberate, "{code}");
        }
        assert!(!Ended::closed(None, "").is_deliberate());
    }
}
