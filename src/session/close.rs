//! Why a session ended. A [`CloseReason`] says *who* ended it, and one table turns that into what each reader needs: the
//! SockJS close frame and websocket close code for the client, the label for metrics and logs.
//!
//! Does not know: how the close is written, or what happens to the session's subscriptions.

use crate::sockjs::Close;

/// Who or what ended a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// The service behind the endpoint asked for it, with this code and reason.
    Application(Close),
    /// The client said goodbye: a websocket close frame.
    Peer,
    /// The client ended its direction of a TCP connection without DISCONNECT. It may still read, so what it is owed is sent.
    EndOfStream,
    /// The connection of the attached receiver broke; data on its way may be lost (SockJS: 1002).
    Interrupted,
    /// No receiver came back within the disconnect delay.
    Expired,
    /// A websocket message was no SockJS payload.
    BrokenFraming,
    /// The client broke a websocket rule; the code is the one of RFC 6455, section 7.4.1, that names it.
    Websocket {
        /// 1002, 1003, 1007 or 1009.
        code: u16,
        /// What was wrong, in words for the client.
        reason: &'static str,
    },
    /// The client broke STOMP; an ERROR frame that says how stands in the outbox.
    StompError,
    /// The client sent DISCONNECT.
    StompDisconnect,
    /// The client did not prove who it is, or somebody else spoke for it.
    NotAuthenticated,
    /// The proof of who the client is was good for a time that is over.
    CredentialsExpired,
    /// A rule or the application does not let the client in.
    NotAllowed,
    /// The application behind the session failed.
    ApplicationFailed,
    /// The outbox reached `outbox_bytes` or `outbox_messages`: the client does not read as fast as it is sent to.
    SlowConsumer,
    /// Nothing was heard within `pong_timeout` after a websocket ping.
    NoPong,
    /// The websocket server behind a bridge ended it, or is out of reach; with this code and reason.
    Upstream(Close),
    /// The gateway is going down.
    Shutdown,
}

impl CloseReason {
    /// The code and reason that the client is told.
    ///
    /// 4401 and 4403 are HTTP's 401 and 403 in the range that is free for applications (RFC 6455, section 7.4.2).
    /// 4500 for slow consumers is the code that clients of Spring's SockJS support already know for it.
    pub fn close(&self) -> Close {
        match self {
            Self::Application(close) | Self::Upstream(close) => close.clone(),
            Self::Peer | Self::EndOfStream | Self::StompDisconnect => Close::NORMAL,
            Self::Interrupted | Self::Expired => Close::INTERRUPTED,
            Self::BrokenFraming => Close::BROKEN_FRAMING,
            Self::Websocket { code, reason } => Close { code: *code, reason: (*reason).into() },
            Self::StompError => Close { code: 1002, reason: "STOMP protocol error".into() },
            Self::NotAuthenticated => Close { code: 4401, reason: "Not authenticated".into() },
            Self::CredentialsExpired => Close { code: 4401, reason: "Credentials expired".into() },
            Self::NotAllowed => Close { code: 4403, reason: "Not allowed".into() },
            Self::ApplicationFailed => Close { code: 1011, reason: "Internal error".into() },
            Self::SlowConsumer => Close { code: 4500, reason: "Messages are not read fast enough".into() },
            Self::NoPong => Close::NO_HEARTBEAT,
            Self::Shutdown => Close { code: 1001, reason: "Server shutdown".into() },
        }
    }

    /// The word that stands in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Application(_) => "application",
            Self::Peer => "peer",
            Self::EndOfStream => "end-of-stream",
            Self::Interrupted => "interrupted",
            Self::Expired => "expired",
            Self::BrokenFraming => "broken-framing",
            Self::Websocket { .. } => "websocket-error",
            Self::StompError => "stomp-error",
            Self::StompDisconnect => "stomp-disconnect",
            Self::NotAuthenticated => "not-authenticated",
            Self::CredentialsExpired => "credentials-expired",
            Self::NotAllowed => "not-allowed",
            Self::ApplicationFailed => "application-failed",
            Self::SlowConsumer => "slow-consumer",
            Self::NoPong => "no-pong",
            Self::Upstream(_) => "upstream",
            Self::Shutdown => "shutdown",
        }
    }

    /// Whether the connection is gone already, so that nobody is left to be told.
    pub(crate) fn peer_is_gone(&self) -> bool {
        matches!(self, Self::Peer | Self::Interrupted)
    }
}
