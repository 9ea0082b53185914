//! What the frames of a client do at the broker, at once or when their transaction commits.
//!
//! Does not know: how frames come in, or when receipts go out.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::subscriptions::{Key, Subscribed};
use super::transactions::{Action, invalid};
use super::{Commit, Done, Stomp, Stop};
use crate::broker::{Broker, BrokerError, Destination, Reach, Selector, Subscribing, Verdict};
use crate::config::{SendToUsers, UnknownUser};
use crate::metrics;
use crate::publication::TRANSFER_ENCODING;
use crate::session::{Carrier, Session, Subscription, Traits};
use crate::stomp::{Ack, AckMode, Headers, ProtocolError, Send, Subscribe, Unsubscribe, UnsubscribeBy, Violation};

impl Stomp {
    pub(super) fn send(&mut self, session: &Arc<Session>, send: Send, now: Instant) -> Result<Done, Stop> {
        let Send { destination, transaction, mut headers, body, .. } = send;
        let body = self.decoded(&mut headers, body)?;
        self.check_addressee(&destination)?;
        if let Some(reply_to) = headers.get("reply-to").filter(|reply_to| Broker::is_temp_queue(reply_to)) {
            let reply_queue = self.reply_queue(session, reply_to.to_owned(), now)?;
            headers.remove("reply-to");
            headers.push("reply-to", reply_queue);
        }
        if let Some(transaction) = transaction {
            // A transaction that cannot work is not to fail only at its end.
            if let Err(error) = Destination::of_send(&destination) {
                return Err(refused(&error.into(), &destination));
            }
            let action = Action::Send { destination, headers, body };
            self.transactions.add(&transaction, action, &self.service.settings)?;
            return Ok(Done::Fully);
        }
        let sent = self.service.broker.send(&destination, headers, body, now);
        let reach = sent.map_err(|error| refused(&error, &destination))?;
        self.published(&destination, reach, now)
    }

    pub(super) fn subscribe(
        &mut self,
        session: &Arc<Session>,
        subscribe: Subscribe,
        now: Instant,
    ) -> Result<Done, Stop> {
        let Subscribe { id, destination, ack, headers, .. } = subscribe;
        let key = id.clone().map_or_else(|| Key::Destination(destination.clone()), Key::Id);
        self.check_new(&key)?;
        let selector = headers.get("selector").map(|text| self.selector(text)).transpose()?;
        let prefetch = headers.get("prefetch-count").map(prefetch_count).transpose()?;
        let past = headers.get("x-history").map(last).transpose()?;
        let number = self.subscriptions.next_number();
        let traits = Traits { number, acknowledged: ack != AckMode::Auto, offsets: past.is_some() };
        let subscription = Subscription::with_traits(Arc::clone(session), self.version(), id.as_deref(), traits);
        let asked = Subscribing {
            destination: &destination,
            subscription: &subscription,
            ack,
            prefetch,
            selector,
            past,
            user: &self.user,
        };
        let membership = self.service.broker.subscribe(asked, now).map_err(|error| refused(&error, &destination))?;
        self.subscriptions.insert(key, number, Subscribed { membership, ack, implied: false });
        if past.is_some() && !session.has_room() {
            self.pace.replayed(session.carrier(), now);
        }
        Ok(Done::Fully)
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: Unsubscribe, now: Instant) -> Result<Done, Stop> {
        let key = match unsubscribe.subscription {
            UnsubscribeBy::Id(id) => Key::Id(id),
            UnsubscribeBy::Destination(destination) => Key::Destination(destination),
        };
        if self.subscriptions.by_key(&key).is_some_and(|subscribed| subscribed.implied) {
            let detail = "a reply queue goes with its session; it cannot be unsubscribed from";
            return Err(Stop::refuse("cannot unsubscribe", detail));
        }
        let Some(subscribed) = self.subscriptions.remove(&key) else {
            return Err(Stop::violation(Violation::UnknownSubscription, "no subscription of that name is open"));
        };
        self.service.broker.unsubscribe(&subscribed.membership, now);
        Ok(Done::Fully)
    }

    pub(super) fn acknowledge(&mut self, ack: &Ack, verdict: Verdict, now: Instant) -> Result<Done, Stop> {
        if let Some(transaction) = &ack.transaction {
            self.transactions.check(transaction)?;
        }
        let (subscription, subscribed, named) = self.subscriptions.acknowledged(ack)?;
        let not_held = |_| {
            let detail = "it was not delivered yet, or has been acknowledged, given back, or taken into a transaction";
            Stop::violation(Violation::UnknownMessage, detail)
        };
        let Some(transaction) = &ack.transaction else {
            subscribed.membership.acknowledge(named, verdict, now).map_err(not_held)?;
            return Ok(Done::Fully);
        };
        let deliveries = subscribed.membership.reserve(named).map_err(not_held)?;
        let action = Action::Acknowledge { subscription, deliveries, verdict };
        self.transactions.add(transaction, action, &self.service.settings)?;
        Ok(Done::Fully)
    }

    /// COMMIT: makes sure of everything before anything is done. What follows, [`carry_on`](Self::carry_on), cannot fail.
    pub(super) fn commit(&mut self, transaction: &str, receipt: Option<String>, now: Instant) -> Result<(), Stop> {
        let actions = self.transactions.end(transaction)?;
        let mut places = Vec::new();
        for action in &actions {
            match action {
                Action::Send { destination, headers, body } => {
                    let place = self.service.broker.reserve(destination, headers, body.len(), now);
                    let place = place.map_err(|error| refused(&error, destination))?;
                    if place.is_unreachable() {
                        self.check_unreachable(destination)?;
                    }
                    places.push(place);
                }
                Action::Acknowledge { subscription, .. } => {
                    if self.subscriptions.by_number(*subscription).is_none() {
                        let what = "acknowledges messages of a subscription that has ended; they go to others";
                        return Err(invalid(transaction, what).into());
                    }
                }
            }
        }
        let (actions, places) = (actions.into_iter(), places.into_iter());
        self.committing = Some(Commit { actions, places, receipt, done: Done::Fully });
        Ok(())
    }

    /// Does what is left to do of a COMMIT, all of it if `whole`, else until the client is held up. Returns whether nothing is
    /// left.
    pub(super) fn carry_on(&mut self, session: &Arc<Session>, whole: bool, now: Instant) -> bool {
        let Some(mut commit) = self.committing.take() else { return true };
        while let Some(action) = commit.actions.next() {
            match action {
                Action::Send { destination, headers, body } => {
                    let Some(place) = commit.places.next() else { continue };
                    let reach = self.service.broker.publish(place, &destination, headers, body, now);
                    self.pace.published(reach, self.service.broker.pressure(), now);
                    if reach.unreachable {
                        commit.done = Done::Undelivered;
                    }
                }
                Action::Acknowledge { subscription, deliveries, verdict } => {
                    if let Some(subscribed) = self.subscriptions.by_number(subscription) {
                        subscribed.membership.acknowledge_reserved(&deliveries, verdict, now);
                    }
                }
            }
            if self.pace.is_paused() && !whole {
                self.committing = Some(commit);
                return false;
            }
        }
        self.confirm(session, commit.receipt, commit.done, now);
        true
    }

    pub(super) fn abort(&mut self, transaction: &str) -> Result<Done, Stop> {
        for action in self.transactions.end(transaction)? {
            if let Action::Acknowledge { subscription, deliveries, .. } = action
                && let Some(subscribed) = self.subscriptions.by_number(subscription)
            {
                subscribed.membership.release(&deliveries);
            }
        }
        Ok(Done::Fully)
    }

    /// What a SEND has come to, and how fast the next may follow.
    fn published(&mut self, destination: &str, reach: Reach, now: Instant) -> Result<Done, Stop> {
        self.pace.published(reach, self.service.broker.pressure(), now);
        if !reach.unreachable {
            return Ok(Done::Fully);
        }
        self.check_unreachable(destination)?;
        Ok(Done::Undelivered)
    }

    /// Whether a message that reaches nobody is an error, or the RECEIPT is to say so.
    fn check_unreachable(&self, destination: &str) -> Result<(), Stop> {
        // Whoever answers a request cannot know that the asker has gone.
        if self.service.unknown_user == UnknownUser::Error && Destination::is_for_user(destination) {
            return Err(Stop::refuse("unreachable", format!("{destination}\nnobody of that name is subscribed to it")));
        }
        Ok(())
    }

    /// The body as it was before a client that can send text only made it base64.
    fn decoded(&self, headers: &mut Headers, body: Bytes) -> Result<Bytes, Stop> {
        let encoded = self.carrier.speaks_sockjs()
            && headers.get(TRANSFER_ENCODING).is_some_and(|value| value.eq_ignore_ascii_case("base64"));
        if !encoded {
            return Ok(body);
        }
        headers.remove(TRANSFER_ENCODING);
        BASE64.decode(&body).map(Bytes::from).map_err(|error| {
            let detail = format!("{TRANSFER_ENCODING} says base64, and the body is none; {error}");
            Stop::refuse("bad base64 body", detail)
        })
    }

    /// Whether this client may send to users at all.
    fn check_addressee(&self, destination: &str) -> Result<(), Stop> {
        let allowed = match self.service.send_to_users {
            SendToUsers::Anyone => true,
            SendToUsers::Tcp => self.carrier == Carrier::Tcp,
            SendToUsers::Nobody => false,
        };
        // Most are for nobody in particular, and the broker reads them anyway.
        let for_user = || matches!(Destination::of_send(destination), Ok(Destination::User { .. }));
        if allowed || !Destination::is_for_user(destination) || !for_user() {
            return Ok(());
        }
        let detail = format!(
            "{destination}\nsend_to_users is {:?}: this client may not send to users",
            self.service.send_to_users.name()
        );
        Err(Stop::refuse("not allowed", detail))
    }

    fn check_new(&self, key: &Key) -> Result<(), Stop> {
        let most = self.service.settings.max_subscriptions;
        if self.subscriptions.len() >= most {
            metrics::limit_reached("max_subscriptions");
            return Err(Stop::refuse(
                "too many subscriptions",
                format!("a session may hold max_subscriptions, {most}"),
            ));
        }
        if self.subscriptions.contains(key) {
            let detail = "ids of subscriptions are unique within a connection";
            return Err(Stop::violation(Violation::DuplicateSubscription, detail));
        }
        Ok(())
    }

    fn selector(&self, text: &str) -> Result<Selector, Stop> {
        let most = self.service.settings.max_selector;
        if text.len() > most {
            metrics::limit_reached("max_selector");
            return Err(Stop::refuse("selector too long", format!("a selector may have max_selector, {most} bytes")));
        }
        Selector::parse(text).map_err(|error| Stop::refuse("bad selector", format!("{text}\n{error}")))
    }

    /// The destination that others answer to for this `/temp-queue/...`. The first use of the name makes a queue, and a
    /// subscription of that name through which the answers come.
    fn reply_queue(&mut self, session: &Arc<Session>, temp: String, now: Instant) -> Result<String, Stop> {
        let key = Key::Id(temp.clone());
        if let Some(own) = self.subscriptions.by_key(&key).filter(|own| own.implied)
            && let Some(name) = own.membership.reply_queue()
        {
            return Ok(name.to_owned());
        }
        self.check_new(&key)?;
        let number = self.subscriptions.next_number();
        // Even in 1.0: it tells the client which of its requests is answered.
        let subscription = Subscription::with_traits(
            Arc::clone(session),
            self.version(),
            Some(&temp),
            Traits { number, ..Traits::default() },
        );
        let opened = self.service.broker.open_reply_queue(&subscription, now);
        let (name, membership) = opened.map_err(|error| refused(&error, &temp))?;
        self.subscriptions.insert(key, number, Subscribed { membership, ack: AckMode::Auto, implied: true });
        Ok(name)
    }
}

fn refused(error: &BrokerError, destination: &str) -> Stop {
    let message = match error {
        BrokerError::Destination(_) => "bad destination",
        BrokerError::TooManyDestinations(_) | BrokerError::TooManyPatterns(_) | BrokerError::HighWater(_) => {
            "broker is full"
        }
        BrokerError::QueueFull(_) => "queue is full",
        BrokerError::Expiration(_) => "bad expiration",
        BrokerError::NoHistory(_) => "no history",
        BrokerError::ReadFirst => "too much history",
    };
    Stop::refuse(message, format!("{destination}\n{error}"))
}

fn prefetch_count(text: &str) -> Result<usize, ProtocolError> {
    text.trim().parse().ok().filter(|count| *count > 0).ok_or_else(|| {
        ProtocolError::new(Violation::InvalidHeader, format!("prefetch-count is a number from 1, not {text:?}"))
    })
}

fn last(text: &str) -> Result<usize, ProtocolError> {
    text.trim()
        .strip_prefix("last=")
        .and_then(|count| count.parse().ok())
        .ok_or_else(|| ProtocolError::new(Violation::InvalidHeader, format!("x-history is last=NUMBER, not {text:?}")))
}
