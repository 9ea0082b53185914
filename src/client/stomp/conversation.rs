//! One connection, from the answer to CONNECT to its end: subscriptions are restored, orders written, messages and receipts handed
//! over, heart-beats sent and expected.
//!
//! Does not know: what happens before and after.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::link::Sender;
use super::super::{Cause, Ended, Link};
use super::receipt::Waiter;
use super::shared::{Order, Room, Shared, Stop, Waiting};
use super::{ClientError, Connected, Event, Message, Options, handshake};
use crate::stomp::{Command, Frame, Input, Parser, Version};

/// A heart-beat.
const BEAT: &[u8] = b"\n";

/// A connection on which CONNECT was answered.
pub(super) struct Conversation {
    pub link: Link,
    pub parser: Parser,
    pub connected: Arc<Connected>,
}

/// How a conversation ended.
pub(super) enum End {
    /// The client is at its end.
    Left,
    Lost(ClientError),
}

impl Conversation {
    /// Runs until the connection is lost or the client ends.
    pub async fn run(
        mut self,
        shared: &Shared,
        options: &Options,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        held: &mut Option<Order>,
        stop: &mut watch::Receiver<Stop>,
    ) -> End {
        let connected = Arc::clone(&self.connected);
        let mut writer = Writer {
            shared,
            options,
            sender: self.link.sender(),
            connected: &connected,
            written: Instant::now(),
            leaving: false,
        };
        let writing = async {
            let Err(_gone) = writer.run(orders, held).await else { return };
            // Only the reader knows how it ended, and whether there is something to be read before that.
            pending().await
        };
        let end = tokio::select! {
            end = read(&mut self.link, &mut self.parser, &connected, shared) => end,
            () = writing => End::Left,
            () = given_up(stop, options.receipt_timeout) => End::Left,
        };
        if matches!(end, End::Left) {
            self.link.close().await;
        }
        end
    }
}

/// Ready when the client is to end at once, or some time after its last handle is gone.
async fn given_up(stop: &mut watch::Receiver<Stop>, patience: Duration) {
    let ordered = stop.wait_for(|stop| *stop == Stop::Now).await.is_ok();
    if !ordered {
        sleep(patience).await;
    }
}

async fn read(link: &mut Link, parser: &mut Parser, connected: &Connected, shared: &Shared) -> End {
    let silence = connected.hears.map(|hears| hears.saturating_mul(2));
    loop {
        match parser.next() {
            Ok(Some(Input::Frame(frame))) => {
                if let Some(end) = take(frame, connected, shared).await {
                    return end;
                }
                continue;
            }
            Ok(Some(Input::HeartBeat)) => continue,
            Ok(None) => {}
            Err(error) => return End::Lost(ClientError::Protocol(error.to_string())),
        }
        let received = match silence {
            Some(silence) => match timeout(silence, link.receive()).await {
                Ok(received) => received,
                Err(_) => return End::Lost(ClientError::Silent(silence)),
            },
            None => link.receive().await,
        };
        match received {
            Ok(bytes) => parser.feed(bytes),
            Err(ended) => return End::Lost(ClientError::Lost(ended)),
        }
    }
}

/// Hands a frame over, which may have to wait for room.
async fn take(frame: Frame, connected: &Connected, shared: &Shared) -> Option<End> {
    match frame.command {
        Command::Message => {
            let queue = queue(&frame, connected.version, shared);
            if let Some(queue) = queue {
                // Whoever has unsubscribed wants nothing more.
                let _ = queue.send(Message::new(frame, connected.version, connected.number)).await;
            }
            None
        }
        Command::Receipt => {
            let receipt = frame.headers.get("receipt-id").unwrap_or_default();
            shared.tables.lock().settle(receipt, Ok(())).then_some(End::Left)
        }
        Command::Error => {
            let error = handshake::error(&frame);
            if let Some(receipt) = frame.headers.get("receipt-id") {
                shared.tables.lock().settle(receipt, Err(error.clone()));
            }
            Some(End::Lost(error))
        }
        other => Some(End::Lost(ClientError::Protocol(format!("a server sent {other}")))),
    }
}

/// Where a message goes. Those of a subscription that has just ended go nowhere.
fn queue(frame: &Frame, version: Version, shared: &Shared) -> Option<mpsc::Sender<Message>> {
    let tables = shared.tables.lock();
    let entry = match frame.headers.get("subscription") {
        Some(id) => tables.subscriptions.get(&id.parse().ok()?),
        // Servers of 1.0 need not say it.
        None if version == Version::V1_0 => {
            let destination = frame.headers.get("destination")?;
            tables.subscriptions.values().find(|entry| entry.subscribe.destination == destination)
        }
        None => None,
    };
    entry.map(|entry| entry.queue.clone())
}

struct Writer<'a> {
    shared: &'a Shared,
    options: &'a Options,
    sender: Sender,
    connected: &'a Arc<Connected>,
    /// When something was written last.
    written: Instant,
    /// DISCONNECT is written; nothing may follow it.
    leaving: bool,
}

impl Writer<'_> {
    /// Writes until the client is to end, and its receipt is late or not to be waited for.
    async fn run(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        held: &mut Option<Order>,
    ) -> Result<(), Ended> {
        self.restore().await?;
        loop {
            if let Some(order) = held.take() {
                self.carry_out(order, held).await?;
                continue;
            }
            let now = Instant::now();
            if self.shared.tables.lock().expire(now, self.options.receipt_timeout) {
                return Ok(());
            }
            let late = self.shared.tables.lock().due();
            // Half of the interval, so that a beat is on time wherever it has to wait on its way.
            let beat = self.connected.beats.filter(|_| !self.leaving).map(|beats| self.written + beats / 2);
            tokio::select! {
                biased;
                order = orders.recv(), if !self.leaving => match order {
                    Some(order) => self.carry_out(order, held).await?,
                    None => {
                        self.write(&Frame::new(Command::Disconnect)).await?;
                        return Ok(());
                    }
                },
                () = at(beat) => {
                    self.sender.send(BEAT.into()).await?;
                    self.written = Instant::now();
                }
                () = at(late) => {}
            }
        }
    }

    /// Subscribes to everything that was subscribed to, and tells that the connection is there.
    async fn restore(&mut self) -> Result<(), Ended> {
        if self.connected.number == 1 {
            return Ok(());
        }
        let frames: Vec<_> = {
            let tables = self.shared.tables.lock();
            tables.subscriptions.iter().map(|(id, entry)| entry.subscribe.frame(*id)).collect()
        };
        for frame in frames {
            self.write(&frame).await?;
        }
        self.shared.tell(Event::Connected(Arc::clone(self.connected)));
        Ok(())
    }

    /// Carries out an order. One that the connection did not take is held for the next.
    async fn carry_out(&mut self, order: Order, held: &mut Option<Order>) -> Result<(), Ended> {
        match order {
            Order::Frame { connection: Some(connection), .. } if connection != self.connected.number => {
                order.refuse(&ClientError::Stale);
                Ok(())
            }
            Order::Frame { frame, waiter, connection, room } => {
                let Err((waiter, room, ended)) = self.deliver(&frame, waiter, room, None).await else { return Ok(()) };
                *held = Some(Order::Frame { frame, waiter, connection, room });
                Err(ended)
            }
            Order::Subscribe { id, entry, waiter, room } => {
                self.shared.tables.lock().subscriptions.insert(id, entry.clone());
                let frame = entry.subscribe.frame(id);
                let Err((waiter, room, ended)) = self.deliver(&frame, waiter, room, Some(id)).await else {
                    return Ok(());
                };
                self.shared.tables.lock().subscriptions.remove(&id);
                *held = Some(Order::Subscribe { id, entry, waiter, room });
                Err(ended)
            }
            Order::Unsubscribe { id } => {
                // On a connection that is lost there is nothing to end.
                let known = self.shared.tables.lock().subscriptions.remove(&id);
                let Some(entry) = known else { return Ok(()) };
                let frame = Frame::new(Command::Unsubscribe)
                    .with("id", id.to_string())
                    .with("destination", entry.subscribe.destination.as_str());
                self.write(&frame).await
            }
            Order::Disconnect { waiter } => {
                let frame = Frame::new(Command::Disconnect);
                let Err((waiter, _, ended)) = self.deliver(&frame, Some(waiter), None, None).await else {
                    self.leaving = true;
                    return Ok(());
                };
                waiter.into_iter().for_each(|waiter| drop(waiter.send(Err(ClientError::Unsent))));
                Err(ended)
            }
        }
    }

    /// Writes a frame and notes the receipt that somebody waits for. What could not be written is given back.
    async fn deliver(
        &mut self,
        frame: &Frame,
        waiter: Option<Waiter>,
        room: Option<Room>,
        subscription: Option<u64>,
    ) -> Result<(), (Option<Waiter>, Option<Room>, Ended)> {
        let Some(waiter) = waiter else {
            return self.write(frame).await.map_err(|ended| (None, room, ended));
        };
        let number = self.shared.number();
        let asking = frame.clone().with("receipt", number.to_string());
        match self.send(&asking).await {
            Ok(()) => {
                let deadline = Instant::now() + self.options.receipt_timeout;
                let last = frame.command == Command::Disconnect;
                let waiting = Waiting { waiter, deadline, subscription, last, _room: room };
                self.shared.tables.lock().receipts.insert(number, waiting);
                Ok(())
            }
            Err(ended) if ended.cause == Cause::Unsendable => {
                let _ = waiter.send(Err(ClientError::NotText));
                Ok(())
            }
            Err(ended) => Err((Some(waiter), room, ended)),
        }
    }

    async fn write(&mut self, frame: &Frame) -> Result<(), Ended> {
        match self.send(frame).await {
            Err(ended) if ended.cause == Cause::Unsendable => {
                // Its sender was told where the connection was over SockJS then already.
                tracing::warn!(command = %frame.command, "not sent: SockJS carries text alone");
                Ok(())
            }
            sent => sent,
        }
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), Ended> {
        self.sender.send(frame.encode(self.connected.version)).await?;
        self.written = Instant::now();
        Ok(())
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
