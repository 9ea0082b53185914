//! Messages and acknowledgements that are carried out together or not at all.
//!
//! Does not know: what else the client sends in the meantime.

use super::receipt::Receipt;
use super::shared::Order;
use super::{Client, ClientError, Message, Outgoing};
use crate::stomp::{Command, Frame};

/// An open transaction. It belongs to one connection: when that is lost, the server drops it, and everything here fails with
/// [`ClientError::Stale`]. When this is dropped without a [`commit`](Self::commit), the transaction is aborted.
#[derive(Debug)]
pub struct Transaction {
    client: Client,
    id: String,
    connection: u64,
    open: bool,
}

impl Transaction {
    pub(super) fn new(client: Client, id: String, connection: u64) -> Self {
        Self { client, id, connection, open: true }
    }

    /// Sends a message within the transaction.
    ///
    /// # Errors
    ///
    /// [`ClientError::Stale`], or those of [`Client::send`].
    pub async fn send(&self, message: impl Into<Outgoing>) -> Result<(), ClientError> {
        self.client.current(self.connection)?;
        let frame = message.into().into_frame().with("transaction", self.id.as_str());
        self.client.send_frame(frame, None, Some(self.connection)).await
    }

    /// Acknowledges a message within the transaction.
    ///
    /// # Errors
    ///
    /// Those of [`Client::ack`].
    pub async fn ack(&self, message: &Message) -> Result<(), ClientError> {
        self.client.decide(message, Command::Ack, Some(&self.id)).await
    }

    /// Refuses a message within the transaction.
    ///
    /// # Errors
    ///
    /// Those of [`Client::ack`].
    pub async fn nack(&self, message: &Message) -> Result<(), ClientError> {
        self.client.decide(message, Command::Nack, Some(&self.id)).await
    }

    /// Carries it out, and waits for the server's receipt.
    ///
    /// # Errors
    ///
    /// [`ClientError::Stale`] if nothing of it was carried out, since the connection was lost before COMMIT was sent; else those of
    /// [`Receipt`], of which [`ClientError::Unconfirmed`] leaves it open whether it was.
    pub async fn commit(mut self) -> Result<(), ClientError> {
        let (waiter, receipt) = Receipt::new();
        let frame = self.frame(Command::Commit);
        self.client.send_frame(frame, Some(waiter), Some(self.connection)).await?;
        self.open = false;
        receipt.await
    }

    /// Drops it, as dropping this does.
    pub fn abort(self) {}

    fn frame(&self, command: Command) -> Frame {
        Frame::new(command).with("transaction", self.id.as_str())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open {
            let (frame, connection) = (self.frame(Command::Abort), Some(self.connection));
            self.client.order(Order::Frame { frame, waiter: None, connection, room: None });
        }
    }
}
