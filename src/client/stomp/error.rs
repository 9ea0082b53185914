//! What can go wrong for a STOMP client.
//!
//! Does not know: what is done about it.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::super::{Ended, OpenError};

/// Why something did not succeed. Cheap to clone: the loss of a connection is told to everybody who waits.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The connection could not be opened.
    #[error(transparent)]
    Open(Arc<OpenError>),
    /// The server answered with an ERROR frame. After it the connection ends.
    #[error("the server answered with an error: {message}{}", .detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Server {
        /// The `message` header.
        message: String,
        /// The body, where it is text that says more.
        detail: Option<String>,
    },
    /// CONNECT was not answered in time.
    #[error("CONNECT was not answered within {0:?}")]
    NotConnected(Duration),
    /// The server sent what STOMP does not allow.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// The connection ended.
    #[error(transparent)]
    Lost(Ended),
    /// The server promised heart-beats and was silent for twice their interval.
    #[error("the server promised heart-beats and was silent for {0:?}")]
    Silent(Duration),
    /// It was sent, and the connection was lost before the server confirmed it: it may have been carried out or not.
    #[error("not confirmed, so it may have been carried out or not: {0}")]
    Unconfirmed(Box<ClientError>),
    /// The server did not confirm it in time. It may still do so, and nobody will be told.
    #[error("the server did not confirm it within {0:?}")]
    ReceiptTimeout(Duration),
    /// It belongs to a connection that is no more: an acknowledgement of a message that came over it, or a transaction that began
    /// there. The server has forgotten the one, and gives the message again where it keeps it.
    #[error("it belongs to a connection that is no more")]
    Stale,
    /// The message needs no acknowledgement, since its subscription is in mode `auto`, or cannot be refused in STOMP 1.0.
    #[error("the message cannot be acknowledged like that")]
    NotAcknowledgeable,
    /// SockJS carries text alone, and the body is not UTF-8. It was not sent.
    #[error("SockJS carries text alone, and this body is not UTF-8")]
    NotText,
    /// The client ended before it was sent.
    #[error("the client ended before it was sent")]
    Unsent,
    /// The client has disconnected.
    #[error("the client has disconnected")]
    Disconnected,
}

impl ClientError {
    /// The same as the reason for which something that was sent has no confirmation.
    pub(super) fn unconfirmed(&self) -> Self {
        Self::Unconfirmed(Box::new(self.clone()))
    }

    /// Whether to connect again can be of use.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Open(error) => error.may_pass(),
            _ => true,
        }
    }
}

impl From<OpenError> for ClientError {
    fn from(error: OpenError) -> Self {
        Self::Open(Arc::new(error))
    }
}
