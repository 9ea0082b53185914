//! The port for STOMP over plain TCP, where backends join the topics and queues of the browsers.
//!
//! Does not know: SockJS endpoints, TOML, how a setting is carried out.

use std::net::SocketAddr;
use std::time::Duration;

use super::session::Session;
use super::settings::Setting;
use super::units::{KIB, MIB};

/// The `[tcp]` table: where STOMP is spoken without HTTP below it, and what one such connection may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Address and port to listen on. Default: none, so there is no such port. It checks no origin, and with
    /// [`SendToUsers::Tcp`](super::SendToUsers::Tcp) it is trusted with user names: whoever wants it says where.
    pub listen: Option<SocketAddr>,
    /// Connections open at once; later ones are turned away. Default 10000: far above what backends need, and they are open
    /// files beside those of [`Http::max_connections`](super::Http::max_connections).
    pub max_connections: usize,
    /// Bytes waiting for one connection before it counts as too slow and is closed. Default 4 MiB, four times a browser's: a
    /// backend listens for many users at once, and there are few of them.
    pub outbox_bytes: usize,
    /// Messages waiting for one connection before it counts as too slow. Default 1024, four times a browser's as well.
    pub outbox_messages: usize,
    /// Bytes that are read from one connection at once. Default 16 KiB: a busy backend's frames arrive many to a read. The
    /// buffer is one for each thread; a connection on which nothing happens holds none.
    pub buffer: usize,
    /// How long a connection may be silent before the system asks whether its peer still lives; one that does not answer for
    /// about as long again is gone. Default 60 s: a client without heart-beats that vanished would keep what it has not
    /// acknowledged for ever. Whole seconds; zero never asks.
    pub keepalive: Duration,
}

impl Default for Tcp {
    fn default() -> Self {
        Tcp {
            listen: None,
            max_connections: 10_000,
            outbox_bytes: 4 * MIB,
            outbox_messages: 1024,
            buffer: 16 * KIB,
            keepalive: Duration::from_secs(60),
        }
    }
}

impl Tcp {
    /// What the session of a connection needs; the rest is as in [`Session::default`].
    pub fn session(&self) -> Session {
        Session { outbox_bytes: self.outbox_bytes, outbox_messages: self.outbox_messages, ..Session::default() }
    }

    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::optional_address("listen", &mut self.listen),
            Setting::count("max_connections", &mut self.max_connections),
            Setting::size("outbox_bytes", &mut self.outbox_bytes),
            Setting::count("outbox_messages", &mut self.outbox_messages),
            // Less than this and every small frame takes several reads.
            Setting::size_from("buffer", &mut self.buffer, 512),
            Setting::duration_or_zero("keepalive", &mut self.keepalive),
        ]
    }
}
