//! A queue against a plain model of one. Random publishers, consumers of every kind, sessions that read little, late or
//! never, answers good and bad, and time: after each step the queue holds what the model holds, and whatever anybody reads is
//! what the model says, to the message, the mark `redelivered` and the id.

mod bed;
#[path = "bed/member.rs"]
mod member;

use std::collections::{BTreeMap, VecDeque};

use bed::{Bed, config, seconds};
use bytes::Bytes;
use member::{Got, Member, Wishes, header};
use proptest::prelude::*;
use towpath::broker::{BrokerError, Membership, Named, NotHeld, Reserved, Verdict};
use towpath::config::{Destination, QueueFull, Service};
use towpath::publication::Publication;
use towpath::session::CloseReason;
use towpath::stomp::{AckMode, Headers};

const QUEUE: &str = "/queue/q";
const DEAD: &str = "/queue/dead";
const LIMIT: usize = 12;
const MAX_DELIVERIES: u32 = 3;

/// What can happen. Numbers choose among whatever is there, modulo how many there are.
#[derive(Debug, Clone)]
enum Step {
    /// Somebody sends. It expires half a second before so many seconds have passed.
    Send(Kind, Option<u64>),
    /// Somebody has a place kept, as a transaction does.
    Keep(Kind, Option<u64>),
    /// The place is used.
    Fill(usize),
    /// The place is given back.
    GiveUp(usize),
    /// Somebody consumes: a new session, or one that is there.
    Join { session: Option<usize>, ack: AckMode, prefetch: usize, wants: Option<Kind> },
    /// A session reads up to so many messages.
    Read(usize, usize),
    /// A consumer says what became of one of the messages that it has, or of one that it does not have.
    Answer { consumer: usize, message: usize, verdict: Verdict, bogus: bool },
    /// A consumer unsubscribes.
    Leave(usize),
    /// A session begins to close; its consumers are still there, and it may read what waits.
    Jam(usize),
    /// A session ends. Its transport is gone, or still reads.
    End { session: usize, gone: bool },
    /// Seconds pass.
    Pass(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    A,
    B,
}

impl Kind {
    fn name(self) -> &'static str {
        if self == Kind::A { "a" } else { "b" }
    }

    fn selector(self) -> &'static str {
        if self == Kind::A { "kind = 'a'" } else { "kind = 'b'" }
    }
}

// ---- the model ----

#[derive(Default)]
struct Model {
    clock: u64,
    drop_oldest: bool,
    /// By rising number.
    waiting: Vec<Message>,
    last_number: usize,
    /// Places that are kept.
    places: usize,
    consumers: BTreeMap<u32, Consumer>,
    /// Those that may hold more; the first is next.
    turn: Vec<u32>,
    sessions: BTreeMap<usize, Session>,
    /// Bodies and reasons.
    dead: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct Message {
    number: usize,
    body: String,
    kind: Kind,
    size: usize,
    expires: Option<u64>,
    written: u32,
}

struct Consumer {
    session: usize,
    ack: AckMode,
    prefetch: usize,
    wants: Option<Kind>,
    held: Vec<Held>,
    last_tag: u64,
}

struct Held {
    tag: u64,
    message: Message,
    written: bool,
}

#[derive(Default)]
struct Session {
    closing: bool,
    /// Consumer, tag, and what its client will read.
    outbox: VecDeque<(u32, u64, Got)>,
}

impl Model {
    fn held(&self) -> impl Iterator<Item = &Message> {
        self.consumers.values().flat_map(|consumer| &consumer.held).map(|held| &held.message)
    }

    fn total(&self) -> usize {
        self.waiting.len() + self.held().count() + self.places
    }

    /// Whether one more message has room.
    fn make_room(&mut self) -> bool {
        if self.total() < LIMIT {
            return true;
        }
        if !self.drop_oldest || self.waiting.is_empty() {
            return false;
        }
        let oldest = self.waiting.remove(0);
        self.dead.push((oldest.body, "queue-full".into()));
        true
    }

    fn publish(&mut self, mut message: Message) {
        self.last_number += 1;
        message.number = self.last_number;
        self.waiting.push(message);
        self.dispatch();
    }

    /// Each waiting message, oldest first, goes to whoever of those that take it is next.
    fn dispatch(&mut self) {
        let mut at = 0;
        while at < self.waiting.len() {
            let kind = self.waiting[at].kind;
            let taker = self.turn.iter().position(|number| {
                let consumer = &self.consumers[number];
                !self.sessions[&consumer.session].closing && consumer.wants.is_none_or(|wants| wants == kind)
            });
            let Some(place) = taker else {
                at += 1;
                continue;
            };
            let (number, message) = (self.turn.remove(place), self.waiting.remove(at));
            let consumer = self.consumers.get_mut(&number).unwrap();
            consumer.last_tag += 1;
            let tag = consumer.last_tag;
            let got = Got {
                body: message.body.clone(),
                ack: (consumer.ack != AckMode::Auto).then_some((number, tag)),
                redelivered: message.written > 0,
            };
            consumer.held.push(Held { tag, message, written: false });
            self.sessions.get_mut(&consumer.session).unwrap().outbox.push_back((number, tag, got));
            self.line_up(number);
        }
    }

    fn line_up(&mut self, number: u32) {
        let consumer = &self.consumers[&number];
        if consumer.held.len() < consumer.prefetch && !self.turn.contains(&number) {
            self.turn.push(number);
        }
    }

    /// What the next read of a session gives.
    fn read(&mut self, session: usize) -> Option<Got> {
        let (number, tag, got) = self.sessions.get_mut(&session)?.outbox.pop_front()?;
        let consumer = self.consumers.get_mut(&number).unwrap();
        let at = consumer.held.iter().position(|held| held.tag == tag).unwrap();
        if consumer.ack == AckMode::Auto {
            consumer.held.remove(at);
            self.line_up(number);
            self.dispatch();
        } else {
            consumer.held[at].written = true;
            consumer.held[at].message.written += 1;
        }
        Some(got)
    }

    fn answer(&mut self, number: u32, tags: &[u64], verdict: Verdict) {
        let consumer = self.consumers.get_mut(&number).unwrap();
        let (named, kept) = std::mem::take(&mut consumer.held).into_iter().partition(|held| tags.contains(&held.tag));
        consumer.held = kept;
        let named: Vec<Held> = named;
        match verdict {
            Verdict::Consumed => {}
            Verdict::Reject => self.dead.extend(named.into_iter().map(|held| (held.message.body, "rejected".into()))),
            Verdict::Requeue => self.put_back(named),
        }
        self.line_up(number);
        self.dispatch();
    }

    fn put_back(&mut self, returned: Vec<Held>) {
        for Held { message, .. } in returned {
            if message.written >= MAX_DELIVERIES {
                self.dead.push((message.body, "delivery-limit".into()));
            } else if message.expires.is_some_and(|at| at <= self.clock) {
                self.dead.push((message.body, "expired".into()));
            } else {
                self.waiting.push(message);
            }
        }
        self.waiting.sort_by_key(|message| message.number);
    }

    fn leave(&mut self, number: u32) {
        self.turn.retain(|own| *own != number);
        let consumer = self.consumers.remove(&number).unwrap();
        self.sessions.get_mut(&consumer.session).unwrap().outbox.retain(|(own, _, _)| *own != number);
        self.put_back(consumer.held);
        self.dispatch();
    }

    fn pass(&mut self, seconds: u64) {
        self.clock += seconds;
        let (expired, kept) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|message| message.expires.is_some_and(|at| at <= self.clock));
        self.waiting = kept;
        let expired: Vec<Message> = expired;
        self.dead.extend(expired.into_iter().map(|message| (message.body, "expired".into())));
    }
}

// ---- the queue, and both side by side ----

struct World {
    bed: Bed,
    model: Model,
    members: BTreeMap<usize, Member>,
    memberships: BTreeMap<u32, Membership>,
    places: Vec<(Reserved, Headers, Message)>,
    undertaker: Member,
    buried: Vec<(String, String)>,
    next: u32,
}

impl World {
    fn new(drop_oldest: bool) -> Self {
        let mut config = config(Service::Stomp, |_| {});
        config.broker.queue.dead_letter = Some(DEAD.into());
        config.broker.queue.max_deliveries = MAX_DELIVERIES;
        let mut queue = config.broker.queue.clone();
        queue.messages = LIMIT;
        queue.full = if drop_oldest { QueueFull::DropOldest } else { QueueFull::Refuse };
        config.destinations = vec![Destination { pattern: QUEUE.into(), queue, ..Destination::default() }];
        let bed = Bed::new(&config);
        let undertaker = Member::new(&bed);
        let _ = undertaker.join(&bed, DEAD, Wishes::of(AckMode::Auto)).unwrap();
        let (members, memberships) = (BTreeMap::new(), BTreeMap::new());
        let model = Model { drop_oldest, ..Model::default() };
        Self { bed, model, members, memberships, places: vec![], undertaker, buried: vec![], next: 0 }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send(kind, expires) => {
                if let Some((place, headers, message)) = self.reserve(kind, expires) {
                    self.fill(place, headers, message);
                }
            }
            Step::Keep(kind, expires) => {
                if let Some(kept) = self.reserve(kind, expires) {
                    self.places.push(kept);
                    self.model.places += 1;
                }
            }
            Step::Fill(place) => {
                if let Some((place, headers, message)) = self.take_place(place) {
                    self.fill(place, headers, message);
                }
            }
            Step::GiveUp(place) => drop(self.take_place(place)),
            Step::Join { session, ack, prefetch, wants } => self.join(session, ack, prefetch, wants),
            Step::Read(session, count) => {
                if let Some(session) = nth(self.members.keys(), session) {
                    self.read(session, count);
                }
            }
            Step::Answer { consumer, message, verdict, bogus } => {
                if let Some(number) = nth(self.memberships.keys(), consumer) {
                    self.answer(number, message, verdict, bogus);
                }
            }
            Step::Leave(consumer) => {
                if let Some(number) = nth(self.memberships.keys(), consumer) {
                    let membership = self.memberships.remove(&number).unwrap();
                    self.bed.gateway.broker().unsubscribe(&membership, self.bed.now);
                    self.model.leave(number);
                }
            }
            Step::Jam(session) => {
                if let Some(session) = nth(self.members.keys(), session) {
                    self.members[&session].reader.session.overflow("outbox_messages");
                    self.model.sessions.get_mut(&session).unwrap().closing = true;
                }
            }
            Step::End { session, gone } => {
                if let Some(session) = nth(self.members.keys(), session) {
                    self.end(session, gone);
                }
            }
            Step::Pass(time) => {
                self.bed.idle(seconds(time));
                self.model.pass(time);
            }
        }
    }

    fn reserve(&mut self, kind: Kind, expires: Option<u64>) -> Option<(Reserved, Headers, Message)> {
        self.next += 1;
        let body = format!("m{}", self.next);
        let mut headers: Headers = [("kind", kind.name())].into_iter().collect();
        if let Some(in_seconds) = expires {
            headers.push("expiration", (in_seconds * 1000 - 500).to_string());
        }
        let size = Publication::size_of(QUEUE, &headers, body.len());
        let place = self.bed.gateway.broker().reserve(QUEUE, &headers, body.len(), self.bed.now);
        if !self.model.make_room() {
            assert_eq!(place.err(), Some(BrokerError::QueueFull("queue_messages")));
            return None;
        }
        Some((place.unwrap(), headers, Message { number: 0, body, kind, size, expires, written: 0 }))
    }

    fn take_place(&mut self, place: usize) -> Option<(Reserved, Headers, Message)> {
        let place = nth(0..self.places.len(), place)?;
        self.model.places -= 1;
        Some(self.places.remove(place))
    }

    fn fill(&mut self, place: Reserved, headers: Headers, mut message: Message) {
        let body = Bytes::from(message.body.clone());
        let reach = self.bed.gateway.broker().publish(place, QUEUE, headers, body, self.bed.now);
        assert_eq!((reach.receivers, reach.unreachable), (1, false));
        message.expires = message.expires.map(|in_seconds| self.model.clock + in_seconds);
        self.model.publish(message);
    }

    fn join(&mut self, session: Option<usize>, ack: AckMode, prefetch: usize, wants: Option<Kind>) {
        let session = session.and_then(|which| nth(self.members.keys(), which)).unwrap_or_else(|| {
            self.next += 1;
            self.members.insert(self.next as usize, Member::new(&self.bed));
            self.model.sessions.insert(self.next as usize, Session::default());
            self.next as usize
        });
        self.next += 1;
        let number = self.next;
        let wishes = Wishes { number, ack, prefetch: Some(prefetch), selector: wants.map(Kind::selector) };
        let membership = self.members[&session].join(&self.bed, QUEUE, wishes).unwrap();
        self.memberships.insert(number, membership);
        self.model.consumers.insert(number, Consumer { session, ack, prefetch, wants, held: vec![], last_tag: 0 });
        self.model.line_up(number);
        self.model.dispatch();
    }

    fn read(&mut self, session: usize, count: usize) {
        for _ in 0..count {
            let expected = self.model.read(session);
            let member = self.members.get_mut(&session).unwrap();
            assert_eq!(member.one(&self.bed), expected, "session {session}");
        }
    }

    fn answer(&mut self, number: u32, message: usize, verdict: Verdict, bogus: bool) {
        let Consumer { ack, held, .. } = &self.model.consumers[&number];
        let written = held.iter().filter(|held| held.written).map(|held| held.tag);
        let unwritten = held.iter().filter(|held| !held.written).map(|held| held.tag);
        let (tag, valid) = match nth(written, message).filter(|_| !bogus) {
            Some(tag) => (tag, true),
            // One that waits in the outbox, or that was never there, or that was answered.
            None => (nth(unwritten.chain([0, 1_000_000]), message).unwrap(), false),
        };
        let named = if *ack == AckMode::Client { Named::UpTo(tag) } else { Named::One(tag) };
        let answered = self.memberships[&number].acknowledge(named, verdict, self.bed.now);
        assert_eq!(answered, if valid { Ok(()) } else { Err(NotHeld) });
        if valid {
            let tags = held.iter().map(|held| held.tag);
            let tags: Vec<u64> =
                if *ack == AckMode::Client { tags.filter(|own| *own <= tag).collect() } else { vec![tag] };
            self.model.answer(number, &tags, verdict);
        }
    }

    fn end(&mut self, session: usize, gone: bool) {
        let mut member = self.members.remove(&session).unwrap();
        self.model.sessions.get_mut(&session).unwrap().closing = true;
        let reason = if gone { CloseReason::Interrupted } else { CloseReason::Shutdown };
        member.reader.session.close(reason, self.bed.now);
        let own = |consumer: &Consumer| consumer.session == session;
        let consumers: Vec<u32> =
            self.model.consumers.iter().filter(|(_, consumer)| own(consumer)).map(|(number, _)| *number).collect();
        for number in consumers {
            let membership = self.memberships.remove(&number).unwrap();
            self.bed.gateway.broker().leave(&membership, self.bed.now);
            self.model.leave(number);
        }
        assert_eq!(member.all(&self.bed), [], "what went back to the queue is not written as well");
        self.model.sessions.remove(&session);
    }

    fn check(&mut self) {
        let broker = self.bed.gateway.broker();
        let model = &self.model;
        let idle = model.total() == 0 && model.consumers.is_empty();
        let bytes: usize = model.waiting.iter().chain(model.held()).map(|message| message.size).sum();
        let kept: usize = self.places.iter().map(|(_, _, message)| message.size).sum();
        assert_eq!(broker.queue_len(QUEUE), (!idle).then_some((model.total(), bytes + kept)));
        for (session, member) in &self.members {
            assert_eq!(member.reader.session.backlog().1, model.sessions[session].outbox.len());
        }
        let undertaker = &mut self.undertaker.reader;
        self.buried.extend(undertaker.now(&self.bed).iter().map(|frame| {
            assert_eq!(header(frame, "x-dead-letter-from"), Some(QUEUE));
            (member::got(frame).body, header(frame, "x-dead-letter-reason").unwrap().to_owned())
        }));
        self.buried.sort();
        self.model.dead.sort();
        assert_eq!(self.buried, self.model.dead);
    }

    /// Everybody goes, and one who comes then gets all that is left, in the order in which it was sent.
    fn finish(mut self) {
        self.places.clear();
        self.model.places = 0;
        while let Some(session) = nth(self.members.keys(), 0) {
            self.end(session, true);
            self.check();
        }
        let expected: Vec<_> = self.model.waiting.iter().map(|message| message.body.clone()).collect();
        let mut last = Member::new(&self.bed);
        let membership = last.join(&self.bed, QUEUE, Wishes::of(AckMode::Auto)).unwrap();
        let bodies: Vec<_> = last.all(&self.bed).into_iter().map(|got| got.body).collect();
        assert_eq!(bodies, expected);
        let broker = self.bed.gateway.broker();
        broker.unsubscribe(&membership, self.bed.now);
        assert_eq!(broker.queue_len(QUEUE), None);
        assert_eq!(broker.queues_and_users(), (1, 0), "there is the one of the dead letters");
        drop((last, self.undertaker));
        assert_eq!(broker.live_bytes(), 0);
    }
}

fn nth<T: Clone>(mut items: impl Iterator<Item = impl std::borrow::Borrow<T>> + Clone, which: usize) -> Option<T> {
    let count = items.clone().count();
    items.nth(which.checked_rem(count)?).map(|item| item.borrow().clone())
}

// ---- what happens ----

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::A), Just(Kind::B)]
}

fn expires() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![4 => Just(None), 1 => (1..5u64).prop_map(Some)]
}

fn ack() -> impl Strategy<Value = AckMode> {
    prop_oneof![Just(AckMode::Auto), Just(AckMode::Client), Just(AckMode::ClientIndividual)]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![3 => Just(Verdict::Consumed), 3 => Just(Verdict::Requeue), 1 => Just(Verdict::Reject)]
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0..1000usize;
    let wants = prop_oneof![2 => Just(None), 1 => kind().prop_map(Some)];
    prop_oneof![
        12 => (kind(), expires()).prop_map(|(kind, expires)| Step::Send(kind, expires)),
        1 => (kind(), expires()).prop_map(|(kind, expires)| Step::Keep(kind, expires)),
        1 => any.clone().prop_map(Step::Fill),
        1 => any.clone().prop_map(Step::GiveUp),
        4 => (prop::option::of(any.clone()), ack(), 1..5usize, wants)
            .prop_map(|(session, ack, prefetch, wants)| Step::Join { session, ack, prefetch, wants }),
        8 => (any.clone(), 1..6usize).prop_map(|(session, count)| Step::Read(session, count)),
        8 => (any.clone(), any.clone(), verdict(), prop::bool::weighted(0.1))
            .prop_map(|(consumer, message, verdict, bogus)| Step::Answer { consumer, message, verdict, bogus }),
        2 => any.clone().prop_map(Step::Leave),
        1 => any.clone().prop_map(Step::Jam),
        2 => (any, prop::bool::ANY).prop_map(|(session, gone)| Step::End { session, gone }),
        2 => (1..3u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_does_what_the_model_does(
        drop_oldest in prop::bool::ANY,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(drop_oldest);
        for step in &steps {
            world.step(step);
            world.check();
        }
        world.finish();
    }
}
