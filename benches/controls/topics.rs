//! Who has subscribed to what, and the one frame that all subscribers of a topic get for a publication.
//!
//! Does not know: how a frame is written to a socket. All subscribers of a topic must have chosen the same id and carrier,
//! else there could not be one frame.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::wire::{Carrier, body, header};

/// The subscribers of each topic.
pub struct Topics<T> {
    topics: Mutex<HashMap<String, Topic<T>>>,
}

impl<T> Default for Topics<T> {
    fn default() -> Self {
        Self { topics: Mutex::default() }
    }
}

/// Subscribers in the order in which they came. Whoever writes to them keeps the list as it was.
pub type Subscribers<T> = Arc<Vec<Arc<T>>>;

struct Topic<T> {
    /// Of the first who came.
    id: String,
    carrier: Carrier,
    published: u64,
    subscribers: Subscribers<T>,
}

impl<T> Topics<T> {
    /// Does what a SUBSCRIBE asks for, and returns the topic. `None` if it names none.
    pub fn subscribe(&self, frame: &[u8], carrier: Carrier, subscriber: &Arc<T>) -> Option<String> {
        let destination = header(frame, "destination")?.to_owned();
        let id = header(frame, "id")?;
        let mut topics = self.topics.lock();
        let topic = topics.entry(destination.clone()).or_insert_with(|| Topic {
            id: id.to_owned(),
            carrier,
            published: 0,
            subscribers: Arc::default(),
        });
        // A copy is made only if somebody publishes at this moment.
        let mut now = std::mem::take(&mut topic.subscribers);
        match Arc::get_mut(&mut now) {
            Some(list) => list.push(Arc::clone(subscriber)),
            None => now = Arc::new(now.iter().chain([subscriber]).cloned().collect()),
        }
        topic.subscribers = now;
        Some(destination)
    }

    /// Forgets a subscriber of that topic, and a topic that nobody listens to.
    pub fn leave(&self, destination: &str, subscriber: &Arc<T>) {
        let mut topics = self.topics.lock();
        let Some(topic) = topics.get_mut(destination) else { return };
        let others = topic.subscribers.iter().filter(|other| !Arc::ptr_eq(other, subscriber));
        topic.subscribers = Arc::new(others.cloned().collect());
        if topic.subscribers.is_empty() {
            topics.remove(destination);
        }
    }

    /// Makes the frame of a SEND's message, and says who gets it. `None` if nobody does.
    pub fn publication(&self, frame: &[u8]) -> Option<(Bytes, Subscribers<T>)> {
        let destination = header(frame, "destination")?;
        let mut topics = self.topics.lock();
        let topic = topics.get_mut(destination)?;
        topic.published += 1;
        let message = message(&topic.id, destination, topic.published, "", body(frame));
        Some((topic.carrier.wrap(&message), Arc::clone(&topic.subscribers)))
    }
}

/// A MESSAGE with its NUL. `more` are further headers, each with its line feed.
pub fn message(id: &str, destination: &str, number: u64, more: &str, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(128 + destination.len() + body.len());
    // A Vec takes whatever is written.
    let _ = write!(
        frame,
        "MESSAGE\nsubscription:{id}\ndestination:{destination}\nmessage-id:{number}\n{more}content-length:{}\n\n",
        body.len()
    );
    frame.extend_from_slice(body);
    frame.push(0);
    frame
}
