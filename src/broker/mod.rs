//! The embedded broker: destinations and delivery. Whoever publishes calls it inline; it puts two pointers into each
//! subscriber's outbox and wakes its receiver. It never encodes and never writes to a socket.
//!
//! Order: a destination has one lock, held while a publication is handed to all its subscribers, so all of them see the
//! messages of one destination in one order, and a publisher's messages keep theirs.
//!
//! Does not know: STOMP frames, transports, or who may publish where.

mod destination;
mod pattern;
mod subscribers;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use metrics::Counter;
use thiserror::Error;

use crate::config;
use crate::metrics as meters;
use crate::publication::Publication;
use crate::session::Subscription;
use crate::stomp::Headers;

pub use destination::{Destination, DestinationError};
pub use pattern::Pattern;
use topics::Topics;

/// The destinations of one gateway.
pub struct Broker {
    topics: Topics,
    max_name: usize,
    ids: AtomicU64,
    publications: Counter,
    deliveries: Counter,
}

/// Why the broker refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BrokerError {
    /// The destination is none that this broker serves.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// A new destination would exceed `broker.max_destinations`.
    #[error("the broker holds max_destinations destinations ({0})")]
    TooManyDestinations(usize),
    /// A new pattern would exceed `broker.max_patterns`.
    #[error("the broker holds max_patterns patterns ({0})")]
    TooManyPatterns(usize),
}

impl Broker {
    /// An empty broker.
    pub fn new(settings: &config::Broker) -> Self {
        Self {
            topics: Topics::new(settings.max_destinations, settings.max_patterns),
            max_name: settings.max_name,
            ids: AtomicU64::new(1),
            publications: meters::publications(),
            deliveries: meters::deliveries(),
        }
    }

    /// Publishes a message: when this returns, it stands in the outbox of every subscriber. Returns how many there were.
    ///
    /// # Errors
    /// A destination that is a pattern or of no known kind; too many destinations.
    pub fn publish(&self, destination: &str, headers: Headers, body: Bytes) -> Result<usize, BrokerError> {
        let topic = self.parse(destination)?.exact()?;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let publication = Arc::new(Publication::new(id, topic, headers, body));
        let receivers = self.topics.publish(&publication)?;
        self.publications.increment(1);
        self.deliveries.increment(receivers as u64);
        Ok(receivers)
    }

    /// Subscribes to a destination or a pattern. Every publication that begins after this returns is delivered.
    ///
    /// # Errors
    /// A destination of no known kind or a malformed pattern; too many destinations or patterns.
    pub fn subscribe(&self, destination: &str, subscription: &Arc<Subscription>) -> Result<(), BrokerError> {
        match self.parse(destination)? {
            Destination::Topic(name) => self.topics.subscribe(name, subscription),
            Destination::Pattern(pattern) => self.topics.subscribe_pattern(&pattern, subscription),
        }
    }

    /// Takes a subscription back. Deliveries of it that still wait in the outbox are not sent any more.
    pub fn unsubscribe(&self, destination: &str, subscription: &Arc<Subscription>) {
        subscription.deactivate();
        self.leave(destination, subscription);
    }

    /// Takes a subscription out because its session has ended. Nothing more is delivered to it, and what waits in the outbox
    /// is still sent before the close.
    pub fn leave(&self, destination: &str, subscription: &Arc<Subscription>) {
        match Destination::parse(destination) {
            Ok(Destination::Topic(name)) => self.topics.unsubscribe(name, subscription),
            Ok(Destination::Pattern(pattern)) => self.topics.unsubscribe_pattern(&pattern, subscription),
            // Nothing can be subscribed there.
            Err(_) => {}
        }
    }

    fn parse<'a>(&self, destination: &'a str) -> Result<Destination<'a>, DestinationError> {
        if destination.len() > self.max_name {
            meters::limit_reached("max_name");
            return Err(DestinationError::TooLong(self.max_name));
        }
        Destination::parse(destination)
    }

    /// The number of topics and of patterns now alive.
    pub fn len(&self) -> (usize, usize) {
        self.topics.len()
    }

    /// Whether nobody is subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }
}
