//! What a session needs to be told, whatever carries it: no table of the file, but the part that every carrier's table has in
//! common.
//!
//! Does not know: transports, services, TOML.

use std::time::Duration;

use super::Endpoint;

/// The limits and intervals of one session. Made by [`Endpoint::session`] and [`Tcp::session`](super::Tcp::session); its default
/// is that of [`Endpoint::default`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Bytes waiting for the session before it counts as too slow and is closed; see [`Endpoint::outbox_bytes`]. Default 1 MiB.
    pub outbox_bytes: usize,
    /// Messages waiting for the session before it counts as too slow; see [`Endpoint::outbox_messages`]. Default 256.
    pub outbox_messages: usize,
    /// Interval of `h` frames and websocket pings, for carriers that have them; see [`Endpoint::heartbeat`]. Default 25 s.
    pub heartbeat: Duration,
    /// How long the session lives without a receiver, on carriers where it can; see [`Endpoint::disconnect_delay`]. Default 5 s.
    pub disconnect_delay: Duration,
    /// How long a ping may go unanswered, on carriers that have pings; see [`Endpoint::pong_timeout`]. Default 10 s.
    pub pong_timeout: Duration,
}

impl Default for Session {
    fn default() -> Self {
        Endpoint::default().session()
    }
}
