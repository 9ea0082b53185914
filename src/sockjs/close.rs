//! Why a SockJS session ended, as the client is told: a code and a reason. The same pair travels in a `c[code,"reason"]`
//! frame on every transport and, on the raw websocket, in the websocket close frame itself.
//!
//! Does not know: who decided to close, or what happens to the session afterwards.

use std::borrow::Cow;

/// A close code with its reason text (SockJS protocol, close frame).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The numeric code. SockJS borrows the number space of RFC 6455 section 7.4 but also sends codes, such as 1002
    /// and 2010, that a websocket endpoint may not put on a close frame: see [`Close::websocket_code`].
    pub code: u16,
    /// Text for people and logs; clients hand it to the application unchanged.
    pub reason: Cow<'static, str>,
}

impl Close {
    /// The service is done with this client and it should not come back at once.
    pub const GO_AWAY: Close = Close::fixed(3000, "Go away!");
    /// The application ended the conversation without giving a code of its own.
    pub const NORMAL: Close = Close::fixed(1000, "Normal closure");
    /// Told to a second receiver while a first one is attached; the first is not disturbed.
    pub const STILL_OPEN: Close = Close::fixed(2010, "Another connection still open");
    /// The session was lost together with a receiver's connection, so messages may be missing.
    pub const INTERRUPTED: Close = Close::fixed(1002, "Connection interrupted");
    /// No pong came in answer to a websocket ping within its deadline.
    pub const NO_HEARTBEAT: Close = Close::fixed(3000, "No response from heartbeat");
    /// A websocket message was neither a JSON array of strings nor a JSON string.
    pub const BROKEN_FRAMING: Close = Close::fixed(3000, "Broken framing.");

    /// A close with the application's own code and reason.
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Close {
        Close { code, reason: reason.into() }
    }

    /// The code to put on a websocket close frame: this code where an endpoint may send it (1000 and 3000 to 4999),
    /// else 1000. The other codes of RFC 6455 section 7.4 are reserved for the websocket layer or, like 2010, undefined,
    /// and browsers fail the connection when they see one.
    pub fn websocket_code(&self) -> u16 {
        match self.code {
            1000 | 3000..=4999 => self.code,
            _ => 1000,
        }
    }

    const fn fixed(code: u16, reason: &'static str) -> Close {
        Close { code, reason: Cow::Borrowed(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn websocket_codes_are_only_those_an_endpoint_may_send() {
        let cases = [(999, 1000), (1000, 1000), (1001, 1000), (1002, 1000), (1006, 1000), (2010, 1000), (2999, 1000)];
        let kept = [3000, 3001, 4000, 4999].map(|code| (code, code));
        let above = [(5000, 1000), (u16::MAX, 1000)];
        for (code, sent) in cases.into_iter().chain(kept).chain(above) {
            assert_eq!(Close::new(code, "").websocket_code(), sent, "code {code}");
        }
    }
}
