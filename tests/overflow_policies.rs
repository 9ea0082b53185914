//! What becomes of a message that finds its receiver's outbox full, as the `overflow` of its destination says: `close`,
//! `drop-oldest` or `conflate`. First through an outbox itself, against a plain model too, then through the broker with
//! its `[[destination]]` rules.

mod bed;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bed::meters::record;
use bed::stomp::{Client, bodies, connect, send, subscribe};
use bed::{Bed, Lone, Messages, Mute, config};
use bytes::Bytes;
use proptest::prelude::*;
use towpath::config::{Config, Destination, Endpoint, Overflow as Policy, Service};
use towpath::publication::{Overflow, Publication};
use towpath::session::{
    Carrier, CloseReason, Delivery, Drained, Item, Message, Queued, ReceiverId, Subscription, Tag, Wire,
};
use towpath::stomp::{Command, Frame, Headers, Version};

use Overflow::{Close, Conflate, DropOldest};

// ---- an outbox itself ----

/// A session on its own with an outbox of that size, and a receiver that reads when the test says so.
struct Peer {
    lone: Lone,
    receiver: ReceiverId,
    subscriptions: [Arc<Subscription>; 2],
    now: Instant,
}

impl Peer {
    fn new(messages: usize, bytes: usize) -> Self {
        let now = Instant::now();
        let endpoint = Endpoint { outbox_messages: messages, outbox_bytes: bytes, ..Endpoint::default() };
        let lone = Lone::new(Carrier::RawWebsocket, endpoint, Mute, now);
        let receiver = lone.session.attach_first(now);
        let subscribe = |id| Subscription::new(Arc::clone(&lone.session), Version::V1_2, Some(id));
        let subscriptions = [subscribe("0"), subscribe("1")];
        Self { lone, receiver, subscriptions, now }
    }

    /// A delivery whose body is that text.
    fn item(&self, subscription: usize, tag: Tag, overflow: Overflow, body: String) -> Item {
        let publication = Publication::new(1, "/topic/a", Headers::new(), body.into()).with_overflow(overflow);
        let (publication, subscription) = (Arc::new(publication), Arc::clone(&self.subscriptions[subscription]));
        Item::Delivery(Delivery { publication, subscription, tag })
    }

    fn push(&self, overflow: Overflow, body: &str) -> Queued {
        self.lone.session.push(self.item(0, Tag::NONE, overflow, body.to_owned()))
    }

    /// What a RECEIPT or ERROR is to the outbox: nobody else's message.
    fn answer(&self, text: &str) -> Queued {
        self.lone.session.send(Message::text(text))
    }

    /// Reads once, about as many bytes as the budget says; gives bodies, and the close.
    fn read(&self, budget: usize) -> (Vec<String>, Option<CloseReason>) {
        let mut out = Messages::default();
        let mut cx = Context::from_waker(Waker::noop());
        let drained = self.lone.session.poll_drain(&mut cx, self.receiver, Wire::Raw, budget, self.now, &mut out);
        let body = |(bytes, _): (Bytes, bool)| {
            let text = String::from_utf8(bytes.to_vec()).expect("it is text");
            text.split_once("\n\n").map_or(text.clone(), |(_, body)| body.trim_end_matches('\0').to_owned())
        };
        let closed = if let Poll::Ready(Drained::Closed(reason)) = drained { Some(reason) } else { None };
        (out.0.into_iter().map(body).collect(), closed)
    }

    fn read_all(&self) -> Vec<String> {
        let all = self.read(usize::MAX).0;
        assert_eq!(self.lone.session.backlog(), (0, 0));
        all
    }

    fn is_open(&self) -> bool {
        self.lone.session.is_open()
    }
}

const ROOMY: usize = 1 << 30;

#[test]
fn close_ends_the_session_and_what_waits_is_still_sent() {
    let peer = Peer::new(3, ROOMY);
    let pushed = ["1", "2", "3", "4", "5"].map(|body| peer.push(Close, body));
    assert_eq!(pushed, [Queued::Queued, Queued::Pressed, Queued::Pressed, Queued::Overflow, Queued::Closed]);
    assert_eq!(peer.read_all(), ["1", "2", "3"]);
    assert_eq!(peer.read(usize::MAX).1, Some(CloseReason::SlowConsumer));
}

#[test]
fn drop_oldest_drops_the_oldest_and_the_session_lives_on() {
    let peer = Peer::new(3, ROOMY);
    let pushed = ["1", "2", "3", "4", "5"].map(|body| peer.push(DropOldest, body));
    assert_eq!(pushed, [Queued::Queued, Queued::Queued, Queued::Queued, Queued::Dropped, Queued::Dropped]);
    assert_eq!(peer.read_all(), ["3", "4", "5"]);
    assert_eq!(peer.push(DropOldest, "6"), Queued::Queued);
    assert_eq!(peer.read_all(), ["6"]);
    assert!(peer.is_open());
}

#[test]
fn a_large_message_drops_as_many_as_it_needs_room_for() {
    let small = "x".repeat(100);
    let peer = Peer::new(100, 1000);
    let cost = peer.item(0, Tag::NONE, DropOldest, small.clone()).cost();
    let fit = 1000 / cost;
    for _ in 0..fit {
        assert_eq!(peer.push(DropOldest, &small), Queued::Queued);
    }
    let large = "y".repeat(300);
    assert_eq!(peer.push(DropOldest, &large), Queued::Dropped);
    let read = peer.read_all();
    assert!(read.len() < fit && read.last() == Some(&large), "{read:?}");
    // One that is larger than the outbox fits when it is alone.
    for _ in 0..fit {
        peer.push(DropOldest, &small);
    }
    let huge = "z".repeat(5000);
    assert_eq!(peer.push(DropOldest, &huge), Queued::Dropped);
    assert_eq!(peer.read_all(), [huge]);
}

/// The newer one takes its own place, behind what was published before it: there is one order for all.
#[test]
fn conflate_replaces_what_waits_and_has_the_same_key() {
    let peer = Peer::new(3, ROOMY);
    assert_eq!(peer.push(Conflate(1), "a1"), Queued::Queued);
    peer.push(Conflate(2), "b1");
    assert_eq!(peer.push(Conflate(1), "a2"), Queued::Dropped);
    for round in 2..100 {
        peer.push(Conflate(2), &format!("b{round}"));
        peer.push(Conflate(3), &format!("c{round}"));
    }
    assert_eq!(peer.read_all(), ["a2", "b99", "c99"]);
    assert_eq!(peer.push(Conflate(1), "a3"), Queued::Queued, "what has been read is not replaced");
    assert_eq!(peer.read_all(), ["a3"]);
}

#[test]
fn conflate_with_more_keys_than_room_closes() {
    let peer = Peer::new(3, ROOMY);
    for key in 1..=3 {
        peer.push(Conflate(key), "x");
    }
    assert_eq!(peer.push(Conflate(4), "y"), Queued::Overflow);
    assert_eq!(peer.read_all(), ["x", "x", "x"]);
}

#[test]
fn subscriptions_of_one_session_are_not_conflated_with_each_other() {
    let peer = Peer::new(10, ROOMY);
    for round in 0..3 {
        for subscription in 0..2 {
            let body = format!("{subscription}-{round}");
            peer.lone.session.push(peer.item(subscription, Tag::NONE, Conflate(7), body));
        }
    }
    assert_eq!(peer.read_all(), ["0-2", "1-2"]);
}

#[test]
fn a_message_that_must_arrive_drops_those_that_may_go_first() {
    let peer = Peer::new(4, ROOMY);
    peer.push(Close, "must 1");
    for body in ["may 1", "may 2", "may 3"] {
        peer.push(DropOldest, body);
    }
    peer.push(Close, "must 2");
    peer.answer("receipt");
    assert_eq!(peer.read_all(), ["must 1", "may 3", "must 2", "receipt"]);
}

#[test]
fn a_message_that_may_go_and_finds_only_those_that_must_arrive_goes_itself() {
    let peer = Peer::new(3, ROOMY);
    for body in ["must 1", "must 2"] {
        peer.push(Close, body);
    }
    peer.push(Conflate(1), "kept");
    assert_eq!(peer.push(DropOldest, "may"), Queued::Dropped);
    assert!(peer.is_open());
    assert_eq!(peer.read_all(), ["must 1", "must 2", "kept"]);
}

/// RECEIPT and ERROR are answers to this client alone.
#[test]
fn answers_are_never_dropped() {
    let peer = Peer::new(3, ROOMY);
    for answer in ["1", "2", "3"] {
        peer.answer(answer);
    }
    for _ in 0..10 {
        assert_eq!(peer.push(DropOldest, "x"), Queued::Dropped);
    }
    assert_eq!(peer.answer("4"), Queued::Overflow);
    assert_eq!(peer.read_all(), ["1", "2", "3"]);
}

/// Queues and histories bound their own messages; the outbox leaves them alone and counts the others as if they were not there.
#[test]
fn what_is_bounded_elsewhere_is_neither_limited_nor_dropped() {
    let peer = Peer::new(2, ROOMY);
    for number in 1..=50 {
        let tag = if number % 2 == 0 { Tag::HISTORY } else { Tag::new(number, false) };
        let overflow = [Close, DropOldest, Conflate(1)][number as usize % 3];
        assert_eq!(peer.lone.session.push(peer.item(0, tag, overflow, number.to_string())), Queued::Queued);
    }
    for body in ["a", "b", "c", "d"] {
        peer.push(DropOldest, body);
    }
    let read = peer.read_all();
    assert_eq!(read.len(), 52);
    assert_eq!(read[50..], ["c", "d"]);
    assert!(peer.is_open());
}

/// How much waits of what cannot be dropped is what a publisher has to wait for.
#[test]
fn a_publisher_is_told_of_what_cannot_be_dropped_only() {
    let peer = Peer::new(10, ROOMY);
    for _ in 0..20 {
        assert_ne!(peer.push(DropOldest, "may"), Queued::Pressed, "these never have to wait for a reader");
    }
    let pushed: Vec<_> = (0..10).map(|_| peer.push(Close, "must")).collect();
    assert_eq!(pushed[..5], [Queued::Dropped; 5]);
    assert_eq!(pushed[5..], [Queued::Pressed; 5]);
    // Nor is anything of a new kind dropped for another of its kind.
    let peer = Peer::new(10, ROOMY);
    let pushed: Vec<_> = (0..10).map(|key| peer.push(Conflate(key), "x")).collect();
    assert_eq!(pushed[..5], [Queued::Queued; 5]);
    assert_eq!(pushed[5..], [Queued::Pressed; 5]);
    assert_eq!(peer.push(Conflate(3), "y"), Queued::Dropped, "nothing more waits than before");
}

#[test]
fn the_limit_that_is_reached_is_the_one_that_is_counted() {
    let ((), meters) = record(|| {
        let peer = Peer::new(5, 1000);
        for number in 1..=20 {
            peer.lone.session.push(peer.item(0, Tag::new(number, false), Close, "x".repeat(200)));
        }
        peer.push(Close, &"x".repeat(600));
        assert_eq!(peer.push(Close, &"x".repeat(600)), Queued::Overflow);
    });
    assert_eq!((meters.limit("outbox_bytes"), meters.limit("outbox_messages")), (1, 0));
}

// ---- counted, and logged once ----

/// Collects what is logged, by all tests of this file.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_dropped_is_counted_and_logged_once_for_each_session() {
    let log = Log::default();
    let writer = log.clone();
    // For the whole process: what another thread logs first, without anybody who listens there, is never logged again.
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let peers = [Peer::new(2, ROOMY), Peer::new(2, ROOMY)];
    let ((), meters) = record(|| {
        for peer in &peers {
            for _ in 0..10 {
                peer.push(DropOldest, "x");
                peer.push(Conflate(1), "x");
            }
            peer.read_all();
            // Read, and behind again: the log has said it.
            for _ in 0..5 {
                peer.push(DropOldest, "x");
            }
        }
    });
    // Of ten conflated ones nine are replaced, and each of the others but the last makes room for a newer one.
    assert_eq!(meters.count("towpath_deliveries_dropped_total", None), 2 * (9 + 9 + 3));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for peer in peers {
        let session = format!("session={}", peer.lone.session.serial());
        let own =
            |line: &&str| line.split_whitespace().any(|word| word == session) && line.contains("deliveries dropped");
        let lines: Vec<_> = log.lines().filter(own).collect();
        assert!(lines.len() == 1 && lines[0].contains("WARN"), "{log}");
    }
}

// ---- the accounts ----

#[derive(Debug, Clone)]
enum Step {
    /// The subscription, the policy, and the size of the body.
    Push(usize, Overflow, usize),
    Exempt(usize, Overflow, usize),
    Answer(usize),
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let overflow = prop_oneof![Just(Close), Just(DropOldest), (0u64..3).prop_map(Conflate)];
    let size = prop_oneof![4 => 0usize..200, 1 => 0usize..2000];
    let step = prop_oneof![
        6 => (0usize..2, overflow.clone(), size.clone()).prop_map(|(s, o, size)| Step::Push(s, o, size)),
        1 => (0usize..2, overflow, size.clone()).prop_map(|(s, o, size)| Step::Exempt(s, o, size)),
        1 => size.prop_map(Step::Answer),
        1 => prop_oneof![0usize..1500, Just(usize::MAX)].prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What waits, as a reader of the documentation would keep it.
#[derive(Default)]
struct Model {
    waiting: VecDeque<Waiting>,
    closed: bool,
}

struct Waiting {
    name: String,
    cost: usize,
    /// None if the limits leave it alone.
    bounded: Option<Overflow>,
    /// None for an answer.
    subscription: Option<usize>,
}

impl Model {
    const MESSAGES: usize = 6;
    const BYTES: usize = 1500;

    fn load(&self, counts: impl Fn(&Waiting) -> bool) -> (usize, usize) {
        let counted: Vec<_> = self.waiting.iter().filter(|waiting| counts(waiting)).collect();
        (counted.iter().map(|waiting| waiting.cost).sum(), counted.len())
    }

    /// What the limits look at, and the part of it that must not be dropped.
    fn bounded(&self) -> (usize, usize) {
        self.load(|waiting| waiting.bounded.is_some())
    }

    fn kept(&self) -> (usize, usize) {
        self.load(|waiting| waiting.bounded.is_some_and(|overflow| overflow != DropOldest))
    }

    fn push(&mut self, new: Waiting) -> Queued {
        if self.closed {
            return Queued::Closed;
        }
        let Some(overflow) = new.bounded else {
            self.waiting.push_back(new);
            return Queued::Queued;
        };
        let same = |old: &Waiting| old.bounded == new.bounded && old.subscription == new.subscription;
        let replaced = matches!(overflow, Conflate(_)).then(|| self.waiting.iter().rposition(same)).flatten();
        if let Some(position) = replaced {
            self.waiting.remove(position);
        }
        let mut dropped = replaced.is_some();
        loop {
            let (bytes, messages) = self.bounded();
            if messages == 0 || (messages < Self::MESSAGES && bytes + new.cost <= Self::BYTES) {
                break;
            }
            match self.waiting.iter().position(|waiting| waiting.bounded == Some(DropOldest)) {
                Some(position) => drop(self.waiting.remove(position)),
                None if overflow == DropOldest => return Queued::Dropped,
                None => {
                    self.closed = true;
                    return Queued::Overflow;
                }
            }
            dropped = true;
        }
        self.waiting.push_back(new);
        let (bytes, messages) = self.kept();
        let pressed = messages * 2 > Self::MESSAGES || bytes * 2 > Self::BYTES;
        if pressed && overflow != DropOldest && replaced.is_none() {
            return Queued::Pressed;
        }
        if dropped { Queued::Dropped } else { Queued::Queued }
    }

    fn read(&mut self, budget: usize) -> Vec<String> {
        let (mut spent, mut read) = (0, vec![]);
        while let Some(next) = self.waiting.pop_front() {
            spent += next.cost;
            read.push(next.name);
            if spent >= budget {
                break;
            }
        }
        read
    }
}

proptest! {
    /// Whatever is pushed and read in whatever order: the outbox holds what the model holds, its limits hold, and what
    /// arrives arrives in the order in which it was published.
    #[test]
    fn the_accounts_never_drift(steps in steps()) {
        let peer = Peer::new(Model::MESSAGES, Model::BYTES);
        let mut model = Model::default();
        let mut arrived = vec![];
        for (number, step) in steps.into_iter().enumerate() {
            let body = |size: usize| format!("{number:04}{}", "x".repeat(size));
            let (item, bounded, subscription, name) = match step {
                Step::Push(s, overflow, size) => {
                    (peer.item(s, Tag::NONE, overflow, body(size)), Some(overflow), Some(s), body(size))
                }
                Step::Exempt(s, overflow, size) => {
                    (peer.item(s, Tag::HISTORY, overflow, body(size)), None, Some(s), body(size))
                }
                Step::Answer(size) => {
                    (Item::Message(Arc::new(Message::text(body(size)))), Some(Close), None, body(size))
                }
                Step::Read(budget) => {
                    let read = peer.read(budget).0;
                    prop_assert_eq!(&read, &model.read(budget));
                    arrived.extend(read);
                    continue;
                }
            };
            let cost = item.cost();
            let queued = model.push(Waiting { name, cost, bounded, subscription });
            prop_assert_eq!(peer.lone.session.push(item), queued);
            let (bytes, messages) = model.bounded();
            prop_assert!(messages <= Model::MESSAGES && (bytes <= Model::BYTES || messages == 1));
            prop_assert_eq!(peer.lone.session.backlog(), model.load(|_| true));
            prop_assert_eq!(peer.is_open(), !model.closed);
        }
        arrived.extend(peer.read_all());
        prop_assert!(arrived.iter().map(|body| &body[..4]).is_sorted());
    }
}

// ---- through the broker ----

/// Outboxes of four messages, and those rules.
fn ruled(rules: &[(&str, Policy, Option<&str>)]) -> Config {
    let mut config = config(Service::Stomp, |endpoint| endpoint.outbox_messages = 4);
    config.destinations = rules
        .iter()
        .map(|(pattern, overflow, header)| Destination {
            pattern: (*pattern).to_owned(),
            overflow: *overflow,
            conflate_by: header.map(str::to_owned),
            ..Destination::default()
        })
        .collect();
    config.validate().expect("the rules are good");
    config
}

/// A connected client with those subscriptions, in order.
fn subscriber(bed: &Bed, destinations: &[&str]) -> Client {
    let mut client = Client::connected(bed, Carrier::RawWebsocket, Version::V1_2);
    for (id, destination) in destinations.iter().enumerate() {
        client.subscribe(bed, &id.to_string(), destination);
    }
    assert!(client.frames(bed).is_empty());
    client
}

fn publish(bed: &Bed, destination: &str, headers: &[(&str, &str)], body: &str) {
    let headers: Headers = headers.iter().copied().collect();
    bed.gateway.broker().send(destination, headers, body.to_owned().into(), bed.now).expect("it can be sent");
}

/// Ten numbered messages for each destination, in turn.
fn publish_ten(bed: &Bed, destinations: &[&str]) {
    for number in 0..10 {
        for destination in destinations {
            publish(bed, destination, &[], &number.to_string());
        }
    }
}

#[test]
fn without_rules_a_slow_reader_is_closed() {
    let bed = Bed::new(&ruled(&[]));
    let mut client = subscriber(&bed, &["/topic/a"]);
    publish_ten(&bed, &["/topic/a"]);
    assert_eq!(bodies(&client.frames_to_the_end(&bed)), ["0", "1", "2", "3"]);
}

#[test]
fn the_first_rule_that_fits_counts() {
    let rules = [
        ("/topic/a.vital", Policy::Close, None),
        ("/topic/a.*", Policy::DropOldest, None),
        ("/topic/#", Policy::Conflate, None),
    ];
    for (destination, expected, open) in [
        ("/topic/a.vital", &["0", "1", "2", "3"][..], false),
        ("/topic/a.b", &["6", "7", "8", "9"], true),
        ("/topic/b", &["9"], true),
        ("/topic/a.b.c", &["9"], true),
    ] {
        let bed = Bed::new(&ruled(&rules));
        // By its name or by a pattern: the rule is the destination's.
        for subscribed in [destination, "/topic/**"] {
            let mut client = subscriber(&bed, &[subscribed]);
            publish_ten(&bed, &[destination]);
            assert_eq!(client.reader.session.is_open(), open, "{destination} by {subscribed}");
            assert_eq!(bodies(&client.frames(&bed)), expected, "{destination} by {subscribed}");
        }
    }
}

#[test]
fn each_destination_of_a_pattern_is_conflated_on_its_own() {
    let bed = Bed::new(&ruled(&[("/topic/price.*", Policy::Conflate, None)]));
    let mut client = subscriber(&bed, &["/topic/price.*"]);
    publish_ten(&bed, &["/topic/price.a", "/topic/price.b"]);
    let frames = client.frames(&bed);
    let destinations: Vec<_> = frames.iter().filter_map(|frame| frame.headers.get("destination")).collect();
    assert_eq!(destinations, ["/topic/price.a", "/topic/price.b"]);
    assert_eq!(bodies(&frames), ["9", "9"]);
}

#[test]
fn conflation_by_a_header_keeps_the_latest_of_each_value() {
    let bed = Bed::new(&ruled(&[("/topic/quotes", Policy::Conflate, Some("symbol"))]));
    let mut client = subscriber(&bed, &["/topic/quotes"]);
    for number in 0..10 {
        for symbol in [Some("x"), Some("y"), None, Some("")] {
            let headers: Vec<_> = symbol.map(|symbol| ("symbol", symbol)).into_iter().collect();
            publish(&bed, "/topic/quotes", &headers, &number.to_string());
        }
    }
    let frames = client.frames(&bed);
    let symbols: Vec<_> = frames.iter().map(|frame| frame.headers.get("symbol")).collect();
    assert_eq!(symbols, [Some("x"), Some("y"), None, Some("")], "no header is a kind of its own");
    assert_eq!(bodies(&frames), ["9"; 4]);
}

#[test]
fn user_destinations_have_rules_too() {
    let bed = Bed::new(&ruled(&[
        ("/user/queue/prices", Policy::Conflate, None),
        ("/user/queue/**", Policy::DropOldest, None),
        ("/topic/**", Policy::DropOldest, None),
    ]));
    for (local, expected) in
        [("/queue/prices", &["9"][..]), ("/queue/news", &["6", "7", "8", "9"]), ("/topic/x", &["0", "1", "2", "3"])]
    {
        let mut client = Client::fresh(&bed, Carrier::RawWebsocket);
        client.send(&bed, &connect(Version::V1_2).with("login", "ann"));
        client.frames(&bed);
        client.version = Version::V1_2;
        client.subscribe(&bed, "1", &format!("/user{local}"));
        publish_ten(&bed, &[&format!("/user/ann{local}")]);
        assert_eq!(bodies(&client.frames(&bed)), expected, "{local}");
        client.send(&bed, &Frame::new(Command::Disconnect));
    }
}

#[test]
fn one_slow_subscription_costs_the_others_of_its_session_nothing_that_must_arrive() {
    let bed = Bed::new(&ruled(&[("/topic/may", Policy::DropOldest, None)]));
    let mut client = subscriber(&bed, &["/topic/may", "/topic/must"]);
    publish_ten(&bed, &["/topic/may"]);
    publish(&bed, "/topic/must", &[], "must");
    client.send(&bed, &send("/topic/else", "").with("receipt", "r"));
    publish_ten(&bed, &["/topic/may"]);
    let frames = client.frames(&bed);
    let commands: Vec<_> = frames.iter().map(|frame| frame.command).collect();
    assert_eq!(commands, [Command::Message, Command::Receipt, Command::Message, Command::Message]);
    assert_eq!(&frames[0].body[..], b"must");
    assert_eq!([&frames[2].body[..], &frames[3].body[..]], [b"8", b"9"]);
}

#[test]
fn the_error_arrives_however_full_the_outbox_is() {
    let bed = Bed::new(&ruled(&[("/topic/may", Policy::DropOldest, None)]));
    let mut client = subscriber(&bed, &["/topic/may"]);
    publish_ten(&bed, &["/topic/may"]);
    client.send(&bed, &subscribe("0", "/topic/may"));
    let frames = client.frames_to_the_end(&bed);
    assert_eq!(frames.last().map(|frame| frame.command), Some(Command::Error));
    assert_eq!(bodies(&frames[..3]), ["7", "8", "9"]);
}
