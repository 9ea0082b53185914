//! The only way out of a session. Whatever the transport, its task calls [`Session::poll_drain`], which takes all that
//! waits and writes it as one frame: ten queued messages cost one `a[...]` and one write, not ten.
//!
//! The lock is held while items are moved out of the queue, never while they are encoded.
//!
//! Does not know: HTTP chunks or websocket frame headers; those are the caller's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::outbox::{Beat, Item, Receiver};
use super::{CloseReason, Delivery, ReceiverId, Session, Subscription};
use crate::publication::Form;
use crate::sockjs::{self, Framing};

/// How a transport wants its bytes.
#[derive(Debug, Clone, Copy)]
pub enum Wire<'a> {
    /// The messages as they are, nothing around them: for websockets and TCP.
    Raw,
    /// SockJS frames, wrapped as the receiving transport demands.
    Sockjs(&'a Framing),
}

/// What a drain left behind.
#[derive(Debug, PartialEq, Eq)]
pub enum Drained {
    /// Something was appended to the output: one SockJS frame, or on a raw websocket one or more messages.
    Frames,
    /// The same, and nothing more waits: the task is registered to be woken, as if it had been told [`Poll::Pending`].
    All,
    /// The caller is to send a websocket ping. Nothing was appended.
    Ping,
    /// The session is closed and this was the last drain: the close frame (if the wire has one) was appended.
    Closed(CloseReason),
    /// Another receiver has taken over, or the session was cut off: the caller ends without a word.
    Gone,
}

/// Where a drain puts its messages.
pub trait Sink {
    /// Takes one message, whose bytes `write` appends; about `size` of them. A transport may put something of its own before them.
    fn message(&mut self, text: bool, size: usize, write: impl FnOnce(&mut BytesMut));

    /// Makes room for messages of that many bytes in all.
    fn reserve(&mut self, bytes: usize);
}

/// The messages of a drain one behind the other, for transports that need not tell them apart.
#[derive(Debug, Default)]
pub struct Output {
    bytes: BytesMut,
}

impl Output {
    /// An empty output; it allocates when something is drained into it.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that is written into this buffer, behind what is in it.
    pub fn in_buffer(bytes: BytesMut) -> Self {
        Self { bytes }
    }

    /// The buffer with all bytes.
    pub fn into_buffer(self) -> BytesMut {
        self.bytes
    }

    /// All bytes so far.
    pub fn take_bytes(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }

    /// The number of bytes that wait to be taken.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Sink for Output {
    fn message(&mut self, _text: bool, _size: usize, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.bytes);
    }

    fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }
}

/// What a drain decided to do while it held the lock.
enum Next {
    Open,
    Ping,
    Close(CloseReason),
    Beat(Beat),
    Batch(Batch),
}

/// What was taken out of the queue.
struct Batch {
    items: VecDeque<Item>,
    /// What they cost there.
    cost: usize,
    /// Nothing is left, and the task is registered.
    all: bool,
    /// Who waits for the room that it leaves.
    room_waker: Option<Box<Waker>>,
}

impl Session {
    /// Waits until a message of that many bytes can be queued beside what waits already, or the session is over. One task at a
    /// time: for who passes messages on and can leave them where they come from.
    pub fn poll_room(&self, cx: &mut Context<'_>, bytes: usize) -> Poll<()> {
        let mut outbox = self.outbox.lock();
        if outbox.closing.is_some() || outbox.has_room_for(bytes, self.room()) {
            return Poll::Ready(());
        }
        outbox.room_waker = Some(Box::new(cx.waker().clone()));
        Poll::Pending
    }

    /// Takes what is to be sent next and appends it to `out`, or registers the task to be woken.
    ///
    /// One call yields one frame, so a transport that must not merge frames (a poll, a chunk) calls once and one that may
    /// (a websocket before its flush) calls until `Pending`. `budget` is the number of bytes after which no further
    /// message is added to the frame; a single larger message is never cut (SockJS protocol, response limit).
    pub fn poll_drain(
        &self,
        cx: &mut Context<'_>,
        receiver: ReceiverId,
        wire: Wire<'_>,
        budget: usize,
        now: Instant,
        out: &mut impl Sink,
    ) -> Poll<Drained> {
        loop {
            let next = {
                let mut outbox = self.outbox.lock();
                if outbox.receiver != Receiver::Attached(receiver) {
                    return Poll::Ready(Drained::Gone);
                }
                if !outbox.opened {
                    outbox.opened = true;
                    outbox.last_sent = now;
                    Next::Open
                } else if outbox.ping {
                    outbox.ping = false;
                    Next::Ping
                } else if !outbox.queue.is_empty() {
                    outbox.last_sent = now;
                    outbox.beat = None;
                    let bytes = outbox.bytes;
                    let items = outbox.take(budget);
                    let all = outbox.queue.is_empty() && outbox.closing.is_none();
                    if all {
                        outbox.register(cx);
                    }
                    let (cost, room_waker) = (bytes - outbox.bytes, outbox.room_waker.take());
                    Next::Batch(Batch { items, cost, all, room_waker })
                } else if let Some(reason) = &outbox.closing {
                    Next::Close(CloseReason::clone(reason))
                } else if let Some(beat) = outbox.beat.take() {
                    outbox.last_sent = now;
                    Next::Beat(beat)
                } else {
                    outbox.register(cx);
                    return Poll::Pending;
                }
            };
            match next {
                Next::Ping => return Poll::Ready(Drained::Ping),
                Next::Open => {
                    if let Wire::Sockjs(framing) = wire {
                        out.message(true, 1, |bytes| framing.open(bytes));
                        return Poll::Ready(Drained::Frames);
                    }
                }
                Next::Close(reason) => {
                    if let Wire::Sockjs(framing) = wire {
                        out.message(true, 64, |bytes| framing.close(&reason.close(), bytes));
                    }
                    return Poll::Ready(Drained::Closed(reason));
                }
                Next::Beat(beat) => {
                    write_beat(beat, wire, out);
                    return Poll::Ready(Drained::Frames);
                }
                Next::Batch(Batch { items: mut batch, cost, all, room_waker }) => {
                    if let Some(waker) = room_waker {
                        waker.wake();
                    }
                    self.mark_carried();
                    let taken_back = claim(&batch, now);
                    screen(&mut batch, &taken_back, now);
                    // A batch of nothing but withdrawn deliveries leaves nothing to send; an empty message is something.
                    if write_batch(&batch, &taken_back, cost, wire, out) {
                        return Poll::Ready(if all { Drained::All } else { Drained::Frames });
                    }
                }
            }
        }
    }
}

fn write_beat(beat: Beat, wire: Wire<'_>, out: &mut impl Sink) {
    out.message(true, 1, |bytes| match (wire, beat) {
        (Wire::Raw, _) => bytes.extend_from_slice(b"\n"),
        (Wire::Sockjs(framing), Beat::Sockjs) => framing.heartbeat(bytes),
        (Wire::Sockjs(framing), Beat::Stomp) => {
            framing.begin_messages(bytes);
            sockjs::quote_into(framing.encoding(), "\n", bytes);
            framing.end_messages(bytes);
        }
    });
}

/// Tells the sources of tracked deliveries that these are being written. Returns the subscriptions whose deliveries have
/// been taken back meanwhile; usually there are none, and then nothing is allocated.
fn claim(batch: &VecDeque<Item>, now: Instant) -> Vec<Arc<Subscription>> {
    let mut claimed: Vec<(&Arc<Subscription>, bool)> = Vec::new();
    // From the end: the first that is met of a subscription is its last.
    for item in batch.iter().rev() {
        if let Item::Delivery(Delivery { subscription, tag, .. }) = item
            && tag.is_tracked()
            && !claimed.iter().any(|(own, _)| Arc::ptr_eq(own, subscription))
        {
            claimed.push((subscription, subscription.claim(*tag, now)));
        }
    }
    claimed.into_iter().filter(|(_, granted)| !granted).map(|(subscription, _)| Arc::clone(subscription)).collect()
}

/// Takes out, or changes, what the screens of subscriptions say. Most have none, and then this is a glance at each item.
fn screen(batch: &mut VecDeque<Item>, taken_back: &[Arc<Subscription>], now: Instant) {
    let is_screened = |item: &Item| matches!(item, Item::Delivery(delivery) if delivery.subscription.is_screened());
    if !batch.iter().any(is_screened) {
        return;
    }
    batch.retain_mut(|item| match item {
        Item::Delivery(delivery) if !taken_back.iter().any(|own| Arc::ptr_eq(own, &delivery.subscription)) => {
            let subscription = Arc::clone(&delivery.subscription);
            subscription.pass(delivery, now)
        }
        _ => true,
    });
}

/// Writes what is still to be sent of a batch that costs so many bytes. Whether that is anything.
fn write_batch(
    batch: &VecDeque<Item>,
    taken_back: &[Arc<Subscription>],
    cost: usize,
    wire: Wire<'_>,
    out: &mut impl Sink,
) -> bool {
    let live = |item: &Item| match item {
        Item::Delivery(Delivery { subscription, tag, .. }) if tag.is_tracked() => {
            !taken_back.iter().any(|own| Arc::ptr_eq(own, subscription))
        }
        Item::Delivery(delivery) => delivery.subscription.is_active(),
        Item::Message(_) => true,
    };
    let mut items = batch.iter().filter(|item| live(item)).peekable();
    if items.peek().is_none() {
        return false;
    }
    // Quoting lengthens a message a little; an eighth more saves most batches the second allocation.
    let size = cost + cost / 8 + 64;
    out.reserve(size);
    match wire {
        Wire::Raw => {
            for item in items {
                match item {
                    Item::Delivery(delivery) => out.message(delivery.publication.is_text(), item.cost(), |bytes| {
                        write_delivery(delivery, Form::Raw, bytes);
                    }),
                    Item::Message(message) => {
                        out.message(message.is_text(), item.cost(), |bytes| {
                            bytes.extend_from_slice(message.payload());
                        });
                    }
                }
            }
        }
        Wire::Sockjs(framing) => {
            out.message(true, size, |bytes| {
                let encoding = framing.encoding();
                framing.begin_messages(bytes);
                while let Some(item) = items.next() {
                    match item {
                        Item::Delivery(delivery) => write_delivery(delivery, Form::Quoted(encoding), bytes),
                        Item::Message(message) => match message.as_str() {
                            Some(text) => sockjs::quote_into(encoding, text, bytes),
                            // Services that speak SockJS send text; for bytes that are none, a fault of the service,
                            // replacement characters are the honest rest.
                            None => sockjs::quote_into(encoding, &String::from_utf8_lossy(message.payload()), bytes),
                        },
                    }
                    if items.peek().is_some() {
                        framing.separator(bytes);
                    }
                }
                framing.end_messages(bytes);
            });
        }
    }
    true
}

/// One MESSAGE frame: what differs from subscription to subscription, what differs from delivery to delivery, and the tail
/// that is the same for all.
fn write_delivery(delivery: &Delivery, form: Form, out: &mut BytesMut) {
    let Delivery { publication, subscription, .. } = delivery;
    let write = |text: &str, out: &mut BytesMut| match form {
        Form::Raw => out.extend_from_slice(text.as_bytes()),
        Form::Quoted(encoding) => sockjs::quote_into(encoding, text, out),
    };
    write(subscription.head(), out);
    if !delivery.is_plain() {
        write(&delivery.headers(), out);
    }
    let version = subscription.version();
    if delivery.has_own_id() {
        out.extend_from_slice(publication.tail_behind_id(version, form));
    } else {
        out.extend_from_slice(publication.tail(version, form));
    }
}
