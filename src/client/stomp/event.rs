//! What happens to a client's connection, for programs that want to know or to tell.
//!
//! Does not know: messages; these come by subscriptions.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use super::super::Via;
use super::super::sockjs::Fallback;
use super::ClientError;
use crate::stomp::Version;

/// Something that happened to the connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// It is there, with every subscription restored.
    Connected(Arc<Connected>),
    /// It is lost.
    Lost {
        /// Why.
        why: ClientError,
        /// How many frames were sent and not confirmed by the receipt that they asked for. Whoever waits for one of them is told.
        unconfirmed: usize,
    },
    /// It will be tried again.
    Retrying {
        /// After this pause.
        after: Duration,
        /// The how manieth attempt in a row it will be, from 1.
        attempt: u32,
    },
    /// An attempt failed.
    Failed(ClientError),
    /// The client has ended: it was disconnected, or there will be no more attempts. Nothing happens after this.
    Ended(ClientError),
}

/// A connection to a server, as its CONNECTED frame describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// Its number among those of the client, from 1.
    pub number: u64,
    /// The version that is spoken.
    pub version: Version,
    /// The `server` header.
    pub server: Option<String>,
    /// The `session` header.
    pub session: Option<String>,
    /// What carries it.
    pub via: Via,
    /// The SockJS transports that were tried before, each with why it was given up.
    pub fallbacks: Vec<Fallback>,
    /// The interval in which this side beats, if it does.
    pub beats: Option<Duration>,
    /// The interval in which the server beats, if it does. When it is silent for twice as long, the connection is lost.
    pub hears: Option<Duration>,
}

/// The events of a client from now on. The first is that it is connected, if it is.
#[derive(Debug)]
pub struct Events {
    pub(super) now: Option<Event>,
    pub(super) later: broadcast::Receiver<Event>,
}

impl Events {
    /// The next event; `None` when the client has ended and that was told. Cancel safe. Who does not ask for a long time misses the
    /// oldest.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.now.take() {
            return Some(event);
        }
        loop {
            match self.later.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
