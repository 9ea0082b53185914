//! The subscriptions of one session: by the names that the client gave them, and by the numbers that stand in the ids of
//! messages to acknowledge. Such an id is `NUMBER-DELIVERY`, made of digits and a hyphen, which no client damages, and means
//! something in its own session only.
//!
//! Does not know: what a subscription delivers.

use super::few::Few;
use crate::broker::{Membership, Named};
use crate::stomp::{Ack, AckMode, Acknowledged, ProtocolError, Subscribe, Violation};

/// What names a subscription within its session. Only STOMP 1.0 may do without an id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Id(String),
    Destination(String),
}

/// A subscription that is in force.
pub(super) struct Subscribed {
    /// None if nothing more will come: the application has answered it, or it was refused softly.
    pub membership: Option<Membership>,
    pub ack: AckMode,
    /// It came by itself, with a `reply-to`.
    pub implied: bool,
    /// It was refused softly: nobody has heard of it.
    pub refused: bool,
}

impl Subscribed {
    /// One whose messages come from the broker.
    pub fn at_broker(membership: Membership, ack: AckMode) -> Self {
        Self { membership: Some(membership), ack, implied: false, refused: false }
    }

    /// One to which nothing more will come.
    pub fn answered() -> Self {
        Self { membership: None, ack: AckMode::Auto, implied: false, refused: false }
    }
}

impl Key {
    /// The name that a SUBSCRIBE gives its subscription.
    pub fn of(subscribe: &Subscribe) -> Self {
        let by_destination = || Self::Destination(subscribe.destination.clone());
        subscribe.id.clone().map_or_else(by_destination, Self::Id)
    }
}

#[derive(Default)]
pub(super) struct Subscriptions {
    by_number: Few<u32, Subscribed>,
    numbers: Few<Key, u32>,
    next: u32,
}

impl Subscriptions {
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.numbers.get(key).is_some()
    }

    /// A number that no living subscription has.
    pub fn next_number(&mut self) -> u32 {
        loop {
            self.next = self.next.wrapping_add(1);
            if self.by_number.get(&self.next).is_none() {
                return self.next;
            }
        }
    }

    pub fn insert(&mut self, key: Key, number: u32, subscribed: Subscribed) {
        self.numbers.insert(key, number);
        self.by_number.insert(number, subscribed);
    }

    pub fn by_key(&self, key: &Key) -> Option<&Subscribed> {
        self.by_number.get(self.numbers.get(key)?)
    }

    pub fn by_number(&self, number: u32) -> Option<&Subscribed> {
        self.by_number.get(&number)
    }

    /// What the broker gave for the subscription of that number, if it is open there.
    pub fn membership(&self, number: u32) -> Option<&Membership> {
        self.by_number(number)?.membership.as_ref()
    }

    pub fn remove(&mut self, key: &Key) -> Option<Subscribed> {
        self.by_number.remove(&self.numbers.remove(key)?)
    }

    pub fn drain(&mut self) -> Vec<Subscribed> {
        self.numbers = Few::default();
        self.by_number.drain()
    }

    /// The messages that an ACK or NACK speaks of, with the number of their subscription.
    ///
    /// # Errors
    /// [`Violation::UnknownMessage`] for an id that was never given to this client, or names a subscription that needs no
    /// acknowledgements.
    pub fn acknowledged(&self, ack: &Ack) -> Result<(u32, &Membership, Named), ProtocolError> {
        let unknown = |detail: String| ProtocolError::new(Violation::UnknownMessage, detail);
        let (id, subscription) = match &ack.message {
            Acknowledged::Ack(id) => (id, None),
            Acknowledged::Message { id, subscription } => (id, subscription.as_ref()),
        };
        let parsed = id.split_once('-').and_then(|(number, tag)| Some((number.parse().ok()?, tag.parse().ok()?)));
        let (number, tag) =
            parsed.ok_or_else(|| unknown(format!("{id:?} is no id of a message that waits for an acknowledgement")))?;
        let subscribed = self
            .by_number(number)
            .ok_or_else(|| unknown(format!("{id:?} belongs to no open subscription of this session")))?;
        if let Some(named) = subscription
            && self.numbers.get(&Key::Id(named.clone())) != Some(&number)
        {
            return Err(unknown(format!("{id:?} is no message of the subscription {named:?}")));
        }
        let named = match subscribed.ack {
            AckMode::Client => Named::UpTo(tag),
            AckMode::ClientIndividual => Named::One(tag),
            AckMode::Auto => {
                return Err(unknown(format!("{id:?} needs no acknowledgement: its subscription is ack auto")));
            }
        };
        let membership = subscribed.membership.as_ref();
        let membership =
            membership.ok_or_else(|| unknown(format!("{id:?} belongs to no subscription that holds messages")))?;
        Ok((number, membership, named))
    }
}
