//! The embedded broker: destinations and delivery. Whoever publishes calls it inline; it puts a few pointers into each
//! receiver's outbox and wakes it. It never encodes and never writes to a socket.
//!
//! Order: a destination has one lock, held while a publication is handed on, so all subscribers of a destination see its
//! messages in one order, and a publisher's messages keep theirs.
//!
//! A message is published in two steps: [`Broker::reserve`] finds out whether it can be, and keeps a place for it where
//! places are limited; [`Broker::publish`] cannot fail then. A transaction takes the first step for all its messages before
//! the second for any.
//!
//! Does not know: STOMP frames, transports, or who may publish where.

mod destination;
mod history;
mod listing;
mod membership;
mod pattern;
mod queue;
mod queues;
mod rules;
mod selector;
mod subscribers;
mod timers;
mod topics;
mod users;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics::Counter;
use rand::RngExt as _;
use thiserror::Error;

use crate::config::{self, Config};
use crate::metrics as meters;
use crate::publication::{Ledger, Publication};
use crate::session::{Deadlines, Delivery, Item, Session, Subscription};
use crate::stomp::{AckMode, Headers};

pub use destination::{Destination, DestinationError, TopicPrefixes};
pub use listing::{Kind, Listed};
pub use membership::{Membership, Named, NotHeld};
pub use pattern::Pattern;
pub use queue::Verdict;
pub use selector::{Selector, SelectorError};
pub use subscribers::Reach;

use history::Past;
use queue::{Queue, Refusal};
use queues::Queues;
use rules::Rules;
use subscribers::{Particular, Subscriber};
use timers::Timers;
use topics::{Topic, Topics};
use users::Users;

/// The destinations of one gateway.
pub struct Broker {
    settings: config::Broker,
    topic_prefixes: TopicPrefixes,
    rules: Arc<Rules>,
    timers: Arc<Timers>,
    topics: Topics,
    queues: Queues,
    users: Users,
    ledger: Arc<Ledger>,
    ids: AtomicU64,
    publications: Counter,
    deliveries: Counter,
}

/// What is asked of the broker with a SUBSCRIBE.
pub struct Subscribing<'a> {
    /// The destination, as the client wrote it.
    pub destination: &'a str,
    /// Where deliveries go.
    pub subscription: &'a Arc<Subscription>,
    /// How they are acknowledged.
    pub ack: AckMode,
    /// How many messages the subscription may hold unacknowledged, if its client says so.
    pub prefetch: Option<usize>,
    /// Which messages it takes.
    pub selector: Option<Selector>,
    /// How many of a topic's last messages it wants first.
    pub past: Option<usize>,
    /// Whose `/user/...` destinations are meant.
    pub user: &'a str,
}

impl<'a> Subscribing<'a> {
    /// A subscription without any wishes.
    pub fn plain(destination: &'a str, subscription: &'a Arc<Subscription>) -> Self {
        let (prefetch, selector, past) = (None, None, None);
        Self { destination, subscription, ack: AckMode::Auto, prefetch, selector, past, user: "" }
    }
}

/// A place for one message, kept until the message comes or this is dropped.
pub struct Reserved {
    place: Place,
    size: usize,
    ttl: Option<Duration>,
}

enum Place {
    /// None if nobody listens.
    Topic(Option<Arc<Topic>>),
    Queue(Arc<Queue>),
    User {
        name: String,
        local: String,
    },
    /// A user who is not there, or a reply queue that has gone or has no room.
    Nowhere,
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
    /// The queue, or all queues together, hold as much as they may.
    #[error("the queue takes no more messages now: {0} is reached; consume from it, or raise that setting")]
    QueueFull(&'static str),
    /// All live messages hold `broker.high_water` bytes.
    #[error("the broker takes no more messages now: they hold high_water, {0} bytes")]
    HighWater(usize),
    /// An `expiration` header that is no number.
    #[error("expiration is a number of milliseconds, not {0:?}")]
    Expiration(String),
    /// `x-history` where there is none to ask for.
    #[error("x-history is for one topic whose configuration keeps a history; {0}")]
    NoHistory(&'static str),
    /// `x-history` of a client that has not read what it asked for before.
    #[error(
        "more history is sent when what waits for this session has been read; outbox_messages or outbox_bytes is reached"
    )]
    ReadFirst,
}

/// How many live bytes there are, against `broker.high_water`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// Less than three quarters.
    Low,
    /// More; publishers should be slowed down.
    High,
}

impl Broker {
    /// An empty broker. It sets the alarm of `deadlines` where messages have a time to go.
    pub fn new(config: &Config, deadlines: &Arc<Deadlines>) -> Arc<Self> {
        let settings = config.broker.clone();
        let rules = Arc::new(Rules::new(&settings, &config.destinations));
        let timers = Timers::new(Arc::clone(deadlines));
        Arc::new_cyclic(|me| Self {
            topics: Topics::new(&settings, Arc::clone(&rules), Arc::clone(&timers)),
            queues: Queues::new(&settings, Arc::clone(&rules), Arc::clone(&timers), Weak::clone(me)),
            users: Users::new(settings.max_destinations),
            ledger: Arc::default(),
            ids: AtomicU64::new(1),
            publications: meters::publications(),
            deliveries: meters::deliveries(),
            topic_prefixes: TopicPrefixes::new(&settings.topic_prefixes),
            settings,
            rules,
            timers,
        })
    }

    /// Finds out whether a message with those headers and that many bytes of body can be published, and keeps a place for
    /// it.
    ///
    /// # Errors
    /// A destination that nothing can be sent to; a limit that is reached; a malformed `expiration`.
    pub fn reserve(
        &self,
        destination: &str,
        headers: &Headers,
        body: usize,
        now: Instant,
    ) -> Result<Reserved, BrokerError> {
        let parsed = self.checked(destination, Destination::of_send)?;
        if self.ledger.bytes() >= self.settings.high_water {
            meters::limit_reached("high_water");
            return Err(BrokerError::HighWater(self.settings.high_water));
        }
        let size = Publication::size_of(destination, headers, body);
        let (place, ttl) = match parsed {
            Destination::Topic(name) => (Place::Topic(self.topics.find(name)?), None),
            Destination::Queue(name) => {
                let ttl = expiration(headers)?;
                (Place::Queue(self.reserve_in(name, size, now)?), ttl)
            }
            Destination::Reply(name) => (self.reserve_reply(name, size, now), None),
            Destination::User { name, local } if self.users.has(&name, local) => {
                (Place::User { name: name.into_owned(), local: local.to_owned() }, None)
            }
            Destination::User { .. } => (Place::Nowhere, None),
            Destination::Pattern(_) | Destination::Own(_) => return Err(DestinationError::PatternInSend.into()),
        };
        Ok(Reserved { place, size, ttl })
    }

    /// Publishes a message in the place kept for it: when this returns, it stands in a queue or in the outbox of every
    /// receiver. Headers and body must be those that the place was reserved for.
    pub fn publish(
        &self,
        mut reserved: Reserved,
        destination: &str,
        headers: Headers,
        body: Bytes,
        now: Instant,
    ) -> Reach {
        let place = std::mem::replace(&mut reserved.place, Place::Nowhere);
        let reach =
            self.put(place, reserved.ttl, now, |shown| self.publication(shown.unwrap_or(destination), headers, body));
        self.publications.increment(1);
        self.deliveries.increment(reach.receivers as u64);
        if reach.unreachable {
            meters::message_dropped("unreachable");
        }
        reach
    }

    /// Both steps at once.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    pub fn send(&self, destination: &str, headers: Headers, body: Bytes, now: Instant) -> Result<Reach, BrokerError> {
        let reserved = self.reserve(destination, &headers, body.len(), now)?;
        Ok(self.publish(reserved, destination, headers, body, now))
    }

    /// Publishes to what one session of `user` subscribed to as `/user` + `local`, and to no other session of that user.
    pub fn send_to_session(
        &self,
        user: &str,
        session: &Session,
        local: &str,
        headers: Headers,
        body: Bytes,
        now: Instant,
    ) -> Reach {
        self.publications.increment(1);
        let publication = self.publication(&format!("/user{local}"), headers, body);
        let reach = self.users.publish_to(user, session, local, publication, now);
        self.deliveries.increment(reach.receivers as u64);
        reach
    }

    /// Sends one message to one subscription, whatever it is subscribed to.
    pub fn send_to_subscription(
        &self,
        subscription: &Arc<Subscription>,
        destination: &str,
        headers: Headers,
        body: Bytes,
    ) {
        self.publications.increment(1);
        self.deliveries.increment(1);
        let publication = Arc::new(self.publication(destination, headers, body));
        subscription.session().push(Item::Delivery(Delivery::untracked(&publication, subscription)));
    }

    /// Subscribes to a destination or a pattern. Every publication that begins after this returns is delivered.
    ///
    /// # Errors
    /// A destination of no known kind or a malformed pattern; a limit that is reached; a history that is not there.
    pub fn subscribe(&self, asked: Subscribing<'_>, now: Instant) -> Result<Membership, BrokerError> {
        let Subscribing { destination, subscription, ack, prefetch, selector, past, user } = asked;
        let parsed = self.checked(destination, Destination::of_subscribe)?;
        let prefetch = self.prefetch(ack, prefetch);
        let no_history = |why| if past.is_some() { Err(BrokerError::NoHistory(why)) } else { Ok(()) };
        let (kind, queue) = match parsed {
            Destination::Queue(name) => {
                no_history("a queue keeps what nobody has consumed")?;
                let queue = loop {
                    let queue = self.queues.queue(name)?;
                    // A queue that has just gone is made again.
                    if queue.subscribe(subscription, ack, selector.clone(), prefetch, now).is_ok() {
                        break queue;
                    }
                };
                (membership::Kind::Queue, Some(queue))
            }
            Destination::Topic(name) => {
                if past.is_some() && self.rules.of(name).history.is_none() {
                    return Err(BrokerError::NoHistory("this one keeps none"));
                }
                if past.is_some() && !subscription.session().has_room() {
                    return Err(BrokerError::ReadFirst);
                }
                let (subscriber, queue) = self.subscriber(subscription, ack, selector, prefetch, now);
                // What it asks for itself must not be more than it may hold.
                let (most, bytes) = queue.as_ref().map_or((usize::MAX, usize::MAX), |queue| queue.max_len());
                let past = Past { messages: past.unwrap_or(0).min(most), bytes };
                let subscribed = self.topics.subscribe(name, &subscriber, past, now);
                (membership::Kind::Topic(name.into()), accepted(subscribed, queue, subscription, now)?)
            }
            Destination::Pattern(pattern) => {
                no_history("a pattern may match many")?;
                let (subscriber, queue) = self.subscriber(subscription, ack, selector, prefetch, now);
                let subscribed = self.topics.subscribe_pattern(&pattern, &subscriber);
                let queue = accepted(subscribed, queue, subscription, now)?;
                (membership::Kind::Pattern(pattern.as_str().into()), queue)
            }
            Destination::Own(local) => {
                no_history("what is sent to users is not kept")?;
                let (subscriber, queue) = self.subscriber(subscription, ack, selector, prefetch, now);
                let subscribed = self.users.subscribe(user, local, &subscriber);
                let queue = accepted(subscribed, queue, subscription, now)?;
                (membership::Kind::User { name: user.into(), local: local.into() }, queue)
            }
            Destination::User { .. } | Destination::Reply(_) => return Err(DestinationError::NotOwn.into()),
        };
        Ok(Membership::new(Arc::clone(subscription), kind, queue))
    }

    /// Makes a private queue whose one consumer is that subscription, and gives the destination by which others send to
    /// it: a name that cannot be guessed.
    ///
    /// # Errors
    /// [`BrokerError::TooManyDestinations`].
    pub fn open_reply_queue(
        &self,
        subscription: &Arc<Subscription>,
        now: Instant,
    ) -> Result<(String, Membership), BrokerError> {
        let name = destination::reply_queue(rand::rng().random());
        let queue = self.queues.reply_queue(&name)?;
        let _ = queue.subscribe(subscription, AckMode::Auto, None, self.settings.auto_prefetch, now);
        Ok((name, Membership::new(Arc::clone(subscription), membership::Kind::Queue, Some(queue))))
    }

    /// Whether the `reply-to` of a SEND asks for a private queue.
    pub fn is_temp_queue(reply_to: &str) -> bool {
        destination::is_temp_queue(reply_to)
    }

    /// Takes a subscription back. Deliveries of it that still wait in the outbox are not sent any more.
    pub fn unsubscribe(&self, membership: &Membership, now: Instant) {
        membership.subscription().deactivate();
        self.leave(membership, now);
    }

    /// Takes a subscription out because its session has ended. Nothing more is delivered to it. What waits in the outbox
    /// from topics is still sent before the close; what waits there from queues goes back to them.
    pub fn leave(&self, membership: &Membership, now: Instant) {
        let subscription = membership.subscription();
        match membership.kind() {
            membership::Kind::Topic(name) => self.topics.unsubscribe(name, subscription),
            membership::Kind::Pattern(text) => self.topics.unsubscribe_pattern(&Pattern::new(text), subscription),
            membership::Kind::User { name, local } => self.users.unsubscribe(name, local, subscription),
            membership::Kind::Queue => {}
        }
        if let Some(queue) = membership.queue() {
            if queue.leave(subscription, now) {
                self.queues.remove_unused(queue.name());
            }
            // It would not be written, but it would pile up with every subscription that comes and goes unread.
            subscription.session().withdraw(subscription);
        }
    }

    /// Does what has become due: messages expire, histories age.
    pub fn handle_timeout(&self, now: Instant) {
        self.timers.fire(now);
        let totals = self.queues.totals();
        meters::queued(totals.messages(), totals.bytes());
        meters::live_bytes(self.ledger.bytes());
    }

    /// How the destinations of topics begin.
    pub fn topic_prefixes(&self) -> &TopicPrefixes {
        &self.topic_prefixes
    }

    /// How full the broker is.
    pub fn pressure(&self) -> Pressure {
        if self.ledger.bytes() > self.settings.high_water / 4 * 3 { Pressure::High } else { Pressure::Low }
    }

    /// The bytes of all live messages, in queues, in histories, and on their way.
    pub fn live_bytes(&self) -> usize {
        self.ledger.bytes()
    }

    /// The number of topics and of patterns now alive.
    pub fn len(&self) -> (usize, usize) {
        self.topics.len()
    }

    /// The number of queues and of users with subscriptions now alive.
    pub fn queues_and_users(&self) -> (usize, usize) {
        (self.queues.len(), self.users.len())
    }

    /// Messages and bytes in a queue: waiting, or held by consumers. `None` if there is no such queue now.
    pub fn queue_len(&self, name: &str) -> Option<(usize, usize)> {
        self.queues.find(name).map(|queue| queue.len())
    }

    /// Whether nobody is subscribed to anything, and no queue holds a message.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0) && self.queues_and_users() == (0, 0)
    }

    fn checked<'a, T>(
        &self,
        destination: &'a str,
        parse: impl FnOnce(&'a str, &TopicPrefixes) -> Result<T, DestinationError>,
    ) -> Result<T, DestinationError> {
        if destination.len() > self.settings.max_name {
            meters::limit_reached("max_name");
            return Err(DestinationError::TooLong(self.settings.max_name));
        }
        parse(destination, &self.topic_prefixes)
    }

    fn prefetch(&self, ack: AckMode, asked: Option<usize>) -> usize {
        let most = match ack {
            AckMode::Auto => self.settings.auto_prefetch,
            AckMode::Client | AckMode::ClientIndividual => self.settings.max_prefetch,
        };
        asked.unwrap_or(self.settings.prefetch).min(most)
    }

    /// A subscriber of topics. One that acknowledges has a queue of its own, from which it consumes.
    fn subscriber(
        &self,
        subscription: &Arc<Subscription>,
        ack: AckMode,
        selector: Option<Selector>,
        prefetch: usize,
        now: Instant,
    ) -> (Subscriber, Option<Arc<Queue>>) {
        let queue = (ack != AckMode::Auto).then(|| self.queues.private());
        if let Some(queue) = &queue {
            let _ = queue.subscribe(subscription, ack, None, prefetch, now);
        }
        if queue.is_none() && selector.is_none() {
            return (Subscriber::Plain(Arc::clone(subscription)), None);
        }
        let particular = Particular { subscription: Arc::clone(subscription), selector, queue: queue.clone() };
        (Subscriber::Particular(Arc::new(particular)), queue)
    }

    fn reserve_in(&self, name: &str, size: usize, now: Instant) -> Result<Arc<Queue>, BrokerError> {
        loop {
            let queue = self.queues.queue(name)?;
            match queue.reserve(size, now) {
                Ok(()) => return Ok(queue),
                Err(Refusal::Dead) => {}
                Err(Refusal::Full(limit)) => {
                    // It may have been made for nothing.
                    self.queues.remove_unused(queue.name());
                    return Err(queue_full(limit));
                }
            }
        }
    }

    fn reserve_reply(&self, name: &str, size: usize, now: Instant) -> Place {
        let Some(queue) = self.queues.find(name) else { return Place::Nowhere };
        match queue.reserve(size, now) {
            Ok(()) => Place::Queue(queue),
            Err(Refusal::Dead) => Place::Nowhere,
            // It could drop nothing, since all that it holds is on its way to an asker who does not read. That is no fault of
            // the one who answers.
            Err(Refusal::Full(limit)) => {
                meters::limit_reached(limit);
                Place::Nowhere
            }
        }
    }

    /// Sends a message that a queue gave up to that queue's dead-letter destination. Returns whether it is there now; a
    /// message dies but once.
    fn send_dead_letter(&self, dead: &Publication, destination: &str, reason: &'static str, now: Instant) -> bool {
        if dead.is_dead_letter() {
            return false;
        }
        let mut headers = dead.headers().clone();
        for (name, value) in [("x-dead-letter-from", dead.destination()), ("x-dead-letter-reason", reason)] {
            headers.remove(name);
            headers.push(name, value);
        }
        // What expired once must not expire again at once.
        headers.remove("expiration");
        let Ok(mut reserved) = self.reserve(destination, &headers, dead.body().len(), now) else {
            tracing::warn!(
                from = dead.destination(),
                destination,
                "a dead letter was dropped: its destination does not take it"
            );
            return false;
        };
        let place = std::mem::replace(&mut reserved.place, Place::Nowhere);
        if matches!(place, Place::User { .. } | Place::Nowhere) {
            return false;
        }
        self.put(place, None, now, |_| self.publication(destination, headers, dead.body().clone()).as_dead_letter());
        meters::dead_letter(reason);
        true
    }

    /// Puts a publication into its place. It is made only if there is somebody to get it, and with the destination that
    /// the receivers are to see, where that is not the sender's.
    fn put(
        &self,
        place: Place,
        ttl: Option<Duration>,
        now: Instant,
        publication: impl FnOnce(Option<&str>) -> Publication,
    ) -> Reach {
        match place {
            Place::Topic(None) => Reach::default(),
            Place::Topic(Some(topic)) => self.topics.publish(topic, publication(None), now),
            Place::Queue(queue) => {
                queue.publish(Arc::new(publication(None)), ttl, now);
                Reach { receivers: 1, ..Reach::default() }
            }
            Place::User { name, local } => {
                // What the receiver subscribed to is what it sees; the sender's form names the user.
                let own = format!("/user{local}");
                let publication = publication(Some(&own));
                let overflow = self.rules.of(&own).overflow(&own, publication.headers());
                self.users.publish(&name, &local, publication.with_overflow(overflow), now)
            }
            Place::Nowhere => Reach { unreachable: true, ..Reach::default() },
        }
    }

    fn publication(&self, destination: &str, headers: Headers, body: Bytes) -> Publication {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        Publication::new(id, destination, headers, body).charged_to(&self.ledger)
    }
}

impl Reserved {
    /// Whether the message is for somebody who is not there.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.place, Place::Nowhere)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Place::Queue(queue) = &self.place {
            queue.give_back(self.size);
        }
    }
}

/// The private queue of a subscription that was accepted; of one that was not, it goes again.
fn accepted(
    subscribed: Result<(), BrokerError>,
    queue: Option<Arc<Queue>>,
    subscription: &Arc<Subscription>,
    now: Instant,
) -> Result<Option<Arc<Queue>>, BrokerError> {
    if let (Err(_), Some(queue)) = (&subscribed, &queue) {
        queue.leave(subscription, now);
    }
    subscribed.map(|()| queue)
}

fn queue_full(limit: &'static str) -> BrokerError {
    meters::limit_reached(limit);
    BrokerError::QueueFull(limit)
}

fn expiration(headers: &Headers) -> Result<Option<Duration>, BrokerError> {
    let Some(text) = headers.get("expiration") else { return Ok(None) };
    match text.parse() {
        Ok(millis) => Ok(Some(Duration::from_millis(millis))),
        Err(_) => Err(BrokerError::Expiration(text.to_owned())),
    }
}
