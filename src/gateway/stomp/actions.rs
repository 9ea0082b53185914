//! What the frames of a client do at the broker, at once or when their transaction commits.
//!
//! Does not know: how frames come in, or when receipts go out.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::super::Caller;
use super::super::answers::Failure;
use super::super::interceptors::{Event as Occurrence, Inbound};
use super::asking::{REFRESH, drop_credentials, refused_by};
use super::subscriptions::{Key, Subscribed};
use super::transactions::{Action, invalid};
use super::{Commit, Done, Stomp, Stop};
use crate::broker::{Broker, BrokerError, Destination, Membership, Reach, Selector, Subscribing, Verdict};
use crate::config::{self, Guarded, SendToUsers, UnknownUser};
use crate::metrics;
use crate::publication::TRANSFER_ENCODING;
use crate::session::{Carrier, CloseReason, Session, Subscription, Traits};
use crate::stomp::{Ack, AckMode, Headers, ProtocolError, Send, Subscribe, Unsubscribe, UnsubscribeBy, Violation};

impl Stomp {
    pub(super) fn send(&mut self, session: &Arc<Session>, mut send: Send, now: Instant) -> Result<Done, Stop> {
        if send.destination == REFRESH {
            return self.refresh(session, send, now);
        }
        let caller = self.caller()?;
        let Send { destination, headers, body, .. } = &mut send;
        *body = self.decoded(headers, std::mem::take(body))?;
        drop_credentials(headers);
        let seen = self.service.hooks.inbound(&mut Inbound::Send { caller: &caller, destination, headers, body });
        if let Err(failure) = seen {
            return match send.transaction {
                None => self.tell_failure(session, &send.destination, failure, send.receipt.as_deref(), now),
                // A transaction is not to be committed without one of its parts.
                Some(_) => Err(refused_by(failure)),
            };
        }
        self.check_allowed(&caller, Guarded::Send, &send.destination)?;
        let Send { destination, transaction, mut headers, body, receipt } = send;
        if let Some(reply_to) = headers.get("reply-to").filter(|reply_to| Broker::is_temp_queue(reply_to)) {
            let reply_queue = self.reply_queue(session, reply_to.to_owned(), now)?;
            headers.remove("reply-to");
            headers.push("reply-to", reply_queue);
        }
        let application = self.service.application.owns(&destination);
        if let Some(transaction) = transaction {
            // A transaction that cannot work is not to fail only at its end.
            if !application && let Err(error) = Destination::of_send(&destination, self.service.broker.topic_prefixes())
            {
                return Err(refused(&error.into(), &destination));
            }
            self.check_addressee(&destination)?;
            let action = Action::Send { destination, headers, body };
            self.transactions.add(&transaction, action, &self.service.settings)?;
            return Ok(Done::Fully);
        }
        if application {
            let message = self.incoming(destination, headers, body, caller);
            return self.hand_over(session, message, receipt, now);
        }
        self.check_addressee(&destination)?;
        let sent = self.service.broker.send(&destination, headers, body, now);
        let reach = sent.map_err(|error| refused(&error, &destination))?;
        self.published(&destination, reach, now)
    }

    pub(super) fn subscribe(
        &mut self,
        session: &Arc<Session>,
        mut subscribe: Subscribe,
        now: Instant,
    ) -> Result<Done, Stop> {
        let caller = self.caller()?;
        // An interceptor may send it elsewhere; the client will name it as it did.
        let key = Key::of(&subscribe);
        self.check_new(&key)?;
        let Subscribe { destination, headers, .. } = &mut subscribe;
        drop_credentials(headers);
        if let Err(failure) =
            self.service.hooks.inbound(&mut Inbound::Subscribe { caller: &caller, destination, headers })
        {
            return self.refuse_subscribe(session, key, subscribe, failure, now);
        }
        if let Err(stop) = self.check_allowed(&caller, Guarded::Subscribe, &subscribe.destination) {
            return match self.service.refused_subscribe {
                config::Errors::Error => Err(stop),
                config::Errors::Message => {
                    let failure = Failure::new("the rules do not allow this subscription");
                    // Where nobody would hear it, it is the same refusal as without softness.
                    self.refuse_subscribe(session, key, subscribe, failure, now).map_err(|_| stop)
                }
            };
        }
        if self.service.application.owns(&subscribe.destination) || self.service.asks.subscribe {
            return self.ask_about(session, key, subscribe, caller, now);
        }
        self.subscribe_at_broker(session, key, subscribe, &caller, now)
    }

    pub(super) fn subscribe_at_broker(
        &mut self,
        session: &Arc<Session>,
        key: Key,
        subscribe: Subscribe,
        caller: &Caller,
        now: Instant,
    ) -> Result<Done, Stop> {
        let Subscribe { id, destination, ack, headers, .. } = subscribe;
        let selector = headers.get("selector").map(|text| self.selector(text)).transpose()?;
        let prefetch = headers.get("prefetch-count").map(prefetch_count).transpose()?;
        let past = headers.get("x-history").map(last).transpose()?;
        let number = self.subscriptions.next_number();
        let traits = Traits { number, acknowledged: ack != AckMode::Auto, offsets: past.is_some() };
        let screen = self.service.hooks.screen(caller);
        let subscription = Subscription::screened(Arc::clone(session), self.version(), id.as_deref(), traits, screen);
        let asked = Subscribing {
            destination: &destination,
            subscription: &subscription,
            ack,
            prefetch,
            selector,
            past,
            user: caller.user(),
        };
        let membership = self.service.broker.subscribe(asked, now).map_err(|error| refused(&error, &destination))?;
        self.subscriptions.insert(key, number, Subscribed::at_broker(membership, ack));
        if past.is_some() && !session.has_room() {
            self.pace.replayed(session.carrier(), now);
        }
        let id = id.as_deref().unwrap_or_default();
        self.tell(&Occurrence::Subscribed { caller, destination: &destination, id })?;
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
        if let Some(membership) = &subscribed.membership {
            self.service.broker.unsubscribe(membership, now);
        }
        if subscribed.refused {
            return Ok(Done::Fully);
        }
        let (Key::Id(id) | Key::Destination(id)) = &key;
        self.tell(&Occurrence::Unsubscribed { caller: &self.caller()?, id })?;
        Ok(Done::Fully)
    }

    pub(super) fn acknowledge(&mut self, ack: &Ack, verdict: Verdict, now: Instant) -> Result<Done, Stop> {
        if let Some(transaction) = &ack.transaction {
            self.transactions.check(transaction)?;
        }
        let (subscription, membership, named) = self.subscriptions.acknowledged(ack)?;
        let not_held = |_| {
            let detail = "it was not delivered yet, or has been acknowledged, given back, or taken into a transaction";
            Stop::violation(Violation::UnknownMessage, detail)
        };
        let Some(transaction) = &ack.transaction else {
            membership.acknowledge(named, verdict, now).map_err(not_held)?;
            return Ok(Done::Fully);
        };
        let deliveries = membership.reserve(named).map_err(not_held)?;
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
                Action::Send { destination, .. } if self.service.application.owns(destination) => {}
                Action::Send { destination, headers, body } => {
                    let place = self.service.broker.reserve(destination, headers, body.len(), now);
                    let place = place.map_err(|error| refused(&error, destination))?;
                    if place.is_unreachable() {
                        self.check_unreachable(destination)?;
                    }
                    places.push(place);
                }
                Action::Acknowledge { subscription, .. } => {
                    if self.subscriptions.membership(*subscription).is_none() {
                        let what = "acknowledges messages of a subscription that has ended; they go to others";
                        return Err(invalid(transaction, what).into());
                    }
                }
            }
        }
        let (actions, places) = (actions.into_iter(), places.into_iter());
        self.committing = Some(Box::new(Commit { actions, places, receipt, done: Done::Fully }));
        Ok(())
    }

    /// Does what is left to do of a COMMIT, all of it if `whole`, else until the client is held up. Returns whether nothing is
    /// left.
    pub(super) fn carry_on(&mut self, session: &Arc<Session>, whole: bool, now: Instant) -> bool {
        let Some(mut commit) = self.committing.take() else { return true };
        while let Some(action) = commit.actions.next() {
            match action {
                Action::Send { destination, headers, body } if self.service.application.owns(&destination) => {
                    if let Ok(caller) = self.caller() {
                        let message = self.incoming(destination, headers, body, caller);
                        self.hand_over_committed(session, message, now);
                    }
                }
                Action::Send { destination, headers, body } => {
                    let Some(place) = commit.places.next() else { continue };
                    let reach = self.service.broker.publish(place, &destination, headers, body, now);
                    self.pace.published(reach, self.service.broker.pressure(), now);
                    if reach.unreachable {
                        commit.done = Done::Undelivered;
                    }
                }
                Action::Acknowledge { subscription, deliveries, verdict } => {
                    if let Some(membership) = self.subscriptions.membership(subscription) {
                        membership.acknowledge_reserved(&deliveries, verdict, now);
                    }
                }
            }
            if self.is_held_up() && !whole {
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
                && let Some(membership) = self.subscriptions.membership(subscription)
            {
                membership.release(&deliveries);
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
        let encoded = self.origin.carrier.speaks_sockjs()
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
            SendToUsers::Tcp => self.origin.carrier == Carrier::Tcp,
            SendToUsers::Nobody => false,
        };
        // Most are for nobody in particular, and the broker reads them anyway.
        let for_user = || {
            let topics = self.service.broker.topic_prefixes();
            matches!(Destination::of_send(destination, topics), Ok(Destination::User { .. }))
        };
        if allowed || !Destination::is_for_user(destination) || !for_user() {
            return Ok(());
        }
        let detail = format!(
            "{destination}\nsend_to_users is {:?}: this client may not send to users",
            self.service.send_to_users.name()
        );
        Err(Stop::refuse("not allowed", detail))
    }

    /// Whether the rules let the client do that.
    fn check_allowed(&self, caller: &Caller, command: Guarded, destination: &str) -> Result<(), Stop> {
        let decision = self.service.authority.decide(command, Some(destination), caller.principal());
        if decision.allowed {
            return Ok(());
        }
        tracing::debug!(session = caller.session(), command = command.name(), destination, %decision, "refused");
        metrics::not_allowed(command.name());
        let detail = format!("{destination}\nthe rules do not allow this {}", command.name());
        Err(Stop::ended("not allowed", detail, CloseReason::NotAllowed))
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
            && let Some(name) = own.membership.as_ref().and_then(Membership::reply_queue)
        {
            return Ok(name.to_owned());
        }
        self.check_new(&key)?;
        let number = self.subscriptions.next_number();
        // Even in 1.0: it tells the client which of its requests is answered.
        let traits = Traits { number, ..Traits::default() };
        let screen = self.service.hooks.screen(&self.caller()?);
        let subscription = Subscription::screened(Arc::clone(session), self.version(), Some(&temp), traits, screen);
        let opened = self.service.broker.open_reply_queue(&subscription, now);
        let (name, membership) = opened.map_err(|error| refused(&error, &temp))?;
        self.subscriptions.insert(
            key,
            number,
            Subscribed { implied: true, ..Subscribed::at_broker(membership, AckMode::Auto) },
        );
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
