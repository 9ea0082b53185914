//! What is between a connection's task and its owner: a queue in each direction, both bounded, and how it all ended. Who sends
//! waits while too many bytes are pending; when nobody receives, the task stops reading after a few frames.
//!
//! Does not know: what the messages are, and what the task does with them.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::vec;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Ended;

/// Frames or reads that wait for the owner before the task stops reading. More would not be faster, only more.
const READ_AHEAD: usize = 4;

/// Bytes after which a batch takes no further message; larger writes gain nothing.
const BATCH: usize = 64 << 10;

/// What every pending message costs besides its bytes, so that empty ones are bounded as well.
const OVERHEAD: usize = 32;

/// The owner's end. Dropped, it ends the connection there and then, with whatever was pending.
#[derive(Debug)]
pub(super) struct Pipe<T> {
    outlet: Outlet<T>,
    incoming: mpsc::Receiver<Vec<T>>,
    /// What is left of the frame that is being received.
    current: vec::IntoIter<T>,
    task: JoinSet<()>,
    close_timeout: Duration,
}

/// What sends into a connection; a clone of it sends into the same.
#[derive(Debug)]
pub(super) struct Outlet<T> {
    orders: mpsc::UnboundedSender<Order<T>>,
    room: Arc<Semaphore>,
    most: usize,
    ended: Arc<OnceLock<Ended>>,
}

/// The task's end of what is sent.
pub(super) struct Orders<T> {
    queue: mpsc::UnboundedReceiver<Order<T>>,
    closing: bool,
}

/// The task's end of what is received: one frame with its messages, or one read, at a time.
pub(super) type Inlet<T> = mpsc::Sender<Vec<T>>;

/// Messages to be written. They are pending until this is dropped.
pub(super) struct Batch<T> {
    pub messages: Vec<T>,
    _room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Order<T> {
    Message(T, OwnedSemaphorePermit),
    Close,
}

impl<T> Clone for Outlet<T> {
    fn clone(&self) -> Self {
        let Self { orders, room, most, ended } = self;
        Self { orders: orders.clone(), room: Arc::clone(room), most: *most, ended: Arc::clone(ended) }
    }
}

impl<T: AsRef<[u8]> + Send + 'static> Pipe<T> {
    /// Starts the task of a connection. It is over when `work` is, or when the pipe is dropped.
    pub fn spawn<F>(max_pending: usize, close_timeout: Duration, work: impl FnOnce(Inlet<T>, Orders<T>) -> F) -> Self
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let (inlet, incoming) = mpsc::channel(READ_AHEAD);
        let (orders, queue) = mpsc::unbounded_channel();
        let most = max_pending.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let ended = Arc::new(OnceLock::new());
        let outlet = Outlet { orders, room: Arc::new(Semaphore::new(most)), most, ended: Arc::clone(&ended) };
        // Kept until the end is known: who finds nothing more to receive asks for it at once.
        let open = inlet.clone();
        let work = work(inlet, Orders { queue, closing: false });
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = ended.set(work.await);
            drop(open);
        });
        Self { outlet, incoming, current: Vec::new().into_iter(), task, close_timeout }
    }

    /// What sends into the same connection.
    pub fn outlet(&self) -> &Outlet<T> {
        &self.outlet
    }

    /// The next message. Cancel safe. What came before the end is received before the end is.
    pub async fn receive(&mut self) -> Result<T, Ended> {
        loop {
            if let Some(message) = self.current.next() {
                return Ok(message);
            }
            match self.incoming.recv().await {
                Some(frame) => self.current = frame.into_iter(),
                None => return Err(self.outlet.end()),
            }
        }
    }

    /// Sends what is pending, closes the connection and waits until the server has answered, all of it no longer than allowed.
    pub async fn close(mut self) {
        self.outlet.close();
        // What comes now is for nobody, and must not keep the task from the end.
        self.incoming.close();
        let _ = timeout(self.close_timeout, async { while self.task.join_next().await.is_some() {} }).await;
    }
}

impl<T: AsRef<[u8]>> Outlet<T> {
    /// Puts a message behind all that is pending, as soon as there is room for it. Cancel safe: a message is sent or not.
    pub async fn send(&self, message: T) -> Result<(), Ended> {
        let cost = message.as_ref().len().saturating_add(OVERHEAD).min(self.most);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(cost).await.map_err(|_| self.end())?;
        self.orders.send(Order::Message(message, room)).map_err(|_| self.end())
    }

    /// Waits until nothing is pending.
    pub async fn flushed(&self) -> Result<(), Ended> {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        let room = self.room.acquire_many(all).await;
        if room.is_err() || self.orders.is_closed() { Err(self.end()) } else { Ok(()) }
    }

    fn close(&self) {
        self.room.close();
        let _ = self.orders.send(Order::Close);
    }

    fn end(&self) -> Ended {
        // Without an end, it is this side that closes.
        self.ended.get().cloned().unwrap_or_else(Ended::own)
    }
}

impl<T: AsRef<[u8]>> Orders<T> {
    /// What is pending, up to a batch, once there is something. `None` when the connection is to be closed.
    pub async fn batch(&mut self) -> Option<Batch<T>> {
        if self.closing {
            return None;
        }
        let (first, mut room) = match self.queue.recv().await? {
            Order::Message(message, room) => (message, room),
            Order::Close => return None,
        };
        let mut size = first.as_ref().len();
        let mut messages = vec![first];
        while size < BATCH {
            match self.queue.try_recv() {
                Ok(Order::Message(message, more)) => {
                    size += message.as_ref().len();
                    messages.push(message);
                    room.merge(more);
                }
                Ok(Order::Close) => {
                    self.closing = true;
                    break;
                }
                Err(_) => break,
            }
        }
        Some(Batch { messages, _room: Some(room) })
    }
}

/// Reads and writes at once, each at its own pace. `write` ends without an error when this side closes; then, and when writing
/// fails, the server's last words are still read. The messages that come then are handed over like all others.
pub(super) async fn both_ways(
    read: impl Future<Output = Ended>,
    write: impl Future<Output = Result<(), Ended>>,
) -> Ended {
    tokio::pin!(read);
    let written = tokio::select! {
        ended = &mut read => return ended,
        written = write => written,
    };
    let read = read.await;
    match written {
        Ok(()) => Ended::own(),
        // A close that came says more than that nothing can be written.
        Err(_) if read.code.is_some() => read,
        Err(ended) => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::sync::oneshot;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn who_sends_waits_while_too_much_is_pending() {
        let (hand, mut taken) = mpsc::unbounded_channel();
        let pipe = Pipe::<String>::spawn(100, SECOND, |_, mut orders| async move {
            while let Some(batch) = orders.batch().await {
                let _ = hand.send(batch);
            }
            Ended::own()
        });
        let outlet = pipe.outlet().clone();
        outlet.send("x".repeat(50)).await.unwrap();
        // No room for its overhead.
        assert!(timeout(SECOND, outlet.send("x".repeat(20))).await.is_err());
        let first = taken.recv().await.unwrap();
        assert!(timeout(SECOND, outlet.flushed()).await.is_err());
        drop(first);
        outlet.flushed().await.unwrap();
        // Larger than all the room there is, it is sent alone.
        outlet.send("x".repeat(1000)).await.unwrap();
        assert!(timeout(SECOND, outlet.send(String::new())).await.is_err());
        assert_eq!(taken.recv().await.unwrap().messages[0].len(), 1000);
        outlet.send(String::new()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_ahead_without_bound_and_all_of_it_comes_before_the_end() {
        let (count, mut counted) = mpsc::unbounded_channel();
        let mut pipe = Pipe::<String>::spawn(100, SECOND, |inlet, _orders| async move {
            for number in 0..20 {
                let _ = inlet.send(vec![format!("{number}a"), format!("{number}b")]).await;
                let _ = count.send(number);
            }
            Ended::closed(Some(3000), "done")
        });
        tokio::time::sleep(SECOND).await;
        assert_eq!(counted.len(), READ_AHEAD);
        assert_eq!(counted.recv().await, Some(0));
        for number in 0..20 {
            assert_eq!(pipe.receive().await.unwrap(), format!("{number}a"));
            assert_eq!(pipe.receive().await.unwrap(), format!("{number}b"));
        }
        for _ in 0..2 {
            assert_eq!(pipe.receive().await.unwrap_err().code, Some(3000));
        }
        assert_eq!(pipe.outlet().send("late".into()).await.unwrap_err().code, Some(3000));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_sends_what_is_pending_first_and_does_not_wait_for_ever() {
        let (told, tell) = oneshot::channel();
        let pipe = Pipe::<String>::spawn(1000, SECOND, |_inlet, mut orders| async move {
            let mut seen = vec![];
            while let Some(batch) = orders.batch().await {
                seen.extend(batch.messages);
            }
            let _ = told.send(seen);
            pending().await
        });
        let outlet = pipe.outlet().clone();
        outlet.send("one".into()).await.unwrap();
        outlet.send("two".into()).await.unwrap();
        pipe.close().await;
        assert_eq!(tell.await.unwrap(), ["one", "two"]);
        assert_eq!(outlet.send("three".into()).await, Err(Ended::own()));
    }
}
