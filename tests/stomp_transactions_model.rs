//! Random frames of two sessions, in transactions and outside of them, against a plain model: two queues as lists, each with
//! one consumer, and what every open transaction is to do. After each frame everybody has received what the model says,
//! no more and in that order, and the queues hold what it says.

#[path = "support/acks.rs"]
mod acks;
mod bed;
// For the helpers of `acks`, which know it.
mod support;

use std::collections::BTreeMap;

use acks::{abort, begin, commit, said, send, subscribe, verdict};
use bed::stomp::{Client, VERSIONS};
use bed::{Bed, config};
use proptest::prelude::*;
use towpath::config::{Config, Service};
use towpath::session::{Carrier, CloseReason, Departure};
use towpath::stomp::{Command, Frame, Version};

const CARRIERS: [Carrier; 4] = [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp];

/// Where the sessions send to: each consumes from the queue of its number, and a witness hears the topic.
const DESTINATIONS: [&str; 3] = ["/queue/0", "/queue/1", "/topic/witness"];

const WINDOW: usize = 3;
const QUEUE_MESSAGES: usize = 6;
const MAX_TRANSACTIONS: usize = 2;
const MAX_FRAMES: usize = 7;

fn tight() -> Config {
    let mut config = config(Service::Stomp, |_| {});
    config.broker.queue.messages = QUEUE_MESSAGES;
    config.broker.queue.max_deliveries = 10_000;
    config.stomp.max_transactions = MAX_TRANSACTIONS;
    config.stomp.max_transaction_frames = MAX_FRAMES;
    config
}

/// What a session does next.
#[derive(Debug, Clone)]
enum Step {
    Begin(u8),
    Send(usize, Option<u8>),
    /// About one of the messages that it holds.
    Judge(prop::sample::Index, Verdict, Option<u8>),
    /// About one that it has held.
    Stale(prop::sample::Index, Option<u8>),
    Commit(u8),
    Abort(u8),
    /// UNSUBSCRIBE, or SUBSCRIBE if it has done that.
    Toggle,
    Disconnect,
    Lose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Consumed,
    Requeue,
    Reject,
}

fn step() -> impl Strategy<Value = Step> {
    let transaction = || prop_oneof![6 => Just(0_u8), 3 => Just(1), 1 => Just(2)];
    let maybe = || prop::option::weighted(0.7, transaction());
    let judged = prop_oneof![2 => Just(Verdict::Consumed), 1 => Just(Verdict::Requeue), 1 => Just(Verdict::Reject)];
    prop_oneof![
        12 => transaction().prop_map(Step::Begin),
        20 => (0..DESTINATIONS.len(), maybe()).prop_map(|(to, within)| Step::Send(to, within)),
        16 => (any::<prop::sample::Index>(), judged, maybe()).prop_map(|(at, word, within)| Step::Judge(at, word, within)),
        1 => (any::<prop::sample::Index>(), maybe()).prop_map(|(at, within)| Step::Stale(at, within)),
        10 => transaction().prop_map(Step::Commit),
        4 => transaction().prop_map(Step::Abort),
        2 => Just(Step::Toggle),
        1 => Just(Step::Disconnect),
        1 => Just(Step::Lose),
    ]
}

// ---- the model ----

#[derive(Debug, Clone)]
struct Message {
    number: usize,
    body: String,
    delivered: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Message>,
    /// All that were ever put into it.
    sent: usize,
}

#[derive(Debug)]
struct Held {
    message: Message,
    /// As it came.
    frame: Frame,
    /// The transaction that will judge it.
    taken: bool,
}

#[derive(Debug, Clone)]
enum Action {
    Send(usize, String),
    /// The messages by their numbers in the queue, and the subscription that held them.
    Judge(Vec<usize>, Verdict, usize),
}

/// What the model knows of a session.
#[derive(Default)]
struct Own {
    /// Its subscription, numbered, or none now.
    subscription: Option<usize>,
    subscriptions: usize,
    held: Vec<Held>,
    past: Vec<Frame>,
    open: BTreeMap<u8, Vec<Action>>,
}

/// The frame was wrong: ERROR, and the session ends.
struct Wrong;

struct World {
    bed: Bed,
    clients: Vec<Client>,
    versions: [Version; 2],
    carriers: [Carrier; 2],
    witness: Client,
    // The model.
    queues: [Queue; 2],
    own: [Own; 2],
    /// What each is to receive in this step, and whether it was delivered before.
    due: [Vec<Message>; 2],
    /// What the witness is to hear in this step.
    heard: Vec<String>,
    said: usize,
}

impl World {
    fn new(versions: [Version; 2], carriers: [Carrier; 2]) -> Self {
        let bed = Bed::new(&tight());
        let witness = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
        witness.subscribe(&bed, "1", DESTINATIONS[2]);
        let clients = (0..2).map(|number| Client::connected(&bed, carriers[number], versions[number])).collect();
        let (queues, own, due) = Default::default();
        let mut world = Self { bed, clients, versions, carriers, witness, queues, own, due, heard: vec![], said: 0 };
        for number in 0..2 {
            world.subscribe(number);
            world.check(number, None);
        }
        world
    }

    fn mode(&self, number: usize) -> &'static str {
        // The second session acknowledges one at a time, if its version can.
        if number == 0 || self.versions[number] == Version::V1_0 { "client" } else { "client-individual" }
    }

    fn subscribe(&mut self, number: usize) {
        let frame = subscribe("own", DESTINATIONS[number], self.mode(number));
        self.clients[number].send(&self.bed, &frame.with("prefetch-count", WINDOW.to_string()));
        let own = &mut self.own[number];
        own.subscriptions += 1;
        own.subscription = Some(own.subscriptions);
        self.dispatch(number);
    }

    /// Both do the same thing: the session by a frame, the model by its lists. Then they are compared.
    fn play(&mut self, number: usize, step: &Step) {
        self.said += 1;
        let receipt = self.said.to_string();
        let done = match step {
            Step::Lose => return self.lose(number),
            Step::Toggle if self.own[number].subscription.is_none() => {
                self.subscribe(number);
                return self.check(number, None);
            }
            Step::Toggle => {
                let frame = Frame::new(Command::Unsubscribe).with("id", "own").with("receipt", &*receipt);
                self.clients[number].send(&self.bed, &frame);
                self.leave(number);
                Ok(())
            }
            Step::Disconnect => {
                let frame = Frame::new(Command::Disconnect).with("receipt", &*receipt);
                self.clients[number].send(&self.bed, &frame);
                self.check_last(number, Command::Receipt, &receipt);
                return self.reconnect(number);
            }
            _ => {
                let Some((frame, done)) = self.frame(number, step) else { return };
                self.clients[number].send(&self.bed, &frame.with("receipt", &*receipt));
                done
            }
        };
        if done.is_ok() {
            self.check(number, Some(&receipt));
        } else {
            self.check_last(number, Command::Error, &receipt);
            self.reconnect(number);
        }
    }

    /// The frame of that step, and what it does in the model; nothing if it is about a message and there is none.
    fn frame(&mut self, number: usize, step: &Step) -> Option<(Frame, Result<(), Wrong>)> {
        let body = format!("{number}-{}", self.said);
        let within = |frame: Frame, transaction: &Option<u8>| match transaction {
            Some(transaction) => frame.with("transaction", transaction.to_string()),
            None => frame,
        };
        Some(match step {
            Step::Begin(transaction) => (begin(&transaction.to_string()), self.begin(number, *transaction)),
            Step::Commit(transaction) => (commit(&transaction.to_string()), self.commit(number, *transaction)),
            Step::Abort(transaction) => (abort(&transaction.to_string()), self.abort(number, *transaction)),
            Step::Send(to, transaction) => {
                let frame = within(send(DESTINATIONS[*to], &body), transaction);
                let done = match transaction {
                    Some(transaction) => self.add(number, *transaction, Action::Send(*to, body)),
                    None => self.act(number, vec![Action::Send(*to, body)]),
                };
                (frame, done)
            }
            Step::Judge(at, word, transaction) => {
                let own = &self.own[number];
                if own.held.is_empty() {
                    return None;
                }
                let at = at.index(own.held.len());
                let (frame, word) = self.judging(number, &own.held[at].frame, *word);
                (within(frame, transaction), self.judge(number, at, word, *transaction))
            }
            Step::Stale(at, transaction) => {
                let own = &self.own[number];
                if own.past.is_empty() {
                    return None;
                }
                let (frame, _) = self.judging(number, &own.past[at.index(own.past.len())], Verdict::Consumed);
                (within(frame, transaction), Err(Wrong))
            }
            Step::Toggle | Step::Disconnect | Step::Lose => return None,
        })
    }

    fn judging(&self, number: usize, message: &Frame, word: Verdict) -> (Frame, Verdict) {
        let version = self.versions[number];
        match word {
            Verdict::Requeue if version > Version::V1_0 => (verdict(Command::Nack, version, message), word),
            Verdict::Reject if version > Version::V1_0 => {
                (verdict(Command::Nack, version, message).with("requeue", "false"), word)
            }
            _ => (verdict(Command::Ack, version, message), Verdict::Consumed),
        }
    }

    fn begin(&mut self, number: usize, transaction: u8) -> Result<(), Wrong> {
        let open = &mut self.own[number].open;
        if open.contains_key(&transaction) || open.len() == MAX_TRANSACTIONS {
            return Err(Wrong);
        }
        open.insert(transaction, vec![]);
        Ok(())
    }

    fn add(&mut self, number: usize, transaction: u8, action: Action) -> Result<(), Wrong> {
        let open = &mut self.own[number].open;
        if open.values().map(Vec::len).sum::<usize>() == MAX_FRAMES {
            return Err(Wrong);
        }
        open.get_mut(&transaction).ok_or(Wrong)?.push(action);
        Ok(())
    }

    fn judge(&mut self, number: usize, at: usize, word: Verdict, transaction: Option<u8>) -> Result<(), Wrong> {
        let cumulative = self.mode(number) == "client";
        let own = &mut self.own[number];
        if own.held[at].taken {
            return Err(Wrong);
        }
        let from = if cumulative { 0 } else { at };
        let meant = own.held[from..=at].iter_mut().filter(|held| !held.taken);
        let numbers = meant.map(|held| {
            held.taken = transaction.is_some();
            held.message.number
        });
        let action = Action::Judge(numbers.collect(), word, own.subscription.ok_or(Wrong)?);
        match transaction {
            Some(transaction) => self.add(number, transaction, action),
            None => self.act(number, vec![action]),
        }
    }

    fn commit(&mut self, number: usize, transaction: u8) -> Result<(), Wrong> {
        let actions = self.own[number].open.remove(&transaction).ok_or(Wrong)?;
        self.act(number, actions)
    }

    fn abort(&mut self, number: usize, transaction: u8) -> Result<(), Wrong> {
        let own = &mut self.own[number];
        for action in own.open.remove(&transaction).ok_or(Wrong)? {
            if let Action::Judge(numbers, _, subscription) = action
                && own.subscription == Some(subscription)
            {
                let meant = own.held.iter_mut().filter(|held| numbers.contains(&held.message.number));
                meant.for_each(|held| held.taken = false);
            }
        }
        Ok(())
    }

    /// Does all of that, or nothing.
    fn act(&mut self, number: usize, actions: Vec<Action>) -> Result<(), Wrong> {
        for (queue, own) in self.own.iter().enumerate() {
            let there = self.queues[queue].waiting.len() + own.held.len();
            let more = actions.iter().filter(|action| matches!(action, Action::Send(to, _) if *to == queue)).count();
            if more > 0 && there + more > QUEUE_MESSAGES {
                return Err(Wrong);
            }
        }
        let subscription = self.own[number].subscription;
        let gone = |action: &Action| matches!(action, Action::Judge(_, _, of) if Some(*of) != subscription);
        if actions.iter().any(gone) {
            return Err(Wrong);
        }
        for action in actions {
            match action {
                Action::Send(2, body) => self.heard.push(body),
                Action::Send(to, body) => {
                    let queue = &mut self.queues[to];
                    queue.sent += 1;
                    queue.waiting.push(Message { number: queue.sent, body, delivered: false });
                    self.dispatch(to);
                }
                Action::Judge(numbers, word, _) => {
                    let own = &mut self.own[number];
                    let (judged, rest) = own.held.drain(..).partition(|held| numbers.contains(&held.message.number));
                    own.held = rest;
                    self.take_back(number, judged, word == Verdict::Requeue);
                    self.dispatch(number);
                }
            }
        }
        Ok(())
    }

    /// Messages that are not held any more: they wait again, or they are gone.
    fn take_back(&mut self, number: usize, held: Vec<Held>, requeue: bool) {
        for held in held {
            self.own[number].past.push(held.frame);
            if requeue {
                self.queues[number].waiting.push(held.message);
            }
        }
        self.queues[number].waiting.sort_by_key(|message| message.number);
    }

    fn leave(&mut self, number: usize) {
        let own = &mut self.own[number];
        own.subscription = None;
        let held = std::mem::take(&mut own.held);
        self.take_back(number, held, true);
    }

    /// Gives the consumer of a queue what its window has room for.
    fn dispatch(&mut self, number: usize) {
        let (own, queue) = (&mut self.own[number], &mut self.queues[number]);
        while own.subscription.is_some() && own.held.len() < WINDOW && !queue.waiting.is_empty() {
            let mut message = queue.waiting.remove(0);
            self.due[number].push(message.clone());
            message.delivered = true;
            // The frame is put here when it has come.
            own.held.push(Held { message, frame: Frame::new(Command::Message), taken: false });
        }
    }

    // ---- the comparison ----

    /// Everybody has received what is due, and the one who spoke its receipt.
    fn check(&mut self, speaker: usize, receipt: Option<&str>) {
        for number in 0..2 {
            let mut frames = self.clients[number].frames(&self.bed);
            if number == speaker
                && let Some(receipt) = receipt
            {
                let last = frames.pop().expect("a RECEIPT");
                assert_eq!(
                    (last.command, last.headers.get("receipt-id")),
                    (Command::Receipt, Some(receipt)),
                    "{last:?}"
                );
            }
            let due = std::mem::take(&mut self.due[number]);
            let expected: Vec<_> = due.iter().map(|message| (message.body.clone(), message.delivered)).collect();
            assert_eq!(frames.iter().map(said).collect::<Vec<_>>(), expected);
            for (frame, message) in frames.into_iter().zip(due) {
                let held = &mut self.own[number].held;
                held.iter_mut().filter(|held| held.message.number == message.number).for_each(|held| {
                    held.frame = frame.clone();
                });
            }
        }
        let heard = std::mem::take(&mut self.heard);
        assert_eq!(bed::stomp::bodies(&self.witness.frames(&self.bed)), heard);
        self.check_queues();
    }

    fn check_queues(&self) {
        for (number, queue) in self.queues.iter().enumerate() {
            let held = queue.waiting.len() + self.own[number].held.len();
            let there = self.bed.gateway.broker().queue_len(DESTINATIONS[number]);
            let unused = held == 0 && self.own[number].subscription.is_none();
            assert_eq!(there.map(|(messages, _)| messages), (!unused).then_some(held), "{}", DESTINATIONS[number]);
            assert!(there.is_none_or(|(messages, bytes)| (messages == 0) == (bytes == 0)));
        }
    }

    /// The session has said that, and no more, and is over.
    fn check_last(&mut self, number: usize, command: Command, receipt: &str) {
        let frames = self.clients[number].frames_to_the_end(&self.bed);
        let told: Vec<_> = frames.iter().map(|frame| (frame.command, frame.headers.get("receipt-id"))).collect();
        assert_eq!(told, [(command, Some(receipt))]);
    }

    fn lose(&mut self, number: usize) {
        let reader = &self.clients[number].reader;
        if reader.session.carrier() == Carrier::Http {
            self.bed.depart(reader, Departure::Interrupted);
        } else {
            self.bed.hang_up(reader, CloseReason::Interrupted);
        }
        self.reconnect(number);
    }

    /// The session is over: what it held waits again, what it had begun is forgotten. Another takes its place.
    fn reconnect(&mut self, number: usize) {
        self.leave(number);
        self.own[number] = Own::default();
        self.check_queues();
        self.clients[number] = Client::connected(&self.bed, self.carriers[number], self.versions[number]);
        self.subscribe(number);
        self.check(number, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn transactions_do_what_the_model_says(
        versions in [prop::sample::select(VERSIONS.to_vec()), prop::sample::select(VERSIONS.to_vec())],
        carriers in [prop::sample::select(CARRIERS.to_vec()), prop::sample::select(CARRIERS.to_vec())],
        steps in proptest::collection::vec((0..2_usize, step()), 1..80),
    ) {
        let mut world = World::new(versions, carriers);
        for (number, step) in &steps {
            world.play(*number, step);
        }
        let World { bed, clients, witness, .. } = world;
        for client in [&clients[0], &clients[1], &witness] {
            client.send(&bed, &Frame::new(Command::Disconnect));
        }
        prop_assert_eq!(bed.gateway.broker().len(), (0, 0));
    }
}
