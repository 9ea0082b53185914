//! Why a client of a load failed, in words that are the same for all clients that failed alike.
//!
//! Does not know: what the client was doing for whom.

use std::io;
use std::time::Duration;

use thiserror::Error;

/// What ended one client. Its text names no port and no number of a client, so that equal faults can be counted together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// There is no way to the server.
    #[error("a connection was not made: {0}")]
    Unreachable(String),
    /// The connection broke.
    #[error("a connection broke: {0}")]
    Broken(String),
    /// The server closed the connection where it should have gone on.
    #[error("the server closed a connection without a word")]
    Ended,
    /// The server closed a websocket or a session and said so.
    #[error("the server closed a session: {0}")]
    Closed(String),
    /// The server answered a request with another status than the one that goes on.
    #[error("{asked} was answered with {status}")]
    Status {
        /// The request.
        asked: &'static str,
        /// The status that came.
        status: u16,
    },
    /// More came in one piece than is taken.
    #[error("{0} is larger than this client takes")]
    TooLarge(&'static str),
    /// What came is not what the protocol says.
    #[error("{0}")]
    Garbage(String),
    /// A STOMP server said ERROR.
    #[error("the server said ERROR: {0}")]
    Refused(String),
    /// A message has another body than the one that was sent, or was never sent at all.
    #[error("a message came that nobody sent")]
    Foreign,
    /// Messages were on their way, and none came to anybody.
    #[error("nothing came for {} though messages were on their way", humantime::format_duration(*.0))]
    Stalled(Duration),
    /// Something did not come in time.
    #[error("{what} did not come within {}", humantime::format_duration(*.patience))]
    Silent {
        /// What was waited for.
        what: &'static str,
        /// How long.
        patience: Duration,
    },
}

impl Fault {
    /// What came is not what the protocol says: `what` is, and begins like this.
    pub(super) fn garbage(what: &str, bytes: &[u8]) -> Self {
        let shown: String = String::from_utf8_lossy(bytes.get(..bytes.len().min(SHOWN)).unwrap_or_default())
            .chars()
            .map(|c| if c.is_control() { '.' } else { c })
            .collect();
        Self::Garbage(format!("{what}: {shown:?}"))
    }
}

/// Bytes of garbage that a fault shows.
const SHOWN: usize = 40;

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.kind().to_string())
    }
}
