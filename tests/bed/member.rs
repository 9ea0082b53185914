//! A session that consumes without STOMP: it lives on a connection of its own, in no registry, and ends when the test says
//! so. Takes apart the MESSAGE frames that it reads.
//!
//! Does not know: queues and what becomes of messages.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;

use towpath::broker::{BrokerError, Membership, Selector, Subscribing};
use towpath::config;
use towpath::session::{Attach, Carrier, CloseReason, Subscription, Traits};
use towpath::stomp::{AckMode, Version};

use crate::bed::{Bed, Lone, Mute, Reader};

/// The session.
pub struct Member {
    pub reader: Reader,
}

/// How it wants to consume.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// Names the subscription within its session.
    pub number: u32,
    pub ack: AckMode,
    pub prefetch: Option<usize>,
    pub selector: Option<&'a str>,
}

/// What a MESSAGE said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Got {
    pub body: String,
    /// The numbers of subscription and delivery; `None` if it needs no acknowledgement.
    pub ack: Option<(u32, u64)>,
    pub redelivered: bool,
}

impl Wishes<'_> {
    /// Subscription number one, with everything else left to the broker.
    pub fn of(ack: AckMode) -> Self {
        Self { number: 1, ack, prefetch: None, selector: None }
    }
}

impl Member {
    /// A session with the limits of the bed's endpoint.
    pub fn new(bed: &Bed) -> Self {
        let endpoint = config::Endpoint::default();
        let Lone { session, .. } = Lone::new(Carrier::Tcp, endpoint, Mute, bed.now);
        let Attach::Attached(receiver) = session.attach(bed.now) else { panic!("a new session has no receiver") };
        Self { reader: Reader::new(session, receiver, None) }
    }

    /// Subscribes.
    pub fn join(&self, bed: &Bed, destination: &str, wishes: Wishes<'_>) -> Result<Membership, BrokerError> {
        let Wishes { number, ack, prefetch, selector } = wishes;
        let traits = Traits { number, acknowledged: ack != AckMode::Auto, offsets: false };
        let (session, id) = (Arc::clone(&self.reader.session), number.to_string());
        let subscription = Subscription::with_traits(session, Version::V1_2, Some(&id), traits);
        let selector = selector.map(|text| Selector::parse(text).expect("a selector"));
        let plain = Subscribing::plain(destination, &subscription);
        bed.gateway.broker().subscribe(Subscribing { ack, prefetch, selector, ..plain }, bed.now)
    }

    /// Reads no more than one message.
    pub fn one(&mut self, bed: &Bed) -> Option<Got> {
        self.reader.budget = 1;
        self.reader.one(bed).map(|frame| got(&frame))
    }

    /// Reads all there is.
    pub fn all(&mut self, bed: &Bed) -> Vec<Got> {
        std::iter::from_fn(|| self.one(bed)).collect()
    }

    /// The connection breaks, and the broker hears of it.
    pub fn cut(&self, bed: &Bed, memberships: &[&Membership]) {
        self.reader.session.abandon(CloseReason::Interrupted, bed.now);
        memberships.iter().for_each(|membership| bed.gateway.broker().leave(membership, bed.now));
    }
}

/// What stands in a MESSAGE of STOMP 1.2.
pub fn got(frame: &str) -> Got {
    let (head, body) = frame.split_once("\n\n").expect("an empty line");
    let ack = header(head, "ack").map(|id| {
        let (number, tag) = id.split_once('-').expect("a hyphen");
        (number.parse().expect("a number"), tag.parse().expect("a number"))
    });
    let body = body.trim_end_matches('\0').to_owned();
    Got { body, ack, redelivered: header(head, "redelivered").is_some_and(|value| value == "true") }
}

/// The value of a header, if it is there.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}
