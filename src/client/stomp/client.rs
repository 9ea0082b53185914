//! What a program calls.
//!
//! Does not know: how anything is written or read; it gives orders to the client's task.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::super::{Link, OpenError, Via};
use super::driver::{self, Dial, Driver};
use super::message::{Message, Outgoing, Subscribe};
use super::receipt::{Receipt, Waiter};
use super::shared::{Entry, Handle, Order, Shared, Stop};
use super::{ClientError, Connected, Events, Options, Subscription, Transaction};
use crate::stomp::{Command, Frame};

/// A client. Clones are handles of the same one; it ends with [`Client::disconnect`], or when the last handle, subscription and
/// transaction is dropped: then what waits is still written, and nobody is told how it went.
///
/// While the connection is lost, calls wait for the next; what waits is bounded by [`Options::max_in_flight`].
#[derive(Debug, Clone)]
pub struct Client {
    handle: Arc<Handle>,
    options: Arc<Options>,
}

impl Client {
    /// Connects to a URL as [`Link::open`] has them.
    ///
    /// # Errors
    ///
    /// Why the first attempt failed: only a connection that was there is tried again.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ClientError> {
        let (url, link) = (Arc::<str>::from(url), Arc::new(options.link.clone()));
        let host = driver::host(&url);
        let dial = move || {
            let (url, link) = (Arc::clone(&url), Arc::clone(&link));
            async move { Link::open(&url, &link).await }
        };
        Self::start(Box::new(move || Box::pin(dial())), host, options).await
    }

    /// Connects over what `dial` opens, now and after every loss: a stream through a proxy, or to one of several servers.
    ///
    /// # Errors
    ///
    /// As for [`Client::connect`].
    pub async fn connect_by<F>(
        dial: impl Fn() -> F + Send + Sync + 'static,
        options: Options,
    ) -> Result<Self, ClientError>
    where
        F: Future<Output = Result<Link, OpenError>> + Send + 'static,
    {
        Self::start(Box::new(move || Box::pin(dial())), "localhost".to_owned(), options).await
    }

    async fn start(dial: Dial, host: String, mut options: Options) -> Result<Self, ClientError> {
        options.host.get_or_insert(host);
        let options = Arc::new(options);
        let first = driver::open(&dial, &options, 1).await?;
        let shared = Arc::new(Shared::new(options.max_in_flight, Arc::clone(&first.connected)));
        let (orders, queue) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(Stop::No);
        let driver = Driver::new(dial, Arc::clone(&options), Arc::clone(&shared), queue, stopped);
        tokio::spawn(driver.run(first));
        Ok(Self { handle: Arc::new(Handle { shared, orders, stop }), options })
    }

    /// The connection as it is now, `None` while it is lost and after the end.
    pub fn connection(&self) -> Option<Arc<Connected>> {
        self.handle.shared.connection()
    }

    /// What happens to the connection from now on.
    pub fn events(&self) -> Events {
        self.handle.shared.events()
    }

    /// Subscribes to a destination, or to what a [`Subscribe`] says. The subscription is restored with every new connection.
    ///
    /// # Errors
    ///
    /// Why the client ended; for a [`confirmed`](Subscribe::confirmed) one also those of [`Receipt`].
    pub async fn subscribe(&self, subscribe: impl Into<Subscribe>) -> Result<Subscription, ClientError> {
        let subscribe = subscribe.into();
        let id = self.handle.shared.number();
        let room = self.handle.room(&subscribe.frame(id)).await?;
        let (queue, messages) = mpsc::channel(subscribe.queue.unwrap_or(self.options.queue).max(1));
        let (waiter, receipt) = Receipt::new();
        let confirmed = subscribe.confirmed;
        let waiter = confirmed.then_some(waiter);
        self.handle.order(Order::Subscribe { id, entry: Entry { subscribe, queue }, waiter, room: Some(room) })?;
        let subscription = Subscription::new(id, messages, Arc::clone(&self.handle));
        if confirmed {
            receipt.await?;
        }
        Ok(subscription)
    }

    /// Sends a message. That it returns does not mean that the server has it: a message may be lost with its connection. Cancel safe:
    /// it is then sent or not.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotText`], or why the client ended.
    pub async fn send(&self, message: impl Into<Outgoing>) -> Result<(), ClientError> {
        self.send_frame(message.into().into_frame(), None, None).await
    }

    /// Sends a message and asks for a receipt, which is to be waited for: `client.send_with_receipt(message).await?.await?`.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotText`], or why the client ended.
    pub async fn send_with_receipt(&self, message: impl Into<Outgoing>) -> Result<Receipt, ClientError> {
        let (waiter, receipt) = Receipt::new();
        self.send_frame(message.into().into_frame(), Some(waiter), None).await?;
        Ok(receipt)
    }

    /// Says that a message was consumed; in mode `client` with all that came before it on its subscription.
    ///
    /// # Errors
    ///
    /// [`ClientError::Stale`] if the message came over a connection that is no more, [`ClientError::NotAcknowledgeable`], or why the
    /// client ended.
    pub async fn ack(&self, message: &Message) -> Result<(), ClientError> {
        self.decide(message, Command::Ack, None).await
    }

    /// Says that a message was not consumed.
    ///
    /// # Errors
    ///
    /// Those of [`Client::ack`].
    pub async fn nack(&self, message: &Message) -> Result<(), ClientError> {
        self.decide(message, Command::Nack, None).await
    }

    /// Begins a transaction on the connection as it is, or on the next.
    ///
    /// # Errors
    ///
    /// Why the client ended.
    pub async fn begin(&self) -> Result<Transaction, ClientError> {
        let connection = self.handle.shared.connected().await?.number;
        let id = self.handle.shared.number().to_string();
        let frame = Frame::new(Command::Begin).with("transaction", id.as_str());
        self.send_frame(frame, None, Some(connection)).await?;
        Ok(Transaction::new(self.clone(), id, connection))
    }

    /// Writes all that waits, sends DISCONNECT, and waits for the server's receipt, so that all of it has arrived. Then the client is
    /// at its end, whatever this returns.
    ///
    /// # Errors
    ///
    /// [`ClientError::ReceiptTimeout`] and [`ClientError::Unconfirmed`] if the server did not confirm it; [`ClientError::Unsent`] if there
    /// was no connection; or why the client had ended before.
    pub async fn disconnect(&self) -> Result<(), ClientError> {
        let (waiter, receipt) = Receipt::new();
        self.handle.order(Order::Disconnect { waiter })?;
        self.handle.stop.send_replace(Stop::Soon);
        // Twice: once for what is written before, once for the receipt.
        let answered = timeout(self.options.receipt_timeout.saturating_mul(2), receipt).await;
        self.handle.stop.send_replace(Stop::Now);
        answered.unwrap_or(Err(ClientError::ReceiptTimeout(self.options.receipt_timeout)))
    }

    /// Waits until the client has ended, and says why.
    pub async fn ended(&self) -> ClientError {
        self.handle.shared.over().await
    }

    pub(super) async fn send_frame(
        &self,
        frame: Frame,
        waiter: Option<Waiter>,
        connection: Option<u64>,
    ) -> Result<(), ClientError> {
        self.check(&frame.body)?;
        let room = Some(self.handle.room(&frame).await?);
        self.handle.order(Order::Frame { frame, waiter, connection, room })
    }

    pub(super) async fn decide(
        &self,
        message: &Message,
        command: Command,
        transaction: Option<&str>,
    ) -> Result<(), ClientError> {
        let frame = message.verdict(command)?;
        let frame = match transaction {
            Some(transaction) => frame.with("transaction", transaction),
            None => frame,
        };
        self.current(message.connection())?;
        self.send_frame(frame, None, Some(message.connection())).await
    }

    /// Refuses what belongs to an earlier connection.
    pub(super) fn current(&self, number: u64) -> Result<(), ClientError> {
        match self.connection() {
            Some(connected) if connected.number == number => Ok(()),
            _ => Err(ClientError::Stale),
        }
    }

    /// Gives an order that needs no room: for the destructors of what belongs to the client.
    pub(super) fn order(&self, order: Order) {
        // After the end there is nothing to be ordered.
        let _ = self.handle.order(order);
    }

    /// What SockJS cannot carry is refused here, where its sender learns of it.
    fn check(&self, body: &Bytes) -> Result<(), ClientError> {
        let text_alone = self.connection().is_some_and(|connected| matches!(connected.via, Via::SockJs(_)));
        if text_alone && std::str::from_utf8(body).is_err() { Err(ClientError::NotText) } else { Ok(()) }
    }
}
