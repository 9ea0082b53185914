//! A STOMP broker of one page: topics give each message to all, queues to one after the other, and a [`Liar`] stands before each
//! subscriber.
//!
//! Does not know: what carries the frames.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;
use towpath::stomp::{Command, Frame, Input, Limits, Parser, Version};

use super::host::Seen;
use super::lies::{Liar, Lie, Told};
use super::service::Farewell;

/// What all connections share.
pub struct Broker {
    lie: Lie,
    farewell: Farewell,
    told: Arc<Mutex<Told>>,
    subscriptions: Mutex<Vec<Subscription>>,
    /// Sessions from CONNECT to DISCONNECT.
    pub sessions: Seen,
    acks: Mutex<u64>,
}

struct Subscription {
    session: usize,
    id: String,
    destination: String,
    acknowledges: bool,
    liar: Liar,
    messages: u64,
    give: UnboundedSender<String>,
}

/// One conversation.
pub struct Speaker {
    broker: Arc<Broker>,
    parser: Parser,
    give: UnboundedSender<String>,
    session: Option<usize>,
    /// DISCONNECT has come.
    pub has_left: bool,
}

impl Broker {
    pub fn new(lie: Lie, farewell: Farewell, told: &Arc<Mutex<Told>>) -> Arc<Self> {
        Arc::new(Self {
            lie,
            farewell,
            told: Arc::clone(told),
            subscriptions: Mutex::default(),
            sessions: Seen::default(),
            acks: Mutex::default(),
        })
    }

    /// Messages that were acknowledged.
    pub fn acks(&self) -> u64 {
        *self.acks.lock().unwrap()
    }

    fn send(&self, destination: &str, body: &str) {
        let mut all = self.subscriptions.lock().unwrap();
        let mut fitting: Vec<_> = (0..all.len()).filter(|at| all[*at].destination == destination).collect();
        if destination.starts_with("/queue/") {
            fitting.truncate(1);
        }
        for at in &fitting {
            all[*at].deliver(body);
        }
        if let ([at], true) = (&fitting[..], destination.starts_with("/queue/")) {
            // Whoever had this one has the next one last.
            let served = all.remove(*at);
            all.push(served);
        }
    }
}

impl Subscription {
    fn deliver(&mut self, body: &str) {
        for body in self.liar.tell(body.to_owned()) {
            self.messages += 1;
            let name = format!("{}-{}-{}", self.session, self.id, self.messages);
            let mut frame = Frame::new(Command::Message)
                .with("destination", self.destination.as_str())
                .with("subscription", self.id.as_str())
                .with("message-id", name.as_str());
            if self.acknowledges {
                frame = frame.with("ack", name);
            }
            // Who has gone needs nothing.
            let _ = self.give.send(text(&frame.with_body(body)));
        }
    }
}

impl Speaker {
    pub fn new(broker: &Arc<Broker>, give: UnboundedSender<String>) -> Self {
        let parser = Parser::new(Limits::default());
        Self { broker: Arc::clone(broker), parser, give, session: None, has_left: false }
    }

    /// Takes what has come.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.parser.feed(Bytes::copy_from_slice(bytes));
        while let Some(input) = self.parser.next().expect("a load sends frames") {
            if let Input::Frame(frame) = input {
                self.handle(&frame);
            }
        }
    }

    fn handle(&mut self, frame: &Frame) {
        let header = |name: &str| frame.headers.get(name).unwrap_or_default().to_owned();
        match frame.command {
            Command::Connect | Command::Stomp => {
                self.session = Some(self.broker.sessions.begins());
                self.parser.set_version(Version::V1_2);
                let connected = Frame::new(Command::Connected).with("version", "1.2").with("heart-beat", "0,0");
                let _ = self.give.send(text(&connected));
            }
            Command::Subscribe => self.broker.subscriptions.lock().unwrap().push(Subscription {
                session: self.session.expect("CONNECT comes first"),
                id: header("id"),
                destination: header("destination"),
                acknowledges: header("ack").starts_with("client"),
                liar: Liar::new(self.broker.lie, &self.broker.told),
                messages: 0,
                give: self.give.clone(),
            }),
            Command::Send => {
                let body = String::from_utf8(frame.body.to_vec()).expect("all is text");
                self.broker.send(&header("destination"), &body);
            }
            Command::Ack => *self.broker.acks.lock().unwrap() += 1,
            Command::Disconnect => {
                self.leave();
                self.has_left = true;
                if self.broker.farewell != Farewell::Receipt {
                    return;
                }
            }
            _ => {}
        }
        if let Some(receipt) = frame.headers.get("receipt") {
            let _ = self.give.send(text(&Frame::receipt(receipt)));
        }
    }

    fn leave(&mut self) {
        if let Some(session) = self.session.take() {
            self.broker.subscriptions.lock().unwrap().retain(|one| one.session != session);
            self.broker.sessions.ends();
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.leave();
    }
}

fn text(frame: &Frame) -> String {
    String::from_utf8(frame.encode(Version::V1_2).to_vec()).expect("all is text")
}
