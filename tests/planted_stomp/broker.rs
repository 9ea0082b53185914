//! What all connections share: subscriptions, queues, and what is not acknowledged.
//!
//! Does not know: connections, and how frames come in.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;
use towpath::stomp::{Command, Frame, Headers, Version};

use super::defects::Defect;

/// What a connection is to write.
#[derive(Debug, Clone)]
pub enum Out {
    Bytes(Bytes),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Auto,
    Client,
    Individual,
}

#[derive(Clone)]
pub struct Subscription {
    pub session: u64,
    pub id: Option<String>,
    pub destination: String,
    pub mode: Mode,
    pub version: Version,
    pub give: UnboundedSender<Out>,
    /// How many messages it was sent.
    pub sent: u64,
}

#[derive(Clone)]
pub struct Message {
    pub destination: String,
    pub headers: Headers,
    pub body: Bytes,
}

/// A message that was sent and is not acknowledged.
struct Held {
    session: u64,
    subscription: Option<String>,
    mode: Mode,
    ack: String,
    message_id: String,
    message: Message,
}

/// The broker.
pub struct Broker {
    pub defect: Option<Defect>,
    pub subscriptions: Vec<Subscription>,
    queues: HashMap<String, VecDeque<Message>>,
    held: Vec<Held>,
    acknowledged: HashSet<String>,
    /// A message that the next one overtakes.
    late: Option<Message>,
    published: u64,
    next: u64,
    pub transactions: HashMap<String, Vec<Frame>>,
    pub everybody: Vec<UnboundedSender<Out>>,
}

impl Broker {
    pub fn new(defect: Option<Defect>) -> Self {
        Self {
            defect,
            subscriptions: Vec::new(),
            queues: HashMap::new(),
            held: Vec::new(),
            acknowledged: HashSet::new(),
            late: None,
            published: 0,
            next: 0,
            transactions: HashMap::new(),
            everybody: Vec::new(),
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// A number that nobody else has.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn publish(&mut self, message: Message) {
        self.published += 1;
        if self.has(Defect::Overtakes) && self.published.is_multiple_of(5) {
            self.late = Some(message);
            return;
        }
        let times = if self.has(Defect::Doubles) && self.published % 4 == 2 { 2 } else { 1 };
        for _ in 0..times {
            self.deliver(&message);
        }
        if let Some(late) = self.late.take() {
            self.deliver(&late);
        }
    }

    pub fn subscribe(&mut self, subscription: Subscription) {
        if self.has(Defect::IdsShared) {
            self.subscriptions.retain(|other| other.id != subscription.id);
        }
        let destination = subscription.destination.clone();
        self.subscriptions.push(subscription);
        self.pump(&destination);
    }

    /// Ends the subscriptions that fit, and gives back what they hold.
    pub fn end(&mut self, fits: impl Fn(&Subscription) -> bool) {
        let gone: Vec<_> = self.subscriptions.extract_if(.., |subscription| fits(subscription)).collect();
        for subscription in gone {
            let own = |held: &mut Held| held.session == subscription.session && held.subscription == subscription.id;
            let held: Vec<_> = self.held.extract_if(.., own).collect();
            let queue = subscription.destination.starts_with("/queue/");
            if !queue || self.has(Defect::UnackedLost) {
                continue;
            }
            let waiting = self.queues.entry(subscription.destination.clone()).or_default();
            for held in held.into_iter().rev() {
                waiting.push_front(held.message);
            }
            self.pump(&subscription.destination);
        }
    }

    /// Takes an acknowledgement: of the message with that id, or of 1.0 and 1.1 that message-id. False if there is no such message.
    pub fn acknowledge(&mut self, session: u64, fits: impl Fn(&str, &str) -> bool) -> bool {
        let own = |held: &Held| held.session == session && fits(&held.ack, &held.message_id);
        let Some(at) = self.held.iter().position(own) else {
            return self.has(Defect::SecondAckIgnored) && self.acknowledged.iter().any(|ack| fits(ack, ack));
        };
        if self.has(Defect::AckIgnored) {
            return true;
        }
        let (mode, subscription) = (self.held[at].mode, self.held[at].subscription.clone());
        self.acknowledged.insert(self.held[at].ack.clone());
        let cumulative = match mode {
            Mode::Client => !self.has(Defect::ClientIsIndividual),
            _ => self.has(Defect::IndividualIsCumulative),
        };
        let everywhere = self.has(Defect::CumulativeOverAll);
        let mut place = 0;
        self.held.retain(|held| {
            let covered = held.session == session && (everywhere || held.subscription == subscription);
            let goes = place == at || cumulative && place < at && covered;
            place += 1;
            !goes
        });
        true
    }

    fn deliver(&mut self, message: &Message) {
        if self.has(Defect::EmptyBodyDropped) && message.body.is_empty() {
            return;
        }
        if message.destination.starts_with("/queue/") && !self.has(Defect::QueueToAll) {
            let anybody = self.subscriptions.iter().any(|other| other.destination == message.destination);
            if anybody || !self.has(Defect::QueueForgets) {
                self.queues.entry(message.destination.clone()).or_default().push_back(message.clone());
            }
            return self.pump(&message.destination.clone());
        }
        let mut sessions = HashSet::new();
        for at in 0..self.subscriptions.len() {
            let Subscription { session, destination, .. } = &self.subscriptions[at];
            let first = sessions.is_empty();
            if *destination != message.destination
                || self.has(Defect::OneCopy) && sessions.contains(session)
                || self.has(Defect::TopicToOne) && !first
                || self.has(Defect::TwentySubscriptions) && at >= 20
            {
                continue;
            }
            sessions.insert(*session);
            self.send(at, message.clone());
        }
    }

    /// Gives what waits in a queue to its consumers, in turn.
    fn pump(&mut self, destination: &str) {
        loop {
            let consumers = self.subscriptions.iter().enumerate().filter(|(_, other)| other.destination == destination);
            let Some((at, _)) = consumers.min_by_key(|(_, consumer)| consumer.sent) else { return };
            let Some(message) = self.queues.get_mut(destination).and_then(VecDeque::pop_front) else { return };
            self.send(at, message);
        }
    }

    fn send(&mut self, at: usize, message: Message) {
        let number = self.number();
        self.subscriptions[at].sent += 1;
        let subscription = self.subscriptions[at].clone();
        let message_id = if self.has(Defect::OneMessageId) { "m".to_owned() } else { format!("m-{number}") };
        let counter = if self.has(Defect::AckCountsAnew) { subscription.sent } else { number };
        let ack = format!("a-{counter}");
        let other = self.has(Defect::OtherDestination);
        let destination = if other { format!("/exchange{}", message.destination) } else { message.destination.clone() };
        let mut frame = Frame::new(Command::Message).with("destination", destination).with("message-id", &*message_id);
        if let Some(id) = subscription.id.as_deref().filter(|_| !self.has(Defect::NoSubscription)) {
            frame = frame.with("subscription", id);
        }
        let waits = subscription.mode != Mode::Auto;
        if waits && subscription.version == Version::V1_2 && !self.has(Defect::NoAckHeader) {
            frame = frame.with("ack", &*ack);
        }
        let mut headers = message.headers.clone();
        if self.has(Defect::Forged) {
            if let Some(forged) = headers.get("subscription").map(str::to_owned) {
                frame.headers.remove("subscription");
                frame = frame.with("subscription", forged);
            }
            headers.remove("subscription");
        }
        for (name, value) in headers.iter() {
            frame = frame.with(name, value);
        }
        frame.body = message.body.clone();
        if waits || self.has(Defect::AutoWaits) {
            let (session, mode, subscription) = (subscription.session, subscription.mode, subscription.id.clone());
            self.held.push(Held { session, subscription, mode, ack, message_id, message });
        }
        let version = if self.has(Defect::OneEncoding) { Version::V1_2 } else { subscription.version };
        let _ = subscription.give.send(Out::Bytes(self.encode(&frame, version)));
    }

    /// A frame as it is written.
    pub fn encode(&self, frame: &Frame, version: Version) -> Bytes {
        let mut bytes = frame.encode(version).to_vec();
        if self.has(Defect::CountsCharacters) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let (octets, characters) = (frame.body.len(), String::from_utf8_lossy(&frame.body).chars().count());
            let right = format!("content-length:{octets}\n");
            bytes = text.replace(&right, &format!("content-length:{characters}\n")).into_bytes();
        }
        bytes.extend_from_slice(if self.has(Defect::NulBetween) { b"\n\0\n" } else { b"\n" });
        bytes.into()
    }
}
