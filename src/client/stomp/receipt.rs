//! The confirmation of something that was sent.
//!
//! Does not know: what it was.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::ClientError;

/// Who is told how it went.
pub(super) type Waiter = oneshot::Sender<Result<(), ClientError>>;

/// Becomes ready when the server has confirmed it. Dropped, nothing is undone; only nobody is told.
///
/// # Errors
///
/// The server's ERROR where that names this receipt; [`ClientError::Unconfirmed`] where the connection was lost first;
/// [`ClientError::ReceiptTimeout`], [`ClientError::Unsent`], [`ClientError::Stale`] or [`ClientError::NotText`].
#[derive(Debug)]
#[must_use = "a receipt that nobody waits for tells nobody"]
pub struct Receipt(oneshot::Receiver<Result<(), ClientError>>);

impl Receipt {
    pub(super) fn new() -> (Waiter, Self) {
        let (waiter, waiting) = oneshot::channel();
        (waiter, Self(waiting))
    }
}

impl Future for Receipt {
    type Output = Result<(), ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = ready!(Pin::new(&mut self.0).poll(cx));
        // Nobody will tell when the task is gone together with its runtime.
        Poll::Ready(told.unwrap_or_else(|_| Err(ClientError::Disconnected.unconfirmed())))
    }
}
