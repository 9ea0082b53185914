//! The least of a queue with competing consumers: a message goes to the next of them that may have one, and an
//! acknowledgement lets its consumer have another.
//!
//! Does not know: which message was acknowledged. Nothing is kept for a redelivery, so nothing has to be found again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::outbox::Outbox;
use super::topics::message;
use super::wire::{Carrier, Input, answer, body, header};
use crate::support::Outcome;

/// All queues by their destinations.
#[derive(Default)]
pub struct Queues(Mutex<HashMap<String, Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Bytes>,
    /// Whose turn is next stands first.
    consumers: VecDeque<Consumer>,
    delivered: u64,
}

struct Consumer {
    id: String,
    outbox: Arc<Outbox>,
    carrier: Carrier,
    /// Messages that it may have on top of those that it has; without a number as many as there are.
    credit: Option<u64>,
}

impl Queues {
    /// Does what a frame of that client asks for. Returns the queue that it consumes from now on, if it subscribed.
    fn handle(&self, frame: &Bytes, outbox: &Arc<Outbox>, carrier: Carrier, own: Option<&String>) -> Option<String> {
        let mut queues = self.0.lock();
        if frame.starts_with(b"SEND\n") {
            let queue = queues.entry(header(frame, "destination")?.to_owned()).or_default();
            queue.waiting.push_back(frame.slice_ref(body(frame)));
            queue.deliver(header(frame, "destination")?);
        } else if frame.starts_with(b"ACK\n") {
            let queue = queues.get_mut(own?)?;
            let consumer = queue.consumers.iter_mut().find(|consumer| Arc::ptr_eq(&consumer.outbox, outbox))?;
            consumer.credit = consumer.credit.map(|credit| credit + 1);
            queue.deliver(own?);
        } else if frame.starts_with(b"SUBSCRIBE\n") {
            let destination = header(frame, "destination")?;
            let acknowledges = header(frame, "ack").is_some_and(|mode| mode != "auto");
            let prefetch = header(frame, "prefetch-count").and_then(|count| count.parse().ok()).unwrap_or(u64::MAX / 2);
            let queue = queues.entry(destination.to_owned()).or_default();
            queue.consumers.push_back(Consumer {
                id: header(frame, "id")?.to_owned(),
                outbox: Arc::clone(outbox),
                carrier,
                credit: acknowledges.then_some(prefetch),
            });
            queue.deliver(destination);
            return Some(destination.to_owned());
        }
        None
    }

    fn leave(&self, destination: &str, outbox: &Arc<Outbox>) {
        if let Some(queue) = self.0.lock().get_mut(destination) {
            queue.consumers.retain(|consumer| !Arc::ptr_eq(&consumer.outbox, outbox));
        }
    }
}

impl Queue {
    /// Hands out what waits, as far as there are consumers that may have it.
    fn deliver(&mut self, destination: &str) {
        while !self.waiting.is_empty() {
            let Some(next) = self.consumers.iter().position(|consumer| consumer.credit != Some(0)) else { return };
            self.consumers.rotate_left(next);
            let (Some(consumer), Some(body)) = (self.consumers.front_mut(), self.waiting.pop_front()) else { return };
            self.delivered += 1;
            let mut ack = String::new();
            if let Some(credit) = &mut consumer.credit {
                *credit -= 1;
                ack = format!("ack:{}\n", self.delivered);
            }
            let frame = message(&consumer.id, destination, self.delivered, &ack, &body);
            consumer.outbox.push(consumer.carrier.wrap(&frame));
            self.consumers.rotate_left(1);
        }
    }
}

/// One client, producer or consumer of one queue.
pub async fn serve(stream: TcpStream, queues: Arc<Queues>) -> Outcome<()> {
    let (mut input, write) = Input::accept(stream).await?;
    let outbox = Outbox::open(write);
    let mut own = None;
    let outcome = async {
        while let Some(frame) = input.frame().await? {
            if let Some(queue) = queues.handle(&frame, &outbox, input.carrier, own.as_ref()) {
                own = Some(queue);
            }
            if let Some(answer) = answer(&frame) {
                outbox.push(input.carrier.wrap(answer.as_bytes()));
            }
        }
        Ok(())
    };
    let outcome = outcome.await;
    if let Some(queue) = own {
        queues.leave(&queue, &outbox);
    }
    outbox.close();
    outcome
}
