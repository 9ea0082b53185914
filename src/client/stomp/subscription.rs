//! The messages of a subscription.
//!
//! Does not know: acknowledgements, which are the client's to send.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;

use super::Message;
use super::shared::{Handle, Order};

/// The messages of a subscription, a [`Stream`]. When it is dropped, the subscription ends, and what came for it is dropped with it; in
/// modes other than `auto` the server then gives that to somebody else.
///
/// Its queue is bounded. While it is full, the connection is not read: not for other subscriptions, nor for receipts and heart-beats.
#[derive(Debug)]
pub struct Subscription {
    id: u64,
    messages: mpsc::Receiver<Message>,
    handle: Arc<Handle>,
}

impl Subscription {
    pub(super) fn new(id: u64, messages: mpsc::Receiver<Message>, handle: Arc<Handle>) -> Self {
        Self { id, messages, handle }
    }

    /// The next message. Cancel safe. `None` when the client has ended; [`Client::ended`](super::Client::ended) says why.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }

    /// The id of the subscription, which stands in the `subscription` header of its messages.
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// Ends the subscription, as dropping it does.
    pub fn unsubscribe(self) {}
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.poll_recv(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.messages.close();
        // After the client's end there is nothing to end.
        let _ = self.handle.order(Order::Unsubscribe { id: self.id });
    }
}
