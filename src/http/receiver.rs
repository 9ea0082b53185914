//! The guard that every attached receiver of an HTTP transport holds. Whatever happens to the response, completed or cut
//! off, the session hears of it: a guard that is dropped without a word says that the connection broke.
//!
//! Does not know: framing, or what the receiver has read.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::now;
use crate::gateway::{Endpoint, Gateway, Receiving, Visitor};
use crate::session::{CloseReason, Departure, ReceiverId, RegistryFull, Session};

/// An attached receiver.
pub(super) struct Receiver {
    gateway: Arc<Gateway>,
    endpoint: Arc<Endpoint>,
    session: Arc<Session>,
    id: ReceiverId,
    departed: bool,
}

/// What a receiving request got.
pub(super) enum Admission {
    Attached(Receiver),
    /// `c[2010,...]`.
    Busy,
    /// The session is over.
    Closing(CloseReason),
    /// The session is somebody else's.
    Foreign,
}

/// How long a second receiver waits for word that the first one's connection is gone, in steps. A client that drops a
/// request and opens another at once must not be told that the first is still open because its end-of-file is handled
/// after the new request. All in all 63 ms: far below any client's patience, and a true second receiver is not in a hurry.
const PATIENCE: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
    Duration::from_millis(16),
    Duration::from_millis(32),
];

impl Receiver {
    /// Attaches to the session of that id, made if need be.
    pub async fn attach(
        gateway: &Arc<Gateway>,
        endpoint: &Arc<Endpoint>,
        id: &str,
        transport: &'static str,
        visitor: &Visitor,
    ) -> Result<Admission, RegistryFull> {
        let mut patience = PATIENCE.iter();
        loop {
            return Ok(match gateway.attach(endpoint, id, transport, visitor, now())? {
                Receiving::Attached(session, id) => Admission::Attached(Self {
                    gateway: Arc::clone(gateway),
                    endpoint: Arc::clone(endpoint),
                    session,
                    id,
                    departed: false,
                }),
                Receiving::Closing(reason) => Admission::Closing(reason),
                Receiving::Foreign => Admission::Foreign,
                Receiving::Busy => match patience.next() {
                    Some(pause) => {
                        tokio::time::sleep(*pause).await;
                        continue;
                    }
                    None => Admission::Busy,
                },
            });
        }
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub fn id(&self) -> ReceiverId {
        self.id
    }

    /// The response is complete. Said when its last frame is handed over, before it is on the wire, so that the client's
    /// next request cannot overtake the word.
    pub fn done(&mut self) {
        self.depart(Departure::Done);
    }

    fn depart(&mut self, how: Departure) {
        if !std::mem::replace(&mut self.departed, true) {
            self.gateway.depart(&self.endpoint, &self.session, self.id, how, now());
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.depart(Departure::Interrupted);
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("session", &self.session).field("departed", &self.departed).finish()
    }
}
