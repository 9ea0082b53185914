//! What a client's task and its handles share: the orders that wait to be written, the subscriptions, the receipts that are waited for,
//! and how the connection is.
//!
//! Does not know: how anything is written or read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};
use tokio::time::Instant;

use super::receipt::Waiter;
use super::{ClientError, Connected, Event, Events, Message, Subscribe};
use crate::stomp::Frame;

/// Events that wait for whoever listens before the oldest are dropped.
const EVENTS: usize = 64;

/// What every frame costs besides names, values and body.
const OVERHEAD: usize = 64;

/// Room among the bytes in flight.
pub(super) type Room = OwnedSemaphorePermit;

/// Something to be written.
pub(super) enum Order {
    /// A frame, confirmed to whoever waits for it.
    Frame { frame: Frame, waiter: Option<Waiter>, connection: Option<u64>, room: Option<Room> },
    /// A subscription, to be restored from now on.
    Subscribe { id: u64, entry: Entry, waiter: Option<Waiter>, room: Option<Room> },
    /// The end of one.
    Unsubscribe { id: u64 },
    /// The end of all.
    Disconnect { waiter: Waiter },
}

/// How the client is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// When all that waits is written and confirmed. Without a connection, at once.
    Soon,
    Now,
}

/// How the connection is.
#[derive(Debug, Clone)]
pub(super) enum Status {
    Connected(Arc<Connected>),
    Lost,
    Ended(ClientError),
}

/// What the handles hold; when the last is gone, the client ends.
#[derive(Debug)]
pub(super) struct Handle {
    pub shared: Arc<Shared>,
    pub orders: mpsc::UnboundedSender<Order>,
    pub stop: watch::Sender<Stop>,
}

/// What the task has a part in as well.
#[derive(Debug)]
pub(super) struct Shared {
    pub tables: Mutex<Tables>,
    pub status: watch::Sender<Status>,
    events: Mutex<Option<broadcast::Sender<Event>>>,
    room: Arc<Semaphore>,
    most: usize,
}

/// Subscriptions and receipts by their numbers.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub subscriptions: BTreeMap<u64, Entry>,
    pub receipts: BTreeMap<u64, Waiting>,
    last: u64,
}

/// A subscription.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub subscribe: Subscribe,
    pub queue: mpsc::Sender<Message>,
}

/// A receipt that is waited for.
#[derive(Debug)]
pub(super) struct Waiting {
    pub waiter: Waiter,
    pub deadline: Instant,
    /// The subscription that it confirms.
    pub subscription: Option<u64>,
    /// Whether it is that of a DISCONNECT.
    pub last: bool,
    pub _room: Option<Room>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

impl Order {
    /// Tells whoever waits for it that it will not be.
    pub fn refuse(self, why: &ClientError) {
        match self {
            Self::Frame { waiter, .. } | Self::Subscribe { waiter, .. } => {
                waiter.into_iter().for_each(|waiter| drop(waiter.send(Err(why.clone()))));
            }
            Self::Unsubscribe { .. } => {}
            Self::Disconnect { waiter } => drop(waiter.send(Err(why.clone()))),
        }
    }
}

impl Handle {
    /// Room for a frame, once there is.
    pub async fn room(&self, frame: &Frame) -> Result<Room, ClientError> {
        self.shared.room(cost(frame)).await
    }

    /// Puts an order behind all others.
    pub fn order(&self, order: Order) -> Result<(), ClientError> {
        self.orders.send(order).map_err(|_| self.shared.ended())
    }
}

impl Shared {
    pub fn new(max_in_flight: usize, connected: Arc<Connected>) -> Self {
        let most = max_in_flight.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self {
            tables: Mutex::default(),
            status: watch::Sender::new(Status::Connected(connected)),
            events: Mutex::new(Some(broadcast::Sender::new(EVENTS))),
            room: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// The next number for a subscription, a receipt or a transaction.
    pub fn number(&self) -> u64 {
        self.tables.lock().number()
    }

    /// The connection, once there is one.
    pub async fn connected(&self) -> Result<Arc<Connected>, ClientError> {
        let mut status = self.status.subscribe();
        let ready = status.wait_for(|status| !matches!(status, Status::Lost)).await;
        match ready.as_deref() {
            Ok(Status::Connected(connected)) => Ok(Arc::clone(connected)),
            Ok(Status::Ended(why)) => Err(why.clone()),
            _ => Err(ClientError::Disconnected),
        }
    }

    /// The connection, if there is one.
    pub fn connection(&self) -> Option<Arc<Connected>> {
        match &*self.status.borrow() {
            Status::Connected(connected) => Some(Arc::clone(connected)),
            Status::Lost | Status::Ended(_) => None,
        }
    }

    /// Waits for the end, and says why it came.
    pub async fn over(&self) -> ClientError {
        let mut status = self.status.subscribe();
        let over = status.wait_for(|status| matches!(status, Status::Ended(_))).await;
        match over.as_deref() {
            Ok(Status::Ended(why)) => why.clone(),
            _ => ClientError::Disconnected,
        }
    }

    /// Why the client has ended.
    pub fn ended(&self) -> ClientError {
        match &*self.status.borrow() {
            Status::Ended(why) => why.clone(),
            _ => ClientError::Disconnected,
        }
    }

    /// Events from now on; the first says how things are.
    pub fn events(&self) -> Events {
        let events = self.events.lock();
        let now = match &*self.status.borrow() {
            Status::Connected(connected) => Some(Event::Connected(Arc::clone(connected))),
            Status::Lost => None,
            Status::Ended(why) => Some(Event::Ended(why.clone())),
        };
        let later = match &*events {
            Some(events) => events.subscribe(),
            None => broadcast::Sender::new(1).subscribe(),
        };
        Events { now, later }
    }

    /// Tells whoever listens. A new status and its event are seen together or not at all.
    pub fn tell(&self, event: Event) {
        let mut events = self.events.lock();
        match &event {
            Event::Connected(connected) => drop(self.status.send_replace(Status::Connected(Arc::clone(connected)))),
            Event::Lost { .. } => drop(self.status.send_replace(Status::Lost)),
            Event::Ended(why) => drop(self.status.send_replace(Status::Ended(why.clone()))),
            Event::Retrying { .. } | Event::Failed(_) => {}
        }
        let ended = matches!(event, Event::Ended(_));
        if let Some(events) = &*events {
            // An error is only that nobody listens.
            let _ = events.send(event);
        }
        if ended {
            *events = None;
        }
    }

    /// The connection is lost: what was not confirmed will not be. Gives how many that were.
    pub fn lose_receipts(&self, why: &ClientError) -> usize {
        let mut tables = self.tables.lock();
        let receipts = std::mem::take(&mut tables.receipts);
        let count = receipts.len();
        for waiting in receipts.into_values() {
            waiting.subscription.into_iter().for_each(|id| drop(tables.subscriptions.remove(&id)));
            let _ = waiting.waiter.send(Err(why.unconfirmed()));
        }
        count
    }

    /// The client ends: nobody gets anything any more.
    pub fn end(&self, why: ClientError) {
        self.lose_receipts(&why);
        self.tell(Event::Ended(why));
        self.room.close();
        self.tables.lock().subscriptions.clear();
    }

    async fn room(&self, cost: usize) -> Result<Room, ClientError> {
        let cost = u32::try_from(cost.min(self.most)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(cost).await.map_err(|_| self.ended())
    }
}

impl Tables {
    pub fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A receipt came, or an ERROR that names one. Gives whether it was the last.
    pub fn settle(&mut self, receipt: &str, result: Result<(), ClientError>) -> bool {
        let Some(waiting) = receipt.parse().ok().and_then(|number: u64| self.receipts.remove(&number)) else {
            return false;
        };
        if let (Err(_), Some(id)) = (&result, waiting.subscription) {
            self.subscriptions.remove(&id);
        }
        let _ = waiting.waiter.send(result);
        waiting.last
    }

    /// When the next receipt is late. They are due in the order in which they were sent.
    pub fn due(&self) -> Option<Instant> {
        self.receipts.values().next().map(|waiting| waiting.deadline)
    }

    /// Gives up receipts that are late. Says whether the last was among them.
    pub fn expire(&mut self, now: Instant, timeout: Duration) -> bool {
        let mut last = false;
        while self.due().is_some_and(|due| due <= now) {
            let Some((_, waiting)) = self.receipts.pop_first() else { break };
            waiting.subscription.into_iter().for_each(|id| drop(self.subscriptions.remove(&id)));
            last |= waiting.last;
            let _ = waiting.waiter.send(Err(ClientError::ReceiptTimeout(timeout)));
        }
        last
    }
}

fn cost(frame: &Frame) -> usize {
    let headers: usize = frame.headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    headers + frame.body.len() + OVERHEAD
}
